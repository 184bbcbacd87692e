//! Bounds: min and max dynos in force at an instant, fixed or by time of day and weekday in an IANA zone.
//!
//! One rule for the days on which the clock is moved: a bound follows the furthest local time that the day has reached.
//! An entry inside the hour that is skipped takes effect at the first instant after it; an entry inside the hour that comes
//! twice takes effect at its first occurrence and stays, as the clock going back never changes a bound back
//! (tests `skipped_hour`, `repeated_hour`).

use std::fmt;

use jiff::civil::{DateTime, Weekday};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp, ToSpan};
use serde::{Deserialize, Serialize};

use crate::Dynos;

const MINUTES_PER_DAY: u16 = 24 * 60;
const MINUTES_PER_WEEK: u16 = 7 * MINUTES_PER_DAY;

/// Min and max dynos in force, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bounds {
    /// The fewest dynos.
    pub min: Dynos,
    /// The most dynos.
    pub max: Dynos,
}

impl Bounds {
    /// The nearest number inside the bounds.
    pub fn clamp(self, dynos: Dynos) -> Dynos {
        // Not `Ord::clamp`, which panics where min is above max: settings forbid that, and a bound must never panic.
        dynos.min(self.max).max(self.min)
    }

    /// Whether a number of dynos is inside.
    pub fn contain(self, dynos: Dynos) -> bool {
        (self.min..=self.max).contains(&dynos)
    }
}

/// A minute of the week, from Monday 0:00, in local time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MinuteOfWeek(u16);

impl MinuteOfWeek {
    /// The minute `hour:minute` of a weekday; `24:00` is midnight at the end of that day. `None` where there is no such time.
    pub fn new(weekday: Weekday, hour: u8, minute: u8) -> Option<Self> {
        let of_day = u16::from(hour) * 60 + u16::from(minute);
        if minute > 59 || of_day > MINUTES_PER_DAY {
            return None;
        }
        let day = u16::from(weekday.to_monday_zero_offset().unsigned_abs());
        Some(Self((day * MINUTES_PER_DAY + of_day) % MINUTES_PER_WEEK))
    }

    fn of(local: DateTime) -> Self {
        let day = u16::from(local.weekday().to_monday_zero_offset().unsigned_abs());
        let hour = u16::from(local.hour().unsigned_abs());
        let minute = u16::from(local.minute().unsigned_abs());
        Self(day * MINUTES_PER_DAY + hour * 60 + minute)
    }

    /// The hour and the minute of the day.
    pub fn time_of_day(self) -> (u16, u16) {
        (self.0 % MINUTES_PER_DAY / 60, self.0 % 60)
    }

    /// The weekday.
    pub fn weekday(self) -> &'static str {
        ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"][usize::from(self.0 / MINUTES_PER_DAY) % 7]
    }
}

impl fmt::Display for MinuteOfWeek {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (hour, minute) = self.time_of_day();
        write!(f, "{} {hour:02}:{minute:02}", self.weekday())
    }
}

/// One bound: a number, or numbers by time of the week.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BoundTable {
    /// The same number always.
    Fixed(Dynos),
    /// By time; see [`BoundTable::by_time`].
    ByTime(WeekTable),
}

/// Entries by minute of the week, ascending, one at least.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WeekTable {
    entries: Box<[(MinuteOfWeek, Dynos)]>,
    daily: bool,
}

/// The value of one bound at an instant, and since which entry of its table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InForce {
    /// The number of dynos.
    pub dynos: Dynos,
    /// The entry's time; `None` for a fixed bound.
    pub since: Option<Since>,
}

/// When a table's entry took effect, by the clock of its zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Since {
    /// The entry's minute of the week.
    pub entry: MinuteOfWeek,
    /// Whether the table is the same every day, so that the weekday need not be said.
    pub daily: bool,
}

impl fmt::Display for Since {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.daily {
            let (hour, minute) = self.entry.time_of_day();
            write!(f, "{hour:02}:{minute:02}")
        } else {
            self.entry.fmt(f)
        }
    }
}

