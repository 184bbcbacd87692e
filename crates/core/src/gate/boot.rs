//! `boot`: a raise waits while the dynos that the last raise started do not serve yet. They are on their way; asking for more
//! because they are not there yet would overshoot.
//!
//! Where the platform says which dynos serve, it waits for these, and no longer than set. Where it does not, it waits as
//! set; or twice what dynos were seen to take, where that is known and shorter.

use std::sync::Arc;

use jiff::SignedDuration;

use crate::Phrase;
use crate::fields::{Description, Field, FieldType};
use crate::gate::{Gate, GateInput, GateKind, Say};

/// The rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Boot {
    /// The longest wait, above zero.
    pub wait: SignedDuration,
}

/// The entry in the list of gates.
pub const KIND: GateKind = GateKind {
    description: Description {
        name: "boot",
        doc: "No dyno is added while those that were added last do not serve yet.",
        fields: &[Field::optional(
            "wait",
            FieldType::Duration(0.0, 86_400.0),
            "The longest wait for dynos that start.",
            "\"2m\"",
        )],
        shorthand: &["wait"],
    },
    build: |values| {
        let wait = values.duration("wait").filter(|wait| !wait.is_zero());
        Ok(wait.map(|wait| Arc::new(Boot { wait }) as Arc<dyn Gate>))
    },
};

impl Gate for Boot {
    fn name(&self) -> &'static str {
        KIND.description.name
    }

    fn ask(&self, input: &GateInput<'_>) -> Say {
        let (Some(starting), true) = (input.state.starting, input.desired > input.before) else { return Say::Pass };
        let waited = input.at.duration_since(starting.at).max(SignedDuration::ZERO);
        let learned = || {
            let twice = input.state.boot_secs? * 2.0;
            SignedDuration::try_from_secs_f64(twice).ok()
        };
        let (waits, wait) = match input.seen.ready {
            Some(ready) => (ready < input.before, self.wait),
            None => (true, learned().map_or(self.wait, |learned| learned.min(self.wait))),
        };
        if !waits || waited >= wait {
            return Say::Pass;
        }
        let why = "boot: the dynos added {0} s ago do not serve yet";
        Say::Instead(input.before, Phrase::with(why, [waited.as_secs_f64()]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::testing::{ask, at, build};
    use crate::state::Starting;
    use crate::{Observation, State};

    #[test]
    fn worked_examples() {
        let rule = Boot { wait: SignedDuration::from_mins(2) };
        for (second, ready, boot_secs, desired, left) in [
            (0, Some(3), None, 9, 5),
            (119, Some(4), None, 9, 5),
            (120, Some(4), None, 9, 9), // never longer than set
            (10, Some(5), None, 9, 9),  // they serve
            (10, Some(4), None, 4, 4),  // fewer is no matter of booting
            (119, None, None, 9, 5),
            (59, None, Some(30.0), 9, 5),
            (60, None, Some(30.0), 9, 9),
            (119, None, Some(300.0), 9, 5),
            (120, None, Some(300.0), 9, 9),
        ] {
            let state = State { starting: Some(Starting { at: at(0), dynos: 5 }), boot_secs, ..State::default() };
            let seen = Observation { ready, ..Observation::default() };
            assert_eq!(ask(&rule, at(second), (5, desired), &state, &seen), left, "{second} {ready:?} {boot_secs:?}");
        }
        assert_eq!(ask(&rule, at(0), (5, 9), &State::default(), &Observation::default()), 9);
        assert!(build(&KIND, &[]).unwrap().is_none());
    }
}
