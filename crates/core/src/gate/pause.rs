//! `pause`: a person said to leave the process alone, for a time or until told otherwise. It holds the bounds, too.

use std::sync::Arc;

use crate::Phrase;
use crate::fields::Description;
use crate::gate::{Gate, GateInput, GateKind, Say};

/// The rule; it has no settings.
#[derive(Debug, Clone, Copy)]
pub struct PauseGate;

/// The entry in the list of gates.
pub const KIND: GateKind = GateKind {
    description: Description {
        name: "pause",
        doc: "Holds everything while the process is paused by hand; it has no settings.",
        fields: &[],
        shorthand: &[],
    },
    build: |_| Ok(Some(Arc::new(PauseGate))),
};

impl Gate for PauseGate {
    fn name(&self) -> &'static str {
        KIND.description.name
    }

    fn ask(&self, input: &GateInput<'_>) -> Say {
        match &input.seen.pause {
            None => Say::Pass,
            Some(pause) if pause.until.is_some_and(|until| until <= input.at) => Say::Pass,
            Some(_) => Say::Instead(input.before, Phrase::new("paused by hand: the process stays as it is")),
        }
    }

    fn holds_bounds_too(&self) -> bool {
        true
    }
}
