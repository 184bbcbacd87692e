//! [`Limit`]: how many requests are answered in a second, by all askers together. A dashboard asks for a few; more is a mistake
//! or worse, and must not take the processor from the ticks.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Requests in a second, in the long run.
const RATE: f64 = 200.0;
/// Requests at once, after a quiet time.
const BURST: f64 = 400.0;

/// A bucket that fills with time.
#[derive(Debug)]
pub(crate) struct Limit(Mutex<(Instant, f64)>);

impl Default for Limit {
    fn default() -> Self {
        Self(Mutex::new((Instant::now(), BURST)))
    }
}

impl Limit {
    /// Takes one request; false where there is no room.
    pub(crate) fn take(&self) -> bool {
        self.take_at(Instant::now())
    }

    fn take_at(&self, now: Instant) -> bool {
        let mut bucket = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (last, left) = *bucket;
        let left = (left + now.saturating_duration_since(last).as_secs_f64() * RATE).min(BURST);
        let room = left >= 1.0;
        *bucket = (now, if room { left - 1.0 } else { left });
        room
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_burst_then_the_rate() {
        let limit = Limit::default();
        let now = Instant::now() + Duration::from_secs(1);
        assert_eq!((0..1000).filter(|_| limit.take_at(now)).count(), 400);
        assert_eq!((0..1000).filter(|_| limit.take_at(now + Duration::from_millis(500))).count(), 100);
    }
}
