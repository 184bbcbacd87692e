//! What load is to be expected: the seasons of day and week, learned from the past by MSTL (Bandara, Hyndman and Bergmeir, 2021;
//! the crate augurs), and how far off that was lately, beside the guess that nothing changes.
//!
//! Pure: history and instants come in as values, so that the daemon (from its store) and the simulator (from its virtual past)
//! learn alike. A forecast is `season(t) + level`, where the level is how far the last hour lay above its season: seasons are
//! learned once in a while, and the level follows each reading.

mod learner;
mod season;

use autoscalebot_core::Expected;
use jiff::{SignedDuration, Timestamp};

pub use learner::Learner;
pub use season::Season;

/// The length of a bucket of the past.
pub const BUCKET: SignedDuration = SignedDuration::from_mins(10);
/// More of the past than this is not looked at.
pub const LONGEST: SignedDuration = SignedDuration::from_hours(28 * 24);
/// With less than this nothing is foretold.
pub const SHORTEST: SignedDuration = SignedDuration::from_hours(2 * 24);

const BUCKET_SECS: i64 = BUCKET.as_secs();
const DAY_BUCKETS: i64 = 86_400 / BUCKET_SECS;
const LONGEST_BUCKETS: i64 = LONGEST.as_secs() / BUCKET_SECS;

/// The past in buckets of [`BUCKET`], without gaps in time: a bucket of which nothing is known holds NaN.
#[derive(Debug, Clone, Default)]
pub struct Past {
    /// The number of the first bucket since 1970.
    first: i64,
    means: Vec<f64>,
    /// How many readings are in the last bucket.
    in_last: f64,
}

/// The part of the past on which forecasts are tried; the seasons of the trial are learned from what lies before it.
pub const TRIED: SignedDuration = SignedDuration::from_hours(24);

impl Past {
    /// From readings in any order: each goes to the bucket of its instant, and several in one bucket to their mean. What is no
    /// finite number at or above 0 is left out, as is what is older than [`LONGEST`] before the newest.
    pub fn new(means: impl IntoIterator<Item = (Timestamp, f64)>) -> Self {
        let mut known: Vec<_> = means.into_iter().collect();
        known.sort_by_key(|(at, _)| *at);
        let mut past = Self::default();
        known.into_iter().for_each(|(at, mean)| past.add(at, mean));
        past
    }

    /// Adds a reading; one that is older than the last bucket, and what is no load, is left out. So is what is too old then.
    pub fn add(&mut self, at: Timestamp, load: f64) {
        let bucket = at.as_second().div_euclid(BUCKET_SECS);
        if !load.is_finite() || load < 0.0 || (!self.means.is_empty() && bucket < self.end() - 1) {
            return;
        }
        if self.means.is_empty() || bucket - self.end() > LONGEST_BUCKETS {
            (self.first, self.means) = (bucket, Vec::new());
        }
        if bucket == self.end() - 1 && !self.means.is_empty() {
            self.in_last += 1.0;
            if let Some(mean) = self.means.last_mut() {
                *mean += (load - *mean) / self.in_last;
            }
            return;
        }
        while self.end() < bucket {
            self.means.push(f64::NAN);
        }
        self.means.push(load);
        self.in_last = 1.0;
        // A day at a time, so that moving the rest is seldom.
        if self.end() - self.first > LONGEST_BUCKETS + DAY_BUCKETS {
            let old = usize::try_from(self.end() - self.first - LONGEST_BUCKETS).unwrap_or(0);
            self.means.drain(..old);
            self.first += i64::try_from(old).unwrap_or(0);
        }
    }

    /// Of how much time anything is known.
    pub fn known(&self) -> SignedDuration {
        let known = self.means.iter().filter(|mean| mean.is_finite()).count();
        BUCKET.saturating_mul(i32::try_from(known).unwrap_or(i32::MAX))
    }

    /// All but the last `span`.
    fn without_last(&self, span: SignedDuration) -> Self {
        let buckets = usize::try_from(span.as_secs() / BUCKET_SECS).unwrap_or(0);
        let keep = self.means.len().saturating_sub(buckets);
        Self { first: self.first, means: self.means.iter().take(keep).copied().collect(), in_last: 1.0 }
    }

