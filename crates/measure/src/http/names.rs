//! Host names to addresses, by the system's resolver, with an error of its own: "no such name" is a wrong setting, while
//! "refused" and "timed out" may be an overloaded app, and both reach a client as "could not connect".

use std::fmt;
use std::io;
use std::net::SocketAddr;

use autoscalebot_core::Failure;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::net::lookup_host;
use tokio::sync::Semaphore;

/// Lookups at once. Each holds a thread until the system's resolver gives up, which may be long after the reading's own time
/// limit; with no bound, dead name servers would eat every thread that the runtime has for such work.
static LOOKUPS: Semaphore = Semaphore::const_new(32);

/// The host name has no address.
#[derive(Debug)]
pub(super) struct NoAddress {
    pub(super) host: String,
    pub(super) why: String,
}

impl fmt::Display for NoAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.host, self.why)
    }
}

impl std::error::Error for NoAddress {}

/// The system's resolver.
pub(super) struct System;

impl Resolve for System {
    fn resolve(&self, name: Name) -> Resolving {
        let host = name.as_str().to_owned();
        Box::pin(async move { Ok(Box::new(found(host).await?.into_iter()) as Addrs) })
    }
}

/// The addresses of a host, for what is not HTTP; the port is for the caller to set.
pub(crate) async fn lookup(host: String) -> Result<Vec<SocketAddr>, Failure> {
    found(host).await.map_err(|error| Failure::Name(error.to_string().into()))
}

async fn found(host: String) -> Result<Vec<SocketAddr>, NoAddress> {
    let name = host.clone();
    // A task of its own: who asked may stop waiting, but the permit must be held until the thread is free again.
    let lookup = tokio::spawn(async move {
        let _permit = LOOKUPS.acquire().await.map_err(|_| no_address(&host, "the program is ending"))?;
        let found: Vec<_> =
            lookup_host((host.as_str(), 0)).await.map_err(|error| no_address(&host, reason(&error)))?.collect();
        if found.is_empty() { Err(no_address(&host, "no address")) } else { Ok(found) }
    });
    lookup.await.unwrap_or_else(|_| Err(no_address(&name, "the program is ending")))
}

fn no_address(host: &str, why: impl Into<String>) -> NoAddress {
    NoAddress { host: host.to_owned(), why: why.into() }
}

/// The system's sentence without the one that Rust puts before it.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(": ").map_or(text.as_str(), |(_, last)| last).to_owned()
}
