//! [`questions`]: what to ask outside the core before a tick, for the policies that pass on advice. Who answers, and how, is
//! the engine's work; the answers come back in the [`Observation`], and from there into the record.

use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use crate::history::Evidence;
use crate::policy::Adviser;
use crate::tick::look;
use crate::{Bounds, Dynos, Observation, Spec, State, Unit, Verdict};

/// One question: everything that whoever answers may know.
#[derive(Debug, Clone, Serialize)]
pub struct Question {
    /// Whom to ask.
    #[serde(skip)]
    pub adviser: Adviser,
    /// Which of the process's measurements it is about.
    #[serde(skip)]
    pub index: usize,
    /// The instant of the tick.
    pub at: Timestamp,
    /// The app's name in the settings.
    pub app: Arc<str>,
    /// The process type.
    pub process: Arc<str>,
    /// Dynos on the platform now.
    pub dynos: Dynos,
    /// Dynos that serve now.
    pub ready: Dynos,
    /// The bounds in force.
    pub bounds: Bounds,
    /// The measurement's name.
    pub measurement: Arc<str>,
    /// What its numbers count.
    pub unit: Unit,
    /// The samples that count, the oldest first.
    pub samples: Vec<Value>,
}

/// One sample, as whoever answers sees it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Value {
    /// When it was received.
    pub at: Timestamp,
    /// The value; none for a failure that counts as too slow.
    pub value: Option<f64>,
}

/// What to ask before this tick is decided. Nothing is asked where no answer would matter: without a usable sample, or
/// without the number of dynos.
pub fn questions(spec: &Spec, state: &State, seen: &Observation) -> Vec<Question> {
    let Ok(dynos) = seen.dynos else { return Vec::new() };
    let ask = |index: usize| {
        let measurement = spec.measurements.get(index)?;
        let adviser = measurement.policy.adviser()?;
        let looked = look(spec, state, seen, index)?;
        if looked.verdict == Verdict::Unknown {
            return None;
        }
        let mut samples: Vec<_> = Evidence::new(looked.history, looked.point)
            .newest_first()
            .map(|point| Value { at: point.at, value: point.value })
            .collect();
        samples.reverse();
        // Right after a scale the newest sample does not argue for the next one: there is nothing to ask about.
        if samples.is_empty() {
            return None;
        }
        Some(Question {
            adviser: adviser.clone(),
            index,
            at: seen.at,
            app: Arc::clone(&spec.app),
            process: Arc::clone(&spec.process),
            dynos,
            ready: seen.ready.unwrap_or(dynos).min(dynos),
            bounds: spec.bounds.in_force(seen.at).bounds(),
            measurement: Arc::clone(&measurement.name),
            unit: measurement.unit,
            samples,
        })
    };
    (0..spec.measurements.len()).filter_map(ask).collect()
}
