//! `judoscale`: what Judoscale's adapters report (<https://github.com/judoscale>), `POST …/v3/reports`, in all languages.
//!
//! - A web process reports the queue time (`qt`) and the app's time (`at`) of each request, and its utilization (`up`). The
//!   queue time is from `X-Request-Start`, as the adapter reads it.
//! - Job numbers carry a queue's name: `qt` is the age of the oldest job that waits, `qd` the depth, `busy` the jobs being run.
//!   They are about the whole app, and each of its processes repeats them, so the newest of each queue is taken and nothing is
//!   added up over processes.
//! - Celery's priorities are lists of their own, `mailer\x06\x169`; they belong to `mailer`.
//! - A container's name may be anything, so what does not tell its process type is about any.

use std::borrow::Cow;
use std::sync::Arc;

use autoscalebot_core::Unit;
use autoscalebot_core::fields::{Field, FieldError, FieldType, Values};
use serde::Deserialize;
use serde_json::Value;

use crate::intake::settings::{PERCENTILE, SILENT_AFTER, TOKEN, WINDOW, listen};
use crate::intake::{Of, Report, Sender, Told, plausible_ms, process_of, seconds};
use crate::told::{self, Pointing, To, Way};
use crate::{Measure, MeasureContext, MeasureEntry};

/// The entry in the list of measurements.
pub const ENTRY: MeasureEntry = told::entry(
    "judoscale",
    "Queue times, job latency, depth, busy jobs or utilization, as Judoscale's adapters report them.",
    FIELDS,
    build,
);

const FIELDS: &[Field] = &[
    TOKEN,
    Field::defaulting(
        "value",
        FieldType::Counts(&[
            ("queue_time", Unit::Milliseconds),
            ("latency", Unit::Milliseconds),
            ("depth", Unit::Jobs),
            ("busy", Unit::Jobs),
            ("utilization", Unit::Count),
        ]),
        "\"queue_time\"",
        "Which number: how long requests wait before the app sees them; how long the oldest job waits; how many jobs wait; how many are run; or the share of time with a request, in per cent.",
    ),
    PERCENTILE,
    WINDOW,
    Field::optional(
        "queues",
        FieldType::Texts,
        "The queues to look at; all unless given. Depths add up, of latencies the worst counts.",
        "[\"default\", \"mailer\"]",
    ),
    SILENT_AFTER,
];

fn build(values: &Values, context: MeasureContext<'_>) -> Result<Arc<dyn Measure>, FieldError> {
    let of = match values.text("value") {
        Some("latency") => Of::Latency,
        Some("depth") => Of::Depth,
        Some("busy") => Of::Busy,
        Some("utilization") => Of::Utilization,
        _ => Of::QueueTime,
    };
    listen(values, context, Sender::Judoscale, of, true, point)
}

fn point(to: To<'_>) -> Pointing {
    Pointing::by(Way::Variables(vec![("JUDOSCALE_URL", to.url("/judoscale/TOKEN"))]))
}

/// A report as far as it is read; unknown keys are passed over, as every language has some of its own.
#[derive(Deserialize)]
struct Body {
    #[serde(default)]
    container: Option<String>,
    #[serde(default)]
    pid: Value,
    metrics: Vec<Value>,
}

/// Reads a report.
pub(crate) fn read(body: &[u8]) -> Option<Report<'static>> {
    let body: Body = serde_json::from_slice(body).ok()?;
    let container = body.container.unwrap_or_default();
    let mut report =
        Report { process: process_of(&container).map(|process| Cow::Owned(process.to_owned())), ..Report::default() };
    for metric in &body.metrics {
        match metric_of(metric, &container, &body.pid) {
            Some(Some(told)) => report.told.push(told),
            Some(None) => {}
            None => report.odd += 1,
        }
    }
    Some(report)
}

/// One `[unix seconds, value, id, queue]`. None: it is not understood; `Some(None)`: of a kind that is not used.
fn metric_of(metric: &Value, container: &str, pid: &Value) -> Option<Option<Told<'static>>> {
    let [at, value, id, rest @ ..] = metric.as_array()?.as_slice() else { return None };
    let at_ms = at.as_f64().and_then(|at| seconds(at as i64))?;
    let value = plausible_ms(value.as_f64()?)?;
    let newest = |of, name: &str| Some(Told::Newest { of, name: Cow::Owned(name.to_owned()), value });
    Some(match (id.as_str()?, rest.first().and_then(Value::as_str)) {
        ("qt", None) => Some(Told::Waited { at_ms, ms: value, request: false }),
        ("at", None) => Some(Told::Served { at_ms, ms: value }),
        ("up", None) => newest(Of::Utilization, &format!("{container}/{pid}")),
        ("qt", Some(queue)) => newest(Of::Latency, queue),
        ("qd", Some(queue)) => newest(Of::Depth, queue),
        ("busy", Some(queue)) => newest(Of::Busy, queue),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intake::fixtures::bodies;

    fn newest(report: &Report<'_>, wanted: Of) -> Vec<(String, f64)> {
        let of = |told: &Told<'_>| match told {
            Told::Newest { of, name, value } if *of == wanted => Some((name.to_string(), *value)),
            _ => None,
        };
        report.told.iter().filter_map(of).collect()
    }

    #[test]
    fn every_recorded_report_is_understood() {
        for file in ["judoscale.jsonl", "judoscale-express.jsonl", "judoscale-bullmq.jsonl"] {
            for body in bodies(file) {
                let report = read(&body).unwrap();
                assert_eq!(report.odd, 0, "{file}");
                assert!(matches!(report.process.as_deref(), Some("web" | "worker")), "{file}");
            }
        }
    }

    #[test]
    fn web_reports_tell_of_each_request() {
        let body = bodies("judoscale.jsonl").remove(0);
        let report = read(&body).unwrap();
        let waits: Vec<_> = report
            .told
            .iter()
            .filter_map(|told| match told {
                Told::Waited { ms, .. } => Some(*ms),
                _ => None,
            })
            .collect();
        assert_eq!(waits, [6.0, 5.0, 155.0, 163.0]);
        assert_eq!(report.told.iter().filter(|told| matches!(told, Told::Served { ms: 50.0, .. })).count(), 5);
        assert_eq!(newest(&report, Of::Utilization), [("web.1/6499".into(), 3.0)]);
    }

    #[test]
    fn job_reports_tell_of_each_queue() {
        let mut rq = bodies("judoscale.jsonl").into_iter().map(|body| read(&body).unwrap());
        let rq = rq.rfind(|report| !newest(report, Of::Depth).is_empty()).unwrap();
        assert_eq!(newest(&rq, Of::Latency), [("high".into(), 11191.0), ("default".into(), 11192.0)]);
        assert_eq!(newest(&rq, Of::Busy), [("high".into(), 0.0), ("default".into(), 1.0)]);
    }

    #[test]
    fn what_is_odd_is_counted_and_what_is_unknown_is_passed_over() {
        let report = read(
            br#"{"container":"","metrics":[[1,2,"nt",null],[1,2,"xx","q"],[1],7,[1,-5,"qt",null],[1,"a","qt",null]]}"#,
        );
        let report = report.unwrap();
        assert_eq!((report.told.len(), report.odd, report.process), (0, 4, None));
        for bad in [&b"{}"[..], b"[]", b"", b"{\"metrics\":7}", b"\xff"] {
            assert_eq!(read(bad), None);
        }
    }
}
