//! One sender and what it told: when it was heard, its clock, and the [`Tap`]s through which measurements listen to it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::Notify;

use super::counts::Counters;
use super::logplex::RuntimeMetrics;
use super::repeats::{Bodies, Lists, Pace};
use super::skew::Skew;
use super::window::Window;
use crate::otlp::{Series, Streams};

/// Ids of requests that are remembered, to know a repeated one.
const IDS: usize = 64;
/// Queues, processes and dynos that are remembered by name; more than an app has.
pub(crate) const NAMES: usize = 512;

/// What a sender is, and so how it writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Sender {
    /// A log drain of Heroku.
    Drain,
    /// Anything that pushes single samples.
    Push,
    /// Judoscale's adapters.
    Judoscale,
    /// HireFire's packages.
    HireFire,
    /// Dynoscale's agent.
    Dynoscale,
    /// Autoscale.app's agent.
    AutoscaleAgent,
    /// Anything that exports OpenTelemetry.
    Otlp,
}

/// What of a sender's numbers a measurement wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Of {
    /// The time that the router waited for the dyno to answer.
    Service,
    /// The time until the dyno took the connection.
    Connect,
    /// Both together.
    Total,
    /// The time that requests waited before the app saw them.
    QueueTime,
    /// The age of the oldest job that waits.
    Latency,
    /// Jobs that wait.
    Depth,
    /// Jobs being run.
    Busy,
    /// The share of time in which a process had requests, in per cent.
    Utilization,
    /// The number itself.
    Value,
}

/// One sender.
pub(crate) struct Source {
    pub(crate) sender: Sender,
    /// Whose it is: the app, or the app and process.
    pub(crate) owner: Box<str>,
    /// What came from it.
    pub(crate) counters: Counters,
    /// Bytes of its bodies that are being read or worked on.
    pub(crate) under_way: AtomicUsize,
    state: Mutex<State>,
    taps: Mutex<Vec<Weak<Tap>>>,
    /// When it was heard first and last, in milliseconds; 0: never.
    since: AtomicI64,
    heard: AtomicI64,
    /// When lines were last lost on their way, or shed here.
    lossy: AtomicI64,
}

/// What is carried from one request of a sender to the next.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) skew: Skew,
    ids: VecDeque<u64>,
    /// What was taken that may come again in parts.
    pub(crate) lists: Lists,
    pub(crate) bodies: Bodies,
    /// How often it is to push.
    pub(crate) pace: Pace,
    /// Load and memory by dyno.
    pub(crate) dynos: BTreeMap<Box<str>, (RuntimeMetrics, i64)>,
    /// The last points of histograms that count from their beginning on.
    pub(crate) series: Series,
}

impl State {
    /// Whether a request of this id was taken already; remembers it.
    pub(crate) fn repeated(&mut self, id: u64) -> bool {
        if self.ids.contains(&id) {
            return true;
        }
        if self.ids.len() == IDS {
            self.ids.pop_front();
        }
        self.ids.push_back(id);
        false
    }
}

/// Through this a measurement listens to a sender.
pub(crate) struct Tap {
    /// The process type that it is about.
    pub(crate) process: Box<str>,
    /// What it wants of the sender's numbers.
    pub(crate) of: Of,
    /// The queues it wants; none: all.
    pub(crate) queues: Vec<String>,
    kept: Mutex<Kept>,
    /// Told when something new came.
    pub(crate) news: Notify,
}

/// What a tap keeps of what it heard.
pub(crate) enum Kept {
    /// Many numbers over a window of time.
    Window(Window),
    /// The newest number of each name, with when it came.
    Newest(BTreeMap<Box<str>, (f64, i64)>),
    /// Spans and histograms over a window of time.
    Streams(Streams),
}

impl Kept {
    /// Keeps the newest number of a name. Names beyond the most there may be are left out.
    pub(crate) fn newest(&mut self, name: &str, value: f64, now_ms: i64) {
        let Self::Newest(all) = self else { return };
        if let Some(slot) = all.get_mut(name) {
            *slot = (value, now_ms);
        } else if all.len() < NAMES {
            all.insert(name.into(), (value, now_ms));
        }
    }
}

impl Tap {
    pub(crate) fn new(process: &str, of: Of, queues: &[String], kept: Kept) -> Arc<Self> {
        let (process, queues, news) = (process.into(), queues.to_vec(), Notify::new());
        Arc::new(Self { process, of, queues, kept: Mutex::new(kept), news })
    }

    pub(crate) fn kept(&self) -> MutexGuard<'_, Kept> {
        lock(&self.kept)
    }

    /// Whether it wants this queue.
    pub(crate) fn wants(&self, queue: &str) -> bool {
        self.queues.is_empty() || self.queues.iter().any(|wanted| wanted == queue)
    }
}

impl Source {
    pub(crate) fn new(sender: Sender, owner: &str) -> Self {
        Self {
            sender,
            owner: owner.into(),
            counters: Counters::default(),
            under_way: AtomicUsize::default(),
            state: Mutex::default(),
            taps: Mutex::default(),
            since: AtomicI64::new(0),
            heard: AtomicI64::new(0),
            lossy: AtomicI64::new(0),
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Lets a measurement listen; as long as it holds the tap.
    pub(crate) fn listen(&self, tap: &Arc<Tap>) {
        let mut taps = lock(&self.taps);
        taps.retain(|tap| tap.strong_count() > 0);
        taps.push(Arc::downgrade(tap));
    }

    /// Those who listen.
    pub(crate) fn taps(&self) -> Vec<Arc<Tap>> {
        lock(&self.taps).iter().filter_map(Weak::upgrade).collect()
    }

    /// Something came.
    pub(crate) fn hear(&self, now_ms: i64) {
        let _ = self.since.compare_exchange(0, now_ms, Ordering::Relaxed, Ordering::Relaxed);
        self.heard.fetch_max(now_ms, Ordering::Relaxed);
    }

    /// When something came last; none: never.
    pub(crate) fn heard(&self) -> Option<i64> {
        Some(self.heard.load(Ordering::Relaxed)).filter(|heard| *heard != 0)
    }

    /// When something came first.
    pub(crate) fn since(&self) -> i64 {
        self.since.load(Ordering::Relaxed)
    }

    /// Something was lost on its way.
    pub(crate) fn lose(&self, now_ms: i64) {
        self.lossy.fetch_max(now_ms, Ordering::Relaxed);
    }

    /// When something was lost last; 0: never.
    pub(crate) fn lossy(&self) -> i64 {
        self.lossy.load(Ordering::Relaxed)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
