//! `json`: a number in a JSON document that an HTTP server answers with, found by a pointer (RFC 6901).
//!
//! It is for apps that know best what they need: a backlog, a wait, or with `unit = "dynos"` the wished number of dynos itself
//! (the AppDecision that was planned for autoscalebot 3.0).
//!
//! Requests are in `http`, numbers in `number`.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use autoscalebot_core::fields::{Description, Field, FieldError, FieldType, MeasurementKind, Values};
use autoscalebot_core::{Detail, Failure, Reading, Taken, Unit};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::budget::{FIVE_SECONDS, budget, within};
use crate::number::{instant, number, pointer};
use crate::{Measure, MeasureContext, MeasureEntry, fields, http};

/// The entry in the list of measurements.
pub const ENTRY: MeasureEntry = MeasureEntry {
    kind: MeasurementKind {
        description: Description {
            name: "json",
            doc: "A number in a JSON document, over HTTP.",
            fields: FIELDS,
            shorthand: &[],
        },
        unit: Unit::Count,
        failures_mean_overload: false,
        told: false,
        default_every: "\"30s\"",
        check: |values, every| settings(values, every).map(|_| ()),
    },
    build,
};

const FIELDS: &[Field] = &[
    Field::required(
        "url",
        FieldType::Url(&["http", "https"]),
        "What to request; redirects are not followed.",
        "\"https://shop.example/queue.json\"",
    ),
    Field::defaulting(
        "pointer",
        FieldType::Text,
        "\"/\"",
        "Where in the document the number stands (RFC 6901); `/` alone is the document itself.",
    ),
    fields::UNIT,
    fields::FACTOR,
    Field::optional("busy", FieldType::Text, "Where the number of jobs being worked on stands.", "\"/busy\""),
    Field::optional(
        "latency_ms",
        FieldType::Text,
        "Where the age of the oldest job stands, in milliseconds.",
        "\"/oldest_ms\"",
    ),
    Field::optional(
        "time",
        FieldType::Text,
        "Where the instant of the number stands: seconds or milliseconds since 1970, or RFC 3339.",
        "\"/measured_at\"",
    ),
    fields::LATE_AFTER,
    fields::TIMEOUT,
    fields::HEADERS,
    fields::USERNAME,
    fields::PASSWORD,
    fields::TOKEN,
];

/// Reads a number out of a document.
pub struct Json {
    call: http::Call,
    budget: Duration,
    wanted: Wanted,
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Json").field("url", &self.call.shown()).field("wanted", &self.wanted).finish_non_exhaustive()
    }
}

/// What to look for.
#[derive(Debug, Clone, PartialEq)]
struct Wanted {
    pointer: String,
    factor: f64,
    busy: Option<String>,
    latency_ms: Option<String>,
    time: Option<String>,
    late_after: SignedDuration,
}

fn settings(values: &Values, every: SignedDuration) -> Result<Json, FieldError> {
    let url = values.url("url").ok_or_else(|| FieldError::new("url", "is needed"))?.clone();
    let pointer = |field: &'static str| match values.text(field) {
        None => Ok(None),
        Some("/") => Ok(Some(String::new())),
        Some(text) if text.starts_with('/') => Ok(Some(text.to_owned())),
        Some(text) => Err(FieldError::new(field, format!("is \"{text}\", but must begin with /: write \"/{text}\""))),
    };
    let wanted = Wanted {
        pointer: pointer("pointer")?.unwrap_or_default(),
        factor: fields::factor(values),
        busy: pointer("busy")?,
        latency_ms: pointer("latency_ms")?,
        time: pointer("time")?,
        late_after: values.duration("late_after").unwrap_or(SignedDuration::MAX),
    };
    Ok(Json { call: http::get(values, url)?, budget: budget(values, every, FIVE_SECONDS)?, wanted })
}

fn build(values: &Values, context: MeasureContext<'_>) -> Result<Arc<dyn Measure>, FieldError> {
    let every = SignedDuration::try_from(context.every).unwrap_or(SignedDuration::MAX);
    Ok(Arc::new(settings(values, every)?))
}

