//! The simulated queues against theory.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use autoscalebot_core::queueing::Routing;
use autoscalebot_simulate::theory::{Mmc, mg1_mean_wait};
use autoscalebot_simulate::{Mode, Shape, run};
use common::{fixed, queue};

const REQUESTS: f64 = 1e6;

/// The relative distance of the simulated from the theoretical mean wait, and of the p95.
fn distance(rate: f64, mu: f64, dynos: u32, shape: Shape, requests: f64) -> f64 {
    let report = run(&queue(rate, mu, shape, requests), &fixed(dynos)).unwrap();
    let scv = shape.scv();
    let theory = if scv == 1.0 {
        Mmc { lambda: rate, mu, servers: dynos }.mean_wait()
    } else {
        assert_eq!(dynos, 1);
        mg1_mean_wait(rate, mu, scv)
    };
    report.times.mean_wait_secs / theory - 1.0
}

#[test]
fn mmc_mean_waits() {
    let rows = [
        (0.5, 1.0, 1, 0.02),
        (8.0, 10.0, 1, 0.02),
        (15.0, 10.0, 2, 0.02),
        (30.0, 10.0, 4, 0.02),
        (18.0, 10.0, 2, 0.05),
        (36.0, 10.0, 4, 0.05),
        (90.0, 10.0, 10, 0.05),
        (40.0, 4.0, 12, 0.05),
    ];
    for (rate, mu, dynos, tolerance) in rows {
        let off = distance(rate, mu, dynos, Shape::Exponential, REQUESTS);
        assert!(off.abs() < tolerance, "{rate} {mu} {dynos}: {off}");
    }
}

#[test]
fn md1_and_mg1_mean_waits() {
    // Large scv settles slowly: the standard error of these means after 10^6 requests is a few per cent.
    let rows = [
        (0.5, 1.0, Shape::Deterministic, 0.02),
        (8.0, 10.0, Shape::Deterministic, 0.02),
        (9.0, 10.0, Shape::Deterministic, 0.05),
        (8.0, 10.0, Shape::Gamma { scv: 0.5 }, 0.03),
        (8.0, 10.0, Shape::Gamma { scv: 2.0 }, 0.06),
        (6.0, 10.0, Shape::Gamma { scv: 4.0 }, 0.08),
        (6.0, 10.0, Shape::Lognormal { scv: 4.0 }, 0.10),
    ];
    for (rate, mu, shape, tolerance) in rows {
        let off = distance(rate, mu, 1, shape, REQUESTS);
        assert!(off.abs() < tolerance, "{rate} {mu} {shape:?}: {off}");
    }
}

#[test]
fn percentiles_of_mmc() {
    let report = run(&queue(70.0, 10.0, Shape::Exponential, REQUESTS), &fixed(8)).unwrap();
    let theory = Mmc { lambda: 70.0, mu: 10.0, servers: 8 };
    assert!((report.times.p95_secs / theory.response_quantile(0.95) - 1.0).abs() < 0.03, "{:?}", report.times);
    assert!((report.slow_share / theory.tail(0.5) - 1.0).abs() < 0.1, "{}", report.slow_share);
}

/// A Poisson process that is dealt at random is one for each dyno, so each is M/M/c or M/D/1 by itself: figures of the reference.
#[test]
fn dynos_with_queues_of_their_own() {
    let rows = [
        (40.0, 5, 1, Shape::Exponential, 0.4, Some(1.49787)),
        (90.0, 3, 4, Shape::Exponential, 0.0509434, Some(0.412810)),
        (40.0, 5, 1, Shape::Deterministic, 0.2, None),
    ];
    for (rate, dynos, servers, shape, wait, p95) in rows {
        let mut scenario = queue(rate, 10.0, shape, REQUESTS);
        (scenario.app.routing, scenario.app.servers_per_dyno) = (Routing::Random, servers);
        for mode in [Mode::Exact, Mode::Fluid] {
            scenario.mode = mode;
            let times = run(&scenario, &fixed(dynos)).unwrap().times;
            assert!((times.mean_wait_secs / wait - 1.0).abs() < 0.03, "{rate} {dynos} {mode:?}: {times:?}");
            if let Some(p95) = p95 {
                assert!((times.p95_secs / p95 - 1.0).abs() < 0.03, "{rate} {dynos} {mode:?}: {times:?}");
            }
        }
    }
}

#[test]
fn fluid_is_near_to_exact_while_the_servers_keep_up() {
    for (rate, dynos) in [(30.0, 4), (70.0, 8), (8.0, 1)] {
        let exact = queue(rate, 10.0, Shape::Exponential, REQUESTS);
        let mut fluid = exact.clone();
        fluid.mode = Mode::Fluid;
        let (exact, fluid) = (run(&exact, &fixed(dynos)).unwrap(), run(&fluid, &fixed(dynos)).unwrap());
        assert!(
            (fluid.times.p95_secs / exact.times.p95_secs - 1.0).abs() < 0.05,
            "{:?} {:?}",
            fluid.times,
            exact.times
        );
        assert!((fluid.times.mean_wait_secs / exact.times.mean_wait_secs - 1.0).abs() < 0.05);
        assert!((fluid.requests / exact.requests - 1.0).abs() < 0.01);
        assert!((fluid.slow_share - exact.slow_share).abs() < 0.01);
        assert!((fluid.dyno_hours / exact.dyno_hours - 1.0).abs() < 1e-9);
    }
}

/// Little's law: the mean number under way is the rate times the mean time, over any span that begins and ends empty.
#[test]
fn littles_law() {
    for shape in [Shape::Exponential, Shape::Deterministic, Shape::Lognormal { scv: 2.0 }] {
        let report = run(&queue(15.0, 10.0, shape, 2e5), &fixed(2)).unwrap();
        let under_way: f64 =
            report.minutes.iter().map(|minute| minute.concurrency).sum::<f64>() / report.minutes.len() as f64;
        let rate = report.requests / (report.minutes.len() as f64 * 60.0);
        let time = report.times.mean_wait_secs + 0.1;
        assert!((under_way / (rate * time) - 1.0).abs() < 0.02, "{shape:?} {under_way} {rate} {time}");
        let busy = report.minutes.iter().map(|minute| minute.utilisation).sum::<f64>() / report.minutes.len() as f64;
        assert!((busy / (rate * 0.1 / 2.0) - 1.0).abs() < 0.02, "{shape:?} {busy}");
    }
}