impl BoundTable {
    /// A table by time of the week. Entries may come in any order; of two for the same minute the first in `entries` is
    /// kept (settings refuse such a table). `None` where there is no entry. `daily` says that each day's entries are alike.
    pub fn by_time(mut entries: Vec<(MinuteOfWeek, Dynos)>, daily: bool) -> Option<Self> {
        entries.sort_by_key(|(minute, _)| *minute);
        entries.dedup_by_key(|(minute, _)| *minute);
        if entries.is_empty() {
            return None;
        }
        Some(Self::ByTime(WeekTable { entries: entries.into(), daily }))
    }

    /// The bound in force at the furthest local time reached, see [`local_reached`].
    pub fn in_force(&self, reached: Reached) -> InForce {
        match self {
            Self::Fixed(dynos) => InForce { dynos: *dynos, since: None },
            Self::ByTime(table) => table.in_force(reached),
        }
    }

    /// The minutes of the week at which this bound may change.
    pub fn changes(&self) -> impl Iterator<Item = MinuteOfWeek> + '_ {
        let entries: &[_] = match self {
            Self::Fixed(_) => &[],
            Self::ByTime(table) => &table.entries,
        };
        entries.iter().map(|(minute, _)| *minute)
    }
}

impl WeekTable {
    fn in_force(&self, reached: Reached) -> InForce {
        // The entries are a ring: before the first of the week, the last of the week before is in force.
        let after = self.entries.partition_point(|(minute, _)| reached.includes(*minute));
        let at = after.checked_sub(1).unwrap_or(self.entries.len() - 1);
        let (entry, dynos) = self.entries[at];
        InForce { dynos, since: Some(Since { entry, daily: self.daily }) }
    }
}

/// How far the local week has come: up to and including a minute, or up to but not including it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reached {
    minute: MinuteOfWeek,
    included: bool,
}

impl Reached {
    /// Up to and including a minute, for looking through a table without a date.
    pub fn at(minute: MinuteOfWeek) -> Self {
        Self { minute, included: true }
    }

    fn includes(self, entry: MinuteOfWeek) -> bool {
        if self.included { entry <= self.minute } else { entry < self.minute }
    }
}

/// The furthest local time that has been reached at an instant: what the clock shows, but inside an hour that comes a
/// second time, the end of that hour.
pub fn local_reached(zone: &TimeZone, at: Timestamp) -> Reached {
    let local = zone.to_datetime(at);
    let now = Reached::at(MinuteOfWeek::of(local));
    let ambiguous = zone.to_ambiguous_timestamp(local);
    let AmbiguousOffset::Fold { before, after } = ambiguous.offset() else { return now };
    if zone.to_offset(at) != after {
        return now;
    }
    // The second occurrence: the first one ran until the transition, by the offset before it. The transition lies at or
    // before `at`; the search for it starts just after.
    let Ok(just_after) = at.checked_add(1.nanosecond()) else { return now };
    let Some(transition) = zone.preceding(just_after).next() else { return now };
    let end = before.to_datetime(transition.timestamp());
    if end <= local {
        return now;
    }
    // An end at midnight between Sunday and Monday would read as the first minute of the week: then all is reached.
    let minute = MinuteOfWeek::of(end);
    if minute < now.minute {
        return Reached::at(MinuteOfWeek(MINUTES_PER_WEEK - 1));
    }
    Reached { minute, included: false }
}

/// Both bounds of a process and the zone that their tables are read in.
#[derive(Debug, Clone)]
pub struct BoundTables {
    /// The fewest dynos.
    pub min: BoundTable,
    /// The most dynos.
    pub max: BoundTable,
    /// Whose clock the tables follow.
    pub zone: TimeZone,
}

/// Both bounds at an instant, with the entries behind them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BoundsInForce {
    /// The fewest dynos.
    pub min: InForce,
    /// The most dynos.
    pub max: InForce,
}

impl BoundsInForce {
    /// The numbers alone.
    pub fn bounds(self) -> Bounds {
        Bounds { min: self.min.dynos, max: self.max.dynos }
    }
}

