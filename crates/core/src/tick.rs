//! The tick: [`decide`] concludes what to do from settings, state and what was seen; [`settle`] moves the state by what came
//! of it. Nothing else moves the state, so any tick of any day can be decided again.
//!
//! In order: samples → policies → combine → gates → bounds → (the scaling call, by the engine) → [`Record::conclude`] →
//! [`settle`].

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use smallvec::SmallVec;

use crate::condition::Condition;
use crate::gate::{Activity, GateInput, Say};
use crate::history::{Evidence, History, Point};
use crate::policy::{PolicyInput, Proposal};
use crate::record::{Action, BoundHit, Call, CallOutcome, GateNote, Measured, Reason, Record};
use crate::spec::MeasurementSpec;
use crate::state::{Limit, Scale, Starting};
use crate::{BoundsInForce, Detail, Dynos, Failure, Observation, Phrase, Reading, Sample, Spec, State, Verdict, Zero};

/// Decides one tick of one process.
pub fn decide(spec: &Spec, state: &State, seen: &Observation) -> Record {
    let in_force = spec.bounds.in_force(seen.at);
    let measured = measure(spec, state, seen, in_force);
    let verdict = overall(&measured);
    let mut record = Record {
        at: seen.at,
        app: Arc::clone(&spec.app),
        process: Arc::clone(&spec.process),
        before: seen.dynos.as_ref().ok().copied(),
        after: seen.dynos.as_ref().ok().copied(),
        bounds: in_force,
        verdict,
        proposed: None,
        desired: None,
        action: Action::None,
        call: Call::None,
        gates: SmallVec::new(),
        conditions: SmallVec::new(),
        reason: Reason::Nothing,
        measured,
        dynos_error: seen.dynos.as_ref().err().cloned(),
        call_error: None,
        pause: seen.pause.clone(),
        ready: seen.ready,
        released_at: seen.released_at,
    };
    conclude_wish(spec, state, seen, &mut record);
    if record.measured.iter().any(|m| !m.shadow && m.verdict == Verdict::Unknown) {
        record.conditions.push(Condition::SourceUnknown);
    }
    if seen.store_failing {
        record.conditions.push(Condition::StoreFailing);
    }
    let said = spec.gates.iter().filter_map(|gate| gate.condition(seen.at, state, &spec.bounds.zone));
    record.conditions.extend(said);
    record.conditions.sort_unstable();
    record
}

/// What is wanted, from the bounds, the proposals and the gates; what to do about it.
fn conclude_wish(spec: &Spec, state: &State, seen: &Observation, record: &mut Record) {
    let Some(before) = record.before else {
        record.conditions.push(Condition::FormationUnknown);
        record.reason = Reason::FormationUnknown;
        return;
    };
    let bounds = record.bounds.bounds();
    let activity = Activity::of(&record.measured);
    let zone = &spec.bounds.zone;
    let input = |desired| GateInput { at: seen.at, before, desired, bounds, state, seen, zone, activity };
    for gate in spec.gates.iter().filter(|gate| gate.holds_bounds_too()) {
        if let Say::Instead(_, why) = gate.ask(&input(before)) {
            record.gates.push(GateNote { gate: gate.name(), why });
            record.conditions.push(Condition::Paused);
            record.desired = Some(before);
            record.reason = Reason::Gate(why);
            return;
        }
    }
    if before == 0 && bounds.min > 0 && state.ours != Some(0) && spec.zero == Zero::Keep {
        record.conditions.push(Condition::StoppedByHand);
        record.desired = Some(0);
        record.reason = Reason::StoppedByHand;
        return;
    }
    if !bounds.contain(before) {
        let wanted = bounds.clamp(before);
        let hit = if before < bounds.min { BoundHit::Min } else { BoundHit::Max };
        act(state, record, before, wanted, Reason::OutOfBounds(hit));
        return;
    }
    let (proposed, why) = combine(record, before);
    // Only what is known counts as a proposal later on.
    record.proposed = (!matches!(why, Reason::Nothing | Reason::Unknown(_))).then_some(proposed);
    let mut wanted = proposed;
    let mut reason = why;
    for gate in spec.gates.iter().filter(|gate| !gate.holds_bounds_too()) {
        if wanted == before && !gate.asks_always() {
            continue;
        }
        if let Say::Instead(number, why) = gate.ask(&input(wanted)) {
            record.gates.push(GateNote { gate: gate.name(), why });
            wanted = number;
            reason = Reason::Gate(why);
        }
    }
    if proposed > before && before >= bounds.max {
        record.conditions.push(Condition::NeedsAboveMax);
        reason = Reason::AtBound(BoundHit::Max);
    } else if proposed < before && before <= bounds.min && before > 1 {
        record.conditions.push(Condition::NeedsBelowMin);
        reason = Reason::AtBound(BoundHit::Min);
    }
    act(state, record, before, bounds.clamp(wanted), reason);
    if let (Reason::Policy(index), Action::Set(_)) = (reason, record.action)
        && let Some(why) = record.measured.get(index).and_then(|measured| measured.proposal.refused)
    {
        record.action = Action::Refuse(why);
    }
}

