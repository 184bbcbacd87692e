//! Gates: rules that may hold a proposal back. One file a gate; [`GATES`] is the list, in the order in which they are asked.
//!
//! The bounds are no gate: they come last and are never held back, except by a gate that [keeps everything as it
//! is](Gate::holds_bounds_too), such as a pause.

use std::fmt::Debug;
use std::sync::Arc;

use jiff::Timestamp;

use crate::fields::{Description, FieldError, Values};
use crate::state::State;
use crate::{Bounds, Dynos, Observation, Phrase};

pub mod cooldown;
pub mod pause;

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

/// Every gate, in the order in which they are asked.
pub const GATES: &[GateKind] = &[pause::KIND, cooldown::KIND];
