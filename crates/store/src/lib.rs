//! What survives a restart: the state of each process, the pauses, and the history: decision records, events and samples.
//!
//! One SQLite file by default, PostgreSQL where several instances share the work; the same SQL on both. How the store is
//! written without delaying a tick is the engine's (`engine::memory`); what a state or a record means is the core's.
//!
//! # Reading
//!
//! Open a second [`Store`] beside the daemon's with [`Store::connect`] or [`Store::another`]. It may be shared between
//! threads, and its calls block (from a task, use `spawn_blocking`).
//!
//! ```
//! use autoscalebot_store::{EventFilter, Filter, Page, ProcessKey, SampleQuery, Store};
//! use jiff::Timestamp;
//!
//! # fn main() -> Result<(), autoscalebot_store::StoreError> {
//! # let (from, to) = (Timestamp::UNIX_EPOCH, Timestamp::from_second(86_400).unwrap());
//! let store = Store::in_memory()?;
//! let web = ProcessKey::new("shop", "web");
//! // Decision records, newest first; the next page begins before the last row's cursor.
//! let page = Page { from: Some(from), to: Some(to), limit: 50, ..Page::default() };
//! let records = store.history(&Filter { who: (&web).into(), page, changes_only: true, ..Filter::default() })?;
//! let next = Page { before: records.last().map(|record| record.cursor), ..page };
//! // The record in force at an instant, and the newest of each process.
//! let record = store.record_at(&web, to)?;
//! let latest = store.latest()?;
//! // Percentiles in at most 500 buckets; their width follows from the range.
//! let series =
//!     store.samples(&SampleQuery { key: web.clone(), measurement: None, from, to, buckets: 500 })?;
//! // The quantity and the bounds as steps, for a chart; and what happened.
//! let steps = store.steps(&web, from, to, 1_000)?;
//! let events = store.events(&EventFilter { page: next, ..EventFilter::default() })?;
//! # assert!(records.is_empty() && record.is_none() && latest.is_empty() && series.is_empty());
//! # assert!(steps.is_empty() && events.is_empty());
//! # Ok(())
//! # }
//! ```
//!
//! # How long what is kept
//!
//! See [`Retention`]: every record and sample for a day; then the records that differ from the one before them ([`marks`]),
//! and percentiles by the minute for a month and by the hour for a year.

mod clean;
mod driver;
mod ids;
pub mod line;
pub mod marks;
mod query;
mod read;
mod retention;
mod samples;
mod sketch;
mod state;
mod store;
mod write;

pub use query::{
    Bucket, Cursor, CursorError, EventFilter, Filter, LIMIT_MAX, Page, SampleQuery, Series, Step, StoredEvent,
    StoredRecord, Who,
};
pub use retention::Retention;
pub use store::{Place, Store};
pub use write::Entry;

/// Why the store could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file cannot be opened, read or written.
    #[error("the store: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The file's schema cannot be brought up to date; a newer version of this program may have written it.
    #[error("the store's schema: {0}")]
    Migration(#[from] rusqlite_migration::Error),
    /// The database server cannot be reached, or refuses.
    #[error("the store: {}", told(.0))]
    Postgres(postgres::Error),
    /// A state or a record cannot be put into text, or read from it.
    #[error("the store: {0}")]
    Json(#[from] serde_json::Error),
    /// What is stored is not what was written.
    #[error("the store: {0}")]
    Content(&'static str),
}

impl StoreError {
    /// Whether the disk, or what is allowed of it, is full.
    pub fn is_full(&self) -> bool {
        match self {
            Self::Sqlite(error) => error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull),
            Self::Postgres(error) => error.code() == Some(&postgres::error::SqlState::DISK_FULL),
            _ => false,
        }
    }
}

/// A server's error with what is behind it, which its own text leaves out.
fn told(error: &postgres::Error) -> String {
    match std::error::Error::source(error) {
        Some(source) if !error.to_string().contains(&source.to_string()) => format!("{error}: {source}"),
        _ => error.to_string(),
    }
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

#[cfg(test)]
mod tests;
