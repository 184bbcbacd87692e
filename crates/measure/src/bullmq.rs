//! `bullmq`: the queues of BullMQ, in Redis. <https://docs.bullmq.io/>
//!
//! - Jobs wait in a list, the newest first, and in a sorted set where they have a priority. Delayed ones that are due wait too.
//! - A queue that is paused gets no work done by more workers: none of its jobs count as waiting.
//! - A job's `timestamp` is when it was made. It was due by its delay after that, and after a retry not before its last try.
//! - Old versions put a marker, an entry that starts with `0:`, into the list; new ones have a key of its own for it.

use std::sync::Arc;

use ::redis::{Cmd, Value, cmd};
use async_trait::async_trait;
use autoscalebot_core::Failure;
use autoscalebot_core::fields::{Field, FieldError, FieldType, Values};
use jiff::Timestamp;
use serde_json::Value as Json;

use crate::number::{age_ms, seconds};
use crate::queue::{self, Backlog, Seen};
use crate::redis::{self, Server};
use crate::{MeasureEntry, fields};

/// The entry in the list of measurements.
pub const ENTRY: MeasureEntry = queue::entry(
    "bullmq",
    "The queues of BullMQ, in Redis.",
    FIELDS,
    |values, every| settings(values).and(queue::limit(values, every)).map(|_| ()),
    |values, context| queue::measure(values, context.every, settings(values)?),
);

const FIELDS: &[Field] = &[
    redis::URL,
    Field::required("queues", FieldType::Texts, "The names of the queues.", "[\"mail\", \"video\"]"),
    Field::defaulting("prefix", FieldType::Text, "\"bull\"", "What all keys begin with."),
    queue::VALUE,
    queue::COMBINE,
    redis::SENTINEL,
    redis::SENTINELS,
    fields::TIMEOUT,
];

/// How many of the jobs with a priority are looked at for the oldest; they are sorted by priority, not by age.
const LOOKED_AT: usize = 100;

/// The score of a delayed job is its instant in milliseconds times this, plus a counter.
const PER_MILLISECOND: f64 = 4096.0;

/// How many questions there are about a queue.
const QUESTIONS: usize = 9;

fn settings(values: &Values) -> Result<BullMq, FieldError> {
    let queues = values.texts("queues").to_vec();
    if queues.is_empty() {
        return Err(FieldError::new("queues", "is empty: write the names of the queues"));
    }
    let prefix = values.text("prefix").unwrap_or("bull").to_owned();
    Ok(BullMq { server: redis::server(values)?, queues, prefix })
}

#[derive(Debug)]
struct BullMq {
    server: Arc<Server>,
    queues: Vec<String>,
    prefix: String,
}

impl BullMq {
    fn ask(&self, name: &str, queue: &str, key: &str) -> Cmd {
        cmd(name).arg(format!("{}:{queue}:{key}", self.prefix)).take()
    }

    fn questions(&self, queue: &str, now_ms: i64) -> [Cmd; QUESTIONS] {
        let until = (now_ms as f64 + 1.0) * PER_MILLISECOND - 1.0;
        [
            self.ask("LLEN", queue, "wait"),
            // The last two are the oldest job and maybe a marker; a marker may also be the newest.
            self.ask("LRANGE", queue, "wait").arg(-2).arg(-1).take(),
            self.ask("LINDEX", queue, "wait").arg(0).take(),
            self.ask("ZCARD", queue, "prioritized"),
            self.ask("ZRANGE", queue, "prioritized").arg(0).arg(LOOKED_AT - 1).take(),
            self.ask("LLEN", queue, "active"),
            self.ask("ZCOUNT", queue, "delayed").arg("-inf").arg(until).take(),
            self.ask("ZRANGE", queue, "delayed").arg(0).arg(0).arg("WITHSCORES").take(),
            self.ask("HGET", queue, "meta").arg("paused").take(),
        ]
    }
}

#[async_trait]
impl Backlog for BullMq {
    async fn look(&self) -> Result<Vec<Seen>, Failure> {
        let now = Timestamp::now();
        let all: Vec<_> = self.queues.iter().flat_map(|queue| self.questions(queue, now.as_millisecond())).collect();
        let answers = self.server.ask(&all).await?;
        let found = answers.chunks(QUESTIONS).map(|of| found(of, now)).collect::<Result<Vec<_>, _>>()?;
        // A second round for the times of the jobs.
        let mut ask = Vec::new();
        for (queue, found) in self.queues.iter().zip(&found) {
            let times =
                |id: &String| self.ask("HMGET", queue, id).arg("timestamp").arg("opts").arg("processedOn").take();
            ask.extend(found.ids.iter().map(times));
        }
        let times = self.server.ask(&ask).await?;
        let mut times = times.iter();
        Ok(found.iter().map(|found| found.seen(times.by_ref().take(found.ids.len()), now)).collect())
    }
}

