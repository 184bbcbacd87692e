//! What happened before, as the API shows it: records by pages, series for charts, events. The store answers; where it has
//! nothing or cannot, the [`Ring`] tells what this program remembers.

use std::str::FromStr;

use autoscalebot_core::Record;
use autoscalebot_store::marks::Marks;
use autoscalebot_store::{Cursor, EventFilter, Filter, Page, ProcessKey, SampleQuery, Step, Store};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::follow::EventShown;
use crate::ring::Ring;

/// Marks in one series; the newest are kept.
pub(crate) const MARKS: usize = 400;
/// Steps read at a time, and how often; a month in which more happens is shown up to there.
const STEPS: (usize, usize) = (10_000, 10);

/// The ranges of time that a chart may ask for, by name.
pub(crate) const RANGES: &[(&str, SignedDuration)] = &[
    ("15m", SignedDuration::from_mins(15)),
    ("1h", SignedDuration::from_hours(1)),
    ("6h", SignedDuration::from_hours(6)),
    ("24h", SignedDuration::from_hours(24)),
    ("7d", SignedDuration::from_hours(7 * 24)),
    ("30d", SignedDuration::from_hours(30 * 24)),
];

/// Where a page begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the store.
    Store(Cursor),
    /// In the ring: before this number.
    Ring(u64),
}

impl FromStr for Place {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = "cursor: take `next` of the page before";
        match text.strip_prefix('r') {
            Some(number) => number.parse().map(Self::Ring).map_err(|_| wrong),
            None => text.parse().map(Self::Store).map_err(|_| wrong),
        }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Store(cursor) => cursor.fmt(f),
            Self::Ring(number) => write!(f, "r{number}"),
        }
    }
}

/// Which records of one process are wanted, newest first.
#[derive(Debug, Clone)]
pub(crate) struct RecordQuery {
    pub(crate) key: ProcessKey,
    pub(crate) from: Option<Timestamp>,
    pub(crate) cursor: Option<Place>,
    /// Only those that differ from the one before in what matters.
    pub(crate) changes: bool,
    pub(crate) limit: usize,
}

/// Which series of one process is wanted.
#[derive(Debug, Clone)]
pub(crate) struct SeriesQuery {
    pub(crate) key: ProcessKey,
    pub(crate) from: Timestamp,
    pub(crate) to: Timestamp,
    /// At most about so many points.
    pub(crate) points: usize,
}

/// Rows with the place where the next page begins, if there is one.
pub(crate) struct Rows {
    pub(crate) rows: Vec<Box<RawValue>>,
    pub(crate) next: Option<Place>,
}

impl Rows {
    /// Rows of which one more than `limit` was asked for: the last tells that there is a next page.
    pub(crate) fn cut(mut rows: Vec<(Place, Box<RawValue>)>, limit: usize) -> Self {
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| more).map(|(place, _)| *place);
        Self { rows: rows.into_iter().map(|(_, row)| row).collect(), next }
    }
}

/// The columns of a chart.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Series {
    pub(crate) from: Timestamp,
    pub(crate) to: Timestamp,
    pub(crate) steps: Steps,
    pub(crate) measurements: Vec<Line>,
    pub(crate) marks: Vec<Mark>,
}

/// Dynos and bounds: each holds from its instant (seconds since 1970) until the next.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Steps {
    pub(crate) at: Vec<f64>,
    pub(crate) dynos: Vec<Option<u32>>,
    pub(crate) min: Vec<u32>,
    pub(crate) max: Vec<u32>,
}

impl Steps {
    /// Adds a step, where it differs from the last.
    pub(crate) fn push(&mut self, at: Timestamp, dynos: Option<u32>, min: u32, max: u32) {
        let last = (self.dynos.last(), self.min.last(), self.max.last());
        if last != (Some(&dynos), Some(&min), Some(&max)) {
            self.at.push(seconds(at));
            self.dynos.push(dynos);
            self.min.push(min);
            self.max.push(max);
        }
    }
}

/// One measurement in a series: percentiles of the samples in each bucket; null where all of them were unknown.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) unit: String,
    /// A bucket's width; 0 where each sample is a point of its own.
    pub(crate) width_secs: f64,
    pub(crate) at: Vec<f64>,
    pub(crate) median: Vec<Option<f64>>,
    pub(crate) p95: Vec<Option<f64>>,
    pub(crate) highest: Vec<Option<f64>>,
}