/// Sets the wish and the action, within what the platform is known to allow.
fn act(state: &State, record: &mut Record, before: Dynos, wanted: Dynos, reason: Reason) {
    record.desired = Some(wanted);
    record.reason = reason;
    let mut target = wanted;
    if let Some(limit) = state.limit_at(record.at)
        && wanted > limit
    {
        record.conditions.push(Condition::LimitedByPlatform);
        // Never lower because of a limit: it says what can be had, not what is too much.
        target = limit.max(before.min(wanted));
        if target == before {
            record.reason = Reason::Limited(limit);
        }
    }
    if target != before {
        record.action = Action::Set(target);
        record.call = Call::Due;
    }
}

/// The highest proposal wins; where a measurement is unknown, the others may raise but not lower. A floor counts where it is
/// above what the others come to; by itself it changes nothing but upwards.
fn combine(record: &Record, before: Dynos) -> (Dynos, Reason) {
    let mut highest: Option<(Dynos, usize)> = None;
    let mut floor: Option<(Dynos, usize)> = None;
    let mut unknown = None;
    for (index, measured) in record.measured.iter().enumerate().filter(|(_, measured)| !measured.shadow) {
        match measured.proposal.desired {
            Some(desired) if measured.proposal.floor => floor = floor.max(Some((desired, index))),
            Some(desired) if highest.is_none_or(|(best, _)| desired > best) => highest = Some((desired, index)),
            Some(_) => {}
            None => unknown = unknown.or(Some(index)),
        }
    }
    let (dynos, reason) = match (highest, unknown) {
        (None, None) => (before, floor.map_or(Reason::Nothing, |(_, index)| Reason::Policy(index))),
        (Some((desired, index)), None) => (desired, Reason::Policy(index)),
        (Some((desired, index)), Some(_)) if desired > before => (desired, Reason::Policy(index)),
        (_, Some(index)) => (before, Reason::Unknown(index)),
    };
    match floor {
        Some((floor, index)) if floor > dynos => (floor, Reason::Policy(index)),
        _ => (dynos, reason),
    }
}

/// The verdict of the process: the most urgent of its measurements, unknown before anything that would let dynos go.
fn overall(measured: &[Measured]) -> Verdict {
    let any = |verdict| measured.iter().any(|m| !m.shadow && m.verdict == verdict);
    if any(Verdict::TooHigh) {
        Verdict::TooHigh
    } else if measured.iter().all(|m| m.shadow) || any(Verdict::Unknown) {
        Verdict::Unknown
    } else if any(Verdict::JustRight) {
        Verdict::JustRight
    } else {
        Verdict::TooLow
    }
}

fn measure(spec: &Spec, state: &State, seen: &Observation, in_force: BoundsInForce) -> SmallVec<[Measured; 2]> {
    let mut all = SmallVec::new();
    for (index, measurement) in spec.measurements.iter().enumerate() {
        let Some(Look { sample, reading, verdict, history, detail, point }) = look(spec, state, seen, index) else {
            continue;
        };
        let advice = seen.advice.get(index).and_then(Option::as_ref);
        let proposal = match (verdict, seen.dynos.as_ref()) {
            (Verdict::Unknown, _) => Proposal::unknown(Phrase::new("there is no usable reading")),
            (_, Err(_)) => Proposal::unknown(Phrase::new("the platform does not say how many dynos run")),
            (_, Ok(dynos)) => measurement.policy.propose(&PolicyInput {
                at: seen.at,
                dynos: *dynos,
                bounds: in_force.bounds(),
                ready: seen.ready.unwrap_or(*dynos).min(*dynos),
                evidence: Evidence::new(history, point),
                detail,
                zone: &spec.bounds.zone,
                advice,
            }),
        };
        all.push(Measured {
            name: Arc::clone(&measurement.name),
            unit: measurement.unit,
            sampled_at: sample.map(|sample| sample.at),
            reading,
            detail,
            verdict,
            point,
            proposal,
            shadow: measurement.shadow,
            advice: advice.cloned(),
        });
    }
    all
}

/// One measurement as this tick sees it.
pub(crate) struct Look<'a> {
    sample: Option<&'a Sample>,
    reading: Reading,
    pub(crate) verdict: Verdict,
    /// The evidence so far.
    pub(crate) history: &'a History,
    detail: Detail,
    /// What is added to the evidence.
    pub(crate) point: Option<Point>,
}

