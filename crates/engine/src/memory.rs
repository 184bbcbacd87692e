//! The store's side of the loop, on a thread of its own: writes what the ticks leave behind, keeps the store small, and reads
//! the pauses that others (`autoscalebot pause`, the dashboard) set.
//!
//! Nothing here makes a tick wait, with one bounded exception: what comes in half a second is written in one transaction, but
//! a state that a scaling call is about to change at once, and the call waits for it ([`Memory::before_call`]), so that a
//! program that is killed knows its cooldowns when it comes back. A store that is known to ail is not waited for. A
//! store that cannot be written (a full disk, a broken file, a server that is away) is a [`Health`] that others can see; it
//! is tried again until it can, and meanwhile the newest of what waits is held, up to a limit. Scaling goes on.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use autoscalebot_core::{Event, EventKind, Pause, Record, State};
use autoscalebot_store::{Entry, ProcessKey, Retention, Store, StoreError};
use jiff::Timestamp;
use tokio::sync::watch;

/// How many ticks may wait for the store's thread.
const QUEUE: usize = 8_192;
/// How many records and events are held while the store cannot be written; of more, the oldest go.
const HELD: usize = 20_000;
/// What comes in this time is written together.
const WRITE_EVERY: Duration = Duration::from_millis(500);
/// More than this is written sooner.
const WRITE_AT_MOST: usize = 2_000;
/// How often the pauses are read.
const PAUSES_EVERY: Duration = Duration::from_secs(1);
/// How often the store is cleaned, and the pause between steps where there is much to do.
const CLEAN_EVERY: Duration = Duration::from_secs(10);
const CLEAN_GAP: Duration = Duration::from_millis(100);
/// How long a scaling call may wait for the state that it is expected to come to.
const CALL_WAITS: Duration = Duration::from_millis(500);
/// A store that fails for so long is told of; what is over sooner is in the log.
const TOLD_AFTER: Duration = Duration::from_secs(30);
/// The pause before a store that failed is tried again: it doubles up to the second.
const RETRY: Duration = Duration::from_millis(500);
const RETRY_MOST: Duration = Duration::from_secs(10);
/// How long the end of the program may wait for what is not written yet.
const LAST_WRITE: Duration = Duration::from_secs(1);

/// The pauses in force, by process.
pub type Pauses = Arc<BTreeMap<ProcessKey, Pause>>;

/// How the store is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Health {
    /// Why nothing can be written; `None`: all is well.
    pub error: Option<Arc<str>>,
    /// Whether that is because the disk is full.
    pub full: bool,
    /// Since when.
    pub since: Option<Timestamp>,
    /// Records and events that were never written, since the start of the program.
    pub lost: u64,
}

/// What one tick leaves behind.
struct Order {
    entries: Vec<Entry>,
    /// Whether it is written at once.
    now: bool,
    /// Who waits for it: told when it is written, and let go by a drop when it cannot be.
    written: Option<SyncSender<()>>,
}

/// A handle to the store's thread.
#[derive(Debug)]
pub struct Memory {
    sender: Option<SyncSender<Order>>,
    pauses: watch::Receiver<Pauses>,
    health: watch::Receiver<Health>,
    /// For who waits here for the store in vain.
    tell_health: watch::Sender<Health>,
    told_after: Duration,
    /// Entries that found the queue full.
    lost: Arc<AtomicU64>,
    /// Told by the thread when it has ended.
    ended: std::sync::Mutex<Receiver<()>>,
}

impl Memory {
    /// Starts the thread, with the retention that is usual.
    pub fn start(store: Store) -> Self {
        Self::with(store, Retention::default())
    }

    /// Starts the thread. The pauses are read once before this returns, so that the first tick knows them.
    pub fn with(store: Store, retention: Retention) -> Self {
        let (sender, receiver) = sync_channel(QUEUE);
        let (tell_pauses, pauses) = watch::channel(read_pauses(&store).unwrap_or_default());
        let (tell_health, health) = watch::channel(Health::default());
        let (end, ended) = sync_channel(1);
        let lost = Arc::new(AtomicU64::new(0));
        let keeper = Keeper {
            store,
            retention,
            tell_pauses,
            tell_health: tell_health.clone(),
            lost: Arc::clone(&lost),
            states: BTreeMap::new(),
            held: VecDeque::new(),
            waiting: Vec::new(),
            retry: None,
        };
        let thread = std::thread::Builder::new().name("store".into()).spawn(move || {
            keeper.serve(&receiver);
            // Nobody waiting for the end is no fault.
            let _ = end.try_send(());
        });
        let sender = match thread {
            Ok(_) => Some(sender),
            Err(error) => {
                tracing::warn!(%error, "the store's thread does not start: nothing will be kept");
                None
            }
        };
        Self { sender, pauses, health, tell_health, told_after: TOLD_AFTER, lost, ended: ended.into() }
    }

