//! PostgreSQL, for several instances that share one store. The tables are in a schema of their own, `autoscalebot`.
//!
//! The client blocks, and it may not do so on a thread that runs tasks: from there each call is made on a thread beside it.

use std::collections::HashMap;
use std::time::Duration;

use autoscalebot_core::Secret;
use postgres::types::{FromSql, IsNull, ToSql, Type, private::BytesMut};
use postgres::{Client, Config, Statement};

use super::tls::Tls;
use super::{Driver, Row, Step, Value};
use crate::StoreError;

/// How long connecting, and any one statement, may take.
const CONNECT: Duration = Duration::from_secs(5);
const STATEMENT_MS: u32 = 10_000;
/// The number of the lock under which the schema is brought up to date; any number will do, if it is always the same.
const LOCK: i64 = 0x6175_746f;

/// Numbered from 1; an entry that was ever released is never edited.
pub(crate) const MIGRATIONS: &[&str] = &[include_str!("../migrations/postgres/0001_all.sql")];

/// An open connection.
pub(crate) struct Postgres {
    /// Always there until the end: ending it blocks too, so that it is taken out for that.
    client: Option<Client>,
    statements: HashMap<String, Statement>,
}

impl std::fmt::Debug for Postgres {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Postgres").finish_non_exhaustive()
    }
}

impl Postgres {
    pub(crate) fn connect(url: &Secret) -> Result<Self, StoreError> {
        let mut this = Self::open(url)?;
        this.migrate()?;
        Ok(this)
    }

    /// Only connects.
    pub(crate) fn probe(url: &Secret) -> Result<(), StoreError> {
        Self::open(url).map(drop)
    }

    fn open(url: &Secret) -> Result<Self, StoreError> {
        // The client's own parser knows no `verify-…`: they are `require` with a proof of who answers.
        let text = url.expose().replace("sslmode=verify-full", "sslmode=require");
        let text = text.replace("sslmode=verify-ca", "sslmode=require");
        let verified = text != url.expose();
        let mut config: Config = text.parse().map_err(StoreError::Postgres)?;
        config.connect_timeout(CONNECT).application_name("autoscalebot");
        config.options(&format!("-c statement_timeout={STATEMENT_MS} -c search_path=autoscalebot"));
        let tls = Tls::new(verified).map_err(|_| StoreError::Content("TLS cannot be set up on this machine"))?;
        let client = apart(|| config.connect(tls)).map_err(StoreError::Postgres)?;
        Ok(Self { client: Some(client), statements: HashMap::new() })
    }

    fn client<T: Send>(
        &mut self,
        work: impl FnOnce(&mut Client, &mut HashMap<String, Statement>) -> Result<T, postgres::Error> + Send,
    ) -> Result<T, StoreError> {
        let Some(client) = &mut self.client else { return Err(StoreError::Content("the connection is closed")) };
        let statements = &mut self.statements;
        apart(|| work(client, statements)).map_err(StoreError::Postgres)
    }

    fn migrate(&mut self) -> Result<(), StoreError> {
        self.client(|client, _| {
            let mut all = client.transaction()?;
            // Two instances that start together take turns.
            all.execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK])?;
            all.batch_execute(
                "CREATE SCHEMA IF NOT EXISTS autoscalebot;
                 CREATE TABLE IF NOT EXISTS autoscalebot.migration (version BIGINT PRIMARY KEY)",
            )?;
            let version: i64 =
                all.query_one("SELECT coalesce(max(version), 0) FROM autoscalebot.migration", &[])?.get(0);
            let mut number = 0_i64;
            for sql in MIGRATIONS {
                number += 1;
                if number > version {
                    all.batch_execute(sql)?;
                    all.execute("INSERT INTO autoscalebot.migration (version) VALUES ($1)", &[&number])?;
                }
            }
            all.commit()?;
            Ok(version)
        })
        .and_then(|version| match usize::try_from(version) {
            Ok(version) if version <= MIGRATIONS.len() => Ok(()),
            _ => Err(StoreError::Content("a newer version of this program made this database: update this one")),
        })
    }
}

