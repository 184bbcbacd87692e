//! What time it is, as a trait, so that the loop runs unchanged in virtual time.

use std::fmt::Debug;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// A source of instants. Waiting is the runtime's timer, which tests may pause.
pub trait Clock: Debug + Send + Sync {
    /// The instant now.
    fn now(&self) -> Timestamp;
}

/// This machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// A clock that starts at a given instant and goes with the runtime's timer: with a paused runtime, virtual time.
#[derive(Debug, Clone, Copy)]
pub struct TimerClock {
    start: Timestamp,
    from: Instant,
}

impl TimerClock {
    /// A clock that shows `start` now. Needs a runtime.
    pub fn starting_at(start: Timestamp) -> Self {
        Self { start, from: Instant::now() }
    }
}

impl Clock for TimerClock {
    fn now(&self) -> Timestamp {
        let elapsed = SignedDuration::try_from(self.from.elapsed()).unwrap_or(SignedDuration::MAX);
        self.start.checked_add(elapsed).unwrap_or(Timestamp::MAX)
    }
}
