//! Policies and gates over whole ticks: faults seen in other autoscalers, each under its own number, and what a shadow is.

#![allow(clippy::unwrap_used, reason = "a test that cannot build its input fails")]

use std::sync::Arc;

use autoscalebot_core::gate::Gate;
use autoscalebot_core::gate::boot::Boot;
use autoscalebot_core::gate::budget::Budget;
use autoscalebot_core::gate::busy_floor::BusyFloor;
use autoscalebot_core::gate::cooldown::Cooldown;
use autoscalebot_core::gate::idle_after::IdleAfter;
use autoscalebot_core::gate::max_step::{MaxStep, Most};
use autoscalebot_core::gate::stabilization::Stabilization;
use autoscalebot_core::gate::wake::Wake;
use autoscalebot_core::policy::Policy;
use autoscalebot_core::policy::app::App;
use autoscalebot_core::policy::queue::Queue;
use autoscalebot_core::policy::target::{Per, Target};
use autoscalebot_core::{
    Condition, Detail, MeasurementSpec, Observation, Reading, Record, Sample, Spec, State, Taken, Unit, Verdict,
};
use common::{RULE, Run, at, heartbeat, spec};
use jiff::SignedDuration;

mod common;

fn secs(secs: i64) -> SignedDuration {
    SignedDuration::from_secs(secs)
}

fn measured(name: &str, unit: Unit, policy: impl Policy + 'static) -> MeasurementSpec {
    let max_age = secs(120);
    let policy = Arc::new(policy);
    MeasurementSpec { name: name.into(), unit, max_age, failures_mean_overload: false, policy, shadow: false }
}

fn process(min: u32, max: u32, measurements: Vec<MeasurementSpec>, gates: Vec<Arc<dyn Gate>>) -> Spec {
    Spec { measurements, gates, ..spec(min, max) }
}

/// A process whose proposal is what the test says.
fn wishes(min: u32, max: u32, gates: Vec<Arc<dyn Gate>>) -> Spec {
    process(min, max, vec![measured("wish", Unit::Dynos, App)], gates)
}

fn look(run: &mut Run, second: i64, readings: &[(Reading, Detail)]) -> Record {
    let sample = |(reading, detail): &(Reading, Detail)| {
        Some(Sample::new(at(second), Taken { reading: reading.clone(), detail: *detail }))
    };
    run.observe(Observation {
        at: at(second),
        dynos: Ok(run.dynos),
        samples: readings.iter().map(sample).collect(),
        ..Observation::default()
    })
}

fn value(run: &mut Run, second: i64, value: f64) -> Record {
    look(run, second, &[(Reading::number(value), Detail::default())])
}

#[test]
fn a06_bounds_hold_whatever_the_gates_say() {
    let gates: Vec<Arc<dyn Gate>> = vec![
        Arc::new(Stabilization { up: secs(600), down: secs(600) }),
        Arc::new(Cooldown { up: secs(600), down: secs(600) }),
        Arc::new(MaxStep { up: Some(Most::Count(1)), down: Some(Most::Count(1)), per: secs(600) }),
        Arc::new(BusyFloor { newest: true, at_once: 1 }),
    ];
    for (before, after) in [(1, 4), (12, 9), (5, 5)] {
        let mut run = Run::new(wishes(4, 9, gates.clone()), before);
        let record = look(&mut run, 10, &[("status 503".parse().map(Reading::Failed).unwrap(), Detail::default())]);
        assert_eq!(record.after, Some(after), "{}", record.sentence());
    }
}

#[test]
fn a07_a_backlog_too_large_for_the_type_is_the_maximum() {
    let target = Target { target: 0.1, per: Per::Total, tolerance: 0.1 };
    let mut run = Run::new(process(1, 9, vec![measured("backlog", Unit::Jobs, target)], Vec::new()), 9);
    let record = value(&mut run, 10, 4.0e12);
    assert_eq!((record.after, record.verdict), (Some(9), Verdict::TooHigh));
    let record = value(&mut run, 20, f64::INFINITY);
    assert_eq!((record.after, record.verdict), (Some(9), Verdict::Unknown));
    assert_eq!(record.conditions.as_slice(), [Condition::SourceUnknown]);
}

