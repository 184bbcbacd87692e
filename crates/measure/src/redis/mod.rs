//! Redis, for the queues that live in it: one connection for each server and login, shared by all measurements, opened when it
//! is first asked, and opened anew when it broke.
//!
//! - Questions of many measurements go over the one connection side by side (the crate's multiplexing).
//! - A reading that runs out of time gives the connection up: a server that accepts and then says nothing, or a firewall that
//!   forgot the connection, would otherwise stay silent for ever.
//! - A cluster answers `MOVED` with the node that has the key; the question goes there. Only reading commands of one key each
//!   are sent, so nothing more of a cluster needs to be known.
//! - Sentinels are asked for the master each time a connection is opened.
//!
//! Redis's protocol: <https://redis.io/docs/latest/develop/reference/protocol-spec/>.

mod address;
mod answer;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};

use ::redis::aio::MultiplexedConnection;
use ::redis::{AsyncConnectionConfig, Cmd, Pipeline, RedisConnectionInfo, RedisError, Value};
use autoscalebot_core::Failure;
use autoscalebot_core::fields::{Field, FieldError, FieldType, Values};

pub(crate) use address::Address;
pub(crate) use answer::{count, list, number, score, text, texts};

use crate::{dial, tls};

/// The server.
pub(crate) const URL: Field = Field::required(
    "url",
    FieldType::Url(&["redis", "rediss"]),
    "The Redis server, with the number of the database as its path.",
    "{ env = \"REDIS_URL\" }",
);

/// Sentinels.
pub(crate) const SENTINEL: Field = Field::optional(
    "sentinel",
    FieldType::Text,
    "The name of the master, where `url` leads to a sentinel; the login is that of the master.",
    "\"mymaster\"",
);

/// More sentinels.
pub(crate) const SENTINELS: Field = Field::optional(
    "sentinels",
    FieldType::Texts,
    "Other sentinels, asked where that of `url` does not answer.",
    "[\"sentinel-2.example:26379\"]",
);

/// Servers in use, so that all measurements of one share its connection.
static SERVERS: LazyLock<Mutex<HashMap<Address, Weak<Server>>>> = LazyLock::new(Mutex::default);

/// The most nodes of one cluster that are kept; more are asked over connections that are not kept.
const NODES: usize = 1000;

/// One server and login, with the connection to it.
pub(crate) struct Server {
    address: Address,
    slot: Mutex<Slot>,
    /// Held while a connection is opened, so that only one is.
    opening: tokio::sync::Mutex<()>,
    /// The other nodes of its cluster that were needed.
    nodes: Mutex<HashMap<(String, u16), Arc<Server>>>,
}

/// The connection in use, and its number.
#[derive(Default)]
struct Slot {
    connection: Option<MultiplexedConnection>,
    number: u64,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Redis({})", self.address.shown())
    }
}

/// The server of these settings.
pub(crate) fn server(values: &Values) -> Result<Arc<Server>, FieldError> {
    Ok(shared(Address::of(values)?))
}

fn shared(address: Address) -> Arc<Server> {
    let mut servers = SERVERS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(server) = servers.get(&address).and_then(Weak::upgrade) {
        return server;
    }
    servers.retain(|_, server| server.strong_count() > 0);
    let server = Arc::new(Server {
        address: address.clone(),
        slot: Mutex::default(),
        opening: tokio::sync::Mutex::default(),
        nodes: Mutex::default(),
    });
    servers.insert(address, Arc::downgrade(&server));
    server
}

impl Server {
    /// Asks all of these, in one go, and gives an answer for each, in order. An error that answers one of them is the
    /// failure of all, as a part of the numbers is no number.
    pub(crate) async fn ask(&self, questions: &[Cmd]) -> Result<Vec<Value>, Failure> {
        let mut answers = self.ask_here(questions).await?;
        for (question, answer) in questions.iter().zip(&mut answers) {
            let Value::ServerError(error) = answer else { continue };
            if error.code() != "MOVED" {
                return Err(answer::refusal(error.code(), error.details()));
            }
            let moved = error.details().and_then(node).map(|(host, port)| (host.to_owned(), port));
            let (host, port) = moved.ok_or_else(|| answer::refusal("MOVED", error.details()))?;
            let node = self.node(host, port);
            let mut there = Box::pin(node.ask_here(std::slice::from_ref(question))).await?;
            match there.pop() {
                Some(Value::ServerError(error)) => return Err(answer::refusal(error.code(), error.details())),
                Some(found) => *answer = found,
                None => return Err(Failure::Closed),
            }
        }
        Ok(answers)
    }

    fn node(&self, host: String, port: u16) -> Arc<Self> {
        // A node that was not told its own name answers with none: it is the same host.
        let host = if host.is_empty() { self.address.host.clone() } else { host };
        let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(node) = nodes.get(&(host.clone(), port)) {
            return Arc::clone(node);
        }
        let node = shared(self.address.at(&host, port));
        if nodes.len() < NODES {
            nodes.insert((host, port), Arc::clone(&node));
        }
        node
    }

    async fn ask_here(&self, questions: &[Cmd]) -> Result<Vec<Value>, Failure> {
        if questions.is_empty() {
            return Ok(Vec::new());
        }
        let mut pipeline = Pipeline::with_capacity(questions.len());
        for question in questions {
            pipeline.add_command(question.clone());
        }
        let (connection, number, fresh) = self.connection().await?;
        match self.send(connection, number, &pipeline, questions.len()).await {
            // A kept connection that the server closed meanwhile says nothing about the server of now.
            Err(Failure::Closed) if !fresh => {
                let (connection, number, _) = self.connection().await?;
                self.send(connection, number, &pipeline, questions.len()).await
            }
            result => result,
        }
    }

