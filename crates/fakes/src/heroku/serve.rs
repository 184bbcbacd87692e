//! The sockets of the stand-in: a server on a thread of its own, and the faults that need one. What is answered otherwise is
//! `routes.rs`.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use http_body_util::{BodyExt, Channel, Either, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::CONTENT_LENGTH;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::fault::Fault;
use super::routes::{self, Reply};
use super::{Received, State};

type Body = Either<Full<Bytes>, Channel<Bytes, io::Error>>;

/// More than any request here has.
const REQUEST_MAX: usize = 1024 * 1024;

#[derive(Debug)]
pub(super) struct Server {
    address: SocketAddr,
    stop: Option<oneshot::Sender<Infallible>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub(super) fn start(state: Arc<Mutex<State>>) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new().name("heroku-fake".to_owned()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = stopped => {}
                    () = serve(listener, state) => {}
                }
            });
            // Dropping the runtime here ends all connections, the silent ones too.
        })?;
        Ok(Self { address, stop: Some(stop), thread: Some(thread) })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic over there was printed there.
            let _ = thread.join();
        }
    }
}

async fn serve(listener: std::net::TcpListener, state: Arc<Mutex<State>>) {
    let Ok(listener) = TcpListener::from_std(listener) else { return };
    while let Ok((stream, _)) = listener.accept().await {
        let state = Arc::clone(&state);
        tokio::spawn(async move {
            let service = service_fn(move |request| respond(Arc::clone(&state), request));
            // A connection that breaks is what some tests ask for.
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

/// One answer; an error closes the connection without one.
async fn respond(state: Arc<Mutex<State>>, request: Request<Incoming>) -> io::Result<Response<Body>> {
    let request = receive(request).await?;
    let (fault, reply) = {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        state.received.push(request.clone());
        match state.planned(&request.method, &request.path) {
            None => (None, Some(routes::answer(&mut state, &request))),
            Some(planned) => {
                if planned.carried_out {
                    routes::answer(&mut state, &request);
                }
                (Some(planned.fault), None)
            }
        }
    };
    match (fault, reply) {
        (Some(fault), _) => carry_out(fault).await,
        (None, Some(reply)) => answered(reply),
        (None, None) => Err(io::Error::other("nothing to answer")),
    }
}

async fn receive(request: Request<Incoming>) -> io::Result<Received> {
    let (parts, body) = request.into_parts();
    let body = Limited::new(body, REQUEST_MAX).collect().await.map_err(io::Error::other)?.to_bytes();
    let header =
        |name: &str| parts.headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    Ok(Received {
        method: parts.method.to_string(),
        path: parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
        body: String::from_utf8_lossy(&body).into_owned(),
        accept: header("accept").unwrap_or_default(),
        user_agent: header("user-agent").unwrap_or_default(),
        range: header("range"),
        if_none_match: header("if-none-match"),
        authorization: header("authorization").unwrap_or_default(),
    })
}

fn answered(reply: Reply) -> io::Result<Response<Body>> {
    let mut response = Response::builder().status(reply.status);
    if !reply.body.is_empty() {
        response = response.header("content-type", "application/json");
    }
    for (name, value) in reply.headers {
        response = response.header(name, value);
    }
    response.body(Either::Left(Full::from(reply.body))).map_err(io::Error::other)
}

async fn carry_out(fault: Fault) -> io::Result<Response<Body>> {
    match fault {
        Fault::Answer { status, headers, body } => {
            let mut response = Response::builder().status(status);
            for (name, value) in headers {
                response = response.header(name, value);
            }
            response.body(Either::Left(Full::from(body))).map_err(io::Error::other)
        }
        Fault::Silence => std::future::pending().await,
        Fault::Close => Err(io::Error::other("closed on purpose")),
        Fault::Cut => {
            let half: &[u8] = br#"[{"type":"web","quantity":"#;
            let (mut sender, body) = Channel::new(1);
            tokio::spawn(async move {
                let sent = sender.send_data(Bytes::from_static(half)).await;
                // Let the half go out before the break.
                tokio::time::sleep(Duration::from_millis(20)).await;
                if sent.is_ok() {
                    sender.abort(io::Error::other("cut on purpose"));
                }
            });
            let response = Response::builder().header(CONTENT_LENGTH, half.len() * 2);
            response.body(Either::Right(body)).map_err(io::Error::other)
        }
        Fault::Trickle { every } => {
            let (mut sender, body) = Channel::new(1);
            tokio::spawn(async move {
                while sender.send_data(Bytes::from_static(b" ")).await.is_ok() {
                    tokio::time::sleep(every).await;
                }
            });
            Ok(Response::new(Either::Right(body)))
        }
        Fault::Flood { bytes } => {
            let (mut sender, body) = Channel::new(1);
            tokio::spawn(async move {
                let chunk = Bytes::from(vec![b' '; 64 * 1024]);
                let mut left = bytes;
                while left > 0 {
                    let part = chunk.slice(..left.min(chunk.len()));
                    left -= part.len();
                    if sender.send_data(part).await.is_err() {
                        return;
                    }
                }
            });
            Ok(Response::new(Either::Right(body)))
        }
    }
}
