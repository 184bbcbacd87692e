//! `celery`: the queues of Celery with Redis as its broker. With RabbitMQ as the broker, the kind is `rabbitmq`, as a queue
//! there is one of RabbitMQ's own. <https://docs.celeryq.dev/en/stable/getting-started/backends-and-brokers/redis.html>
//!
//! - A queue is a list, the newest first; one with priorities is several lists, `celery`, `celery\x06\x163`, and so on.
//! - What a worker has taken and not acknowledged is in one hash for all queues of the database. Acknowledged early, as is the
//!   default, that is what a worker has fetched ahead; what it runs is in no list at all. With `acks_late` it is both.
//! - Jobs with an ETA lie in the list until a worker takes them, and then among the unacknowledged until they are due.
//! - A job holds no time of its own. Judoscale's and HireFire's adapters add one; `task_send_sent_event` does not.

use std::sync::Arc;

use ::redis::{Cmd, Value, cmd};
use async_trait::async_trait;
use autoscalebot_core::Failure;
use autoscalebot_core::fields::{Field, FieldError, FieldType, Values};
use jiff::Timestamp;
use serde_json::Value as Json;

use crate::number::{age_ms, instant};
use crate::queue::{self, Backlog, Seen};
use crate::redis::{self, Server};
use crate::{MeasureEntry, fields};

/// The entry in the list of measurements.
pub const ENTRY: MeasureEntry = queue::entry(
    "celery",
    "The queues of Celery, with Redis as its broker.",
    FIELDS,
    |values, every| settings(values).and(queue::limit(values, every)).map(|_| ()),
    |values, context| queue::measure(values, context.every, settings(values)?),
);

const FIELDS: &[Field] = &[
    redis::URL,
    Field::defaulting("queues", FieldType::Texts, "[\"celery\"]", "The names of the queues."),
    Field::defaulting(
        "priority_steps",
        FieldType::Texts,
        "[\"0\", \"3\", \"6\", \"9\"]",
        "The steps of the broker's option `priority_steps`; each above 0 is a list of its own.",
    ),
    Field::defaulting(
        "separator",
        FieldType::Text,
        "\"\\u0006\\u0016\"",
        "What stands between name and step: the broker's option `sep`.",
    ),
    Field::optional(
        "key_prefix",
        FieldType::Text,
        "What all keys begin with: the broker's option `global_keyprefix`.",
        "\"shop:\"",
    ),
    Field::defaulting(
        "unacked",
        FieldType::OneOf(&["busy", "waiting", "ignore"]),
        "\"busy\"",
        "What jobs are that a worker took and has not acknowledged.",
    ),
    queue::VALUE,
    queue::COMBINE,
    redis::SENTINEL,
    redis::SENTINELS,
    fields::TIMEOUT,
];

/// The most unacknowledged jobs that are looked at, each with its body; with more, which queue they are of is not known.
const UNACKED: f64 = 2000.0;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unacked {
    Busy,
    Waiting,
    Ignore,
}

fn settings(values: &Values) -> Result<Celery, FieldError> {
    let separator = values.text("separator").unwrap_or("\u{6}\u{16}");
    let mut suffixes = Vec::new();
    for step in values.texts("priority_steps") {
        let step: u32 = step.parse().map_err(|_| {
            FieldError::new("priority_steps", format!("holds \"{step}\", which is no whole number: correct it"))
        })?;
        suffixes.push(if step == 0 { String::new() } else { format!("{separator}{step}") });
    }
    if suffixes.is_empty() {
        suffixes.push(String::new());
    }
    let queues = values.texts("queues").to_vec();
    if queues.is_empty() {
        return Err(FieldError::new("queues", "is empty: write the names of the queues"));
    }
    let unacked = match values.text("unacked") {
        Some("waiting") => Unacked::Waiting,
        Some("ignore") => Unacked::Ignore,
        _ => Unacked::Busy,
    };
    let prefix = values.text("key_prefix").unwrap_or_default().to_owned();
    Ok(Celery { server: redis::server(values)?, queues, suffixes, prefix, unacked })
}

