//! Whole runs: the core decides in the simulated world.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use autoscalebot_core::policy::consecutive::Consecutive;
use autoscalebot_simulate::{
    Arrivals, Contender, Meter, Mode, Parameter, Scenario, Search, Shape, Trace, TuneVerdict, assert, compare, html,
    report, rivals, run, run_with, tune,
};
use common::{bounds, consecutive, constant, fixed};

fn flash_crowd() -> Scenario {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/traffic/synthetic-flash-crowd.csv");
    Scenario::new(Trace::read(&path, 1.0).unwrap())
}

fn tuned(high: f64, passes: u32) -> Contender {
    let rule = Consecutive { low: 200.0, high, fails: 1, passes, increment: 1, refuse_zero: false };
    let meter = Meter::Probe { budget_secs: 10.0 };
    rivals::contender("consecutive", bounds(1, 40), meter, 30.0, Arc::new(rule))
}

#[test]
fn a_flash_crowd_is_followed_and_the_figures_are_of_one_world() {
    let scenario = flash_crowd();
    let mut records = 0;
    let mut scaled = 0;
    let report = run_with(&scenario, &consecutive(1, 40), &mut |record| {
        records += 1;
        scaled += usize::from(record.change().is_some());
    })
    .unwrap();
    assert_eq!(report.minutes.len(), 720);
    assert!((1300..1440).contains(&records), "{records}");
    assert!(report.changes > 10 && report.changes <= scaled, "{} {scaled}", report.changes);
    assert!((239..400).contains(&report.worst_minute.index), "{:?}", report.worst_minute);
    assert!((report.requests / scenario.trace.total() - 1.0).abs() < 0.01);
    assert!(report.minutes.iter().all(|minute| minute.paid + 1e-9 >= minute.serving));
    assert!(report.minutes.iter().all(|minute| minute.slow >= minute.rejected + minute.timed_out));
    assert!(report.dyno_hours > 30.0 && report.dyno_hours < 144.0, "{}", report.dyno_hours);
    assert!((report.optimum_dyno_hours - 33.95).abs() < 1.0, "{}", report.optimum_dyno_hours);
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for mode in [Mode::Exact, Mode::Fluid] {
        let scenario = Scenario { mode, ..flash_crowd() };
        let one = run(&scenario, &consecutive(1, 40)).unwrap();
        assert_eq!(one, run(&scenario, &consecutive(1, 40)).unwrap());
        assert_ne!(one, run(&scenario.with_seed(2), &consecutive(1, 40)).unwrap());
    }
}

#[test]
fn a_boot_is_waited_for_and_the_newest_dyno_stops() {
    // 2 dynos' worth of traffic on at most 2 dynos, from 1: the second serves only after the call and the boot.
    let mut scenario = Scenario::new(constant(12.0, 7200.0));
    scenario.initial_dynos = Some(1);
    (scenario.app.boot_secs, scenario.app.call_secs) = (90.0, 0.0);
    scenario.app.timeout_secs = None;
    let report = run(&scenario, &consecutive(2, 2)).unwrap();
    // The first tick, at 30 s, moves to the minimum; the second dyno is paid from then on and serves from 120 s on.
    assert!((report.minutes[0].paid - 1.5).abs() < 0.15 && report.minutes[1].paid == 2.0, "{:?}", report.minutes[0]);
    assert_eq!(report.minutes[1].serving, 1.0);
    assert!(report.minutes[2].serving > 0.9 && report.minutes[4].serving == 2.0);
}

#[test]
fn limits_reject_and_time_out() {
    for mode in [Mode::Exact, Mode::Fluid] {
        let mut scenario = Scenario { mode, ..Scenario::new(constant(20.0, 12_000.0)) };
        scenario.app.timeout_secs = Some(5.0);
        let timed_out = run(&scenario, &fixed(1)).unwrap();
        // Twice what one dyno can do: half of the requests never begin, and of the others, which begin just in time, many end
        // too late.
        let share = timed_out.timed_out / timed_out.requests;
        assert!((0.6..0.85).contains(&share), "{mode:?} {share}");
        assert!(timed_out.times.p99_secs < 5.1);
        scenario.app.timeout_secs = None;
        scenario.app.queue_limit = Some(10);
        let rejected = run(&scenario, &fixed(1)).unwrap();
        assert!((rejected.rejected / rejected.requests - 0.5).abs() < 0.05, "{mode:?} {}", rejected.rejected);
        assert_eq!(rejected.timed_out, 0.0);
        assert!(rejected.slow_share > 0.5);
    }
}

