//! What makes a decision record worth keeping for longer than a day: that it differs from the one before it in something that
//! a person would look for. A record without a mark repeats the one before it, but for its measurements, and those are kept
//! as samples.

use std::collections::BTreeMap;
use std::fmt;

use autoscalebot_core::{Call, Condition, Record};

use crate::line::RecordLine;

/// The marks of one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Marks(pub(crate) i64);

impl Marks {
    /// This program changed the quantity.
    pub const SCALED: Self = Self(1);
    /// A scaling call failed, and the one before it did not.
    pub const FAILED: Self = Self(2);
    /// A condition began or ended.
    pub const CONDITIONS: Self = Self(4);
    /// Other bounds are in force.
    pub const BOUNDS: Self = Self(8);
    /// Somebody else changed the quantity, or it could not be read, or could be read again.
    pub const QUANTITY: Self = Self(16);
    /// A gate began to speak, or fell silent.
    pub const GATES: Self = Self(32);
    /// The first record of its process.
    pub const FIRST: Self = Self(64);
    /// A dry run would set another quantity than the tick before.
    pub const DRY_RUN: Self = Self(128);

    const NAMES: [(Self, &'static str); 8] = [
        (Self::SCALED, "scaled"),
        (Self::FAILED, "failed"),
        (Self::CONDITIONS, "conditions"),
        (Self::BOUNDS, "bounds"),
        (Self::QUANTITY, "quantity"),
        (Self::GATES, "gates"),
        (Self::FIRST, "first"),
        (Self::DRY_RUN, "dry_run"),
    ];

    /// Whether these are among them.
    pub fn has(self, marks: Self) -> bool {
        self.0 & marks.0 == marks.0
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Their names.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::NAMES.into_iter().filter(move |(mark, _)| self.has(*mark)).map(|(_, name)| name)
    }

    fn add(&mut self, mark: Self, so: bool) {
        if so {
            self.0 |= mark.0;
        }
    }
}

impl fmt::Display for Marks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.names().collect::<Vec<_>>().join(" "))
    }
}

/// What the next record of a process is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Last {
    after: Option<u32>,
    bounds: (u32, u32),
    conditions: Vec<&'static str>,
    gates: Vec<String>,
    failed: bool,
    dry_run: Option<u32>,
}

impl Last {
    pub(crate) fn of(record: &Record) -> Self {
        let bounds = record.bounds.bounds();
        Self {
            after: record.after,
            bounds: (bounds.min, bounds.max),
            conditions: record.conditions.iter().map(|condition| condition.as_str()).collect(),
            gates: record.gates.iter().map(|note| note.gate.to_owned()).collect(),
            failed: record.call == Call::Failed,
            dry_run: record.desired.filter(|_| record.call == Call::DryRun),
        }
    }

    /// The same, of a record that was stored.
    pub(crate) fn of_line(line: &RecordLine) -> Self {
        let known = |name: &String| Condition::ALL.iter().map(|c| c.as_str()).find(|known| known == name);
        Self {
            after: line.dynos.after,
            bounds: (line.bounds.min, line.bounds.max),
            conditions: line.conditions.iter().filter_map(known).collect(),
            gates: line.gates.clone(),
            failed: line.call == "failed",
            dry_run: line.desired.filter(|_| line.call == "dry_run"),
        }
    }

    /// The marks of a record that follows this one.
    pub(crate) fn marks(last: Option<&Self>, record: &Record) -> Marks {
        let now = Self::of(record);
        let mut marks = Marks::default();
        marks.add(Marks::SCALED, record.change().is_some());
        let Some(last) = last else {
            marks.add(Marks::FIRST, true);
            marks.add(Marks::FAILED, now.failed);
            return marks;
        };
        marks.add(Marks::FAILED, now.failed && !last.failed);
        marks.add(Marks::CONDITIONS, now.conditions != last.conditions);
        marks.add(Marks::BOUNDS, now.bounds != last.bounds);
        marks.add(Marks::QUANTITY, record.before != last.after);
        marks.add(Marks::GATES, now.gates != last.gates);
        marks.add(Marks::DRY_RUN, now.dry_run.is_some() && now.dry_run != last.dry_run);
        marks
    }
}

/// The last record of each process, by its number in the store.
pub(crate) type LastOf = BTreeMap<i64, Last>;
