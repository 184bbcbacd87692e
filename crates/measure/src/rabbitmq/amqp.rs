//! AMQP 0-9-1, as much of it as tells how many messages are ready: a login, and passive declarations, which change nothing.
//! <https://www.rabbitmq.com/docs/specification>
//!
//! One connection for each server, login and virtual host, shared by all measurements, opened when it is first needed and anew
//! when it broke; readings take turns on it. No client crate is used, as those bring a runtime, a TLS and a resolver of their
//! own for what are seven methods here.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};

use autoscalebot_core::Failure;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::tls::{self, Trust};
use crate::{dial, http};

/// The largest frame that is taken: what servers propose.
const FRAME_MAX: usize = 131_072;

/// The frame of a method.
const METHOD: u8 = 1;

/// What every frame ends with.
const END: u8 = 0xCE;

/// Methods, as their class and number.
type Method = (u16, u16);
const START: Method = (10, 10);
const START_OK: Method = (10, 11);
const TUNE: Method = (10, 30);
const TUNE_OK: Method = (10, 31);
const OPEN: Method = (10, 40);
const OPEN_OK: Method = (10, 41);
const CLOSE: Method = (10, 50);
const CHANNEL_OPEN: Method = (20, 10);
const CHANNEL_OPEN_OK: Method = (20, 11);
const CHANNEL_CLOSE: Method = (20, 40);
const CHANNEL_CLOSE_OK: Method = (20, 41);
const DECLARE: Method = (50, 10);
const DECLARE_OK: Method = (50, 11);

/// Where a broker is. It has no `Debug`, as it holds a password.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Address {
    host: String,
    port: u16,
    tls: bool,
    username: String,
    password: String,
    vhost: String,
}

impl Address {
    /// That of a URL; its path is the virtual host.
    pub(super) fn of(url: &url::Url) -> Self {
        let (username, password) = dial::login(url);
        let tls = url.scheme() == "amqps";
        // `//` is how Celery writes the virtual host `/`.
        let vhost = dial::decoded(url.path().strip_prefix('/').unwrap_or_default());
        Self {
            host: url.host_str().unwrap_or_default().to_owned(),
            port: url.port().unwrap_or(if tls { 5671 } else { 5672 }),
            tls,
            username: username.unwrap_or_else(|| "guest".into()),
            password: password.unwrap_or_else(|| "guest".into()),
            vhost: if vhost.is_empty() { "/".into() } else { vhost },
        }
    }
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// One broker, login and virtual host, with the connection to it.
pub(super) struct Server {
    address: Address,
    connection: tokio::sync::Mutex<Option<Box<dyn Stream>>>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AMQP({}:{} {})", self.address.host, self.address.port, self.address.vhost)
    }
}

/// Servers in use.
static SERVERS: LazyLock<Mutex<HashMap<Address, Weak<Server>>>> = LazyLock::new(Mutex::default);

/// The server at an address.
pub(super) fn server(address: Address) -> Arc<Server> {
    let mut servers = SERVERS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(server) = servers.get(&address).and_then(Weak::upgrade) {
        return server;
    }
    servers.retain(|_, server| server.strong_count() > 0);
    let server = Arc::new(Server { address: address.clone(), connection: tokio::sync::Mutex::default() });
    servers.insert(address, Arc::downgrade(&server));
    server
}

impl Server {
    /// How many messages are ready in each of these queues.
    pub(super) async fn ready(&self, queues: &[String]) -> Result<Vec<u32>, Failure> {
        let mut slot = self.connection.lock().await;
        // Taken out: where it is dropped on the way, as by a time limit, it is not used again.
        if let Some(mut kept) = slot.take() {
            match ask(&mut kept, queues).await {
                // The server closed it meanwhile, which says nothing about the server of now.
                Err(Failure::Closed) => {}
                result => {
                    *slot = result.is_ok().then_some(kept);
                    return result;
                }
            }
        }
        let mut fresh = self.open().await?;
        let result = ask(&mut fresh, queues).await;
        *slot = result.is_ok().then_some(fresh);
        result
    }

    async fn open(&self) -> Result<Box<dyn Stream>, Failure> {
        let Address { host, port, tls, username, password, vhost } = &self.address;
        let stream = dial::tcp(host, *port).await?;
        let mut stream: Box<dyn Stream> =
            if *tls { Box::new(tls::over(stream, host, &Trust::System).await?) } else { Box::new(stream) };
        stream.write_all(b"AMQP\0\0\x09\x01").await.map_err(|error| http::failure_of(&error))?;
        expect(&mut stream, START).await?;
        // No properties of the client; the login; the language of messages.
        let mut body = 0_u32.to_be_bytes().to_vec();
        short_text(&mut body, "PLAIN")?;
        let login = format!("\0{username}\0{password}");
        body.extend_from_slice(&u32::try_from(login.len()).unwrap_or(u32::MAX).to_be_bytes());
        body.extend_from_slice(login.as_bytes());
        short_text(&mut body, "en_US")?;
        send(&mut stream, 0, START_OK, &body).await?;
        // A server that refuses a login closes the connection without a word, unless the client says it can bear one.
        let refused = |failure| match failure {
            Failure::Closed => Failure::Other("the server refuses the login".into()),
            other => other,
        };
        let tune = expect(&mut stream, TUNE).await.map_err(refused)?;
        // As it proposes, but without heartbeats: nobody would send ours between two readings.
        let mut tune_ok = tune.get(..6).ok_or_else(odd)?.to_vec();
        tune_ok.extend_from_slice(&0_u16.to_be_bytes());
        send(&mut stream, 0, TUNE_OK, &tune_ok).await?;
        let mut body = Vec::new();
        short_text(&mut body, vhost)?;
        body.extend_from_slice(&[0, 0]);
        send(&mut stream, 0, OPEN, &body).await?;
        expect(&mut stream, OPEN_OK).await?;
        Ok(stream)
    }
}

