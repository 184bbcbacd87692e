//! Small servers for the heartbeat's tests: real sockets on free ports that do what each test says.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A whole good answer.
pub(super) const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// A running server.
pub(super) struct Server {
    pub(super) addr: SocketAddr,
    accepted: Arc<AtomicUsize>,
}

impl Server {
    pub(super) fn url(&self) -> String {
        format!("http://{}/beat", self.addr)
    }

    pub(super) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }
}

/// A server that does this with each connection.
pub(super) async fn serve<F, T>(handle: F) -> Server
where
    F: Fn(TcpStream) -> T + Send + 'static,
    T: Future<Output = Option<()>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let accepted = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&accepted);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counter.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(handle(stream));
        }
    });
    Server { addr, accepted }
}

/// Reads one request's head.
pub(super) async fn head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).await.ok()? == 0 {
            return None;
        }
        head.push(byte[0]);
    }
    String::from_utf8(head).ok()
}

/// A server that answers every request on every connection with this text.
pub(super) async fn answering(answer: &'static str) -> Server {
    serve(move |mut stream| async move {
        while head(&mut stream).await.is_some() {
            stream.write_all(answer.as_bytes()).await.ok()?;
        }
        None
    })
    .await
}
