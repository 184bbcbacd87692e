//! Faults seen in other autoscalers, each a case under its own number, as tables over whole ticks.

#![allow(clippy::unwrap_used, reason = "a test that cannot build its input fails")]

use std::sync::Arc;

use autoscalebot_core::gate::cooldown::Cooldown;
use autoscalebot_core::policy::consecutive::Consecutive;
use autoscalebot_core::{
    Action, BoundTable, Call, CallOutcome, Condition, Failure, MinuteOfWeek, Observation, Pause, Rapid, Reading,
    Sample, State, Verdict, Zero, decide, events, settle,
};
use common::{RULE, Run, at, heartbeat, spec};
use jiff::SignedDuration;
use jiff::civil::Weekday;

mod common;

fn failed(text: &str) -> Reading {
    Reading::Failed(text.parse().unwrap())
}

#[test]
fn a06_bounds_hold_although_nothing_can_be_measured() {
    let entries = Weekday::Monday
        .cycle_forward()
        .take(7)
        .flat_map(|day| [(0, 1), (4, 4)].map(|(hour, dynos)| (MinuteOfWeek::new(day, hour, 0).unwrap(), dynos)))
        .collect();
    let mut spec = spec(1, 9);
    spec.bounds.min = BoundTable::by_time(entries, true).unwrap();
    for (before, after) in [(1, 4), (12, 9), (5, 5)] {
        let mut run = Run::new(spec.clone(), before);
        let record = run.observe(Observation {
            at: "2026-05-04T04:00:10Z".parse().unwrap(),
            dynos: Ok(before),
            samples: [Some(Sample::new("2026-05-04T04:00:10Z".parse().unwrap(), failed("status 404")))]
                .into_iter()
                .collect(),
            pause: None,
            ..Observation::default()
        });
        assert_eq!(record.after, Some(after), "{}", record.sentence());
    }
}

#[test]
fn a07_numbers_too_large_never_wrap() {
    let mut run = Run::new(spec(1, 9), 9);
    for record in run.values(4.0e12, 5).into_iter().chain(run.values(f64::MAX, 5)) {
        assert_eq!(record.after, Some(9));
    }
    let record = run.tick(&[Reading::number(f64::INFINITY)]);
    assert_eq!((record.after, record.verdict), (Some(9), Verdict::Unknown));
    let huge = Consecutive { increment: u32::MAX, ..RULE };
    let mut spec = spec(1, u32::MAX);
    spec.measurements = vec![heartbeat("heartbeat", huge)];
    let mut run = Run::new(spec, 9);
    assert_eq!(run.values(5000.0, 3)[2].after, Some(u32::MAX));
}

#[test]
fn a08_nan_is_neither_a_pass_nor_a_fail() {
    for (value, needed, after) in [(10.0, 5, 4), (5000.0, 3, 6)] {
        let mut run = Run::new(spec(1, 9), 5);
        run.values(value, needed - 1);
        for _ in 0..10 {
            let record = run.tick(&[Reading::number(f64::NAN)]);
            assert_eq!((record.after, record.verdict), (Some(5), Verdict::Unknown));
            assert_eq!(record.conditions.as_slice(), [Condition::SourceUnknown]);
            assert_eq!(record.sentence().to_string(), "heartbeat is unknown (invalid NaN): nothing changes");
        }
        assert_eq!(run.values(value, 1)[0].after, Some(after), "the counts stand where they stood");
    }
}

#[test]
fn a09_an_empty_answer_is_not_zero() {
    let mut run = Run::new(spec(2, 9), 5);
    for _ in 0..10 {
        assert_eq!(run.tick(&[failed("empty")]).after, Some(5));
    }
}

#[test]
fn a10_an_old_sample_is_not_served_as_fresh() {
    let mut run = Run::new(spec(1, 9), 5);
    for second in 0..10 {
        let record = run.observe(Observation {
            at: at(1500 + second),
            dynos: Ok(5),
            samples: [Some(Sample::new(at(0), Reading::Value(9000.0)))].into_iter().collect(),
            pause: None,
            ..Observation::default()
        });
        assert_eq!((record.after, record.verdict), (Some(5), Verdict::Unknown));
        assert!(record.sentence().to_string().contains(&format!("late {}s", 1500 + second)));
    }
}

