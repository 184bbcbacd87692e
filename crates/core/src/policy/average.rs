//! `average`: the mean of the last readings against a range, and a step by the increment. Gentler than `consecutive` where
//! single readings jump: one outlier moves the mean by its share, instead of beginning a run anew.
//!
//! Nothing is done before so many readings have come since the last scale. A failure that looks like overload has no number;
//! while one is among them, the mean is above any range.

use std::sync::Arc;

use jiff::SignedDuration;

use crate::fields::{Description, Field, FieldError, FieldType, Values};
use crate::history::Window;
use crate::policy::{Policy, PolicyInput, PolicyKind, Proposal, count, needed};
use crate::{Phrase, Unit, Verdict};

/// The settings of the rule. `low` and `high` are in the measurement's unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Average {
    /// A mean below this removes dynos.
    pub low: f64,
    /// A mean above this adds dynos.
    pub high: f64,
    /// So many readings make the mean. At least 1.
    pub samples: u32,
    /// So many dynos are added or removed. At least 1.
    pub increment: u32,
}

/// The entry in the list of policies.
pub const KIND: PolicyKind = PolicyKind {
    description: Description {
        name: "average",
        doc: "The mean of the last readings outside the wanted range adds or removes dynos.",
        fields: &[
            Field::required("low", FieldType::Level, "A mean below this removes dynos.", "\"200ms\""),
            Field::required("high", FieldType::Level, "A mean above this adds dynos.", "\"1s\""),
            Field::defaulting("samples", FieldType::Whole(1, 10_000), "5", "How many readings make the mean."),
            Field::defaulting("increment", FieldType::Whole(1, 10_000), "1", "Dynos to add or remove at once."),
        ],
        shorthand: &[],
    },
    build,
};

fn build(values: &Values, _unit: Unit) -> Result<Arc<dyn Policy>, FieldError> {
    let policy = Average {
        low: needed(values, "low")?,
        high: needed(values, "high")?,
        samples: count(values, "samples")?,
        increment: count(values, "increment")?,
    };
    if policy.low > policy.high {
        return Err(FieldError::new("low", "is above high: every mean would be too low, too high or both; lower it"));
    }
    Ok(Arc::new(policy))
}

impl Policy for Average {
    fn window(&self) -> Window {
        Window { samples: self.samples as usize, span: SignedDuration::MAX }
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
        let (mut sum, mut read) = (0.0, 0_u32);
        for point in input.evidence.newest_first().take(self.samples as usize) {
            sum += point.value.unwrap_or(f64::INFINITY);
            read += 1;
        }
        if read < self.samples {
            let numbers = [f64::from(read), f64::from(self.samples)];
            return Proposal::want(input.dynos, Phrase::with("{0} of the {1} readings of a mean were taken", numbers));
        }
        let mean = sum / f64::from(read);
        if mean > self.high {
            let why = if mean.is_finite() {
                Phrase::with("the mean of {0} readings is {1}, above {2}", [f64::from(read), mean, self.high])
            } else {
                Phrase::with("of {0} readings, at least one failed as an overloaded app does", [f64::from(read)])
            };
            return Proposal::want(input.dynos.saturating_add(self.increment), why);
        }
        let numbers = [f64::from(read), mean, self.low];
        if mean < self.low {
            let why = Phrase::with("the mean of {0} readings is {1}, below {2}", numbers);
            return Proposal::want(input.dynos.saturating_sub(self.increment), why);
        }
        Proposal::want(input.dynos, Phrase::with("the mean of {0} readings is {1}, as wanted", numbers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::testing::{propose, reads};

    const RULE: Average = Average { low: 200.0, high: 1000.0, samples: 3, increment: 2 };

    #[test]
    fn worked_examples() {
        let rows: &[(&str, &[f64], u32, &str)] = &[
            ("nothing yet", &[], 4, "0 of the 3 readings of a mean were taken"),
            ("two of three", &[9e9, 9e9], 4, "2 of the 3 readings of a mean were taken"),
            ("one outlier", &[900.0, 1100.0, 1003.0], 6, "the mean of 3 readings is 1001, above 1000"),
            ("edges are in range", &[900.0, 1100.0, 1000.0], 4, "the mean of 3 readings is 1000, as wanted"),
            ("the newest three", &[9e9, 100.0, 200.0, 299.0], 2, "the mean of 3 readings is 199.67, below 200"),
            ("too large to add", &[f64::MAX; 3], 6, "of 3 readings, at least one failed as an overloaded app does"),
        ];
        for (name, values, desired, why) in rows {
            let got = propose(&RULE, 4, 4, &reads(30, values));
            assert_eq!((got.desired, got.why.to_string().as_str()), (Some(*desired), *why), "{name}");
        }
        assert_eq!(propose(&RULE, 1, 1, &reads(30, &[0.0; 3])).desired, Some(0), "never below none");
        let mut failed = reads(30, &[1.0, 1.0, 1.0]);
        failed[0].1 = None;
        assert_eq!(propose(&RULE, 4, 4, &failed).desired, Some(6));
    }
}
