//! All apps together: starts their platforms and loops, and stops them in time.

use std::sync::Arc;
use std::time::Duration;

use autoscalebot_core::{Event, Record};
use autoscalebot_notify::deliver::Desk;
use autoscalebot_platform::{Platform, PlatformError};
use autoscalebot_store::ProcessKey;
use tokio::sync::{broadcast, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::app::AppLoop;
use crate::board::Board;
use crate::clock::Clock;
use crate::memory::{Health, Memory};
use crate::plan::{AppPlan, Mode, ProcessPlan};
use crate::shared::Shared;

/// How many events a listener may be behind before it loses the oldest.
const EVENTS: usize = 4096;
/// How long a scaling call that is under way may take after the program was told to stop.
const STOP_CALLS: Duration = Duration::from_millis(1000);
/// How long notifications that wait may take then.
const STOP_NOTIFICATIONS: Duration = Duration::from_millis(400);
/// Up to so many apps begin at once; more are spread over their interval.
const BEGIN_AT_ONCE: usize = 16;

/// The daemon's loop.
pub struct Engine {
    apps: Vec<AppPlan>,
    platforms: Vec<Arc<dyn Platform>>,
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("apps", &self.apps).field("mode", &self.shared.mode).finish_non_exhaustive()
    }
}

impl Engine {
    /// An engine for these apps; nothing runs yet. `platforms` are started before the first tick and stopped at the end.
    pub fn new(
        apps: Vec<AppPlan>,
        platforms: Vec<Arc<dyn Platform>>,
        mode: Mode,
        clock: Arc<dyn Clock>,
        memory: Memory,
        desk: Desk,
    ) -> Self {
        // What held before a restart still holds: the channels remind of it, and do not tell it as new.
        for process in apps.iter().flat_map(|app| &app.processes).filter(|process| !process.state.conditions.is_empty())
        {
            desk.resume(&process.spec.app, &process.spec.process, &process.state.conditions);
        }
        let teller = teller(&apps);
        let (stop, stopping) = watch::channel(false);
        let events = broadcast::channel(EVENTS).0;
        let shared =
            Arc::new(Shared { clock, mode, memory, teller, desk, events, board: Board::default(), stop: stopping });
        Self { apps, platforms, shared, stop }
    }

    /// The stream of events from now on.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.shared.events.subscribe()
    }

    /// The newest record of each process.
    pub fn board(&self) -> Board {
        self.shared.board.clone()
    }

    /// How the store is: whether it can be written, and if not, why. Scaling goes on either way.
    pub fn store_health(&self) -> watch::Receiver<Health> {
        self.shared.memory.health()
    }

    /// Starts the platforms.
    pub async fn start(&self) -> Result<(), PlatformError> {
        for platform in &self.platforms {
            platform.start().await?;
        }
        Ok(())
    }

    /// Ticks until `until` ends, then stops within 2 s: calls that are under way are finished, notifications that wait are
    /// sent, the platforms end what they started.
    pub async fn run(self, until: impl Future<Output = ()>) {
        let Self { apps, platforms, shared, stop } = self;
        let mut loops = JoinSet::new();
        let count = apps.len();
        for (index, plan) in apps.into_iter().enumerate() {
            let first = Instant::now() + stagger(&plan, index, count);
            loops.spawn(AppLoop::new(plan, Arc::clone(&shared), first).run());
        }
        until.await;
        // Nobody watching means that every loop has ended already.
        let _ = stop.send(true);
        let ended = async { while loops.join_next().await.is_some() {} };
        let calls = tokio::time::timeout(STOP_CALLS, ended);
        let stopped = futures_util::future::join_all(platforms.iter().map(|platform| platform.stop()));
        let (calls, _) = tokio::join!(calls, stopped);
        if calls.is_err() {
            tracing::warn!(
                "a scaling call was still under way at the stop; the platform's quantity is read anew next time"
            );
            loops.abort_all();
        }
        shared.desk.close(STOP_NOTIFICATIONS).await;
    }

    /// One tick of every app, then the end; the records in the order of the settings.
    pub async fn once(self) -> Vec<Arc<Record>> {
        let Self { apps, platforms, shared, stop } = self;
        let now = Instant::now();
        let ticks = apps.into_iter().map(|plan| {
            let shared = Arc::clone(&shared);
            async move { AppLoop::new(plan, shared, now).tick().await.unwrap_or_default() }
        });
        let records = futures_util::future::join_all(ticks).await;
        futures_util::future::join_all(platforms.iter().map(|platform| platform.stop())).await;
        shared.desk.close(Duration::from_secs(10)).await;
        drop(stop);
        records.into_iter().flatten().collect()
    }
}

/// The process that ticks most often.
fn teller(apps: &[AppPlan]) -> Option<ProcessKey> {
    let processes = apps.iter().flat_map(|app| app.processes.iter().map(move |process| (app, process)));
    let every = |process: &ProcessPlan| process.sources.iter().map(|s| s.every).min().unwrap_or(Duration::MAX);
    let (app, process) = processes.min_by_key(|(_, process)| every(process))?;
    Some(ProcessKey::new(&*app.key, &*process.spec.process))
}

/// When an app's first tick comes: at once for a few apps; thousands are spread, so that they do not beat in step.
fn stagger(plan: &AppPlan, index: usize, count: usize) -> Duration {
    if count <= BEGIN_AT_ONCE {
        return Duration::ZERO;
    }
    let every = plan.processes.iter().flat_map(|p| &p.sources).map(|s| s.every).min().unwrap_or_default();
    every.mul_f64(index as f64 / count as f64)
}