/// One queue before the times of its jobs are known.
pub(crate) struct Found {
    /// Jobs in the list and with a priority, and delayed ones that are due.
    waiting: f64,
    busy: f64,
    /// Jobs to ask for their times.
    ids: Vec<String>,
    /// The age of the delayed job that is due for the longest time.
    delayed_ms: Option<f64>,
}

pub(crate) fn found(of: &[Value], now: Timestamp) -> Result<Found, Failure> {
    let [len, last, first, prioritized, by_priority, active, due, first_due, paused] = of else {
        return Err(Failure::Closed);
    };
    let busy = redis::count(active)?;
    if redis::text(paused).is_some_and(|paused| paused == "1") {
        return Ok(Found { waiting: 0.0, busy, ids: Vec::new(), delayed_ms: None });
    }
    let is_marker = |id: &String| id.starts_with("0:");
    let last = redis::texts(last);
    let len = redis::count(len)?;
    // With one entry, the first is the last.
    let markers = last.iter().filter(|id| is_marker(id)).count()
        + usize::from(len > 2.0 && redis::text(first).as_ref().is_some_and(is_marker));
    let mut ids: Vec<_> = last.into_iter().rev().find(|id| !is_marker(id)).into_iter().collect();
    ids.extend(redis::texts(by_priority));
    let due = redis::count(due)?;
    let since = redis::score(first_due).and_then(|score| seconds((score / PER_MILLISECOND).floor()));
    let delayed_ms = (due > 0.0).then(|| since.map(|at| age_ms(at, now))).flatten();
    let waiting = (len - markers as f64).max(0.0) + redis::count(prioritized)? + due;
    Ok(Found { waiting, busy, ids, delayed_ms })
}

impl Found {
    pub(crate) fn seen<'v>(&self, times: impl Iterator<Item = &'v Value>, now: Timestamp) -> Seen {
        let ages = times.filter_map(|times| redis::list(times).and_then(|times| since_ms(&times)));
        let ages = ages.filter_map(seconds).map(|at| age_ms(at, now)).chain(self.delayed_ms);
        Seen::new(self.waiting, Some(self.busy), ages.reduce(f64::max))
    }
}

/// Since when a job waits, from its `timestamp`, `opts` and `processedOn`.
fn since_ms(times: &[Value]) -> Option<f64> {
    let [made, opts, tried] = times else { return None };
    let opts: Option<Json> = redis::text(opts).and_then(|opts| serde_json::from_str(&opts).ok());
    let delay = opts.and_then(|opts| opts["delay"].as_f64()).unwrap_or(0.0);
    let due = redis::number(made)? + delay;
    Some(redis::number(tried).map_or(due, |tried| due.max(tried)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.into())
    }

    fn ids(ids: &[&str]) -> Value {
        Value::Array(ids.iter().map(|id| bulk(id)).collect())
    }

    #[test]
    fn a_job_waits_since_it_was_due() {
        assert_eq!(since_ms(&[bulk("1000"), bulk("{\"delay\":500}"), Value::Nil]), Some(1500.0));
        assert_eq!(since_ms(&[bulk("1000"), bulk("{}"), bulk("9000")]), Some(9000.0));
        assert_eq!(since_ms(&[bulk("1000"), Value::Nil, Value::Nil]), Some(1000.0));
        assert_eq!(since_ms(&[Value::Nil, Value::Nil, Value::Nil]), None);
    }

    #[test]
    fn markers_are_no_jobs_and_a_paused_queue_waits_for_no_worker() {
        let now = Timestamp::from_second(1_795_590_600).unwrap();
        let mut of = vec![
            Value::Int(3),
            ids(&["1", "0:1795590546659"]),
            bulk("2"),
            Value::Int(1),
            ids(&["5"]),
            Value::Int(2),
            Value::Int(1),
            ids(&["7", "7354738841600000"]),
            Value::Nil,
        ];
        let seen = found(&of, now).unwrap();
        assert_eq!((seen.waiting, seen.busy, seen.ids.clone()), (4.0, 2.0, vec!["1".into(), "5".into()]));
        // 7354738841600000 / 4096 = 1795590537500 ms, 62.5 s before.
        assert_eq!(seen.delayed_ms, Some(62_500.0));
        of[8] = bulk("1");
        assert_eq!(found(&of, now).unwrap().waiting, 0.0);
        let empty = [
            Value::Int(0),
            ids(&[]),
            Value::Nil,
            Value::Int(0),
            ids(&[]),
            Value::Int(0),
            Value::Int(0),
            ids(&[]),
            Value::Nil,
        ];
        let seen = found(&empty, now).unwrap();
        assert_eq!((seen.waiting, seen.seen(std::iter::empty(), now).oldest_ms), (0.0, Some(0.0)));
    }
}