impl Wanted {
    /// The number and its detail in a document. A detail that can't be read is a failure too: a busy floor that silently
    /// is none would stop workers in the middle of a job.
    fn find(&self, document: &Value, now: Timestamp) -> Result<Taken, Failure> {
        if let Some(time) = &self.time {
            let time = instant(pointer(document, time)?)
                .ok_or_else(|| Failure::Invalid(format!("{time} is no instant").into()))?;
            let age = now.duration_since(time);
            if age > self.late_after {
                return Err(Failure::Late(u32::try_from(age.as_secs()).unwrap_or(u32::MAX)));
            }
        }
        let at = |place: &str, factor: f64| number(pointer(document, place)?, factor);
        let other = |place: &Option<String>| place.as_deref().map(|place| at(place, 1.0)).transpose();
        let value = at(&self.pointer, self.factor)?;
        let detail = Detail { busy: other(&self.busy)?, latency_ms: other(&self.latency_ms)?, ..Detail::default() };
        Ok(Taken { reading: Reading::Value(value), detail })
    }
}

#[async_trait]
impl Measure for Json {
    async fn read(&self) -> Taken {
        let read = async { self.wanted.find(&http::document(self.call.fetch().await?)?, Timestamp::now()) };
        within(self.budget, read).await
    }

    fn budget(&self) -> Duration {
        self.budget
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(at: &str) -> Wanted {
        Wanted {
            pointer: at.into(),
            factor: 1.0,
            busy: None,
            latency_ms: None,
            time: None,
            late_after: SignedDuration::from_secs(120),
        }
    }

    fn read(wanted: &Wanted, document: &str) -> Result<Taken, String> {
        let now = "2026-05-04T12:00:00Z".parse().unwrap();
        wanted.find(&serde_json::from_str(document).unwrap(), now).map_err(|failure| failure.to_string())
    }

    fn value(wanted: &Wanted, document: &str) -> Result<f64, String> {
        match read(wanted, document)?.reading {
            Reading::Value(value) => Ok(value),
            Reading::Failed(failure) => Err(failure.to_string()),
        }
    }

    #[test]
    fn good_empty_null_and_wrong_documents() {
        let at = wanted("/queues/0/waiting");
        assert_eq!(value(&at, r#"{"queues":[{"waiting":12}]}"#), Ok(12.0));
        assert_eq!(value(&at, r#"{"queues":[{"waiting":"12"}]}"#), Ok(12.0));
        assert_eq!(value(&at, r#"{"queues":[{"waiting":0}]}"#), Ok(0.0));
        assert_eq!(value(&at, r#"{"queues":[{"waiting":null}]}"#), Err("empty".into()));
        assert_eq!(value(&at, r#"{"queues":[]}"#), Err("the answer holds no /queues/0/waiting".into()));
        assert_eq!(value(&at, r#"{"queues":[{"waiting":-3}]}"#), Err("invalid -3".into()));
        assert_eq!(value(&at, r#"{"queues":[{"waiting":"NaN"}]}"#), Err("invalid NaN".into()));
        assert_eq!(value(&wanted(""), "3"), Ok(3.0));
        assert_eq!(value(&Wanted { factor: 1000.0, ..wanted("") }, "0.25"), Ok(250.0));
    }

    #[test]
    fn detail_is_read_or_the_reading_fails() {
        let both = Wanted { busy: Some("/busy".into()), latency_ms: Some("/ms".into()), ..wanted("/n") };
        let taken = read(&both, r#"{"n":0,"busy":2,"ms":"1500"}"#).unwrap();
        assert_eq!((taken.detail.busy, taken.detail.latency_ms), (Some(2.0), Some(1500.0)));
        assert_eq!(read(&both, r#"{"n":0,"busy":null,"ms":1}"#), Err("empty".into()));
        assert_eq!(read(&both, r#"{"n":0,"ms":1}"#), Err("the answer holds no /busy".into()));
    }

    #[test]
    fn a10_a36_old_numbers_are_late_and_clocks_may_differ_a_little() {
        let timed = Wanted { time: Some("/at".into()), ..wanted("/n") };
        assert_eq!(value(&timed, r#"{"n":900,"at":"2026-05-04T11:35:00Z"}"#), Err("late 1500s".into()));
        assert_eq!(value(&timed, r#"{"n":900,"at":"2026-05-04T11:59:00Z"}"#), Ok(900.0));
        assert_eq!(value(&timed, r#"{"n":900,"at":"2026-05-04T12:01:00Z"}"#), Ok(900.0));
        assert_eq!(value(&timed, r#"{"n":900,"at":"soon"}"#), Err("invalid /at is no instant".into()));
    }
}