/// A change of the bounds to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BoundsChange {
    /// When.
    pub at: Timestamp,
    /// To what.
    pub bounds: Bounds,
}

impl BoundTables {
    /// The bounds at an instant.
    pub fn in_force(&self, at: Timestamp) -> BoundsInForce {
        if let (BoundTable::Fixed(min), BoundTable::Fixed(max)) = (&self.min, &self.max) {
            return BoundsInForce {
                min: InForce { dynos: *min, since: None },
                max: InForce { dynos: *max, since: None },
            };
        }
        let reached = local_reached(&self.zone, at);
        BoundsInForce { min: self.min.in_force(reached), max: self.max.in_force(reached) }
    }

    /// The first time of the week at which min is above max, with both values; `None` where that never happens.
    pub fn crossing(&self) -> Option<(MinuteOfWeek, Bounds)> {
        let first = MinuteOfWeek(0);
        std::iter::once(first).chain(self.min.changes()).chain(self.max.changes()).find_map(|minute| {
            let reached = Reached::at(minute);
            let bounds = Bounds { min: self.min.in_force(reached).dynos, max: self.max.in_force(reached).dynos };
            (bounds.min > bounds.max).then_some((minute, bounds))
        })
    }

    /// The first change of the bounds after `after` and up to `until`.
    pub fn next_change(&self, after: Timestamp, until: Timestamp) -> Option<BoundsChange> {
        let now = self.in_force(after).bounds();
        self.possible_changes(after, until).into_iter().find_map(|at| {
            let bounds = self.in_force(at).bounds();
            (bounds != now).then_some(BoundsChange { at, bounds })
        })
    }

    /// The instants at which a bound might change, ascending: each entry's on each day, and the clock's own moves (an entry
    /// inside a skipped hour takes effect at one).
    fn possible_changes(&self, after: Timestamp, until: Timestamp) -> Vec<Timestamp> {
        let mut instants = Vec::new();
        let minutes: Vec<_> = self.min.changes().chain(self.max.changes()).collect();
        if minutes.is_empty() {
            return instants;
        }
        let mut date = self.zone.to_datetime(after).date();
        // A day more on either side: the zone may move the clock over midnight.
        date = date.checked_sub(1.day()).unwrap_or(date);
        let last = self.zone.to_datetime(until).date();
        let last = last.checked_add(1.day()).unwrap_or(last);
        while date <= last {
            let weekday = u16::from(date.weekday().to_monday_zero_offset().unsigned_abs());
            for minute in minutes.iter().filter(|minute| minute.0 / MINUTES_PER_DAY == weekday) {
                let (hour, minute) = minute.time_of_day();
                let (Ok(hour), Ok(minute)) = (i8::try_from(hour), i8::try_from(minute)) else { continue };
                // "Compatible" takes the first of two occurrences, and moves a skipped time past the gap; the transition
                // itself, which comes first, is added below.
                if let Ok(at) = self.zone.to_ambiguous_timestamp(date.at(hour, minute, 0, 0)).compatible() {
                    instants.push(at);
                }
            }
            let Ok(next) = date.checked_add(1.day()) else { break };
            date = next;
        }
        instants.extend(self.zone.following(after).map(|t| t.timestamp()).take_while(|at| *at <= until).take(64));
        instants.retain(|at| *at > after && *at <= until);
        instants.sort_unstable();
        instants.dedup();
        instants
    }

    /// All changes of the bounds in the time that follows `after`, for `span`.
    pub fn changes(&self, after: Timestamp, span: SignedDuration) -> Vec<BoundsChange> {
        let until = after.checked_add(span).unwrap_or(Timestamp::MAX);
        let mut now = self.in_force(after).bounds();
        let mut changes = Vec::new();
        for at in self.possible_changes(after, until) {
            let bounds = self.in_force(at).bounds();
            if bounds != now {
                changes.push(BoundsChange { at, bounds });
                now = bounds;
            }
        }
        changes
    }
}

#[cfg(test)]
#[path = "bounds_tests.rs"]
mod tests;
