//! What the loop is given to run: apps with their platforms, processes with their settings, sources and states.

use std::sync::Arc;
use std::time::Duration;

use autoscalebot_core::{Spec, State};
use autoscalebot_measure::Measure;
use autoscalebot_platform::Platform;

use crate::advise::Advise;

/// One app to run.
#[derive(Debug)]
pub struct AppPlan {
    /// Its name in the settings.
    pub key: Arc<str>,
    /// Its name on the platform.
    pub name: String,
    /// Its platform.
    pub platform: Arc<dyn Platform>,
    /// Its processes.
    pub processes: Vec<ProcessPlan>,
}

/// One process to run.
#[derive(Debug)]
pub struct ProcessPlan {
    /// Its settings.
    pub spec: Arc<Spec>,
    /// Its sources, in the order of [`Spec::measurements`].
    pub sources: Vec<Source>,
    /// The state to go on from.
    pub state: State,
}

/// One source, and how often to read it.
#[derive(Debug, Clone)]
pub struct Source {
    /// What takes the readings.
    pub measure: Arc<dyn Measure>,
    /// How often.
    pub every: Duration,
    /// Whom its policy asks, if it asks anyone.
    pub adviser: Option<Arc<dyn Advise>>,
}

/// Whether anything is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Scaling calls are made.
    #[default]
    Act,
    /// Everything is read and decided, and nothing is written to any platform.
    DryRun,
}
