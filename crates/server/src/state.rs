//! What the server is given ([`Setup`]), and what every handler sees (`Shared`). Nothing here decides anything; it holds what
//! the engine says and what came of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use autoscalebot_core::{Event, Record, Spec};
use autoscalebot_engine::memory::Health;
use autoscalebot_engine::{Board, Clock};
use autoscalebot_measure::Intake;
use autoscalebot_store::{ProcessKey, Store};
use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::{Semaphore, broadcast, watch};

use crate::access::Access;
use crate::limit::Limit;
use crate::metrics::Counters;
use crate::options::Options;
use crate::past::Past;
use crate::pauses::Pauses;
use crate::range::{self, Range};
use crate::ring::Ring;

/// Messages that a listener of the stream may be behind before it loses the oldest.
const STREAM: usize = 1024;
/// Listeners of the stream at a time.
const LISTENERS: usize = 64;
/// Beside three intervals, so much later than due is late.
const LATE: Duration = Duration::from_secs(60);

/// One process that the server shows.
#[derive(Debug, Clone)]
pub struct Watched {
    /// Its settings.
    pub spec: Arc<Spec>,
    /// The name of its platform in the settings.
    pub platform: String,
    /// How often it ticks at least.
    pub every: Duration,
}

/// What the server is given.
#[derive(Debug)]
pub struct Setup {
    /// Where to listen, and who may do what.
    pub options: Options,
    /// Every process, in any order.
    pub processes: Vec<Watched>,
    /// The newest records.
    pub board: Board,
    /// What happens from now on.
    pub events: broadcast::Receiver<Event>,
    /// Where pauses are written and the past is read: a second way to it, beside the engine's.
    pub store: Store,
    /// How the store is.
    pub health: watch::Receiver<Health>,
    /// What is sent to this program, and who waits for it.
    pub intake: Arc<Intake>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Whether nothing is ever changed on a platform.
    pub dry_run: bool,
}

/// A process with what follows from its settings.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) watched: Watched,
    /// The wanted range of each measurement.
    pub(crate) ranges: Vec<Range>,
}

impl Known {
    fn new(watched: Watched) -> Self {
        let ranges = watched.spec.measurements.iter().map(|m| range::of(m.policy.as_ref())).collect();
        Self { watched, ranges }
    }

    pub(crate) fn app(&self) -> &str {
        &self.watched.spec.app
    }

    pub(crate) fn process(&self) -> &str {
        &self.watched.spec.process
    }

    pub(crate) fn key(&self) -> ProcessKey {
        ProcessKey::new(self.app(), self.process())
    }
}

/// One line of the event stream, made once for all listeners.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) name: &'static str,
    pub(crate) app: Arc<str>,
    pub(crate) process: Arc<str>,
    pub(crate) data: String,
}

/// What every handler sees.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) access: Access,
    pub(crate) prefix: String,
    /// The processes by app and name; fixed for a run.
    pub(crate) processes: BTreeMap<ProcessKey, Known>,
    pub(crate) board: Board,
    pub(crate) pauses: Arc<Pauses>,
    pub(crate) health: watch::Receiver<Health>,
    pub(crate) intake: Arc<Intake>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) dry_run: bool,
    pub(crate) started: Timestamp,
    pub(crate) past: Arc<Past>,
    pub(crate) counters: Counters,
    pub(crate) stream: broadcast::Sender<Arc<Message>>,
    pub(crate) listeners: Arc<Semaphore>,
    pub(crate) limit: Limit,
}

impl Shared {
    pub(crate) fn new(setup: Setup) -> (Arc<Self>, broadcast::Receiver<Event>) {
        let Setup { options, processes, board, events, store, health, intake, clock, dry_run } = setup;
        let processes: BTreeMap<_, _> = processes.into_iter().map(Known::new).map(|k| (k.key(), k)).collect();
        let past = Past { store: store.clone(), ring: Ring::new(processes.len()) };
        let shared = Self {
            access: Access::new(options.token, options.read_token),
            prefix: options.path_prefix,
            processes,
            board,
            pauses: Arc::new(Pauses::new(store, Arc::clone(&clock))),
            health,
            intake,
            started: clock.now(),
            clock,
            dry_run,
            past: Arc::new(past),
            counters: Counters::default(),
            stream: broadcast::channel(STREAM).0,
            listeners: Arc::new(Semaphore::new(LISTENERS)),
            limit: Limit::default(),
        };
        (Arc::new(shared), events)
    }

    /// Whether a process has not ticked for much longer than it should.
    pub(crate) fn is_late(&self, known: &Known, newest: Option<&Record>, now: Timestamp) -> bool {
        let allowed = known.watched.every.saturating_mul(3).saturating_add(LATE);
        let since = newest.map_or(self.started, |record| record.at);
        now.duration_since(since) > jiff::SignedDuration::try_from(allowed).unwrap_or(jiff::SignedDuration::MAX)
    }

    /// Why the store cannot be written, and since when; `None`: all is well.
    pub(crate) fn store_trouble(&self) -> Option<Trouble> {
        let health = self.health.borrow();
        let error = health.error.as_ref()?.to_string();
        Some(Trouble { error, full: health.full, since: health.since })
    }

    pub(crate) fn newest(&self, known: &Known) -> Option<Arc<Record>> {
        self.board.get(&known.key())
    }
}

/// What is wrong with the store.
#[derive(Debug, Serialize)]
pub(crate) struct Trouble {
    error: String,
    /// Whether the disk is full.
    full: bool,
    since: Option<Timestamp>,
}

/// How much a process needs somebody's eyes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Attention {
    /// All is as it should be.
    None,
    /// Worth knowing.
    Notice,
    /// Should be looked at.
    Warning,
    /// Not scaled as it should be.
    Urgent,
}

impl Attention {
    pub(crate) fn of(record: Option<&Record>, late: bool) -> Self {
        use autoscalebot_core::Condition as C;
        let worst = record.into_iter().flat_map(|record| &record.conditions).map(|condition| match condition {
            C::ScaleFailing | C::FormationUnknown => Self::Urgent,
            C::SourceUnknown
            | C::NeedsAboveMax
            | C::LimitedByPlatform
            | C::ScalingTooRapid
            | C::BudgetSpent
            | C::StoreFailing => Self::Warning,
            // New conditions are shown as a notice until somebody says better.
            _ => Self::Notice,
        });
        worst.chain(late.then_some(Self::Urgent)).max().unwrap_or(Self::None)
    }
}
