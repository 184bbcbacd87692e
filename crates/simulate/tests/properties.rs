//! What holds for every app, trace and seed.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use autoscalebot_core::queueing::Routing;
use autoscalebot_simulate::{App, Arrivals, Mode, Scenario, Service, Shape, Trace, run_with};
use common::consecutive;
use jiff::Timestamp;
use proptest::prelude::*;

fn shape() -> impl Strategy<Value = Shape> {
    prop_oneof![
        Just(Shape::Exponential),
        Just(Shape::Deterministic),
        (0.1..5.0).prop_map(|scv| Shape::Gamma { scv }),
        (0.1..5.0).prop_map(|scv| Shape::Lognormal { scv }),
    ]
}

fn app() -> impl Strategy<Value = App> {
    let arrivals =
        prop_oneof![Just(Arrivals::Poisson), (1.0..10.0).prop_map(|mean_size| Arrivals::Bursts { mean_size })];
    let queue = (prop::option::of(0_u32..50), prop::option::of(0.05..40.0));
    let delays = (0.0..200.0, 0.0..90.0, 0.0..100.0, 0.0..1.0);
    let routing = prop_oneof![Just(Routing::Shared), Just(Routing::Random)];
    (1_u32..4, routing, 0.01..2.0, shape(), arrivals, queue, delays).prop_map(
        |(servers_per_dyno, routing, mean_secs, shape, arrivals, (queue_limit, timeout_secs), delays)| App {
            servers_per_dyno,
            routing,
            service: Service { mean_secs, shape },
            arrivals,
            queue_limit,
            timeout_secs,
            boot_secs: delays.0,
            call_secs: delays.1,
            metric_delay_secs: delays.2,
            metric_noise: delays.3,
            ..App::default()
        },
    )
}

fn scenario() -> impl Strategy<Value = Scenario> {
    let steps = prop_oneof![Just(20_u32), Just(60), Just(300)];
    let requests = prop::collection::vec(prop_oneof![Just(0.0), 0.0..3000.0_f64], 1..20);
    let mode = prop_oneof![Just(Mode::Exact), Just(Mode::Fluid)];
    let initial = prop::option::of(0_u32..6);
    (app(), steps, requests, mode, initial, any::<u64>()).prop_map(
        |(app, step, requests, mode, initial_dynos, seed)| {
            let trace = Trace::new("t", Timestamp::UNIX_EPOCH, step, requests);
            Scenario { app, mode, initial_dynos, seed, ..Scenario::new(trace) }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn figures_are_of_a_possible_world(scenario in scenario(), max in 1_u32..8) {
        let mut records = Vec::new();
        let report = run_with(&scenario, &consecutive(1, max), &mut |record| records.push(record.clone())).unwrap();
        prop_assert_eq!(report.minutes.len(), scenario.trace.minutes());
        for minute in &report.minutes {
            let near = 1e-6 * (1.0 + minute.requests);
            prop_assert!(minute.slow <= minute.requests + near, "{minute:?}");
            prop_assert!(minute.rejected + minute.timed_out <= minute.slow + near, "{minute:?}");
            prop_assert!((0.0..=1.0).contains(&minute.utilisation), "{minute:?}");
            prop_assert!(minute.serving <= minute.paid + 1e-9, "{minute:?}");
            prop_assert!(minute.p95_secs.is_finite() && minute.p95_secs >= 0.0, "{minute:?}");
            prop_assert!(minute.mean_wait_secs.is_finite() && minute.mean_wait_secs >= 0.0, "{minute:?}");
            prop_assert!(minute.concurrency.is_finite() && minute.concurrency >= -1e-9, "{minute:?}");
            if let Some(timeout) = scenario.app.timeout_secs {
                prop_assert!(minute.p95_secs <= timeout * 1.001, "{minute:?}");
            }
        }
        prop_assert!((0.0..=1.0 + 1e-9).contains(&report.slow_share));
        prop_assert!(report.times.p50_secs <= report.times.p95_secs && report.times.p95_secs <= report.times.p99_secs);
        prop_assert!(report.dyno_hours.is_finite());
        // Fluid requests are the trace's own; exact ones are drawn around it.
        if scenario.mode == Mode::Fluid {
            let total = scenario.trace.total();
            prop_assert!((report.requests - total).abs() <= 1e-6 * (1.0 + total), "{} {total}", report.requests);
        }
        // After the first tick the bounds hold, whatever the start was.
        for record in records.iter().skip(1) {
            let after = record.after.unwrap();
            prop_assert!(after <= max && (after >= 1 || scenario.initial_dynos == Some(0)));
        }
    }
}
