//! What is sent to us rather than asked for: log drains, reports of adapters inside apps, pushed samples. One [`Intake`] for
//! the whole program knows who may send what, by the token in the URL or header, and hands it to the measurements that wait
//! for it.
//!
//! The HTTP side is the server's: for a request it asks [`Intake::admit`], reads the body up to [`Ticket::limit`], gives it
//! to [`Ticket::accept`], and sends back the [`Reply`]. How each sender writes is in the folder of its kind (log drains:
//! `logplex`); windows, clocks and tokens are in the files beside this one. Case by case: `router`, `push`, `otlp`, `judoscale`,
//! `hirefire`, `dynoscale`, `autoscale_agent`.

mod admit;
mod counts;
#[cfg(test)]
pub(crate) mod fixtures;
mod heard;
mod listen;
pub mod logplex;
mod pour;
mod repeats;
mod report;
pub(crate) mod settings;
mod skew;
mod source;
mod tokens;
pub(crate) mod window;

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::ops::Add;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, PoisonError, RwLock};

use autoscalebot_core::Secret;
use autoscalebot_core::fields::FieldError;
use jiff::Timestamp;

pub use admit::{Reply, Ticket};
pub use counts::Counts;
pub(crate) use counts::{Counters, add};
pub use heard::Heard;
use logplex::{Batch, RuntimeMetrics};
pub(crate) use report::{Report, Told, plausible_ms, process_of, seconds};
pub(crate) use source::{Kept, Of, Sender, Source};
use tokens::Tokens;

/// The name under which a pushed sample's own instant is kept, in milliseconds of the Unix epoch.
pub(crate) const AT: &str = "at";

/// What tells the time of receipt.
type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Everything that is sent to this program, and who waits for it.
pub struct Intake {
    clock: Clock,
    tokens: Tokens,
    /// The log lines of apps on this machine, by app.
    local: RwLock<BTreeMap<Box<str>, Arc<Source>>>,
    /// What belongs to no sender.
    counters: Counters,
    /// Bytes of bodies that are being read or worked on.
    under_way: AtomicUsize,
    ids: RandomState,
}

impl Default for Intake {
    /// An intake on the system's clock.
    fn default() -> Self {
        Self::new(Timestamp::now)
    }
}

impl fmt::Debug for Intake {
    /// Without tokens.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Intake").field("counts", &self.counts()).finish_non_exhaustive()
    }
}

impl Intake {
    /// An intake on this clock.
    pub fn new(clock: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self {
            clock: Arc::new(clock),
            tokens: Tokens::default(),
            local: RwLock::default(),
            counters: Counters::default(),
            under_way: AtomicUsize::default(),
            ids: RandomState::new(),
        }
    }

    /// The instant of receipt.
    pub fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// What came in since the start.
    pub fn counts(&self) -> Counts {
        let of_all = self.all().into_iter().map(|source| source.counters.read());
        of_all.fold(self.counters.read(), Counts::add)
    }

    /// What came from each sender that somebody listens to.
    pub fn heard(&self) -> Vec<Heard> {
        self.all().into_iter().map(|source| Heard::of(&source)).filter(|heard| !heard.processes.is_empty()).collect()
    }

    /// Every sender, known by its token or local.
    fn all(&self) -> Vec<Arc<Source>> {
        let local = self.local.read().unwrap_or_else(PoisonError::into_inner);
        self.tokens.all().into_iter().chain(local.values().cloned()).collect()
    }

    /// Load and memory of each dyno that a log drain told of: the drain's app, the dyno, the numbers, and when they came.
    pub fn dynos(&self) -> Vec<(String, String, RuntimeMetrics, Timestamp)> {
        let mut all = Vec::new();
        for source in self.tokens.all() {
            for (dyno, (metrics, at_ms)) in &source.state().dynos {
                let at = Timestamp::from_millisecond(*at_ms).unwrap_or_default();
                all.push((source.owner.to_string(), dyno.to_string(), *metrics, at));
            }
        }
        all
    }

    /// A log line of an app that this machine runs, as the local platform gives it; only those of the router are used.
    pub fn log_line(&self, app: &str, at: Timestamp, source: &str, process: &str, text: &str) {
        let local = self.local.read().unwrap_or_else(PoisonError::into_inner);
        let Some(listened) = local.get(app) else { return };
        let mut batch = Batch { messages: 1, ..Batch::default() };
        if source == "heroku" && process == "router" {
            batch.router(at.as_millisecond(), text.as_bytes());
        }
        pour::batch(&batch, listened, self.now().as_millisecond(), &listened.counters);
    }

    /// That an app which this machine runs is watched, though its router has nothing to say.
    pub fn alive(&self, app: &str) {
        let local = self.local.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(source) = local.get(app) {
            source.hear(self.now().as_millisecond());
        }
    }

    /// That so many log lines of an app that this machine runs came too fast, and are gone.
    pub fn lines_lost(&self, app: &str, lines: u64) {
        let local = self.local.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(source) = local.get(app) {
            source.lose(self.now().as_millisecond());
            counts::add(&source.counters.lost_lines, lines);
        }
    }

    /// The source of the local platform's lines about an app.
    pub(crate) fn local(&self, app: &str) -> Arc<Source> {
        let mut local = self.local.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(local.entry(app.into()).or_insert_with(|| Arc::new(Source::new(Sender::Drain, app))))
    }

    /// The source of a token; an error where the token is another app's.
    pub(crate) fn source(&self, sender: Sender, token: &Secret, owner: &str) -> Result<Arc<Source>, FieldError> {
        self.tokens.register(sender, token, owner).ok_or_else(|| {
            FieldError::new("token", "is that of another app's measurement too: give each app a token of its own")
        })
    }

    fn id(&self, of: &[u8]) -> u64 {
        self.ids.hash_one(of)
    }
}