#[test]
fn one_sample_is_counted_once() {
    let mut run = Run::new(spec(1, 9), 5);
    for second in 0..10 {
        let record = run.observe(Observation {
            at: at(second),
            dynos: Ok(5),
            samples: [Some(Sample::new(at(0), Reading::Value(9000.0)))].into_iter().collect(),
            pause: None,
            ..Observation::default()
        });
        assert_eq!((record.after, record.verdict), (Some(5), Verdict::TooHigh));
    }
}

#[test]
fn a11_the_other_measurement_fails() {
    let one = |low, high| Consecutive { low, high, fails: 1, passes: 1, increment: 2, refuse_zero: false };
    let mut two = spec(1, 5);
    two.measurements = vec![heartbeat("p", one(100.0, 200.0)), heartbeat("q", one(100.0, 200.0))];
    let (down, stay, up) = (Reading::Value(1.0), Reading::Value(150.0), Reading::Value(900.0));
    let lost = failed("status 404");
    let rows = [
        ("wants fewer", [&down, &lost], 3),
        ("wants more", [&up, &lost], 5),
        ("wants the same", [&stay, &lost], 3),
        ("both fail", [&lost, &lost], 3),
        ("both want fewer", [&down, &down], 1),
        ("one wants fewer", [&down, &stay], 3),
        ("the highest wins", [&down, &up], 5),
    ];
    for (name, [p, q], after) in rows {
        let mut run = Run::new(two.clone(), 3);
        let record = run.tick(&[p.clone(), q.clone()]);
        assert_eq!(record.after, Some(after), "{name}: {}", record.sentence());
    }
}

#[test]
fn a15_a_restart_forgets_no_cooldown_and_lowers_nothing_by_amnesia() {
    let mut with_cooldown = spec(1, 9);
    let five_minutes = SignedDuration::from_secs(300);
    with_cooldown.gates.push(Arc::new(Cooldown { up: SignedDuration::ZERO, down: five_minutes }));
    let rule = Consecutive { passes: 2, increment: 2, ..RULE };
    with_cooldown.measurements = vec![heartbeat("heartbeat", rule)];
    let mut run = Run::new(with_cooldown, 2);
    let scaled = run.values(5000.0, 3);
    assert_eq!(scaled[2].after, Some(4));
    let scaled_at = run.second;
    // The process is replaced; what was stored comes back as text.
    let stored = serde_json::to_string(&run.state).unwrap();
    run.state = serde_json::from_str::<State>(&stored).unwrap().after_restart();
    loop {
        let record = run.values(10.0, 1).remove(0);
        if run.second - scaled_at >= 300 {
            assert_eq!(record.after, Some(2), "{}", record.sentence());
            break;
        }
        assert_eq!(record.after, Some(4), "{}", record.sentence());
    }
    // Without a cooldown, the first tick after a start alone never lowers.
    let mut run = Run::new(spec(1, 9), 4);
    run.values(10.0, 4);
    run.state = run.state.clone().after_restart();
    assert!(run.values(10.0, 4).iter().all(|record| record.after == Some(4)));
    assert_eq!(run.values(10.0, 1)[0].after, Some(3));
}

#[test]
fn a18_a_limit_is_learned_told_once_and_not_asked_past() {
    let mut run = Run::new(spec(1, 20), 4);
    let rule = Consecutive { fails: 1, increment: 10, ..RULE };
    run.spec.measurements = vec![heartbeat("heartbeat", rule)];
    let mut calls = 0;
    let mut began = 0;
    for _ in 0..50 {
        run.second += 30;
        let seen = Observation {
            at: at(run.second),
            dynos: Ok(run.dynos),
            samples: [Some(Sample::new(at(run.second), Reading::Value(9000.0)))].into_iter().collect(),
            pause: None,
            ..Observation::default()
        };
        let record = decide(&run.spec, &run.state, &seen);
        let outcome = record.without_call().unwrap_or_else(|| {
            calls += 1;
            CallOutcome::Ok { quantity: 10, limit: Some(10) }
        });
        let record = Arc::new(record.conclude(&run.spec, &run.state, &outcome));
        began += events(&run.state, &record).iter().filter(|event| event.kind.name() == "condition_began").count();
        run.state = settle(&run.spec, run.state.clone(), &record, &outcome);
        run.dynos = record.after.unwrap();
        assert!(record.conditions.contains(&Condition::LimitedByPlatform), "{}", record.sentence());
    }
    assert_eq!((run.dynos, calls, began), (10, 1, 1));
    // An hour later it is tried once more.
    run.second += 3600;
    let record = run.tick(&[Reading::Value(9000.0)]);
    assert_eq!(record.action, Action::Set(20));
}

