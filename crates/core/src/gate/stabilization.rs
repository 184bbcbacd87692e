//! `stabilization`: fewer dynos only as the highest proposal of a window, more only as the lowest; as Kubernetes does it
//! (<https://kubernetes.io/docs/concepts/workloads/autoscaling/horizontal-pod-autoscale/>, "Stabilization window").
//!
//! The proposals are those that the policies made together, before gates and bounds. Two windows never turn a move around:
//! where the number of dynos lies between the lowest and the highest, it stays. Until the proposals fill the window for the way
//! down, after a start, nothing is lowered.

use std::sync::Arc;

use jiff::SignedDuration;

use crate::fields::{Description, Field, FieldType};
use crate::gate::{Gate, GateInput, GateKind, Say};
use crate::state::Proposed;
use crate::{Dynos, Phrase};

/// The rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stabilization {
    /// The window for more dynos; zero: none.
    pub up: SignedDuration,
    /// The window for fewer dynos; zero: none.
    pub down: SignedDuration,
}

const DAY_SECS: f64 = 86_400.0;

/// The entry in the list of gates.
pub const KIND: GateKind = GateKind {
    description: Description {
        name: "stabilization",
        doc: "Fewer dynos only as the highest proposal of a window, more only as the lowest; a single duration is the window down.",
        fields: &[
            Field::defaulting(
                "up",
                FieldType::Duration(0.0, DAY_SECS),
                "\"0s\"",
                "Dynos are added up to the lowest proposal of so long.",
            ),
            Field::defaulting(
                "down",
                FieldType::Duration(0.0, DAY_SECS),
                "\"0s\"",
                "Dynos are removed down to the highest proposal of so long.",
            ),
        ],
        shorthand: &["down"],
    },
    build: |values| {
        let up = values.duration("up").unwrap_or_default();
        let down = values.duration("down").unwrap_or_default();
        Ok((!up.is_zero() || !down.is_zero()).then(|| Arc::new(Stabilization { up, down }) as Arc<dyn Gate>))
    },
};

impl Stabilization {
    /// The lowest and the highest proposal of the window, this tick's among them.
    fn extremes(input: &GateInput<'_>, window: SignedDuration) -> (Dynos, Dynos) {
        let within = |one: &&Proposed| input.at.duration_since(one.until) < window;
        let all = input.state.proposals.iter().rev().take_while(within);
        all.fold((input.desired, input.desired), |(low, high), one| (low.min(one.low), high.max(one.high)))
    }
}

impl Gate for Stabilization {
    fn name(&self) -> &'static str {
        KIND.description.name
    }

    fn ask(&self, input: &GateInput<'_>) -> Say {
        let (before, desired) = (input.before, input.desired);
        if desired > before && !self.up.is_zero() {
            let (low, _) = Self::extremes(input, self.up);
            if low < desired {
                let why = "stabilization: {0} dynos are wanted, but {1} were within the last {2} s";
                let numbers = [desired.into(), low.into(), self.up.as_secs_f64()];
                return Say::Instead(low.max(before), Phrase::with(why, numbers));
            }
        }
        if desired < before && !self.down.is_zero() {
            let oldest = input.state.proposals.front().map(|one| input.at.duration_since(one.since));
            if oldest.is_none_or(|age| age < self.down) {
                let why = "stabilization: nothing is removed before {0} s of proposals are known";
                return Say::Instead(before, Phrase::with(why, [self.down.as_secs_f64()]));
            }
            let (_, high) = Self::extremes(input, self.down);
            if high > desired {
                let why = "stabilization: {0} dynos are wanted, but {1} were within the last {2} s";
                let numbers = [desired.into(), high.into(), self.down.as_secs_f64()];
                return Say::Instead(high.min(before), Phrase::with(why, numbers));
            }
        }
        Say::Pass
    }

    fn looks_back(&self) -> SignedDuration {
        self.up.max(self.down)
    }
}
