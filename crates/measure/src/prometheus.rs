//! `prometheus`: the answer of an instant query, which must be one number: a scalar, or a vector of one series.
//!
//! - An empty vector is no reading, never zero: a query of a series that is gone answers it with success.
//! - Several series are a failure that shows some of them, as any choice among them would be a guess.
//! - The instant in an answer is that of the query, not of the sample behind it; Prometheus itself leaves out what is older
//!   than its lookback (5 minutes unless set). `timestamp()` in the query tells more where needed.
//!
//! The API: <https://prometheus.io/docs/prometheus/latest/querying/api/#instant-queries>. Thanos, Mimir, VictoriaMetrics and
//! others answer the same.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use autoscalebot_core::fields::{Description, Field, FieldError, FieldType, MeasurementKind, Values};
use autoscalebot_core::{Failure, Reading, Taken, Unit};
use jiff::{SignedDuration, Timestamp};
use reqwest::StatusCode;
use serde_json::Value;

use crate::budget::{FIVE_SECONDS, budget, within};
use crate::number::{number, seconds};
use crate::{Measure, MeasureContext, MeasureEntry, fields, http};

/// The entry in the list of measurements.
pub const ENTRY: MeasureEntry = MeasureEntry {
    kind: MeasurementKind {
        description: Description {
            name: "prometheus",
            doc: "The answer of an instant query to Prometheus, or to what speaks its API.",
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
        "The server, with the path before `/api/v1/query` where there is one.",
        "\"http://prometheus.example:9090\"",
    ),
    Field::required(
        "query",
        FieldType::Text,
        "What to ask, in PromQL; it must give one number.",
        "\"sum(rate(http_requests_total[1m]))\"",
    ),
    fields::UNIT,
    fields::FACTOR,
    fields::LATE_AFTER,
    fields::TIMEOUT,
    fields::HEADERS,
    fields::USERNAME,
    fields::PASSWORD,
    fields::TOKEN,
];

/// How many series a message shows, and how much of each.
const SHOWN: (usize, usize) = (3, 80);

/// Asks a query.
pub struct Prometheus {
    call: http::Call,
    query: String,
    budget: Duration,
    factor: f64,
    late_after: SignedDuration,
}

impl fmt::Debug for Prometheus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = self.call.shown();
        f.debug_struct("Prometheus").field("url", &url).field("query", &self.query).finish_non_exhaustive()
    }
}

fn settings(values: &Values, every: SignedDuration) -> Result<Prometheus, FieldError> {
    let url = values.url("url").ok_or_else(|| FieldError::new("url", "is needed"))?;
    let query = values.text("query").ok_or_else(|| FieldError::new("query", "is needed"))?.to_owned();
    Ok(Prometheus {
        call: http::get(values, address(url, &query)?)?,
        query,
        budget: budget(values, every, FIVE_SECONDS)?,
        factor: fields::factor(values),
        late_after: values.duration("late_after").unwrap_or(SignedDuration::MAX),
    })
}

/// The URL of the query, whether or not the setting already ends with the API's path.
fn address(base: &url::Url, query: &str) -> Result<url::Url, FieldError> {
    let mut url = base.clone();
    let path = url.path().trim_end_matches('/').trim_end_matches("/api/v1/query").to_owned();
    url.set_path(&format!("{path}/api/v1/query"));
    if url.query_pairs().any(|(key, _)| key == "query") {
        return Err(FieldError::new("url", "holds a query already: write it as the setting query alone"));
    }
    url.query_pairs_mut().append_pair("query", query);
    Ok(url)
}

fn build(values: &Values, context: MeasureContext<'_>) -> Result<Arc<dyn Measure>, FieldError> {
    let every = SignedDuration::try_from(context.every).unwrap_or(SignedDuration::MAX);
    Ok(Arc::new(settings(values, every)?))
}

/// The instant and the number of an answer.
pub(crate) fn answer((status, body): (StatusCode, Vec<u8>)) -> Result<(Option<Timestamp>, Value), Failure> {
    if !status.is_success() {
        // An error of the query comes with a 4xx and a reason in the document.
        let reason = serde_json::from_slice::<Value>(&body).ok();
        let reason = reason.as_ref().and_then(|document| document["error"].as_str());
        return Err(reason.map_or(Failure::Status(status.as_u16()), |reason| Failure::Other(short(reason).into())));
    }
    let document = http::document((status, body))?;
    if document["status"] != "success" {
        let reason = document["error"].as_str().unwrap_or("the answer is none of Prometheus");
        return Err(Failure::Other(short(reason).into()));
    }
    let result = &document["data"]["result"];
    let point = match document["data"]["resultType"].as_str() {
        Some("scalar") => result,
        Some("vector") => match result.as_array().map(Vec::as_slice) {
            Some([]) => return Err(Failure::Empty),
            Some([one]) if one["value"].is_null() && !one["histogram"].is_null() => {
                return Err(Failure::Other("the query gives a histogram: take a quantile or a rate of it".into()));
            }
            Some([one]) => &one["value"],
            Some(several) => return Err(Failure::Other(too_many(several).into())),
            None => return Err(Failure::Other("the answer holds no vector".into())),
        },
        Some(other) => return Err(Failure::Other(short(&format!("the query gives a {other}, not one number")).into())),
        None => return Err(Failure::Other("the answer is none of Prometheus".into())),
    };
    let at = point[0].as_f64().and_then(seconds);
    Ok((at, point[1].clone()))
}

fn too_many(series: &[Value]) -> String {
    let shown: Vec<_> = series.iter().take(SHOWN.0).map(|one| labels(&one["metric"])).collect();
    let more = if series.len() > SHOWN.0 { ", …" } else { "" };
    format!(
        "{} series, where one is wanted: {}{more}: put them together in the query, as with sum() or max()",
        series.len(),
        shown.join(", ")
    )
}

/// A series as Prometheus writes it.
fn labels(metric: &Value) -> String {
    let Some(labels) = metric.as_object() else { return "{}".into() };
    let name = metric["__name__"].as_str().unwrap_or_default();
    let pairs: Vec<_> = labels
        .iter()
        .filter(|(key, _)| *key != "__name__")
        .map(|(key, value)| format!("{key}={:?}", value.as_str().unwrap_or_default()))
        .collect();
    let text = format!("{name}{{{}}}", pairs.join(","));
    if text.chars().count() > SHOWN.1 { text.chars().take(SHOWN.1).chain(['…']).collect() } else { text }
}

fn short(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect()
}

impl Prometheus {
    fn judge(&self, (at, value): (Option<Timestamp>, Value), now: Timestamp) -> Result<Taken, Failure> {
        if let Some(at) = at {
            let age = now.duration_since(at);
            if age > self.late_after {
                return Err(Failure::Late(u32::try_from(age.as_secs()).unwrap_or(u32::MAX)));
            }
        }
        Ok(Reading::Value(number(&value, self.factor)?).into())
    }
}

#[async_trait]
impl Measure for Prometheus {
    async fn read(&self) -> Taken {
        let read = async { self.judge(answer(self.call.fetch().await?)?, Timestamp::now()) };
        within(self.budget, read).await
    }

    fn budget(&self) -> Duration {
        self.budget
    }
}

#[cfg(test)]
mod tests;