#[derive(Debug)]
struct Celery {
    server: Arc<Server>,
    queues: Vec<String>,
    /// What stands behind a queue's name in its lists.
    suffixes: Vec<String>,
    prefix: String,
    unacked: Unacked,
}

impl Celery {
    fn ask(&self, name: &str, key: &str) -> Cmd {
        cmd(name).arg(format!("{}{key}", self.prefix)).take()
    }

    /// What was taken and not acknowledged; `None` where there is too much of it to look at.
    async fn taken(&self) -> Result<Option<Vec<Json>>, Failure> {
        if self.unacked == Unacked::Ignore {
            return Ok(None);
        }
        let len = self.server.ask(&[self.ask("HLEN", "unacked")]).await?;
        match len.first().map(redis::count).transpose()? {
            Some(0.0) => return Ok(Some(Vec::new())),
            Some(len) if len <= UNACKED => {}
            _ => return Ok(None),
        }
        let entries = self.server.ask(&[self.ask("HVALS", "unacked")]).await?;
        let entries = entries.first().map(redis::texts).unwrap_or_default();
        Ok(Some(entries.iter().filter_map(|entry| serde_json::from_str(entry).ok()).collect()))
    }
}

#[async_trait]
impl Backlog for Celery {
    async fn look(&self) -> Result<Vec<Seen>, Failure> {
        let mut all = Vec::new();
        for (queue, suffix) in self.queues.iter().flat_map(|queue| self.suffixes.iter().map(move |s| (queue, s))) {
            let key = format!("{queue}{suffix}");
            all.extend([self.ask("LLEN", &key), self.ask("LINDEX", &key).arg(-1).take()]);
        }
        let answers = self.server.ask(&all).await?;
        let taken = self.taken().await?;
        let now = Timestamp::now();
        let of = answers.chunks(2 * self.suffixes.len());
        self.queues.iter().zip(of).map(|(queue, of)| judge(queue, of, taken.as_deref(), self.unacked, now)).collect()
    }
}

/// One queue from the lengths and the oldest jobs of its lists.
pub(crate) fn judge(
    queue: &str,
    of: &[Value],
    taken: Option<&[Json]>,
    unacked: Unacked,
    now: Timestamp,
) -> Result<Seen, Failure> {
    let (mut waiting, mut oldest_ms) = (0.0, Some(0.0_f64));
    let mut older = |age: Option<f64>| oldest_ms = oldest_ms.zip(age).map(|(oldest, age)| oldest.max(age));
    for list in of.chunks(2) {
        let [len, oldest] = list else { return Err(Failure::Closed) };
        let len = redis::count(len)?;
        waiting += len;
        if len > 0.0 {
            let job = redis::text(oldest).and_then(|job| serde_json::from_str(&job).ok());
            older(job.and_then(|job| age(&job, len, now)));
        }
    }
    // An entry is the message, its exchange, and its routing key, which is the queue.
    let due = |entry: &&Json| entry[2] == queue && eta(&entry[0]).is_none_or(|eta| eta <= now);
    let due: Option<Vec<_>> = taken.map(|taken| taken.iter().filter(due).collect());
    if unacked == Unacked::Waiting {
        let due = due.ok_or_else(|| Failure::Other(format!("more than {UNACKED} jobs are unacknowledged").into()))?;
        waiting += due.len() as f64;
        due.iter().for_each(|entry| older(age(&entry[0], 1.0, now)));
        return Ok(Seen::new(waiting, None, oldest_ms));
    }
    Ok(Seen::new(waiting, due.map(|due| due.len() as f64), oldest_ms))
}

/// When a job is due, where it has an ETA.
fn eta(job: &Json) -> Option<Timestamp> {
    instant(&job["headers"]["eta"])
}