/// Runs what blocks on a thread that may.
fn apart<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    if tokio::runtime::Handle::try_current().is_err() {
        return work();
    }
    std::thread::scope(|scope| match scope.spawn(work).join() {
        Ok(done) => done,
        Err(panic) => std::panic::resume_unwind(panic),
    })
}

fn prepared(
    client: &mut Client,
    statements: &mut HashMap<String, Statement>,
    sql: &str,
) -> Result<Statement, postgres::Error> {
    if let Some(statement) = statements.get(sql) {
        return Ok(statement.clone());
    }
    let statement = client.prepare(sql)?;
    statements.insert(sql.to_owned(), statement.clone());
    Ok(statement)
}

fn borrowed(params: &[Value]) -> Vec<&(dyn ToSql + Sync)> {
    params.iter().map(|value| value as &(dyn ToSql + Sync)).collect()
}

impl Driver for Postgres {
    fn query(&mut self, sql: &str, params: &[Value]) -> Result<Vec<Row>, StoreError> {
        self.client(|client, statements| {
            let statement = prepared(client, statements, sql)?;
            let rows = client.query(&statement, &borrowed(params))?;
            rows.iter()
                .map(|row| (0..row.len()).map(|column| row.try_get(column)).collect::<Result<_, _>>().map(Row))
                .collect()
        })
    }

    fn execute(&mut self, sql: &str, params: &[Value]) -> Result<u64, StoreError> {
        self.client(|client, statements| {
            let statement = prepared(client, statements, sql)?;
            client.execute(&statement, &borrowed(params))
        })
    }

    fn transaction(&mut self, step: Step) -> Result<(), StoreError> {
        let sql = match step {
            Step::Begin => "BEGIN",
            Step::Commit => "COMMIT",
            Step::Rollback => "ROLLBACK",
        };
        self.client(|client, _| client.batch_execute(sql))
    }

    fn shrink(&mut self) -> Result<(), StoreError> {
        // The server's own work.
        Ok(())
    }

    fn used_bytes(&mut self) -> Result<u64, StoreError> {
        let sql = "SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::BIGINT FROM pg_class c \
                   JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'autoscalebot' AND c.relkind = 'r'";
        let rows = self.query(sql, &[])?;
        Ok(rows.first().map(|row| row.int(0)).transpose()?.unwrap_or_default().unsigned_abs())
    }

    fn sizes_follow_rows(&self) -> bool {
        // Deleted rows keep their room until the server's own cleaning, and often after it.
        false
    }

    fn integrity(&mut self) -> Result<String, StoreError> {
        // The server watches over its files itself; that it answers is what can be asked from here.
        self.query("SELECT 1::BIGINT", &[]).map(|_| "ok".to_owned())
    }

    fn is_closed(&self) -> bool {
        self.client.as_ref().is_none_or(Client::is_closed)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let client = self.client.take();
        self.statements.clear();
        apart(|| drop(client));
    }
}

impl ToSql for Value {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Int(value) => value.to_sql(kind, out),
            Self::Real(value) => value.to_sql(kind, out),
            Self::Text(value) => value.to_sql(kind, out),
            Self::Blob(value) => value.to_sql(kind, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        // Each statement of this crate is run by its tests on a real server.
        true
    }

    postgres::types::to_sql_checked!();
}

impl<'a> FromSql<'a> for Value {
    fn from_sql(kind: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        match *kind {
            Type::INT8 => Ok(Self::Int(i64::from_sql(kind, raw)?)),
            Type::FLOAT8 => Ok(Self::Real(f64::from_sql(kind, raw)?)),
            Type::BYTEA => Ok(Self::Blob(Vec::from_sql(kind, raw)?)),
            _ => Ok(Self::Text(String::from_sql(kind, raw)?)),
        }
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self::Null)
    }

    fn accepts(kind: &Type) -> bool {
        matches!(*kind, Type::INT8 | Type::FLOAT8 | Type::BYTEA | Type::TEXT | Type::VARCHAR)
    }
}
