//! `deploy_hold`: a release restarts all dynos, and what is measured meanwhile tells of the restart, not of the load. For a time
//! after it, nothing changes.

use std::sync::Arc;

use jiff::SignedDuration;

use crate::Phrase;
use crate::fields::{Description, Field, FieldType};
use crate::gate::{Gate, GateInput, GateKind, Holds, Say};

/// The rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeployHold {
    /// For so long after a release, above zero.
    pub time: SignedDuration,
    /// What is held.
    pub hold: Holds,
}

/// The entry in the list of gates.
pub const KIND: GateKind = GateKind {
    description: Description {
        name: "deploy_hold",
        doc: "For a time after a release, nothing changes: what is measured tells of the restart, not of the load.",
        fields: &[
            Field::optional("time", FieldType::Duration(0.0, 86_400.0), "How long after a release.", "\"5m\""),
            Field::defaulting("hold", FieldType::OneOf(Holds::WORDS), "\"both\"", "Which changes are held."),
        ],
        shorthand: &["time"],
    },
    build: |values| {
        let hold = Holds::from_word(values.text("hold"));
        let time = values.duration("time").filter(|time| !time.is_zero());
        Ok(time.map(|time| Arc::new(DeployHold { time, hold }) as Arc<dyn Gate>))
    },
};

impl Gate for DeployHold {
    fn name(&self) -> &'static str {
        KIND.description.name
    }

    fn needs_release(&self) -> bool {
        true
    }

    fn ask(&self, input: &GateInput<'_>) -> Say {
        let Some(released) = input.seen.released_at else { return Say::Pass };
        // A platform whose clock is ahead must not hold for longer.
        let left = self.time - input.at.duration_since(released).max(SignedDuration::ZERO);
        if left <= SignedDuration::ZERO || !self.hold.holds(input.before, input.desired) {
            return Say::Pass;
        }
        let why = "deploy_hold: a release was made of late; nothing changes for another {0} s";
        Say::Instead(input.before, Phrase::with(why, [left.as_secs_f64().ceil()]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::testing::{ask, at, build};
    use crate::{Observation, State};

    #[test]
    fn worked_examples() {
        let both = DeployHold { time: SignedDuration::from_mins(5), hold: Holds::Both };
        let down = DeployHold { hold: Holds::Down, ..both };
        for (rule, second, desired, left) in
            [(both, 0, 9, 5), (both, 299, 1, 5), (both, 300, 9, 9), (both, -60, 9, 5), (down, 0, 9, 9), (down, 0, 1, 5)]
        {
            let seen = Observation { released_at: Some(at(0)), ..Observation::default() };
            assert_eq!(ask(&rule, at(second), (5, desired), &State::default(), &seen), left, "{second} {desired}");
        }
        assert_eq!(ask(&both, at(0), (5, 9), &State::default(), &Observation::default()), 9, "no release is known");
        assert!(build(&KIND, &[]).unwrap().is_none());
    }
}
