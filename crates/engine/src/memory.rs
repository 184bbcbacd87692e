//! The store's side of the loop, on a thread of its own: writes what must survive without delaying a tick, and reads the
//! pauses that other processes (`autoscalebot pause`) set.
//!
//! A store that cannot be written is logged and tried again with the next change; scaling goes on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use autoscalebot_core::{Pause, State};
use autoscalebot_store::{ProcessKey, Store, StoreError};
use jiff::Timestamp;
use tokio::sync::watch;

/// How many states may wait to be written.
const QUEUE: usize = 16_384;
/// How often the pauses are read.
const PAUSES_EVERY: Duration = Duration::from_secs(1);

/// The pauses in force, by process.
pub type Pauses = Arc<BTreeMap<ProcessKey, Pause>>;

/// A state to write. Boxed, as the queue holds room for each from the start.
type ToWrite = Box<(ProcessKey, State, Timestamp)>;

/// A handle to the store's thread.
#[derive(Debug)]
pub struct Memory {
    sender: Option<SyncSender<ToWrite>>,
    pauses: watch::Receiver<Pauses>,
    thread: Option<JoinHandle<()>>,
}

impl Memory {
    /// Starts the thread. The pauses are read once before this returns, so that the first tick knows them.
    pub fn start(store: Store) -> Self {
        let (sender, receiver) = sync_channel(QUEUE);
        let (publish, pauses) = watch::channel(read_pauses(&store).unwrap_or_default());
        let thread = std::thread::Builder::new().name("store".into()).spawn(move || serve(&store, &receiver, &publish));
        match thread {
            Ok(thread) => Self { sender: Some(sender), pauses, thread: Some(thread) },
            Err(error) => {
                tracing::warn!(%error, "the store's thread does not start: nothing will be kept");
                Self { sender: None, pauses, thread: None }
            }
        }
    }

    /// Writes a state, later. Never waits: with a full queue the state is left out, and the next change brings a newer one.
    pub fn save(&self, key: ProcessKey, state: State, at: Timestamp) {
        let Some(sender) = &self.sender else { return };
        if let Err(TrySendError::Full(state)) = sender.try_send(Box::new((key, state, at))) {
            let (app, process) = (&state.0.app, &state.0.process);
            tracing::warn!(app, process, "the store is too slow: a state was not kept");
        }
    }

    /// The pauses in force.
    pub fn pauses(&self) -> Pauses {
        Arc::clone(&self.pauses.borrow())
    }
}

impl Drop for Memory {
    /// Writes what waits, then ends the thread.
    fn drop(&mut self) {
        self.sender = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::warn!("the store's thread ended badly");
        }
    }
}

fn serve(store: &Store, receiver: &Receiver<ToWrite>, publish: &watch::Sender<Pauses>) {
    loop {
        match receiver.recv_timeout(PAUSES_EVERY) {
            Ok(state) => {
                let (key, state, at) = *state;
                if let Err(error) = store.save_state(&key, &state, at) {
                    tracing::warn!(%error, app = key.app, process = key.process, "a state was not kept; scaling goes on");
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        match read_pauses(store) {
            Ok(pauses) => {
                publish.send_if_modified(|known| {
                    let changed = *known != pauses;
                    *known = pauses;
                    changed
                });
            }
            Err(error) => tracing::warn!(%error, "the pauses cannot be read; those known stay in force"),
        }
    }
}

fn read_pauses(store: &Store) -> Result<Pauses, StoreError> {
    Ok(Arc::new(store.pauses(Timestamp::now())?.into_iter().collect()))
}