#[test]
fn a18_a_limit_never_lowers() {
    let mut run = Run::new(spec(1, 20), 12);
    run.state.limit = Some(autoscalebot_core::state::Limit { dynos: 10, at: at(0) });
    // More run than the limit that was once named: it is out of date, and no reason to lower anything.
    for record in run.values(9000.0, 6) {
        assert!(record.after >= record.before, "{}", record.sentence());
    }
    assert_eq!((run.dynos, run.state.limit), (14, None));
}

#[test]
fn a23_nothing_to_change_sends_nothing() {
    let mut run = Run::new(spec(1, 3), 3);
    for record in run.values(5000.0, 100) {
        assert_eq!((record.action, record.call), (Action::None, Call::None));
    }
}

#[test]
fn a30_a_pause_holds_even_the_bounds_and_a_person_is_not_fought() {
    let mut run = Run::new(spec(8, 12), 6);
    let pause = Pause { until: None, why: None };
    for second in 0..20 {
        let record = run.observe(Observation {
            at: at(second),
            dynos: Ok(6),
            samples: [Some(Sample::new(at(second), Reading::Value(9000.0)))].into_iter().collect(),
            pause: Some(pause.clone()),
            ..Observation::default()
        });
        assert_eq!((record.action, record.after), (Action::None, Some(6)));
        assert_eq!(record.conditions.as_slice(), [Condition::Paused]);
        assert_eq!(record.gates[0].gate, "pause");
    }
    assert_eq!(run.values(500.0, 1)[0].after, Some(8), "resumed: to the nearest bound at once");
    let mut run = Run::new(spec(1, 9), 4);
    run.values(5000.0, 3);
    assert_eq!(run.dynos, 5);
    run.dynos = 7;
    assert!(run.values(500.0, 10).iter().all(|record| record.action == Action::None), "held where a person put it");
    assert_eq!(run.values(5000.0, 3)[2].after, Some(8));
}

#[test]
fn what_was_measured_before_a_change_by_hand_argues_no_longer() {
    let mut run = Run::new(spec(1, 9), 4);
    run.values(5000.0, 2);
    run.dynos = 6;
    let records = run.values(5000.0, 3);
    assert_eq!(records.iter().map(|r| r.after.unwrap()).collect::<Vec<_>>(), [6, 6, 7]);
}

#[test]
fn a31_a_dry_run_says_what_it_would_do_and_starts_no_cooldown() {
    let spec = spec(1, 9);
    let seen = Observation {
        at: at(0),
        dynos: Ok(12),
        samples: [Some(Sample::new(at(0), Reading::Value(500.0)))].into_iter().collect(),
        pause: None,
        ..Observation::default()
    };
    let state = State::default();
    let record = decide(&spec, &state, &seen).conclude(&spec, &state, &CallOutcome::DryRun);
    assert_eq!((record.before, record.after, record.desired, record.call), (Some(12), Some(12), Some(9), Call::DryRun));
    assert_eq!(record.sentence().to_string(), "12 dynos are above the maximum of 9; dry run: would set 9");
    let state = settle(&spec, state, &record, &CallOutcome::DryRun);
    assert_eq!((state.last_scale, state.ours), (None, None));
}

#[test]
fn a_quantity_of_zero_that_somebody_set_is_kept() {
    let mut run = Run::new(spec(2, 9), 0);
    let record = run.values(9000.0, 5).remove(4);
    assert_eq!((record.after, record.conditions.as_slice()), (Some(0), &[Condition::StoppedByHand][..]));
    // Unless the settings say to start it.
    let mut run = Run::new(autoscalebot_core::Spec { zero: Zero::Start, ..spec(2, 9) }, 0);
    assert_eq!(run.values(500.0, 1)[0].after, Some(2));
    // Or this program set it, under a minimum of 0 that has passed.
    let mut run = Run::new(spec(0, 9), 1);
    assert_eq!(run.values(10.0, 5)[4].after, Some(0));
    run.spec.bounds.min = BoundTable::Fixed(2);
    assert_eq!(run.values(500.0, 1)[0].after, Some(2));
}

