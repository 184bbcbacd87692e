//! What can be asked of the store, and what it answers.

use std::fmt;
use std::str::FromStr;

use autoscalebot_core::State;
use autoscalebot_core::state::STATE_VERSION;
use jiff::{SignedDuration, Timestamp};

use crate::line::RecordLine;
use crate::{ProcessKey, StoreError};

/// The most rows that one answer holds; more are had by asking again with [`Page::before`].
pub const LIMIT_MAX: usize = 10_000;

/// Which part of the past: [`from`](Self::from) included, [`to`](Self::to) not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// The oldest instant; `None`: as far back as is kept.
    pub from: Option<Timestamp>,
    /// The instant before which all lie; `None`: up to now.
    pub to: Option<Timestamp>,
    /// Only rows beyond this one, on the way that the rows come: the [`Cursor`] of the last row of the page before.
    pub before: Option<Cursor>,
    /// At most so many rows, and never more than [`LIMIT_MAX`].
    pub limit: usize,
}

impl Default for Page {
    fn default() -> Self {
        Self { from: None, to: None, before: None, limit: 100 }
    }
}

/// A row's place in the order of time; text for URLs by `Display` and `FromStr`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    pub(crate) at: i64,
    pub(crate) id: i64,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.at, self.id)
    }
}

/// The text is no [`Cursor`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is no place in the history: take the one that the page before gave")]
pub struct CursorError;

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (at, id) = text.split_once('.').ok_or(CursorError)?;
        Ok(Self { at: at.parse().map_err(|_| CursorError)?, id: id.parse().map_err(|_| CursorError)? })
    }
}

/// Which processes: all, those of an app, or one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Who {
    /// The app's name in the settings.
    pub app: Option<String>,
    /// The process type.
    pub process: Option<String>,
}

impl From<&ProcessKey> for Who {
    fn from(key: &ProcessKey) -> Self {
        Self { app: Some(key.app.clone()), process: Some(key.process.clone()) }
    }
}

/// Which decision records.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Of which processes.
    pub who: Who,
    /// Of which time.
    pub page: Page,
    /// Only records that differ from the one before them in what matters: see [`crate::marks`].
    pub changes_only: bool,
    /// Only records in which one of these conditions holds; empty: all.
    pub conditions: Vec<String>,
}

/// A decision record as it was stored.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredRecord {
    /// Its place, for the next page.
    pub cursor: Cursor,
    /// Of which process.
    pub key: ProcessKey,
    /// When it was decided; as exact as the stored order, in microseconds. The JSON has the whole instant.
    pub at: Timestamp,
    /// Why it is kept; see [`crate::marks`].
    pub marks: crate::marks::Marks,
    /// The record's JSON, as the daemon writes it: one line.
    pub json: String,
    /// The state before the tick, as JSON: with the first record of a run, and one an hour.
    pub state: Option<String>,
}

impl StoredRecord {
    /// The state before the tick, where it is kept and this version can read it.
    pub fn state_before(&self) -> Option<State> {
        let state: State = serde_json::from_str(self.state.as_deref()?).ok()?;
        (state.version == STATE_VERSION).then_some(state)
    }

    /// The record with its fields.
    pub fn line(&self) -> Result<RecordLine, StoreError> {
        Ok(serde_json::from_str(&self.json)?)
    }
}

/// Which events.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Of which processes.
    pub who: Who,
    /// Of which time.
    pub page: Page,
    /// Only these topics (`scaled`, `scale_failed`, or a condition's name); empty: all.
    pub topics: Vec<String>,
}

/// An event as it was stored. `decided` is not: the decision records are that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    /// Its place, for the next page.
    pub cursor: Cursor,
    /// Of which process.
    pub key: ProcessKey,
    /// When.
    pub at: Timestamp,
    /// Its name in the stream: `scaled`, `scale_failed`, `condition_began`, `condition_ended`.
    pub name: String,
    /// What it is about: `scaled`, `scale_failed`, or the condition's name.
    pub topic: String,
    /// `{"at","app","process","event","topic","dynos","from","to","since","text"}`; what does not apply is absent.
    pub json: String,
}

/// Which samples: those of one process in `[from, to)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SampleQuery {
    /// The process.
    pub key: ProcessKey,
    /// One measurement; `None`: all of the process.
    pub measurement: Option<String>,
    /// The oldest instant.
    pub from: Timestamp,
    /// The instant before which all lie.
    pub to: Timestamp,
    /// At most so many buckets a measurement; the width of a bucket follows from it, see [`Series::width`].
    pub buckets: usize,
}

/// The samples of one measurement.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// The measurement's name.
    pub measurement: String,
    /// What its numbers count: `ms`, `rps`, …
    pub unit: String,
    /// The width of each bucket. Zero: each sample is a bucket of its own.
    pub width: SignedDuration,
    /// By time, ascending; where nothing was measured, there is none.
    pub buckets: Vec<Bucket>,
}

/// What was measured in `[at, at + width)`. Percentiles are those of the samples themselves (to 1 %), however long ago,
/// never averages of percentiles. A bucket with `count` 0 has unknown samples alone, and its numbers are 0.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Bucket {
    /// When it begins; with a width of zero, when the sample was taken.
    pub at: Timestamp,
    /// Samples with a value.
    pub count: u64,
    /// Samples that were unknown.
    pub unknown: u64,
    /// The lowest.
    pub min: f64,
    /// The highest.
    pub max: f64,
    /// The mean.
    pub mean: f64,
    /// Half of them are at or below this.
    pub p50: f64,
    /// 95 of a hundred are at or below this.
    pub p95: f64,
    /// 99 of a hundred are at or below this.
    pub p99: f64,
}

/// The quantity and the bounds from an instant on, until the next step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Step {
    /// From when.
    pub at: Timestamp,
    /// The quantity after the tick; `None`: it could not be read.
    pub dynos: Option<u32>,
    /// The fewest dynos in force.
    pub min: u32,
    /// The most dynos in force.
    pub max: u32,
}
