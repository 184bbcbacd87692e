//! `cooldown`: after a successful scale, time must pass before the next, separately for up and down. It counts from the last
//! scale by this program in either direction, and survives a restart.

use std::sync::Arc;

use jiff::SignedDuration;

use crate::Phrase;
use crate::fields::{Description, Field, FieldType};
use crate::gate::{Gate, GateInput, GateKind, Say};

/// The rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cooldown {
    /// How long after a scale nothing is added.
    pub up: SignedDuration,
    /// How long after a scale nothing is removed.
    pub down: SignedDuration,
}

const DAY_SECS: f64 = 86_400.0;

/// The entry in the list of gates.
pub const KIND: GateKind = GateKind {
    description: Description {
        name: "cooldown",
        doc: "After a successful scale, how long to wait before the next one; a single duration sets both directions.",
        fields: &[
            Field::defaulting(
                "up",
                FieldType::Duration(0.0, DAY_SECS),
                "\"0s\"",
                "How long after a scale no dyno is added.",
            ),
            Field::defaulting(
                "down",
                FieldType::Duration(0.0, DAY_SECS),
                "\"0s\"",
                "How long after a scale no dyno is removed.",
            ),
        ],
        shorthand: &["up", "down"],
    },
    build: |values| {
        let up = values.duration("up").unwrap_or_default();
        let down = values.duration("down").unwrap_or_default();
        Ok((!up.is_zero() || !down.is_zero()).then(|| Arc::new(Cooldown { up, down }) as Arc<dyn Gate>))
    },
};

impl Gate for Cooldown {
    fn name(&self) -> &'static str {
        KIND.description.name
    }

    fn ask(&self, input: &GateInput<'_>) -> Say {
        let Some(last) = input.state.last_scale else { return Say::Pass };
        let (wait, template) = if input.desired > input.before {
            (self.up, "cooldown: no dyno is added for another {0} s")
        } else if input.desired < input.before {
            (self.down, "cooldown: no dyno is removed for another {0} s")
        } else {
            return Say::Pass;
        };
        // A clock that was set back would make the time since the scale negative; the wait is never longer than its length.
        let left = wait - input.at.duration_since(last).max(SignedDuration::ZERO);
        if left <= SignedDuration::ZERO {
            return Say::Pass;
        }
        Say::Instead(input.before, Phrase::with(template, [left.as_secs_f64().ceil()]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::testing::input;
    use crate::{Bounds, State};

    #[test]
    fn worked_examples() {
        let rule = Cooldown { up: SignedDuration::from_secs(60), down: SignedDuration::from_secs(300) };
        let rows = [
            // (seconds since the scale, before, desired, what is left)
            (Some(0), 4, 5, Some(60)),
            (Some(59), 4, 5, Some(1)),
            (Some(60), 4, 5, None),
            (Some(60), 4, 3, Some(240)),
            (Some(299), 4, 3, Some(1)),
            (Some(300), 4, 3, None),
            (Some(0), 4, 4, None),
            (None, 4, 3, None),
            (Some(-3600), 4, 3, Some(300)),
        ];
        for (since, before, desired, left) in rows {
            let at = jiff::Timestamp::from_second(1_000_000).unwrap();
            let last_scale = since.map(|s| at - SignedDuration::from_secs(s));
            let state = State { last_scale, ..State::default() };
            let bounds = Bounds { min: 0, max: 9 };
            let said = rule.ask(&GateInput { bounds, ..input(at, (before, desired), &state) });
            match left {
                None => assert_eq!(said, Say::Pass, "{since:?}"),
                Some(left) => {
                    let Say::Instead(number, why) = said else { panic!("{since:?} passes") };
                    assert_eq!(number, before);
                    assert!(why.to_string().ends_with(&format!("another {left} s")), "{why}");
                }
            }
        }
    }
}
