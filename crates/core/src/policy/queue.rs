//! `queue`: workers for the jobs of a queue, by jobs for each dyno, by how long a job may wait, or both; the higher counts.
//!
//! The value is the jobs that wait. What is being worked on is told beside it (`busy`), and so are the rate at which jobs
//! come, the time that one takes and the age of the oldest. By jobs: (waiting + busy) / `jobs_per_dyno`. By wait: of the
//! work that comes, rate × service, each dyno does `at_once` × `utilization`; and what waits now must be begun within what is
//! left of `latency` to the oldest job, so waiting × service / time left more are needed. Where the source tells no rates, the
//! age of the oldest job over `latency` is the ratio by which to grow.
//!
//! Fewer dynos are wanted only as the highest need of the last `lower_after`, and never fewer than the running jobs need.

use std::sync::Arc;

use jiff::SignedDuration;

use crate::fields::{Description, Field, FieldError, FieldType, Values};
use crate::history::{Point, Window};
use crate::policy::{NOTHING_READ, Policy, PolicyInput, PolicyKind, Proposal, dynos_for, needed, positive, span};
use crate::{Dynos, Phrase, Unit, Verdict};

/// The settings of the rule.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Queue {
    /// Jobs, waiting and running, for each dyno; above 0.
    pub jobs_per_dyno: Option<f64>,
    /// How long a job may wait, in milliseconds, above 0.
    pub latency_ms: Option<f64>,
    /// Jobs that a dyno works on at once; at least 1.
    pub at_once: f64,
    /// The share of its time that a dyno may be busy; above 0 and at most 1.
    pub utilization: f64,
    /// The highest need of so long counts for fewer dynos.
    pub lower_after: SignedDuration,
    /// Whether the value is the age of the oldest job, in milliseconds, rather than a count.
    pub ages: bool,
    /// So many more jobs that wait and come must fit before dynos are removed, at or above 0; running jobs are what they are.
    pub slack: f64,
}

/// A job that is older than the wait allowed must be begun within this part of it.
const LEAST_TIME_LEFT: f64 = 0.25;

/// The entry in the list of policies.
pub const KIND: PolicyKind = PolicyKind {
    description: Description {
        name: "queue",
        doc: "Workers for the jobs of a queue: so many jobs for each dyno, or as many dynos as keep the wait below a limit.",
        fields: &[
            Field::optional(
                "jobs_per_dyno",
                FieldType::Number(0.000_001, 1e9),
                "Jobs, waiting and running, for each dyno.",
                "10",
            ),
            Field::optional(
                "latency",
                FieldType::Duration(0.001, 30.0 * 86_400.0),
                "How long a job may wait before it is begun.",
                "\"30s\"",
            ),
            Field::defaulting("at_once", FieldType::Whole(1, 10_000), "1", "Jobs that a dyno works on at once."),
            Field::defaulting(
                "utilization",
                FieldType::Number(0.05, 1.0),
                "0.8",
                "The share of its time that a dyno may be busy, where latency counts.",
            ),
            Field::defaulting(
                "lower_after",
                FieldType::Duration(0.0, 86_400.0),
                "\"2m\"",
                "Dynos are removed down to the highest need of so long.",
            ),
            Field::defaulting(
                "slack",
                FieldType::Number(0.0, 10.0),
                "0.05",
                "So many more jobs that wait and come must fit before dynos are removed: 0.05 is a twentieth.",
            ),
        ],
        shorthand: &[],
    },
    build,
};

fn build(values: &Values, unit: Unit) -> Result<Arc<dyn Policy>, FieldError> {
    if !matches!(unit, Unit::Jobs | Unit::Count | Unit::Milliseconds) {
        let message =
            format!("is queue, which counts jobs, but the measurement counts {}: decide by target", unit.as_str());
        return Err(FieldError::new("type", message));
    }
    let policy = Queue {
        jobs_per_dyno: values.number("jobs_per_dyno"),
        latency_ms: values.duration("latency").map(|latency| latency.as_secs_f64() * 1000.0),
        at_once: values.whole("at_once").unwrap_or(1) as f64,
        utilization: positive(values, "utilization")?,
        lower_after: span(values, "lower_after")?,
        ages: unit == Unit::Milliseconds,
        slack: needed(values, "slack")?,
    };
    if policy.ages && policy.latency_ms.is_none() {
        let message = "is missing, but the measurement is how long jobs wait: set how long they may";
        return Err(FieldError::new("latency", message));
    }
    if policy.ages && policy.jobs_per_dyno.is_some() {
        let message = "is of no use: the measurement is how long jobs wait, not how many do; leave it out";
        return Err(FieldError::new("jobs_per_dyno", message));
    }
    if policy.jobs_per_dyno.is_none() && policy.latency_ms.is_none() {
        return Err(FieldError::new("jobs_per_dyno", "is missing, and so is latency: set one of them, or both"));
    }
    Ok(Arc::new(policy))
}

