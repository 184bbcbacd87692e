//! What holds for every process, whatever is measured and whatever the platform does.

#![allow(clippy::unwrap_used, reason = "a test that cannot build its input fails")]

use std::sync::Arc;

use autoscalebot_core::gate::cooldown::Cooldown;
use autoscalebot_core::gate::pause::PauseGate;
use autoscalebot_core::policy::consecutive::Consecutive;
use autoscalebot_core::{
    Action, BoundTable, Call, CallOutcome, Failure, Observation, Reading, Record, Sample, Spec, State, Verdict, decide,
    settle,
};
use common::{at, heartbeat, spec};
use jiff::SignedDuration;
use proptest::prelude::*;

mod common;

/// One tick as it may come: what is measured, what the platform says and does, and whether somebody changes the quantity.
#[derive(Debug, Clone)]
struct Tick {
    after_secs: i64,
    readings: Vec<Option<Reading>>,
    formation_lost: bool,
    call: u8,
    by_hand: Option<u32>,
}

fn reading() -> impl Strategy<Value = Option<Reading>> {
    prop_oneof![
        3 => (0.0..200.0f64).prop_map(|v| Some(Reading::Value(v))),
        3 => (1000.0..1e9f64).prop_map(|v| Some(Reading::Value(v))),
        2 => any::<f64>().prop_map(|v| Some(Reading::Value(v))),
        1 => prop_oneof![Just("timeout"), Just("status 503"), Just("status 404"), Just("empty")]
            .prop_map(|text| Some(Reading::Failed(text.parse().unwrap()))),
        1 => Just(None),
    ]
}

fn tick() -> impl Strategy<Value = Tick> {
    (
        1..200i64,
        prop::collection::vec(reading(), 2),
        prop::bool::weighted(0.1),
        0..8u8,
        prop::option::weighted(0.1, 0..20u32),
    )
        .prop_map(|(after_secs, readings, formation_lost, call, by_hand)| Tick {
            after_secs,
            readings,
            formation_lost,
            call,
            by_hand,
        })
}

/// A process, and its `passes`.
fn process_and_passes() -> impl Strategy<Value = (Spec, usize)> {
    (0..6u32, 0..10u32, 1..5u32, 1..6u32, 1..4u32, 0..300i64, 0..600i64).prop_map(
        |(min, more, fails, passes, increment, up, down)| {
            let rule = Consecutive { low: 200.0, high: 1000.0, fails, passes, increment, refuse_zero: false };
            let mut spec = spec(min, min + more);
            spec.measurements = vec![heartbeat("a", rule), heartbeat("b", rule)];
            let (up, down) = (SignedDuration::from_secs(up), SignedDuration::from_secs(down));
            spec.gates = vec![Arc::new(PauseGate), Arc::new(Cooldown { up, down })];
            (spec, passes as usize)
        },
    )
}

fn process() -> impl Strategy<Value = Spec> {
    process_and_passes().prop_map(|(spec, _)| spec)
}

/// A process with its platform, driven tick by tick.
struct World {
    spec: Spec,
    state: State,
    second: i64,
    dynos: u32,
}

