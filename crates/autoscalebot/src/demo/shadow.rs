//! What the rule that only watches would have done alone: each record is decided again by the core with that one measurement,
//! on a number of dynos of its own.
//!
//! It sees what was measured on the dynos that ran, which are not those that it would have had. Until the first change both
//! worlds are the same, so that its first reaction is what it would have been; after it, requests are faster or slower than
//! its own dynos would have made them.

use std::time::Duration;

use autoscalebot_core::{Action, CallOutcome, Dynos, Observation, Sample, Spec, State, Taken, decide, settle};

use super::told::Seen;

/// A change of the quantity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    /// Since the load began.
    pub(crate) at: Duration,
    pub(crate) from: Dynos,
    pub(crate) to: Dynos,
    pub(crate) reason: String,
}

/// What a rule would have done; empty where nothing is a shadow.
pub(crate) fn changes(spec: &Spec, records: &[Seen]) -> Vec<Change> {
    let mut alone = spec.clone();
    alone.measurements.retain(|measurement| measurement.shadow);
    alone.measurements.iter_mut().for_each(|measurement| measurement.shadow = false);
    let (mut state, mut changes) = (State::default(), Vec::new());
    let Some(mut dynos) = records.first().and_then(|seen| seen.record.before) else { return changes };
    for Seen { at, record } in records {
        let shadows = record.measured.iter().filter(|measured| measured.shadow);
        let samples = shadows.map(|measured| {
            let taken = Taken { reading: measured.reading.clone(), detail: measured.detail };
            measured.sampled_at.map(|sampled_at| Sample::new(sampled_at, taken))
        });
        let seen =
            Observation { at: record.at, dynos: Ok(dynos), samples: samples.collect(), ..Observation::default() };
        let decided = decide(&alone, &state, &seen);
        let outcome = match decided.action {
            Action::Set(quantity) => CallOutcome::Ok { quantity, limit: None },
            Action::None | Action::Refuse(_) => decided.without_call().unwrap_or(CallOutcome::None),
        };
        let decided = decided.conclude(&alone, &state, &outcome);
        state = settle(&alone, state, &decided, &outcome);
        if let Some((from, to)) = decided.change() {
            changes.push(Change { at: *at, from, to, reason: decided.sentence().to_string() });
            dynos = to;
        }
    }
    changes
}

/// The dyno-minutes of these changes, from `start` dynos to the end of the show.
pub(crate) fn dyno_minutes(start: Dynos, changes: impl IntoIterator<Item = (Duration, Dynos)>, end: Duration) -> f64 {
    let (mut since, mut dynos, mut seconds) = (Duration::ZERO, start, 0.0);
    for (at, to) in changes {
        let at = at.min(end);
        seconds += f64::from(dynos) * at.saturating_sub(since).as_secs_f64();
        (since, dynos) = (at, to);
    }
    (seconds + f64::from(dynos) * end.saturating_sub(since).as_secs_f64()) / 60.0
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use autoscalebot_core::Reading;
    use jiff::{SignedDuration, Timestamp};

    use super::*;

    /// The demo's own settings, and a heartbeat a second: 4 slow ones, then fast ones. 2.1 adds a dyno at the third fail and
    /// removes it at the fifth pass, whatever ran meanwhile.
    #[test]
    fn the_rule_of_2_1_decides_on_dynos_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let loaded = crate::demo::settings::settings(folder.path(), "127.0.0.1:9".parse().unwrap()).unwrap();
        let spec = &loaded.settings.apps[0].processes[0].spec;
        let (mut state, mut records) = (State::default(), Vec::new());
        for second in 0..12 {
            let at = "2026-11-25T12:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_secs(second);
            let beat = Sample::new(at, Reading::Value(if second < 4 { 2000.0 } else { 100.0 }));
            let seen = Observation {
                at,
                dynos: Ok(if second < 2 { 1 } else { 5 }),
                samples: [None, Some(beat)].into_iter().collect(),
                ..Observation::default()
            };
            let record = decide(spec, &state, &seen).conclude(spec, &state, &CallOutcome::None);
            state = settle(spec, state, &record, &CallOutcome::None);
            records.push(Seen { at: Duration::from_secs(second.unsigned_abs()), record: Arc::new(record) });
        }
        let changes: Vec<_> =
            changes(spec, &records).iter().map(|change| (change.at.as_secs(), change.from, change.to)).collect();
        assert_eq!(changes, [(2, 1, 2), (8, 2, 1)]);
    }

    #[test]
    fn dyno_minutes_are_dynos_times_time() {
        let secs = Duration::from_secs;
        assert_eq!(dyno_minutes(2, [], secs(60)), 2.0);
        assert_eq!(dyno_minutes(1, [(secs(30), 3), (secs(60), 1)], secs(90)), 0.5 + 1.5 + 0.5);
        assert_eq!(dyno_minutes(1, [(secs(90), 9)], secs(60)), 1.0, "what comes after the end is no part of it");
    }
}
