//! `idle_after`: the last dyno goes when nothing was asked of the process for so long, and a process without dynos stays so while
//! nothing is. Down to one dyno the policies decide; many of them never want fewer, as they reckon in dynos that serve.
//!
//! What is not known is no idleness: a source that says nothing begins the time anew, as does a restart. The minimum must be 0.

use std::sync::Arc;

use jiff::SignedDuration;

use crate::Phrase;
use crate::fields::{Description, Field, FieldType};
use crate::gate::{Activity, Gate, GateInput, GateKind, Say};

/// The rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdleAfter {
    /// How long without a request or a job.
    pub time: SignedDuration,
}

/// The entry in the list of gates.
pub const KIND: GateKind = GateKind {
    description: Description {
        name: "idle_after",
        doc: "The last dyno goes when no request and no job came for so long; `min_dynos` must be 0.",
        fields: &[Field::optional(
            "time",
            FieldType::Duration(0.0, 7.0 * 86_400.0),
            "How long without a request or a job.",
            "\"15m\"",
        )],
        shorthand: &["time"],
    },
    build: |values| Ok(values.duration("time").map(|time| Arc::new(IdleAfter { time }) as Arc<dyn Gate>)),
};

impl Gate for IdleAfter {
    fn name(&self) -> &'static str {
        KIND.description.name
    }

    fn asks_always(&self) -> bool {
        true
    }

    fn watches_activity(&self) -> bool {
        true
    }

    fn ask(&self, input: &GateInput<'_>) -> Say {
        // More than one dyno is wanted for a load, or by a schedule: that is for others to judge.
        if input.bounds.min > 0 || input.desired > 1 {
            return Say::Pass;
        }
        let idle = match (input.activity, input.state.active_at) {
            (Activity::None, Some(since)) => Some(input.at.duration_since(since)),
            _ => None,
        };
        if input.before == 0 {
            return match input.activity {
                Activity::None if input.desired > 0 => {
                    Say::Instead(0, Phrase::new("idle_after: nothing is asked of it, so no dyno starts"))
                }
                _ => Say::Pass,
            };
        }
        match idle {
            Some(idle) if idle >= self.time => {
                let why = "idle_after: no request and no job for {0} s: the last dyno goes";
                Say::Instead(0, Phrase::with(why, [idle.as_secs_f64()]))
            }
            _ if input.desired == 0 => {
                let why = "idle_after: the last dyno stays until {0} s without a request or a job are known";
                Say::Instead(1, Phrase::with(why, [self.time.as_secs_f64()]))
            }
            _ => Say::Pass,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::testing::{at, build, input};
    use crate::{Bounds, State};

    #[test]
    fn the_last_dyno_goes_when_nothing_came_for_so_long() {
        use Activity::{None as Idle, Some as Busy, Unknown};
        let rule = IdleAfter { time: SignedDuration::from_mins(15) };
        let since = |second| State { active_at: Some(at(second)), ..State::default() };
        for (name, activity, now, (before, desired), left) in [
            ("too soon", Idle, 899, (1, 0), 1),
            ("too soon, and nothing to do", Idle, 899, (1, 1), 1),
            ("long enough", Idle, 900, (1, 0), 0),
            ("long enough, though the policy wants one", Idle, 900, (1, 1), 0),
            ("several go down by the policies", Idle, 900, (3, 2), 2),
            ("one after the other", Idle, 900, (3, 1), 0),
            ("unknown", Unknown, 9000, (1, 1), 1),
            ("unknown lowers nothing", Unknown, 9000, (1, 0), 1),
            ("in use", Busy, 9000, (1, 0), 1),
            ("at zero, in use", Busy, 9000, (0, 1), 1),
            ("at zero, idle", Idle, 10, (0, 1), 0),
            ("at zero, a schedule wants more", Idle, 10, (0, 4), 4),
        ] {
            let state = since(0);
            let given = input(at(now), (before, desired), &state);
            let said = rule.ask(&GateInput { activity, bounds: Bounds { min: 0, max: 9 }, ..given });
            let number = if let Say::Instead(number, _) = said { number } else { desired };
            assert_eq!(number, left, "{name}");
            let above = rule.ask(&GateInput { activity, bounds: Bounds { min: 1, max: 9 }, ..given });
            assert_eq!(above, Say::Pass, "{name}: nothing where the minimum is above 0");
        }
        let never = State::default();
        let given = input(at(9000), (1, 1), &never);
        let said = rule.ask(&GateInput { activity: Idle, bounds: Bounds { min: 0, max: 9 }, ..given });
        assert_eq!(said, Say::Pass, "a first tick knows of no time before");
        assert!(build(&KIND, &[]).unwrap().is_none());
    }
}
