//! `hirefire`: what HireFire's packages in an app tell (<https://github.com/hirefire>), both ways that they have.
//!
//! - Web processes push the queue time of each request, `POST /` with the header `HireFire-Token`: `{"unix second": [ms, …]}`.
//!   Always by HTTPS, to the root of a host: the path of `HIREFIRE_DISPATCH_URL` is not used. They speak only when requests
//!   come.
//! - Workers are asked (`url`): `GET /hirefire/TOKEN/info` answers `[{"name": "worker", "value": 12.3}]`. Whether that is
//!   seconds of latency or a count is the app's choice, so `value` must say it. Older packages say `quantity`.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use autoscalebot_core::fields::{Description, Field, FieldError, FieldType, MeasurementKind, Value as Setting, Values};
use autoscalebot_core::{Detail, Failure, Reading, Secret, Taken, Unit};
use jiff::SignedDuration;
use serde_json::{Map, Value};

use crate::budget::{FIVE_SECONDS, budget, within};
use crate::intake::settings::{PERCENTILE, SILENT_AFTER, TOKEN, WINDOW, check_token, listen, token};
use crate::intake::{Of, Report, Sender, Told, plausible_ms, seconds};
use crate::told::{Pointing, To, Way};
use crate::{Measure, MeasureContext, MeasureEntry, fields, http};

/// The entry in the list of measurements.
pub const ENTRY: MeasureEntry = MeasureEntry {
    kind: MeasurementKind {
        description: Description {
            name: "hirefire",
            doc: "Queue times that HireFire's packages push, or the latency or depth of workers that they answer.",
            fields: FIELDS,
            shorthand: &[],
        },
        unit: Unit::Milliseconds,
        failures_mean_overload: false,
        told: true,
        default_every: "\"10s\"",
        check,
    },
    build,
};

const FIELDS: &[Field] = &[
    TOKEN,
    Field::defaulting(
        "value",
        FieldType::Counts(&[
            ("queue_time", Unit::Milliseconds),
            ("latency", Unit::Milliseconds),
            ("depth", Unit::Jobs),
        ]),
        "\"queue_time\"",
        "Which number: how long requests wait before the app sees them (pushed); or what the app answers for a worker: seconds of latency, or a depth.",
    ),
    Field::optional(
        "url",
        FieldType::Url(&["http", "https"]),
        "Where the app is, to ask it for `latency` or `depth`; `hirefire/TOKEN/info` is added.",
        "\"https://shop.example/\"",
    ),
    Field::optional(
        "worker",
        FieldType::Text,
        "The worker's name in the app's answer; the process type unless given.",
        "\"mailer\"",
    ),
    fields::TIMEOUT,
    PERCENTILE,
    WINDOW,
    SILENT_AFTER,
];

fn check(values: &Values, every: SignedDuration) -> Result<(), FieldError> {
    check_token(values)?;
    budget(values, every, FIVE_SECONDS)?;
    match (values.text("value"), values.url("url")) {
        (Some("latency" | "depth"), None) => {
            Err(FieldError::new("url", "is needed to ask for it: set it to the app's address"))
        }
        (None | Some("queue_time"), Some(_)) => {
            Err(FieldError::new("url", "is not used for queue times, which the app pushes: remove it, or set `value`"))
        }
        _ => Ok(()),
    }
}

fn build(values: &Values, context: MeasureContext<'_>) -> Result<Arc<dyn Measure>, FieldError> {
    let Some(base) = values.url("url") else {
        return listen(values, context, Sender::HireFire, Of::QueueTime, true, point);
    };
    let every = SignedDuration::try_from(context.every).unwrap_or(SignedDuration::MAX);
    let token = token(values)?;
    let mut base = base.clone();
    if !base.path().ends_with('/') {
        base.set_path(&format!("{}/", base.path()));
    }
    let url = base.join(&format!("hirefire/{}/info", token.expose()));
    let url = url.map_err(|_| FieldError::new("url", "cannot be joined with hirefire/TOKEN/info: correct it"))?;
    let mut request = Values::default();
    let header = [("HireFire-Token".to_owned(), Secret::new(token.expose()))];
    request.set("headers", Setting::TextTable(header.into()));
    Ok(Arc::new(Asked {
        call: http::get(&request, url)?,
        worker: values.text("worker").unwrap_or(context.process).to_owned(),
        latency: values.text("value") == Some("latency"),
        budget: budget(values, every, FIVE_SECONDS)?,
    }))
}

