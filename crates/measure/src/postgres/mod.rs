//! PostgreSQL, for the queues that live in it: one connection for each server, login and database, shared by all measurements,
//! opened when it is first asked, and opened anew when it broke.
//!
//! - Queries of many measurements go over the one connection one after the other, without waiting for each other's answers.
//! - A reading that runs out of time gives the connection up and asks the server to cancel the query: what nobody waits for
//!   should not keep a busy database busier.
//! - Queries are sent unnamed and with the types of their parameters, so that a pooler such as PgBouncer may stand between.
//!
//! PostgreSQL's protocol: <https://www.postgresql.org/docs/current/protocol.html>.

mod address;
mod queues;
mod secure;

use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::io;
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};
use std::time::Duration;

use autoscalebot_core::Failure;
use autoscalebot_core::fields::{Field, FieldError, FieldType, Values};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, NoTls, Row};

pub(crate) use queues::{FIELDS, build, check};

use self::address::Address;
use self::secure::{Refused, Secure};
use crate::{dial, http};

/// The database.
pub(crate) const URL: Field = Field::required(
    "url",
    FieldType::Url(&["postgres", "postgresql"]),
    "The PostgreSQL database.",
    "{ env = \"DATABASE_URL\" }",
);

/// A parameter of a query, with its type.
pub(crate) type Parameter<'p> = (&'p (dyn ToSql + Sync), Type);

/// Servers in use, so that all measurements of one share its connection.
static SERVERS: LazyLock<Mutex<HashMap<Address, Weak<Server>>>> = LazyLock::new(Mutex::default);

/// The longest that asking for a query to be cancelled may take.
const CANCEL: Duration = Duration::from_secs(5);

/// One server, login and database, with the connection to it.
pub(crate) struct Server {
    address: Address,
    slot: Mutex<Option<Arc<Client>>>,
    /// Held while a connection is opened, so that only one is.
    opening: tokio::sync::Mutex<()>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgreSQL({})", self.address.shown())
    }
}

/// The server of these settings.
pub(crate) fn server(values: &Values) -> Result<Arc<Server>, FieldError> {
    let address = Address::of(values)?;
    let mut servers = SERVERS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(server) = servers.get(&address).and_then(Weak::upgrade) {
        return Ok(server);
    }
    servers.retain(|_, server| server.strong_count() > 0);
    let server = Server { address: address.clone(), slot: Mutex::default(), opening: tokio::sync::Mutex::default() };
    let server = Arc::new(server);
    servers.insert(address, Arc::downgrade(&server));
    Ok(server)
}

impl Server {
    /// The rows that a query gives.
    pub(crate) async fn query(&self, sql: &str, parameters: &[Parameter<'_>]) -> Result<Vec<Row>, Failure> {
        let (client, fresh) = self.client().await?;
        match self.send(client, sql, parameters).await {
            // A kept connection that the server closed meanwhile says nothing about the server of now.
            Err(Failure::Closed) if !fresh => {
                let (client, _) = self.client().await?;
                self.send(client, sql, parameters).await
            }
            result => result,
        }
    }

    async fn send(&self, client: Arc<Client>, sql: &str, parameters: &[Parameter<'_>]) -> Result<Vec<Row>, Failure> {
        let mut given_up = GiveUp { server: self, client: Some(Arc::clone(&client)) };
        let result = client.query_typed(sql, parameters).await;
        given_up.client = None;
        // The connection is good as long as the server answers on it, be it with an error.
        if client.is_closed() {
            self.forget(&client);
        }
        result.map_err(|error| failure(&error))
    }

    /// The connection in use, and whether it is a new one.
    async fn client(&self) -> Result<(Arc<Client>, bool), Failure> {
        if let Some(client) = self.kept() {
            return Ok((client, false));
        }
        let _opening = self.opening.lock().await;
        if let Some(client) = self.kept() {
            return Ok((client, true));
        }
        let client = Arc::new(self.open().await?);
        *self.slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&client));
        Ok((client, true))
    }

    fn kept(&self) -> Option<Arc<Client>> {
        let slot = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
        slot.as_ref().filter(|client| !client.is_closed()).map(Arc::clone)
    }

    fn forget(&self, client: &Arc<Client>) {
        let mut slot = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
        if slot.as_ref().is_some_and(|kept| Arc::ptr_eq(kept, client)) {
            *slot = None;
        }
    }

    async fn open(&self) -> Result<Client, Failure> {
        let address = &self.address;
        let stream = dial::tcp(&address.host, address.port).await?;
        let config = address.config();
        match &address.tls {
            None => {
                let (client, connection) = config.connect_raw(stream, NoTls).await.map_err(|error| failure(&error))?;
                tokio::spawn(async move { drop(connection.await) });
                Ok(client)
            }
            Some(trust) => {
                let secure = Secure { host: address.host.clone(), trust: trust.clone() };
                let (client, connection) = config.connect_raw(stream, secure).await.map_err(|error| failure(&error))?;
                tokio::spawn(async move { drop(connection.await) });
                Ok(client)
            }
        }
    }
}

/// Gives a connection up, with its query, unless it is told otherwise before.
struct GiveUp<'s> {
    server: &'s Server,
    client: Option<Arc<Client>>,
}

impl Drop for GiveUp<'_> {
    fn drop(&mut self) {
        let Some(client) = self.client.take() else { return };
        self.server.forget(&client);
        let (token, address) = (client.cancel_token(), self.server.address.clone());
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(tokio::time::timeout(CANCEL, async move {
            let stream = dial::tcp(&address.host, address.port).await?;
            // It fails where the server does not answer, which is why the query was given up.
            let _ = match address.tls {
                None => token.cancel_query_raw(stream, NoTls).await,
                Some(trust) => token.cancel_query_raw(stream, Secure { host: address.host, trust }).await,
            };
            Ok::<_, Failure>(())
        }));
    }
}

/// What an error of the client means.
fn failure(error: &tokio_postgres::Error) -> Failure {
    if let Some(said) = error.as_db_error() {
        let code = said.code();
        if [&SqlState::INVALID_PASSWORD, &SqlState::INVALID_AUTHORIZATION_SPECIFICATION].contains(&code) {
            return Failure::Other("the server refuses the login".into());
        }
        if [&SqlState::ADMIN_SHUTDOWN, &SqlState::CRASH_SHUTDOWN].contains(&code) {
            return Failure::Closed;
        }
        if *code == SqlState::QUERY_CANCELED {
            return Failure::Timeout;
        }
        let hint = match *code {
            SqlState::UNDEFINED_TABLE => ": is this the database of the queue?",
            _ => "",
        };
        return Failure::Other(format!("{}{hint}", short(said.message())).into());
    }
    if error.is_closed() {
        return Failure::Closed;
    }
    let mut next: Option<&(dyn Error + 'static)> = error.source();
    while let Some(at) = next {
        if let Some(refused) = at.downcast_ref::<Refused>() {
            return refused.0.clone();
        }
        if let Some(broken) = at.downcast_ref::<io::Error>() {
            return http::failure_of(broken);
        }
        next = at.source();
    }
    let text = error.source().map_or_else(|| error.to_string(), ToString::to_string);
    Failure::Other(short(&text).into())
}

/// On one line, and not long.
fn short(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(160).collect()
}
