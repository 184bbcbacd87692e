//! One request from the client to a dyno and its answer back: connecting, the time limits, upgrades, and the 503 that the
//! client gets where it cannot be done. Which dyno is `routes`' choice; the listening socket is `proxy`'s.
//!
//! Each request has its own connection to the dyno. A kept-alive one could be closed by the dyno in the instant the request
//! is sent, and no request may fail through scaling; on one machine a new connection costs some tens of microseconds.

use std::net::SocketAddr;
use std::time::Duration;

use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{self, HeaderValue};
use hyper::upgrade::OnUpgrade;
use hyper::{Method, Request, Response, StatusCode, Uri, Version};
use hyper_util::rt::TokioIo;
use tokio::io::copy_bidirectional;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use super::body::{Answer, Connection, Open};
use super::headers;
use super::proxy::{Life, Shared};
use super::router_line::{Code, Line};
use super::routes::Ticket;

/// How long a dyno may take to accept a connection, as on Heroku.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the end of a dyno may take to be noticed after it refused a connection.
const REFUSED_PAUSE: Duration = Duration::from_millis(50);

/// Carries one request. The router line is sent when the answer has ended, or, should the client leave and this be
/// dropped, then.
pub(crate) async fn forward(shared: &Shared, client: SocketAddr, mut request: Request<Incoming>) -> Response<Answer> {
    let came = Instant::now();
    let uri = std::mem::take(request.uri_mut());
    let method = request.method().clone();
    let named = headers::to_dyno(request.headers_mut(), &uri, client, shared.port);
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let mut line = Line::new(shared.logs.clone(), method.as_str(), path, &named.host, &named.request_id, &named.fwd);
    if method == Method::CONNECT {
        line.finish(StatusCode::METHOD_NOT_ALLOWED.as_u16(), None);
        return text(StatusCode::METHOD_NOT_ALLOWED, "CONNECT is not for an app.\n");
    }
    *request.uri_mut() = path.parse().unwrap_or_else(|_| Uri::from_static("/"));
    *request.version_mut() = Version::HTTP_11;
    if !request.headers().contains_key(header::HOST) {
        request.headers_mut().insert(header::HOST, HeaderValue::from_static("localhost"));
    }

    let (stream, ticket) = match connect(shared, &mut line).await {
        Ok(connected) => connected,
        Err(code) => return refuse(line, code),
    };
    line.connected(came.elapsed());
    match exchange(shared, stream, ticket, line, request, method == Method::HEAD).await {
        Ok(response) => response,
        Err((line, code)) => refuse(line, code),
    }
}

/// A connection to a dyno. Where one does not take it, another is tried, once: nothing of the request was sent yet.
async fn connect(shared: &Shared, line: &mut Line) -> Result<(TcpStream, Ticket), Code> {
    let first = shared.routes.take(|| line.asleep()).await?;
    let code = match open(&first, line).await {
        Ok(stream) => return Ok((stream, first)),
        Err(code) => code,
    };
    let second = match shared.routes.take_other(&first) {
        Some(other) => other,
        None if code == Code::H21 => {
            // It has most likely just ended, and will be known to have in an instant; then the request waits in the queue.
            drop(first);
            line.dyno(None);
            sleep(REFUSED_PAUSE).await;
            shared.routes.take(|| line.asleep()).await?
        }
        None => return Err(code),
    };
    open(&second, line).await.map(|stream| (stream, second))
}

/// A connection to this dyno.
async fn open(ticket: &Ticket, line: &mut Line) -> Result<TcpStream, Code> {
    line.dyno(Some(ticket.dyno.clone()));
    match timeout(CONNECT_TIMEOUT, TcpStream::connect(ticket.address)).await {
        Ok(Ok(stream)) => {
            // Small answers should not wait for a full packet.
            let _ = stream.set_nodelay(true);
            Ok(stream)
        }
        Ok(Err(_)) => Err(Code::H21),
        Err(_) => Err(Code::H19),
    }
}