    fn at(&self, bucket: i64) -> Option<f64> {
        let place = usize::try_from(bucket - self.first).ok()?;
        self.means.get(place).copied().filter(|mean| mean.is_finite())
    }

    fn end(&self) -> i64 {
        self.first + i64::try_from(self.means.len()).unwrap_or(0)
    }
}

/// Why nothing is foretold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unforeseen {
    /// Less is known than [`SHORTEST`], or most of the time is a gap.
    TooShort,
    /// The seasons cannot be learned from it.
    NoSeason,
}

/// The seasons of a past, and what forecasts by them were worth.
#[derive(Debug, Clone, PartialEq)]
pub struct Forecaster {
    season: Season,
    error: f64,
    error_of_none: f64,
    known: SignedDuration,
}

impl Forecaster {
    /// Learns. Takes some milliseconds for four weeks; `ahead` is how far forecasts will look.
    pub fn learn(past: &Past, ahead: SignedDuration) -> Result<Self, Unforeseen> {
        let known = past.known();
        if known < SHORTEST + TRIED {
            return Err(Unforeseen::TooShort);
        }
        let trial = Season::learn(&past.without_last(TRIED))?;
        let (mut error, mut error_of_none, mut count) = (0.0, 0.0, 0.0);
        let steps = steps(ahead);
        for bucket in past.end() - TRIED.as_secs() / BUCKET_SECS..past.end() - steps {
            let (Some(now), Some(came)) = (past.at(bucket), past.at(bucket + steps)) else { continue };
            let Some(level) = level(&trial, past, bucket) else { continue };
            error += (trial.at(bucket + steps) + level - came).abs();
            error_of_none += (now - came).abs();
            count += 1.0;
        }
        if count == 0.0 {
            return Err(Unforeseen::TooShort);
        }
        let season = Season::learn(past)?;
        Ok(Self { season, error: error / count, error_of_none: error_of_none / count, known })
    }

    /// What to expect within `ahead` of `at`: the highest of the buckets until then, by the season and the level of the last
    /// hour. None where nothing is known of that hour.
    pub fn expect(&self, past: &Past, at: Timestamp, ahead: SignedDuration) -> Option<Expected> {
        let now = at.as_second().div_euclid(BUCKET_SECS);
        let level = level(&self.season, past, now)?;
        let load = (now..=now + steps(ahead)).map(|bucket| self.season.at(bucket) + level).fold(0.0, f64::max);
        let known_secs = self.known.as_secs_f64();
        Some(Expected { load, error: self.error, error_of_none: self.error_of_none, known_secs })
    }
}

fn steps(ahead: SignedDuration) -> i64 {
    (ahead.as_secs() + BUCKET_SECS - 1).div_euclid(BUCKET_SECS).max(1)
}

