//! The proxy's listening socket and its connections from clients. What happens to a request is in `forward`.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

use super::forward::forward;
use super::routes::Routes;
use crate::logs::LogSink;

/// Connections from clients at one time; more wait in the kernel's queue until one ends.
const CONNECTIONS_MAX: usize = 4096;

/// How long a client may take to send the head of a request, and how long it may keep an idle connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);

/// What every connection uses.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) routes: Arc<Routes>,
    pub(crate) logs: LogSink,
    pub(crate) first_byte_timeout: Duration,
    /// The port that clients came to, for `X-Forwarded-Port`.
    pub(crate) port: u16,
    pub(crate) life: watch::Sender<Life>,
}

/// How far the end has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Life {
    /// Connections are accepted.
    Open,
    /// None is accepted; open requests may finish.
    Closing,
    /// Whatever is open is dropped.
    Over,
}

/// The running proxy.
#[derive(Debug)]
pub(crate) struct Proxy {
    shared: Arc<Shared>,
    address: SocketAddr,
}

impl Proxy {
    /// Starts to accept connections.
    pub(crate) fn start(
        listener: TcpListener,
        address: SocketAddr,
        routes: Arc<Routes>,
        logs: LogSink,
        first_byte_timeout: Duration,
    ) -> Self {
        let life = watch::Sender::new(Life::Open);
        let shared = Arc::new(Shared { routes, logs, first_byte_timeout, port: address.port(), life });
        tokio::spawn(accept(listener, Arc::clone(&shared)));
        Self { shared, address }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Moves the end on.
    pub(crate) fn enter(&self, life: Life) {
        self.shared.life.send_if_modified(|now| {
            let later = life > *now;
            *now = life.max(*now);
            later
        });
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut life = shared.life.subscribe();
    loop {
        let next = async {
            let permit = Arc::clone(&room).acquire_owned().await.ok()?;
            Some((listener.accept().await, permit))
        };
        let accepted = tokio::select! {
            accepted = next => accepted,
            _ = life.wait_for(|life| *life != Life::Open) => return,
        };
        match accepted {
            Some((Ok((stream, client)), permit)) => {
                let shared = Arc::clone(&shared);
                tokio::spawn(async move {
                    serve(stream, client, shared).await;
                    drop(permit);
                });
            }
            // Out of file descriptors, or a client that left at once: neither is helped by trying again without a pause.
            Some((Err(_), _)) => tokio::time::sleep(Duration::from_millis(20)).await,
            None => return,
        }
    }
}

async fn serve(stream: TcpStream, client: SocketAddr, shared: Arc<Shared>) {
    let _ = stream.set_nodelay(true);
    let mut life = shared.life.subscribe();
    let service = service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, Infallible>(forward(&shared, client, request).await) }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    builder.http2().timer(TokioTimer::new());
    let mut connection = std::pin::pin!(builder.serve_connection_with_upgrades(TokioIo::new(stream), service));
    tokio::select! {
        // A client's broken connection is the client's business; its requests have their lines.
        _ = connection.as_mut() => return,
        _ = life.wait_for(|life| *life != Life::Open) => {}
    }
    connection.as_mut().graceful_shutdown();
    tokio::select! {
        _ = connection => {}
        _ = life.wait_for(|life| *life == Life::Over) => {}
    }
}
