//! [`Event`]: something that happened. The one stream that notifications, store, dashboard, metrics and log read; it follows
//! from the conditions that held before and the record of this tick.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;

use crate::condition::Condition;
use crate::record::{Call, Record};
use crate::{Dynos, State};

/// Something that happened to one process.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// The app's name in the settings.
    pub app: Arc<str>,
    /// The process type.
    pub process: Arc<str>,
    /// The number of dynos after it; `None`: unknown.
    pub dynos: Option<Dynos>,
    /// What happened.
    pub kind: EventKind,
    /// The record of the tick in which it happened.
    pub record: Arc<Record>,
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum EventKind {
    /// A tick was decided; its record says how. Every tick has exactly one, and it comes first.
    Decided,
    /// The quantity was changed.
    Scaled {
        /// The quantity before.
        from: Dynos,
        /// The quantity after.
        to: Dynos,
    },
    /// A scaling call failed.
    ScaleFailed,
    /// A condition began to hold.
    ConditionBegan(Condition),
    /// A condition holds no longer; it began then.
    ConditionEnded(Condition, Timestamp),
    /// A condition still holds; it began then. Made by who notifies, on its own schedule, not by the tick.
    ConditionHolds(Condition, Timestamp),
}

impl EventKind {
    /// The names of what is not a condition, as settings (`on = […]`) use them.
    pub const NAMES: &'static [&'static str] = &["decided", "scaled", "scale_failed"];

    /// Its name in settings: a condition goes by one name from its beginning to its end.
    pub fn topic(&self) -> &'static str {
        match self {
            Self::Decided => "decided",
            Self::Scaled { .. } => "scaled",
            Self::ScaleFailed => "scale_failed",
            Self::ConditionBegan(condition)
            | Self::ConditionEnded(condition, _)
            | Self::ConditionHolds(condition, _) => condition.as_str(),
        }
    }

    /// Its name in the stream.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Decided => "decided",
            Self::Scaled { .. } => "scaled",
            Self::ScaleFailed => "scale_failed",
            Self::ConditionBegan(_) => "condition_began",
            Self::ConditionEnded(..) => "condition_ended",
            Self::ConditionHolds(..) => "condition_holds",
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (app, process) = (&self.app, &self.process);
        let why = self.record.sentence();
        let because = |condition: &Condition| match condition.shows_in_decisions() {
            true => format!(": {why}"),
            false => String::new(),
        };
        match &self.kind {
            EventKind::Decided => {
                write!(f, "{app}/{process}: {}", self.record.verdict.as_str())?;
                for measured in &self.record.measured {
                    match &measured.reading {
                        crate::Reading::Value(value) => {
                            write!(f, ", {} {value:.0} {}", measured.name, measured.unit.as_str())?
                        }
                        crate::Reading::Failed(failure) => write!(f, ", {} {failure}", measured.name)?,
                    }
                }
                write!(f, "; {why}")
            }
            EventKind::Scaled { from, to } => write!(f, "{app}/{process}: scaled from {from} to {to} dynos: {why}"),
            EventKind::ScaleFailed => write!(f, "{app}/{process}: could not scale: {why}"),
            EventKind::ConditionBegan(condition) => {
                write!(f, "{app}/{process}: {} began{}", condition.meaning(), because(condition))
            }
            EventKind::ConditionEnded(condition, since) => {
                write!(f, "{app}/{process}: ended after {}: {}", Ago(*since, self.at), condition.meaning())
            }
            EventKind::ConditionHolds(condition, since) => {
                let (after, meaning) = (Ago(*since, self.at), condition.meaning());
                write!(f, "{app}/{process}: still so after {after}: {meaning}{}", because(condition))
            }
        }
    }
}

struct Ago(Timestamp, Timestamp);

impl fmt::Display for Ago {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secs = self.1.duration_since(self.0).as_secs().max(0);
        match secs {
            0..60 => write!(f, "{secs} s"),
            60..3600 => write!(f, "{} min", secs / 60),
            _ => write!(f, "{} h {} min", secs / 3600, secs % 3600 / 60),
        }
    }
}

/// What happened in a tick: `before` is the state before it was settled, `record` the concluded one.
pub fn events(before: &State, record: &Arc<Record>) -> Vec<Event> {
    let event = |kind| Event {
        at: record.at,
        app: Arc::clone(&record.app),
        process: Arc::clone(&record.process),
        dynos: record.after,
        kind,
        record: Arc::clone(record),
    };
    let mut all = vec![event(EventKind::Decided)];
    if let Some((from, to)) = record.change() {
        all.push(event(EventKind::Scaled { from, to }));
    }
    if record.call == Call::Failed {
        all.push(event(EventKind::ScaleFailed));
    }
    for condition in &record.conditions {
        if !before.conditions.iter().any(|(open, _)| open == condition) {
            all.push(event(EventKind::ConditionBegan(*condition)));
        }
    }
    for (condition, since) in &before.conditions {
        if !record.conditions.contains(condition) {
            all.push(event(EventKind::ConditionEnded(*condition, *since)));
        }
    }
    all
}
