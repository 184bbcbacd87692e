//! One tick of the core: `decide`, `conclude`, `settle`, as the engine calls them. Run with
//! `cargo bench -p autoscalebot-core`.

use std::sync::Arc;

use autoscalebot_core::gate::cooldown::Cooldown;
use autoscalebot_core::gate::pause::PauseGate;
use autoscalebot_core::policy::consecutive::Consecutive;
use autoscalebot_core::{
    BoundTable, BoundTables, CallOutcome, MeasurementSpec, MinuteOfWeek, Observation, Reading, Record, Sample, Spec,
    State, Unit, Zero, decide, settle,
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
