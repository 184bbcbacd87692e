//! What has happened so far in the demo: the decision records, by the time since the load began.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use autoscalebot_core::{Event, EventKind, Record};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

/// What has happened so far; clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Told(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    began: Option<Instant>,
    records: Vec<Seen>,
}

/// A record, and when it was made.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// Since the load began.
    pub(crate) at: Duration,
    pub(crate) record: Arc<Record>,
}

impl Told {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The load begins now.
    pub(crate) fn begin(&self) {
        self.lock().began = Some(Instant::now());
    }

    /// All records so far.
    pub(crate) fn records(&self) -> Vec<Seen> {
        self.lock().records.clone()
    }

    /// The newest record.
    pub(crate) fn newest(&self) -> Option<Arc<Record>> {
        self.lock().records.last().map(|seen| Arc::clone(&seen.record))
    }

    /// Listens until the engine has ended. Ticks before the load are no part of the show.
    pub(crate) async fn follow(self, mut events: Receiver<Event>) {
        loop {
            match events.recv().await {
                Ok(event) if event.kind == EventKind::Decided => {
                    let mut state = self.lock();
                    if let Some(began) = state.began {
                        state.records.push(Seen { at: began.elapsed(), record: event.record });
                    }
                }
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return,
            }
        }
    }
}