#[test]
fn a11_one_of_two_is_unknown() {
    let two = || process(1, 5, vec![measured("p", Unit::Dynos, App), measured("q", Unit::Dynos, App)], Vec::new());
    let failed = || (Reading::Failed("empty".parse().unwrap()), Detail::default());
    for (wanted, after) in [(1.0, 3), (5.0, 5), (3.0, 3)] {
        let mut run = Run::new(two(), 3);
        let record = look(&mut run, 10, &[(Reading::Value(wanted), Detail::default()), failed()]);
        assert_eq!(record.after, Some(after), "{}", record.sentence());
    }
    assert_eq!(look(&mut Run::new(two(), 3), 10, &[failed(), failed()]).after, Some(3));
}

#[test]
fn a13_the_delay_counts_from_the_last_need() {
    let mut run = Run::new(wishes(0, 5, vec![Arc::new(Stabilization { up: secs(0), down: secs(900) })]), 0);
    for second in (0..=840).step_by(60) {
        assert_eq!(value(&mut run, second, 1.0).after, Some(1), "{second}");
    }
    for second in (900..1739).step_by(60).chain([1739]) {
        let record = value(&mut run, second, 0.0);
        assert_eq!(record.after, Some(1), "{second}");
        assert_eq!(record.gates[0].gate, "stabilization");
    }
    assert_eq!(value(&mut run, 1740, 0.0).after, Some(0));
}

#[test]
fn a14_two_windows_never_turn_a_move_around() {
    let windows = Stabilization { up: secs(300), down: secs(300) };
    let mut run = Run::new(wishes(1, 9, vec![Arc::new(windows)]), 2);
    for (second, wanted) in [(0, 2.0), (60, 3.0), (120, 1.0)] {
        assert_eq!(value(&mut run, second, wanted).after, Some(2), "{second}");
    }
}

#[test]
fn a15_windows_and_cooldowns_survive_a_restart() {
    let gates: Vec<Arc<dyn Gate>> = vec![
        Arc::new(Stabilization { up: secs(0), down: secs(300) }),
        Arc::new(Cooldown { up: secs(0), down: secs(300) }),
    ];
    let mut run = Run::new(wishes(1, 9, gates), 2);
    assert_eq!(value(&mut run, 0, 4.0).after, Some(4));
    let stored = serde_json::to_string(&run.state).unwrap();
    run.state = serde_json::from_str::<State>(&stored).unwrap().after_restart();
    for second in [60, 120, 180, 240, 299] {
        assert_eq!(value(&mut run, second, 2.0).after, Some(4), "{second}");
    }
    assert_eq!(value(&mut run, 300, 2.0).after, Some(2));
}

/// A queue that keeps its evidence over a scale still fills its window anew after a restart.
#[test]
fn a15_a_first_tick_alone_lowers_nothing() {
    let queue = Queue {
        jobs_per_dyno: Some(1.0),
        latency_ms: None,
        at_once: 1.0,
        utilization: 0.8,
        lower_after: secs(120),
        ages: false,
        slack: 0.05,
    };
    let mut run = Run::new(process(0, 9, vec![measured("queue", Unit::Jobs, queue)], Vec::new()), 4);
    for second in (0..300).step_by(30) {
        assert_eq!(value(&mut run, second, 4.0).after, Some(4));
    }
    run.state = std::mem::take(&mut run.state).after_restart();
    for second in (300..420).step_by(30) {
        assert_eq!(value(&mut run, second, 0.0).after, Some(4), "{second}");
    }
    assert_eq!(value(&mut run, 420, 0.0).after, Some(0));
    assert_eq!(value(&mut run, 450, 3.0).after, Some(3), "a16: not stuck at zero");
}

