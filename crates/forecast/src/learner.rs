//! [`Learner`]: one measurement's past as it grows, and what is foretold from it.

use autoscalebot_core::Expected;
use jiff::{SignedDuration, Timestamp};

use crate::{Forecaster, Past, Unforeseen};

/// Seasons are learned anew so often; the level follows each reading all the time.
const EVERY: SignedDuration = SignedDuration::from_hours(24);
/// Where they could not be learned, it is tried again after this.
const AGAIN: SignedDuration = SignedDuration::from_hours(1);

/// Learns the seasons of one measurement.
#[derive(Debug, Clone)]
pub struct Learner {
    ahead: SignedDuration,
    past: Past,
    forecaster: Result<Forecaster, Unforeseen>,
    learned_at: Option<Timestamp>,
}

impl Learner {
    /// Knows this past; `ahead` is how far it will look.
    pub fn new(past: Past, ahead: SignedDuration) -> Self {
        Self { ahead, past, forecaster: Err(Unforeseen::TooShort), learned_at: None }
    }

    /// A reading of the load.
    pub fn see(&mut self, at: Timestamp, load: f64) {
        self.past.add(at, load);
    }

    /// Whether it is time for [`Learner::learn`].
    pub fn is_due(&self, at: Timestamp) -> bool {
        let wait = if self.forecaster.is_ok() { EVERY } else { AGAIN };
        self.learned_at.is_none_or(|learned| at.duration_since(learned) >= wait)
    }

    /// Learns anew. Takes some hundredths of a second for four weeks.
    pub fn learn(&mut self, at: Timestamp) {
        self.forecaster = Forecaster::learn(&self.past, self.ahead);
        self.learned_at = Some(at);
    }

    /// What to expect until `ahead` after `at`; else why nothing is, as a sentence goes on.
    pub fn expect(&self, at: Timestamp) -> Result<Expected, &'static str> {
        match &self.forecaster {
            Err(Unforeseen::TooShort) => Err("less than three days are known, or most of them are gaps"),
            Err(Unforeseen::NoSeason) => Err("no season could be learned"),
            Ok(forecaster) => forecaster.expect(&self.past, at, self.ahead).ok_or("nothing was read in the last hour"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_learns_when_enough_is_known_and_then_once_a_day() {
        let at = |bucket: i64| Timestamp::from_second(1_699_920_000 + bucket * 600).unwrap();
        let mut learner = Learner::new(Past::default(), SignedDuration::from_mins(20));
        let (mut learned, mut expected) = (Vec::new(), None);
        for bucket in 0..6 * 144_i64 {
            let of_day = bucket.rem_euclid(144) as f64 / 144.0 * std::f64::consts::TAU;
            learner.see(at(bucket), 30.0 - 20.0 * of_day.cos());
            if learner.is_due(at(bucket)) {
                learner.learn(at(bucket));
                if learner.expect(at(bucket)).is_ok() {
                    learned.push(bucket / 144);
                    expected = expected.or_else(|| learner.expect(at(bucket)).ok());
                }
            }
        }
        assert_eq!(learned, [3, 4, 5]);
        let expected = expected.unwrap();
        assert!(expected.error < expected.error_of_none, "{expected:?}");
        assert!(learner.expect(at(7 * 144)).unwrap_err().contains("last hour"));
    }
}
