//! `busy_floor`: dynos that are working are not removed. A source tells beside its number how many jobs are being worked on.
//!
//! Platforms stop the dynos with the highest numbers first, whatever they do. So by `count` there are as many dynos left as the
//! running jobs need, but the one that is stopped may be the one that works; by `newest`, nothing is removed while any works.

use std::sync::Arc;

use crate::fields::{Description, Field, FieldType};
use crate::gate::{Gate, GateInput, GateKind, Say};
use crate::policy::dynos_for;
use crate::{Phrase, Sample};

/// The rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BusyFloor {
    /// Whether nothing is removed while any job runs.
    pub newest: bool,
    /// Jobs that a dyno works on at once, at least 1.
    pub at_once: u32,
}

/// The entry in the list of gates.
pub const KIND: GateKind = GateKind {
    description: Description {
        name: "busy_floor",
        doc: "Dynos that work on jobs are not removed.",
        fields: &[
            Field::optional(
                "protect",
                FieldType::OneOf(&["count", "newest"]),
                "\"count\": no fewer dynos than the running jobs need; \"newest\": nothing is removed while any runs, since the \
                 newest dyno is stopped first.",
                "\"newest\"",
            ),
            Field::defaulting("at_once", FieldType::Whole(1, 10_000), "1", "Jobs that a dyno works on at once."),
        ],
        shorthand: &["protect"],
    },
    build: |values| {
        let at_once = values.whole("at_once").and_then(|n| u32::try_from(n).ok()).unwrap_or(1);
        let protect = values.text("protect");
        Ok(protect.map(|word| Arc::new(BusyFloor { newest: word == "newest", at_once }) as Arc<dyn Gate>))
    },
};

impl Gate for BusyFloor {
    fn name(&self) -> &'static str {
        KIND.description.name
    }

    fn ask(&self, input: &GateInput<'_>) -> Say {
        if input.desired >= input.before {
            return Say::Pass;
        }
        let told = |sample: &Option<Sample>| sample.as_ref().and_then(|sample| sample.detail.busy);
        let busy: f64 = input.seen.samples.iter().filter_map(told).filter(|busy| *busy > 0.0).sum();
        if busy <= 0.0 {
            return Say::Pass;
        }
        let floor = if self.newest { input.before } else { dynos_for(busy / f64::from(self.at_once)) };
        if input.desired >= floor {
            return Say::Pass;
        }
        let left = floor.min(input.before);
        let why = "busy_floor: {0} jobs are worked on: {1} dynos stay";
        Say::Instead(left, Phrase::with(why, [busy, left.into()]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::testing::{ask, at, build};
    use crate::{Detail, Observation, Reading, State};

    fn busy(jobs: &[Option<f64>]) -> Observation {
        let sample = |busy: &Option<f64>| {
            let mut sample = Sample::new(at(0), Reading::Value(0.0));
            sample.detail = Detail { busy: *busy, ..Detail::default() };
            Some(sample)
        };
        Observation { samples: jobs.iter().map(sample).collect(), ..Observation::default() }
    }

    #[test]
    fn a17_running_jobs_keep_their_dynos() {
        let count = BusyFloor { newest: false, at_once: 1 };
        let newest = BusyFloor { newest: true, at_once: 1 };
        for (rule, jobs, before, desired, left) in [
            (count, Some(1.0), 1, 0, 1),
            (count, Some(0.0), 1, 0, 0),
            (count, None, 1, 0, 0),
            (count, Some(1.0), 3, 1, 1),
            (newest, Some(1.0), 3, 1, 3),
            (newest, Some(0.0), 3, 1, 1),
            (newest, Some(9.0), 3, 5, 5),
            (count, Some(2.0), 5, 1, 2),
            (count, Some(9.0), 5, 1, 5),
            (BusyFloor { at_once: 4, ..count }, Some(9.0), 5, 1, 3),
        ] {
            let left_over = ask(&rule, at(0), (before, desired), &State::default(), &busy(&[jobs]));
            assert_eq!(left_over, left, "{jobs:?} {before} {desired}");
        }
        let two = busy(&[Some(1.0), None, Some(2.0)]);
        assert_eq!(ask(&count, at(0), (5, 1), &State::default(), &two), 3, "several queues add up");
        assert!(build(&KIND, &[]).unwrap().is_none());
    }
}