#[test]
fn a17_an_empty_queue_and_a_running_job() {
    let queue = Target { target: 1.0, per: Per::Total, tolerance: 0.1 };
    let busy = |busy| (Reading::Value(0.0), Detail { busy: Some(busy), ..Detail::default() });
    for (newest, before, held) in [(false, 1, 1), (false, 3, 1), (true, 1, 1), (true, 3, 3)] {
        let gate = BusyFloor { newest, at_once: 1 };
        let spec = process(0, 5, vec![measured("queue", Unit::Jobs, queue)], vec![Arc::new(gate)]);
        let mut run = Run::new(spec, before);
        for second in (0..2400).step_by(300) {
            assert_eq!(look(&mut run, second, &[busy(1.0)]).after, Some(held), "{newest} {before}");
        }
        assert_eq!(look(&mut run, 2400, &[busy(0.0)]).after, Some(0));
    }
}

#[test]
fn a30_a_change_by_hand_is_adopted() {
    let target = Target { target: 10.0, per: Per::Total, tolerance: 0.1 };
    let mut run = Run::new(process(1, 9, vec![measured("rate", Unit::RequestsPerSecond, target)], Vec::new()), 4);
    assert_eq!(value(&mut run, 0, 68.0).after, Some(7));
    run.dynos = 7;
    assert_eq!(value(&mut run, 30, 68.0).after, Some(7), "within the tolerance");
}

#[test]
fn a_step_too_large_comes_over_several_ticks() {
    let gate = MaxStep { up: Some(Most::Share(1.0)), down: Some(Most::Count(2)), per: secs(60) };
    let mut run = Run::new(wishes(1, 50, vec![Arc::new(gate)]), 3);
    let ups = [0, 30, 60, 90, 120, 150].map(|second| value(&mut run, second, 20.0).after.unwrap());
    assert_eq!(ups, [6, 6, 12, 12, 20, 20]);
    let downs = [300, 330, 360, 390].map(|second| value(&mut run, second, 1.0).after.unwrap());
    assert_eq!(downs, [18, 18, 16, 16]);
}

#[test]
fn the_time_to_boot_is_learned() {
    let mut run = Run::new(wishes(1, 9, vec![Arc::new(Boot { wait: secs(600) })]), 2);
    let mut tick = |second: i64, wanted: f64, ready: Option<u32>| {
        let samples = [Some(Sample::new(at(second), Reading::Value(wanted)))].into_iter().collect();
        let dynos = Ok(run.dynos);
        let record = run.observe(Observation { at: at(second), dynos, samples, ready, ..Observation::default() });
        (record.after.unwrap(), run.state.boot_secs)
    };
    assert_eq!(tick(0, 4.0, Some(2)), (4, None));
    assert_eq!(tick(30, 6.0, Some(2)), (4, None));
    assert_eq!(tick(40, 6.0, Some(4)), (6, Some(40.0)));
    assert_eq!(tick(119, 8.0, None), (6, Some(40.0)), "twice 40 s, where nobody says");
    assert_eq!(tick(120, 8.0, None), (8, Some(40.0)));
}

#[test]
fn a_month_that_is_used_up_runs_at_the_minimum() {
    let mut run = Run::new(wishes(1, 9, vec![Arc::new(Budget { hours: 10.0, to_min: true })]), 5);
    let mut hours = Vec::new();
    let mut told = Vec::new();
    // 2023-11-14T22:13:20Z and on: 5 dynos for two hours are 10.
    for second in (0..9000).step_by(600) {
        let record = value(&mut run, second, 5.0);
        hours.push(record.after.unwrap());
        told.push(record.conditions.contains(&Condition::BudgetSpent));
    }
    assert_eq!(hours, [5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 1, 1]);
    assert_eq!(told, hours.iter().map(|hours| *hours == 1).collect::<Vec<_>>());
    // No reading and no quantity end it: the budget is as spent as before.
    let blind = Observation { at: at(9100), dynos: Err("timeout".parse().unwrap()), ..Observation::default() };
    assert!(run.observe(blind).conditions.contains(&Condition::BudgetSpent));
    let next = 17 * 86_400;
    let record = value(&mut run, next, 5.0);
    assert_eq!((record.after, record.conditions.as_slice()), (Some(5), [].as_slice()), "a new month");
}

