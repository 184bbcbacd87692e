//! `target`: so much load on each dyno; the ratio rule of Kubernetes' Horizontal Pod Autoscaler.
//!
//! The rule and its cases are those of
//! <https://kubernetes.io/docs/concepts/workloads/autoscaling/horizontal-pod-autoscale/> ("Algorithm details"): desired =
//! ceil(current × value / target); nothing is done while the ratio is within the tolerance of 1; dynos that do not serve yet
//! count as idle on the way up, and dynos without a sample as on target on the way down; where that turns the direction
//! around, nothing is done. A dyno that boots has no sample, so both hold for it.
//!
//! A value is either the mean over the dynos (`per = "dyno"`: load on each) or the sum (`per = "total"`: a rate, a queue). With
//! no dyno at all, a mean is 0/0 and says nothing; a sum says what it always says.

use std::sync::Arc;

use jiff::SignedDuration;

use crate::fields::{Description, Field, FieldError, FieldType, Values};
use crate::history::Window;
use crate::policy::{NOTHING_READ, Policy, PolicyInput, PolicyKind, Proposal, dynos_for, needed, positive};
use crate::{Dynos, Phrase, Unit, Verdict};

/// What a value is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Per {
    /// The mean over the dynos.
    Dyno,
    /// The sum over the dynos.
    Total,
}

/// The settings of the rule.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Target {
    /// The wanted value for each dyno, in the measurement's unit, above 0.
    pub target: f64,
    /// What a value is of.
    pub per: Per,
    /// A ratio within so much of 1 is as wanted; 0 to 1.
    pub tolerance: f64,
}

/// The entry in the list of policies.
pub const KIND: PolicyKind = PolicyKind {
    description: Description {
        name: "target",
        doc: "So much load on each dyno: the ratio rule of Kubernetes' Horizontal Pod Autoscaler.",
        fields: &[
            Field::required("target", FieldType::Level, "The wanted value for each dyno.", "100"),
            Field::optional(
                "per",
                FieldType::OneOf(&["dyno", "total"]),
                "Whether a value is the mean over the dynos or the sum; without it, \"dyno\" for times and \"total\" for all else.",
                "\"total\"",
            ),
            Field::defaulting(
                "tolerance",
                FieldType::Number(0.0, 1.0),
                "0.1",
                "Nothing is done while the value for each dyno is within so much of the target: 0.1 is a tenth.",
            ),
        ],
        shorthand: &[],
    },
    build,
};

fn build(values: &Values, unit: Unit) -> Result<Arc<dyn Policy>, FieldError> {
    if unit == Unit::Dynos {
        return Err(FieldError::new(
            "type",
            "is target, but the measurement says a number of dynos itself: decide by app",
        ));
    }
    let per = match (values.text("per"), unit) {
        (Some("dyno"), _) | (None, Unit::Milliseconds) => Per::Dyno,
        (Some(_), Unit::Milliseconds) => {
            return Err(FieldError::new("per", "is \"total\", but times do not add up over dynos: leave it out"));
        }
        _ => Per::Total,
    };
    Ok(Arc::new(Target { target: positive(values, "target")?, per, tolerance: needed(values, "tolerance")? }))
}

impl Target {
    /// The value for each dyno over the target; `None` for 0/0.
    fn ratio(&self, value: f64, dynos: Dynos) -> Option<f64> {
        match (self.per, dynos) {
            (Per::Dyno, 0) => None,
            (Per::Dyno, _) => Some(value / self.target),
            (Per::Total, 0) if value == 0.0 => None,
            (Per::Total, dynos) => Some(value / (self.target * f64::from(dynos))),
        }
    }

    fn is_as_wanted(&self, ratio: f64) -> bool {
        // A value of 1.1 times the target is within 0.1 although 1.1 − 1 is a little more in binary.
        (ratio - 1.0).abs() <= self.tolerance + 1e-9
    }
}

impl Policy for Target {
    fn window(&self) -> Window {
        Window { samples: 1, span: SignedDuration::MAX }
    }

    fn verdict(&self, value: f64) -> Verdict {
        match self.per {
            Per::Dyno => self.verdict_at(value, 1),
            Per::Total => Verdict::JustRight,
        }
    }

    fn verdict_at(&self, value: f64, dynos: Dynos) -> Verdict {
        match self.ratio(value, dynos) {
            None => Verdict::JustRight,
            Some(ratio) if self.is_as_wanted(ratio) => Verdict::JustRight,
            Some(ratio) if ratio > 1.0 => Verdict::TooHigh,
            Some(_) => Verdict::TooLow,
        }
    }

    fn keeps_evidence(&self) -> bool {
        self.per == Per::Total
    }

    fn is_blind_at_zero(&self) -> bool {
        self.per == Per::Dyno
    }

