//! A sliding window over requests: a sketch and a few sums for each of some sixty steps of time.
//!
//! - A sample lands in the step that its own time says, so lines may come late and in any order. One that is older than the
//!   window is counted, and the largest age remembered.
//! - The window ends with the step that holds "now" and has one step more than its length, so that it always covers at
//!   least its length. Percentiles are those of the merged sketches: within 1 % of the exact ones over the same samples
//!   (`a_window_agrees_with_exact_computation`).
//! - Memory does not grow with the number of samples: at most 2048 bins a step, of which service times use a few hundred.

use autoscalebot_core::queueing::arrivals;
use sketches_ddsketch::{Config, DDSketch};

/// Relative accuracy of percentiles; a little under 1 %, to be within it after rounding.
const ACCURACY: f64 = 0.0099;
/// The most bins of a sketch.
const BINS: u32 = 2048;
/// What is told apart from zero, in milliseconds.
const LEAST: f64 = 1e-3;
/// Steps of a window.
const STEPS: i64 = 60;
/// The shortest step, in milliseconds.
const SHORTEST_STEP: i64 = 250;

/// One request or job, as far as it is known.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Hit {
    /// The number that percentiles are taken of.
    pub(crate) value: Option<f64>,
    /// The time to serve it, in milliseconds.
    pub(crate) service_ms: Option<f64>,
    /// Whether it failed.
    pub(crate) error: bool,
    /// Whether it counts as a request; false for a number that belongs to one that is told of elsewhere.
    pub(crate) request: bool,
}

/// The window.
pub(crate) struct Window {
    step_ms: i64,
    /// How many steps are looked at.
    length: i64,
    steps: Box<[Step]>,
    /// When a sample came last that was older than the window, and how old.
    stale: Option<(i64, i64)>,
}

struct Step {
    /// Which step of time this is: milliseconds of the Unix epoch, divided by the length of a step.
    index: i64,
    sketch: Option<Box<DDSketch>>,
    sums: Sums,
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Sums {
    requests: u64,
    errors: u64,
    served: u64,
    service_ms: f64,
    /// The shortest time to serve one; meaningless where none was served.
    shortest_ms: f64,
}

impl Sums {
    fn add(&mut self, other: Self) {
        if other.served > 0 {
            self.shortest_ms =
                if self.served > 0 { self.shortest_ms.min(other.shortest_ms) } else { other.shortest_ms };
        }
        self.requests += other.requests;
        self.errors += other.errors;
        self.served += other.served;
        self.service_ms += other.service_ms;
    }

    /// How many were served, and the shortest time in seconds, as [`arrivals`] wants them.
    fn shortest(self) -> (f64, f64) {
        (self.served as f64, self.shortest_ms / 1000.0)
    }
}

/// What a window holds at an instant.
pub(crate) struct Summary {
    /// Requests.
    pub(crate) requests: u64,
    /// How many of them failed.
    pub(crate) errors: u64,
    /// Requests that came in a second, as far as the times of those that were answered tell ([`arrivals`]).
    pub(crate) rate: f64,
    /// Requests under way at a time, on average: the time spent on them over the time that went by.
    pub(crate) concurrency: Option<f64>,
    /// Mean time to serve one.
    pub(crate) service_ms: Option<f64>,
    sketch: DDSketch,
}

impl Summary {
    /// Whether it has no sample to take percentiles of.
    pub(crate) fn is_empty(&self) -> bool {
        self.sketch.count() == 0
    }

    /// This one's numbers of requests, with the other's percentiles.
    pub(crate) fn with_times_of(self, other: Self) -> Self {
        Self { sketch: other.sketch, ..self }
    }

    /// The percentile, from 0 to 100, by nearest rank: the least sample that so many per cent are no greater than. None
    /// without samples. (The sketch itself ranks downwards, so that of two samples the lesser would be the 99th.)
    pub(crate) fn percentile(&self, percent: f64) -> Option<f64> {
        let count = self.sketch.count() as f64;
        let rank = (percent / 100.0 * count).ceil() - 1.0;
        let quantile = if count > 1.0 { (rank + 0.5) / (count - 1.0) } else { 0.0 };
        self.sketch.quantile(quantile.clamp(0.0, 1.0)).ok().flatten()
    }
}

fn sketch() -> DDSketch {
    DDSketch::new(Config::new(ACCURACY, BINS, LEAST))
}

impl Window {
    /// A window of this length in milliseconds.
    pub(crate) fn new(length_ms: i64) -> Self {
        Self::with_past(length_ms, (length_ms / STEPS).max(SHORTEST_STEP), 0)
    }

    /// A window of this length in such steps that can be looked at as of an instant that is up to `past_ms` ago.
    pub(crate) fn with_past(length_ms: i64, step_ms: i64, past_ms: i64) -> Self {
        let length = ((length_ms + step_ms - 1) / step_ms + 1).max(2);
        let empty = || Step { index: i64::MIN, sketch: None, sums: Sums::default() };
        let steps = length + (past_ms + step_ms - 1) / step_ms;
        Self { step_ms, length, steps: (0..steps).map(|_| empty()).collect(), stale: None }
    }

