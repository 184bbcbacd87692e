//! The formulas against the reference figures in tests/data.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::{Path, PathBuf};

use autoscalebot_core::queueing::Routing;
use autoscalebot_simulate::clairvoyant::{Terms, optimum};
use autoscalebot_simulate::theory::{Mmc, mg1_mean_wait};
use autoscalebot_simulate::trace::Trace;

fn rows(text: &str) -> Vec<Vec<String>> {
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).skip(1);
    lines.map(|line| line.split(',').map(str::to_owned).collect()).collect()
}

/// The references print six significant digits.
fn close(got: f64, want: &str) -> bool {
    let want: f64 = want.parse().unwrap();
    (got - want).abs() <= 6e-6 * want.abs()
}

#[test]
fn queueing_formulas_give_the_reference_figures() {
    let rows = rows(include_str!("data/queueing-reference.csv"));
    assert_eq!(rows.len(), 21);
    for row in rows {
        let number = |n: usize| row[n].parse::<f64>().unwrap();
        let (lambda, mu, servers, scv) = (number(1), number(2), row[3].parse().unwrap(), number(4));
        if row[0] == "M/M/c" {
            let queue = Mmc { lambda, mu, servers };
            assert!(close(queue.rho(), &row[5]), "{row:?}");
            assert!(close(queue.p_wait(), &row[6]), "{row:?}");
            assert!(close(queue.mean_wait(), &row[7]), "{row:?}");
            assert!(close(queue.mean_wait() + 1.0 / mu, &row[8]), "{row:?}");
            assert!(close(queue.response_quantile(0.95), &row[9]), "{row:?}");
        } else {
            assert!(close(mg1_mean_wait(lambda, mu, scv), &row[7]), "{row:?}");
            assert!(close(mg1_mean_wait(lambda, mu, scv) + 1.0 / mu, &row[8]), "{row:?}");
        }
    }
}

fn trace_file(name: &str) -> Option<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    [here.join("../../examples/traffic"), here.join("../../../shared/traffic")]
        .into_iter()
        .map(|dir| dir.join(name))
        .find(|p| p.exists())
}

#[test]
fn clairvoyant_optimum_gives_the_reference_figures() {
    let mut tested = 0;
    for row in rows(include_str!("data/clairvoyant-reference.csv")) {
        let Some(path) = trace_file(&row[0]) else { continue };
        let trace = Trace::read(&path, row[1].parse().unwrap()).unwrap();
        let terms = Terms {
            mu: 10.0,
            servers_per_dyno: 1,
            routing: Routing::Shared,
            objective_secs: 0.5,
            slow_share: 0.05,
            boot_minutes: row[2].parse().unwrap(),
            most_per_minute: row[3].parse().unwrap(),
            change_fee: 0.0,
        };
        let rates = trace.minute_rates();
        let schedule = optimum(&rates, |_| (1, 40), &terms);
        let figures = schedule.figures(&rates, &terms);
        assert_eq!(rates.len().to_string(), row[4], "{row:?}");
        assert_eq!(format!("{:.4}", figures.dyno_hours), row[5], "{row:?}");
        assert_eq!(format!("{:.4}", figures.static_dyno_hours), row[6], "{row:?}");
        assert_eq!(figures.max_dynos.to_string(), row[7], "{row:?}");
        assert_eq!(figures.changes.to_string(), row[8], "{row:?}");
        assert!(close(figures.slow_share, &row[9]), "{row:?}: {}", figures.slow_share);
        assert_eq!(figures.worst.0.to_string(), row[10], "{row:?}");
        assert!(close(figures.worst.1, &row[11]), "{row:?}: {}", figures.worst.1);
        assert!(schedule.broken.is_empty());
        tested += 1;
    }
    assert!(tested >= 9, "{tested}");
}