/// How long the oldest of this many jobs waits. One that is not due yet waits for nothing, but then those behind it are not
/// known.
fn age(job: &Json, of: f64, now: Timestamp) -> Option<f64> {
    match eta(job) {
        Some(eta) if eta <= now => Some(age_ms(eta, now)),
        Some(_) if of <= 1.0 => Some(0.0),
        Some(_) => None,
        None => {
            let added = instant(&job["properties"]["published_at"]).or_else(|| instant(&job["headers"]["run_at"]));
            added.map(|at| age_ms(at, now))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-11-25T07:10:24.5Z".parse().unwrap()
    }

    fn bulk(job: &Json) -> Value {
        Value::BulkString(job.to_string().into_bytes())
    }

    fn job(eta: Json, published_at: Json) -> Json {
        // As Celery 5.7 wrote it, without what is not looked at.
        serde_json::json!({
            "body": "W1sxXSwge30sIHt9XQ==", "content-type": "application/json",
            "headers": { "task": "cel.slow", "id": "996c35ba", "eta": eta, "retries": 0 },
            "properties": { "published_at": published_at, "delivery_info": { "exchange": "", "routing_key": "mailer" }, "priority": 0 },
        })
    }

    #[test]
    fn a24_the_lists_of_all_priorities_add_up() {
        let of = [2, 5, 0, 40]
            .map(|len| [Value::Int(len), if len > 0 { bulk(&job(Json::Null, Json::Null)) } else { Value::Nil }]);
        let seen = judge("celery", of.as_flattened(), Some(&[]), Unacked::Busy, now()).unwrap();
        assert_eq!(seen, Seen { waiting: 47.0, busy: Some(0.0), oldest_ms: None });
    }

    #[test]
    fn the_oldest_of_all_lists_counts_where_each_tells_its_time() {
        let now = now();
        let timed = |s: f64| bulk(&job(Json::Null, s.into()));
        let of = [Value::Int(1), timed(1_795_590_614.5), Value::Int(1), timed(1_795_590_604.5)];
        let seen = judge("celery", &of, None, Unacked::Busy, now).unwrap();
        assert_eq!(seen, Seen { waiting: 2.0, busy: None, oldest_ms: Some(20_000.0) });
        let of = [Value::Int(1), timed(1_795_590_614.5), Value::Int(1), bulk(&job(Json::Null, Json::Null))];
        assert_eq!(judge("celery", &of, None, Unacked::Busy, now).unwrap().oldest_ms, None);
        // One that is due later waits for nothing yet.
        let later = bulk(&job("2026-11-25T07:20:14.585087+00:00".into(), 1_795_590_604.5.into()));
        assert_eq!(judge("celery", &[Value::Int(1), later], None, Unacked::Busy, now).unwrap().oldest_ms, Some(0.0));
        let past = bulk(&job("2026-11-25T07:10:14.5+00:00".into(), 1.0.into()));
        assert_eq!(
            judge("celery", &[Value::Int(9), past], None, Unacked::Busy, now).unwrap().oldest_ms,
            Some(10_000.0)
        );
    }

    #[test]
    fn unacknowledged_jobs_are_busy_or_waiting_by_their_queue_and_eta() {
        let taken = |queue: &str, eta: Json| serde_json::json!([job(eta, Json::Null), "", queue]);
        let taken = [
            taken("mailer", Json::Null),
            taken("other", Json::Null),
            taken("mailer", "2026-11-25T07:20:14.585087+00:00".into()),
            taken("mailer", "2026-11-25T07:00:14.585087+00:00".into()),
        ];
        let of = [Value::Int(0), Value::Nil];
        let seen = judge("mailer", &of, Some(&taken), Unacked::Busy, now()).unwrap();
        assert_eq!((seen.waiting, seen.busy), (0.0, Some(2.0)));
        let seen = judge("mailer", &of, Some(&taken), Unacked::Waiting, now()).unwrap();
        assert_eq!((seen.waiting, seen.busy), (2.0, None));
        assert!(judge("mailer", &of, None, Unacked::Waiting, now()).is_err());
    }
}
