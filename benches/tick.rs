//! One tick of the core: `decide`, `conclude`, `settle`, as the engine calls them. Run with
//! `cargo bench -p autoscalebot-core`.

use std::sync::Arc;

use autoscalebot_core::fields::{Value, Values};
use autoscalebot_core::gate::Gate;
use autoscalebot_core::gate::boot::Boot;
use autoscalebot_core::gate::budget::Budget;
use autoscalebot_core::gate::busy_floor::BusyFloor;
use autoscalebot_core::gate::cooldown::Cooldown;
use autoscalebot_core::gate::idle_after::IdleAfter;
use autoscalebot_core::gate::max_step::{MaxStep, Most};
use autoscalebot_core::gate::pause::PauseGate;
use autoscalebot_core::gate::stabilization::Stabilization;
use autoscalebot_core::gate::tolerance::Tolerance;
use autoscalebot_core::gate::wake::Wake;
use autoscalebot_core::policy::app::App;
use autoscalebot_core::policy::average::Average;
use autoscalebot_core::policy::concurrency::Concurrency;
use autoscalebot_core::policy::consecutive::Consecutive;
use autoscalebot_core::policy::queue::Queue;
use autoscalebot_core::policy::response_time::ResponseTime;
use autoscalebot_core::policy::schedule::Schedule;
use autoscalebot_core::policy::target::{Per, Target};
use autoscalebot_core::policy::{Policy, forecast, steps};
use autoscalebot_core::queueing::{Model, Routing};
use autoscalebot_core::{
    Advice, BoundTable, BoundTables, CallOutcome, Detail, Expected, MeasurementSpec, MinuteOfWeek, Observation,
    Reading, Record, Sample, Spec, State, Taken, Unit, Zero, decide, settle,
};
use divan::Bencher;
use divan::counter::ItemsCount;
use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

#[global_allocator]
static ALLOCATOR: divan::AllocProfiler = divan::AllocProfiler::system();

fn main() {
    divan::main();
}

fn spec(min: BoundTable) -> Spec {
    let rule = Consecutive { low: 200.0, high: 1000.0, fails: 3, passes: 5, increment: 1, refuse_zero: false };
    let five_minutes = SignedDuration::from_mins(5);
    Spec {
        app: "shop".into(),
        process: "web".into(),
        bounds: BoundTables {
            min,
            max: BoundTable::Fixed(9),
            zone: TimeZone::get("America/Vancouver").unwrap_or(TimeZone::UTC),
        },
        measurements: vec![MeasurementSpec {
            name: "heartbeat".into(),
            unit: Unit::Milliseconds,
            max_age: SignedDuration::from_mins(2),
            failures_mean_overload: true,
            policy: Arc::new(rule),
            shadow: false,
        }],
        gates: vec![Arc::new(PauseGate), Arc::new(Cooldown { up: SignedDuration::ZERO, down: five_minutes })],
        zero: Zero::Keep,
        rapid: None,
    }
}

fn by_time() -> BoundTable {
    let days = Weekday::Monday.cycle_forward().take(7);
    let entries =
        days.flat_map(|day| [(0, 1), (8, 3), (18, 1)].map(|(hour, dynos)| (MinuteOfWeek::new(day, hour, 0), dynos)));
    let entries = entries.filter_map(|(minute, dynos)| Some((minute?, dynos))).collect();
    BoundTable::by_time(entries, true).unwrap_or(BoundTable::Fixed(1))
}

/// A process at rest: every reading is inside the range, nothing changes.
fn tick(spec: &Spec, state: &mut State, at: &mut Timestamp) -> Record {
    *at += SignedDuration::from_secs(30);
    let samples = [Some(Sample::new(*at, Reading::Value(500.0)))].into_iter().collect();
    let seen = Observation { at: *at, dynos: Ok(4), samples, pause: None, ..Observation::default() };
    let record = decide(spec, state, &seen);
    let outcome = record.without_call().unwrap_or(CallOutcome::None);
    let record = record.conclude(spec, state, &outcome);
    *state = settle(spec, std::mem::take(state), &record, &outcome);
    record
}

fn bench(bencher: Bencher<'_, '_>, spec: Spec) {
    let mut state = State::default();
    let mut at = Timestamp::UNIX_EPOCH;
    for _ in 0..100 {
        tick(&spec, &mut state, &mut at);
    }
    bencher.counter(ItemsCount::new(1_usize)).bench_local(move || tick(&spec, &mut state, &mut at));
}

#[divan::bench]
fn fixed_bounds(bencher: Bencher<'_, '_>) {
    bench(bencher, spec(BoundTable::Fixed(1)));
}

#[divan::bench]
fn bounds_by_time(bencher: Bencher<'_, '_>) {
    bench(bencher, spec(by_time()));
}