#[test]
fn no_dynos_serve_nobody() {
    for mode in [Mode::Exact, Mode::Fluid] {
        let mut scenario = Scenario { mode, ..Scenario::new(constant(2.0, 1200.0)) };
        scenario.initial_dynos = Some(0);
        let report = run(&scenario, &fixed(0)).unwrap();
        assert!((report.slow_share - 1.0).abs() < 1e-6, "{mode:?} {}", report.slow_share);
        assert_eq!(report.dyno_hours, 0.0);
        assert!(report.timed_out > 0.8 * report.requests, "{mode:?}");
    }
}

#[test]
fn bursts_and_heavy_tails_wait_longer() {
    let slow = |arrivals, shape| {
        let mut scenario = Scenario::new(constant(60.0, 60_000.0));
        (scenario.app.arrivals, scenario.app.service.shape) = (arrivals, shape);
        run(&scenario, &fixed(8)).unwrap().times.mean_wait_secs
    };
    let plain = slow(Arrivals::Poisson, Shape::Exponential);
    assert!(slow(Arrivals::Bursts { mean_size: 4.0 }, Shape::Exponential) > 2.0 * plain);
    assert!(slow(Arrivals::Poisson, Shape::Lognormal { scv: 4.0 }) > 1.5 * plain);
    assert!(slow(Arrivals::Poisson, Shape::Deterministic) < 0.8 * plain);
}

#[test]
fn every_meter_reads_the_load() {
    let scenario = Scenario::new(constant(70.0, 200_000.0));
    let readings = [
        (Meter::Rate { window_secs: 60.0 }, 70.0, 0.15),
        (Meter::Concurrency { window_secs: 300.0 }, 11.4, 0.3),
        (Meter::Percentile { quantile: 0.95, window_secs: 600.0 }, 431.0, 0.3),
    ];
    for mode in [Mode::Exact, Mode::Fluid] {
        for (meter, want, tolerance) in readings {
            let scenario = Scenario { mode, ..scenario.clone() };
            let mut contender = fixed(8);
            contender.meters = vec![meter];
            contender.spec.measurements[0].unit = meter.unit();
            contender.every_secs = 60.0;
            let (mut sum, mut count) = (0.0, 0.0);
            run_with(&scenario, &contender, &mut |record| {
                if let autoscalebot_core::Reading::Value(value) = &record.measured[0].reading {
                    sum += value;
                    count += 1.0;
                    let detail = record.measured[0].detail;
                    let near = |got: Option<f64>, want: f64| got.is_some_and(|got| (got / want - 1.0).abs() < 0.5);
                    assert!(near(detail.rate, 70.0) && near(detail.service_ms, 100.0), "{detail:?}");
                }
            })
            .unwrap();
            assert!((sum / count / want - 1.0).abs() < tolerance, "{mode:?} {meter:?} {}", sum / count);
        }
    }
}

/// Three servers can do 30 of the 54 requests that come in a second: a router has lines for those 30 alone, and their times.
#[test]
fn a_router_sees_answers_and_tells_what_comes() {
    for mode in [Mode::Exact, Mode::Fluid] {
        let scenario = Scenario { mode, ..Scenario::new(constant(54.0, 4000.0)) };
        let mut contender = fixed(3);
        contender.meters = vec![Meter::Lines { quantile: 0.95, window_secs: 4.0 }];
        contender.spec.measurements[0].unit = contender.meters[0].unit();
        contender.every_secs = 5.0;
        let start = scenario.trace.start;
        let (mut came, mut answered, mut seen) = (0.0, 0.0, 0.0);
        run_with(&scenario, &contender, &mut |record| {
            // Before anybody has given up, which takes 30 s.
            if (10.0..29.0).contains(&record.at.duration_since(start).as_secs_f64()) {
                let detail = record.measured[0].detail;
                let within_secs = detail.service_ms.unwrap() / 1000.0;
                assert!(within_secs > 3.0, "the wait is in it");
                came += detail.rate.unwrap();
                answered += detail.concurrency.unwrap() / within_secs;
                seen += 1.0;
            }
        })
        .unwrap();
        assert!((came / seen - 54.0).abs() < 8.0, "{mode:?} {} came", came / seen);
        assert!((answered / seen - 30.0).abs() < 4.0, "{mode:?} {} answered", answered / seen);
    }
}

