//! A sliding window over requests: a sketch and a few sums for each of some sixty steps of time.
//!
//! - A sample lands in the step that its own time says, so lines may come late and in any order. One that is older than the
//!   window is counted, and the largest age remembered.
//! - The window ends with the step that holds "now" and has one step more than its length, so that it always covers at
//!   least its length. Percentiles are those of the merged sketches: within 1 % of the exact ones over the same samples
//!   (`a_window_agrees_with_exact_computation`).
//! - Memory does not grow with the number of samples: at most 2048 bins a step, of which service times use a few hundred.

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
}

/// What a window holds at an instant.
pub(crate) struct Summary {
    /// Requests.
    pub(crate) requests: u64,
    /// How many of them failed.
    pub(crate) errors: u64,
    /// Requests a second.
    pub(crate) rate: f64,
    /// Requests under way at a time, on average: the time spent on them over the time that went by.
    pub(crate) concurrency: Option<f64>,
    /// Mean time to serve one.
    pub(crate) service_ms: Option<f64>,
    sketch: DDSketch,
}

impl Summary {
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
        let step_ms = (length_ms / STEPS).max(SHORTEST_STEP);
        let steps = (length_ms + step_ms - 1) / step_ms + 1;
        let empty = || Step { index: i64::MIN, sketch: None, sums: Sums::default() };
        Self { step_ms, steps: (0..steps.max(2)).map(|_| empty()).collect(), stale: None }
    }

    /// Adds what happened at `at_ms`, heard at `now_ms`. False: it is older than the window.
    pub(crate) fn add(&mut self, at_ms: i64, now_ms: i64, hit: Hit) -> bool {
        // What claims to come from the future comes from now.
        let at_ms = at_ms.min(now_ms);
        let index = at_ms.div_euclid(self.step_ms);
        let count = self.steps.len() as i64;
        if index <= now_ms.div_euclid(self.step_ms) - count {
            self.stale = Some((now_ms, now_ms.saturating_sub(at_ms)));
            return false;
        }
        let step = &mut self.steps[index.rem_euclid(count) as usize];
        if step.index != index {
            *step = Step { index, sketch: step.sketch.take().map(cleared), sums: Sums::default() };
        }
        step.sums.requests += u64::from(hit.request);
        step.sums.errors += u64::from(hit.error);
        if let Some(service_ms) = hit.service_ms {
            step.sums.served += 1;
            step.sums.service_ms += service_ms;
        }
        if let Some(value) = hit.value {
            step.sketch.get_or_insert_with(|| Box::new(sketch())).add(value);
        }
        true
    }

    /// What is in the window at `now_ms`; nothing was heard before `since_ms`.
    pub(crate) fn summary(&self, now_ms: i64, since_ms: i64) -> Summary {
        let last = now_ms.div_euclid(self.step_ms);
        let count = self.steps.len() as i64;
        let mut all = Sums::default();
        let mut merged = sketch();
        for step in self.steps.iter().filter(|step| step.index > last - count && step.index <= last) {
            all.requests += step.sums.requests;
            all.errors += step.sums.errors;
            all.served += step.sums.served;
            all.service_ms += step.sums.service_ms;
            if let Some(sketch) = &step.sketch {
                // All are made alike, so they merge.
                let _ = merged.merge(sketch);
            }
        }
        let covered_ms = now_ms - (last - count + 1) * self.step_ms;
        // A second at least: the rate of the first instants would be any number.
        let span_secs = covered_ms.min(now_ms - since_ms).max(1000) as f64 / 1000.0;
        let mean = (all.served > 0).then(|| all.service_ms / all.served as f64);
        Summary {
            requests: all.requests,
            errors: all.errors,
            rate: all.requests as f64 / span_secs,
            concurrency: (all.served > 0 || all.requests == 0).then_some(all.service_ms / 1000.0 / span_secs),
            service_ms: mean,
            sketch: merged,
        }
    }

    /// How old the samples are that came lately and were too old to use, in milliseconds.
    pub(crate) fn stale(&self, now_ms: i64) -> Option<i64> {
        let length = self.step_ms * self.steps.len() as i64;
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
