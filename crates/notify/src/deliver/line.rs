//! One channel's queue and the task that empties it.
//!
//! Limits, all of them so that a dead channel costs little and holds up nothing: [`WAITING`] events wait, a try takes at most
//! [`TRY_LIMIT`], and an event is tried again until [`GIVE_UP`] has passed since it was offered. An event that waited longer
//! than that behind others still gets its one try.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use autoscalebot_core::Event;
use backon::{BackoffBuilder, ExponentialBuilder};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use crate::{Notify, NotifyError};

/// How many events wait for a channel; then the oldest is given up, as the newest says how things are.
pub(super) const WAITING: usize = 256;
/// The longest that one try may take.
pub(super) const TRY_LIMIT: Duration = Duration::from_secs(30);
/// How long after it was offered an event is tried again.
pub(super) const GIVE_UP: Duration = Duration::from_secs(600);
/// The first and the longest wait between two tries.
const WAITS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(120));

/// How a channel does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// The channel's name.
    pub name: String,
    /// Events told.
    pub told: u64,
    /// Events given up: refused, tried too long, or pushed out of a full queue.
    pub dropped: u64,
    /// Events that wait.
    pub waiting: usize,
    /// Why the last try failed; `None` once a later one worked. Holds no secret.
    pub last_error: Option<String>,
}

/// One channel's queue.
#[derive(Debug)]
pub(super) struct Line {
    name: String,
    inner: Mutex<Inner>,
    bell: tokio::sync::Notify,
    closing: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct Inner {
    waiting: VecDeque<(Event, Instant)>,
    /// Whether an event that is no longer in the queue is being told.
    telling: bool,
    told: u64,
    dropped: u64,
    /// Whether a full queue was already logged; cleared when the queue is empty again.
    overflowing: bool,
    last_error: Option<String>,
}

impl Line {
    pub(super) fn new(name: String) -> Self {
        Self { name, inner: Mutex::default(), bell: tokio::sync::Notify::new(), closing: watch::Sender::new(false) }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an event; never waits.
    pub(super) fn push(&self, event: Event) {
        if *self.closing.borrow() {
            return;
        }
        let mut inner = self.inner();
        if inner.waiting.len() >= WAITING {
            inner.waiting.pop_front();
            inner.dropped += 1;
            if !inner.overflowing {
                inner.overflowing = true;
                tracing::warn!(channel = %self.name, waiting = WAITING, "notification queue is full: the oldest are dropped");
            }
        }
        inner.waiting.push_back((event, Instant::now()));
        drop(inner);
        self.bell.notify_one();
    }

    /// Ends the task once the queue is empty, and cuts waits between tries short.
    pub(super) fn close(&self) {
        self.closing.send_replace(true);
    }

    /// Logs what was never told, when all is over.
    pub(super) fn report_untold(&self) {
        let inner = self.inner();
        let untold = inner.waiting.len() + usize::from(inner.telling);
        drop(inner);
        if untold > 0 {
            tracing::warn!(channel = %self.name, untold, "notifications were still waiting at the end");
        }
    }

    pub(super) fn health(&self) -> Health {
        let inner = self.inner();
        Health {
            name: self.name.clone(),
            told: inner.told,
            dropped: inner.dropped,
            waiting: inner.waiting.len(),
            last_error: inner.last_error.clone(),
        }
    }

    /// Tells the channel what waits, until the line is closed and empty.
    pub(super) async fn run(self: Arc<Self>, notify: Arc<dyn Notify>) {
        let mut closing = self.closing.subscribe();
        loop {
            let next = self.inner().waiting.pop_front();
            if let Some((event, offered)) = next {
                self.inner().telling = true;
                self.tell(&*notify, &event, offered, &mut closing).await;
                self.inner().telling = false;
                continue;
            }
            self.inner().overflowing = false;
            if *closing.borrow_and_update() {
                return;
            }
            tokio::select! {
                () = self.bell.notified() => {}
                _ = closing.changed() => {}
            }
        }
    }

    /// Tells one event, however many tries that takes, or gives it up with a warning.
    async fn tell(&self, notify: &dyn Notify, event: &Event, offered: Instant, closing: &mut watch::Receiver<bool>) {
        let mut waits = ExponentialBuilder::default()
            .with_min_delay(WAITS.0)
            .with_max_delay(WAITS.1)
            .without_max_times()
            .with_jitter()
            .build();
        let mut tries = 0u32;
        loop {
            tries += 1;
            let result = match timeout(TRY_LIMIT, notify.send(event)).await {
                Ok(result) => result,
                Err(_) => Err(NotifyError::retry(format!("no answer within {} s", TRY_LIMIT.as_secs()))),
            };
            let error = match result {
                Ok(()) => {
                    let mut inner = self.inner();
                    inner.told += 1;
                    inner.last_error = None;
                    return;
                }
                Err(error) => error,
            };
            self.inner().last_error = Some(error.to_string());
            // While the program ends there is no time for a second try.
            let next = match &error {
                NotifyError::Retry { after, .. } if !*closing.borrow() => {
                    let wait = waits.next().unwrap_or(WAITS.1).max(after.unwrap_or_default());
                    Instant::now().checked_add(wait).filter(|next| next.duration_since(offered) <= GIVE_UP)
                }
                _ => None,
            };
            let Some(next) = next else {
                self.inner().dropped += 1;
                tracing::warn!(channel = %self.name, event = event.kind.name(), tries, %error, "notification dropped");
                return;
            };
            tracing::debug!(channel = %self.name, event = event.kind.name(), tries, %error, "notification will be tried again");
            tokio::select! {
                () = sleep_until(next) => {}
                _ = closing.changed() => {}
            }
        }
    }
}
