//! [`Store`]: the one way in. It holds a connection and what is known of the numbers of processes and series; what it does
//! is in the files beside this one.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use autoscalebot_core::{Pause, Secret, State};
use jiff::Timestamp;

use crate::driver::postgres::Postgres;
use crate::driver::sqlite::Sqlite;
use crate::driver::{Driver, Step};
use crate::ids::Ids;
use crate::marks::LastOf;
use crate::retention::Retention;
use crate::write::Entry;
use crate::{
    EventFilter, Filter, ProcessKey, SampleQuery, Series, StoreError, StoredEvent, StoredRecord, clean, read, samples,
    state, write,
};

/// Where the store is.
#[derive(Debug, Clone)]
pub enum Place {
    /// Nowhere: it is forgotten with the program.
    Memory,
    /// An SQLite file.
    File(PathBuf),
    /// A PostgreSQL database, by its URL.
    Postgres(Secret),
}

/// The store. Its calls block for as long as the database takes: the engine makes them on a thread of its own.
#[derive(Debug, Clone)]
pub struct Store {
    place: Place,
    /// `None`: it is not reached, and the next call tries.
    inner: Arc<Mutex<Option<Inner>>>,
}

/// The content of a store, reached.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) driver: Box<dyn Driver>,
    pub(crate) ids: Ids,
    pub(crate) last: LastOf,
}

impl Inner {
    fn connect(place: &Place) -> Result<Self, StoreError> {
        let driver: Box<dyn Driver> = match place {
            Place::Memory => Box::new(Sqlite::in_memory()?),
            Place::File(path) => Box::new(Sqlite::open(path)?),
            Place::Postgres(url) => Box::new(Postgres::connect(url)?),
        };
        Ok(Self { driver, ids: Ids::default(), last: LastOf::default() })
    }

    /// Does something in one transaction: all of it, or nothing.
    pub(crate) fn whole<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.driver.transaction(Step::Begin)?;
        let done = work(self).and_then(|done| self.driver.transaction(Step::Commit).map(|()| done));
        if done.is_err() {
            // What was learned inside it is not so.
            self.ids = Ids::default();
            self.last = LastOf::default();
            // The first error is the one worth telling.
            let _ = self.driver.transaction(Step::Rollback);
        }
        done
    }
}

impl Store {
    /// Opens the store, makes it where there is none, and brings its schema up to date.
    pub fn connect(place: &Place) -> Result<Self, StoreError> {
        let store = Self::later(place);
        store.reach(|_| Ok(()))?;
        Ok(store)
    }

    /// Whether a database server answers; nothing is made there. Files are not touched.
    pub fn probe(place: &Place) -> Result<(), StoreError> {
        match place {
            Place::Postgres(url) => Postgres::probe(url),
            Place::Memory | Place::File(_) => Ok(()),
        }
    }

    /// A store that is opened by the first call that needs it. A call that cannot reach it fails, and the next tries again.
    pub fn later(place: &Place) -> Self {
        Self { place: place.clone(), inner: Arc::default() }
    }

    /// Opens an SQLite file.
    pub fn open(path: &std::path::Path) -> Result<Self, StoreError> {
        Self::connect(&Place::File(path.to_owned()))
    }

    /// A store that is forgotten with the program.
    pub fn in_memory() -> Result<Self, StoreError> {
        Self::connect(&Place::Memory)
    }

    /// A second way to the same content, for whoever reads beside the one that writes: neither waits for the other, unless
    /// the store is in memory.
    pub fn another(&self) -> Result<Self, StoreError> {
        match self.place {
            Place::Memory => Ok(self.clone()),
            Place::File(_) | Place::Postgres(_) => Self::connect(&self.place),
        }
    }

    /// Where it is.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Gives the connection up: the next call makes a new one. A store in memory stays as it is.
    pub fn reopen(&self) {
        if !matches!(self.place, Place::Memory) {
            *self.inner() = None;
        }
    }

    fn inner(&self) -> MutexGuard<'_, Option<Inner>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something with the content, reached anew where the connection is gone.
    fn reach<T>(&self, work: impl FnOnce(&mut Inner) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let mut inner = self.inner();
        match &mut *inner {
            Some(inner) if !inner.driver.is_closed() => work(inner),
            gone => work(gone.insert(Inner::connect(&self.place)?)),
        }
    }

    fn driver<T>(&self, work: impl FnOnce(&mut dyn Driver) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.reach(|inner| work(&mut *inner.driver))
    }