#[test]
fn rivals_and_the_optimum_in_one_table() {
    let scenario = flash_crowd();
    let done = AtomicUsize::new(0);
    let contenders =
        [consecutive(1, 40), rivals::heroku(0.5, bounds(1, 40)), rivals::heroku_fitted(&scenario.app, bounds(1, 40))];
    let comparison = compare(&scenario, &contenders, &|progress| {
        done.fetch_max(progress.done, Ordering::Relaxed);
    })
    .unwrap();
    assert_eq!(done.load(Ordering::Relaxed), 3);
    let [_, heroku, fitted] = comparison.reports.as_slice() else { unreachable!() };
    // An hour of the past stays slow for an hour after a crowd: the threshold rule goes on adding.
    assert!(heroku.dyno_hours > 2.0 * fitted.dyno_hours, "{} {}", heroku.dyno_hours, fitted.dyno_hours);
    assert!(fitted.optimum_ratio < 1.5 && fitted.slow_share < 0.2, "{} {}", fitted.optimum_ratio, fitted.slow_share);
    assert!(comparison.optimum.slow_share < 0.05, "{}", comparison.optimum.slow_share);
    assert!((comparison.optimum.optimum_ratio - 1.0).abs() < 0.02, "{}", comparison.optimum.optimum_ratio);
    assert!(!comparison.unbeaten().is_empty());
    let text = report::text(&comparison);
    assert!(text.lines().any(|line| line.starts_with("heroku-fitted  ")), "{text}");
    let json = report::json(&comparison);
    assert_eq!(json["reports"][0]["name"], "consecutive");
    assert!(json["optimum"]["p95_secs"].is_f64() && json["reports"][0]["minutes"].is_null());
    let page = html::html(&comparison).unwrap();
    assert_eq!(page.matches("<svg").count(), 3);
    assert!(
        page.contains("clairvoyant optimum") && page.contains("requests per second") && page.contains("milliseconds")
    );
    assert!(
        !page.contains("http://")
            || page.matches("http://").count() == page.matches("http://www.w3.org/2000/svg").count()
    );
    assert!(!page.contains("<script") && !page.contains("https://"));
    for assertion in assert::parse("slow_share < 100%, dyno_hours > 0 and changes > 1").unwrap() {
        assertion.check(&comparison.reports[0]).unwrap();
    }
    let broken = assert::parse("slow_share < 0.1%").unwrap()[0].check(heroku).unwrap_err().to_string();
    assert!(
        broken.starts_with("heroku on synthetic-flash-crowd: slow_share < 0.001 does not hold, it is 0."),
        "{broken}"
    );
}

#[test]
fn tuning_finds_the_better_and_knows_noise() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/traffic/synthetic-diurnal.csv");
    let mut trace = Trace::read(&path, 1.0).unwrap();
    trace.requests.truncate(2 * 1440);
    let scenario = Scenario { mode: Mode::Fluid, ..Scenario::new(trace) };
    let parameters = [
        Parameter { name: "high".to_owned(), values: vec![300.0, 500.0, 1000.0] },
        Parameter { name: "passes".to_owned(), values: vec![2.0, 10.0, 30.0, 120.0] },
    ];
    let make = |values: &[f64]| Ok(tuned(values[0], values[1] as u32));
    let mut search = Search {
        parameters: &parameters,
        baseline: &[300.0, 120.0],
        make: &make,
        train_share: 0.5,
        most_slow: 0.05,
        budget: 100,
        seeds: 5,
    };
    let found = tune(&scenario, &search, &|_| {}).unwrap();
    assert_eq!((found.tried, found.best.len(), found.best_reports.len()), (12, 2, 5));
    assert_eq!(found.verdict, TuneVerdict::Better, "{:?} {:?} {:?}", found.best, found.hours_saved, found.slow_less);
    let best: Vec<f64> = found.best.iter().map(|(_, value)| *value).collect();
    search.baseline = &best;
    let again = tune(&scenario, &search, &|_| {}).unwrap();
    assert_eq!((again.verdict, again.hours_saved.mean), (TuneVerdict::WithinNoise, 0.0));
    search.budget = 6;
    assert!(tune(&scenario, &search, &|_| {}).unwrap().tried <= 6);
    search.train_share = 1.0;
    assert!(tune(&scenario, &search, &|_| {}).is_err());
}

#[test]
fn what_cannot_be_is_said() {
    let scenario = flash_crowd();
    let mut contender = consecutive(1, 40);
    contender.meters = vec![Meter::Waiting];
    let error = run(&scenario, &contender).unwrap_err().to_string();
    assert!(error.contains("counts ms, but its meter reads jobs"), "{error}");
    contender.meters.clear();
    assert!(run(&scenario, &contender).unwrap_err().to_string().contains("give one meter for each"));
    let spec = consecutive(1, 40).spec;
    assert_eq!(Contender::new("c", spec.clone(), 30.0).unwrap().meters, consecutive(1, 40).meters);
    let mut asks = spec;
    asks.measurements[0].unit = autoscalebot_core::Unit::Dynos;
    assert!(Contender::new("c", asks, 30.0).unwrap_err().to_string().contains("leave it out"));
    let mut bad = scenario.clone();
    bad.app.service.mean_secs = 0.0;
    assert!(run(&bad, &consecutive(1, 40)).unwrap_err().to_string().contains("service.mean_secs is 0"));
    let empty = Scenario { trace: constant(1.0, 0.0), ..scenario };
    assert!(run(&empty, &consecutive(1, 40)).is_err());
}