impl World {
    fn tick(&mut self, tick: &Tick) -> (State, Record) {
        self.second += tick.after_secs;
        self.dynos = tick.by_hand.unwrap_or(self.dynos);
        let at = at(self.second);
        let seen = Observation {
            at,
            dynos: if tick.formation_lost { Err(Failure::Timeout) } else { Ok(self.dynos) },
            samples: tick.readings.iter().map(|r| r.clone().map(|r| Sample::new(at, r))).collect(),
            pause: None,
            ..Observation::default()
        };
        let before = self.state.clone();
        let record = decide(&self.spec, &self.state, &seen);
        assert_eq!(record, decide(&self.spec, &before, &seen), "the same input gives the same record");
        let outcome = record.without_call().unwrap_or_else(|| match (record.action, tick.call) {
            (Action::Set(quantity), 0..6) => CallOutcome::Ok { quantity, limit: None },
            _ => CallOutcome::Failed { error: "no".into(), limit: None },
        });
        let record = record.conclude(&self.spec, &self.state, &outcome);
        self.state = settle(&self.spec, self.state.clone(), &record, &outcome);
        self.dynos = record.after.unwrap_or(self.dynos);
        (before, record)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn holds_for_every_run(spec in process(), dynos in 0..20u32, ticks in prop::collection::vec(tick(), 1..60)) {
        let mut world = World { spec, state: State::default(), second: 0, dynos };
        for tick in &ticks {
            let (before, record) = world.tick(tick);
            let bounds = record.bounds.bounds();
            if record.call == Call::Ok {
                prop_assert!(bounds.contain(record.after.unwrap()), "outside the bounds after a good call: {record:?}");
            }
            if let (Some(from), Some(to)) = (record.before, record.after) {
                let unknown = record.measured.iter().any(|m| m.verdict == Verdict::Unknown);
                if bounds.contain(from) && to < from {
                    prop_assert!(!unknown, "lowered on unknown: {record:?}");
                }
                if bounds.contain(from) && record.measured.iter().all(|m| m.verdict == Verdict::Unknown) {
                    prop_assert_eq!(from, to, "changed on unknown alone");
                }
            }
            // No change twice for one history: after a change, what led to it is gone.
            if record.change().is_some() {
                for measurement in &world.spec.measurements {
                    prop_assert!(world.state.history(&measurement.name).is_none_or(|h| h.is_empty()));
                }
            }
            if record.call == Call::Failed {
                prop_assert_eq!(world.state.last_scale, before.last_scale);
            }
            if record.before.is_none() {
                prop_assert_eq!(record.action, Action::None);
            }
            prop_assert!(!record.sentence().to_string().is_empty());
            // What is stored comes back as it was.
            let stored: State = serde_json::from_str(&serde_json::to_string(&world.state).unwrap()).unwrap();
            prop_assert_eq!(&stored, &world.state);
        }
    }

    #[test]
    fn nothing_is_lowered_before_its_passes((spec, passes) in process_and_passes(), ticks in prop::collection::vec(tick(), 1..60)) {
        let mut world = World { spec, state: State::default(), second: 0, dynos: 5 };
        let mut low_in_a_row = [0usize; 2];
        for tick in &ticks {
            let (_, record) = world.tick(tick);
            for (count, measured) in low_in_a_row.iter_mut().zip(&record.measured) {
                match measured.verdict {
                    Verdict::TooLow => *count += 1,
                    Verdict::Unknown => {}
                    _ => *count = 0,
                }
            }
            if let Some((from, to)) = record.change() {
                if record.bounds.bounds().contain(from) && to < from {
                    prop_assert!(low_in_a_row.iter().all(|count| *count >= passes));
                }
                low_in_a_row = [0; 2];
            }
        }
    }

    #[test]
    fn decisions_do_not_depend_on_how_ticks_of_apps_interleave(
        one in process(), two in process(),
        ticks in prop::collection::vec((any::<bool>(), tick()), 1..60),
    ) {
        let world = |spec: &Spec| World { spec: spec.clone(), state: State::default(), second: 0, dynos: 3 };
        let (mut a, mut b) = (world(&one), world(&two));
        let mixed: Vec<_> = ticks.iter().map(|(first, tick)| if *first { a.tick(tick).1 } else { b.tick(tick).1 }).collect();
        let (mut a, mut b) = (world(&one), world(&two));
        let first: Vec<_> = ticks.iter().filter(|(first, _)| *first).map(|(_, tick)| a.tick(tick).1).collect();
        let second: Vec<_> = ticks.iter().filter(|(first, _)| !*first).map(|(_, tick)| b.tick(tick).1).collect();
        let (mut first, mut second) = (first.into_iter(), second.into_iter());
        for ((is_first, _), record) in ticks.iter().zip(mixed) {
            prop_assert_eq!(Some(record), if *is_first { first.next() } else { second.next() });
        }
    }

    #[test]
    fn a_table_never_leaves_its_entries(entries in prop::collection::vec((0..7i8, 0..=24u8, 0..60u8, 0..50u32), 1..20), at in -1_000_000_000i64..4_000_000_000) {
        let weekday = |n| jiff::civil::Weekday::from_monday_zero_offset(n).unwrap();
        let entries: Vec<_> = entries
            .into_iter()
            .filter_map(|(day, hour, minute, dynos)| Some((autoscalebot_core::MinuteOfWeek::new(weekday(day), hour, minute)?, dynos)))
            .collect();
        let values: Vec<_> = entries.iter().map(|(_, dynos)| *dynos).collect();
        if let Some(table) = BoundTable::by_time(entries, false) {
            for zone in ["Europe/Berlin", "America/Havana", "Asia/Kathmandu"] {
                let zone = jiff::tz::TimeZone::get(zone).unwrap();
                let reached = autoscalebot_core::bounds::local_reached(&zone, jiff::Timestamp::from_second(at).unwrap());
                prop_assert!(values.contains(&table.in_force(reached).dynos));
            }
        }
    }
}
