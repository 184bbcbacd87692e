//! What survives a restart: the state of each process (cooldowns, learned limits, open conditions) and the pauses.
//!
//! One SQLite file in WAL mode, so that a reader (`pause`, `resume`) never waits for the daemon. The schema grows by numbered
//! migrations, never by editing an old one. Calls here block for as long as the disk takes: the engine makes them on a
//! thread of its own, so that none delays a tick.

use std::path::Path;
use std::time::Duration;

use autoscalebot_core::state::STATE_VERSION;
use autoscalebot_core::{Pause, State};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};
use rusqlite_migration::{M, Migrations};

/// How long a call waits for another process that is writing.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);

const MIGRATIONS: &[M<'static>] = &[M::up(include_str!("migrations/0001_state.sql"))];

/// Why the store could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file cannot be opened, read or written.
    #[error("the store: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The file's schema cannot be brought up to date; a newer version of this program may have written it.
    #[error("the store's schema: {0}")]
    Migration(#[from] rusqlite_migration::Error),
    /// A state cannot be put into text.
    #[error("the store: {0}")]
    Json(#[from] serde_json::Error),
}

/// One process of one app, by their names in the settings.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProcessKey {
    /// The app's name.
    pub app: String,
    /// The process type.
    pub process: String,
}

impl ProcessKey {
    /// The key of a process.
    pub fn new(app: impl Into<String>, process: impl Into<String>) -> Self {
        Self { app: app.into(), process: process.into() }
    }
}

/// The store.
#[derive(Debug)]
pub struct Store {
    connection: Connection,
}

impl Store {
    /// Opens the file, makes it where there is none, and brings its schema up to date.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Self::prepare(Connection::open(path)?)
    }

    /// A store that is forgotten with the program.
    pub fn in_memory() -> Result<Self, StoreError> {
        Self::prepare(Connection::open_in_memory()?)
    }

    fn prepare(mut connection: Connection) -> Result<Self, StoreError> {
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        // With WAL, NORMAL loses at most the last transactions when the power fails and never breaks the file.
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        Migrations::from_slice(MIGRATIONS).to_latest(&mut connection)?;
        Ok(Self { connection })
    }

    /// The state of a process as it was last written. One that this version cannot read is as good as none.
    pub fn state(&self, key: &ProcessKey) -> Result<Option<State>, StoreError> {
        let found: Option<(u32, String)> = self
            .connection
            .query_row(
                "SELECT version, json FROM state WHERE app = ?1 AND process = ?2",
                params![key.app, key.process],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .optional()?;
        Ok(found
            .filter(|(version, _)| *version == STATE_VERSION)
            .and_then(|(_, json)| serde_json::from_str(&json).ok()))
    }

    /// Writes the state of a process.
    pub fn save_state(&self, key: &ProcessKey, state: &State, at: Timestamp) -> Result<(), StoreError> {
        self.connection.execute(
            "INSERT INTO state (app, process, version, json, written_at) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (app, process) DO UPDATE SET version = ?3, json = ?4, written_at = ?5",
            params![key.app, key.process, state.version, serde_json::to_string(state)?, at.to_string()],
        )?;
        Ok(())
    }

    /// The pauses that are not over at `at`.
    pub fn pauses(&self, at: Timestamp) -> Result<Vec<(ProcessKey, Pause)>, StoreError> {
        let mut statement = self.connection.prepare("SELECT app, process, until, why FROM pause")?;
        let rows = statement.query_map([], |row| {
            let until: Option<String> = row.get(2)?;
            // An instant that cannot be read leaves the pause without an end: safer than scaling against a person's word.
            let until = until.and_then(|text| text.parse::<Timestamp>().ok());
            Ok((ProcessKey::new(row.get::<_, String>(0)?, row.get::<_, String>(1)?), Pause { until, why: row.get(3)? }))
        })?;
        let mut pauses = Vec::new();
        for row in rows {
            let (key, pause) = row?;
            if pause.until.is_none_or(|until| until > at) {
                pauses.push((key, pause));
            }
        }
        Ok(pauses)
    }

    /// Pauses a process.
    pub fn pause(&self, key: &ProcessKey, pause: &Pause) -> Result<(), StoreError> {
        self.connection.execute(
            "INSERT INTO pause (app, process, until, why) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (app, process) DO UPDATE SET until = ?3, why = ?4",
            params![key.app, key.process, pause.until.map(|until| until.to_string()), pause.why],
        )?;
        Ok(())
    }

    /// Ends the pause of a process; whether there was one.
    pub fn resume(&self, key: &ProcessKey) -> Result<bool, StoreError> {
        let gone = self
            .connection
            .execute("DELETE FROM pause WHERE app = ?1 AND process = ?2", params![key.app, key.process])?;
        Ok(gone > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use autoscalebot_core::state::Limit;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn migrations_are_valid() {
        Migrations::from_slice(MIGRATIONS).validate().unwrap();
    }

    #[test]
    fn state_survives_a_new_opening() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.db");
        let key = ProcessKey::new("shop", "web");
        let state = State {
            last_scale: Some(at(100)),
            ours: Some(4),
            limit: Some(Limit { dynos: 10, at: at(99) }),
            ..State::default()
        };
        let store = Store::open(&file).unwrap();
        store.save_state(&key, &State::default(), at(1)).unwrap();
        store.save_state(&key, &state, at(2)).unwrap();
        drop(store);
        let store = Store::open(&file).unwrap();
        assert_eq!(store.state(&key).unwrap(), Some(state));
        assert_eq!(store.state(&ProcessKey::new("shop", "worker")).unwrap(), None);
    }

    #[test]
    fn a_state_of_another_version_is_left_alone() {
        let store = Store::in_memory().unwrap();
        let key = ProcessKey::new("shop", "web");
        store.save_state(&key, &State { version: 999, ..State::default() }, at(1)).unwrap();
        assert_eq!(store.state(&key).unwrap(), None);
    }

    #[test]
    fn pauses_end_by_time_or_by_hand() {
        let store = Store::in_memory().unwrap();
        let (web, worker) = (ProcessKey::new("shop", "web"), ProcessKey::new("shop", "worker"));
        let pause = Pause { until: Some(at(50)), why: Some("sale".into()) };
        store.pause(&web, &pause).unwrap();
        store.pause(&worker, &Pause { until: None, why: None }).unwrap();
        assert_eq!(store.pauses(at(49)).unwrap().len(), 2);
        assert_eq!(store.pauses(at(49)).unwrap()[0], (web.clone(), pause));
        assert_eq!(store.pauses(at(50)).unwrap(), [(worker.clone(), Pause { until: None, why: None })]);
        assert!(store.resume(&worker).unwrap());
        assert!(!store.resume(&worker).unwrap());
        assert!(store.pauses(at(50)).unwrap().is_empty());
    }

    #[test]
    fn two_openings_of_one_file_see_each_other() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.db");
        let (daemon, command) = (Store::open(&file).unwrap(), Store::open(&file).unwrap());
        let key = ProcessKey::new("shop", "web");
        command.pause(&key, &Pause { until: None, why: None }).unwrap();
        assert_eq!(daemon.pauses(at(0)).unwrap().len(), 1);
    }
}
