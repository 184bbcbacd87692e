//! `consecutive`: the rule of autoscalebot 2.1. So many readings in a row above the range raise by the increment, so many in
//! a row below it lower by the increment.
//!
//! A reading that fails in a way that looks like overload counts as too high. An unknown reading counts as neither: it adds
//! to no run and breaks none, and while it is the newest nothing is lowered (the combination sees to that).

use std::sync::Arc;

use jiff::SignedDuration;

use crate::fields::{Description, Field, FieldError, FieldType, Values};
use crate::history::Window;
use crate::policy::{Policy, PolicyInput, PolicyKind, Proposal};
use crate::{Phrase, Unit, Verdict};

/// The settings of the rule. `low` and `high` are in the measurement's unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Consecutive {
    /// A value below this is too low.
    pub low: f64,
    /// A value above this is too high.
    pub high: f64,
    /// So many readings in a row that are too high raise. At least 1.
    pub fails: u32,
    /// So many readings in a row that are too low lower. At least 1.
    pub passes: u32,
    /// So many dynos are added or removed. At least 1.
    pub increment: u32,
    /// Whether a step down that lands exactly on 0, where the minimum is above 0, fails as it did in 2.1 (which took a
    /// wanted number of 0 for "not set"), instead of going to the minimum. A step that would land below 0 never failed.
    pub refuse_zero: bool,
}

const ZERO_REFUSED: &str = "a step to exactly 0 dynos fails in 2.1, and refuse_zero asks for the same: set an increment that \
                            does not land on 0, or refuse_zero = false";

/// The entry in the list of policies.
pub const KIND: PolicyKind = PolicyKind {
    description: Description {
        name: "consecutive",
        doc: "So many readings in a row outside the wanted range add or remove dynos; the rule of autoscalebot 2.1.",
        fields: &[
            Field::required(
                "low",
                FieldType::Level,
                "A reading below this is too low: fewer dynos would do.",
                "\"200ms\"",
            ),
            Field::required(
                "high",
                FieldType::Level,
                "A reading above this is too high: more dynos are needed.",
                "\"1s\"",
            ),
            Field::defaulting(
                "fails",
                FieldType::Whole(1, 10_000),
                "3",
                "Readings in a row that are too high before dynos are added.",
            ),
            Field::defaulting(
                "passes",
                FieldType::Whole(1, 10_000),
                "5",
                "Readings in a row that are too low before dynos are removed.",
            ),
            Field::defaulting("increment", FieldType::Whole(1, 10_000), "1", "Dynos to add or remove at once."),
            Field::defaulting(
                "refuse_zero",
                FieldType::Flag,
                "false",
                "Whether a step down that lands exactly on 0, with a minimum above 0, fails as in 2.1, instead of going to the minimum.",
            ),
        ],
        shorthand: &[],
    },
    build,
};

fn build(values: &Values, _unit: Unit) -> Result<Arc<dyn Policy>, FieldError> {
    let level = |name: &'static str| values.number(name).ok_or_else(|| FieldError::new(name, "is needed"));
    let count = |name: &'static str| {
        values.whole(name).and_then(|n| u32::try_from(n).ok()).ok_or_else(|| FieldError::new(name, "is needed"))
    };
    let policy = Consecutive {
        low: level("low")?,
        high: level("high")?,
        fails: count("fails")?,
        passes: count("passes")?,
        increment: count("increment")?,
        refuse_zero: values.flag("refuse_zero"),
    };
    if policy.low > policy.high {
        return Err(FieldError::new(
            "low",
            "is above high: every reading would be too low, too high or both; lower it",
        ));
    }
    Ok(Arc::new(policy))
}

impl Policy for Consecutive {
    fn window(&self) -> Window {
        Window { samples: self.fails.max(self.passes) as usize, span: SignedDuration::MAX }
    }

    fn verdict(&self, value: f64) -> Verdict {
        if value > self.high {
            Verdict::TooHigh
        } else if value < self.low {
            Verdict::TooLow
        } else {
            Verdict::JustRight
        }
    }

