//! `rabbitmq`: queues of RabbitMQ, through its management API (<https://www.rabbitmq.com/docs/management>), or over AMQP
//! (`amqp`), which tells the ready messages alone.
//!
//! - The path of the URL is the virtual host, as in the URLs of AMQP: none or `/` is the virtual host `/`, and what is written
//!   in percent stays so, as the API wants it. Queue names are written in percent too.
//! - The counts are refreshed every 5 seconds. Those of a queue that was just declared are missing: not known, not zero.
//! - How long the oldest message waits is known only where publishers set the property `timestamp`, which Celery does not.
//! - A queue that does not exist is an error: unlike with Redis, an empty one exists.

mod amqp;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use autoscalebot_core::Failure;
use autoscalebot_core::fields::{Field, FieldError, FieldType, Values};
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::StatusCode;
use serde_json::Value;

use crate::number::{age_ms, instant, number};
use crate::queue::{self, Backlog, Seen};
use crate::{MeasureEntry, fields, http};

/// The entry in the list of measurements.
pub const ENTRY: MeasureEntry = queue::entry(
    "rabbitmq",
    "The queues of RabbitMQ, through its management API or over AMQP.",
    FIELDS,
    |values, every| backlog(values).and(queue::limit(values, every)).map(|_| ()),
    |values, context| queue::measure(values, context.every, backlog(values)?),
);

const FIELDS: &[Field] = &[
    Field::required(
        "url",
        FieldType::Url(&["http", "https", "amqp", "amqps"]),
        "The management API, with the virtual host as its path; or the broker itself, where only ready messages are seen.",
        "{ env = \"RABBITMQ_MANAGEMENT_URL\" }",
    ),
    Field::required("queues", FieldType::Texts, "The names of the queues.", "[\"celery\", \"mail\"]"),
    queue::VALUE,
    queue::COMBINE,
    fields::TIMEOUT,
];

/// What is written in percent in a part of a path.
const PART: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Asks in one of two ways.
enum RabbitMq {
    /// Each queue by a request.
    Management(Vec<(String, http::Call)>),
    /// All queues over a connection.
    Amqp(Arc<amqp::Server>, Vec<String>),
}

impl fmt::Debug for RabbitMq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Management(queues) => f.debug_list().entries(queues.iter().map(|(_, call)| call.shown())).finish(),
            Self::Amqp(server, queues) => write!(f, "{server:?} {queues:?}"),
        }
    }
}

fn backlog(values: &Values) -> Result<RabbitMq, FieldError> {
    let url = values.url("url").ok_or_else(|| FieldError::new("url", "is needed"))?;
    let names = values.texts("queues");
    if names.is_empty() {
        return Err(FieldError::new("queues", "is empty: write the names of the queues"));
    }
    if url.scheme().starts_with("amqp") {
        if values.text("value") == Some("latency") {
            let message =
                "can't be latency over AMQP, which tells no times: give the URL of the management API, or take depth";
            return Err(FieldError::new("value", message));
        }
        return Ok(RabbitMq::Amqp(amqp::server(amqp::Address::of(url)), names.to_vec()));
    }
    let call = |name: &String| Ok((name.clone(), http::get(values, address(url, name)?)?));
    Ok(RabbitMq::Management(names.iter().map(call).collect::<Result<_, FieldError>>()?))
}

/// The URL of one queue.
fn address(base: &url::Url, queue: &str) -> Result<url::Url, FieldError> {
    let host = base.path().trim_matches('/');
    if host.contains('/') {
        let message = "has a path of several parts, but its path is the virtual host: write a / in its name as %2F";
        return Err(FieldError::new("url", message));
    }
    let host = if host.is_empty() { "%2F" } else { host };
    let mut url = base.clone();
    url.set_path(&format!("/api/queues/{host}/{}", utf8_percent_encode(queue, PART)));
    url.set_query(None);
    Ok(url)
}

