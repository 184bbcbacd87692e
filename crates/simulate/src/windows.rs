//! [`Windows`]: what measurements over a window read: rates, concurrency and percentiles of the recent past, in buckets.
//!
//! A window is counted in whole buckets, of a sixth of the shortest window and at most a minute: a reading between two edges
//! is that of the edge before, as a platform's own metrics are.

use std::collections::VecDeque;

use autoscalebot_core::queueing::arrivals;

use crate::model::Meter;
use crate::pieces;
use crate::spread::Spread;

/// Two per cent of error is less than what a percentile of a window varies by.
type Coarse = Spread<5>;

/// What one bucket of time saw.
#[derive(Debug, Clone)]
struct Bucket {
    arrived: f64,
    /// Request-seconds of all requests under way.
    under_way: f64,
    /// Requests whose work began, seconds of it, and seconds that they had waited.
    begun: (f64, f64, f64),
    /// Response times of what was answered; none where no meter reads percentiles.
    answered: Option<Answered>,
}

#[derive(Debug, Clone)]
struct Answered {
    times: Coarse,
    requests: f64,
    secs: f64,
    shortest: f64,
}

impl Answered {
    fn new() -> Self {
        Self { times: Coarse::new(), requests: 0.0, secs: 0.0, shortest: f64::INFINITY }
    }
}

/// Averages over a window: the numbers behind a reading.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Load {
    /// Requests that came in a second.
    pub(crate) rate: f64,
    /// Requests under way at once.
    pub(crate) concurrency: f64,
    /// Mean seconds of work on a request; `None` where none was begun.
    pub(crate) service_secs: Option<f64>,
    /// Mean seconds that these had waited.
    pub(crate) wait_secs: Option<f64>,
}

/// The recent past.
#[derive(Debug)]
pub(crate) struct Windows {
    secs: f64,
    /// The index of the first bucket kept.
    first: usize,
    kept: VecDeque<Bucket>,
    spare: Vec<Bucket>,
    /// So many buckets are kept behind the clock.
    longest: usize,
    percentiles: bool,
    delay_secs: f64,
    merged: Coarse,
}

impl Windows {
    /// Room for these meters, which count nothing newer than `delay_secs`.
    pub(crate) fn new(meters: &[Meter], delay_secs: f64) -> Self {
        let windows = || meters.iter().filter_map(|meter| meter.window_secs());
        let shortest = windows().min_by(f64::total_cmp).unwrap_or(360.0);
        let secs = (shortest / 6.0).clamp(1.0, 60.0);
        let longest = windows().max_by(f64::total_cmp).unwrap_or(60.0).max(60.0) + delay_secs;
        Self {
            secs,
            first: 0,
            kept: VecDeque::new(),
            spare: Vec::new(),
            longest: (longest / secs).ceil() as usize + 2,
            percentiles: meters.iter().any(|meter| meter.counts_answers()),
            delay_secs,
            merged: Coarse::new(),
        }
    }

    /// The length of a bucket in seconds.
    pub(crate) fn bucket_secs(&self) -> f64 {
        self.secs
    }

    /// Whether any meter reads percentiles.
    pub(crate) fn count_answers(&self) -> bool {
        self.percentiles
    }

    fn bucket(&mut self, index: usize) -> Option<&mut Bucket> {
        let place = index.checked_sub(self.first)?;
        while self.kept.len() <= place {
            let bucket = self.spare.pop().unwrap_or_else(|| Bucket {
                arrived: 0.0,
                under_way: 0.0,
                begun: (0.0, 0.0, 0.0),
                answered: self.percentiles.then(Answered::new),
            });
            self.kept.push_back(bucket);
        }
        self.kept.get_mut(place)
    }

    fn index(&self, at: f64) -> usize {
        (at / self.secs) as usize
    }

    /// `weight` requests came at `at`.
    #[inline]
    pub(crate) fn arrived(&mut self, at: f64, weight: f64) {
        let index = self.index(at);
        if let Some(bucket) = self.bucket(index) {
            bucket.arrived += weight;
        }
    }

    /// `weight` requests were under way from `begin` to `end`.
    #[inline]
    pub(crate) fn under_way(&mut self, begin: f64, end: f64, weight: f64) {
        pieces::each(begin, end, self.secs, |index, secs| {
            if let Some(bucket) = self.bucket(index) {
                bucket.under_way += secs * weight;
            }
        });
    }

    /// The work on `weight` requests began at `at`, each of `secs`, after a wait.
    #[inline]
    pub(crate) fn begun(&mut self, at: f64, secs: f64, wait: f64, weight: f64) {
        let index = self.index(at);
        if let Some(bucket) = self.bucket(index) {
            bucket.begun.0 += weight;
            bucket.begun.1 += secs * weight;
            bucket.begun.2 += wait * weight;
        }
    }

    /// `weight` requests were answered at `at`, after `secs`.
    #[inline]
    pub(crate) fn answered(&mut self, at: f64, secs: f64, weight: f64) {
        if !self.percentiles {
            return;
        }
        let index = self.index(at);
        if let Some(answered) = self.bucket(index).and_then(|bucket| bucket.answered.as_mut()) {
            answered.times.add(secs, weight);
            answered.requests += weight;
            answered.secs += secs * weight;
            answered.shortest = answered.shortest.min(secs);
        }
    }

