//! [`State`]: all that is carried from tick to tick of one process. Plain data, stored as it is.

use std::collections::VecDeque;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::condition::Condition;
use crate::history::History;
use crate::{Dynos, Spec};

/// The version of the stored form; a change that an older reader would misread raises it.
pub const STATE_VERSION: u32 = 1;

/// How long a limit that the platform named is believed before more is tried again.
pub const LIMIT_HOLDS_FOR: SignedDuration = SignedDuration::from_hours(1);

/// What is carried from tick to tick.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    /// [`STATE_VERSION`] when it was written.
    pub version: u32,
    /// The evidence of each measurement, by name.
    pub histories: SmallVec<[(Arc<str>, History); 2]>,
    /// The last successful scale by this program that changed the quantity.
    pub last_scale: Option<Timestamp>,
    /// The quantity that this program set, while the platform still shows it.
    pub ours: Option<Dynos>,
    /// The quantity at the last tick that could read it.
    pub seen: Option<Dynos>,
    /// The most that the platform said it allows.
    pub limit: Option<Limit>,
    /// Since when scaling calls fail.
    pub failing_since: Option<Timestamp>,
    /// The quantities set lately, for `scaling_too_rapid`; empty where that is not asked for.
    pub scales: VecDeque<Scale>,
    /// The conditions that hold, with their beginnings.
    pub conditions: SmallVec<[(Condition, Timestamp); 2]>,
}

/// A limit learned from a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    /// The most dynos.
    pub dynos: Dynos,
    /// When it was learned.
    pub at: Timestamp,
}

/// One change of the quantity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scale {
    /// When.
    pub at: Timestamp,
    /// The quantity before.
    pub from: Dynos,
    /// The quantity after.
    pub to: Dynos,
}

impl Default for State {
    fn default() -> Self {
        Self {
            version: STATE_VERSION,
            histories: SmallVec::new(),
            last_scale: None,
            ours: None,
            seen: None,
            limit: None,
            failing_since: None,
            scales: VecDeque::new(),
            conditions: SmallVec::new(),
        }
    }
}

impl State {
    /// The state as a restart continues with it: cooldowns, limits and open conditions stay; the evidence is gathered anew,
    /// so that nothing is lowered until each policy's window has filled again.
    pub fn after_restart(mut self) -> Self {
        for (_, history) in &mut self.histories {
            history.clear();
        }
        self
    }

    /// The evidence of one measurement.
    pub fn history(&self, measurement: &str) -> Option<&History> {
        self.histories.iter().find(|(name, _)| **name == *measurement).map(|(_, history)| history)
    }

    /// The same, to add to; made where it is missing.
    pub(crate) fn history_mut(&mut self, measurement: &Arc<str>) -> &mut History {
        let at = self.histories.iter().position(|(name, _)| name == measurement);
        let at = at.unwrap_or_else(|| {
            self.histories.push((Arc::clone(measurement), History::default()));
            self.histories.len() - 1
        });
        &mut self.histories[at].1
    }

    /// Forgets the evidence that the quantity had a part in: it has changed, and what was measured before argues no longer.
    pub(crate) fn clear_histories(&mut self, spec: &Spec) {
        let keeps = |name: &Arc<str>| spec.measurements.iter().any(|m| m.name == *name && m.policy.keeps_evidence());
        for (_, history) in self.histories.iter_mut().filter(|(name, _)| !keeps(name)) {
            history.clear();
        }
    }

    /// Drops the evidence of measurements that the settings no longer have.
    pub fn keep_only(&mut self, spec: &Spec) {
        self.histories.retain(|(name, _)| spec.measurements.iter().any(|m| m.name == *name));
    }

    /// The learned limit, while it is believed.
    pub fn limit_at(&self, at: Timestamp) -> Option<Dynos> {
        self.limit.filter(|limit| at.duration_since(limit.at) < LIMIT_HOLDS_FOR).map(|limit| limit.dynos)
    }

    /// The highest and the lowest quantity within `within` before `at` differ by so much; `now` is one of them.
    pub(crate) fn spread(&self, at: Timestamp, within: SignedDuration, now: impl IntoIterator<Item = Dynos>) -> Dynos {
        let recent = self.scales.iter().filter(|scale| at.duration_since(scale.at) <= within);
        let all = recent.flat_map(|scale| [scale.from, scale.to]).chain(now);
        let (low, high) = all.fold((Dynos::MAX, 0), |(low, high), dynos| (low.min(dynos), high.max(dynos)));
        high.saturating_sub(low)
    }
}
