//! Gates: rules that may hold a proposal back. One file a gate; [`GATES`] is the list, in the order in which they are asked.
//!
//! The bounds are no gate: they come last and are never held back, except by a gate that [keeps everything as it
//! is](Gate::holds_bounds_too), such as a pause.

use std::fmt::Debug;
use std::sync::Arc;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::condition::Condition;
use crate::fields::{Description, FieldError, Values};
use crate::record::Measured;
use crate::state::State;
use crate::{Bounds, Detail, Dynos, Failure, Observation, Phrase, Reading, Unit};

pub mod boot;
pub mod budget;
pub mod busy_floor;
pub mod cooldown;
pub mod deploy_hold;
pub mod idle_after;
pub mod max_step;
pub mod pause;
pub mod quiet_hours;
pub mod stabilization;
#[cfg(test)]
pub(crate) mod testing;
pub mod tolerance;
pub mod wake;

/// What a gate sees.
#[derive(Debug, Clone, Copy)]
pub struct GateInput<'a> {
    /// The instant of the tick.
    pub at: Timestamp,
    /// Dynos on the platform now.
    pub before: Dynos,
    /// What is proposed, by the policies or by the gates asked before. It may equal `before`.
    pub desired: Dynos,
    /// The bounds in force.
    pub bounds: Bounds,
    /// What is carried from tick to tick.
    pub state: &'a State,
    /// What was seen for this tick.
    pub seen: &'a Observation,
    /// The zone whose clock the process follows.
    pub zone: &'a TimeZone,
    /// Whether anything is asked of the process now.
    pub activity: Activity,
}

/// Whether anything is asked of a process: requests, jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activity {
    /// Something is.
    Some,
    /// Nothing is, as all measurements say.
    None,
    /// One of them says nothing.
    Unknown,
}

impl Activity {
    /// From the measurements of a tick, those in the shadow aside.
    pub(crate) fn of(measured: &[Measured]) -> Self {
        let known = measured.iter().filter(|measured| !measured.shadow).map(Self::of_one);
        let told = known.fold(None, |all: Option<Self>, one| {
            Some(match (all, one) {
                (Some(Self::Some), _) | (_, Self::Some) => Self::Some,
                (Some(Self::Unknown), _) | (_, Self::Unknown) => Self::Unknown,
                _ => Self::None,
            })
        });
        told.unwrap_or(Self::Unknown)
    }

    /// Where a source tells how much comes or is worked on, that counts, even beside a reading that failed: requests that found
    /// no dyno have no time. Else its number does: it is above 0 where jobs wait, and where something answers at all.
    fn of_one(measured: &Measured) -> Self {
        let Detail { rate, concurrency, busy, .. } = measured.detail;
        let told = [rate, concurrency, busy];
        let late = matches!(measured.reading, Reading::Failed(Failure::Late(_)));
        match &measured.reading {
            _ if !late && told.iter().flatten().any(|number| *number > 0.0) => Self::Some,
            Reading::Failed(_) => Self::Unknown,
            Reading::Value(value) if *value > 0.0 && (rate.is_none() || measured.unit == Unit::Jobs) => Self::Some,
            Reading::Value(_) => Self::None,
        }
    }
}

/// A direction of change that a gate may be set to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// No dyno is added.
    Up,
    /// No dyno is removed.
    Down,
    /// Neither.
    Both,
}

impl Holds {
    /// The words for it in settings.
    pub const WORDS: &'static [&'static str] = &["up", "down", "both"];

    /// From its word; both, where it is none of them.
    pub fn from_word(word: Option<&str>) -> Self {
        match word {
            Some("up") => Self::Up,
            Some("down") => Self::Down,
            _ => Self::Both,
        }
    }

    /// Whether a change from one number to another is held.
    pub fn holds(self, before: Dynos, desired: Dynos) -> bool {
        match self {
            Self::Up => desired > before,
            Self::Down => desired < before,
            Self::Both => desired != before,
        }
    }
}

/// What a gate says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Say {
    /// Nothing: the proposal goes on.
    Pass,
    /// The proposal is replaced by this number (`before`, to hold), for this reason.
    Instead(Dynos, Phrase),
}

/// A rule that may hold a proposal back.
pub trait Gate: Debug + Send + Sync {
    /// Its name in records.
    fn name(&self) -> &'static str;

    /// What it says of a proposal.
    fn ask(&self, input: &GateInput<'_>) -> Say;

    /// Whether it is asked even where no change is proposed, as it may want one itself.
    fn asks_always(&self) -> bool {
        false
    }

    /// How long the proposals and the changes of the past are kept for it.
    fn looks_back(&self) -> SignedDuration {
        SignedDuration::ZERO
    }

    /// Whether it needs the dyno-hours of the month.
    fn counts_hours(&self) -> bool {
        false
    }

    /// Whether it needs to know when something was asked of the process last.
    fn watches_activity(&self) -> bool {
        false
    }

    /// Whether it needs to know when the newest release was made.
    fn needs_release(&self) -> bool {
        false
    }

    /// What is worth knowing of it while it holds, whether or not there is a proposal to hold back. `at` is the instant of the
    /// tick, `zone` the one whose clock the process follows.
    fn condition(&self, _at: Timestamp, _state: &State, _zone: &TimeZone) -> Option<Condition> {
        None
    }

    /// Whether it also keeps a process outside its bounds as it is. Asked even where nothing is proposed.
    fn holds_bounds_too(&self) -> bool {
        false
    }
}

/// Makes a gate from settings already checked against its fields; `None` where these settings leave nothing to hold.
pub type BuildGate = fn(&Values) -> Result<Option<Arc<dyn Gate>>, FieldError>;

/// A kind of gate: its settings, and how to make one from them.
#[derive(Debug, Clone, Copy)]
pub struct GateKind {
    /// Its name, sentence and fields. Settings of a process hold it under its name; without it the defaults are read.
    pub description: Description,
    /// Makes the gate.
    pub build: BuildGate,
}

/// Every gate, in the order in which they are asked: first those that say that there is nothing to do, then those that say
/// "not now", then those that change how far to go.
pub const GATES: &[GateKind] = &[
    pause::KIND,
    tolerance::KIND,
    stabilization::KIND,
    idle_after::KIND,
    cooldown::KIND,
    quiet_hours::KIND,
    deploy_hold::KIND,
    boot::KIND,
    busy_floor::KIND,
    wake::KIND,
    max_step::KIND,
    budget::KIND,
];