#[test]
fn a_failed_call_changes_nothing_and_the_next_tick_tries_again() {
    let mut run = Run::new(spec(1, 9), 4);
    run.fails = true;
    let records = run.values(5000.0, 6);
    let calls: Vec<_> = records.iter().map(|r| r.call).collect();
    assert_eq!(calls, [Call::None, Call::None, Call::Failed, Call::Failed, Call::Failed, Call::Failed]);
    assert_eq!(run.state.last_scale, None);
    assert_eq!(records[5].conditions.as_slice(), [Condition::ScaleFailing]);
    run.fails = false;
    let record = run.values(5000.0, 1).remove(0);
    assert_eq!((record.after, record.call, record.conditions.as_slice()), (Some(5), Call::Ok, &[][..]));
}

#[test]
fn a_formation_that_cannot_be_read_is_unknown_never_zero() {
    let mut run = Run::new(spec(2, 9), 5);
    let record = run.observe(Observation {
        at: at(0),
        dynos: Err(Failure::Other("503 with an HTML page".into())),
        samples: [Some(Sample::new(at(0), Reading::Value(9000.0)))].into_iter().collect(),
        pause: None,
        ..Observation::default()
    });
    assert_eq!((record.action, record.before, record.desired), (Action::None, None, None));
    assert_eq!(
        record.sentence().to_string(),
        "the platform did not say how many dynos run (503 with an HTML page): nothing changes"
    );
    assert_eq!(record.conditions.as_slice(), [Condition::FormationUnknown]);
}

#[test]
fn scaling_too_rapid_compares_the_highest_and_the_lowest_of_the_period() {
    let mut run = Run::new(spec(1, 99), 1);
    run.spec.rapid = Some(Rapid { dynos: 10, within: SignedDuration::from_mins(30) });
    run.spec.measurements = vec![heartbeat("heartbeat", Consecutive { fails: 1, increment: 5, ..RULE })];
    let rapid: Vec<_> =
        run.values(5000.0, 3).iter().map(|r| r.conditions.contains(&Condition::ScalingTooRapid)).collect();
    assert_eq!(rapid, [false, false, true], "1 to 11 differ by 10, which is not more than 10; 1 to 16 do");
    let calm = run.values(500.0, 61);
    assert!(calm[0].conditions.contains(&Condition::ScalingTooRapid));
    assert!(calm[60].conditions.is_empty(), "half an hour later it is over");
}

#[test]
fn conditions_begin_and_end_once() {
    let mut run = Run::new(spec(1, 3), 3);
    let mut told = Vec::new();
    for value in [5000.0; 6].into_iter().chain([500.0; 3]).chain([5000.0; 4]) {
        let before = run.state.clone();
        let record = Arc::new(run.values(value, 1).remove(0));
        told.extend(events(&before, &record).into_iter().skip(1).map(|event| (event.kind.name(), event.kind.topic())));
    }
    assert_eq!(
        told,
        [
            ("condition_began", "needs_above_max"),
            ("condition_ended", "needs_above_max"),
            ("condition_began", "needs_above_max"),
        ]
    );
}

#[test]
fn the_record_has_the_shape_of_the_contract() {
    let mut run = Run::new(spec(4, 5), 3);
    let record = serde_json::to_value(run.tick(&[Reading::Value(1074.0)])).unwrap();
    assert_eq!(record["dynos"], serde_json::json!({"before": 3, "after": 4}));
    assert_eq!(record["bounds"], serde_json::json!({"min": 4, "max": 5}));
    let measured = &record["measurements"][0];
    assert_eq!(
        (&measured["name"], &measured["value"], &measured["unit"], &measured["verdict"]),
        (&"heartbeat".into(), &1074.0.into(), &"ms".into(), &"too_high".into())
    );
    for (key, value) in [
        ("app", serde_json::json!("shop")),
        ("process", serde_json::json!("web")),
        ("verdict", serde_json::json!("too_high")),
        ("desired", serde_json::json!(4)),
        ("call", serde_json::json!("ok")),
        ("gates", serde_json::json!([])),
        ("conditions", serde_json::json!([])),
        ("reason", serde_json::json!("3 dynos are below the minimum of 4")),
    ] {
        assert_eq!(record[key], value, "{key}");
    }
    assert_eq!(record["at"], "2023-11-14T22:13:50Z");
}