    /// Forgets what no meter will ask for any more.
    pub(crate) fn forget(&mut self, now: f64) {
        let keep_from = self.index(now).saturating_sub(self.longest);
        while self.first < keep_from {
            self.first += 1;
            if let Some(mut bucket) = self.kept.pop_front() {
                (bucket.arrived, bucket.under_way, bucket.begun) = (0.0, 0.0, (0.0, 0.0, 0.0));
                if let Some(answered) = &mut bucket.answered {
                    answered.times.clear();
                    (answered.requests, answered.secs, answered.shortest) = (0.0, 0.0, f64::INFINITY);
                }
                self.spare.push(bucket);
            }
        }
    }

    /// The buckets of a window that ends now, less the delay; and its length in seconds.
    fn range(&self, now: f64, window_secs: f64) -> (std::ops::Range<usize>, f64) {
        let end = self.index((now - self.delay_secs).max(0.0) + 1e-9 * self.secs);
        let length = ((window_secs / self.secs).round() as usize).max(1);
        let begin = end.saturating_sub(length);
        (begin..end, (end - begin) as f64 * self.secs)
    }

    /// The window that a reading at `now` is about, in seconds since the start.
    pub(crate) fn span(&self, now: f64, window_secs: f64) -> (f64, f64) {
        let (range, _) = self.range(now, window_secs);
        (range.start as f64 * self.secs, range.end as f64 * self.secs)
    }

    /// The averages over a window; all 0 before the first bucket is whole.
    pub(crate) fn load(&self, now: f64, window_secs: f64) -> Load {
        let (range, secs) = self.range(now, window_secs);
        if secs <= 0.0 {
            return Load::default();
        }
        let mut sum = (0.0, 0.0, 0.0, 0.0, 0.0);
        for index in range {
            let Some(bucket) = index.checked_sub(self.first).and_then(|place| self.kept.get(place)) else { continue };
            sum.0 += bucket.arrived;
            sum.1 += bucket.under_way;
            sum.2 += bucket.begun.0;
            sum.3 += bucket.begun.1;
            sum.4 += bucket.begun.2;
        }
        let mean = |of: f64| (sum.2 > 0.0).then(|| of / sum.2);
        Load { rate: sum.0 / secs, concurrency: sum.1 / secs, service_secs: mean(sum.3), wait_secs: mean(sum.4) }
    }

    /// The averages over a window as lines of answers tell them: requests by the instant of their answer, and their wait in the
    /// time to serve them. The rate is that at which they came, as far as it shows in their times.
    pub(crate) fn answered_load(&self, now: f64, window_secs: f64) -> Load {
        let (range, secs) = self.range(now, window_secs);
        if secs <= 0.0 {
            return Load::default();
        }
        let half = range.len() / 2;
        let (early_until, late_from) = (range.start + half, range.end - half);
        let (mut early, mut late) = ((0.0, f64::INFINITY), (0.0, f64::INFINITY));
        let (mut requests, mut worked) = (0.0, 0.0);
        let range_start = range.start;
        for index in range {
            let bucket = index.checked_sub(self.first).and_then(|place| self.kept.get(place));
            let Some(answered) = bucket.and_then(|bucket| bucket.answered.as_ref()) else { continue };
            let halves = [(index < early_until).then_some(&mut early), (index >= late_from).then_some(&mut late)];
            for (requests, shortest) in halves.into_iter().flatten() {
                *requests += answered.requests;
                *shortest = answered.shortest.min(*shortest);
            }
            requests += answered.requests;
            worked += answered.secs;
        }
        let apart_secs = (late_from - range_start) as f64 * self.secs;
        let mean = (requests > 0.0).then(|| worked / requests);
        Load {
            rate: arrivals(requests / secs, early, late, apart_secs),
            concurrency: worked / secs,
            service_secs: mean,
            wait_secs: None,
        }
    }

    /// Whether any whole bucket lies in the window.
    pub(crate) fn has_any(&self, now: f64, window_secs: f64) -> bool {
        self.range(now, window_secs).1 > 0.0
    }

    /// A percentile of the response times within a window; `None` where nothing was answered.
    pub(crate) fn percentile(&mut self, now: f64, window_secs: f64, quantile: f64) -> Option<f64> {
        let (range, _) = self.range(now, window_secs);
        self.merged.clear();
        for index in range {
            let bucket = index.checked_sub(self.first).and_then(|place| self.kept.get(place));
            if let Some(answered) = bucket.and_then(|bucket| bucket.answered.as_ref()) {
                self.merged.merge(&answered.times);
            }
        }
        self.merged.quantile(quantile)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_counts_whole_buckets_behind_the_delay() {
        let meters = [Meter::Rate { window_secs: 60.0 }, Meter::Percentile { quantile: 0.5, window_secs: 60.0 }];
        let mut windows = Windows::new(&meters, 20.0);
        for second in 0..200 {
            windows.arrived(f64::from(second), if second < 100 { 1.0 } else { 3.0 });
        }
        windows.under_way(0.0, 100.0, 2.0);
        windows.answered(50.0, 0.25, 1.0);
        assert!(!windows.has_any(20.0, 60.0));
        assert_eq!(windows.load(120.0, 60.0).rate, 1.0);
        assert_eq!(windows.load(150.0, 60.0).rate, 2.0);
        assert_eq!(windows.load(150.0, 60.0).concurrency, 1.0);
        assert_eq!(windows.load(180.0, 60.0).rate, 3.0);
        assert!((windows.percentile(120.0, 60.0, 0.5).unwrap() - 0.25).abs() < 0.01);
        windows.forget(400.0);
        assert_eq!(windows.percentile(400.0, 60.0, 0.5), None);
        windows.arrived(399.0, 60.0);
        assert_eq!(windows.load(420.0, 60.0).rate, 1.0);
    }
}
