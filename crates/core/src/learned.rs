//! What is remembered of a measurement beyond its window: summaries of hours in a few hundred bytes, where the samples
//! themselves would be too many to carry from tick to tick. A policy says what goes in
//! ([`Policy::learn`](crate::policy::Policy::learn)); a change of the quantity does not clear it, as it tells of the load.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::jumps::Jumps;

/// At most so many slots are kept.
pub const MOST_SLOTS: i64 = 80;
/// Between two samples further apart than this, nobody knows what happened.
const LONGEST_GAP_SECS: f64 = 60.0;

/// Summaries of a measurement's past.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Learned {
    /// When the newest sample was learned from.
    at: Option<Timestamp>,
    /// Requests, of which those of some hours ago count for half.
    requests: f64,
    /// Of these, the slow ones.
    slow: f64,
    /// The seconds in which they came, faded in the same way.
    seconds: f64,
    /// When the first of the loads of late was seen.
    since: Option<Timestamp>,
    /// The highest loads of late, the oldest first, one for each slot of time.
    slots: VecDeque<Slot>,
    /// The minute that is not over yet, or the slot where slots are shorter.
    minute: Minute,
    /// Requests that are too few to tell how many of them were slow.
    pooled: Times,
    /// The requests of some hours, faded like those above, with their work.
    served: Times,
    /// When the newest of them were.
    served_at: Option<Timestamp>,
    /// How often the load jumps, and how far.
    pub jumps: Jumps,
}

/// Requests, and the sum of their times.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
struct Times {
    requests: f64,
    secs: f64,
}

impl Times {
    const NONE: Self = Self { requests: 0.0, secs: 0.0 };

    fn add(&mut self, requests: f64, mean_secs: f64) {
        self.requests += requests;
        self.secs += requests * mean_secs;
    }

    fn mean_secs(self) -> Option<f64> {
        (self.requests > 0.0).then(|| self.secs / self.requests)
    }
}

/// The load within one slot of time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Slot {
    /// When it began.
    pub from: Timestamp,
    /// Requests in a second, in its busiest minute.
    pub rate: f64,
    /// Servers that were busy on average, in its busiest minute.
    pub offered: f64,
    /// Mean seconds to serve one request, in the minute with the shortest or the longest, as the policy wants it.
    pub service_secs: f64,
}

/// The mean of a minute, as it grows; of a slot, where slots are shorter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
struct Minute {
    /// When it began, in seconds of the Unix epoch.
    from_secs: i64,
    samples: f64,
    rate: f64,
    offered: f64,
    service_secs: f64,
}

impl Learned {
    /// Nothing.
    pub(crate) const EMPTY: Self = Self {
        at: None,
        requests: 0.0,
        slow: 0.0,
        seconds: 0.0,
        since: None,
        slots: VecDeque::new(),
        minute: Minute { from_secs: 0, samples: 0.0, rate: 0.0, offered: 0.0, service_secs: 0.0 },
        pooled: Times::NONE,
        served: Times::NONE,
        served_at: None,
        jumps: Jumps::EMPTY,
    };

    /// Counts the requests between the last sample and this one, and gives how many; what is older fades by half in
    /// `half_life`. A longer gap than a minute counts as a minute.
    pub fn count(&mut self, at: Timestamp, rate: f64, half_life: SignedDuration) -> f64 {
        let (gap, fade) = faded(&mut self.at, at, half_life);
        let counted = gap.min(LONGEST_GAP_SECS);
        self.seconds = self.seconds * fade + counted;
        self.requests = self.requests * fade + rate * counted;
        self.slow *= fade;
        rate * counted
    }

    /// So many of the requests that were counted, no fewer than 0, were slow.
    pub fn count_slow(&mut self, requests: f64) {
        self.slow += requests;
    }

    /// Puts requests with their mean time together until they are `enough`; then gives them all, with their mean.
    pub fn pool(&mut self, requests: f64, mean_secs: f64, enough: f64) -> Option<(f64, f64)> {
        self.pooled.add(requests, mean_secs);
        let mean_secs = self.pooled.mean_secs()?;
        (self.pooled.requests >= enough).then(|| (std::mem::take(&mut self.pooled).requests, mean_secs))
    }

    /// Remembers how long it took to serve requests; what is older fades by half in `half_life`.
    pub fn serve(&mut self, at: Timestamp, requests: f64, mean_secs: f64, half_life: SignedDuration) {
        let (_, fade) = faded(&mut self.served_at, at, half_life);
        self.served = Times { requests: self.served.requests * fade, secs: self.served.secs * fade };
        self.served.add(requests, mean_secs);
    }

    /// The mean of that; none where nothing was served yet.
    pub fn mean_service_secs(&self) -> Option<f64> {
        self.served.mean_secs()
    }

