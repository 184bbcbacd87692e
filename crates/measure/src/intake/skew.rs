//! The clock of a sender, as far as it shows: how far its newest line lies behind the instant it came.
//!
//! A clock that is wrong by up to two minutes is put right by the usual lag of the last batches; a few seconds are the usual way
//! of a line, and are left. One batch with an odd clock among others changes nothing, as the median decides. What is
//! further off is taken at its word if it is old, and as of now if it is from the future.

/// Batches that the usual lag is taken of.
const BATCHES: usize = 15;
/// The largest error of a clock that is put right, in milliseconds.
const TOLERANCE: i64 = 120_000;
/// What a line may take on its way, in milliseconds.
const ON_ITS_WAY: i64 = 5_000;

/// The lags of the last batches.
#[derive(Debug, Clone, Default)]
pub(crate) struct Skew {
    lags: [i64; BATCHES],
    count: usize,
}

impl Skew {
    /// What to add to the times of a batch whose newest line is of `newest_ms` and came at `now_ms`.
    pub(crate) fn correction(&mut self, newest_ms: i64, now_ms: i64) -> i64 {
        let lag = now_ms.saturating_sub(newest_ms);
        if lag.saturating_abs() <= TOLERANCE {
            self.lags[self.count % BATCHES] = lag;
            self.count += 1;
        }
        self.usual()
    }

    /// What to add to the times of a batch by what is known so far.
    pub(crate) fn usual(&self) -> i64 {
        let known = self.count.min(BATCHES);
        if known == 0 {
            return 0;
        }
        let mut sorted = self.lags;
        sorted[..known].sort_unstable();
        let median = sorted[known / 2];
        if median.abs() <= ON_ITS_WAY { 0 } else { median }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_error_is_put_right_and_a_single_one_changes_nothing() {
        let now = 1_000_000_000;
        assert_eq!(Skew::default().correction(now - 60_000, now), 60_000, "slow");
        assert_eq!(Skew::default().correction(now + 60_000, now), -60_000, "fast");
        assert_eq!(Skew::default().correction(now - 2_000, now), 0, "on its way");
        assert_eq!(Skew::default().correction(now - 1_500_000, now), 0, "old, not slow");
        let mut skew = Skew::default();
        for batch in 0..20 {
            assert_eq!(skew.correction(now + batch * 1000 - 100, now + batch * 1000), 0);
        }
        assert_eq!(skew.correction(now + 80_000, now + 20_000), 0);
        for batch in 0..20 {
            skew.correction(now + batch * 1000 - 40_000, now + batch * 1000);
        }
        assert_eq!(skew.correction(now, now + 40_000), 40_000, "a clock that was set back");
    }
}
