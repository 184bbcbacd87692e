//! `autoscale_agent`: what Autoscale.app's agent reports (<https://pypi.org/project/autoscale-agent/>), `POST /` with the header
//! `Autoscale-Metric-Token`: `{"unix seconds": number}`.
//!
//! From a web process each number is the longest queue time of that second, in milliseconds; from a worker it is whatever the
//! app measures. One token stands for one process type. The agent's host is fixed in its code, so its requests only come
//! here where the name leads here.

use std::sync::Arc;

use autoscalebot_core::Unit;
use autoscalebot_core::fields::{Field, FieldError, FieldType, Values};
use serde_json::{Map, Value};

use crate::intake::settings::{PERCENTILE, SILENT_AFTER, TOKEN, WINDOW, listen};
use crate::intake::{Of, Report, Sender, Told, plausible_ms, seconds};
use crate::told::{self, Pointing, To, Way};
use crate::{Measure, MeasureContext, MeasureEntry};

/// The entry in the list of measurements.
pub const ENTRY: MeasureEntry = told::entry(
    "autoscale_agent",
    "Queue times or a worker's number, as Autoscale.app's agent reports them.",
    FIELDS,
    build,
);

const FIELDS: &[Field] = &[
    TOKEN,
    Field::defaulting(
        "value",
        FieldType::Counts(&[("queue_time", Unit::Milliseconds), ("newest", Unit::Count)]),
        "\"queue_time\"",
        "Which number: the queue time of a web process, or the newest number of a worker, whatever it counts.",
    ),
    PERCENTILE,
    WINDOW,
    SILENT_AFTER,
];

fn build(values: &Values, context: MeasureContext<'_>) -> Result<Arc<dyn Measure>, FieldError> {
    let of = if values.text("value") == Some("newest") { Of::Value } else { Of::QueueTime };
    listen(values, context, Sender::AutoscaleAgent, of, false, point)
}

fn point(to: To<'_>) -> Pointing {
    let note = "the agent always sends to https://metrics.autoscale.app/: in the app that name must lead here, with a certificate \
                that the app trusts";
    Pointing { ways: vec![Way::Token(to.token())], note: Some(note), https_only: true }
}

/// Reads a body.
pub(crate) fn read(body: &[u8]) -> Option<Report<'static>> {
    let document: Map<String, Value> = serde_json::from_slice(body).ok()?;
    let mut report = Report::default();
    let mut newest: Option<(i64, f64)> = None;
    for (at, value) in &document {
        let at_ms = at.parse().ok().and_then(seconds);
        let (Some(at_ms), Some(value)) = (at_ms, value.as_f64().and_then(plausible_ms)) else {
            report.odd += 1;
            continue;
        };
        report.told.push(Told::Waited { at_ms, ms: value, request: true });
        if newest.is_none_or(|(at, _)| at <= at_ms) {
            newest = Some((at_ms, value));
        }
    }
    report.told.extend(newest.map(|(_, value)| Told::Newest { of: Of::Value, name: "value".into(), value }));
    Some(report)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intake::fixtures::bodies;

    #[test]
    fn recorded_bodies_are_read() {
        let all: Vec<_> = bodies("autoscale-agent.jsonl").iter().map(|body| read(body).unwrap()).collect();
        assert_eq!(all[0].told[0], Told::Waited { at_ms: 1_795_590_549_000, ms: 301.0, request: true });
        assert_eq!(all[1].told.len(), 5);
        assert_eq!(all[1].told[4], Told::Newest { of: Of::Value, name: "value".into(), value: 86.0 });
        assert!(all.iter().all(|report| report.odd == 0));
        assert_eq!(read(br#"{"now": 3, "5": -1, "6": 1}"#).unwrap().odd, 2);
        assert_eq!(read(b"3"), None);
    }
}
