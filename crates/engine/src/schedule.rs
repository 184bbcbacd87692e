//! When the processes of an app are due: by the intervals of their sources, and at the instants at which their bounds
//! change, so that a schedule takes effect on time even where the interval is long.

use std::time::Duration;

use autoscalebot_core::Spec;
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// How often a process without any source is looked at: its bounds may be left by hand.
const WITHOUT_SOURCES: Duration = Duration::from_secs(30);
/// How far to look ahead for a change of the bounds; looked for again after that.
const LOOK_AHEAD: SignedDuration = SignedDuration::from_hours(25);

/// The due times of one process.
#[derive(Debug)]
pub(crate) struct Due {
    sources: Vec<(Instant, Duration)>,
    bounds: Instant,
}

impl Due {
    /// Everything is due at `first`.
    pub(crate) fn new(intervals: impl Iterator<Item = Duration>, first: Instant) -> Self {
        let mut sources: Vec<_> = intervals.map(|every| (first, every)).collect();
        if sources.is_empty() {
            sources.push((first, WITHOUT_SOURCES));
        }
        Self { sources, bounds: first }
    }

    /// The next due time.
    pub(crate) fn next(&self) -> Instant {
        self.sources.iter().map(|(due, _)| *due).fold(self.bounds, Instant::min)
    }

    /// Makes one source due at `at`, if it is not due before: it has news.
    pub(crate) fn hasten(&mut self, source: usize, at: Instant) {
        if let Some((due, _)) = self.sources.get_mut(source) {
            *due = at.min(*due);
        }
    }

    /// Which sources are due; `None` where the process is not due at all.
    pub(crate) fn at(&self, now: Instant) -> Option<Vec<bool>> {
        (self.next() <= now).then(|| self.sources.iter().map(|(due, _)| *due <= now).collect())
    }

    /// Sets what was due at `now` to its next time. A time that was missed is left out, never caught up with.
    pub(crate) fn advance(&mut self, now: Instant, at: Timestamp, spec: &Spec) {
        for (due, every) in &mut self.sources {
            if *due > now {
                continue;
            }
            let missed = now.duration_since(*due).as_nanos() / every.as_nanos().max(1);
            let step = every.saturating_mul(u32::try_from(missed).unwrap_or(u32::MAX).saturating_add(1));
            *due = due.checked_add(step).unwrap_or(now + *every);
        }
        if self.bounds <= now {
            let until = at.checked_add(LOOK_AHEAD).unwrap_or(Timestamp::MAX);
            let change = spec.bounds.next_change(at, until).map_or(until, |change| change.at);
            let wait = Duration::try_from(change.duration_since(at)).unwrap_or(WITHOUT_SOURCES);
            self.bounds = now + wait;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use autoscalebot_core::{BoundTable, BoundTables, Zero};
    use jiff::tz::TimeZone;

    fn spec() -> Spec {
        Spec {
            app: "shop".into(),
            process: "web".into(),
            bounds: BoundTables { min: BoundTable::Fixed(1), max: BoundTable::Fixed(3), zone: TimeZone::UTC },
            measurements: Vec::new(),
            gates: Vec::new(),
            zero: Zero::Keep,
            rapid: None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn missed_times_are_left_out_and_the_beat_is_kept() {
        let start = Instant::now();
        let secs = Duration::from_secs;
        let mut due = Due::new([secs(10), secs(30)].into_iter(), start);
        assert_eq!(due.at(start), Some(vec![true, true]));
        due.advance(start, Timestamp::UNIX_EPOCH, &spec());
        assert_eq!(due.next(), start + secs(10));
        assert_eq!(due.at(start + secs(9)), None);
        // 25 s late in all: the times at 10 and 20 s come together, the next is at 30 s.
        assert_eq!(due.at(start + secs(25)), Some(vec![true, false]));
        due.advance(start + secs(25), Timestamp::UNIX_EPOCH, &spec());
        assert_eq!(due.next(), start + secs(30));
        assert_eq!(due.at(start + secs(30)), Some(vec![true, true]));
    }
}
