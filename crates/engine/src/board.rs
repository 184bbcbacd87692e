//! The newest record of each process, for whoever shows the present: the dashboard, the API, metrics.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use autoscalebot_core::Record;
use autoscalebot_store::ProcessKey;

/// The newest record of each process; clones share it.
#[derive(Debug, Clone, Default)]
pub struct Board(Arc<RwLock<BTreeMap<ProcessKey, Arc<Record>>>>);

impl Board {
    /// Puts up the record of a tick.
    pub(crate) fn set(&self, key: ProcessKey, record: Arc<Record>) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(key, record);
    }

    /// The newest record of one process; `None` before its first tick.
    pub fn get(&self, key: &ProcessKey) -> Option<Arc<Record>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    /// The newest record of every process that has ticked, by app and process.
    pub fn all(&self) -> Vec<Arc<Record>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}
