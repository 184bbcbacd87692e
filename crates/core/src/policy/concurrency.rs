//! `concurrency`: so many requests at once on each dyno, by a long window that is calm and a short one that panics; the rule
//! of Knative's Pod Autoscaler.
//!
//! The rule is that of <https://knative.dev/docs/serving/autoscaling/kpa-specific/>: the mean over the stable window, over
//! what a dyno takes, is the wanted number; where the mean over the panic window wants at least `panic_threshold` times the
//! dynos that serve, the short window rules, and nothing is lowered until a whole stable window has passed without that. A
//! change is held between the dynos that serve over `max_scale_down_rate` and times `max_scale_up_rate`.
//!
//! Two things differ. What is wanted at panic is never below the dynos that there are, where Knative keeps the highest number
//! it asked for: the same, as long as it got them. And nothing is lowered before the samples fill the stable window, so that a
//! restart lowers nothing.

use std::sync::Arc;

use jiff::SignedDuration;

use crate::fields::{Description, Field, FieldError, FieldType, Values};
use crate::history::{Point, Window};
use crate::policy::{NOTHING_READ, Policy, PolicyInput, PolicyKind, Proposal, dynos_for, needed, positive, span};
use crate::{Dynos, Phrase, Unit, Verdict};

/// The settings of the rule.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Concurrency {
    /// Requests at once (or in a second, for a rate) that a dyno takes, above 0.
    pub target: f64,
    /// So much of that is planned for, above 0 and at most 1.
    pub utilization: f64,
    /// The calm window.
    pub stable_window: SignedDuration,
    /// The short window, as a share of the calm one, above 0 and at most 1.
    pub panic_window: f64,
    /// Panic begins where so many times the dynos that serve are wanted, above 1.
    pub panic_threshold: f64,
    /// The most dynos for each that serves, at once; above 1.
    pub max_scale_up_rate: f64,
    /// The dynos that serve over this are the fewest to go down to at once; above 1.
    pub max_scale_down_rate: f64,
    /// So much more load than the mean must fit before dynos are removed, at or above 0. Knative has none.
    pub slack: f64,
    /// Whether the value is a time, so that the requests under way are told beside it.
    pub beside: bool,
}

/// The entry in the list of policies.
pub const KIND: PolicyKind = PolicyKind {
    description: Description {
        name: "concurrency",
        doc: "So many requests at once on each dyno, by a calm and a panic window: the rule of Knative's Pod Autoscaler.",
        fields: &[
            Field::required(
                "target",
                FieldType::Number(0.000_001, 1e9),
                "Requests at once that a dyno takes; in a second, where the measurement is a rate.",
                "10",
            ),
            Field::defaulting(
                "utilization",
                FieldType::Number(0.01, 1.0),
                "0.7",
                "The share of the target that is planned for.",
            ),
            Field::defaulting(
                "stable_window",
                FieldType::Duration(1.0, 3600.0),
                "\"60s\"",
                "Over how long the mean is taken.",
            ),
            Field::defaulting(
                "panic_window",
                FieldType::Number(0.01, 1.0),
                "0.1",
                "The panic window, as a share of the stable one; at the least, it is the newest reading.",
            ),
            Field::defaulting(
                "panic_threshold",
                FieldType::Number(1.1, 10.0),
                "2",
                "Panic begins where so many times the dynos that serve are wanted.",
            ),
            Field::defaulting(
                "max_scale_up_rate",
                FieldType::Number(1.01, 1e6),
                "1000",
                "The most dynos for each one that serves, at once.",
            ),
            Field::defaulting(
                "max_scale_down_rate",
                FieldType::Number(1.01, 1e6),
                "2",
                "At once, no fewer dynos than those that serve, over this: 2 goes down by half at most.",
            ),
            Field::defaulting(
                "slack",
                FieldType::Number(0.0, 10.0),
                "0",
                "So much more load must still fit before dynos are removed: 0.05 keeps a load at the edge from flapping; Knative has none.",
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
            "is concurrency, but the measurement says a number of dynos: decide by app",
        ));
    }
    Ok(Arc::new(Concurrency {
        target: positive(values, "target")?,
        utilization: positive(values, "utilization")?,
        stable_window: span(values, "stable_window")?,
        panic_window: positive(values, "panic_window")?,
        panic_threshold: needed(values, "panic_threshold")?,
        max_scale_up_rate: needed(values, "max_scale_up_rate")?,
        max_scale_down_rate: needed(values, "max_scale_down_rate")?,
        slack: needed(values, "slack")?,
        beside: unit == Unit::Milliseconds,
    }))
}