    fn propose(&self, input: &PolicyInput<'_>) -> Proposal {
        let dynos = input.dynos;
        let (fails, passes) = (self.fails as usize, self.passes as usize);
        let high = input.evidence.run_of(Verdict::TooHigh);
        if high >= fails {
            return Proposal::want(
                dynos.saturating_add(self.increment),
                Phrase::with("{0} readings in a row were too high", [high as f64]),
            );
        }
        let low = input.evidence.run_of(Verdict::TooLow);
        if low >= passes {
            let why = Phrase::with("{0} readings in a row were too low", [low as f64]);
            let refused = self.refuse_zero && dynos == self.increment && input.bounds.min > 0;
            return Proposal {
                refused: refused.then_some(ZERO_REFUSED),
                ..Proposal::want(dynos.saturating_sub(self.increment), why)
            };
        }
        let why = if high > 0 {
            Phrase::with("{0} of the {1} readings in a row that add dynos were too high", [high as f64, fails as f64])
        } else if low > 0 {
            Phrase::with("{0} of the {1} readings in a row that remove dynos were too low", [low as f64, passes as f64])
        } else {
            Phrase::new("the newest reading is in the wanted range")
        };
        Proposal::want(dynos, why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Evidence, History, Point};
    use crate::{Bounds, Detail};

    const RULE: Consecutive =
        Consecutive { low: 200.0, high: 1000.0, fails: 3, passes: 5, increment: 2, refuse_zero: true };

    fn proposal(dynos: u32, values: &[f64]) -> Proposal {
        proposal_above(0, dynos, values)
    }

    fn proposal_above(min: u32, dynos: u32, values: &[f64]) -> Proposal {
        let mut history = History::default();
        for (n, value) in values.iter().enumerate() {
            let at = jiff::Timestamp::from_second(n as i64).unwrap();
            let point = Point {
                at,
                verdict: RULE.verdict(*value),
                value: Some(*value),
                detail: Detail::default(),
                ready: None,
            };
            history.add(at, Some(point), &RULE);
        }
        RULE.propose(&PolicyInput {
            at: jiff::Timestamp::from_second(99).unwrap(),
            dynos,
            bounds: Bounds { min, max: 10 },
            ready: dynos,
            evidence: Evidence::new(&history, None),
            detail: Detail::default(),
            zone: &jiff::tz::TimeZone::UTC,
            advice: None,
        })
    }

    #[test]
    fn worked_examples() {
        let rows: &[(&str, u32, &[f64], u32, &str)] = &[
            ("nothing yet", 3, &[], 3, "the newest reading is in the wanted range"),
            ("two of three", 3, &[1001.0, 5000.0], 3, "2 of the 3 readings in a row that add dynos were too high"),
            ("three of three", 3, &[1001.0; 3], 5, "3 readings in a row were too high"),
            ("more than three", 3, &[1001.0; 9], 5, "5 readings in a row were too high"),
            (
                "broken run",
                3,
                &[1001.0, 1001.0, 1000.0, 1001.0],
                3,
                "1 of the 3 readings in a row that add dynos were too high",
            ),
            ("edges are in range", 3, &[1000.0, 200.0], 3, "the newest reading is in the wanted range"),
            ("four of five", 3, &[199.9; 4], 3, "4 of the 5 readings in a row that remove dynos were too low"),
            ("five of five", 3, &[0.0; 5], 1, "5 readings in a row were too low"),
            ("never below none", 1, &[0.0; 5], 0, "5 readings in a row were too low"),
            ("never past the largest number", u32::MAX, &[1e300; 3], u32::MAX, "3 readings in a row were too high"),
        ];
        for (name, dynos, values, desired, why) in rows {
            let got = proposal(*dynos, values);
            assert_eq!((got.desired, got.why.to_string().as_str()), (Some(*desired), *why), "{name}");
        }
    }

    /// 2.1 tested a wanted number of 0 for truth, so that a step to exactly 0 failed; recorded runs show it.
    #[test]
    fn a_step_to_exactly_zero() {
        assert!(proposal_above(1, 2, &[0.0; 5]).refused.is_some());
        assert!(proposal_above(0, 2, &[0.0; 5]).refused.is_none(), "a minimum of 0 is a number");
        assert!(proposal_above(1, 3, &[0.0; 5]).refused.is_none());
        assert!(proposal_above(1, 1, &[0.0; 5]).refused.is_none(), "a step below 0 never failed");
    }
}