    async fn send(
        &self,
        mut connection: MultiplexedConnection,
        number: u64,
        pipeline: &Pipeline,
        count: usize,
    ) -> Result<Vec<Value>, Failure> {
        // Dropped on its way, as by a time limit, or ended by an error, the connection is not used again.
        let given_up = GiveUp { server: self, number, armed: true };
        let answers = connection.send_packed_commands(pipeline, 0, count).await.map_err(|error| failure(&error))?;
        if answers.len() != count {
            return Err(Failure::Other("the server gave another number of answers than it was asked for".into()));
        }
        given_up.keep();
        Ok(answers)
    }

    /// The connection in use, its number, and whether it is a new one.
    async fn connection(&self) -> Result<(MultiplexedConnection, u64, bool), Failure> {
        if let Some((connection, number)) = self.kept() {
            return Ok((connection, number, false));
        }
        let _opening = self.opening.lock().await;
        if let Some((connection, number)) = self.kept() {
            return Ok((connection, number, true));
        }
        let connection = self.open().await?;
        let mut slot = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
        slot.number += 1;
        slot.connection = Some(connection.clone());
        Ok((connection, slot.number, true))
    }

    fn kept(&self) -> Option<(MultiplexedConnection, u64)> {
        let slot = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
        slot.connection.as_ref().map(|connection| (connection.clone(), slot.number))
    }

    async fn open(&self) -> Result<MultiplexedConnection, Failure> {
        let address = &self.address;
        let Some(master) = &address.master else { return login(address).await };
        let mut last = Failure::Refused;
        let first = (address.host.clone(), address.port);
        for (host, port) in std::iter::once(&first).chain(&address.sentinels) {
            match found_by(address, host, *port, master).await {
                Ok((host, port)) => return login(&address.at(&host, port)).await,
                Err(failure) => last = failure,
            }
        }
        Err(last)
    }
}

/// Gives a connection up unless it is told to keep it.
struct GiveUp<'s> {
    server: &'s Server,
    number: u64,
    armed: bool,
}

impl GiveUp<'_> {
    fn keep(mut self) {
        self.armed = false;
    }
}

impl Drop for GiveUp<'_> {
    fn drop(&mut self) {
        if self.armed {
            let mut slot = self.server.slot.lock().unwrap_or_else(PoisonError::into_inner);
            if slot.number == self.number {
                slot.connection = None;
            }
        }
    }
}

/// Where a sentinel says that the master is.
async fn found_by(address: &Address, host: &str, port: u16, master: &str) -> Result<(String, u16), Failure> {
    let sentinel = Address { username: None, password: None, database: 0, ..address.at(host, port) };
    let mut connection = login(&sentinel).await?;
    let mut question = ::redis::cmd("SENTINEL");
    question.arg("GET-MASTER-ADDR-BY-NAME").arg(master);
    let answer = connection.send_packed_command(&question).await.map_err(|error| failure(&error))?;
    if let Value::ServerError(error) = &answer {
        return Err(answer::refusal(error.code(), error.details()));
    }
    let parts: Vec<_> = list(&answer).unwrap_or_default().iter().filter_map(text).collect();
    match parts.as_slice() {
        [host, port] => {
            let port = port.parse().map_err(|_| Failure::Other("the sentinel gave no port".into()))?;
            Ok((host.clone(), port))
        }
        _ => Err(Failure::Other(format!("the sentinel knows no master of the name {master}").into())),
    }
}

/// A new connection, logged in, with its database chosen.
async fn login(address: &Address) -> Result<MultiplexedConnection, Failure> {
    let stream = dial::tcp(&address.host, address.port).await?;
    match &address.tls {
        None => speak(address, stream).await,
        Some(trust) => speak(address, tls::over(stream, &address.host, trust).await?).await,
    }
}

async fn speak<S>(address: &Address, stream: S) -> Result<MultiplexedConnection, Failure>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    // Servers that are old, or proxies, do not know the command that tells the client's name.
    let mut info = RedisConnectionInfo::default().set_db(address.database).set_skip_set_lib_name();
    if let Some(username) = &address.username {
        info = info.set_username(username);
    }
    if let Some(password) = &address.password {
        info = info.set_password(password);
    }
    // The time limit is the reading's own.
    let config = AsyncConnectionConfig::new().set_response_timeout(None).set_connection_timeout(None);
    let opened = MultiplexedConnection::new_with_config(&info, stream, config).await;
    let (connection, driver) = opened.map_err(|error| failure(&error))?;
    tokio::spawn(driver);
    Ok(connection)
}

/// Host and port of `SLOT HOST:PORT`.
fn node(details: &str) -> Option<(&str, u16)> {
    let (host, port) = details.split_once(' ')?.1.trim().rsplit_once(':')?;
    Some((host, port.parse().ok()?))
}

/// What an error of the client means; its own text may hold what was sent.
fn failure(error: &RedisError) -> Failure {
    if let Some(code) = error.code() {
        return answer::refusal(code, error.detail());
    }
    if error.is_timeout() {
        return Failure::Timeout;
    }
    if error.kind() == ::redis::ErrorKind::AuthenticationFailed {
        return answer::refusal("WRONGPASS", None);
    }
    if error.is_io_error() || error.is_connection_dropped() || error.is_unrecoverable_error() {
        return Failure::Closed;
    }
    Failure::Other("the server's answer is not understood".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_cluster_says_that_a_key_is() {
        assert_eq!(node("3999 127.0.0.1:6381"), Some(("127.0.0.1", 6381)));
        assert_eq!(node("3999 2001:db8::1:6381"), Some(("2001:db8::1", 6381)));
        assert_eq!(node("3999 :6381"), Some(("", 6381)));
        assert_eq!(node("nonsense"), None);
    }
}
