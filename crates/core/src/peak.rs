//! [`Peak`]: whether a reading that comes before its time is news.
//!
//! Where senders tell a measurement its numbers, it need not be asked to know that they rose: a rise is acted upon at once,
//! and a fall waits for the next interval, so that `passes` keep their meaning. The highest reading of the last interval is
//! what a rise is measured by, as one that goes up and down would else have the platform's API read in each moment of a busy
//! hour; of one interval alone, as a second breach that is no higher than the first is news after a calm all the same.

/// What counts as a rise: so many times as much, and more than [`LEAST_RISE`] more.
const RISE: f64 = 1.1;
/// In the reading's own unit.
const LEAST_RISE: f64 = 1.0;
/// The longest that the highest reading is remembered, in milliseconds.
const LONGEST_MS: i64 = 30_000;

/// The readings that were acted upon of late. Times are milliseconds since any beginning.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Peak {
    last: f64,
    highest: f64,
    at_ms: i64,
}

impl Peak {
    /// After a reading of `value` was acted upon, where one is read each `every_ms`; `before` is what was known till then.
    pub fn after(before: Option<Self>, value: f64, now_ms: i64, every_ms: i64) -> Self {
        let kept = before.filter(|peak| peak.bar(now_ms, every_ms) > value);
        let (highest, at_ms) = kept.map_or((value, now_ms), |peak| (peak.highest, peak.at_ms));
        Self { last: value, highest, at_ms }
    }

    /// Whether a reading of `value` is worth a tick before its time.
    pub fn is_news(self, value: f64, now_ms: i64, every_ms: i64) -> bool {
        let bar = self.bar(now_ms, every_ms);
        value > bar * RISE && value > bar + LEAST_RISE
    }

    /// What news must rise above.
    fn bar(self, now_ms: i64, every_ms: i64) -> f64 {
        if now_ms.saturating_sub(self.at_ms) < every_ms.min(LONGEST_MS) { self.highest } else { self.last }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rise_over_the_highest_of_the_last_interval_is_news() {
        // Milliseconds, the reading, whether it is news; each that is, and each of 10 s, is acted upon.
        let mut peak = Peak::after(None, 100.0, 0, 10_000);
        for (now_ms, value, news) in [
            (1000, 105.0, false),
            (2000, 111.0, true),
            (3000, 90.0, false),
            (4000, 120.0, false), // not a tenth above 111
            (5000, 130.0, true),
            (10_000, 60.0, false),
            (12_000, 120.0, false), // the 130 of 7 s ago is remembered
            (15_100, 120.0, true),  // no longer
            (20_000, 0.2, false),
            (26_000, 0.9, false), // four times as much, and yet nothing
        ] {
            assert_eq!(peak.is_news(value, now_ms, 10_000), news, "{now_ms}");
            if news || now_ms % 10_000 == 0 {
                peak = Peak::after(Some(peak), value, now_ms, 10_000);
            }
        }
    }

    #[test]
    fn the_highest_is_remembered_for_half_a_minute_at_most() {
        let peak = Peak::after(Some(Peak::after(None, 100.0, 0, 600_000)), 10.0, 20_000, 600_000);
        assert!(!peak.is_news(50.0, 29_000, 600_000));
        assert!(peak.is_news(50.0, 31_000, 600_000));
    }
}
