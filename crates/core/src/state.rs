//! [`State`]: all that is carried from tick to tick of one process. Plain data, stored as it is.

use std::collections::VecDeque;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::condition::Condition;
use crate::gate::Activity;
use crate::history::History;
use crate::{Dynos, Record, Spec};

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
    /// The proposals of late, the oldest first; empty where no gate looks back.
    pub proposals: VecDeque<Proposed>,
    /// The dynos that the last raise started, until they serve.
    pub starting: Option<Starting>,
    /// How long dynos took to serve, in seconds, as learned; newer raises count for more.
    pub boot_secs: Option<f64>,
    /// The dyno-hours of the month; none where no gate counts them.
    pub month: Option<Month>,
    /// When something was asked of the process last, as far as is known; none where no gate asks for it, and after a start.
    pub active_at: Option<Timestamp>,
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

/// A stretch of ticks that proposed alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposed {
    /// The first of its ticks.
    pub since: Timestamp,
    /// The last of its ticks.
    pub until: Timestamp,
    /// The lowest proposal.
    pub low: Dynos,
    /// The highest; the same, unless older stretches were put together to save room.
    pub high: Dynos,
}

/// Dynos that a raise started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Starting {
    /// When.
    pub at: Timestamp,
    /// The quantity then.
    pub dynos: Dynos,
}

/// What a month has used so far, in the process's zone.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Month {
    /// The year.
    pub year: i16,
    /// The month, 1 to 12.
    pub month: i8,
    /// Dynos times seconds.
    pub dyno_secs: f64,
    /// The seconds in which they ran: all of the month since the counting began, but for times without ticks. `None`: not
    /// known of this month.
    #[serde(default)]
    pub counted_secs: Option<f64>,
    /// Up to this instant.
    pub counted_at: Timestamp,
}

/// So many stretches of proposals are kept at most.
const MOST_PROPOSALS: usize = 256;
/// A pause of ticks longer than this counts no dyno-hours: nobody knows what ran.
const LONGEST_GAP: SignedDuration = SignedDuration::from_hours(24);

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
            proposals: VecDeque::new(),
            starting: None,
            boot_secs: None,
            month: None,
            active_at: None,
            conditions: SmallVec::new(),
        }
    }
}

impl State {
    /// The state as a restart continues with it: cooldowns, limits and open conditions stay; the evidence is gathered anew,
    /// so that nothing is lowered until each policy's window has filled again.
    pub fn after_restart(mut self) -> Self {
        for (_, history) in &mut self.histories {
            history.restart();
        }
        self.active_at = None;
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

    /// Keeps what gates look back at: proposals, dynos that start, dyno-hours.
    pub(crate) fn look_back(&mut self, spec: &Spec, record: &Record) {
        let keep = spec.looks_back();
        if let (Some(proposed), true) = (record.proposed, keep > SignedDuration::ZERO) {
            self.add_proposal(record.at, proposed, keep);
        }
        if let Some(starting) = self.starting {
            let served = record.ready.is_some_and(|ready| ready >= starting.dynos);
            if served {
                let took = record.at.duration_since(starting.at).as_secs_f64().max(0.0);
                self.boot_secs = Some(self.boot_secs.map_or(took, |known| known * 0.7 + took * 0.3));
            }
            if served || record.before.is_some_and(|before| before < starting.dynos) {
                self.starting = None;
            }
        }
        if spec.gates.iter().any(|gate| gate.watches_activity()) {
            let idle = Activity::of(&record.measured) == Activity::None;
            self.active_at = self.active_at.filter(|_| idle).or(Some(record.at));
        }
        if spec.gates.iter().any(|gate| gate.counts_hours()) {
            self.count_hours(spec, record.at);
        }
    }

    fn add_proposal(&mut self, at: Timestamp, dynos: Dynos, keep: SignedDuration) {
        // Nothing of the window is left after so long without a tick, and nothing older may stand for it.
        if self.proposals.back().is_some_and(|last| at.duration_since(last.until) >= keep) {
            self.proposals.clear();
        }
        match self.proposals.back_mut() {
            Some(last) if last.low == dynos && last.high == dynos => last.until = at.max(last.until),
            _ => self.proposals.push_back(Proposed { since: at, until: at, low: dynos, high: dynos }),
        }
        // One stretch from before the window stays: it shows that the window is full.
        while self.proposals.get(1).is_some_and(|second| at.duration_since(second.until) >= keep) {
            self.proposals.pop_front();
        }
        if self.proposals.len() > MOST_PROPOSALS
            && let Some(first) = self.proposals.pop_front()
            && let Some(second) = self.proposals.front_mut()
        {
            let Proposed { low, high, .. } = *second;
            *second = Proposed { since: first.since, low: low.min(first.low), high: high.max(first.high), ..*second };
        }
    }

    fn count_hours(&mut self, spec: &Spec, at: Timestamp) {
        let date = spec.bounds.zone.to_datetime(at).date();
        let begin =
            Month { year: date.year(), month: date.month(), dyno_secs: 0.0, counted_secs: Some(0.0), counted_at: at };
        let mut month = self.month.unwrap_or(begin);
        let gap = at.duration_since(month.counted_at);
        let ran = if gap > LONGEST_GAP { SignedDuration::ZERO } else { gap.max(SignedDuration::ZERO) };
        if (month.year, month.month) != (begin.year, begin.month) {
            month = begin;
        }
        month.dyno_secs += f64::from(self.seen.unwrap_or(0)) * ran.as_secs_f64();
        month.counted_secs = month.counted_secs.map(|secs| secs + ran.as_secs_f64());
        month.counted_at = at;
        self.month = Some(month);
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
