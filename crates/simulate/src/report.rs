//! Comparisons and searches as text for a terminal and as JSON for a program. The HTML page is in `html`.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::compare::Comparison;
use crate::outcome::Report;
use crate::tune::{TuneVerdict, Tuned};

/// The heads of the table's columns.
pub(crate) const COLUMNS: [&str; 11] = [
    "policy",
    "dyno-hours",
    "/ optimum",
    "cost",
    "slow",
    "p50 ms",
    "p95 ms",
    "p99 ms",
    "changes",
    "reversals",
    "worst minute",
];

/// One run as the cells of a row.
pub(crate) fn cells(report: &Report) -> [String; 11] {
    let ms = |secs: f64| format!("{:.0}", secs * 1000.0);
    let worst = report.worst_minute;
    let at = worst.at.strftime("%m-%d %H:%M");
    [
        report.name.clone(),
        format!("{:.1}", report.dyno_hours),
        format!("{:.2}", report.optimum_ratio),
        format!("{:.2}", report.cost),
        format!("{:.2} %", report.slow_share * 100.0),
        ms(report.times.p50_secs),
        ms(report.times.p95_secs),
        ms(report.times.p99_secs),
        report.changes.to_string(),
        report.reversals.to_string(),
        format!("{} ms at minute {} ({at}Z)", ms(worst.p95_secs), worst.index),
    ]
}

/// What the numbers are about, in one sentence.
pub(crate) fn heading(report: &Report) -> String {
    format!(
        "{}: {:.0} requests in {} minutes from {}, objective {} ms, seed {}, {}",
        report.trace,
        report.requests,
        report.minutes.len(),
        report.start,
        report.objective_secs * 1000.0,
        report.seed,
        match report.mode {
            crate::run::Mode::Exact => "each request simulated",
            crate::run::Mode::Fluid => "simulated as a flow",
        }
    )
}

/// Sentences that a reader of the table must not miss.
pub(crate) fn remarks(comparison: &Comparison) -> Vec<String> {
    let mut remarks = Vec::new();
    let unbeaten = comparison.unbeaten();
    if comparison.reports.len() > 1 {
        remarks.push(match unbeaten.as_slice() {
            [one] => format!(
                "{one} is cheaper and slows fewer requests than each other policy, or is equal in one of the two."
            ),
            several => format!(
                "Cost and slow requests are traded between {}: none of them is better in both.",
                several.join(", ")
            ),
        });
    }
    remarks.push(format!(
        "clairvoyant knows the whole trace and holds the fewest dynos that its stationary model needs; simulated, {:.2} % of \
         its requests are slow.",
        comparison.optimum.slow_share * 100.0
    ));
    for report in comparison.reports.iter().filter(|report| report.beyond_bounds_minutes > 0) {
        remarks.push(format!(
            "{}: in {} minutes more dynos are needed than its maximum allows, by any policy.",
            report.name, report.beyond_bounds_minutes
        ));
    }
    remarks
}

/// A comparison as a table.
pub fn text(comparison: &Comparison) -> String {
    let mut out = String::new();
    let rows: Vec<_> = comparison.reports.iter().chain([&comparison.optimum]).map(cells).collect();
    let heads = COLUMNS.map(str::to_owned);
    let width = |column: usize| {
        let cells = rows.iter().chain([&heads]).map(|row| row[column].chars().count());
        cells.max().unwrap_or(0)
    };
    let widths: Vec<_> = (0..COLUMNS.len()).map(width).collect();
    // Writing to a string cannot fail.
    let _ = writeln!(out, "{}\n", heading(&comparison.optimum));
    for row in [&heads].into_iter().chain(&rows) {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let _ = match column {
                0 => write!(line, "{cell:<width$}"),
                10 => write!(line, "  {cell}"),
                _ => write!(line, "  {cell:>width$}"),
            };
        }
        let _ = writeln!(out, "{}", line.trim_end());
    }
    out.push('\n');
    for remark in remarks(comparison) {
        let _ = writeln!(out, "{remark}");
    }
    out
}

/// A comparison as JSON: `{"reports":[…],"optimum":{…},"unbeaten":[…]}`.
pub fn json(comparison: &Comparison) -> Value {
    let reports: Vec<_> = comparison.reports.iter().map(report_json).collect();
    json!({
        "reports": reports,
        "optimum": report_json(&comparison.optimum),
        "unbeaten": comparison.unbeaten(),
    })
}

fn report_json(report: &Report) -> Value {
    // A report has string keys and numbers only; an infinite ratio becomes null.
    serde_json::to_value(report).unwrap_or(Value::Null)
}

/// What a search found, in sentences.
pub fn tuned_text(tuned: &Tuned) -> String {
    let mut out = String::new();
    let values: Vec<_> = tuned.best.iter().map(|(name, value)| format!("{name} = {value}")).collect();
    let _ = writeln!(out, "Best of {} combinations on the first part: {}", tuned.tried, values.join(", "));
    let searched = &tuned.searched;
    let _ = writeln!(
        out,
        "There: {:.1} dyno-hours, {:.2} times the optimum, {:.2} % slow",
        searched.dyno_hours,
        searched.optimum_ratio,
        searched.slow_share * 100.0
    );
    let mean =
        |reports: &[Report], of: fn(&Report) -> f64| reports.iter().map(of).sum::<f64>() / reports.len().max(1) as f64;
    for (name, reports) in [("best", &tuned.best_reports), ("baseline", &tuned.baseline_reports)] {
        let _ = writeln!(
            out,
            "On the part not searched, {name}: {:.1} dyno-hours, {:.2} times the optimum, {:.2} % slow (mean of {} seeds)",
            mean(reports, |report| report.dyno_hours),
            mean(reports, |report| report.optimum_ratio),
            100.0 * mean(reports, |report| report.slow_share),
            reports.len()
        );
    }
    let _ = writeln!(
        out,
        "Saved: {:.2} ± {:.2} dyno-hours, {:.3} ± {:.3} % slow requests (95 % interval over seeds)",
        tuned.hours_saved.mean,
        tuned.hours_saved.half_width,
        tuned.slow_less.mean * 100.0,
        tuned.slow_less.half_width * 100.0
    );
    let _ = writeln!(
        out,
        "{}",
        match tuned.verdict {
            TuneVerdict::Better => "Better: it holds on traffic that the search has not seen.",
            TuneVerdict::WithinNoise =>
                "Within noise: the seeds alone make as much difference; keep the settings you have.",
            TuneVerdict::Traded =>
                "Traded: one of cost and slow requests is better and the other worse; it is your choice.",
            TuneVerdict::Worse => "Worse on traffic that the search has not seen; keep the settings you have.",
        }
    );
    out
}
