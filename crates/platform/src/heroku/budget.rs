//! How many calls an account may still make: an estimate from what the answers say and how fast the platform refills it.
//! Pure: time comes in as a value. Who may spend it is decided here too ([`Budget::may_read`]); who asks is `account.rs`.
//!
//! Heroku gives 4500 calls to an account, back at about 75 a minute, shared by every tool of that account, so other tools
//! may spend it too: <https://devcenter.heroku.com/articles/platform-api-reference#rate-limits>. Most answers say what is
//! left in `RateLimit-Remaining`.

use jiff::{SignedDuration, Timestamp};

/// What an account holds when nothing was spent.
const FULL: f64 = 4500.0;

/// What comes back in one second: 75 a minute.
const REFILL_PER_SEC: f64 = 75.0 / 60.0;

/// What is kept for scaling calls, and for the person who opens the dashboard in an incident: reads stop below it.
const RESERVE: f64 = 20.0;

/// An estimate of the calls that are left.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Budget {
    /// What was left at `at`; refilled since.
    left: f64,
    /// When that was; none: nothing was sent yet, and the account is taken for full.
    at: Option<Timestamp>,
}

impl Default for Budget {
    fn default() -> Self {
        Self { left: FULL, at: None }
    }
}

impl Budget {
    /// What is left now, as far as is known. A clock that was set back refills nothing.
    pub(super) fn left_at(&self, now: Timestamp) -> f64 {
        let secs = self.at.map_or(0.0, |at| now.duration_since(at).as_secs_f64().max(0.0));
        (self.left + secs * REFILL_PER_SEC).min(FULL)
    }

    /// One call is sent.
    pub(super) fn spend(&mut self, now: Timestamp) {
        self.left = (self.left_at(now) - 1.0).max(0.0);
        self.at = Some(now);
    }

    /// An answer said what is left: the truth, other tools' calls included.
    pub(super) fn told(&mut self, remaining: u32, now: Timestamp) {
        self.left = f64::from(remaining).min(FULL);
        self.at = Some(now);
    }

    /// Whether a read may be sent now; if not, when it may. Writes do not ask: the reserve is theirs.
    pub(super) fn may_read(&self, now: Timestamp) -> Result<(), Timestamp> {
        let left = self.left_at(now);
        if left >= RESERVE {
            return Ok(());
        }
        // Rounded up to the millisecond, so that a read at that instant is let through.
        let millis = ((RESERVE - left) / REFILL_PER_SEC * 1000.0).ceil() as i64;
        Err(now.saturating_add(SignedDuration::from_millis(millis)).unwrap_or(Timestamp::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_second(1_777_000_000 + secs).unwrap()
    }

    #[test]
    fn an_account_that_nobody_used_is_full() {
        assert_eq!(Budget::default().left_at(at(0)), 4500.0);
        assert_eq!(Budget::default().may_read(at(0)), Ok(()));
    }

    #[test]
    fn what_an_answer_says_replaces_the_estimate_and_refills() {
        let mut budget = Budget::default();
        budget.told(100, at(0));
        budget.spend(at(0));
        assert_eq!(budget.left_at(at(0)), 99.0);
        assert_eq!(budget.left_at(at(60)), 174.0, "75 a minute come back");
        assert_eq!(budget.left_at(at(86_400)), 4500.0, "never more than full");
        budget.told(7, at(60));
        assert_eq!(budget.left_at(at(60)), 7.0);
    }

    #[test]
    fn reads_stop_at_the_reserve_and_come_back_when_it_is_refilled() {
        let mut budget = Budget::default();
        budget.told(20, at(0));
        assert_eq!(budget.may_read(at(0)), Ok(()));
        budget.told(10, at(0));
        // 10 are missing, 1.25 come back a second: 8 s.
        assert_eq!(budget.may_read(at(0)), Err(at(8)));
        assert_eq!(budget.may_read(at(8)), Ok(()));
        budget.told(0, at(0));
        assert_eq!(budget.may_read(at(0)), Err(at(16)));
    }

    #[test]
    fn a_clock_that_is_set_back_refills_nothing() {
        let mut budget = Budget::default();
        budget.told(10, at(0));
        assert_eq!(budget.left_at(at(-3600)), 10.0);
    }

    #[test]
    fn spending_never_goes_below_nothing() {
        let mut budget = Budget::default();
        budget.told(0, at(0));
        budget.spend(at(0));
        assert_eq!(budget.left_at(at(0)), 0.0);
    }
}