    /// Adds what happened at `at_ms`, heard at `now_ms`. False: it is older than the window.
    pub(crate) fn add(&mut self, at_ms: i64, now_ms: i64, hit: Hit) -> bool {
        self.add_many(at_ms, now_ms, hit, 1)
    }

    /// Adds what happened `count` times between two instants, evenly, the last of it at the end. False: all of it is older than
    /// the window.
    pub(crate) fn spread(&mut self, (from_ms, to_ms): (i64, i64), now_ms: i64, hit: Hit, count: u64) -> bool {
        let until_ms = to_ms.min(now_ms) - 1;
        let last = until_ms.div_euclid(self.step_ms);
        let first = from_ms.min(until_ms).div_euclid(self.step_ms);
        let steps = last.saturating_sub(first).saturating_add(1).min(i64::from(u32::MAX));
        // Of a step, how many came until its end.
        let until = |step: i64| (u128::from(count) * step as u128 / steps as u128) as u64;
        let mut any = false;
        for back in (0..steps.min(self.steps.len() as i64)).rev() {
            let share = until(steps - back) - until(steps - back - 1);
            if share > 0 {
                any |= self.add_many((last - back) * self.step_ms, now_ms, hit, share);
            }
        }
        any
    }

    /// Adds what happened `count` times at `at_ms`.
    pub(crate) fn add_many(&mut self, at_ms: i64, now_ms: i64, hit: Hit, count: u64) -> bool {
        // What claims to come from the future comes from now.
        let at_ms = at_ms.min(now_ms);
        let index = at_ms.div_euclid(self.step_ms);
        let length = self.steps.len() as i64;
        if index <= now_ms.div_euclid(self.step_ms) - length {
            self.stale = Some((now_ms, now_ms.saturating_sub(at_ms)));
            return false;
        }
        let step = &mut self.steps[index.rem_euclid(length) as usize];
        if step.index != index {
            *step = Step { index, sketch: step.sketch.take().map(cleared), sums: Sums::default() };
        }
        step.sums.add(Sums {
            requests: u64::from(hit.request) * count,
            errors: u64::from(hit.error) * count,
            served: if hit.service_ms.is_some() { count } else { 0 },
            service_ms: hit.service_ms.unwrap_or(0.0) * count as f64,
            shortest_ms: hit.service_ms.unwrap_or(0.0),
        });
        if let Some(value) = hit.value {
            step.sketch.get_or_insert_with(|| Box::new(sketch())).add_with_count(value, count);
        }
        true
    }

    /// What is in the window at `now_ms`; nothing was heard before `since_ms`.
    pub(crate) fn summary(&self, now_ms: i64, since_ms: i64) -> Summary {
        let last = now_ms.div_euclid(self.step_ms);
        let (mut all, mut early, mut late) = (Sums::default(), Sums::default(), Sums::default());
        let mut merged = sketch();
        let (first, half) = (last - self.length + 1, self.length / 2);
        for step in self.steps.iter().filter(|step| (first..=last).contains(&step.index)) {
            all.add(step.sums);
            if step.index < first + half {
                early.add(step.sums);
            }
            if step.index > last - half {
                late.add(step.sums);
            }
            if let Some(sketch) = &step.sketch {
                // All are made alike, so they merge.
                let _ = merged.merge(sketch);
            }
        }
        let covered_ms = now_ms - first * self.step_ms;
        // A second at least: the rate of the first instants would be any number.
        let span_secs = covered_ms.min(now_ms - since_ms).max(1000) as f64 / 1000.0;
        let apart_secs = ((self.length - half) * self.step_ms) as f64 / 1000.0;
        let mean = (all.served > 0).then(|| all.service_ms / all.served as f64);
        Summary {
            requests: all.requests,
            errors: all.errors,
            rate: arrivals(all.requests as f64 / span_secs, early.shortest(), late.shortest(), apart_secs),
            concurrency: (all.served > 0 || all.requests == 0).then_some(all.service_ms / 1000.0 / span_secs),
            service_ms: mean,
            sketch: merged,
        }
    }

    /// The last instant of the last step that is over at `now_ms`.
    pub(crate) fn whole_until(&self, now_ms: i64) -> i64 {
        now_ms.div_euclid(self.step_ms) * self.step_ms - 1
    }

