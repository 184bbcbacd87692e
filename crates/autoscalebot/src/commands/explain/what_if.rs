//! What would have changed a decision, worked out by deciding it again with one thing different: without a gate, with other
//! bounds, with a few readings more. Nothing here guesses; each line is what the core said.

use std::fmt;

use autoscalebot_core::{
    BoundTable, CallOutcome, Dynos, Observation, Reading, Record, Sample, Spec, State, Verdict, decide, settle,
};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

/// So many readings more are tried.
const READINGS: u32 = 30;
/// So many values on either side are tried for one in the wanted range: eight for each doubling, up to a million times.
const RANGE_STEPS: u32 = 160;

/// One thing that would have changed the outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct WhatIf {
    /// What would have been different, as the beginning of a sentence.
    pub(crate) with: String,
    /// The number of dynos that it would have come to.
    pub(crate) dynos: Dynos,
}

impl fmt::Display for WhatIf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let many = if self.dynos == 1 { "dyno" } else { "dynos" };
        write!(f, "{}: {} {many}", self.with, self.dynos)
    }
}

/// A tick that can be decided again.
pub(crate) struct Tick<'a> {
    pub(crate) spec: &'a Spec,
    pub(crate) state: &'a State,
    pub(crate) seen: &'a Observation,
    /// The shortest interval of its measurements.
    pub(crate) every: Option<SignedDuration>,
}

impl Tick<'_> {
    fn decide(&self) -> Record {
        decide(self.spec, self.state, self.seen)
    }

    /// What it comes to.
    pub(crate) fn desired(&self) -> Option<Dynos> {
        self.decide().desired
    }
}

/// All that would have changed it, the nearest first.
pub(crate) fn all(tick: &Tick<'_>) -> Vec<WhatIf> {
    let record = tick.decide();
    let mut found = Vec::new();
    let mut note = |with: String, desired: Option<Dynos>| {
        if let Some(dynos) = desired.filter(|_| desired != record.desired) {
            found.push(WhatIf { with, dynos });
        }
    };
    for gate in &record.gates {
        note(format!("without the gate {}", gate.gate), without_gate(tick, gate.gate));
    }
    if record.gates.len() > 1 {
        note("without any gate".to_owned(), without_gates(tick));
    }
    let bounds = record.bounds.bounds();
    if let Some(desired) = with_bounds(tick, None, Some(Dynos::MAX)).filter(|desired| *desired > bounds.max) {
        note(format!("with a maximum of {desired} or more"), Some(desired));
    }
    if let Some(desired) = with_bounds(tick, Some(0), None).filter(|desired| *desired < bounds.min) {
        note(format!("with a minimum of {desired} or less"), Some(desired));
    }
    if tick.state.limit.is_some() {
        let state = State { limit: None, ..tick.state.clone() };
        note("without the limit that the platform named".to_owned(), Tick { state: &state, ..*tick }.desired());
    }
    for (index, measured) in record.measured.iter().enumerate().filter(|(_, m)| m.verdict == Verdict::Unknown) {
        note(format!("without {}, which is unknown", measured.name), without_measurement(tick, index));
    }
    for (index, measured) in record.measured.iter().enumerate().filter(|(_, m)| m.verdict != Verdict::JustRight) {
        note(format!("with {} in the wanted range", measured.name), in_range(tick, index));
    }
    if let Some((count, desired)) = more_of_the_same(tick, &record) {
        let readings =
            if count == 1 { "1 more reading like these".into() } else { format!("{count} more readings like these") };
        note(format!("with {readings}"), Some(desired));
    }
    found
}

fn without_gate(tick: &Tick<'_>, name: &str) -> Option<Dynos> {
    let mut spec = tick.spec.clone();
    spec.gates.retain(|gate| gate.name() != name);
    Tick { spec: &spec, ..*tick }.desired()
}

fn without_gates(tick: &Tick<'_>) -> Option<Dynos> {
    let spec = Spec { gates: Vec::new(), ..tick.spec.clone() };
    Tick { spec: &spec, ..*tick }.desired()
}

fn with_bounds(tick: &Tick<'_>, min: Option<Dynos>, max: Option<Dynos>) -> Option<Dynos> {
    let mut spec = tick.spec.clone();
    if let Some(min) = min {
        spec.bounds.min = BoundTable::Fixed(min);
    }
    if let Some(max) = max {
        spec.bounds.max = BoundTable::Fixed(max);
    }
    Tick { spec: &spec, ..*tick }.desired()
}

fn without_measurement(tick: &Tick<'_>, index: usize) -> Option<Dynos> {
    let mut spec = tick.spec.clone();
    let mut seen = tick.seen.clone();
    spec.measurements.remove(index);
    if index < seen.samples.len() {
        seen.samples.remove(index);
    }
    if index < seen.advice.len() {
        seen.advice.remove(index);
    }
    Tick { spec: &spec, seen: &seen, ..*tick }.desired()
}

/// With the nearest reading that lies in the wanted range of a measurement's policy; `None`: it has no such range.
fn in_range(tick: &Tick<'_>, index: usize) -> Option<Dynos> {
    let policy = &tick.spec.measurements.get(index)?.policy;
    let mut seen = tick.seen.clone();
    let sample = seen.samples.get_mut(index)?.as_mut()?;
    let value = match sample.reading {
        Reading::Value(value) if value > 0.0 => value,
        Reading::Value(_) | Reading::Failed(_) => 1.0,
    };
    let near = (0..RANGE_STEPS).flat_map(|step| [1.0, -1.0].map(|sign| value * (sign * f64::from(step) / 8.0).exp2()));
    let found = near.into_iter().find(|value| policy.verdict(*value) == Verdict::JustRight)?;
    sample.reading = Reading::Value(found);
    // A sample that is too old would still be unknown.
    sample.at = seen.at;
    Tick { seen: &seen, ..*tick }.desired()
}

/// After how many more readings like those of this tick another quantity is wanted, and which.
fn more_of_the_same(tick: &Tick<'_>, record: &Record) -> Option<(u32, Dynos)> {
    let before = record.before.filter(|before| record.desired == Some(*before))?;
    // Readings that fail and mean overload count; those that are unknown lead nowhere.
    let counts = |measured: &autoscalebot_core::record::Measured| {
        matches!(measured.reading, Reading::Value(_)) || measured.verdict == Verdict::TooHigh
    };
    if !record.measured.iter().any(counts) {
        return None;
    }
    let every = tick.every.filter(|every| every.is_positive())?;
    let mut state = tick.state.clone();
    let mut seen = tick.seen.clone();
    for count in 1..=READINGS {
        let last = decide(tick.spec, &state, &seen).conclude(tick.spec, &state, &CallOutcome::None);
        state = settle(tick.spec, state, &last, &CallOutcome::None);
        seen = later(&seen, seen.at.checked_add(every).ok()?);
        let desired = decide(tick.spec, &state, &seen).desired?;
        if desired != before {
            return Some((count, desired));
        }
    }
    None
}

/// The same observation at a later instant, with samples as fresh as they were.
fn later(seen: &Observation, at: Timestamp) -> Observation {
    let move_on = |sample: &Sample| {
        let age = seen.at.duration_since(sample.at);
        Sample { at: at.checked_sub(age).unwrap_or(at), ..sample.clone() }
    };
    let samples = seen.samples.iter().map(|sample| sample.as_ref().map(move_on)).collect();
    Observation { at, samples, ..seen.clone() }
}
