//! [`Spec`]: the settings of one process, already checked. It never changes during a run.

use std::sync::Arc;

use jiff::SignedDuration;

use crate::gate::Gate;
use crate::policy::Policy;
use crate::{BoundTables, Dynos, Unit};

/// One process's settings.
#[derive(Debug, Clone)]
pub struct Spec {
    /// The app's name in the settings.
    pub app: Arc<str>,
    /// The process type.
    pub process: Arc<str>,
    /// Min and max dynos.
    pub bounds: BoundTables,
    /// What is measured, and the policy of each.
    pub measurements: Vec<MeasurementSpec>,
    /// The rules that may hold a proposal back, in the order in which they are asked.
    pub gates: Vec<Arc<dyn Gate>>,
    /// What a quantity of 0 means that this program did not set.
    pub zero: Zero,
    /// When the condition `scaling_too_rapid` holds; `None`: never.
    pub rapid: Option<Rapid>,
}

/// One measurement of a process.
#[derive(Debug, Clone)]
pub struct MeasurementSpec {
    /// Its name, unique in the process.
    pub name: Arc<str>,
    /// What its numbers count.
    pub unit: Unit,
    /// A sample older than this is unknown.
    pub max_age: SignedDuration,
    /// Whether a failure that looks like overload counts as too high, as for a heartbeat.
    pub failures_mean_overload: bool,
    /// The rule from samples to a proposal.
    pub policy: Arc<dyn Policy>,
    /// Whether its proposal is only recorded: it neither raises nor lowers, and says nothing when it is unknown.
    pub shadow: bool,
}

impl Spec {
    /// How long proposals and changes are kept for the gates.
    pub(crate) fn looks_back(&self) -> SignedDuration {
        self.gates.iter().map(|gate| gate.looks_back()).max().unwrap_or(SignedDuration::ZERO)
    }
}

/// What to do with a quantity of 0 that this program did not set, where the minimum is above 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Zero {
    /// Somebody stopped the process by hand: keep it, with the condition `stopped_by_hand`.
    #[default]
    Keep,
    /// Start it: `zero = "start"`.
    Start,
}

/// Scaling is too rapid where the highest and the lowest quantity within `within` differ by more than `dynos`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rapid {
    /// More than so many dynos apart.
    pub dynos: Dynos,
    /// Within this time.
    pub within: SignedDuration,
}