/// Looks at one measurement; `None` where the settings have none of that index.
pub(crate) fn look<'a>(spec: &Spec, state: &'a State, seen: &'a Observation, index: usize) -> Option<Look<'a>> {
    static NONE: History = History::EMPTY;
    let measurement = spec.measurements.get(index)?;
    // The quantity was changed by somebody else since the last tick: what was measured before argues no longer.
    let changed_by_hand = changed_by_hand(state, seen);
    let sample = seen.samples.get(index).and_then(Option::as_ref);
    let reading = usable(measurement, seen.at, sample);
    let dynos = seen.dynos.as_ref().ok().copied();
    let verdict = verdict(measurement, &reading, dynos);
    let keeps = measurement.policy.keeps_evidence();
    let history = state.history(&measurement.name).filter(|_| keeps || !changed_by_hand).unwrap_or(&NONE);
    let fresh = sample.filter(|sample| {
        state.history(&measurement.name).is_none_or(|history| history.is_new(sample.at))
            && (keeps || state.last_scale.is_none_or(|scaled| sample.at > scaled))
    });
    let detail = sample.map(|sample| sample.detail).unwrap_or_default();
    let ready = dynos.map(|dynos| seen.ready.unwrap_or(dynos).min(dynos));
    let point = fresh.and_then(|sample| point(sample.at, verdict, &reading, detail, ready));
    Some(Look { sample, reading, verdict, history, detail, point })
}

fn changed_by_hand(state: &State, seen: &Observation) -> bool {
    matches!((state.seen, &seen.dynos), (Some(last), Ok(now)) if last != *now)
}

fn point(at: Timestamp, verdict: Verdict, reading: &Reading, detail: Detail, ready: Option<Dynos>) -> Option<Point> {
    let value = match reading {
        Reading::Value(value) => Some(*value),
        Reading::Failed(_) => None,
    };
    (verdict != Verdict::Unknown).then_some(Point { at, verdict, value, detail, ready })
}

/// A reading as it counts now: none at all and one that is too old are failures.
fn usable(measurement: &MeasurementSpec, at: Timestamp, sample: Option<&Sample>) -> Reading {
    let Some(sample) = sample else { return Reading::Failed(Failure::Missing) };
    let age = at.duration_since(sample.at);
    if age > measurement.max_age {
        return Reading::Failed(Failure::Late(u32::try_from(age.as_secs()).unwrap_or(u32::MAX)));
    }
    match &sample.reading {
        Reading::Value(value) => Reading::number(*value),
        failed @ Reading::Failed(_) => failed.clone(),
    }
}

fn verdict(measurement: &MeasurementSpec, reading: &Reading, dynos: Option<Dynos>) -> Verdict {
    match (reading, dynos) {
        (Reading::Value(value), Some(dynos)) => measurement.policy.verdict_at(*value, dynos),
        (Reading::Value(value), None) => measurement.policy.verdict(*value),
        (Reading::Failed(failure), _) if measurement.failures_mean_overload && failure.looks_like_overload() => {
            Verdict::TooHigh
        }
        (Reading::Failed(_), _) => Verdict::Unknown,
    }
}

/// The state after a tick: `record` is the concluded one, `outcome` what its scaling call came to.
pub fn settle(spec: &Spec, mut state: State, record: &Record, outcome: &CallOutcome) -> State {
    if record.before.is_some() && state.seen.is_some() && state.seen != record.before {
        state.clear_histories(spec);
    }
    for (measured, measurement) in record.measured.iter().zip(&spec.measurements) {
        if let Some(at) = measured.sampled_at {
            state.history_mut(&measured.name).add(at, measured.point, &*measurement.policy);
        }
    }
    state.look_back(spec, record);
    if let Some(before) = record.before {
        state.seen = Some(before);
        state.ours = state.ours.filter(|ours| *ours == before);
        if state.limit.is_some_and(|limit| before > limit.dynos) {
            state.limit = None;
        }
    }
    settle_call(spec, &mut state, record, outcome);
    state.conditions.retain(|(condition, _)| record.conditions.contains(condition));
    for condition in &record.conditions {
        if !state.conditions.iter().any(|(open, _)| open == condition) {
            state.conditions.push((*condition, record.at));
        }
    }
    state
}

fn settle_call(spec: &Spec, state: &mut State, record: &Record, outcome: &CallOutcome) {
    match outcome {
        // Nothing to do, so nothing fails any more; but where the quantity cannot be read, nothing was tried.
        CallOutcome::None if record.before.is_some() => state.failing_since = None,
        CallOutcome::None | CallOutcome::DryRun => {}
        CallOutcome::Failed { limit, .. } => {
            state.failing_since = state.failing_since.or(Some(record.at));
            if let Some(dynos) = *limit {
                state.limit = Some(Limit { dynos, at: record.at });
            }
        }
        CallOutcome::Ok { quantity, limit } => {
            state.failing_since = None;
            if let Some(dynos) = *limit {
                state.limit = Some(Limit { dynos, at: record.at });
            }
            state.ours = Some(*quantity);
            state.seen = Some(*quantity);
            if let Some(from) = record.before
                && from != *quantity
            {
                state.last_scale = Some(record.at);
                state.clear_histories(spec);
                state.starting = (*quantity > from).then_some(Starting { at: record.at, dynos: *quantity });
                let keep = spec.looks_back().max(spec.rapid.map_or(SignedDuration::ZERO, |rapid| rapid.within));
                if keep > SignedDuration::ZERO {
                    state.scales.push_back(Scale { at: record.at, from, to: *quantity });
                    state.scales.retain(|scale| record.at.duration_since(scale.at) <= keep);
                }
            }
        }
    }
}