impl Line {
    pub(crate) fn new(name: &str, unit: &str, width_secs: f64) -> Self {
        let (name, unit) = (name.to_owned(), unit.to_owned());
        Self { name, unit, width_secs, at: Vec::new(), median: Vec::new(), p95: Vec::new(), highest: Vec::new() }
    }

    pub(crate) fn push(&mut self, at: f64, values: Option<(f64, f64, f64)>) {
        self.at.push(at);
        self.median.push(values.map(|(median, ..)| median));
        self.p95.push(values.map(|(_, p95, _)| p95));
        self.highest.push(values.map(|(.., highest)| highest));
    }
}

/// A decision that changed something, or tried to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Mark {
    pub(crate) at: f64,
    pub(crate) before: Option<u32>,
    pub(crate) after: Option<u32>,
    pub(crate) desired: Option<u32>,
    pub(crate) call: String,
    pub(crate) reason: String,
    pub(crate) gates: Vec<String>,
}

/// An instant in seconds since 1970, as charts count.
pub(crate) fn seconds(at: Timestamp) -> f64 {
    at.as_millisecond() as f64 / 1000.0
}

/// A record's JSON.
pub(crate) fn raw(value: &impl Serialize) -> Box<RawValue> {
    // A record is always JSON; what is not would be shown as nothing.
    to_raw_value(value).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

/// What happened before.
#[derive(Debug)]
pub(crate) struct Past {
    pub(crate) store: Store,
    pub(crate) ring: Ring,
}

impl Past {
    /// Records, newest first. May block for as long as a disk takes, as all of these.
    pub(crate) fn records(&self, query: &RecordQuery) -> Result<Rows, String> {
        let before = match query.cursor {
            Some(Place::Ring(number)) => return Ok(self.ring.records(query, Some(number))),
            Some(Place::Store(cursor)) => Some(cursor),
            None => None,
        };
        let filter = Filter {
            who: (&query.key).into(),
            page: Page { from: query.from, to: None, before, limit: query.limit + 1 },
            changes_only: query.changes,
            conditions: Vec::new(),
        };
        match self.store.history(&filter) {
            Ok(records) if records.is_empty() && before.is_none() => Ok(self.ring.records(query, None)),
            Ok(records) => {
                let row = |record: autoscalebot_store::StoredRecord| {
                    Some((Place::Store(record.cursor), RawValue::from_string(record.json).ok()?))
                };
                Ok(Rows::cut(records.into_iter().filter_map(row).collect(), query.limit))
            }
            Err(error) if before.is_none() => {
                tracing::warn!(%error, "the history cannot be read; what this program remembers is shown");
                Ok(self.ring.records(query, None))
            }
            Err(error) => Err(error.to_string()),
        }
    }

    /// Events, newest first.
    pub(crate) fn events(&self, cursor: Option<Place>, limit: usize) -> Result<Rows, String> {
        let remembered = |before| {
            let found = self.ring.events(before, limit + 1);
            let shown = found.iter().map(|(number, event)| (Place::Ring(*number), raw(&EventShown::new(event))));
            Rows::cut(shown.collect(), limit)
        };
        let before = match cursor {
            Some(Place::Ring(number)) => return Ok(remembered(Some(number))),
            Some(Place::Store(cursor)) => Some(cursor),
            None => None,
        };
        let page = Page { before, limit: limit + 1, ..Page::default() };
        match self.store.events(&EventFilter { page, ..EventFilter::default() }) {
            Ok(events) if events.is_empty() && before.is_none() => Ok(remembered(None)),
            Ok(events) => {
                let row = |event: autoscalebot_store::StoredEvent| {
                    Some((Place::Store(event.cursor), RawValue::from_string(event.json).ok()?))
                };
                Ok(Rows::cut(events.into_iter().filter_map(row).collect(), limit))
            }
            Err(error) if before.is_none() => {
                tracing::warn!(%error, "the events cannot be read; what this program remembers is shown");
                Ok(remembered(None))
            }
            Err(error) => Err(error.to_string()),
        }
    }

    /// A series for a chart.
    pub(crate) fn series(&self, query: &SeriesQuery) -> Series {
        match self.stored(query) {
            Ok(series) if series.steps.at.is_empty() && series.measurements.is_empty() => self.ring.series(query),
            Ok(series) => series,
            Err(error) => {
                tracing::warn!(%error, "the series cannot be read; what this program remembers is shown");
                self.ring.series(query)
            }
        }
    }

    fn stored(&self, query: &SeriesQuery) -> Result<Series, autoscalebot_store::StoreError> {
        let SeriesQuery { key, from, to, points } = query.clone();
        let asked = SampleQuery { key: key.clone(), measurement: None, from, to, buckets: points };
        let measurements = self.store.samples(&asked)?.into_iter().map(|series| {
            let mut line = Line::new(&series.measurement, &series.unit, series.width.as_secs_f64());
            for bucket in series.buckets {
                let values = (bucket.count > 0).then_some((bucket.p50, bucket.p95, bucket.max));
                line.push(seconds(bucket.at), values);
            }
            line
        });
        let measurements = measurements.collect();
        let steps = self.steps(&key, (from, to), points)?;
        let page = Page { from: Some(from), to: Some(to), before: None, limit: 4 * MARKS };
        let filter = Filter { who: (&key).into(), page, changes_only: true, conditions: Vec::new() };
        let called = [Marks::SCALED, Marks::FAILED, Marks::DRY_RUN];
        let mut marks: Vec<_> = self
            .store
            .history(&filter)?
            .into_iter()
            .filter(|record| called.iter().any(|mark| record.marks.has(*mark)))
            .take(MARKS)
            .filter_map(|record| record.line().ok())
            .map(|line| Mark {
                at: seconds(line.at),
                before: line.dynos.before,
                after: line.dynos.after,
                desired: line.desired,
                call: line.call,
                reason: line.reason,
                gates: line.gates,
            })
            .collect();
        marks.reverse();
        Ok(Series { from, to, steps, measurements, marks })
    }

    /// The steps of a range; where there are more than a chart can show, those that matter of each of its points.
    fn steps(
        &self,
        key: &ProcessKey,
        (from, to): (Timestamp, Timestamp),
        points: usize,
    ) -> Result<Steps, autoscalebot_store::StoreError> {
        let mut all = Vec::new();
        let mut begin = from;
        for _ in 0..STEPS.1 {
            let some = self.store.steps(key, begin, to, STEPS.0)?;
            let (full, last) = (some.len() >= STEPS.0, some.last().map(|step| step.at));
            all.extend(some);
            match last {
                Some(last) if full && last > begin => begin = last,
                _ => break,
            }
        }
        let mut steps = Steps::default();
        if all.len() <= 4 * points {
            all.iter().for_each(|step| steps.push(step.at.max(from), step.dynos, step.min, step.max));
            return Ok(steps);
        }
        let width = (to.duration_since(from).as_secs_f64() / points.max(1) as f64).max(1.0);
        let point = |step: &Step| ((seconds(step.at.max(from)) - seconds(from)) / width).floor();
        for together in all.chunk_by(|one, next| point(one) == point(next)) {
            // The lowest, the highest and the last: what a person would see of so many in one place.
            let last = together.len() - 1;
            let lowest = (0..=last).min_by_key(|n| together[*n].dynos.unwrap_or(u32::MAX)).unwrap_or(last);
            let highest = (0..=last).max_by_key(|n| together[*n].dynos).unwrap_or(last);
            let mut shown = [lowest, highest, last];
            shown.sort_unstable();
            for step in shown.map(|n| &together[n]) {
                steps.push(step.at.max(from), step.dynos, step.min, step.max);
            }
        }
        Ok(steps)
    }
}

/// The mark of a record.
pub(crate) fn mark(record: &Record) -> Mark {
    let call = match record.call {
        autoscalebot_core::Call::Ok => "ok",
        autoscalebot_core::Call::Failed => "failed",
        autoscalebot_core::Call::DryRun => "dry_run",
        autoscalebot_core::Call::None | autoscalebot_core::Call::Due => "none",
    };
    Mark {
        at: seconds(record.at),
        before: record.before,
        after: record.after,
        desired: record.desired,
        call: call.to_owned(),
        reason: record.sentence().to_string(),
        gates: record.gates.iter().map(|note| note.gate.to_owned()).collect(),
    }
}
