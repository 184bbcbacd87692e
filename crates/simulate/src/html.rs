//! [`html`]: a comparison as one page that needs nothing else: no script, no network.

use std::fmt::Write as _;

use jiff::{SignedDuration, Timestamp};

use crate::compare::Comparison;
use crate::outcome::Report;
use crate::plot::{Chart, Kind, Line, svg};
use crate::report::{COLUMNS, cells, heading, remarks};
use crate::run::SimulateError;

const STYLE: &str = "body{font:15px/1.5 sans-serif;margin:2em auto;max-width:1120px;padding:0 1em;color:#222;background:#fff}\
table{border-collapse:collapse;margin:1em 0;display:block;overflow-x:auto}th,td{padding:.3em .7em;text-align:right;\
border-bottom:1px solid #ddd;white-space:nowrap}th:first-child,td:first-child,th:last-child,td:last-child{text-align:left}\
tr:last-child td{color:#666}svg{max-width:100%;height:auto;display:block;margin:1em 0}";

/// The least time on the axis of response times, in milliseconds.
const LEAST_MS: f64 = 10.0;

/// The page: a table, the load, dynos against the optimum, and the p95 of each minute.
pub fn html(comparison: &Comparison) -> Result<String, SimulateError> {
    let first = comparison.reports.first().unwrap_or(&comparison.optimum);
    let start = first.start;
    let label = |minute: f64| minute_label(start, minute, first.minutes.len());
    let charts = [
        Chart {
            title: "Load",
            y_label: "requests per second",
            log_from: None,
            lines: vec![Line {
                name: "requests that came".to_owned(),
                values: first.minutes.iter().map(|minute| minute.requests / 60.0).collect(),
                kind: Kind::Mean,
            }],
            minute_label: &label,
        },
        Chart {
            title: "Dynos against the optimum",
            y_label: "dynos paid",
            log_from: None,
            lines: lines(
                comparison,
                |minute| minute.paid,
                |report| {
                    (
                        "clairvoyant optimum".to_owned(),
                        report.optimum.dynos.iter().map(|dynos| f64::from(*dynos)).collect(),
                    )
                },
            ),
            minute_label: &label,
        },
        Chart {
            title: "95th percentile of each minute's response times",
            y_label: "milliseconds",
            log_from: Some(LEAST_MS),
            lines: lines(
                comparison,
                |minute| minute.p95_secs * 1000.0,
                |report| {
                    let objective = report.objective_secs * 1000.0;
                    (format!("objective, {objective} ms"), vec![objective; report.minutes.len()])
                },
            ),
            minute_label: &label,
        },
    ];
    let mut page = String::new();
    let title = escaped(&format!("autoscalebot simulate: {}", first.trace));
    // Writing to a string cannot fail.
    let _ = write!(
        page,
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>{title}</title><style>{STYLE}</style></head><body>\n<h1>{title}</h1>\n<p>{}</p>\n",
        escaped(&heading(first))
    );
    table(&mut page, comparison);
    for remark in remarks(comparison) {
        let _ = writeln!(page, "<p>{}</p>", escaped(&remark));
    }
    for chart in &charts {
        page.push_str(&svg(chart).map_err(SimulateError::Plot)?);
    }
    page.push_str("</body></html>\n");
    Ok(page)
}

fn lines(
    comparison: &Comparison,
    value: fn(&crate::minutes::Minute) -> f64,
    reference: fn(&Report) -> (String, Vec<f64>),
) -> Vec<Line> {
    let contenders = comparison.reports.iter().map(|report| Line {
        name: report.name.clone(),
        values: report.minutes.iter().map(value).collect(),
        kind: Kind::Highest,
    });
    let (name, values) = reference(&comparison.optimum);
    contenders.chain([Line { name, values, kind: Kind::Reference }]).collect()
}

fn table(page: &mut String, comparison: &Comparison) {
    page.push_str("<table><tr>");
    for head in COLUMNS {
        let _ = write!(page, "<th>{}</th>", escaped(head));
    }
    page.push_str("</tr>\n");
    for report in comparison.reports.iter().chain([&comparison.optimum]) {
        page.push_str("<tr>");
        for cell in cells(report) {
            let _ = write!(page, "<td>{}</td>", escaped(&cell));
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</table>\n");
}

/// The clock where a trace has less than two days, the date where it has more than two weeks, else both.
fn minute_label(start: Timestamp, minute: f64, minutes: usize) -> String {
    let at = start.checked_add(SignedDuration::from_secs((minute * 60.0) as i64)).unwrap_or(start);
    let format = match minutes {
        0..=2880 => "%H:%M",
        2881..=20_160 => "%m-%d %H:%M",
        _ => "%Y-%m-%d",
    };
    at.strftime(format).to_string()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_say_as_much_as_the_length_needs() {
        let start = Timestamp::UNIX_EPOCH;
        assert_eq!(minute_label(start, 61.0, 720), "01:01");
        assert_eq!(minute_label(start, 1500.0, 10_000), "01-02 01:00");
        assert_eq!(minute_label(start, 1500.0, 525_600), "1970-01-02");
        assert_eq!(escaped("<a href=\"x\">&"), "&lt;a href=&quot;x&quot;&gt;&amp;");
    }
}
