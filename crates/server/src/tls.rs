//! HTTPS on an address of its own: the certificate and its key from files that may be renewed under the running program, and
//! the handshake, for which a visitor has little time.
//!
//! - HireFire's packages speak HTTPS alone, to `/` of a host, so that they reach this program without a proxy in front.
//! - Both files are read again every few seconds. What was read is used once it fits together: who renews them writes one after
//!   the other. Until then the old certificate serves, and a warning says what is wrong, once for each state of the files.
//! - Who speaks plain HTTP here is told so, instead of being cut off.

use std::fmt;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::Request;
use axum::http::HeaderValue;
use axum::middleware::map_request;
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// The longest that a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// How often the files are read again.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// How often a failed handshake is told of.
const TELL_AGAIN: Duration = Duration::from_secs(60);
/// No file of certificates is larger.
const LARGEST: u64 = 1 << 20;
/// The first byte of a TLS handshake.
const TLS_HANDSHAKE: u8 = 0x16;
/// What is still read of a plain request, so that its sender sees the answer.
const PLAIN_BYTES: u64 = 64 << 10;

/// Where HTTPS is taken, and with which files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// The address.
    pub listen: SocketAddr,
    /// The PEM file of the certificate and those that signed it.
    pub certificate: PathBuf,
    /// The PEM file of its private key.
    pub key: PathBuf,
}

/// Why a certificate or its key cannot be used. Nothing of a key is in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("server.tls.{setting}: {}: {why}", .file.display())]
pub struct Unusable {
    setting: &'static str,
    file: PathBuf,
    why: String,
}

impl Tls {
    /// Whether the files can be used.
    pub fn check(&self) -> Result<(), Unusable> {
        self.read(&default_provider()).map(drop)
    }

    /// The certificate with its key, and what tells this state of the files from another.
    fn read(&self, provider: &CryptoProvider) -> Result<(CertifiedKey, [Vec<u8>; 2]), Unusable> {
        let certificates = self.bytes("certificate", &self.certificate)?;
        let key = self.bytes("key", &self.key)?;
        let certified = self.certified(&certificates, &key, provider)?;
        Ok((certified, [certificates, key]))
    }

    fn bytes(&self, setting: &'static str, file: &Path) -> Result<Vec<u8>, Unusable> {
        let read = || -> io::Result<Vec<u8>> {
            let mut bytes = Vec::new();
            std::fs::File::open(file)?.take(LARGEST + 1).read_to_end(&mut bytes)?;
            match bytes.len() as u64 > LARGEST {
                true => Err(io::Error::new(io::ErrorKind::FileTooLarge, "larger than 1 MiB")),
                false => Ok(bytes),
            }
        };
        read().map_err(|error| self.unusable(setting, format!("cannot be read: {error}")))
    }

    fn certified(&self, certificates: &[u8], key: &[u8], provider: &CryptoProvider) -> Result<CertifiedKey, Unusable> {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(certificates).collect();
        let chain = chain.map_err(|error| self.unusable("certificate", format!("is no PEM file: {error}")))?;
        if chain.is_empty() {
            return Err(self.unusable("certificate", "holds no certificate: it must be a PEM file".into()));
        }
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| {
            self.unusable(
                "key",
                "holds no private key: it must be a PEM file, and the key must not be encrypted".into(),
            )
        })?;
        // The error of a key says nothing of the key; what it says of its file is enough.
        let key = provider.key_provider.load_private_key(key).map_err(|_| {
            self.unusable("key", "holds a private key that cannot be used: make one of RSA, P-256 or Ed25519".into())
        })?;
        let certified = CertifiedKey::new(chain, key);
        match certified.keys_match() {
            Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => Ok(certified),
            Err(rustls::Error::InconsistentKeys(_)) => {
                Err(self.unusable("key", format!("is not the key of {}", self.certificate.display())))
            }
            Err(error) => {
                Err(self.unusable("certificate", format!("holds a certificate that cannot be used: {error}")))
            }
        }
    }

    fn unusable(&self, setting: &'static str, why: String) -> Unusable {
        let file = if setting == "key" { &self.key } else { &self.certificate };
        Unusable { setting, file: file.clone(), why }
    }
}