    fn propose(&self, input: &PolicyInput<'_>) -> Proposal {
        let dynos = input.dynos;
        let Some(point) = input.evidence.newest() else { return Proposal::want(dynos, NOTHING_READ) };
        let Some(value) = point.value else {
            let why = Phrase::new("the reading failed as an overloaded app does");
            return Proposal::want(dynos.saturating_add(1), why);
        };
        let Some(ratio) = self.ratio(value, dynos) else {
            return match (self.per, value > 0.0) {
                (Per::Total, _) => Proposal::want(0, Phrase::new("there is no load, and no dyno")),
                (Per::Dyno, true) => Proposal::want(1, Phrase::with("there is a load of {0}, and no dyno", [value])),
                (Per::Dyno, false) => Proposal::unknown(Phrase::new("with no dyno, a load for each dyno says nothing")),
            };
        };
        let (all, ready) = (f64::from(dynos), f64::from(input.ready));
        let numbers = [ratio * self.target, self.target];
        // A sum tells of all load whoever serves it; a mean is one over the dynos that serve.
        let counted = match self.per {
            Per::Total => ratio,
            Per::Dyno if self.is_as_wanted(ratio) => ratio,
            Per::Dyno if ratio > 1.0 => ratio * ready / all,
            Per::Dyno => (ratio * ready + (all - ready)) / all,
        };
        if self.is_as_wanted(counted) || (counted > 1.0) != (ratio > 1.0) {
            let why = if self.is_as_wanted(ratio) {
                Phrase::with("{0} on each dyno is within the tolerance of the wanted {1}", numbers)
            } else {
                Phrase::with("{0} on each dyno that serves: enough, once those that start do", numbers)
            };
            return Proposal::want(dynos, why);
        }
        let desired = match self.per {
            // Straight from the sum: its way over the ratio would round twice.
            Per::Total => dynos_for(value / self.target),
            Per::Dyno => dynos_for(counted * all),
        };
        Proposal::want(desired, Phrase::with("{0} on each dyno, where {1} is wanted", numbers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields::Value;
    use crate::policy::testing::{build, propose, reads};

    const EACH: Target = Target { target: 100.0, per: Per::Dyno, tolerance: 0.1 };

    fn wanted(rule: &Target, dynos: u32, ready: u32, value: f64) -> Option<u32> {
        propose(rule, dynos, ready, &reads(1, &[value])).desired
    }

    /// The page's own examples: 200m where 100m is wanted doubles, 50m halves; and its rules, worked by hand.
    #[test]
    fn the_ratio_rule_of_hpa() {
        let rows = [
            // (dynos, ready, value, desired)
            (1, 1, 200.0, 2),
            (4, 4, 50.0, 2),
            (3, 3, 100.0, 3),
            (3, 3, 110.0, 3), // within the tolerance, edge included
            (3, 3, 111.0, 4), // ceil(3.33)
            (3, 3, 90.0, 3),
            (3, 3, 89.0, 3), // ceil(2.67)
            (10, 10, 89.0, 9),
            (10, 10, 31.0, 4),
            (7, 7, 0.0, 0),
            // dynos that start count as idle on the way up: (200 × 4 + 0 × 2) / 6 = 133
            (6, 4, 200.0, 8),
            (4, 2, 200.0, 4),   // exactly on target then
            (4, 1, 200.0, 4),   // turned around: hold
            (10, 9, 120.0, 10), // 108: within the tolerance then
            // on the way down as on target: (50 × 5 + 100 × 5) / 10 = 75
            (10, 5, 50.0, 8),
            (10, 1, 50.0, 10), // 95
        ];
        for (dynos, ready, value, desired) in rows {
            assert_eq!(wanted(&EACH, dynos, ready, value), Some(desired), "{dynos} {ready} {value}");
        }
        assert_eq!(wanted(&EACH, 3, 3, f64::MAX), Some(u32::MAX));
        assert_eq!(propose(&EACH, 3, 3, &[(0, None, Default::default())]).desired, Some(4));
        assert_eq!(propose(&EACH, 3, 3, &[]).desired, Some(3));
    }

    #[test]
    fn a07_a_number_too_large_is_the_most_there_is() {
        let backlog = Target { target: 0.1, per: Per::Total, tolerance: 0.1 };
        assert_eq!(wanted(&backlog, 9, 9, 4.0e12), Some(u32::MAX));
    }

    #[test]
    fn a12_ceiling_of_float_noise() {
        let rule = Target { target: 0.1, per: Per::Total, tolerance: 0.0 };
        assert_eq!(wanted(&rule, 1, 1, 0.1 * 3.0), Some(3), "3.0000000000000004 is 3");
        let one = Target { target: 1.0, ..rule };
        for (load, dynos) in [(2.032, 3), (3.2, 4), (0.0, 0), (0.000_01, 1), (3.000_000_1, 4)] {
            assert_eq!(wanted(&one, 9, 9, load), Some(dynos), "{load}");
        }
    }

    #[test]
    fn a16_nothing_is_stuck_at_zero() {
        let queue = Target { target: 1.0, per: Per::Total, tolerance: 0.1 };
        assert_eq!(wanted(&queue, 0, 0, 3.0), Some(3));
        assert_eq!(wanted(&queue, 0, 0, 0.0), Some(0));
        assert_eq!(wanted(&EACH, 0, 0, 0.0), None, "0/0 is unknown");
        assert_eq!(wanted(&EACH, 0, 0, 5.0), Some(1));
    }

    #[test]
    fn what_a_value_is_of_goes_by_its_unit() {
        let given = [("target", Value::Number(100.0))];
        assert!(!build(&KIND, Unit::Milliseconds, &given).unwrap().keeps_evidence());
        assert!(build(&KIND, Unit::Jobs, &given).unwrap().keeps_evidence());
        let total = [("target", Value::Number(100.0)), ("per", Value::Text("total".into()))];
        assert_eq!(build(&KIND, Unit::Milliseconds, &total).unwrap_err().field, "per");
        assert_eq!(build(&KIND, Unit::Dynos, &given).unwrap_err().field, "type");
        assert_eq!(build(&KIND, Unit::Jobs, &[("target", Value::Number(0.0))]).unwrap_err().field, "target");
    }
}
