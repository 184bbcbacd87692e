//! [`Pauses`]: the pauses in force, kept at hand so that no answer waits for the disk, and written to the store, where the
//! engine reads them within a second.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use autoscalebot_core::Pause;
use autoscalebot_engine::Clock;
use autoscalebot_store::{ProcessKey, Store};

/// How often the store is asked: a pause may come from the command line, too.
const EVERY: Duration = Duration::from_secs(1);

type Known = Arc<BTreeMap<ProcessKey, Pause>>;

/// The pauses in force.
#[derive(Debug)]
pub(crate) struct Pauses {
    store: Store,
    clock: Arc<dyn Clock>,
    known: RwLock<Known>,
}

impl Pauses {
    pub(crate) fn new(store: Store, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock, known: RwLock::default() }
    }

    /// Those known now.
    pub(crate) fn in_force(&self) -> Known {
        Arc::clone(&self.known.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Pauses a process. May block for as long as a disk takes, as all below.
    pub(crate) fn pause(&self, key: &ProcessKey, pause: &Pause) -> Result<(), String> {
        self.store.pause(key, pause).map_err(|error| error.to_string())?;
        self.read()
    }

    /// Ends a pause; whether there was one.
    pub(crate) fn resume(&self, key: &ProcessKey) -> Result<bool, String> {
        let was_paused = self.store.resume(key).map_err(|error| error.to_string())?;
        self.read()?;
        Ok(was_paused)
    }

    fn read(&self) -> Result<(), String> {
        let pauses = self.store.pauses(self.clock.now()).map_err(|error| error.to_string())?;
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(pauses.into_iter().collect());
        Ok(())
    }
}

/// Keeps them up to date for as long as it is polled.
pub(crate) async fn keep(pauses: Arc<Pauses>) {
    let mut beat = tokio::time::interval(EVERY);
    beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut broken = false;
    loop {
        beat.tick().await;
        let asked = Arc::clone(&pauses);
        let read = tokio::task::spawn_blocking(move || asked.read()).await;
        let failed = !matches!(read, Ok(Ok(())));
        if failed && !broken {
            tracing::warn!("the pauses cannot be read; the dashboard shows those known");
        }
        broken = failed;
    }
}