/// Sends the request and gives the answer, whose body is still to come.
async fn exchange(
    shared: &Shared,
    stream: TcpStream,
    ticket: Ticket,
    line: Line,
    mut request: Request<Incoming>,
    head_only: bool,
) -> Result<Response<Answer>, (Line, Code)> {
    let Ok((mut sender, connection)) = http1::handshake(TokioIo::new(stream)).await else {
        return Err((line, Code::H13));
    };
    let connection = Connection(tokio::spawn(async move {
        // A fault of the connection is seen by whoever waits for the answer or its body.
        let _ = connection.with_upgrades().await;
    }));
    let mut open = Box::new(Open { line, _ticket: ticket, _connection: connection });
    let wants_upgrade = request.headers().contains_key(header::UPGRADE);
    let to_client = wants_upgrade.then(|| hyper::upgrade::on(&mut request));
    if !wants_upgrade {
        // There will be no second request: the dyno may close as soon as it has answered.
        request.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    let mut response = match timeout(shared.first_byte_timeout, sender.send_request(request)).await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => {
            let code = if error.is_parse() { Code::H17 } else { Code::H13 };
            return Err((open.line, code));
        }
        Err(_) => return Err((open.line, Code::H12)),
    };
    headers::strip_hop_by_hop(response.headers_mut());
    // A dyno that speaks HTTP/1.0 only says nothing about the client's connection.
    *response.version_mut() = Version::HTTP_11;
    let status = response.status().as_u16();
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        let Some(to_client) = to_client else {
            // An upgrade that nobody asked for.
            return Err((open.line, Code::H17));
        };
        let to_dyno = hyper::upgrade::on(&mut response);
        let life = shared.life.subscribe();
        tokio::spawn(tunnel(to_client, to_dyno, open, life));
        return Ok(response.map(|_| Answer::Text(None)));
    }
    response.headers_mut().remove(header::UPGRADE);
    response.headers_mut().remove(header::CONNECTION);
    Ok(response.map(|incoming| {
        if head_only {
            open.line.finish(status, None);
        }
        Answer::Stream { incoming, open: Some(open), status, head_only }
    }))
}

/// Carries an upgraded connection until both sides have ended it; so long it counts as an open request.
async fn tunnel(
    to_client: OnUpgrade,
    to_dyno: OnUpgrade,
    mut open: Box<Open>,
    mut life: tokio::sync::watch::Receiver<Life>,
) {
    let carried = async {
        let (client, dyno) = tokio::try_join!(to_client, to_dyno).ok()?;
        // The counter sits on the writing side, so that what was carried is known even when the end is not clean.
        let mut client = Counted { inner: TokioIo::new(client), written: 0 };
        let _ = copy_bidirectional(&mut client, &mut TokioIo::new(dyno)).await;
        Some(client.written)
    };
    let carried = tokio::select! {
        carried = carried => carried,
        _ = life.wait_for(|life| *life == Life::Over) => None,
    };
    open.line.add_bytes(carried.unwrap_or_default());
    open.line.finish(StatusCode::SWITCHING_PROTOCOLS.as_u16(), None);
}

use counted::Counted;

/// A stream that counts what is written to it.
mod counted {
    use std::io;
    use std::pin::Pin;
    use std::task::{Context, Poll, ready};

    use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

    pub(super) struct Counted<S> {
        pub(super) inner: S,
        pub(super) written: u64,
    }

    impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
        fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.inner).poll_read(cx, buf)
        }
    }

    impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
        fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
            let written = ready!(Pin::new(&mut self.inner).poll_write(cx, buf))?;
            self.written += written as u64;
            Poll::Ready(Ok(written))
        }

        fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.inner).poll_flush(cx)
        }

        fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.inner).poll_shutdown(cx)
        }
    }
}

/// The 503 of a request that no dyno could answer.
fn refuse(mut line: Line, code: Code) -> Response<Answer> {
    line.finish(StatusCode::SERVICE_UNAVAILABLE.as_u16(), Some(code));
    let mut response = text(StatusCode::SERVICE_UNAVAILABLE, "Application error\n");
    if matches!(code, Code::H11 | Code::H14 | Code::H20) {
        // A dyno may serve in a while: how long a start takes is not known here.
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
    }
    response
}

fn text(status: StatusCode, words: &'static str) -> Response<Answer> {
    let mut response = Response::new(Answer::Text(Some(Bytes::from_static(words.as_bytes()))));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, no-store"));
    response
}
