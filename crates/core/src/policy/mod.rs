//! Policies: each turns the samples of one measurement into a [`Proposal`]. One file a policy; [`POLICIES`] is the list.
//!
//! A policy holds its settings and nothing else: what it remembers is the [`Evidence`], which the state carries for it, so
//! that any tick can be decided again.

use std::fmt::Debug;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::fields::{Description, FieldError, Values};
use crate::history::{Evidence, Window};
use crate::{Advice, Bounds, Detail, Dynos, Phrase, Unit, Verdict};

pub mod consecutive;
pub mod python;

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
    /// A reason to fail instead of doing it: the tick then counts as one whose scaling call failed, and no call is made.
    pub refused: Option<&'static str>,
}

impl Proposal {
    /// A wanted number, with its reason.
    pub fn want(desired: Dynos, why: Phrase) -> Self {
        Self { desired: Some(desired), why, refused: None }
    }

    /// No proposal, with its reason.
    pub fn unknown(why: Phrase) -> Self {
        Self { desired: None, why, refused: None }
    }
}

/// A rule from samples to a wanted number of dynos.
pub trait Policy: Debug + Send + Sync {
    /// How much evidence to keep.
    fn window(&self) -> Window;

    /// How a value lies to the wanted range.
    fn verdict(&self, value: f64) -> Verdict;

    /// The proposal for this tick. Called only when there is a usable sample that is not out of date.
    fn propose(&self, input: &PolicyInput<'_>) -> Proposal;

    /// Whom to ask before each tick, for a policy that passes on advice from outside the core.
    fn adviser(&self) -> Option<&Adviser> {
        None
    }
}

/// A function outside the core, and where it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Adviser {
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
pub const POLICIES: &[PolicyKind] = &[consecutive::KIND, python::KIND];