/// The certificate in use.
struct Certificates {
    tls: Tls,
    provider: CryptoProvider,
    current: RwLock<Arc<CertifiedKey>>,
    /// The files as they were read last, or why they could not be used.
    read: Mutex<Result<[Vec<u8>; 2], Unusable>>,
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates").field("tls", &self.tls).finish_non_exhaustive()
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl Certificates {
    /// Reads the files again; what fits together is used from now on.
    fn look(&self) {
        let found = self.tls.read(&self.provider);
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        match found {
            Ok((certified, files)) => {
                if read.as_ref() != Ok(&files) {
                    *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(certified);
                    *read = Ok(files);
                    tracing::info!(file = %self.tls.certificate.display(), "a renewed certificate is in use");
                }
            }
            Err(error) => {
                if read.as_ref() != Err(&error) {
                    tracing::warn!(%error, "the certificate stays as it is");
                    *read = Err(error);
                }
            }
        }
    }
}

/// Takes the handshakes of an address.
#[derive(Clone)]
pub(crate) struct Handshakes {
    acceptor: TlsAcceptor,
    certificates: Arc<Certificates>,
    told: Arc<Mutex<Option<Instant>>>,
}

impl fmt::Debug for Handshakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handshakes").field("certificates", &self.certificates).finish_non_exhaustive()
    }
}

impl Handshakes {
    /// With the files as they are now.
    pub(crate) fn with(tls: &Tls) -> Result<Self, Unusable> {
        let provider = default_provider();
        let (certified, files) = tls.read(&provider)?;
        let certificates = Arc::new(Certificates {
            tls: tls.clone(),
            provider: provider.clone(),
            current: RwLock::new(Arc::new(certified)),
            read: Mutex::new(Ok(files)),
        });
        let mut config = ServerConfig::builder_with_provider(Arc::new(provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| tls.unusable("certificate", format!("TLS cannot be set up: {error}")))?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&certificates) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), certificates, told: Arc::default() })
    }

    /// Looks for a renewed certificate, for ever.
    pub(crate) async fn renew(self) {
        loop {
            tokio::time::sleep(LOOK_AGAIN).await;
            let certificates = Arc::clone(&self.certificates);
            let _ = tokio::task::spawn_blocking(move || certificates.look()).await;
        }
    }

    /// The connection after its handshake; none where there was none in time.
    pub(crate) async fn shake(&self, stream: TcpStream) -> Option<TlsStream<TcpStream>> {
        match tokio::time::timeout(HANDSHAKE, self.accept(stream)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                self.tell(&error);
                None
            }
            Err(_) => None,
        }
    }

    async fn accept(&self, stream: TcpStream) -> io::Result<Option<TlsStream<TcpStream>>> {
        let mut first = [0];
        // Who connects and says nothing is a probe of the port.
        if stream.peek(&mut first).await? == 0 {
            return Ok(None);
        }
        if first[0] != TLS_HANDSHAKE {
            plain(stream, first[0]).await?;
            return Ok(None);
        }
        self.acceptor.accept(stream).await.map(Some)
    }

    /// An app that does not trust the certificate tells it to nobody but us.
    fn tell(&self, error: &io::Error) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if error.kind() == io::ErrorKind::InvalidData && told.is_none_or(|told| told.elapsed() > TELL_AGAIN) {
            *told = Some(Instant::now());
            tracing::warn!(%error, "a TLS handshake failed; does the sender trust the certificate?");
        }
    }
}

/// Tells who speaks no TLS that this is the wrong port.
async fn plain(mut stream: TcpStream, first: u8) -> io::Result<()> {
    if first.is_ascii_uppercase() {
        let said = "this port takes https only\n";
        let head = "HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain; charset=utf-8\r\nconnection: close";
        stream.write_all(format!("{head}\r\ncontent-length: {}\r\n\r\n{said}", said.len()).as_bytes()).await?;
        stream.shutdown().await?;
        tokio::io::copy(&mut (&mut stream).take(PLAIN_BYTES), &mut tokio::io::sink()).await?;
    }
    Ok(())
}

/// The same routes, told that their requests came by HTTPS, whatever these say themselves.
pub(crate) fn secured(router: Router) -> Router {
    router.layer(map_request(async |mut request: Request| {
        request.headers_mut().insert("x-forwarded-proto", HeaderValue::from_static("https"));
        request
    }))
}
