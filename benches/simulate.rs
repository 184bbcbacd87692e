//! Speed of the simulator. Run with `cargo bench -p autoscalebot-simulate`.

use std::sync::Arc;

use autoscalebot_core::policy::consecutive::Consecutive;
use autoscalebot_core::{BoundTable, BoundTables};
use autoscalebot_simulate::{Contender, Meter, Mode, Report, Scenario, SimulateError, Trace, rivals, run};
use divan::counter::ItemsCount;
use jiff::Timestamp;
use jiff::tz::TimeZone;

fn main() {
    divan::main();
}

/// 2.1's rule on a heartbeat.
fn contender(every_secs: f64) -> Contender {
    let rule = Consecutive { low: 200.0, high: 500.0, fails: 2, passes: 5, increment: 1, refuse_zero: false };
    let bounds = BoundTables { min: BoundTable::Fixed(1), max: BoundTable::Fixed(40), zone: TimeZone::UTC };
    rivals::contender("consecutive", bounds, Meter::Probe { budget_secs: 10.0 }, every_secs, Arc::new(rule))
}

/// Days of a daily wave around `mean` requests a second, a row a minute.
fn wave(days: usize, mean: f64) -> Trace {
    let row = |minute: usize| {
        let turn = minute as f64 * std::f64::consts::TAU / 1440.0;
        (60.0 * mean * (1.0 - 0.8 * turn.cos())).round()
    };
    Trace::new("wave", Timestamp::UNIX_EPOCH, 60, (0..days * 1440).map(row).collect())
}

fn simulate(scenario: &Scenario, contender: &Contender) -> Result<Report, SimulateError> {
    run(scenario, contender)
}

/// A year of minutes of one process as a flow, a tick a minute.
#[divan::bench(sample_count = 3, sample_size = 1)]
fn year_of_minutes(bencher: divan::Bencher<'_, '_>) {
    let mut scenario = Scenario::new(wave(365, 50.0));
    scenario.mode = Mode::Fluid;
    let contender = contender(60.0);
    bencher.counter(ItemsCount::new(525_600_usize)).bench_local(|| simulate(&scenario, &contender));
}

/// A month of 10 million requests, each of its own, a tick each half minute.
#[divan::bench(sample_count = 3, sample_size = 1)]
fn ten_million_requests(bencher: divan::Bencher<'_, '_>) {
    let mut scenario = Scenario::new(wave(30, 10e6 / (30.0 * 86_400.0)));
    scenario.mode = Mode::Exact;
    scenario.app.service.mean_secs = 1.0;
    scenario.app.objective_secs = 5.0;
    let contender = contender(30.0);
    bencher.counter(ItemsCount::new(10_000_000_usize)).bench_local(|| simulate(&scenario, &contender));
}
