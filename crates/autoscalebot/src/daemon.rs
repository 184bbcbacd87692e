//! Asking the running program, through its API on this machine.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::time::Duration;

use autoscalebot_core::Secret;
use autoscalebot_settings::Server;
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1;
use hyper::{Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::net::TcpStream;

/// The longest that an answer may take.
const ANSWER: Duration = Duration::from_secs(5);
/// The most bytes of an answer: ten thousand senders need less.
const BYTES: usize = 8 << 20;

/// The running program, as the settings say where it is.
#[derive(Debug)]
pub(crate) struct Daemon {
    address: SocketAddr,
    prefix: String,
    token: Option<Secret>,
}

impl Daemon {
    /// Where the settings say it listens.
    pub(crate) fn of(server: &Server) -> Self {
        let ip = match server.listen.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        Self {
            address: SocketAddr::new(ip, server.listen.port()),
            prefix: server.path_prefix.clone(),
            token: server.read_token.clone().or_else(|| server.token.clone()),
        }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it answers at a path of its API; `None`: nothing listens there. An error says what is wrong.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, String> {
        let address = self.address;
        let late = || format!("what listens at {address} does not answer within {} s", ANSWER.as_secs());
        tokio::time::timeout(ANSWER, self.ask(path)).await.map_err(|_| late())?
    }

    async fn ask<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, String> {
        let address = self.address;
        let Ok(stream) = TcpStream::connect(address).await else { return Ok(None) };
        let wrong = |what: &dyn std::fmt::Display| format!("what listens at {address} is no autoscalebot: {what}");
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| wrong(&error))?;
        let mut request = Request::get(format!("{}{path}", self.prefix)).header(header::HOST, address.to_string());
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {}", token.expose()));
        }
        let request = request.body(String::new()).map_err(|error| wrong(&error))?;
        let exchange = async {
            let response = sender.send_request(request).await.map_err(|error| wrong(&error))?;
            let status = response.status();
            Ok::<_, String>((status, body(response).await.map_err(|error| wrong(&error))?))
        };
        let mut exchange = std::pin::pin!(exchange);
        let (status, body) = tokio::select! {
            done = &mut exchange => done?,
            // The connection may end first: what it brought is then read.
            _ = connection => exchange.await?,
        };
        match status {
            StatusCode::OK => serde_json::from_slice(&body).map(Some).map_err(|error| wrong(&error)),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(format!(
                "the program at {address} does not take the token of these settings: it runs with others, set the same \
                 server.token or server.read_token"
            )),
            status => Err(wrong(&format!("it answers {status}"))),
        }
    }
}

/// The body of an answer, if it is not too long.
async fn body(mut response: Response<Incoming>) -> Result<Vec<u8>, String> {
    let mut whole = Vec::new();
    while let Some(frame) = std::future::poll_fn(|cx| Pin::new(response.body_mut()).poll_frame(cx)).await {
        let frame = frame.map_err(|error| error.to_string())?;
        whole.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data.as_ref()));
        if whole.len() > BYTES {
            return Err("its answer is too long".to_owned());
        }
    }
    Ok(whole)
}