/// A mean as it is gathered.
#[derive(Debug, Clone, Copy, Default)]
struct Mean {
    sum: f64,
    count: u32,
}

impl Mean {
    fn add(&mut self, value: f64) {
        self.sum += value;
        self.count += 1;
    }

    fn get(self) -> f64 {
        if self.count == 0 { 0.0 } else { self.sum / f64::from(self.count) }
    }
}

impl Concurrency {
    fn load(&self, point: &Point) -> Option<f64> {
        if self.beside { point.detail.concurrency } else { point.value }
    }

    fn dynos(&self, load: f64) -> Dynos {
        dynos_for(load / (self.target * self.utilization))
    }

    fn panic_span(&self) -> SignedDuration {
        SignedDuration::try_from_secs_f64(self.stable_window.as_secs_f64() * self.panic_window).unwrap_or_default()
    }

    fn is_panic(&self, wanted: Dynos, ready: Dynos) -> bool {
        f64::from(wanted) >= self.panic_threshold * f64::from(ready.max(1))
    }

    /// Whether the panic threshold was reached within the last stable window, and the mean over the panic window now.
    fn panic(&self, input: &PolicyInput<'_>) -> (bool, f64) {
        let span = self.panic_span();
        let mut now = Mean::default();
        let mut panics = false;
        for (n, point) in input.evidence.within(input.at, self.stable_window).enumerate() {
            let Some(load) = self.load(&point) else { continue };
            if n == 0 || input.at.duration_since(point.at) < span {
                now.add(load);
                continue;
            }
            // An older sample: whether the threshold was reached then, by the samples of the panic window before it.
            if panics {
                continue;
            }
            let mut then = Mean::default();
            // With few samples, the common case, each panic window is a single one.
            for other in input.evidence.newest_first().skip(n) {
                if then.count > 0 && point.at.duration_since(other.at) >= span {
                    break;
                }
                if let Some(load) = self.load(&other) {
                    then.add(load);
                }
            }
            panics = self.is_panic(self.dynos(then.get()), point.ready.unwrap_or(input.ready));
        }
        let mean = now.get();
        (panics || self.is_panic(self.dynos(mean), input.ready), mean)
    }
}

impl Policy for Concurrency {
    fn window(&self) -> Window {
        // Twice the window, so that a whole one lies behind the samples that are kept.
        Window { samples: 10_000, span: self.stable_window.saturating_mul(2) }
    }

    fn verdict(&self, _value: f64) -> Verdict {
        Verdict::JustRight
    }

    fn verdict_at(&self, value: f64, dynos: Dynos) -> Verdict {
        if self.beside {
            return Verdict::JustRight;
        }
        match self.dynos(value).cmp(&dynos) {
            std::cmp::Ordering::Less => Verdict::TooLow,
            std::cmp::Ordering::Equal => Verdict::JustRight,
            std::cmp::Ordering::Greater => Verdict::TooHigh,
        }
    }

    fn keeps_evidence(&self) -> bool {
        true
    }

