//! The HTTP clients that measurements share: how they connect, whom they trust, and what their errors mean
//! ([`failure`](mod@failure)).
//!
//! What is requested, and how an answer is read, is each measurement's own.
//!
//! - A measurement looks at the app as it is reached from here: no redirect is followed, and the proxies of the environment
//!   are not used, as their delay and their errors would count against the app.
//! - Clients hold no settings of one measurement (no header, no password, no time limit), so all of them share four: with and
//!   without TLS, with and without keeping connections. A client of its own for each of ten thousand heartbeats would cost
//!   as many pools and tasks.
//! - The trusted roots are read from the system when the first `https` measurement is built: a program that measures only
//!   `http` reads none and saves their memory.

mod call;
mod failure;
mod names;

use std::sync::{Arc, Mutex, PoisonError};

use reqwest::Client;
use reqwest::redirect::Policy;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;

pub(crate) use call::{Call, Login, document, get, headers, login};
pub(crate) use failure::{failure, failure_of};
pub(crate) use names::lookup;

/// Clients made so far, by whether they trust anybody (`https`) and whether they keep connections.
static CLIENTS: Mutex<[Option<Client>; 4]> = Mutex::new([None, None, None, None]);

/// The shared client for these URLs. An error is a sentence for people.
pub(crate) fn client(https: bool, reuse: bool) -> Result<Client, String> {
    let mut clients = CLIENTS.lock().unwrap_or_else(PoisonError::into_inner);
    let slot = &mut clients[usize::from(https) * 2 + usize::from(reuse)];
    if let Some(client) = slot {
        return Ok(client.clone());
    }
    let client = build(if https { system_trust()? } else { no_trust()? }, reuse)?;
    Ok(slot.insert(client).clone())
}

/// A client with this TLS configuration.
pub(crate) fn build(mut tls: ClientConfig, reuse: bool) -> Result<Client, String> {
    // HTTP/2 where the server offers it in the handshake; never assumed.
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let mut builder = Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(Policy::none())
        .no_proxy()
        .dns_resolver(names::System)
        .user_agent(concat!("autoscalebot/", env!("CARGO_PKG_VERSION")));
    if !reuse {
        builder = builder.pool_max_idle_per_host(0);
    }
    builder.build().map_err(|error| format!("no HTTP client can be made: {error}"))
}

/// Trusts whom the system trusts.
pub(crate) fn system_trust() -> Result<ClientConfig, String> {
    let config = versions()?
        .with_platform_verifier()
        .map_err(|error| format!("the trusted certificates of this system cannot be read: {error}"))?;
    Ok(config.with_no_client_auth())
}

/// Trusts nobody: for clients that are given no `https` URL, and follow no redirect to one.
fn no_trust() -> Result<ClientConfig, String> {
    Ok(versions()?.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
}

/// TLS with the versions that are thought safe, and ring's cryptography (named here, so that nothing global need be set).
pub(crate) fn versions() -> Result<rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>, String> {
    ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS cannot be set up: {error}"))
}