impl Queue {
    /// The dynos for what was read, and `more` of it; `None`: the source does not tell enough.
    fn needs(&self, point: &Point, dynos: Dynos, more: f64) -> Option<f64> {
        // An age above 0 is that of one job at the least.
        let waiting = if self.ages { f64::from(point.value? > 0.0) } else { point.value? * (1.0 + more) };
        let busy = point.detail.busy.unwrap_or(0.0).max(0.0);
        let by_jobs = self.jobs_per_dyno.map(|jobs| (waiting + busy) / jobs);
        let by_wait =
            self.latency_ms.and_then(|latency| self.for_latency(point, (waiting, busy), latency, dynos, more));
        let highest = match (by_jobs, by_wait) {
            (None, None) => return None,
            (one, other) => one.unwrap_or(0.0).max(other.unwrap_or(0.0)),
        };
        // Jobs that run need their dynos, and one that waits needs at least one.
        let least = if waiting > 0.0 { f64::MIN_POSITIVE } else { 0.0 };
        Some(highest.max(busy / self.at_once).max(least))
    }

    fn for_latency(
        &self,
        point: &Point,
        (waiting, busy): (f64, f64),
        latency: f64,
        dynos: Dynos,
        more: f64,
    ) -> Option<f64> {
        let detail = &point.detail;
        let age = if self.ages { point.value } else { detail.latency_ms };
        let oldest = age.unwrap_or(0.0).max(0.0);
        // Little: jobs under way = rate × time of one.
        let service =
            detail.service_ms.or_else(|| detail.rate.filter(|rate| *rate > 0.0).map(|rate| busy / rate * 1000.0));
        if let (Some(rate), Some(service), false) = (detail.rate, service.filter(|service| *service > 0.0), self.ages) {
            let comes = rate.max(0.0) * (1.0 + more) * service / 1000.0 / self.utilization;
            let left = (latency - oldest).max(latency * LEAST_TIME_LEFT);
            return Some((comes + waiting * service / left) / self.at_once);
        }
        age?;
        // Nothing but the age: as long a wait as allowed is as wanted.
        Some(if waiting == 0.0 { busy / self.at_once } else { f64::from(dynos.max(1)) * oldest / latency })
    }
}

impl Policy for Queue {
    fn window(&self) -> Window {
        Window { samples: 10_000, span: self.lower_after.saturating_mul(2) }
    }

    fn verdict(&self, _value: f64) -> Verdict {
        Verdict::JustRight
    }

    fn verdict_at(&self, value: f64, dynos: Dynos) -> Verdict {
        if let (Some(latency), true) = (self.latency_ms, self.ages) {
            return if value > latency { Verdict::TooHigh } else { Verdict::JustRight };
        }
        let Some(jobs) = self.jobs_per_dyno else { return Verdict::JustRight };
        if dynos_for(value / jobs) > dynos { Verdict::TooHigh } else { Verdict::JustRight }
    }

    fn keeps_evidence(&self) -> bool {
        // The age alone is what the dynos made of the load; its ratio must not be taken twice.
        self.jobs_per_dyno.is_some()
    }