    /// The state of a process as it was last written. One that this version cannot read is as good as none.
    pub fn state(&self, key: &ProcessKey) -> Result<Option<State>, StoreError> {
        self.driver(|driver| state::state(driver, key))
    }

    /// Writes the state of a process.
    pub fn save_state(&self, key: &ProcessKey, state: &State, at: Timestamp) -> Result<(), StoreError> {
        self.driver(|driver| state::save(driver, key, state, at))
    }

    /// The pauses that are not over at `at`.
    pub fn pauses(&self, at: Timestamp) -> Result<Vec<(ProcessKey, Pause)>, StoreError> {
        self.driver(|driver| state::pauses(driver, at))
    }

    /// Pauses a process.
    pub fn pause(&self, key: &ProcessKey, pause: &Pause) -> Result<(), StoreError> {
        self.driver(|driver| state::pause(driver, key, pause))
    }

    /// Ends the pause of a process; whether there was one.
    pub fn resume(&self, key: &ProcessKey) -> Result<bool, StoreError> {
        self.driver(|driver| state::resume(driver, key))
    }

    /// Writes all of these, or, with an error, none.
    pub fn write(&self, entries: &[Entry]) -> Result<(), StoreError> {
        self.reach(|inner| inner.whole(|inner| write::write(inner, entries)))
    }

    /// Decision records, newest first.
    pub fn history(&self, filter: &Filter) -> Result<Vec<StoredRecord>, StoreError> {
        self.driver(|driver| read::history(driver, filter, false))
    }

    /// Decision records, oldest first: [`Page::before`](crate::Page::before) is then the row after which the page begins.
    pub fn history_onward(&self, filter: &Filter) -> Result<Vec<StoredRecord>, StoreError> {
        self.driver(|driver| read::history(driver, filter, true))
    }

    /// The record in force at an instant: the newest one at or before it.
    pub fn record_at(&self, key: &ProcessKey, at: Timestamp) -> Result<Option<StoredRecord>, StoreError> {
        self.driver(|driver| read::record_at(driver, key, at))
    }

    /// The newest record at or before an instant that has the state before it: from there on, ticks can be decided again.
    pub fn state_at(&self, key: &ProcessKey, at: Timestamp) -> Result<Option<StoredRecord>, StoreError> {
        self.driver(|driver| read::state_at(driver, key, at))
    }

    /// The newest record of each process, by app and process.
    pub fn latest(&self) -> Result<Vec<StoredRecord>, StoreError> {
        self.driver(|driver| read::latest(driver))
    }

    /// The newest record in which this program changed the quantity.
    pub fn last_change(&self, key: &ProcessKey) -> Result<Option<StoredRecord>, StoreError> {
        self.driver(|driver| read::last_change(driver, key))
    }

    /// The quantity and the bounds over `[from, to)` as steps, ascending; the first is the one in force at `from`, where that
    /// is known. At most `limit`: of more, those at the end of the range are left out.
    pub fn steps(
        &self,
        key: &ProcessKey,
        from: Timestamp,
        to: Timestamp,
        limit: usize,
    ) -> Result<Vec<crate::Step>, StoreError> {
        self.driver(|driver| read::steps(driver, key, from, to, limit))
    }

    /// Events, newest first.
    pub fn events(&self, filter: &EventFilter) -> Result<Vec<StoredEvent>, StoreError> {
        self.driver(|driver| read::events(driver, filter))
    }

    /// Samples in buckets whose width follows from the range and from what is still kept of it.
    pub fn samples(&self, query: &SampleQuery) -> Result<Vec<Series>, StoreError> {
        self.driver(|driver| samples::samples(driver, query))
    }

    /// One bounded step of keeping the store small: rolls samples up, deletes what is older than `retention` allows, and
    /// gives room back. Whether there is more to do.
    pub fn clean(&self, retention: &Retention, now: Timestamp) -> Result<bool, StoreError> {
        self.reach(|inner| clean::clean(inner, retention, now))
    }

    /// `ok`, or what is wrong with what is stored. Reads all of it.
    pub fn integrity(&self) -> Result<String, StoreError> {
        self.driver(|driver| driver.integrity())
    }

    /// Lets the store hold so many bytes at most, as a disk without room would; `None`: as many as there is room for. For
    /// tests: it ends with the connection, and a database server takes no notice.
    #[doc(hidden)]
    pub fn limit_bytes(&self, bytes: Option<u64>) -> Result<(), StoreError> {
        self.driver(|driver| driver.limit_bytes(bytes))
    }

    /// The bytes that hold something.
    pub fn used_bytes(&self) -> Result<u64, StoreError> {
        self.driver(|driver| driver.used_bytes())
    }
}
