//! What is shared by all apps of one account: the budget of calls, a wait that a 429 asked for, and a key that is refused.
//! Two platform sections with the same key are one account. Nothing is sent here; each call is asked for with
//! [`Account::admit`] and reported with [`Account::learn`].

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use autoscalebot_core::Secret;
use jiff::{SignedDuration, Timestamp};
use url::Url;

use super::answer::Refused;
use super::budget::Budget;
use super::wait::{GrowingPause, WAIT_MAX};
use super::wire::Answer;

/// One account of one Platform API.
#[derive(Debug)]
pub(super) struct Account {
    key: Secret,
    base: Url,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    budget: Budget,
    /// Nothing is sent before then.
    wait_until: Option<Timestamp>,
    /// What a 401 said, while it is not tried again.
    key_refused: GrowingPause<String>,
}

impl Account {
    /// The account of this key: the same one for every platform section that has it, as long as any of them lives.
    pub(super) fn of(key: &Secret, base: &Url) -> Arc<Self> {
        static ACCOUNTS: OnceLock<Mutex<Vec<Weak<Account>>>> = OnceLock::new();
        let accounts = ACCOUNTS.get_or_init(Mutex::default);
        let mut accounts = accounts.lock().unwrap_or_else(PoisonError::into_inner);
        accounts.retain(|account| account.strong_count() > 0);
        let known = accounts.iter().filter_map(Weak::upgrade);
        for account in known {
            if account.key == *key && account.base.origin() == base.origin() {
                return account;
            }
        }
        let account = Arc::new(Self { key: key.clone(), base: base.clone(), state: Mutex::default() });
        accounts.push(Arc::downgrade(&account));
        account
    }

    /// Whether a call may be sent now. A call that may is counted as sent.
    pub(super) fn admit(&self, write: bool, now: Timestamp) -> Result<(), Refused> {
        let mut state = self.lock();
        // A clock that was set back must not stretch a wait beyond the longest one.
        let wait = state.wait_until.filter(|until| now < *until && until.duration_since(now) <= WAIT_MAX);
        if let Some(until) = wait {
            return Err(Refused::Wait(until));
        }
        if let Some(said) = state.key_refused.holds(now) {
            return Err(Refused::Key(said));
        }
        if !write {
            state.budget.may_read(now).map_err(Refused::Wait)?;
        }
        state.budget.spend(now);
        Ok(())
    }

    /// Takes from an answer what concerns the account. `refused` is what the answer was found to mean.
    pub(super) fn learn(&self, answer: &Answer, refused: Option<&Refused>, now: Timestamp) {
        let mut state = self.lock();
        if let Some(remaining) = answer.remaining {
            state.budget.told(remaining, now);
        }
        match refused {
            Some(Refused::Wait(until)) => {
                // Of two answers that cross, the longer wait holds.
                state.wait_until = state.wait_until.max(Some(*until));
            }
            Some(Refused::Key(said)) => state.key_refused.refuse(said.clone(), now),
            // A 503 says nothing of the key.
            Some(Refused::Broken(_) | Refused::Late) => {}
            // Anything else, a refusal too, is an answer that the key was accepted for.
            Some(_) | None => state.key_refused.clear(),
        }
    }

    /// The account was asked what is left.
    pub(super) fn told(&self, remaining: u32, now: Timestamp) {
        self.lock().budget.told(remaining, now);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The instant `elapsed` after that of the tick, rounded up to the millisecond: waits count from when the answer came.
pub(super) fn after(now: Timestamp, elapsed: std::time::Duration) -> Timestamp {
    let millis = i64::try_from(elapsed.as_nanos().div_ceil(1_000_000)).unwrap_or(i64::MAX);
    now.saturating_add(SignedDuration::from_millis(millis)).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base() -> Url {
        Url::parse("https://api.example").unwrap()
    }

    #[test]
    fn sections_with_one_key_share_an_account() {
        let one = Account::of(&Secret::new("key-shared"), &base());
        let same = Account::of(&Secret::new("key-shared"), &base());
        let other = Account::of(&Secret::new("key-other"), &base());
        let elsewhere = Account::of(&Secret::new("key-shared"), &Url::parse("https://other.example").unwrap());
        assert!(Arc::ptr_eq(&one, &same));
        assert!(!Arc::ptr_eq(&one, &other));
        assert!(!Arc::ptr_eq(&one, &elsewhere));
    }

    #[test]
    fn a34_debug_hides_the_key() {
        let account = Account::of(&Secret::new("tok-EXAMPLE-1234"), &base());
        assert!(!format!("{account:?}").contains("tok-EXAMPLE"));
    }

    #[test]
    fn a20_a_wait_holds_for_reads_and_writes_until_its_end() {
        let now: Timestamp = "2026-05-04T12:00:00.2Z".parse().unwrap();
        let until: Timestamp = "2026-05-04T12:02:00.2Z".parse().unwrap();
        let account = Account::of(&Secret::new("key-wait"), &base());
        account.learn(&Answer::default(), Some(&Refused::Wait(until)), now);
        account.learn(&Answer::default(), Some(&Refused::Wait(now)), now);
        for write in [false, true] {
            assert_eq!(account.admit(write, now), Err(Refused::Wait(until)));
            assert_eq!(account.admit(write, until - SignedDuration::from_nanos(1)), Err(Refused::Wait(until)));
            assert_eq!(account.admit(write, until), Ok(()));
        }
    }

    #[test]
    fn writes_may_use_the_reserve() {
        let now: Timestamp = "2026-05-04T12:00:00Z".parse().unwrap();
        let account = Account::of(&Secret::new("key-reserve"), &base());
        account.told(5, now);
        assert!(matches!(account.admit(false, now), Err(Refused::Wait(until)) if until > now));
        assert_eq!(account.admit(true, now), Ok(()));
    }
}
