//! What holds for every policy and gate: more load never gives fewer dynos, nothing flaps under a constant load, nothing
//! leaves the bounds, nothing is lowered on unknown.

#![allow(clippy::unwrap_used, reason = "a test that cannot build its input fails")]

use std::sync::Arc;

use autoscalebot_core::gate::Gate;
use autoscalebot_core::gate::boot::Boot;
use autoscalebot_core::gate::busy_floor::BusyFloor;
use autoscalebot_core::gate::cooldown::Cooldown;
use autoscalebot_core::gate::idle_after::IdleAfter;
use autoscalebot_core::gate::max_step::{MaxStep, Most};
use autoscalebot_core::gate::stabilization::Stabilization;
use autoscalebot_core::gate::tolerance::Tolerance;
use autoscalebot_core::gate::wake::Wake;
use autoscalebot_core::history::Window;
use autoscalebot_core::policy::Policy;
use autoscalebot_core::policy::average::Average;
use autoscalebot_core::policy::concurrency::Concurrency;
use autoscalebot_core::policy::consecutive::Consecutive;
use autoscalebot_core::policy::queue::Queue;
use autoscalebot_core::policy::response_time::ResponseTime;
use autoscalebot_core::policy::target::{Per, Target};
use autoscalebot_core::queueing::{Model, Routing};
use autoscalebot_core::{
    Call, Detail, MeasurementSpec, Observation, Reading, Record, Sample, Spec, State, Taken, Unit, Verdict,
};
use common::{Run, at, spec};
use jiff::SignedDuration;
use proptest::prelude::*;

mod common;

const SERVICE_MS: f64 = 100.0;

fn mins(mins: i64) -> SignedDuration {
    SignedDuration::from_mins(mins)
}

/// The monotone policies, each with what its measurement counts, as recommended.
fn policies() -> Vec<(&'static str, Unit, Arc<dyn Policy>)> {
    let model = Model { at_once: 1, routing: Routing::Shared, variation: 1.0, objective_secs: 0.5, slow_share: 0.05 };
    let response_time = ResponseTime {
        model,
        headroom: 0.08,
        slack: 0.03,
        lead: SignedDuration::from_secs(30),
        lower_after: mins(10),
        wait_included: false,
        adapt: true,
        unit: Unit::RequestsPerSecond,
    };
    let concurrency = Concurrency {
        target: 10.0,
        utilization: 0.7,
        stable_window: mins(1),
        panic_window: 0.1,
        panic_threshold: 2.0,
        max_scale_up_rate: 1000.0,
        max_scale_down_rate: 2.0,
        slack: 0.05,
        beside: false,
    };
    let queue = Queue {
        jobs_per_dyno: Some(5.0),
        latency_ms: Some(30_000.0),
        at_once: 1.0,
        utilization: 0.8,
        lower_after: mins(2),
        ages: false,
        slack: 0.05,
    };
    let consecutive = Consecutive { low: 15.0, high: 40.0, fails: 2, passes: 3, increment: 1, refuse_zero: false };
    vec![
        ("average", Unit::Count, Arc::new(Average { low: 15.0, high: 40.0, samples: 3, increment: 1 })),
        ("concurrency", Unit::RequestsPerSecond, Arc::new(concurrency)),
        ("consecutive", Unit::Count, Arc::new(consecutive)),
        ("queue", Unit::Jobs, Arc::new(queue)),
        ("response_time", Unit::RequestsPerSecond, Arc::new(response_time)),
        ("target", Unit::RequestsPerSecond, Arc::new(Target { target: 8.0, per: Per::Total, tolerance: 0.1 })),
        ("target per dyno", Unit::Count, Arc::new(Target { target: 8.0, per: Per::Dyno, tolerance: 0.1 })),
    ]
}

fn process(min: u32, max: u32, unit: Unit, policy: Arc<dyn Policy>, gates: Vec<Arc<dyn Gate>>) -> Spec {
    let max_age = SignedDuration::from_secs(120);
    let measurement =
        MeasurementSpec { name: "load".into(), unit, max_age, failures_mean_overload: false, policy, shadow: false };
    Spec { measurements: vec![measurement], gates, ..spec(min, max) }
}

/// A reading of so much load: the value, and all that may be told beside it.
fn told(load: f64) -> Taken {
    let detail = Detail {
        rate: Some(load),
        service_ms: Some(SERVICE_MS),
        concurrency: Some(load * SERVICE_MS / 1000.0),
        busy: Some((load * SERVICE_MS / 1000.0).min(3.0)),
        latency_ms: None,
    };
    Taken { reading: Reading::number(load), detail }
}

fn tick(run: &mut Run, second: i64, taken: Taken) -> Record {
    run.observe(Observation {
        at: at(second),
        dynos: Ok(run.dynos),
        samples: [Some(Sample::new(at(second), taken))].into_iter().collect(),
        ..Observation::default()
    })
}

/// What a policy proposes in the end, where the quantity stays as it is all along.
fn proposed(unit: Unit, policy: &Arc<dyn Policy>, dynos: u32, loads: &[f64]) -> u32 {
    let mut run = Run::new(process(0, u32::MAX, unit, Arc::clone(policy), Vec::new()), dynos);
    run.fails = true;
    let mut desired = None;
    for (n, load) in loads.iter().enumerate() {
        desired = tick(&mut run, n as i64 * 10, told(*load)).measured[0].proposal.desired;
    }
    desired.unwrap()
}