#[async_trait]
impl Backlog for RabbitMq {
    async fn look(&self) -> Result<Vec<Seen>, Failure> {
        let queues = match self {
            Self::Management(queues) => queues,
            Self::Amqp(server, queues) => {
                let ready = server.ready(queues).await?;
                return Ok(ready.into_iter().map(|ready| Seen::new(f64::from(ready), None, None)).collect());
            }
        };
        let mut seen = Vec::new();
        for (name, call) in queues {
            let (status, body) = call.fetch().await?;
            if status == StatusCode::NOT_FOUND {
                return Err(Failure::Other(format!("there is no queue {name:?} in this virtual host").into()));
            }
            seen.push(judge(&http::document((status, body))?, Timestamp::now())?);
        }
        Ok(seen)
    }

    fn doubt(&self) -> Option<&'static str> {
        match self {
            Self::Management(_) => None,
            Self::Amqp(..) => Some(
                "over AMQP only the messages that no worker has taken are seen, so that a worker in the middle of the last job \
                 looks idle: write the URL of the management API (https://USER:PASSWORD@HOST/VHOST) where workers must not be \
                 stopped at work",
            ),
        }
    }
}

/// One queue from the API's answer.
pub(crate) fn judge(queue: &Value, now: Timestamp) -> Result<Seen, Failure> {
    let count = |field: &str| match queue.get(field) {
        None => Err(Failure::Other(format!("the server does not tell {field} yet").into())),
        Some(value) => number(value, 1.0),
    };
    let oldest = queue.get("head_message_timestamp").and_then(instant).map(|at| age_ms(at, now));
    Ok(Seen::new(count("messages_ready")?, Some(count("messages_unacknowledged")?), oldest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a26_the_path_is_the_virtual_host() {
        let of = |base: &str, queue: &str| {
            let url = address(&base.parse().unwrap(), queue).map_err(|error| error.to_string())?;
            Ok::<_, String>(url.path().to_owned())
        };
        assert_eq!(of("http://mq.example:15672", "jobs").as_deref(), Ok("/api/queues/%2F/jobs"));
        assert_eq!(of("http://mq.example:15672/", "jobs").as_deref(), Ok("/api/queues/%2F/jobs"));
        assert_eq!(of("http://mq.example:15672/prod", "jobs").as_deref(), Ok("/api/queues/prod/jobs"));
        assert_eq!(of("http://mq.example:15672/a%2Fb", "jobs").as_deref(), Ok("/api/queues/a%2Fb/jobs"));
        assert_eq!(of("http://mq.example:15672/prod/", "a/b c").as_deref(), Ok("/api/queues/prod/a%2Fb%20c"));
        assert!(of("http://mq.example:15672/a/b", "jobs").is_err());
    }

    #[test]
    fn a27_ready_waits_and_unacknowledged_is_busy() {
        let now = Timestamp::from_second(1_795_590_600).unwrap();
        let read = |text: &str| judge(&serde_json::from_str(text).unwrap(), now).map_err(|failure| failure.to_string());
        let celery = r#"{"name":"celery","vhost":"/","messages":4,"messages_ready":2,"messages_unacknowledged":2,
            "consumers":1,"type":"classic","durable":true,"state":"running","head_message_timestamp":null,"arguments":{}}"#;
        assert_eq!(read(celery), Ok(Seen { waiting: 2.0, busy: Some(2.0), oldest_ms: None }));
        let one = r#"{"messages":1,"messages_ready":0,"messages_unacknowledged":1}"#;
        assert_eq!(read(one), Ok(Seen { waiting: 0.0, busy: Some(1.0), oldest_ms: Some(0.0) }));
        let timed = r#"{"messages_ready":3,"messages_unacknowledged":0,"head_message_timestamp":1795590590}"#;
        assert_eq!(read(timed).unwrap().oldest_ms, Some(10_000.0));
        assert_eq!(read(r#"{"name":"new"}"#), Err("the server does not tell messages_ready yet".into()));
        assert_eq!(read(r#"{"messages_ready":null,"messages_unacknowledged":0}"#), Err("empty".into()));
        assert_eq!(read("[]"), Err("the server does not tell messages_ready yet".into()));
    }
}