    /// How old the samples are that came lately and were too old to use, in milliseconds.
    pub(crate) fn stale(&self, now_ms: i64) -> Option<i64> {
        let length = self.step_ms * self.length;
        self.stale.filter(|(heard, _)| now_ms - heard < length).map(|(heard, age)| age + (now_ms - heard))
    }
}

/// The sketch without its samples. One that served a busy step keeps nothing, so that memory follows the load.
fn cleared(_: Box<DDSketch>) -> Box<DDSketch> {
    Box::new(sketch())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hit(value: f64) -> Hit {
        Hit { value: Some(value), service_ms: Some(value), error: false, request: true }
    }

    /// The exact percentile, by nearest rank.
    fn exact(values: &mut [f64], percent: f64) -> f64 {
        values.sort_by(f64::total_cmp);
        values[(percent / 100.0 * values.len() as f64).ceil() as usize - 1]
    }

    proptest! {
        #[test]
        fn a_window_agrees_with_exact_computation(
            samples in proptest::collection::vec((0_i64..200_000, 0.0_f64..60_000.0), 1..600),
            length_secs in 5_i64..90,
        ) {
            let (now, length) = (1_000_200_000_i64, length_secs * 1000);
            let mut window = Window::new(length);
            for (ago, value) in &samples {
                window.add(now - ago, now, hit(*value));
            }
            let step = (length / 60).max(250);
            let from = (now / step - (length + step - 1) / step) * step;
            prop_assert!(now - from >= length && now - from <= length + 2 * step);
            let mut inside: Vec<_> = samples.iter().filter(|(ago, _)| now - ago >= from).map(|(_, value)| *value).collect();
            let summary = window.summary(now, 0);
            prop_assert_eq!(summary.sketch.count(), inside.len());
            for percent in [50.0, 95.0, 99.0] {
                match summary.percentile(percent) {
                    None => prop_assert!(inside.is_empty()),
                    Some(found) => {
                        let exact = exact(&mut inside, percent);
                        prop_assert!((found - exact).abs() <= 0.01 * exact + 1e-3, "{} {} {}", percent, found, exact);
                    }
                }
            }
        }
    }

    #[test]
    fn late_and_unordered_samples_land_in_their_place_and_old_ones_leave() {
        let mut window = Window::new(60_000);
        let now = 1_000_000_000;
        for ago in [30_000, 1_000, 59_000, 20_000, 1_000] {
            assert!(window.add(now - ago, now, hit(100.0)));
        }
        assert!(!window.add(now - 90_000, now, hit(9_999.0)), "older than the window");
        assert_eq!(window.summary(now, 0).requests, 5);
        assert_eq!(window.summary(now + 31_500, 0).requests, 3);
        assert_eq!(window.summary(now + 70_000, 0).requests, 0);
        assert_eq!(window.stale(now), Some(90_000));
        assert_eq!(window.stale(now + 100_000), None);
    }

    #[test]
    fn what_is_spread_over_a_time_is_whole_and_ends_at_its_end() {
        let now = 1_000_000_000;
        for (count, from) in [(1, now - 60_000), (7, now - 60_000), (60_000, now - 60_000), (5, now), (9, now + 5_000)]
        {
            let mut window = Window::new(60_000);
            assert!(window.spread((from, now), now, hit(20.0), count));
            assert_eq!(window.summary(now, 0).requests, count, "{from}");
            assert!(window.summary(now + 58_000, 0).requests > 0, "{count}: the last at the end");
        }
        let mut window = Window::new(60_000);
        assert!(window.spread((now - 600_000, now), now, hit(20.0), 600));
        assert_eq!(window.summary(now, 0).requests, 60, "those of the last minute");
        assert!(!window.spread((now - 600_000, now - 200_000), now, hit(20.0), 600));
    }

    /// First come, first served: so many come in a second, from `since` milliseconds before the first is answered, and so many
    /// are answered. Gives what the window says when so many seconds are over.
    fn queue(came: i64, since: i64, answered: i64, until_secs: i64) -> Summary {
        let (begin, mut window) = (1_000_000_000, Window::new(4000));
        for n in 0..answered * until_secs {
            let (came, at) = (begin + n * 1000 / came - since, begin + n * 1000 / answered);
            window.add(at, at, hit((at - came) as f64));
        }
        window.summary(begin + until_secs * 1000, 0)
    }

    #[test]
    fn while_a_queue_grows_more_come_than_are_answered() {
        for seconds in [5, 9, 12, 17] {
            let summary = queue(54, 50, 30, seconds);
            assert!((summary.rate - 54.0).abs() < 3.0, "{} after {seconds} s", summary.rate);
            let answered = summary.concurrency.unwrap() / summary.service_ms.unwrap() * 1000.0;
            assert!((answered - 30.0).abs() < 2.0, "{answered}");
        }
        let worked_off = queue(20, 30_000, 120, 5).rate;
        assert!((worked_off - 20.0).abs() < 3.0, "{worked_off}");
        let calm = queue(30, 50, 30, 9).rate;
        assert!((calm - 30.0).abs() < 0.5, "{calm}");
    }

    #[test]
    fn rates_are_over_the_time_that_was_heard() {
        let mut window = Window::new(60_000);
        let now = 1_000_000_000;
        for second in 0..10 {
            window.add(now - second * 1000, now, hit(500.0));
        }
        let summary = window.summary(now, now - 10_000);
        assert_eq!((summary.rate, summary.concurrency, summary.service_ms), (1.0, Some(0.5), Some(500.0)));
    }
}