/// The packages push to the root of a host, whatever path they are given.
fn point(to: To<'_>) -> Pointing {
    let variables = vec![("HIREFIRE_TOKEN", to.token()), ("HIREFIRE_DISPATCH_URL", to.url(""))];
    let note = "HireFire's packages push by HTTPS only, and to the root of the host: a path in the address is not used";
    Pointing { ways: vec![Way::Variables(variables)], note: Some(note), https_only: true }
}

/// Asks the app for a worker's number.
struct Asked {
    call: http::Call,
    worker: String,
    latency: bool,
    budget: Duration,
}

impl fmt::Debug for Asked {
    /// Without the URL, whose path holds the token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asked").field("worker", &self.worker).field("latency", &self.latency).finish_non_exhaustive()
    }
}

#[async_trait]
impl Measure for Asked {
    async fn read(&self) -> Taken {
        within(self.budget, async {
            let document = http::document(self.call.fetch().await?)?;
            let value = answer(&document, &self.worker)?;
            Ok(if self.latency {
                let ms = value * 1000.0;
                Taken { reading: Reading::number(ms), detail: Detail { latency_ms: Some(ms), ..Detail::default() } }
            } else {
                Reading::number(value).into()
            })
        })
        .await
    }

    fn budget(&self) -> Duration {
        self.budget
    }
}

/// A worker's number in an answer.
fn answer(document: &Value, worker: &str) -> Result<f64, Failure> {
    let list = document.as_array().ok_or_else(|| Failure::Other("the answer is no list of workers".into()))?;
    let named = |entry: &&Value| entry.get("name").and_then(Value::as_str) == Some(worker);
    let Some(entry) = list.iter().find(named) else {
        let names: Vec<_> = list.iter().filter_map(|entry| entry.get("name")?.as_str()).take(10).collect();
        return Err(Failure::Other(
            format!("the answer has no worker {worker:?}; it has: {}", names.join(", ")).into(),
        ));
    };
    match entry.get("value").or_else(|| entry.get("quantity")) {
        Some(Value::Number(number)) => number.as_f64().ok_or(Failure::Empty),
        _ => Err(Failure::Empty),
    }
}

/// Reads a pushed body.
pub(crate) fn read(body: &[u8]) -> Option<Report<'static>> {
    let document: Map<String, Value> = serde_json::from_slice(body).ok()?;
    let mut report = Report::default();
    for (at, waits) in &document {
        let (Some(at_ms), Some(waits)) = (at.parse().ok().and_then(seconds), waits.as_array()) else {
            report.odd += 1;
            continue;
        };
        for wait in waits {
            match wait.as_f64().and_then(plausible_ms) {
                Some(ms) => report.told.push(Told::Waited { at_ms, ms, request: true }),
                None => report.odd += 1,
            }
        }
    }
    Some(report)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intake::fixtures::{bodies, document};

    #[test]
    fn recorded_pushes_are_read() {
        let all: Vec<_> = bodies("hirefire-resource-python.jsonl").iter().map(|body| read(body).unwrap()).collect();
        assert_eq!(all[0].told[0], Told::Waited { at_ms: 1_795_590_549_000, ms: 283.0, request: true });
        assert_eq!(all.iter().map(|report| report.told.len()).collect::<Vec<_>>(), [3, 1, 1, 3, 3, 3]);
        let odd = read(br#"{"x": [1], "5": 7, "6": [1, -1, "a", null, 2]}"#).unwrap();
        assert_eq!((odd.told.len(), odd.odd), (2, 5));
        assert_eq!(read(b"[1]"), None);
    }

    #[test]
    fn recorded_answers_are_read() {
        let answers = document("hirefire-pull-responses.json");
        for answered in answers.as_array().unwrap().iter().take(2) {
            let body = &answered["response"]["body"];
            assert_eq!(answer(body, "worker"), Ok(12.345));
            assert_eq!(answer(body, "mailer"), Ok(7.0));
            let missing = answer(body, "other").unwrap_err().to_string();
            assert!(missing.contains("worker, mailer"), "{missing}");
        }
        let old = serde_json::json!([{"name": "worker", "quantity": 3}, {"name": "idle", "quantity": null}]);
        assert_eq!(answer(&old, "worker"), Ok(3.0));
        assert_eq!(answer(&old, "idle"), Err(Failure::Empty));
        assert!(answer(&Value::Null, "worker").is_err());
    }
}