    /// Writes what processes will be if the scaling call that is about to be made succeeds, and waits until it is written:
    /// half a second at most, and not at all for a store that is known to ail. Whether it is written.
    pub async fn before_call(&self, states: Vec<(ProcessKey, State)>, at: Timestamp) -> bool {
        let ails = self.health.borrow().error.is_some();
        let entries = states.into_iter().map(|(key, state)| Entry::State(key, Box::new(state), at)).collect();
        let (written, wait) = sync_channel(1);
        self.send(Order { entries, now: true, written: Some(written) });
        if ails {
            return false;
        }
        // The store's thread works in real time, whatever the clock of the ticks is.
        let waited = tokio::task::spawn_blocking(move || wait.recv_timeout(CALL_WAITS)).await;
        match waited {
            Ok(Ok(())) => true,
            Ok(Err(RecvTimeoutError::Timeout)) => {
                self.too_slow();
                false
            }
            // It was let go: why is in the health already.
            Ok(Err(RecvTimeoutError::Disconnected)) | Err(_) => false,
        }
    }

    /// The store takes too long; it is well again with the next write that it finishes.
    fn too_slow(&self) {
        self.tell_health.send_if_modified(|health| {
            let new = health.error.is_none();
            if new {
                tracing::warn!(within = ?CALL_WAITS, "the store does not answer; scaling goes on without waiting for it");
                let error = format!("it did not write within {} ms", CALL_WAITS.as_millis());
                *health = Health { error: Some(error.into()), since: Some(Timestamp::now()), ..health.clone() };
            }
            new
        });
    }

    /// Writes what a tick left behind: its record, what happened, and the state where it changed in what must survive.
    /// `before` is the state before the tick, where it is to be kept with the record.
    /// Never waits: with a full queue it is left out, and counted.
    pub fn tick(
        &self,
        record: &Arc<Record>,
        happened: &[Event],
        before: Option<State>,
        state: Option<(ProcessKey, State)>,
    ) {
        let mut entries = Vec::with_capacity(2);
        let now = state.is_some();
        entries.extend(state.map(|(key, state)| Entry::State(key, Box::new(state), record.at)));
        entries.push(Entry::Record(Arc::clone(record), before.map(Box::new)));
        let told = happened.iter().filter(|event| event.kind != EventKind::Decided);
        entries.extend(told.cloned().map(Entry::Event));
        self.send(Order { entries, now, written: None });
    }

    fn send(&self, order: Order) {
        let Some(sender) = &self.sender else { return };
        if let Err(TrySendError::Full(order)) = sender.try_send(order) {
            self.lost.fetch_add(order.entries.len() as u64, Ordering::Relaxed);
        }
    }

    /// The pauses in force.
    pub fn pauses(&self) -> Pauses {
        Arc::clone(&self.pauses.borrow())
    }

    /// The same, but a store that fails is [told of](Self::fails) after this time. For tests.
    #[doc(hidden)]
    pub fn told_after(mut self, told_after: Duration) -> Self {
        self.told_after = told_after;
        self
    }

    /// Whether the store has failed for so long that somebody should be told.
    pub fn fails(&self) -> bool {
        let since = self.health.borrow().since;
        let failed = |since| Duration::try_from(Timestamp::now().duration_since(since)).unwrap_or_default();
        since.is_some_and(|since| failed(since) >= self.told_after)
    }

    /// How the store is; it can be waited on.
    pub fn health(&self) -> watch::Receiver<Health> {
        self.health.clone()
    }
}

impl Drop for Memory {
    /// Has written what waits, and ends the thread; but waits no longer than the end of the program may take.
    fn drop(&mut self) {
        if self.sender.take().is_none() {
            return;
        }
        let ended = self.ended.get_mut().map(|ended| ended.recv_timeout(LAST_WRITE));
        if !matches!(ended, Ok(Ok(()))) {
            tracing::warn!("the store did not take the last records in time");
        }
    }
}

/// A store that failed, and when it is tried again.
struct Retry {
    at: Instant,
    pause: Duration,
}

/// The store's thread.
struct Keeper {
    store: Store,
    retention: Retention,
    tell_pauses: watch::Sender<Pauses>,
    tell_health: watch::Sender<Health>,
    lost: Arc<AtomicU64>,
    /// The newest state of each process that is not written yet.
    states: BTreeMap<ProcessKey, (Box<State>, Timestamp)>,
    /// The records and events that are not written yet, the oldest first.
    held: VecDeque<Entry>,
    /// Who waits for what is not written yet.
    waiting: Vec<SyncSender<()>>,
    retry: Option<Retry>,
}