/// Asks over a channel of its own, which is closed again.
async fn ask(stream: &mut Box<dyn Stream>, queues: &[String]) -> Result<Vec<u32>, Failure> {
    send(stream, 1, CHANNEL_OPEN, &[0]).await?;
    expect(stream, CHANNEL_OPEN_OK).await?;
    let mut ready = Vec::new();
    for queue in queues {
        let mut body = vec![0, 0];
        short_text(&mut body, queue)?;
        // Passive, and no arguments.
        body.extend_from_slice(&[1, 0, 0, 0, 0]);
        send(stream, 1, DECLARE, &body).await?;
        let answer = expect(stream, DECLARE_OK).await?;
        ready.push(message_count(&answer).ok_or_else(odd)?);
    }
    let mut close = 200_u16.to_be_bytes().to_vec();
    short_text(&mut close, "")?;
    close.extend_from_slice(&[0; 4]);
    send(stream, 1, CHANNEL_CLOSE, &close).await?;
    expect(stream, CHANNEL_CLOSE_OK).await?;
    Ok(ready)
}

/// The count of an answer to a declaration: the name, then the messages that are ready, then the consumers.
fn message_count(answer: &[u8]) -> Option<u32> {
    let name = usize::from(*answer.first()?);
    let count = answer.get(1 + name..5 + name)?;
    Some(u32::from_be_bytes(count.try_into().ok()?))
}

fn short_text(to: &mut Vec<u8>, text: &str) -> Result<(), Failure> {
    let len = u8::try_from(text.len()).map_err(|_| Failure::Other("a name is longer than 255 bytes".into()))?;
    to.push(len);
    to.extend_from_slice(text.as_bytes());
    Ok(())
}

async fn send(stream: &mut Box<dyn Stream>, channel: u16, method: Method, body: &[u8]) -> Result<(), Failure> {
    let mut frame = vec![METHOD];
    frame.extend_from_slice(&channel.to_be_bytes());
    frame.extend_from_slice(&u32::try_from(body.len() + 4).unwrap_or(u32::MAX).to_be_bytes());
    frame.extend_from_slice(&method.0.to_be_bytes());
    frame.extend_from_slice(&method.1.to_be_bytes());
    frame.extend_from_slice(body);
    frame.push(END);
    stream.write_all(&frame).await.map_err(|error| http::failure_of(&error))
}

/// The body of the next method, which must be this one; a refusal instead is told in the server's words.
async fn expect(stream: &mut Box<dyn Stream>, wanted: Method) -> Result<Vec<u8>, Failure> {
    loop {
        let mut head = [0; 7];
        stream.read_exact(&mut head).await.map_err(|error| http::failure_of(&error))?;
        let size = u32::from_be_bytes([head[3], head[4], head[5], head[6]]) as usize;
        if head.starts_with(b"AMQP") || size > FRAME_MAX {
            return Err(odd());
        }
        let mut body = vec![0; size + 1];
        stream.read_exact(&mut body).await.map_err(|error| http::failure_of(&error))?;
        if body.pop() != Some(END) {
            return Err(odd());
        }
        if head[0] != METHOD {
            // A heartbeat, or what is none of ours.
            continue;
        }
        let (method, rest) = method(&body).ok_or_else(odd)?;
        return match method {
            method if method == wanted => Ok(rest.to_vec()),
            CLOSE | CHANNEL_CLOSE => Err(refusal(rest)),
            _ => Err(odd()),
        };
    }
}

fn method(body: &[u8]) -> Option<(Method, &[u8])> {
    let (head, rest) = body.split_first_chunk::<4>()?;
    Some(((u16::from_be_bytes([head[0], head[1]]), u16::from_be_bytes([head[2], head[3]])), rest))
}

/// Why a server closes: a code and a text.
fn refusal(body: &[u8]) -> Failure {
    let text = body.get(2).and_then(|len| body.get(3..3 + usize::from(*len)));
    match text {
        Some(text) => {
            let text = String::from_utf8_lossy(text);
            Failure::Other(
                text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(160).collect::<String>().into(),
            )
        }
        None => odd(),
    }
}

fn odd() -> Failure {
    Failure::Other("the server does not speak AMQP 0-9-1".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_refusals() {
        // The name `jobs`, 3 messages, 1 consumer.
        assert_eq!(message_count(b"\x04jobs\0\0\0\x03\0\0\0\x01"), Some(3));
        assert_eq!(message_count(b"\x04jobs\0\0"), None);
        assert_eq!(message_count(b""), None);
        let refused = refusal(b"\x01\x94\x20NOT_FOUND - no queue 'x' in vhost\0\0\0\0");
        assert_eq!(refused, Failure::Other("NOT_FOUND - no queue 'x' in vhos".into()));
        assert_eq!(refusal(b"\x01\x94\xff"), odd());
        assert_eq!(method(b"\0\x32\0\x0brest"), Some((DECLARE_OK, &b"rest"[..])));
        assert_eq!(method(b"\0"), None);
    }

    #[test]
    fn a25_a26_urls_as_brokers_have_them() {
        let of = |url: &str| Address::of(&url.parse().unwrap());
        let vhosts = [("", "/"), ("/", "/"), ("//", "/"), ("/%2F", "/"), ("/prod", "prod"), ("/a%2Fb", "a/b")];
        for (path, vhost) in vhosts {
            assert_eq!(of(&format!("amqp://mq.example{path}")).vhost, vhost, "{path}");
        }
        let address = of("amqps://mon:p%2320@mq.example/prod");
        assert_eq!((address.port, address.tls, address.password.as_str()), (5671, true, "p#20"));
    }
}
