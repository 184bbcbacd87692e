//! The measurement that listens: what a [`Tap`] kept, as one reading. All kinds whose numbers are sent to us share it; they
//! differ in their settings alone.
//!
//! - Never heard: `missing`. Silent for longer than allowed: `late`, with the age. Alive without requests: idle, which is 0.
//!   Requests without any time (all of them failed before a dyno took them, or the app gets no `X-Request-Start`): unknown, as
//!   the lack of a slow answer is no sign of a fast one.
//! - News wake the engine when the reading has risen ([`Peak`]), or when it comes to life.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use autoscalebot_core::{Detail, Failure, Peak, Reading, Taken};
use tokio::time::Instant;

use super::source::{Kept, Of, Source, Tap};
use super::window::Summary;
use super::{AT, Intake};
use crate::Measure;
use crate::otlp::{Known, Streams};
use crate::told::ToldBy;

/// The least time between two looks for news.
const LOOK_GAP: Duration = Duration::from_millis(200);
/// A reading takes no time: nothing is asked.
const BUDGET: Duration = Duration::from_secs(1);

/// What a kind says of itself, beside its tap.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Listening {
    /// The percentile of windows, from 0 to 100.
    pub(crate) percentile: f64,
    /// How long the sender may be silent, in milliseconds.
    pub(crate) silent_after_ms: i64,
    /// Whether it tells of each request, so that rates can be known.
    pub(crate) tells_all: bool,
    /// Whether each thing that comes is news, whatever it says.
    pub(crate) always_news: bool,
    /// How often it is read, news aside.
    pub(crate) every: Duration,
}

/// A measurement of what is sent to us.
pub(crate) struct Listener {
    intake: Arc<Intake>,
    source: Arc<Source>,
    tap: Arc<Tap>,
    how: Listening,
    told: ToldBy,
    /// News are what rises above this.
    peak: Mutex<Option<Peak>>,
    /// Whether the last reading was of requests that no dyno took.
    unserved: AtomicBool,
    looked: Mutex<Option<Instant>>,
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").field("sender", &self.source.sender).field("of", &self.tap.of).finish()
    }
}

impl Listener {
    /// Begins to listen through this tap.
    pub(crate) fn new(intake: &Arc<Intake>, source: Arc<Source>, tap: Arc<Tap>, how: Listening, told: ToldBy) -> Self {
        source.listen(&tap);
        Self {
            intake: Arc::clone(intake),
            source,
            tap,
            how,
            told,
            peak: Mutex::default(),
            unserved: AtomicBool::new(false),
            looked: Mutex::default(),
        }
    }

    fn taken(&self, now_ms: i64) -> Result<Taken, Failure> {
        let heard = || {
            let heard = self.source.heard().ok_or(Failure::Missing)?;
            late(now_ms.saturating_sub(heard), self.how.silent_after_ms)
        };
        match &mut *self.tap.kept() {
            Kept::Window(window) => {
                heard()?;
                self.of_summary(&window.summary(now_ms, self.source.since()), window.stale(now_ms), now_ms)
            }
            Kept::Streams(streams) => self.of_streams(streams, now_ms),
            Kept::Newest(all) => {
                heard()?;
                all.retain(|_, (_, at)| now_ms.saturating_sub(*at) <= self.how.silent_after_ms);
                let numbers = all.iter().map(|(name, (value, _))| (&**name, *value));
                self.of_newest(numbers, now_ms)
            }
        }
    }

    fn of_streams(&self, streams: &Streams, now_ms: i64) -> Result<Taken, Failure> {
        match streams.known(now_ms, self.how.silent_after_ms) {
            Known::Nothing => Err(Failure::Missing),
            Known::NoRequest => {
                Err(Failure::Other("telemetry comes, and no request of this process was in it yet".into()))
            }
            Known::Late(age) => late(age, 0).and(Err(Failure::Missing)),
            Known::Summary(summary, stale) => self.of_summary(&summary, stale, now_ms),
        }
    }

    fn of_summary(&self, summary: &Summary, stale: Option<i64>, now_ms: i64) -> Result<Taken, Failure> {
        let detail = self.detail(summary, now_ms);
        if let Some(value) = summary.percentile(self.how.percentile) {
            let waited = (self.tap.of == Of::QueueTime).then_some(value);
            return Ok(Taken { reading: Reading::number(value), detail: Detail { latency_ms: waited, ..detail } });
        }
        if let Some(age) = stale {
            late(age, 0)?;
        }
        match (summary.requests, summary.errors) {
            (0, _) => Ok(Taken { reading: Reading::Value(0.0), detail }),
            (all, errors) if errors == all => {
                let why = Failure::Other(format!("all of {all} requests failed before they were served").into());
                // That they came is known all the same: it wakes a process without dynos.
                Ok(Taken { reading: Reading::Failed(why), detail })
            }
            (all, _) if self.tap.of == Of::QueueTime => {
                let why = format!(
                    "{all} requests without a queue time: nothing sets X-Request-Start, or the app does not see it"
                );
                Err(Failure::Other(why.into()))
            }
            (all, _) => Err(Failure::Other(format!("{all} requests without a time").into())),
        }
    }