    /// The share of slow requests, 0 to 1. As long as less is known than `prior_secs` of traffic, `prior` counts for the rest;
    /// twice as much known, it counts for a third.
    pub fn slow_share(&self, prior: f64, prior_secs: f64) -> f64 {
        if self.requests <= 0.0 || self.seconds <= 0.0 {
            return prior;
        }
        let of_prior = prior_secs * self.requests / self.seconds;
        (self.slow + prior * of_prior) / (self.requests + of_prior)
    }

    /// Keeps the load of one sample. A minute goes into its slot of so many seconds (whole minutes, or less than one) once it
    /// is over, as its mean; a slot of less than a minute is such a mean itself. The shortest mean service of each slot
    /// is kept, or the longest. Gives the minute that is over with this sample, as `mend` leaves it.
    pub fn keep(
        &mut self,
        sample: Slot,
        slot_secs: i64,
        shortest: bool,
        mend: impl FnOnce(Slot) -> Slot,
    ) -> Option<Slot> {
        self.since = self.since.or(Some(sample.from));
        let slot_secs = slot_secs.max(1);
        let grain = slot_secs.min(60);
        let from_secs = sample.from.as_second().div_euclid(grain) * grain;
        let mut ended = None;
        if self.minute.from_secs != from_secs {
            let over = std::mem::replace(&mut self.minute, Minute { from_secs, ..Minute::default() });
            if over.samples > 0.0 {
                ended = self.keep_minute(over, slot_secs, if shortest { f64::min } else { f64::max }, mend);
            }
        }
        let minute = &mut self.minute;
        minute.samples += 1.0;
        minute.rate += (sample.rate - minute.rate) / minute.samples;
        minute.offered += (sample.offered - minute.offered) / minute.samples;
        // By requests: a reading of few says little.
        let so_far = minute.rate * minute.samples;
        if so_far > 0.0 {
            minute.service_secs += (sample.service_secs - minute.service_secs) * sample.rate / so_far;
        }
        ended
    }

    fn keep_minute(
        &mut self,
        over: Minute,
        slot_secs: i64,
        fold: fn(f64, f64) -> f64,
        mend: impl FnOnce(Slot) -> Slot,
    ) -> Option<Slot> {
        let begin = over.from_secs.div_euclid(slot_secs) * slot_secs;
        let from = Timestamp::from_second(begin).ok()?;
        let minute = Timestamp::from_second(over.from_secs).ok()?;
        let Minute { rate, offered, service_secs, .. } = over;
        let ended = mend(Slot { from: minute, rate, offered, service_secs });
        let Slot { rate, offered, service_secs, .. } = ended;
        match self.slots.back_mut() {
            Some(slot) if slot.from >= from => {
                slot.rate = slot.rate.max(rate);
                slot.offered = slot.offered.max(offered);
                slot.service_secs = fold(slot.service_secs, service_secs);
            }
            _ => self.slots.push_back(Slot { from, rate, offered, service_secs }),
        }
        let oldest = begin.saturating_sub(MOST_SLOTS * slot_secs);
        while self.slots.front().is_some_and(|slot| slot.from.as_second() <= oldest) {
            self.slots.pop_front();
        }
        Some(ended)
    }

    /// The service time of the newest slot.
    pub fn newest_service_secs(&self) -> Option<f64> {
        self.slots.back().map(|slot| slot.service_secs).filter(|secs| *secs > 0.0)
    }

    /// The slots that hold anything of the last `span`, the newest first.
    pub fn within(&self, at: Timestamp, span: SignedDuration, slot_secs: i64) -> impl Iterator<Item = &Slot> {
        let reach = span + SignedDuration::from_secs(slot_secs);
        self.slots.iter().rev().take_while(move |slot| at.duration_since(slot.from) < reach)
    }

    /// Whether the slots reach back so far.
    pub fn covers(&self, at: Timestamp, span: SignedDuration) -> bool {
        let reaches = |from: Timestamp| at.duration_since(from) >= span;
        self.since.is_some_and(reaches) && self.slots.front().is_some_and(|slot| reaches(slot.from))
    }

    /// What a restart forgets: the loads of late, which are to be seen anew. The share of slow requests, the time to serve one and
    /// the jumps stay.
    pub(crate) fn restart(&mut self) {
        self.since = None;
        self.slots.clear();
        self.minute = Minute::default();
        self.at = None;
    }
}

