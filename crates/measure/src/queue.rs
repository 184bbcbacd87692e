//! What all kinds of queues have in common: which number is the measurement, and how several queues become one.
//!
//! How a queue is read is each kind's own ([`Backlog`]); the connections are in `redis` and `postgres`.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use autoscalebot_core::fields::{Description, Field, FieldError, FieldType, MeasurementKind, Values};
use autoscalebot_core::{Detail, Failure, Reading, Taken, Unit};
use jiff::SignedDuration;

use crate::budget::{FIVE_SECONDS, budget, within};
use crate::{Build, Measure, MeasureEntry};

/// One queue as it is now. What is `None` is not known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Seen {
    /// Jobs that are due and wait for a worker.
    pub(crate) waiting: f64,
    /// Jobs being worked on.
    pub(crate) busy: Option<f64>,
    /// Age of the oldest job that is due, from when it was due; 0 where none waits.
    pub(crate) oldest_ms: Option<f64>,
}

impl Seen {
    /// A queue, whose oldest job's age is 0 where none waits.
    pub(crate) fn new(waiting: f64, busy: Option<f64>, oldest_ms: Option<f64>) -> Self {
        Self { waiting, busy, oldest_ms: if waiting > 0.0 { oldest_ms } else { Some(0.0) } }
    }
}

/// Reads the queues of one system.
#[async_trait]
pub(crate) trait Backlog: Debug + Send + Sync {
    /// Each queue as it is now; none where there are no queues.
    async fn look(&self) -> Result<Vec<Seen>, Failure>;

    /// As [`Measure::doubt`].
    fn doubt(&self) -> Option<&'static str> {
        None
    }
}

/// Which number is the measurement.
pub(crate) const VALUE: Field = Field::defaulting(
    "value",
    FieldType::Counts(&[("depth", Unit::Jobs), ("latency", Unit::Milliseconds)]),
    "\"depth\"",
    "Which number it is: how many jobs wait, or how long the oldest that is due waits already.",
);

/// How several queues become one.
pub(crate) const COMBINE: Field = Field::defaulting(
    "combine",
    FieldType::OneOf(&["sum", "max"]),
    "\"sum\"",
    "Of several queues: the sum of the jobs that wait, or the most that wait in one. Latency is always the worst.",
);

/// The entry of a kind of queue.
pub(crate) const fn entry(
    name: &'static str,
    doc: &'static str,
    fields: &'static [Field],
    check: fn(&Values, SignedDuration) -> Result<(), FieldError>,
    build: Build,
) -> MeasureEntry {
    let description = Description { name, doc, fields, shorthand: &[] };
    let kind = MeasurementKind {
        description,
        unit: Unit::Jobs,
        failures_mean_overload: false,
        told: false,
        default_every: "\"15s\"",
        check,
    };
    MeasureEntry { kind, build }
}

/// Makes the measurement of a system's queues.
pub(crate) fn measure(
    values: &Values,
    every: Duration,
    backlog: impl Backlog + 'static,
) -> Result<Arc<dyn Measure>, FieldError> {
    Ok(Arc::new(Queue {
        backlog: Box::new(backlog),
        combine: if values.text("combine") == Some("max") { Combine::Max } else { Combine::Sum },
        latency: values.text("value") == Some("latency"),
        budget: limit(values, SignedDuration::try_from(every).unwrap_or(SignedDuration::MAX))?,
    }))
}

/// The time limit of these settings.
pub(crate) fn limit(values: &Values, every: SignedDuration) -> Result<Duration, FieldError> {
    budget(values, every, FIVE_SECONDS)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Combine {
    Sum,
    Max,
}

/// Measures queues.
#[derive(Debug)]
struct Queue {
    backlog: Box<dyn Backlog>,
    combine: Combine,
    latency: bool,
    budget: Duration,
}

#[async_trait]
impl Measure for Queue {
    async fn read(&self) -> Taken {
        let read = async { together(&self.backlog.look().await?, self.combine, self.latency) };
        within(self.budget, read).await
    }

    fn budget(&self) -> Duration {
        self.budget
    }

    fn doubt(&self) -> Option<&'static str> {
        self.backlog.doubt()
    }
}

/// Several queues as one. Workers being busy always add up, as each of them must be left alone.
fn together(queues: &[Seen], combine: Combine, latency: bool) -> Result<Taken, Failure> {
    let waiting = queues.iter().map(|queue| queue.waiting);
    let waiting = match combine {
        Combine::Sum => waiting.sum(),
        Combine::Max => waiting.fold(0.0, f64::max),
    };
    let busy = queues.iter().map(|queue| queue.busy).try_fold(0.0, |sum, busy| Some(sum + busy?));
    // With one queue's age unknown, the oldest of all is unknown: it might be that one's.
    let oldest_ms = queues.iter().map(|queue| queue.oldest_ms).try_fold(0.0, |most: f64, age| Some(most.max(age?)));
    let value = match (latency, oldest_ms) {
        (false, _) => waiting,
        (true, Some(oldest_ms)) => oldest_ms,
        (true, None) => return Err(Failure::Other("the oldest job does not tell since when it waits".into())),
    };
    Ok(Taken { reading: Reading::number(value), detail: Detail { busy, latency_ms: oldest_ms, ..Detail::default() } })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(taken: &Taken) -> f64 {
        match &taken.reading {
            Reading::Value(value) => *value,
            Reading::Failed(failure) => panic!("{failure}"),
        }
    }

    #[test]
    fn several_queues_add_up_or_take_the_worst() {
        let queues = [Seen::new(3.0, Some(1.0), Some(500.0)), Seen::new(40.0, Some(2.0), Some(90.0))];
        let sum = together(&queues, Combine::Sum, false).unwrap();
        assert_eq!((value(&sum), sum.detail.busy, sum.detail.latency_ms), (43.0, Some(3.0), Some(500.0)));
        let max = together(&queues, Combine::Max, false).unwrap();
        assert_eq!((value(&max), max.detail.busy, max.detail.latency_ms), (40.0, Some(3.0), Some(500.0)));
        assert_eq!(value(&together(&queues, Combine::Sum, true).unwrap()), 500.0);
    }

    #[test]
    fn what_one_queue_does_not_tell_is_unknown_of_all() {
        let queues = [Seen::new(3.0, None, None), Seen::new(1.0, Some(2.0), Some(90.0))];
        let taken = together(&queues, Combine::Sum, false).unwrap();
        assert_eq!((value(&taken), taken.detail), (4.0, Detail::default()));
        assert!(together(&queues, Combine::Sum, true).is_err());
        // An empty queue has no oldest job, so that nothing about it is unknown.
        let queues = [Seen::new(0.0, Some(0.0), None), Seen::new(1.0, Some(2.0), Some(90.0))];
        assert_eq!(value(&together(&queues, Combine::Max, true).unwrap()), 90.0);
        assert_eq!(value(&together(&[], Combine::Sum, false).unwrap()), 0.0);
    }
}
