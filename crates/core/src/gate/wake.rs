//! `wake`: a process without dynos gets one at the first sign that something is asked of it: a request that found no dyno, a job
//! that waits. Always on, and asked after the gates that say "not now": waiting for them would keep everybody waiting.
//!
//! Policies alone would leave it asleep: of requests that found no dyno there is no time to serve, so their measurement is
//! unknown; and a single job may be below what they count as a load.

use std::sync::Arc;

use crate::Phrase;
use crate::fields::Description;
use crate::gate::{Activity, Gate, GateInput, GateKind, Say};

/// The rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wake;

/// The entry in the list of gates. It has no settings.
pub const KIND: GateKind = GateKind {
    description: Description {
        name: "wake",
        doc: "A process without dynos gets one at the first request or job.",
        fields: &[],
        shorthand: &[],
    },
    build: |_| Ok(Some(Arc::new(Wake))),
};

impl Gate for Wake {
    fn name(&self) -> &'static str {
        KIND.description.name
    }

    fn asks_always(&self) -> bool {
        true
    }

    fn ask(&self, input: &GateInput<'_>) -> Say {
        if input.before == 0 && input.desired == 0 && input.activity == Activity::Some {
            return Say::Instead(1, Phrase::new("wake: something is asked of it, and no dyno runs"));
        }
        Say::Pass
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::State;
    use crate::gate::testing::{at, input};

    #[test]
    fn a16_nothing_that_is_asked_for_sleeps() {
        use Activity::{None as Idle, Some as Busy, Unknown};
        let state = State::default();
        for (activity, before, desired, left) in
            [(Busy, 0, 0, 1), (Busy, 0, 3, 3), (Idle, 0, 0, 0), (Unknown, 0, 0, 0), (Busy, 1, 0, 0), (Busy, 2, 2, 2)]
        {
            let given = input(at(0), (before, desired), &state);
            let said = Wake.ask(&GateInput { activity, ..given });
            let number = if let Say::Instead(number, _) = said { number } else { desired };
            assert_eq!(number, left, "{activity:?} {before} {desired}");
        }
    }
}
