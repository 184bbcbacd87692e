//! `push`: a number that somebody sends, `POST /samples/TOKEN` with `{"value": 12}`. Each one brings a tick at once.
//!
//! Beside `value` there may be `at` (its instant: RFC 3339, or seconds since 1970) and what policies may use besides: `rate`,
//! `concurrency`, `busy`, `service_ms`, `latency_ms`.

use std::sync::Arc;

use autoscalebot_core::fields::{Description, Field, FieldError, MeasurementKind, Values};
use autoscalebot_core::{Secret, Unit};
use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::intake::settings::{SILENT_AFTER, TOKEN, check_token, listen};
use crate::intake::{Of, Report, Sender, Told};
use crate::told::{Pointing, To, Way};
use crate::{Measure, MeasureContext, MeasureEntry, fields};

/// The entry in the list of measurements.
pub const ENTRY: MeasureEntry = MeasureEntry {
    kind: MeasurementKind {
        description: Description {
            name: "push",
            doc: "A number that somebody sends, each of which is decided upon at once.",
            fields: FIELDS,
            shorthand: &[],
        },
        unit: Unit::Count,
        failures_mean_overload: false,
        told: true,
        default_every: "\"30s\"",
        check: |values, _| check_token(values),
    },
    build,
};

const FIELDS: &[Field] = &[TOKEN, fields::UNIT, SILENT_AFTER];

fn build(values: &Values, context: MeasureContext<'_>) -> Result<Arc<dyn Measure>, FieldError> {
    listen(values, context, Sender::Push, Of::Value, false, point)
}

fn point(to: To<'_>) -> Pointing {
    let url = to.url("/samples/TOKEN");
    Pointing::by(Way::Command(Secret::new(format!("curl -d '{{\"value\": 120}}' {}", url.expose()))))
}

/// The numbers that may stand beside the value.
const BESIDE: [&str; 5] = ["rate", "concurrency", "busy", "service_ms", "latency_ms"];

/// Reads a body.
pub(crate) fn read(body: &[u8]) -> Option<Report<'static>> {
    let document: Map<String, Value> = serde_json::from_slice(body).ok()?;
    let value = number(document.get("value")?)?;
    let mut report = Report::default();
    if let Some(at) = document.get("at") {
        let at_ms = instant(at)?;
        report.told.push(Told::Newest { of: Of::Value, name: super::intake::AT.into(), value: at_ms as f64 });
    }
    report.told.push(Told::Newest { of: Of::Value, name: "value".into(), value });
    for name in BESIDE {
        match document.get(name).map(number) {
            Some(Some(value)) => report.told.push(Told::Newest { of: Of::Value, name: name.into(), value }),
            Some(None) => report.odd += 1,
            None => {}
        }
    }
    Some(report)
}

/// A number at or above zero, as a number or as text.
fn number(value: &Value) -> Option<f64> {
    let number = match value {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => text.trim().parse().ok()?,
        _ => return None,
    };
    (number.is_finite() && number >= 0.0).then_some(number)
}

/// An instant as milliseconds of the Unix epoch.
fn instant(value: &Value) -> Option<i64> {
    match value {
        Value::String(text) => text.parse::<Timestamp>().ok().map(Timestamp::as_millisecond),
        Value::Number(seconds) => {
            let ms = seconds.as_f64()? * 1000.0;
            (0.0..253_402_300_800_000.0).contains(&ms).then_some(ms as i64)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(body: &str) -> Option<Vec<(String, f64)>> {
        let name = |told: &Told<'_>| match told {
            Told::Newest { name, value, .. } => (name.to_string(), *value),
            other => panic!("{other:?}"),
        };
        read(body.as_bytes()).map(|report| report.told.iter().map(name).collect())
    }

    #[test]
    fn a_value_alone_and_with_all_that_may_stand_beside_it() {
        assert_eq!(told(r#"{"value": 12.5}"#), Some(vec![("value".into(), 12.5)]));
        assert_eq!(
            told(r#"{"value": "7", "busy": 2, "other": []}"#),
            Some(vec![("value".into(), 7.0), ("busy".into(), 2.0)])
        );
        let at = told(r#"{"value": 0, "at": "1970-01-01T00:00:02Z"}"#).unwrap();
        assert_eq!(at, told(r#"{"value": 0, "at": 2}"#).unwrap());
        assert_eq!(at[0].1, 2000.0);
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for bad in [
            "",
            "12",
            "[]",
            "{}",
            r#"{"value":null}"#,
            r#"{"value":-1}"#,
            r#"{"value":"NaN"}"#,
            r#"{"value":1e999}"#,
            r#"{"value":1,"at":"noon"}"#,
        ] {
            assert_eq!(told(bad), None, "{bad}");
        }
    }
}