fn gates() -> impl Strategy<Value = Vec<Arc<dyn Gate>>> {
    let secs = |secs| SignedDuration::from_secs(secs);
    (0.0..0.5f64, 0..600i64, 0..600i64, 1..600i64, 1..5u32, any::<u16>()).prop_map(
        move |(share, up, down, per, n, on)| {
            let all: [Arc<dyn Gate>; 9] = [
                Arc::new(Tolerance { share }),
                Arc::new(Stabilization { up: secs(up), down: secs(down) }),
                Arc::new(Cooldown { up: secs(up), down: secs(down) }),
                Arc::new(Boot { wait: secs(per) }),
                Arc::new(BusyFloor { newest: n > 2, at_once: n }),
                Arc::new(MaxStep { up: Some(Most::Count(n)), down: Some(Most::Share(share + 0.1)), per: secs(per) }),
                Arc::new(autoscalebot_core::gate::pause::PauseGate),
                Arc::new(IdleAfter { time: secs(down) }),
                Arc::new(Wake),
            ];
            all.into_iter().enumerate().filter(|(n, _)| on & (1 << n) != 0).map(|(_, gate)| gate).collect()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn more_load_never_gives_fewer_dynos(
        dynos in 0..40u32,
        loads in prop::collection::vec(0.0..200.0f64, 1..80),
        more in 1.0..5.0f64,
    ) {
        let scaled: Vec<_> = loads.iter().map(|load| load * more).collect();
        let mut newest = loads.clone();
        *newest.last_mut().unwrap() *= more;
        for (name, unit, policy) in policies() {
            if name == "target per dyno" && dynos == 0 {
                continue;
            }
            let before = proposed(unit, &policy, dynos, &loads);
            for greater in [&scaled, &newest] {
                let after = proposed(unit, &policy, dynos, greater);
                prop_assert!(after >= before, "{name}: {before} dynos, but {after} for more");
            }
        }
    }

    #[test]
    fn nothing_leaves_the_bounds_and_nothing_is_lowered_on_unknown(
        which in 0..7usize,
        gates in gates(),
        (min, more) in (0..6u32, 0..20u32),
        dynos in 0..30u32,
        ticks in prop::collection::vec((1..200i64, prop::option::weighted(0.8, 0.0..500.0f64), any::<bool>()), 1..60),
    ) {
        let (name, unit, policy) = policies().swap_remove(which);
        let mut run = Run::new(process(min, min + more, unit, policy, gates), dynos);
        let mut second = 0;
        for (after, load, fails) in ticks {
            second += after;
            run.fails = fails;
            let unknown = Taken::from(Reading::Failed("empty".parse().unwrap()));
            let record = tick(&mut run, second, load.map_or(unknown, told));
            let bounds = record.bounds.bounds();
            if record.call == Call::Ok {
                prop_assert!(bounds.contain(record.after.unwrap()), "{name}: {record:?}");
            }
            if record.verdict == Verdict::Unknown && bounds.contain(record.before.unwrap()) {
                prop_assert_eq!(record.before, record.after, "{}: changed on unknown", name);
            }
            let stored: State = serde_json::from_str(&serde_json::to_string(&run.state).unwrap()).unwrap();
            prop_assert_eq!(&stored, &run.state);
        }
    }

    /// Four hours of a constant load whose readings are off by a few per cent: after the first ten minutes, the number of
    /// dynos is changed seldom, and never there and back.
    #[test]
    fn nothing_flaps_under_constant_load_with_noise(
        load in 5.0..300.0f64,
        noise in prop::collection::vec(-0.03..0.03f64, 1440),
    ) {
        for (name, unit, policy) in policies() {
            // Those that look at one reading alone get the gate that their pages recommend.
            let gates: Vec<Arc<dyn Gate>> = match name {
                "target" | "concurrency" => vec![Arc::new(Stabilization { up: SignedDuration::ZERO, down: mins(5) })],
                _ => Vec::new(),
            };
            let mut run = Run::new(process(1, 100, unit, policy, gates), 10);
            let mut changes = Vec::new();
            for (n, noise) in noise.iter().enumerate() {
                // What an app makes of it, where the value is one for each dyno.
                let each = matches!(unit, Unit::Count).then_some(f64::from(run.dynos.max(1)));
                let mut taken = told(load * (1.0 + noise));
                if let (Some(dynos), Reading::Value(value)) = (each, &taken.reading) {
                    taken.reading = Reading::Value(value / dynos);
                }
                if let (Some(change), true) = (tick(&mut run, n as i64 * 10, taken).change(), n > 360) {
                    changes.push(change);
                }
            }
            let turns = changes.windows(2).filter(|pair| (pair[0].1 > pair[0].0) != (pair[1].1 > pair[1].0)).count();
            prop_assert!(turns <= 2 && changes.len() <= 6, "{name} at {load}: {changes:?}");
        }
    }
}

/// A source that never comes back costs no memory: what is kept is bounded by the policy's window.
#[test]
fn what_is_kept_is_bounded() {
    for (name, unit, policy) in policies() {
        let window: Window = policy.window();
        let gates: Vec<Arc<dyn Gate>> = vec![Arc::new(Stabilization { up: mins(60), down: mins(60) })];
        let mut run = Run::new(process(1, 100, unit, policy, gates), 5);
        for n in 0..3000 {
            tick(&mut run, n * 10, told(f64::from((n % 97) as i32)));
        }
        let kept = run.state.history("load").unwrap().len();
        assert!(kept <= window.samples && kept <= 400, "{name}: {kept}");
        assert!(run.state.proposals.len() <= 256, "{name}");
    }
}
