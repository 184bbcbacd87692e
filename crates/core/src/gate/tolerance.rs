//! `tolerance`: a change that is small against the dynos there are is not worth making.

use std::sync::Arc;

use crate::Phrase;
use crate::fields::{Description, Field, FieldType};
use crate::gate::{Gate, GateInput, GateKind, Say};

/// The rule.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tolerance {
    /// A change of so much of the dynos there are, or less, is not made; 0 to 1.
    pub share: f64,
}

/// The entry in the list of gates.
pub const KIND: GateKind = GateKind {
    description: Description {
        name: "tolerance",
        doc: "A change that is small against the dynos there are is not made.",
        fields: &[Field::optional(
            "share",
            FieldType::Number(0.0, 1.0),
            "A change of so much of the dynos there are, or less, is not made: 0.1 is a tenth.",
            "0.1",
        )],
        shorthand: &["share"],
    },
    build: |values| {
        let share = values.number("share").filter(|share| *share > 0.0);
        Ok(share.map(|share| Arc::new(Tolerance { share }) as Arc<dyn Gate>))
    },
};

impl Gate for Tolerance {
    fn name(&self) -> &'static str {
        KIND.description.name
    }

    fn ask(&self, input: &GateInput<'_>) -> Say {
        let change = input.desired.abs_diff(input.before);
        // 0.1 × 30 is 3.0000000000000004 in binary; 0.3 × 10 the other way round.
        if f64::from(change) > self.share * f64::from(input.before) + 1e-9 {
            return Say::Pass;
        }
        let why = "tolerance: {0} dynos are wanted, and {1} are near enough";
        Say::Instead(input.before, Phrase::with(why, [input.desired.into(), input.before.into()]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::testing::{ask, at, build};
    use crate::{Observation, State};

    #[test]
    fn worked_examples() {
        let rule = Tolerance { share: 0.1 };
        for (before, desired, left) in
            [(30, 33, 30), (30, 34, 34), (30, 27, 30), (30, 26, 26), (9, 10, 10), (10, 11, 10), (0, 1, 1), (1, 0, 0)]
        {
            let (state, seen) = (State::default(), Observation::default());
            assert_eq!(ask(&rule, at(0), (before, desired), &state, &seen), left, "{before} {desired}");
        }
        assert!(build(&KIND, &[]).unwrap().is_none());
    }
}