    fn propose(&self, input: &PolicyInput<'_>) -> Proposal {
        let dynos = input.dynos;
        let Some(newest) = input.evidence.newest() else { return Proposal::want(dynos, NOTHING_READ) };
        let Some(need) = self.needs(&newest, dynos, 0.0) else {
            return Proposal::unknown(Phrase::new(
                "the source tells neither how long jobs wait nor how fast they come and go",
            ));
        };
        let (waiting, busy) = (newest.value.unwrap_or_default(), newest.detail.busy.unwrap_or_default());
        // An age is told as one; the rest of the sentence is the same.
        let said = |jobs: &'static str, age: &'static str| if self.ages { age } else { jobs };
        let now = dynos_for(need);
        if now >= dynos {
            let why = said("{0} jobs wait and {1} are worked on", "the oldest job is {0} ms old, {1} are worked on");
            let why = Phrase::with(why, [waiting, busy]);
            return Proposal::want(now, why);
        }
        let seconds = self.lower_after.as_secs_f64();
        if !input.evidence.covers(input.at, self.lower_after, self.window()) {
            let why = said(
                "{0} jobs wait and {1} are worked on, but for less than {2} s",
                "the oldest job is {0} ms old, {1} are worked on, but for less than {2} s",
            );
            let why = Phrase::with(why, [waiting, busy, seconds]);
            return Proposal::want(dynos, why);
        }
        let mut highest = need;
        for point in input.evidence.within(input.at, self.lower_after) {
            if let Some(need) = self.needs(&point, dynos, self.slack) {
                highest = highest.max(need);
            }
        }
        let why = said(
            "{0} jobs wait and {1} are worked on; the most of {2} s counts",
            "the oldest job is {0} ms old, {1} are worked on; the most of {2} s counts",
        );
        let why = Phrase::with(why, [waiting, busy, seconds]);
        Proposal::want(dynos_for(highest).min(dynos), why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Detail;
    use crate::policy::testing::{Read, propose};

    const JOBS: Queue = Queue {
        jobs_per_dyno: Some(10.0),
        latency_ms: None,
        at_once: 1.0,
        utilization: 0.8,
        lower_after: SignedDuration::from_secs(60),
        ages: false,
        slack: 0.0,
    };
    const WAIT: Queue = Queue { jobs_per_dyno: None, latency_ms: Some(30_000.0), ..JOBS };

    /// The same reading every 20 s for two minutes.
    fn long(waiting: f64, detail: Detail) -> Vec<Read> {
        (0..7).map(|n| (n * 20, Some(waiting), detail)).collect()
    }

    fn told(busy: f64, rate: f64, service_ms: f64, latency_ms: f64) -> Detail {
        Detail {
            busy: Some(busy),
            rate: Some(rate),
            service_ms: Some(service_ms),
            latency_ms: Some(latency_ms),
            concurrency: None,
        }
    }

    #[test]
    fn by_jobs() {
        let busy = |busy| Detail { busy: Some(busy), ..Detail::default() };
        for (waiting, detail, dynos, desired) in [
            (0.0, Detail::default(), 3, 0),
            (1.0, Detail::default(), 0, 1),
            (20.0, Detail::default(), 1, 2),
            (21.0, Detail::default(), 1, 3),
            (15.0, busy(6.0), 1, 6), // six jobs run, each on its dyno
            (100.0, busy(6.0), 1, 11),
            (4e13, Detail::default(), 9, u32::MAX),
        ] {
            assert_eq!(propose(&JOBS, dynos, dynos, &long(waiting, detail)).desired, Some(desired), "{waiting}");
        }
    }

    #[test]
    fn by_wait() {
        // 2 jobs a second of 3 s are 6 dynos' work, at 80 % 7.5; 20 that wait, 3 s each within 30 s, are 2 more.
        assert_eq!(propose(&WAIT, 3, 3, &long(0.0, told(6.0, 2.0, 3000.0, 0.0))).desired, Some(8));
        assert_eq!(propose(&WAIT, 3, 3, &long(20.0, told(6.0, 2.0, 3000.0, 0.0))).desired, Some(10));
        // The oldest is 15 s old: the same within 15 s; at 40 s, within a quarter of the 30.
        assert_eq!(propose(&WAIT, 3, 3, &long(20.0, told(6.0, 2.0, 3000.0, 15_000.0))).desired, Some(12));
        assert_eq!(propose(&WAIT, 3, 3, &long(20.0, told(6.0, 2.0, 3000.0, 40_000.0))).desired, Some(16));
        // Four at once on each.
        let four = Queue { at_once: 4.0, ..WAIT };
        assert_eq!(propose(&four, 3, 3, &long(20.0, told(6.0, 2.0, 3000.0, 0.0))).desired, Some(3));
        // Nothing but the age: twice as old as allowed, twice the dynos.
        let age = |ms| Detail { latency_ms: Some(ms), ..Detail::default() };
        assert_eq!(propose(&WAIT, 3, 3, &long(9.0, age(60_000.0))).desired, Some(6));
        assert_eq!(propose(&WAIT, 3, 3, &long(9.0, age(15_000.0))).desired, Some(2));
        assert_eq!(propose(&WAIT, 3, 3, &long(9.0, Detail::default())).desired, None);
    }

    /// A measurement of the age itself, with what is worked on beside it.
    #[test]
    fn by_age() {
        let ages = Queue { ages: true, ..WAIT };
        let busy = |busy| Detail { busy: Some(busy), ..Detail::default() };
        assert_eq!(propose(&ages, 3, 3, &long(60_000.0, busy(3.0))).desired, Some(6));
        assert_eq!(propose(&ages, 3, 3, &long(0.0, busy(2.0))).desired, Some(2));
        assert_eq!(propose(&ages, 0, 0, &long(1.0, busy(0.0))).desired, Some(1));
        assert_eq!(propose(&ages, 3, 3, &long(0.0, Detail::default())).desired, Some(0));
        let why = propose(&ages, 3, 3, &long(60_000.0, busy(3.0))).why.to_string();
        assert_eq!(why, "the oldest job is 60000 ms old, 3 are worked on");
    }

    #[test]
    fn fewer_only_as_the_highest_need_of_a_while() {
        let none = Detail::default();
        let mut reads = long(0.0, none);
        assert_eq!(propose(&JOBS, 5, 5, &reads[..3]).desired, Some(5), "40 s are not a minute");
        reads[5].1 = Some(35.0);
        assert_eq!(propose(&JOBS, 5, 5, &reads).desired, Some(4));
        reads[5].1 = Some(0.0);
        reads[2].1 = Some(35.0);
        assert_eq!(propose(&JOBS, 5, 5, &reads).desired, Some(0), "80 s ago is long ago");
    }

    #[test]
    fn a16_and_a17_zero_and_running_jobs() {
        let one = Queue { jobs_per_dyno: Some(1.0), ..JOBS };
        assert_eq!(propose(&one, 0, 0, &long(3.0, Detail::default())).desired, Some(3));
        let runs = Detail { busy: Some(1.0), ..Detail::default() };
        assert_eq!(propose(&one, 1, 1, &long(0.0, runs)).desired, Some(1));
        assert_eq!(propose(&one, 1, 1, &long(0.0, Detail { busy: Some(0.0), ..runs })).desired, Some(0));
    }
}
