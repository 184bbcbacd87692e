//! Takes connections and answers them: a bounded number (`places`), none that sends its headers slowly, all ended at the stop.
//!
//! What holds for people holds for senders: a connection without a request for 15 s ends. Heroku's would wait for minutes, but
//! open a new one as needed, and a request that met the end of the old comes again with its id.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::{AbortHandle, JoinSet};

use crate::options::{Options, Unsafe};
use crate::places::{Places, Seat, Senders};
use crate::routes::router;
use crate::state::{Setup, Shared};
use crate::tls::{Handshakes, Unusable, secured};

/// Connections that the kernel keeps until there is a place for them: after a restart the drains of all apps come at once.
const QUEUE: u32 = 1024;
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
    /// The certificate or its key cannot be used.
    #[error(transparent)]
    Tls(#[from] Unusable),
    /// The address of this setting cannot be listened on.
    #[error("{0}: {1}: {2}")]
    Listen(&'static str, SocketAddr, io::Error),
}

/// An address that is listened on, and nothing answered yet.
#[derive(Debug)]
pub struct Bound {
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<(TcpListener, SocketAddr, Handshakes)>,
    options: Options,
}

/// A running server; it ends with this value.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    tls_address: Option<SocketAddr>,
    tasks: Vec<AbortHandle>,
}

impl Bound {
    /// Listens, if that is safe.
    pub async fn listen(options: Options) -> Result<Self, ServeError> {
        options.check()?;
        let handshakes = options.tls.as_ref().map(Handshakes::with).transpose()?;
        let (listener, address) = bind("server.listen", options.listen)?;
        let tls = match (&options.tls, handshakes) {
            (Some(tls), Some(handshakes)) => {
                let (listener, address) = bind("server.tls.listen", tls.listen)?;
                Some((listener, address, handshakes))
            }
            _ => None,
        };
        Ok(Self { listener, address, tls, options })
    }

    /// The address with its real port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address that takes HTTPS, with its real port.
    pub fn tls_address(&self) -> Option<SocketAddr> {
        self.tls.as_ref().map(|(_, address, _)| *address)
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
        let router = router(&shared);
        let pauses = tokio::spawn(crate::pauses::keep(pauses)).abort_handle();
        let senders = Senders::default();
        let (tls_address, mut tasks) = (self.tls_address(), vec![follower, pauses]);
        if let Some((listener, _, handshakes)) = self.tls {
            tasks.push(tokio::spawn(handshakes.clone().renew()).abort_handle());
            let places = Places::new(senders.clone());
            let accept = accept(listener, secured(router.clone()), places, Some(handshakes));
            tasks.push(tokio::spawn(accept).abort_handle());
        }
        tasks.push(tokio::spawn(accept(self.listener, router, Places::new(senders), None)).abort_handle());
        Server { address: self.address, tls_address, tasks }
    }
}

impl Server {
    /// The address with its real port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address that takes HTTPS, with its real port.
    pub fn tls_address(&self) -> Option<SocketAddr> {
        self.tls_address
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

fn bind(setting: &'static str, address: SocketAddr) -> Result<(TcpListener, SocketAddr), ServeError> {
    let wrong = |error| ServeError::Listen(setting, address, error);
    let listener = listen(address).map_err(wrong)?;
    let address = listener.local_addr().map_err(wrong)?;
    Ok((listener, address))
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // As `TcpListener::bind` has it: connections of the program before may still be closing.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(QUEUE)
}

/// Takes connections, with handshakes where it is told how. Each address has places of its own.
async fn accept(listener: TcpListener, router: Router, places: Places, tls: Option<Handshakes>) {
    // Connections end with this task.
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Some(seat) = places.take().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file descriptors: some are free again soon.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let (router, tls) = (router.clone(), tls.clone());
        connections.spawn(async move {
            match tls {
                None => answer(stream, router, seat).await,
                Some(tls) => {
                    if let Some(stream) = tls.shake(stream).await {
                        answer(stream, router, seat).await;
                    }
                }
            }
        });
    }
}

async fn answer(stream: impl AsyncRead + AsyncWrite + Unpin, router: Router, seat: Seat) {
    let service = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(seat.clone());
        service.call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS)
        .max_buf_size(HEADER_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    // A visitor who leaves is no fault.
    let _ = connection.await;
}
