//! [`Ring`]: the newest records and events, in memory, bounded. It answers for the past where the store has nothing or cannot.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, PoisonError, RwLock};

use autoscalebot_core::{Call, Event, EventKind, Reading, Record};
use autoscalebot_store::ProcessKey;

use crate::past::{Line, MARKS, Place, RecordQuery, Rows, Series, SeriesQuery, Steps, mark, raw, seconds};

/// Records of all processes together.
const RECORDS: usize = 6_000;
/// Records of one process at most, and at least.
const OF_ONE: (usize, usize) = (1_000, 2);
/// Events, ticks aside.
const EVENTS: usize = 500;

/// In the order of time, each with its number.
type Numbered<T> = VecDeque<(u64, T)>;

/// The newest records and events.
#[derive(Debug)]
pub(crate) struct Ring {
    of_one: usize,
    records: RwLock<HashMap<ProcessKey, Numbered<Arc<Record>>>>,
    events: RwLock<Numbered<Event>>,
}

impl Ring {
    pub(crate) fn new(processes: usize) -> Self {
        let of_one = (RECORDS / processes.max(1)).clamp(OF_ONE.1, OF_ONE.0);
        Self { of_one, records: RwLock::default(), events: RwLock::default() }
    }

    /// Keeps an event; the oldest makes room.
    pub(crate) fn keep(&self, event: &Event) {
        if event.kind == EventKind::Decided {
            let key = ProcessKey::new(&*event.app, &*event.process);
            let mut records = self.records.write().unwrap_or_else(PoisonError::into_inner);
            add(records.entry(key).or_default(), Arc::clone(&event.record), self.of_one);
        } else {
            add(&mut self.events.write().unwrap_or_else(PoisonError::into_inner), event.clone(), EVENTS);
        }
    }

    /// Events with their numbers, newest first, before this number.
    pub(crate) fn events(&self, before: Option<u64>, limit: usize) -> Vec<(u64, Event)> {
        let events = self.events.read().unwrap_or_else(PoisonError::into_inner);
        events.iter().rev().filter(|(n, _)| before.is_none_or(|before| *n < before)).take(limit).cloned().collect()
    }

    /// The records of a process in the order of time.
    fn of(&self, key: &ProcessKey) -> Vec<(u64, Arc<Record>)> {
        let records = self.records.read().unwrap_or_else(PoisonError::into_inner);
        records.get(key).map(|records| records.iter().cloned().collect()).unwrap_or_default()
    }

    /// Records, newest first.
    pub(crate) fn records(&self, query: &RecordQuery, before: Option<u64>) -> Rows {
        let records = self.of(&query.key);
        let wanted = records.iter().enumerate().rev().filter(|(index, (number, record))| {
            before.is_none_or(|before| *number < before)
                && query.from.is_none_or(|from| record.at >= from)
                && (!query.changes || differs(index.checked_sub(1).map(|last| &*records[last].1), record))
        });
        let rows =
            wanted.take(query.limit + 1).map(|(_, (number, record))| (Place::Ring(*number), raw(record.as_ref())));
        Rows::cut(rows.collect(), query.limit)
    }

    /// A series for a chart.
    pub(crate) fn series(&self, query: &SeriesQuery) -> Series {
        let (mut steps, mut measurements, mut marks) = (Steps::default(), Vec::<Line>::new(), Vec::new());
        for (_, record) in self.of(&query.key).iter().filter(|(_, r)| r.at >= query.from && r.at <= query.to) {
            let bounds = record.bounds.bounds();
            steps.push(record.at, record.after, bounds.min, bounds.max);
            for measured in &record.measured {
                let index = measurements.iter().position(|line| line.name == *measured.name).unwrap_or_else(|| {
                    measurements.push(Line::new(&measured.name, measured.unit.as_str(), 0.0));
                    measurements.len() - 1
                });
                let Some(sampled_at) = measured.sampled_at else { continue };
                // A tick that took no new sample of this measurement repeats the one before.
                if measurements[index].at.last().is_none_or(|last| *last < seconds(sampled_at)) {
                    let value = match measured.reading {
                        Reading::Value(value) => Some((value, value, value)),
                        Reading::Failed(_) => None,
                    };
                    measurements[index].push(seconds(sampled_at), value);
                }
            }
            if record.call != Call::None {
                marks.push(mark(record));
            }
        }
        marks.drain(..marks.len().saturating_sub(MARKS));
        Series { from: query.from, to: query.to, steps, measurements, marks }
    }
}

fn add<T>(ring: &mut Numbered<T>, item: T, most: usize) {
    let number = ring.back().map_or(1, |(number, _)| number + 1);
    if ring.len() >= most {
        ring.pop_front();
    }
    ring.push_back((number, item));
}

/// Whether a record differs from the one before in what a person would look for.
fn differs(before: Option<&Record>, record: &Record) -> bool {
    let Some(before) = before else { return true };
    let gates = |record: &Record| record.gates.iter().map(|note| note.gate).collect::<Vec<_>>();
    record.call != before.call
        || record.call == Call::Ok
        || record.after != before.after
        || record.bounds.bounds() != before.bounds.bounds()
        || record.conditions != before.conditions
        || gates(record) != gates(before)
}