#[test]
fn a_shadow_decides_and_records_and_changes_nothing() {
    let shadow = MeasurementSpec { shadow: true, ..measured("shadow", Unit::Dynos, App) };
    let mut run = Run::new(process(1, 9, vec![heartbeat("heartbeat", RULE), shadow], Vec::new()), 3);
    let fine = || (Reading::Value(500.0), Detail::default());
    let record = look(&mut run, 10, &[fine(), (Reading::Value(9.0), Detail::default())]);
    assert_eq!((record.after, record.verdict), (Some(3), Verdict::JustRight));
    assert_eq!(record.measured[1].proposal.desired, Some(9));
    let json = serde_json::to_value(&record).unwrap();
    assert_eq!((&json["measurements"][1]["shadow"], &json["measurements"][1]["desired"]), (&true.into(), &9.into()));
    // An unknown shadow is nobody's concern.
    let record = look(&mut run, 20, &[fine(), (Reading::Failed("empty".parse().unwrap()), Detail::default())]);
    assert_eq!((record.conditions.as_slice(), record.verdict), ([].as_slice(), Verdict::JustRight));
    for second in (30..200).step_by(30) {
        let low = (Reading::Value(0.0), Detail::default());
        look(&mut run, second, &[low, (Reading::Failed("empty".parse().unwrap()), Detail::default())]);
    }
    assert_eq!(run.dynos, 2, "nor does it block lowering");
}

/// Ten minutes without a request and the last dyno goes; requests that found no dyno have no time, but wake the process.
#[test]
fn a16_down_to_zero_and_awake_again() {
    let gates: Vec<Arc<dyn Gate>> = vec![
        Arc::new(Stabilization { up: secs(0), down: secs(60) }),
        Arc::new(IdleAfter { time: secs(600) }),
        Arc::new(Cooldown { up: secs(3600), down: secs(0) }),
        Arc::new(Wake),
    ];
    let measurement = measured("router", Unit::Milliseconds, RULE);
    let mut run = Run::new(process(0, 5, vec![measurement], gates), 1);
    let rate = |rate| Detail { rate: Some(rate), ..Detail::default() };
    let idle = || (Reading::Value(0.0), rate(0.0));
    let unserved = || (Reading::Failed("all of 1 requests failed".parse().unwrap()), rate(0.1));
    for second in (0..600).step_by(30) {
        let seen = if second == 300 { (Reading::Value(500.0), rate(2.0)) } else { idle() };
        assert_eq!(look(&mut run, second, &[seen]).after, Some(1), "{second}");
    }
    let mut went = None;
    for second in (600..1200).step_by(30) {
        let record = look(&mut run, second, &[idle()]);
        if record.after == Some(0) {
            went = went.or(Some(second));
        }
    }
    assert_eq!((went, run.dynos), (Some(900), 0));
    let asleep = look(&mut run, 1230, &[(Reading::Failed("late 200s".parse().unwrap()), Detail::default())]);
    assert_eq!(asleep.after, Some(0), "what is not known wakes nobody");
    let woken = look(&mut run, 1240, &[unserved()]);
    assert_eq!((woken.after, woken.gates.last().map(|note| note.gate)), (Some(1), Some("wake")));
    assert_eq!(look(&mut run, 1250, &[unserved()]).after, Some(1));
    for second in (1260..1830).step_by(30) {
        assert_eq!(look(&mut run, second, &[idle()]).after, Some(1), "{second}: the time begins anew");
    }
}