/// How far the hour up to a bucket lay above its season.
fn level(season: &Season, past: &Past, bucket: i64) -> Option<f64> {
    let hour = (bucket - 3600 / BUCKET_SECS + 1..=bucket).filter_map(|then| Some(past.at(then)? - season.at(then)));
    let (sum, count) = hour.fold((0.0, 0.0), |(sum, count), above| (sum + above, count + 1.0));
    (count > 0.0).then(|| sum / count)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(bucket: i64) -> Timestamp {
        Timestamp::from_second(1_699_920_000 + bucket * BUCKET_SECS).unwrap()
    }

    /// Days of 144 buckets: 10 at night, 50 at noon, half of that on the last two days of a week; and noise.
    fn weeks(days: i64, noise: f64) -> Past {
        let mut dice = 12345_u64;
        Past::new((0..days * 144).map(|bucket| {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let chance = ((dice >> 33) as f64 / f64::from(1_u32 << 31) - 0.5) * 2.0 * noise;
            (at(bucket), load(bucket) + chance)
        }))
    }

    fn load(bucket: i64) -> f64 {
        let of_day = bucket.rem_euclid(144) as f64 / 144.0;
        let weekend = if bucket.div_euclid(144).rem_euclid(7) >= 5 { 0.5 } else { 1.0 };
        10.0 + 40.0 * weekend * (1.0 - (of_day * std::f64::consts::TAU).cos()) / 2.0
    }

    #[test]
    fn a_season_is_learned_and_beats_the_guess_that_nothing_changes() {
        let past = weeks(21, 2.0);
        let ahead = SignedDuration::from_mins(60);
        let forecaster = Forecaster::learn(&past, ahead).unwrap();
        // Day 21 is a Monday again: its morning rises by a few in an hour.
        let mut grown = past.clone();
        for bucket in 21 * 144..21 * 144 + 40 {
            grown.means.push(load(bucket));
        }
        let expected = forecaster.expect(&grown, at(21 * 144 + 39), ahead).unwrap();
        let came = load(21 * 144 + 45);
        assert!((expected.load - came).abs() < 3.0, "{expected:?}, and {came} came");
        assert!(expected.error < 0.8 * expected.error_of_none, "{expected:?}");
        assert_eq!(expected.known_secs, 21.0 * 86_400.0);
    }

    #[test]
    fn a_level_beside_the_season_is_followed() {
        let mut past = weeks(21, 0.5);
        let ahead = SignedDuration::from_mins(30);
        let forecaster = Forecaster::learn(&past, ahead).unwrap();
        let bucket = 21 * 144;
        past.means.extend((0..12).map(|n| load(bucket + n) + 30.0));
        let expected = forecaster.expect(&past, at(bucket + 11), ahead).unwrap();
        assert!((expected.load - load(bucket + 14) - 30.0).abs() < 3.0, "{expected:?}");
    }

    #[test]
    fn what_is_kept_is_bounded_and_in_order() {
        let mut past = Past::default();
        for bucket in 0..10_000 {
            past.add(at(bucket), 1.0);
            past.add(at(bucket), 3.0);
        }
        past.add(at(5), 99.0);
        past.add(at(9_999), f64::NAN);
        assert!(past.means.len() as i64 <= LONGEST_BUCKETS + 144);
        assert_eq!(
            (past.at(at(9_999).as_second() / BUCKET_SECS), past.end()),
            (Some(2.0), at(10_000).as_second() / BUCKET_SECS)
        );
        past.add(at(20_000), 1.0);
        assert_eq!(past.known(), BUCKET);
    }

    #[test]
    fn too_little_is_no_forecast() {
        let ahead = SignedDuration::from_mins(30);
        assert_eq!(Forecaster::learn(&weeks(2, 1.0), ahead), Err(Unforeseen::TooShort));
        assert_eq!(Forecaster::learn(&Past::new([]), ahead), Err(Unforeseen::TooShort));
        let forecaster = Forecaster::learn(&weeks(8, 1.0), ahead).unwrap();
        assert_eq!(forecaster.expect(&weeks(8, 1.0), at(9 * 144), ahead), None, "a day without a reading");
    }

    #[test]
    fn without_a_season_it_is_no_better_than_none() {
        let mut dice = 99_u64;
        let mut walk = 50.0_f64;
        let past = Past::new((0..10 * 144).map(|bucket| {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            walk = (walk + ((dice >> 33) as f64 / f64::from(1_u32 << 31) - 0.5) * 8.0).clamp(5.0, 95.0);
            (at(bucket), walk)
        }));
        let forecaster = Forecaster::learn(&past, SignedDuration::from_mins(10)).unwrap();
        let expected = forecaster.expect(&past, at(10 * 144 - 1), SignedDuration::from_mins(10)).unwrap();
        assert!(expected.error > 0.9 * expected.error_of_none, "{expected:?}");
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

        #[test]
        fn whatever_came_a_forecast_is_a_load(
            days in 3..9_i64,
            values in proptest::collection::vec(proptest::option::weighted(0.9, 0.0..1e6f64), 200),
        ) {
            let past = Past::new((0..days * 144).filter_map(|n| Some((at(n), values[(n % 200) as usize]?))));
            let ahead = SignedDuration::from_mins(20);
            if let Ok(forecaster) = Forecaster::learn(&past, ahead)
                && let Some(expected) = forecaster.expect(&past, at(days * 144 - 1), ahead)
            {
                prop_assert!(expected.load.is_finite() && expected.load >= 0.0);
                prop_assert!(expected.error.is_finite() && expected.error_of_none.is_finite());
            }
        }
    }
}