impl Keeper {
    fn serve(mut self, receiver: &Receiver<Order>) {
        let begin = Instant::now();
        let (mut pauses_at, mut clean_at) = (begin + PAUSES_EVERY, begin + CLEAN_EVERY);
        let mut write_at: Option<Instant> = None;
        loop {
            let next = pauses_at.min(clean_at).min(write_at.unwrap_or(pauses_at));
            match receiver.recv_timeout(next.saturating_duration_since(Instant::now())) {
                Ok(order) => {
                    // What came meanwhile is written with it, so that many calls at once wait for one write.
                    let more: Vec<_> = receiver.try_iter().take(WRITE_AT_MOST).collect();
                    let mut soon = WRITE_EVERY;
                    for order in std::iter::once(order).chain(more) {
                        soon = if order.now { Duration::ZERO } else { soon };
                        self.waiting.extend(order.written);
                        self.hold(order.entries);
                    }
                    if self.retry.is_some() {
                        // It may be long until it is tried again.
                        self.waiting.clear();
                    }
                    let soon = Instant::now() + soon;
                    write_at = Some(write_at.map_or(soon, |at| at.min(soon)));
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    self.write();
                    return;
                }
            }
            let now = Instant::now();
            if let Some(retry) = &self.retry {
                write_at = write_at.map(|at| at.max(retry.at));
            }
            if write_at.is_some_and(|at| now >= at) || (self.held.len() >= WRITE_AT_MOST && self.retry.is_none()) {
                self.write();
                write_at = self.retry.as_ref().map(|retry| retry.at);
            }
            let well = self.retry.as_ref().is_none_or(|retry| now >= retry.at);
            if now >= pauses_at {
                pauses_at = now + PAUSES_EVERY;
                if well {
                    self.read_pauses();
                }
            }
            if now >= clean_at {
                clean_at = now + if well && self.clean() { CLEAN_GAP } else { CLEAN_EVERY };
            }
        }
    }

    /// Takes what a tick left behind; of a process, only the newest state is worth writing.
    fn hold(&mut self, entries: Vec<Entry>) {
        for entry in entries {
            match entry {
                Entry::State(key, state, at) => {
                    self.states.insert(key, (state, at));
                }
                entry => self.held.push_back(entry),
            }
        }
        let over = self.held.len().saturating_sub(HELD);
        if over > 0 {
            self.held.drain(..over);
            self.lost.fetch_add(over as u64, Ordering::Relaxed);
        }
    }

    /// Writes what is held, in one transaction each so many.
    fn write(&mut self) {
        while !self.states.is_empty() || !self.held.is_empty() {
            let states = self.states.iter().map(|(key, (state, at))| Entry::State(key.clone(), state.clone(), *at));
            let batch: Vec<_> = states.chain(self.held.iter().take(WRITE_AT_MOST).cloned()).collect();
            let count = batch.len() - self.states.len();
            match self.store.write(&batch) {
                Ok(()) => {}
                // Something that no store takes: it must not stand in the way of the rest.
                Err(error @ (StoreError::Json(_) | StoreError::Content(_))) => {
                    tracing::warn!(%error, entries = count, "records cannot be written and are left out");
                    self.lost.fetch_add(count as u64, Ordering::Relaxed);
                }
                Err(error) => return self.failed(&error),
            }
            self.states.clear();
            self.held.drain(..count);
        }
        for written in self.waiting.drain(..) {
            // Who has waited too long is gone.
            let _ = written.try_send(());
        }
        self.succeeded();
    }

    fn failed(&mut self, error: &StoreError) {
        self.waiting.clear();
        let pause = self.retry.take().map_or(RETRY, |retry| (retry.pause * 2).min(RETRY_MOST));
        self.retry = Some(Retry { at: Instant::now() + pause, pause });
        let message: Arc<str> = error.to_string().into();
        let lost = self.lost.load(Ordering::Relaxed);
        self.tell_health.send_if_modified(|health| {
            if health.error.is_none() {
                tracing::warn!(%error, "the store cannot be written; scaling goes on, and it is tried again");
                health.since = Some(Timestamp::now());
            }
            health.error = Some(message);
            health.full = error.is_full();
            health.lost = lost;
            true
        });
        if !error.is_full() {
            self.store.reopen();
        }
    }

    fn succeeded(&mut self) {
        self.retry = None;
        let lost = self.lost.load(Ordering::Relaxed);
        self.tell_health.send_if_modified(|health| {
            if let Some(since) = health.since {
                tracing::info!(%since, lost, "the store can be written again");
            } else if lost > health.lost {
                tracing::warn!(lost = lost - health.lost, "the store is too slow: records were left out");
            }
            let now = Health { lost, ..Health::default() };
            let changed = *health != now;
            *health = now;
            changed
        });
    }

    fn read_pauses(&mut self) {
        match read_pauses(&self.store) {
            Ok(pauses) => {
                self.tell_pauses.send_if_modified(|known| {
                    let changed = *known != pauses;
                    *known = pauses;
                    changed
                });
                // A server that came back is noticed here, where no tick has anything to write.
                if self.retry.is_some() && self.states.is_empty() && self.held.is_empty() {
                    self.succeeded();
                }
            }
            // Those known stay in force.
            Err(error) => self.failed(&error),
        }
    }

    /// A step of cleaning; whether there is more to do.
    fn clean(&mut self) -> bool {
        match self.store.clean(&self.retention, Timestamp::now()) {
            Ok(more) => more,
            Err(error) => {
                // With a full disk nothing can be deleted either; other failures show when something is written.
                tracing::debug!(%error, "the store was not cleaned");
                false
            }
        }
    }
}

fn read_pauses(store: &Store) -> Result<Pauses, StoreError> {
    Ok(Arc::new(store.pauses(Timestamp::now())?.into_iter().collect()))
}
