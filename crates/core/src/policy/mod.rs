//! Policies: each turns the samples of one measurement into a [`Proposal`]. One file a policy; [`POLICIES`] is the list.
//!
//! A policy holds its settings and nothing else: what it remembers is the [`Evidence`], which the state carries for it, so
//! that any tick can be decided again.

use std::fmt::Debug;
use std::sync::Arc;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::fields::{Description, FieldError, Values};
use crate::history::{Evidence, Point, Window};
use crate::learned::Learned;
use crate::{Advice, Bounds, Detail, Dynos, Phrase, Unit, Verdict};

pub mod app;
pub mod average;
pub mod concurrency;
pub mod consecutive;
pub mod forecast;
pub mod python;
pub mod queue;
pub mod response_time;
pub mod schedule;
pub mod steps;
pub mod target;
#[cfg(test)]
pub(crate) mod testing;

/// What a policy sees.
#[derive(Debug, Clone, Copy)]
pub struct PolicyInput<'a> {
    /// The instant of the tick.
    pub at: Timestamp,
    /// Dynos on the platform now.
    pub dynos: Dynos,
    /// The bounds in force. A proposal may lie outside: the bounds come last, and how far outside is worth knowing.
    pub bounds: Bounds,
    /// Dynos that serve now, at most `dynos`; all of them where that is not known.
    pub ready: Dynos,
    /// The samples since the last scale.
    pub evidence: Evidence<'a>,
    /// What the newest sample tells beside its number.
    pub detail: Detail,
    /// The process's zone.
    pub zone: &'a TimeZone,
    /// What somebody outside the core advises.
    pub advice: Option<&'a Advice>,
}

/// What a policy wants, and why.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Proposal {
    /// The wanted number of dynos; `None`: unknown.
    pub desired: Option<Dynos>,
    /// The sentence for people.
    pub why: Phrase,
    /// Whether it is a floor: it may raise, and keeps the others from lowering below it, but is no reason to lower by itself.
    pub floor: bool,
    /// A reason to fail instead of doing it: the tick then counts as one whose scaling call failed, and no call is made.
    pub refused: Option<&'static str>,
}

impl Proposal {
    /// A wanted number, with its reason.
    pub fn want(desired: Dynos, why: Phrase) -> Self {
        Self { desired: Some(desired), why, floor: false, refused: None }
    }

    /// At least so many, with the reason; see [`Proposal::floor`](field@Proposal::floor).
    pub fn floor(dynos: Dynos, why: Phrase) -> Self {
        Self { desired: Some(dynos), why, floor: true, refused: None }
    }

    /// No proposal, with its reason.
    pub fn unknown(why: Phrase) -> Self {
        Self { desired: None, why, floor: false, refused: None }
    }
}

/// Why a policy wants no change where nothing argues yet.
pub(crate) const NOTHING_READ: Phrase = Phrase::new("nothing was read since the last scale");

/// The fewest whole dynos for a quotient of load by what one dyno takes, free of float noise: 0.1 × 3 / 0.1 is
/// 3.0000000000000004 and means 3, while 2.032 means 3 and 0.00001 means 1. What is too large for the type is the most that
/// it holds. Test: `a12_ceiling_of_float_noise`.
///
/// ```
/// use autoscalebot_core::policy::dynos_for;
/// assert_eq!((dynos_for(0.1 * 3.0 / 0.1), dynos_for(2.032), dynos_for(0.0), dynos_for(4e13)), (3, 3, 0, u32::MAX));
/// ```
pub fn dynos_for(quotient: f64) -> Dynos {
    let nearest = quotient.round();
    let whole = if (quotient - nearest).abs() <= 1e-9 * quotient { nearest } else { quotient.ceil() };
    // A float beyond the range becomes the nearest number within; what is no number becomes 0.
    whole as Dynos
}

/// A number that must be given.
pub(crate) fn needed(values: &Values, name: &'static str) -> Result<f64, FieldError> {
    values.number(name).ok_or_else(|| FieldError::new(name, "is needed"))
}

