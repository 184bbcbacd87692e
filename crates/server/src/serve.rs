//! Takes connections and answers them: a bounded number, none that sends its headers slowly, all ended at the stop.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::{AbortHandle, JoinSet};

use crate::options::{Options, Unsafe};
use crate::routes::router;
use crate::state::{Setup, Shared};

/// Connections at a time; more wait in the kernel's queue.
const CONNECTIONS: usize = 256;
/// The longest that a sender may take for its headers, and that a connection may wait for its next request.
const HEADERS: Duration = Duration::from_secs(15);
/// The most of a request's line and headers.
const HEADER_BYTES: usize = 32 * 1024;

/// Why the server does not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The settings would not be safe.
    #[error(transparent)]
    Unsafe(#[from] Unsafe),
    /// The address cannot be listened on.
    #[error("server.listen: {0}: {1}")]
    Listen(SocketAddr, std::io::Error),
}

/// An address that is listened on, and nothing answered yet.
#[derive(Debug)]
pub struct Bound {
    listener: TcpListener,
    address: SocketAddr,
    options: Options,
}

/// A running server; it ends with this value.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    tasks: [AbortHandle; 3],
}

impl Bound {
    /// Listens, if that is safe.
    pub async fn listen(options: Options) -> Result<Self, ServeError> {
        options.check()?;
        let wrong = |error| ServeError::Listen(options.listen, error);
        let listener = TcpListener::bind(options.listen).await.map_err(wrong)?;
        let address = listener.local_addr().map_err(wrong)?;
        Ok(Self { listener, address, options })
    }

    /// The address with its real port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The options it was made with.
    pub fn options(&self) -> Options {
        self.options.clone()
    }

    /// Begins to answer.
    pub fn serve(self, setup: Setup) -> Server {
        let (shared, events) = Shared::new(setup);
        let pauses = Arc::clone(&shared.pauses);
        let follower = tokio::spawn(crate::follow::follow(Arc::clone(&shared), events)).abort_handle();
        let acceptor = tokio::spawn(accept(self.listener, router(&shared))).abort_handle();
        let pauses = tokio::spawn(crate::pauses::keep(pauses)).abort_handle();
        Server { address: self.address, tasks: [acceptor, follower, pauses] }
    }
}

impl Server {
    /// The address with its real port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    /// Ends all connections; a change that was begun is made all the same, on its own thread.
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

/// The service without a socket, for tests.
pub fn service(setup: Setup) -> (Router, impl Future<Output = ()>) {
    let (shared, events) = Shared::new(setup);
    (router(&shared), crate::follow::follow(shared, events))
}

async fn accept(listener: TcpListener, router: Router) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    // Connections end with this task.
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file descriptors: some are free again soon.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let service = TowerToHyperService::new(router.clone());
        connections.spawn(async move {
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADERS)
                .max_buf_size(HEADER_BYTES)
                .serve_connection(TokioIo::new(stream), service);
            // A visitor who leaves is no fault.
            let _ = connection.await;
            drop(place);
        });
    }
}