    fn propose(&self, input: &PolicyInput<'_>) -> Proposal {
        let dynos = input.dynos;
        let Some(newest) = input.evidence.newest() else { return Proposal::want(dynos, NOTHING_READ) };
        if newest.verdict == Verdict::TooHigh && newest.value.is_none() {
            let why = Phrase::new("the reading failed as an overloaded app does");
            return Proposal::want(dynos.saturating_add(1), why);
        }
        if self.load(&newest).is_none() {
            return Proposal::unknown(Phrase::new("the source does not tell how many requests are under way"));
        }
        let mut stable = Mean::default();
        for point in input.evidence.within(input.at, self.stable_window) {
            if let Some(load) = self.load(&point) {
                stable.add(load);
            }
        }
        let (panics, short) = self.panic(input);
        let stable = stable.get();
        let ready = f64::from(input.ready.max(1));
        let up = dynos_for(ready * self.max_scale_up_rate);
        let down = (ready / self.max_scale_down_rate).floor() as Dynos;
        let calm = self.dynos(stable).max(down).min(up);
        let seconds = self.stable_window.as_secs_f64();
        if panics {
            let wanted = calm.max(self.dynos(short).max(down).min(up)).max(dynos);
            let why = Phrase::with("{0} requests at once of late: nothing is removed for {1} s", [short, seconds]);
            return Proposal::want(wanted, why);
        }
        if calm < dynos && !input.evidence.covers(input.at, self.stable_window, self.window()) {
            let why = Phrase::with("{0} requests at once, but for less than {1} s", [stable, seconds]);
            return Proposal::want(dynos, why);
        }
        let wanted = if calm < dynos { calm.max(self.dynos(stable * (1.0 + self.slack))).min(dynos) } else { calm };
        Proposal::want(wanted, Phrase::with("{0} requests at once, on average over {1} s", [stable, seconds]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::testing::{Read, propose, reads};

    const RULE: Concurrency = Concurrency {
        target: 10.0,
        utilization: 1.0,
        stable_window: SignedDuration::from_secs(60),
        panic_window: 0.1,
        panic_threshold: 2.0,
        max_scale_up_rate: 10.0,
        max_scale_down_rate: 2.0,
        slack: 0.0,
        beside: false,
    };

    /// A reading every 2 s, as Knative's autoscaler ticks: so many of the first value, then so many of the second.
    fn two(first: (usize, f64), second: (usize, f64)) -> Vec<Read> {
        let values = [vec![first.1; first.0], vec![second.1; second.0]].concat();
        reads(2, &values)
    }

    fn reads_from(second: i64, values: &[f64]) -> Vec<Read> {
        reads(2, values).into_iter().map(|(s, value, detail)| (second + s, value, detail)).collect()
    }

    /// Worked by hand from the rule: the mean over 60 s is 30 samples, over 6 s 3.
    #[test]
    fn stable_and_panic_as_knative() {
        let rows: &[(&str, u32, Vec<Read>, u32)] = &[
            ("50 at once, 10 each: five", 5, two((60, 50.0), (1, 50.0)), 5),
            ("a little more: ceil(5.1)", 5, two((60, 51.0), (1, 51.0)), 6),
            ("the stable mean moves slowly: (50 × 15 + 90 × 15) / 30 = 70", 5, two((45, 50.0), (15, 90.0)), 7),
            ("the panic window wants ceil(100 / 10) = 10 = 2 × 5", 5, two((45, 50.0), (3, 100.0)), 10),
            (
                "just below the threshold it does not count: (50 × 27 + 89 × 3) / 30 = 53.9",
                5,
                two((45, 50.0), (3, 89.0)),
                6,
            ),
            (
                "over the threshold of late: nothing is lowered",
                10,
                [two((45, 20.0), (3, 200.0)), reads_from(96, &[20.0; 5])].concat(),
                10,
            ),
            ("a whole window of calm: lowered to half at most", 10, two((30, 200.0), (60, 10.0)), 5),
            ("and as the mean says where that is more", 10, two((30, 70.0), (60, 70.0)), 7),
            ("up by ten times at most", 1, two((45, 10.0), (3, 500.0)), 10),
            ("too few samples lower nothing", 5, two((5, 0.0), (5, 0.0)), 5),
            ("to nothing: floor(1 / 2) = 0", 1, two((60, 0.0), (5, 0.0)), 0),
            ("from nothing", 0, two((60, 0.0), (1, 3.0)), 1),
        ];
        for (name, dynos, reads, desired) in rows {
            assert_eq!(propose(&RULE, *dynos, *dynos, reads).desired, Some(*desired), "{name}");
        }
    }

    #[test]
    fn the_target_is_used_to_its_share() {
        let rule = Concurrency { utilization: 0.7, target: 100.0, ..RULE };
        assert_eq!(propose(&rule, 2, 2, &two((60, 140.0), (1, 140.0))).desired, Some(2));
        assert_eq!(propose(&rule, 2, 2, &two((60, 141.0), (1, 141.0))).desired, Some(3));
    }

    #[test]
    fn times_tell_their_requests_beside_them() {
        let rule = Concurrency { beside: true, ..RULE };
        let mut told = two((60, 300.0), (1, 300.0));
        assert_eq!(propose(&rule, 2, 2, &told).desired, None);
        for read in &mut told {
            read.2.concurrency = Some(42.0);
        }
        assert_eq!(propose(&rule, 4, 4, &told).desired, Some(5));
    }
}