/// A count that must be given or has a default.
pub(crate) fn count(values: &Values, name: &'static str) -> Result<u32, FieldError> {
    values.whole(name).and_then(|n| u32::try_from(n).ok()).ok_or_else(|| FieldError::new(name, "is needed"))
}

/// A duration that must be given or has a default.
pub(crate) fn span(values: &Values, name: &'static str) -> Result<SignedDuration, FieldError> {
    values.duration(name).ok_or_else(|| FieldError::new(name, "is needed"))
}

/// A level above 0.
pub(crate) fn positive(values: &Values, name: &'static str) -> Result<f64, FieldError> {
    let level = needed(values, name)?;
    if level > 0.0 { Ok(level) } else { Err(FieldError::new(name, "must be above 0")) }
}

/// A rule from samples to a wanted number of dynos.
pub trait Policy: Debug + Send + Sync {
    /// How much evidence to keep.
    fn window(&self) -> Window;

    /// How a value lies to the wanted range.
    fn verdict(&self, value: f64) -> Verdict;

    /// The same where the number of dynos is known, for a range that depends on it.
    fn verdict_at(&self, value: f64, dynos: Dynos) -> Verdict {
        let _ = dynos;
        self.verdict(value)
    }

    /// Whether the evidence outlives a change of the quantity. That is right only where it tells of the load itself, on which
    /// the quantity has no part (a rate, jobs in a queue), and the proposal is a number of dynos for that load, never a step
    /// from the number there is: then the same evidence wants the same number again, and nothing is done twice.
    fn keeps_evidence(&self) -> bool {
        false
    }

    /// What is to be remembered of a sample that counts, beyond the window. Called once for each, after the tick that saw it
    /// first.
    fn learn(&self, learned: &mut Learned, point: &Point) {
        let _ = (learned, point);
    }

    /// Whether its measurement says nothing with no dyno running, so that a process that is down to 0 would stay there.
    fn is_blind_at_zero(&self) -> bool {
        false
    }

    /// The proposal for this tick. Called only when there is a usable sample that is not out of date.
    fn propose(&self, input: &PolicyInput<'_>) -> Proposal;

    /// Whom to ask before each tick, for a policy that passes on advice from outside the core.
    fn adviser(&self) -> Option<&Adviser> {
        None
    }
}

/// Whom to ask outside the core.
#[derive(Debug, Clone, PartialEq)]
pub enum Adviser {
    /// A function in Python.
    Function(Function),
    /// Who knows the seasons of the measurement, for the highest load until then.
    Seasons {
        /// How far ahead.
        ahead: SignedDuration,
    },
}

impl Adviser {
    /// The most that an answer may take.
    pub fn timeout(&self) -> SignedDuration {
        match self {
            Self::Function(function) => function.timeout,
            Self::Seasons { .. } => SignedDuration::from_secs(2),
        }
    }
}

/// A function in Python, and where it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Function {
    /// Its dotted path.
    pub function: String,
    /// The program that runs it; none: the one at hand.
    pub interpreter: Option<String>,
    /// The settings module of a Django project to set up first.
    pub django_settings: Option<String>,
    /// A folder to import from, before all others.
    pub path: Option<String>,
    /// The most that it may take.
    pub timeout: SignedDuration,
}

/// Makes a policy from settings already checked against its fields; faults across fields are found here.
pub type BuildPolicy = fn(&Values, Unit) -> Result<Arc<dyn Policy>, FieldError>;

/// A kind of policy: its settings, and how to make one from them.
#[derive(Debug, Clone, Copy)]
pub struct PolicyKind {
    /// Its name, sentence and fields.
    pub description: Description,
    /// Makes the policy.
    pub build: BuildPolicy,
}

/// Every policy, by name.
pub const POLICIES: &[PolicyKind] = &[
    app::KIND,
    average::KIND,
    concurrency::KIND,
    consecutive::KIND,
    forecast::KIND,
    python::KIND,
    queue::KIND,
    response_time::KIND,
    schedule::KIND,
    steps::KIND,
    target::KIND,
];