/// A process with this policy and gates, at rest under a load of 30 requests in a second, read every `every_secs`.
fn bench_policy(
    bencher: Bencher<'_, '_>,
    unit: Unit,
    every_secs: i64,
    policy: Arc<dyn Policy>,
    gates: Vec<Arc<dyn Gate>>,
) {
    let mut spec = spec(BoundTable::Fixed(1));
    spec.gates = gates;
    for measurement in &mut spec.measurements {
        (measurement.unit, measurement.policy) = (unit, Arc::clone(&policy));
    }
    let mut state = State::default();
    let mut at = Timestamp::UNIX_EPOCH;
    let detail = Detail {
        rate: Some(30.0),
        concurrency: Some(3.3),
        busy: Some(3.0),
        service_ms: Some(100.0),
        latency_ms: Some(10.0),
    };
    let mut tick = move || {
        at += SignedDuration::from_secs(every_secs);
        let samples = [Some(Sample::new(at, Taken { reading: Reading::Value(30.0), detail }))].into_iter().collect();
        // Only for a policy that asks.
        let expected = Expected { load: 24.0, error: 1.0, error_of_none: 2.0, known_secs: 1e6 };
        let advice = spec.measurements.iter().map(|measurement| {
            measurement.policy.adviser().map(|_| Advice { expected: Some(expected), ..Advice::default() })
        });
        let advice = advice.collect();
        let seen = Observation { at, dynos: Ok(4), samples, ready: Some(4), advice, ..Observation::default() };
        let record = decide(&spec, &state, &seen);
        let outcome = record.without_call().unwrap_or(CallOutcome::None);
        let record = record.conclude(&spec, &state, &outcome);
        state = settle(&spec, std::mem::take(&mut state), &record, &outcome);
        record
    };
    for _ in 0..3000 {
        tick();
    }
    bencher.counter(ItemsCount::new(1_usize)).bench_local(tick);
}

/// Each policy with its defaults; what its measurement counts, and how often it is read, as is usual for it.
#[divan::bench(args = ["app", "average", "concurrency", "forecast", "queue", "response_time", "response_time_router", "schedule", "steps", "target"])]
fn policies(bencher: Bencher<'_, '_>, name: &str) {
    let model = Model { at_once: 1, routing: Routing::Shared, variation: 1.0, objective_secs: 0.5, slow_share: 0.05 };
    let (unit, every_secs, policy): (_, _, Arc<dyn Policy>) = match name {
        "app" => (Unit::Dynos, 30, Arc::new(App)),
        "average" => (Unit::Count, 30, Arc::new(Average { low: 20.0, high: 40.0, samples: 5, increment: 1 })),
        "concurrency" => {
            let rule = Concurrency {
                target: 12.0,
                utilization: 0.7,
                stable_window: SignedDuration::from_secs(60),
                panic_window: 0.1,
                panic_threshold: 2.0,
                max_scale_up_rate: 1000.0,
                max_scale_down_rate: 2.0,
                slack: 0.05,
                beside: false,
            };
            (Unit::Count, 10, Arc::new(rule))
        }
        "queue" => {
            let rule = Queue {
                jobs_per_dyno: Some(9.0),
                latency_ms: Some(60_000.0),
                at_once: 1.0,
                utilization: 0.8,
                lower_after: SignedDuration::from_mins(2),
                ages: false,
                slack: 0.05,
            };
            (Unit::Jobs, 10, Arc::new(rule))
        }
        "forecast" => match (forecast::KIND.build)(&forecast_values(), Unit::RequestsPerSecond) {
            Ok(rule) => (Unit::RequestsPerSecond, 60, rule),
            Err(_) => return,
        },
        "schedule" => (Unit::Count, 30, Arc::new(Schedule { dynos: by_time(), events: Vec::new() })),
        "response_time" | "response_time_router" => {
            // By the lines of a router, as is recommended: read often, and with the wait in their times.
            let router = name == "response_time_router";
            let rule = ResponseTime {
                model,
                headroom: 0.1,
                slack: 0.02,
                lead: SignedDuration::from_secs(30),
                lower_after: SignedDuration::from_mins(10),
                wait_included: router,
                adapt: true,
                unit: Unit::Milliseconds,
            };
            (Unit::Milliseconds, if router { 5 } else { 30 }, Arc::new(rule))
        }
        "steps" => match (steps::KIND.build)(&step_values(), Unit::Count) {
            Ok(rule) => (Unit::Count, 30, rule),
            Err(_) => return,
        },
        _ => (Unit::RequestsPerSecond, 15, Arc::new(Target { target: 8.0, per: Per::Total, tolerance: 0.1 })),
    };
    bench_policy(bencher, unit, every_secs, policy, Vec::new());
}

fn forecast_values() -> Values {
    let mut values = Values::default();
    values.set("target", Value::Number(8.0));
    values.set("margin", Value::Number(1.0));
    values.set("ahead", Value::Duration(SignedDuration::from_mins(20)));
    values.set("learn", Value::Duration(SignedDuration::from_hours(168)));
    values
}

fn step_values() -> Values {
    let mut values = Values::default();
    values.set("steps", Value::Texts(vec!["<20: -1".to_owned(), ">40: +1".to_owned(), ">80: +50%".to_owned()]));
    values.set("fails", Value::Whole(1));
    values.set("passes", Value::Whole(5));
    values
}

/// All gates that hold nothing, asked or keeping their book.
#[divan::bench]
fn every_gate(bencher: Bencher<'_, '_>) {
    let minute = SignedDuration::from_mins(1);
    let gates: Vec<Arc<dyn Gate>> = vec![
        Arc::new(PauseGate),
        Arc::new(Tolerance { share: 0.1 }),
        Arc::new(Stabilization { up: SignedDuration::ZERO, down: SignedDuration::from_mins(5) }),
        Arc::new(IdleAfter { time: minute }),
        Arc::new(Cooldown { up: minute, down: minute }),
        Arc::new(Boot { wait: minute }),
        Arc::new(BusyFloor { newest: true, at_once: 1 }),
        Arc::new(Wake),
        Arc::new(MaxStep { up: Some(Most::Share(1.0)), down: Some(Most::Count(1)), per: minute }),
        Arc::new(Budget { hours: 1e9, to_min: true }),
    ];
    let rule = Target { target: 8.0, per: Per::Total, tolerance: 0.1 };
    bench_policy(bencher, Unit::RequestsPerSecond, 15, Arc::new(rule), gates);
}