    fn detail(&self, summary: &Summary, now_ms: i64) -> Detail {
        // Where lines were lost, what is counted is too little; what is measured is still right.
        let lossy = now_ms.saturating_sub(self.source.lossy()) < self.how.silent_after_ms;
        let whole = self.how.tells_all && !lossy;
        Detail {
            rate: whole.then_some(summary.rate),
            concurrency: summary.concurrency.filter(|_| whole),
            service_ms: summary.service_ms,
            ..Detail::default()
        }
    }

    fn of_newest<'a>(&self, numbers: impl Iterator<Item = (&'a str, f64)>, now_ms: i64) -> Result<Taken, Failure> {
        let (mut any, mut sum, mut most, mut detail) = (0_u32, 0.0, 0.0_f64, Detail::default());
        for (name, value) in numbers {
            match (self.tap.of, name) {
                // A sample that says it is old is, whenever it came.
                (Of::Value, AT) => late(now_ms.saturating_sub(value as i64), self.how.silent_after_ms)?,
                (Of::Value, "rate") => detail.rate = Some(value),
                (Of::Value, "concurrency") => detail.concurrency = Some(value),
                (Of::Value, "busy") => detail.busy = Some(value),
                (Of::Value, "service_ms") => detail.service_ms = Some(value),
                (Of::Value, "latency_ms") => detail.latency_ms = Some(value),
                (Of::Latency | Of::Depth | Of::Busy, queue) if !self.tap.wants(base(queue)) => {}
                _ => (any, sum, most) = (any + 1, sum + value, most.max(value)),
            }
        }
        if any == 0 {
            return Err(match self.tap.queues.as_slice() {
                [] => Failure::Empty,
                queues => Failure::Other(format!("nothing is told of {}", queues.join(", ")).into()),
            });
        }
        let value = match self.tap.of {
            Of::Latency | Of::Value => most,
            Of::Utilization => sum / f64::from(any),
            _ => sum,
        };
        match self.tap.of {
            Of::Latency => detail.latency_ms = Some(value),
            Of::Busy => detail.busy = Some(value),
            _ => {}
        }
        Ok(Taken { reading: Reading::number(value), detail })
    }

    /// Whether what would be read now is worth a tick before its time.
    fn risen(&self, now_ms: i64) -> bool {
        let Ok(Taken { reading, detail }) = self.taken(now_ms) else { return false };
        let peak = *self.peak.lock().unwrap_or_else(PoisonError::into_inner);
        let Reading::Value(value) = reading else {
            // Requests come, and no dyno takes them: that is news once.
            return detail.rate.is_some_and(|rate| rate > 0.0) && !self.unserved.load(Ordering::Relaxed);
        };
        self.how.always_news || peak.is_none_or(|peak| peak.is_news(value, now_ms, self.every_ms()))
    }

    fn every_ms(&self) -> i64 {
        i64::try_from(self.how.every.as_millis()).unwrap_or(i64::MAX)
    }
}

/// A queue's name without the priority that Celery adds to it: each priority is a list of its own in Redis.
fn base(queue: &str) -> &str {
    queue.split("\u{6}\u{16}").next().unwrap_or(queue)
}

fn late(age_ms: i64, allowed_ms: i64) -> Result<(), Failure> {
    if age_ms <= allowed_ms {
        return Ok(());
    }
    Err(Failure::Late(u32::try_from(age_ms / 1000).unwrap_or(u32::MAX)))
}

#[async_trait]
impl Measure for Listener {
    async fn read(&self) -> Taken {
        let now_ms = self.intake.now().as_millisecond();
        let taken = self.taken(now_ms);
        let mut peak = self.peak.lock().unwrap_or_else(PoisonError::into_inner);
        *peak = match &taken {
            Ok(Taken { reading: Reading::Value(value), .. }) => {
                Some(Peak::after(*peak, *value, now_ms, self.every_ms()))
            }
            _ => None,
        };
        self.unserved.store(matches!(&taken, Ok(Taken { reading: Reading::Failed(_), .. })), Ordering::Relaxed);
        taken.unwrap_or_else(|failure| Reading::Failed(failure).into())
    }

    fn budget(&self) -> Duration {
        BUDGET
    }

    fn told(&self) -> Option<ToldBy> {
        Some(self.told.clone())
    }

    async fn news(&self) {
        loop {
            self.tap.news.notified().await;
            let looked = *self.looked.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(looked) = looked {
                tokio::time::sleep_until(looked + LOOK_GAP).await;
            }
            *self.looked.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
            if self.risen(self.intake.now().as_millisecond()) {
                return;
            }
        }
    }
}
