//! The sample app of the demo: a web process with a fixed capacity, so that load shows in its response times as it does in
//! a real one. Each dyno works on 4 requests at a time; others wait in its own queue.
//!
//! The work is waiting, not computing, so that the demo shows the same on a small machine. A request takes 150 ms whoever
//! else is there: one dyno carries some 27 requests a second, and what comes beyond that waits. `/heartbeat/` works like every
//! other page.

use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::fault::Fault;

/// How many requests a dyno works on at a time.
const AT_ONCE: usize = 4;

/// The work of a request.
const WORK_MS: u64 = 150;

/// The most that chance adds or takes.
const CHANCE_MS: u64 = 30;

/// Serves on `$PORT`, as a process of a Procfile does, until the process is ended.
pub(crate) async fn serve_on_port_of_environment() -> Result<(), Fault> {
    let port = std::env::var("PORT").ok().and_then(|port| port.parse().ok());
    let port = port.ok_or_else(|| Fault::usage("PORT must be set to the port to listen on"))?;
    sample_app(port)
        .await
        .map_err(|error| Fault::failed(format!("the sample app cannot listen on port {port}: {error}")))
}

/// Serves on this port of this machine until the process is ended.
pub(crate) async fn sample_app(port: u16) -> std::io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    let dyno = std::env::var("DYNO").unwrap_or_else(|_| "web.1".to_owned());
    let shop = Arc::new(Shop::new(dyno));
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file descriptors: some are free again soon.
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        let shop = Arc::clone(&shop);
        tokio::spawn(async move {
            let service = service_fn(|request| {
                let shop = Arc::clone(&shop);
                async move { Ok::<_, Infallible>(shop.answer(&request).await) }
            });
            // A visitor who leaves is no fault.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

/// One dyno at work.
#[derive(Debug)]
struct Shop {
    dyno: String,
    desks: Semaphore,
    served: AtomicU64,
    seed: u64,
}

impl Shop {
    fn new(dyno: String) -> Self {
        // Dynos differ, runs do not.
        let seed = dyno.bytes().fold(7, |seed, byte| mixed(seed ^ u64::from(byte)));
        Self { dyno, desks: Semaphore::new(AT_ONCE), served: AtomicU64::new(0), seed }
    }

    async fn answer(&self, request: &Request<Incoming>) -> Response<String> {
        let mut response = match self.desks.acquire().await {
            Ok(_desk) => {
                let number = self.served.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(work(mixed(self.seed ^ number))).await;
                Response::new(format!("{} served {} as its number {number}\n", self.dyno, request.uri().path()))
            }
            Err(_) => Response::new("closed\n".to_owned()),
        };
        if !matches!(request.uri().path(), "/" | "/heartbeat/") {
            *response.status_mut() = StatusCode::NOT_FOUND;
        }
        response
    }
}

/// How long one request takes.
fn work(chance: u64) -> Duration {
    Duration::from_millis(WORK_MS - CHANCE_MS + chance % (2 * CHANCE_MS + 1))
}

/// Spreads a number over all bits (the finisher of SplitMix64).
fn mixed(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_varies_little_around_its_mean() {
        let all: Vec<_> = (0..1000).map(|chance| work(mixed(chance)).as_millis()).collect();
        assert!(all.iter().all(|took| (120..=180).contains(took)), "{all:?}");
        let mean = all.iter().sum::<u128>() / 1000;
        assert!((147..=153).contains(&mean), "{mean}");
    }
}
