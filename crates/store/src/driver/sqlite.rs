//! SQLite: one file in WAL mode, so that a reader (`history`, the dashboard) never waits for the daemon, nor it for them.

use std::path::Path;
use std::time::Duration;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ToSql, params_from_iter};
use rusqlite_migration::{M, Migrations};

use super::{Driver, Row, Step, Value};
use crate::StoreError;

/// How long a call waits for another process that is writing.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);
/// The journal is cut back to this after a reader kept it from being so for long.
const JOURNAL_LIMIT_BYTES: i64 = 16 * 1024 * 1024;
/// Pages that one shrinking gives back to the disk; 4 KiB each.
const SHRINK_PAGES: i64 = 512;
/// Statements that stay prepared.
const STATEMENTS: usize = 64;

/// Numbered from 1; an entry that was ever released is never edited.
pub(crate) const MIGRATIONS: &[M<'static>] = &[
    M::up(include_str!("../migrations/sqlite/0001_state.sql")),
    M::up(include_str!("../migrations/sqlite/0002_history.sql")),
];

/// An open file.
#[derive(Debug)]
pub(crate) struct Sqlite {
    connection: Connection,
}

impl Sqlite {
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        Self::prepare(Connection::open(path)?)
    }

    pub(crate) fn in_memory() -> Result<Self, StoreError> {
        Self::prepare(Connection::open_in_memory()?)
    }

    fn prepare(mut connection: Connection) -> Result<Self, StoreError> {
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        // A new file must be told before its first table; one of version 1 holds little, and is written anew once.
        if version < 2 {
            connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
            if version == 1 {
                connection.execute_batch("VACUUM")?;
            }
        }
        connection.pragma_update(None, "journal_mode", "WAL")?;
        // With WAL, NORMAL loses at most the last transactions when the power fails and never breaks the file; a program
        // that is killed loses none that was committed.
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        connection.pragma_update(None, "journal_size_limit", JOURNAL_LIMIT_BYTES)?;
        Migrations::from_slice(MIGRATIONS).to_latest(&mut connection)?;
        Ok(Self { connection })
    }

    fn pragma(&self, name: &str) -> Result<i64, StoreError> {
        Ok(self.connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0))?)
    }
}

impl Driver for Sqlite {
    fn query(&mut self, sql: &str, params: &[Value]) -> Result<Vec<Row>, StoreError> {
        let mut statement = self.connection.prepare_cached(&numbered(sql))?;
        let columns = statement.column_count();
        let mut rows = statement.query(params_from_iter(params))?;
        let mut all = Vec::new();
        while let Some(row) = rows.next()? {
            let values: Result<_, rusqlite::Error> =
                (0..columns).map(|column| Ok(owned(row.get_ref(column)?))).collect();
            all.push(Row(values?));
        }
        Ok(all)
    }

    fn execute(&mut self, sql: &str, params: &[Value]) -> Result<u64, StoreError> {
        Ok(self.connection.prepare_cached(&numbered(sql))?.execute(params_from_iter(params))? as u64)
    }

    fn transaction(&mut self, step: Step) -> Result<(), StoreError> {
        let sql = match step {
            // At once, so that a second writer waits here, and not in the middle, where it would fail.
            Step::Begin => "BEGIN IMMEDIATE",
            Step::Commit => "COMMIT",
            // Some errors have ended the transaction already.
            Step::Rollback if self.connection.is_autocommit() => return Ok(()),
            Step::Rollback => "ROLLBACK",
        };
        Ok(self.connection.execute_batch(sql)?)
    }

    fn shrink(&mut self) -> Result<(), StoreError> {
        Ok(self.connection.execute_batch(&format!("PRAGMA incremental_vacuum({SHRINK_PAGES})"))?)
    }

    fn used_bytes(&mut self) -> Result<u64, StoreError> {
        let pages = self.pragma("page_count")? - self.pragma("freelist_count")?;
        Ok(pages.saturating_mul(self.pragma("page_size")?).unsigned_abs())
    }

    fn sizes_follow_rows(&self) -> bool {
        true
    }

    fn integrity(&mut self) -> Result<String, StoreError> {
        Ok(self.connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?)
    }

    fn limit_bytes(&mut self, bytes: Option<u64>) -> Result<(), StoreError> {
        let page = self.pragma("page_size")?.unsigned_abs().max(1);
        let pages = bytes.map_or(u64::from(u32::MAX - 1), |bytes| bytes / page);
        // The answer is the limit that holds.
        self.pragma(&format!("max_page_count = {pages}")).map(drop)
    }

    fn is_closed(&self) -> bool {
        false
    }
}

/// SQLite takes `$1` for a name; `?1` is its number.
fn numbered(sql: &str) -> String {
    sql.replace('$', "?")
}

fn owned(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(value) => Value::Int(value),
        ValueRef::Real(value) => Value::Real(value),
        ValueRef::Text(text) => Value::Text(String::from_utf8_lossy(text).into_owned()),
        ValueRef::Blob(bytes) => Value::Blob(bytes.to_vec()),
    }
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Int(value) => ValueRef::Integer(*value),
            Self::Real(value) => ValueRef::Real(*value),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn migrations_are_valid() {
        Migrations::from_slice(MIGRATIONS).validate().unwrap();
    }
}