/// The seconds from the newest instant to this one, which becomes the newest, and what is left after them of what was known.
fn faded(newest: &mut Option<Timestamp>, at: Timestamp, half_life: SignedDuration) -> (f64, f64) {
    let gap = newest.map_or(0.0, |before| at.duration_since(before).as_secs_f64().max(0.0));
    *newest = (*newest).max(Some(at));
    (gap, 0.5_f64.powf(gap / half_life.as_secs_f64().max(1.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: SignedDuration = SignedDuration::from_hours(1);

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_040 + second).unwrap()
    }

    fn slot(second: i64, rate: f64) -> Slot {
        Slot { from: at(second), rate, offered: rate / 10.0, service_secs: 0.1 }
    }

    /// Five requests a second, a share of which was slow.
    fn count(learned: &mut Learned, second: i64, slow_share: f64, half_life: SignedDuration) {
        let requests = learned.count(at(second), 5.0, half_life);
        learned.count_slow(requests * slow_share);
    }

    #[test]
    fn few_requests_are_put_together() {
        let mut learned = Learned::default();
        assert_eq!(learned.pool(0.0, 0.0, 0.0), None, "none is not enough for anything");
        assert_eq!(learned.pool(30.0, 0.1, 100.0), None);
        assert_eq!(learned.pool(60.0, 0.2, 100.0), None);
        let (requests, mean) = learned.pool(30.0, 0.5, 100.0).unwrap();
        assert!((requests - 120.0).abs() < 1e-9 && (mean - 0.25).abs() < 1e-9, "{requests} {mean}");
        assert_eq!(learned.pool(500.0, 0.1, 100.0), Some((500.0, 0.1)), "enough by themselves");
    }

    #[test]
    fn the_time_to_serve_is_that_of_hours() {
        let mut learned = Learned::default();
        assert_eq!(learned.mean_service_secs(), None);
        learned.serve(at(0), 300.0, 0.1, HOUR);
        learned.serve(at(3600), 50.0, 0.5, HOUR);
        // Half of the 300 count an hour later.
        let expected = (150.0 * 0.1 + 50.0 * 0.5) / 200.0;
        assert!((learned.mean_service_secs().unwrap() - expected).abs() < 1e-9);
        learned.restart();
        assert!(learned.mean_service_secs().is_some());
    }

    #[test]
    fn the_share_of_slow_requests_fades_and_begins_with_what_is_taken_for_granted() {
        let mut learned = Learned::default();
        assert_eq!(learned.slow_share(0.01, 3600.0), 0.01);
        for n in 0..=360 {
            count(&mut learned, n * 10, 0.5, HOUR * 1000);
        }
        assert!((learned.slow_share(0.0, 3600.0) - 0.25).abs() < 0.001, "as much known as taken for granted");
        assert!((learned.slow_share(0.0, 0.0) - 0.5).abs() < 1e-9);
        // Two half-lives later, the slow hour is a fifth of what counts: 1/4 of it, beside 3/4 / ln 2 of an hour or so.
        let mut fading = Learned::default();
        for n in 0..=1080 {
            count(&mut fading, n * 10, if n <= 360 { 1.0 } else { 0.0 }, HOUR);
        }
        let expected = (0.25 - 0.125) / (1.0 - 0.125);
        assert!((fading.slow_share(0.0, 0.0) - expected).abs() < 0.002, "{}", fading.slow_share(0.0, 0.0));
    }

    #[test]
    fn a_gap_counts_as_a_minute_at_most() {
        let mut learned = Learned::default();
        count(&mut learned, 0, 1.0, HOUR);
        count(&mut learned, 86_400, 1.0, HOUR);
        assert!((learned.seconds - 60.0).abs() < 1e-3);
    }

    #[test]
    fn slots_hold_the_busiest_minute() {
        let mut learned = Learned::default();
        for n in 0..60 {
            // One noisy reading of 100 in each minute of 10.
            learned.keep(slot(n * 10, if n % 6 == 3 { 100.0 } else { 10.0 }), 60, true, |slot| slot);
        }
        let rates: Vec<f64> = learned.within(at(590), SignedDuration::from_mins(5), 60).map(|slot| slot.rate).collect();
        // The minute that is not over is not among them.
        assert_eq!(rates.len(), 5);
        assert!(rates.iter().all(|rate| (rate - 25.0).abs() < 1e-9), "{rates:?}");
        assert!(learned.covers(at(590), SignedDuration::from_secs(590)));
        assert!(!learned.covers(at(590), SignedDuration::from_secs(600)));
        learned.restart();
        assert!(!learned.covers(at(590), SignedDuration::ZERO));
    }

    #[test]
    fn slots_of_less_than_a_minute_are_means_of_their_own() {
        let mut learned = Learned::default();
        for n in 0..40 {
            learned.keep(slot(n, if n % 4 < 2 { 10.0 } else { 30.0 }), 4, true, |slot| slot);
        }
        let rates: Vec<f64> = learned.within(at(39), SignedDuration::from_secs(12), 4).map(|slot| slot.rate).collect();
        assert_eq!(rates, [20.0, 20.0, 20.0], "the one that is not over is not among them");
        assert!(learned.covers(at(39), SignedDuration::from_secs(39)));
        // Other slots from here on: what began in the old ones is kept at its own time.
        learned.keep(slot(41, 50.0), 60, true, |slot| slot);
        assert!(learned.slots.iter().all(|slot| slot.from <= at(40)), "{:?}", learned.slots);
    }

    #[test]
    fn however_long_it_runs_it_stays_small() {
        let mut learned = Learned::default();
        for n in 0..100_000 {
            learned.keep(slot(n * 7, 1.0), 120, false, |slot| slot);
            assert!(learned.slots.len() <= MOST_SLOTS as usize);
        }
        assert_eq!(learned.slots.len(), MOST_SLOTS as usize);
    }
}
