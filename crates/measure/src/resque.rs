//! `resque`: the queues of Resque, in Redis. <https://github.com/resque/resque>
//!
//! A job holds no time, unless an extension adds `timestamp` (Judoscale's does): without it, how long the oldest waits is not
//! known. A worker's key exists only while it works, and tells its queue.

use std::sync::Arc;

use ::redis::{Cmd, Value, cmd};
use async_trait::async_trait;
use autoscalebot_core::Failure;
use autoscalebot_core::fields::{Field, FieldType};
use jiff::Timestamp;
use serde_json::Value as Json;

use crate::number::{age_ms, instant};
use crate::queue::{self, Backlog, Seen};
use crate::redis::{self, Server};
use crate::{MeasureEntry, fields};

/// The entry in the list of measurements.
pub const ENTRY: MeasureEntry = queue::entry(
    "resque",
    "The queues of Resque, in Redis.",
    FIELDS,
    |values, every| redis::server(values).and(queue::limit(values, every)).map(|_| ()),
    |values, context| {
        let namespace = values.text("namespace").unwrap_or("resque").to_owned();
        let resque = Resque { server: redis::server(values)?, queues: values.texts("queues").to_vec(), namespace };
        queue::measure(values, context.every, resque)
    },
);

const FIELDS: &[Field] = &[
    redis::URL,
    Field::optional(
        "queues",
        FieldType::Texts,
        "The names of the queues; without it, all that Resque knows of.",
        "[\"default\", \"mail\"]",
    ),
    Field::defaulting("namespace", FieldType::Text, "\"resque\"", "What all keys begin with."),
    queue::VALUE,
    queue::COMBINE,
    redis::SENTINEL,
    redis::SENTINELS,
    fields::TIMEOUT,
];

#[derive(Debug)]
struct Resque {
    server: Arc<Server>,
    queues: Vec<String>,
    namespace: String,
}

impl Resque {
    fn ask(&self, name: &str, key: &str) -> Cmd {
        cmd(name).arg(format!("{}:{key}", self.namespace)).take()
    }
}

#[async_trait]
impl Backlog for Resque {
    async fn look(&self) -> Result<Vec<Seen>, Failure> {
        let sets = self.server.ask(&["workers", "queues"].map(|set| self.ask("SMEMBERS", set))).await?;
        let mut sets = sets.iter().map(redis::texts);
        let (workers, known) = (sets.next().unwrap_or_default(), sets.next().unwrap_or_default());
        let queues = if self.queues.is_empty() { known } else { self.queues.clone() };
        let mut all: Vec<_> = workers.iter().map(|worker| self.ask("GET", &format!("worker:{worker}"))).collect();
        for queue in &queues {
            let key = format!("queue:{queue}");
            all.extend([self.ask("LLEN", &key), self.ask("LINDEX", &key).arg(0).take()]);
        }
        let mut working = self.server.ask(&all).await?;
        let answers = working.split_off(workers.len());
        let working: Vec<_> = working.iter().filter_map(json).collect();
        let now = Timestamp::now();
        queues.iter().zip(answers.chunks(2)).map(|(queue, of)| judge(queue, of, &working, now)).collect()
    }
}

fn json(value: &Value) -> Option<Json> {
    serde_json::from_str(&redis::text(value)?).ok()
}

/// One queue from its length and its oldest job, and what the workers are at.
pub(crate) fn judge(queue: &str, of: &[Value], working: &[Json], now: Timestamp) -> Result<Seen, Failure> {
    let [len, oldest] = of else { return Err(Failure::Closed) };
    let busy = working.iter().filter(|job| job["queue"] == queue).count() as f64;
    let oldest = json(oldest).and_then(|job| instant(&job["timestamp"])).map(|at| age_ms(at, now));
    Ok(Seen::new(redis::count(len)?, Some(busy), oldest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn with_and_without_a_time() {
        let now = "2026-11-25T07:13:29.5Z".parse().unwrap();
        let bulk = |text: &str| Value::BulkString(text.into());
        let working =
            [json(&bulk(r#"{"queue":"mail","run_at":"2026-11-25T07:13:00Z","payload":{"class":"Mail"}}"#)).unwrap()];
        let seen = judge("mail", &[Value::Int(3), bulk(r#"{"class":"Mail","args":[1]}"#)], &working, now).unwrap();
        assert_eq!(seen, Seen { waiting: 3.0, busy: Some(1.0), oldest_ms: None });
        let timed = bulk(r#"{"class":"Mail","args":[1],"timestamp":1795590799.5}"#);
        let seen = judge("other", &[Value::Int(3), timed], &working, now).unwrap();
        assert_eq!(seen, Seen { waiting: 3.0, busy: Some(0.0), oldest_ms: Some(10_000.0) });
        let seen = judge("mail", &[Value::Nil, Value::Nil], &[], now).unwrap();
        assert_eq!(seen, Seen { waiting: 0.0, busy: Some(0.0), oldest_ms: Some(0.0) });
    }
}
