//! [`Report`]: the figures of one run.

use autoscalebot_core::Dynos;
use jiff::Timestamp;
use serde::Serialize;

use crate::clairvoyant::Schedule;
use crate::minutes::{Minute, Times};
use crate::run::{Mode, Scenario};

/// Two changes in opposite directions within so many minutes are a reversal.
pub const REVERSAL_MINUTES: usize = 10;

/// What one contender came to on one trace. As JSON it has the figures, not the minutes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The contender.
    pub name: String,
    /// The trace.
    pub trace: String,
    /// When the trace begins.
    pub start: Timestamp,
    /// How requests were simulated.
    pub mode: Mode,
    /// The seed of the run.
    pub seed: u64,
    /// Seconds of wait + service that are still good.
    pub objective_secs: f64,
    /// Requests that came.
    pub requests: f64,
    /// Paid dyno-hours, booting and draining included.
    pub dyno_hours: f64,
    /// Dyno-hours of the clairvoyant optimum under the same bounds.
    pub optimum_dyno_hours: f64,
    /// Paid dyno-hours over those of the optimum; 1 where both are 0.
    pub optimum_ratio: f64,
    /// Paid dyno-hours times the price.
    pub cost: f64,
    /// The share of requests that exceed the objective, were rejected or timed out, 0 to 1.
    pub slow_share: f64,
    /// Requests that found the queue full.
    pub rejected: f64,
    /// Requests that had no answer in time.
    pub timed_out: f64,
    /// Percentiles of wait + service, and the mean wait.
    #[serde(flatten)]
    pub times: Times,
    /// Minutes whose quantity differs from that of the minute before.
    pub changes: usize,
    /// Changes in the direction opposite to that of the change before, within [`REVERSAL_MINUTES`].
    pub reversals: usize,
    /// The minute with the highest p95.
    pub worst_minute: WorstMinute,
    /// Minutes whose need is above the most that the bounds allow.
    pub beyond_bounds_minutes: usize,
    /// Each minute.
    #[serde(skip)]
    pub minutes: Vec<Minute>,
    /// The clairvoyant optimum.
    #[serde(skip)]
    pub optimum: Schedule,
}

/// The minute with the highest 95th percentile.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct WorstMinute {
    /// Its index, from 0.
    pub index: usize,
    /// When it begins.
    pub at: Timestamp,
    /// Its 95th percentile of wait + service in seconds.
    pub p95_secs: f64,
}

impl Report {
    pub(crate) fn new(
        scenario: &Scenario,
        name: &str,
        minutes: Vec<Minute>,
        times: Times,
        initial: Dynos,
        optimum: Schedule,
    ) -> Self {
        let sum = |of: fn(&Minute) -> f64| minutes.iter().map(of).sum::<f64>();
        let requests = sum(|minute| minute.requests);
        let dyno_hours = sum(|minute| minute.paid) / 60.0;
        let optimum_dyno_hours = optimum.dyno_hours();
        let (changes, reversals) = changes(initial, minutes.iter().map(|minute| minute.dynos));
        let worst = minutes.iter().enumerate().fold((0, 0.0), |worst, (index, minute)| {
            if minute.p95_secs > worst.1 { (index, minute.p95_secs) } else { worst }
        });
        Self {
            name: name.to_owned(),
            trace: scenario.trace.name.clone(),
            start: scenario.trace.start,
            mode: scenario.mode,
            seed: scenario.seed,
            objective_secs: scenario.app.objective_secs,
            requests,
            dyno_hours,
            optimum_dyno_hours,
            optimum_ratio: ratio(dyno_hours, optimum_dyno_hours),
            cost: dyno_hours * scenario.price_per_dyno_hour,
            slow_share: if requests > 0.0 { sum(|minute| minute.slow) / requests } else { 0.0 },
            rejected: sum(|minute| minute.rejected),
            timed_out: sum(|minute| minute.timed_out),
            times,
            changes,
            reversals,
            worst_minute: WorstMinute {
                index: worst.0,
                at: scenario.instant(worst.0 as f64 * 60.0),
                p95_secs: worst.1,
            },
            beyond_bounds_minutes: optimum.broken.len(),
            minutes,
            optimum,
        }
    }

    /// Whether this one is no worse in dyno-hours and slow share, and better in one.
    pub fn beats(&self, other: &Self) -> bool {
        let (hours, slow) = ((self.dyno_hours, other.dyno_hours), (self.slow_share, other.slow_share));
        hours.0 <= hours.1 && slow.0 <= slow.1 && (hours.0 < hours.1 || slow.0 < slow.1)
    }
}

fn ratio(hours: f64, optimum: f64) -> f64 {
    if optimum > 0.0 {
        hours / optimum
    } else if hours > 0.0 {
        f64::INFINITY
    } else {
        1.0
    }
}

/// Changes from minute to minute, and how many of them turn back.
fn changes(initial: Dynos, minutes: impl Iterator<Item = Dynos>) -> (usize, usize) {
    let (mut changes, mut reversals) = (0, 0);
    let mut before = initial;
    let mut last: Option<(usize, bool)> = None;
    for (index, dynos) in minutes.enumerate() {
        if dynos != before {
            let up = dynos > before;
            changes += 1;
            if last.is_some_and(|(at, went_up)| went_up != up && index - at <= REVERSAL_MINUTES) {
                reversals += 1;
            }
            last = Some((index, up));
        }
        before = dynos;
    }
    (changes, reversals)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_and_reversals() {
        let of = |minutes: &[u32]| changes(1, minutes.iter().copied());
        assert_eq!(of(&[1, 1, 2, 2, 1, 1]), (2, 1));
        assert_eq!(of(&[2, 3, 4]), (3, 0));
        assert_eq!(of(&[2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1]), (2, 1), "10 minutes apart is within");
        assert_eq!(of(&[2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1]), (2, 0));
    }
}
