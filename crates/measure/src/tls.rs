//! TLS for what is not HTTP (Redis, PostgreSQL, AMQP): whom to trust, and one configuration for each such answer, shared by
//! all connections.
//!
//! Hosted Redis and PostgreSQL often have certificates that nobody signed (Heroku's do), so their clients' own way to accept
//! them is accepted here: `ssl_cert_reqs=none` and `sslmode=require` in the URL.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use autoscalebot_core::Failure;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::http;

/// Whose certificates are good.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Trust {
    /// Those that the system trusts.
    System,
    /// Those that the certificates in this file signed.
    File(PathBuf),
    /// Any: the connection is encrypted, but whom it leads to is not proven.
    Anybody,
}

/// Configurations made so far.
static CONFIGS: LazyLock<Mutex<HashMap<Trust, Arc<ClientConfig>>>> = LazyLock::new(Mutex::default);

/// Speaks TLS over a stream.
pub(crate) async fn over<S>(stream: S, host: &str, trust: &Trust) -> Result<TlsStream<S>, Failure>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned())
        .map_err(|_| Failure::Tls("the host's name is none that a certificate can have".into()))?;
    let connector = TlsConnector::from(config(trust)?);
    connector.connect(name, stream).await.map_err(|error| http::failure_of(&error))
}

fn config(trust: &Trust) -> Result<Arc<ClientConfig>, Failure> {
    let mut configs = CONFIGS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(config) = configs.get(trust) {
        return Ok(Arc::clone(config));
    }
    let config = Arc::new(build(trust).map_err(|message| Failure::Tls(message.into()))?);
    configs.insert(trust.clone(), Arc::clone(&config));
    Ok(config)
}

fn build(trust: &Trust) -> Result<ClientConfig, String> {
    match trust {
        Trust::System => http::system_trust(),
        Trust::File(path) => {
            let cannot = |why: String| format!("the certificates in {} can't be read: {why}", path.display());
            let found = CertificateDer::pem_file_iter(path).map_err(|error| cannot(error.to_string()))?;
            let mut roots = RootCertStore::empty();
            for certificate in found {
                let certificate = certificate.map_err(|error| cannot(error.to_string()))?;
                roots.add(certificate).map_err(|error| cannot(error.to_string()))?;
            }
            if roots.is_empty() {
                return Err(cannot("there is none".into()));
            }
            Ok(http::versions()?.with_root_certificates(roots).with_no_client_auth())
        }
        Trust::Anybody => {
            let verifier = Arc::new(NoVerifier(rustls::crypto::ring::default_provider()));
            Ok(http::versions()?.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
        }
    }
}

/// Takes any certificate, but still demands that the server holds its key.
#[derive(Debug)]
struct NoVerifier(CryptoProvider);

impl ServerCertVerifier for NoVerifier {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
