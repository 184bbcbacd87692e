//! `rq`: the queues of RQ (Redis Queue), in Redis. <https://python-rq.org/docs/>
//!
//! A queue is a list of job ids, the oldest first; jobs that were scheduled and are due wait for a scheduler to move them, and
//! count as waiting. An id in the list may have no job any more (it was deleted): age is that of the next one that has.

use std::sync::Arc;

use ::redis::{Cmd, cmd};
use async_trait::async_trait;
use autoscalebot_core::Failure;
use autoscalebot_core::fields::{Field, FieldType};
use jiff::Timestamp;

use crate::number::{age_ms, seconds};
use crate::queue::{self, Backlog, Seen};
use crate::redis::{self, Server};
use crate::{MeasureEntry, fields};

/// The entry in the list of measurements.
pub const ENTRY: MeasureEntry = queue::entry(
    "rq",
    "The queues of RQ, in Redis.",
    FIELDS,
    |values, every| redis::server(values).and(queue::limit(values, every)).map(|_| ()),
    |values, context| {
        let rq = Rq { server: redis::server(values)?, queues: values.texts("queues").to_vec() };
        queue::measure(values, context.every, rq)
    },
);

const FIELDS: &[Field] = &[
    redis::URL,
    Field::optional(
        "queues",
        FieldType::Texts,
        "The names of the queues; without it, all that RQ knows of.",
        "[\"default\", \"mail\"]",
    ),
    queue::VALUE,
    queue::COMBINE,
    redis::SENTINEL,
    redis::SENTINELS,
    fields::TIMEOUT,
];

/// How many of the oldest ids are looked at for one that still has its job.
const OLDEST: usize = 10;

#[derive(Debug)]
struct Rq {
    server: Arc<Server>,
    queues: Vec<String>,
}

/// The questions about one queue.
fn questions(queue: &str, now_s: f64) -> [Cmd; 5] {
    let key = |what: &str| format!("rq:{what}:{queue}");
    let ask = |name: &str, key: String| {
        let mut cmd = cmd(name);
        cmd.arg(key);
        cmd
    };
    [
        ask("LLEN", key("queue")),
        ask("LRANGE", key("queue")).arg(0).arg(OLDEST - 1).take(),
        // The score is when the worker's claim ends: past ones are of workers that died.
        ask("ZCOUNT", key("wip")).arg(format!("({now_s}")).arg("+inf").take(),
        ask("ZCOUNT", key("scheduled")).arg("-inf").arg(now_s).take(),
        ask("ZRANGEBYSCORE", key("scheduled"))
            .arg("-inf")
            .arg(now_s)
            .arg("WITHSCORES")
            .arg("LIMIT")
            .arg(0)
            .arg(1)
            .take(),
    ]
}

#[async_trait]
impl Backlog for Rq {
    async fn look(&self) -> Result<Vec<Seen>, Failure> {
        let queues = match self.queues.as_slice() {
            [] => {
                let known = self.server.ask(&[cmd("SMEMBERS").arg("rq:queues").take()]).await?;
                let known = known.iter().flat_map(redis::texts);
                known.filter_map(|key| key.strip_prefix("rq:queue:").map(str::to_owned)).collect()
            }
            named => named.to_vec(),
        };
        let now = Timestamp::now();
        let now_s = now.as_millisecond() as f64 / 1000.0;
        let all: Vec<_> = queues.iter().flat_map(|queue| questions(queue, now_s)).collect();
        let answers = self.server.ask(&all).await?;
        // A second round for the times of the oldest jobs.
        let ids: Vec<_> = answers.chunks(5).map(|of| redis::texts(&of[1])).collect();
        let times = |id: &String| cmd("HMGET").arg(format!("rq:job:{id}")).arg("enqueued_at").arg("created_at").take();
        let times = self.server.ask(&ids.iter().flatten().map(times).collect::<Vec<_>>()).await?;
        let mut times = times.iter().map(redis::texts);
        let mut seen = Vec::new();
        for (of, ids) in answers.chunks(5).zip(&ids) {
            let jobs: Vec<_> = times.by_ref().take(ids.len()).collect();
            seen.push(judge(of, &jobs, now)?);
        }
        Ok(seen)
    }
}

/// One queue from its answers, and the times of its oldest jobs.
fn judge(of: &[::redis::Value], jobs: &[Vec<String>], now: Timestamp) -> Result<Seen, Failure> {
    let [len, _, wip, due, first_due] = of else { return Err(Failure::Closed) };
    let (len, due) = (redis::count(len)?, redis::count(due)?);
    let listed = jobs.iter().find_map(|times| times.first()?.parse().ok()).map(|at| age_ms(at, now));
    let scheduled = redis::score(first_due).and_then(seconds).map(|at| age_ms(at, now));
    let oldest = match (len > 0.0, due > 0.0) {
        (true, true) => listed.zip(scheduled).map(|(listed, scheduled)| listed.max(scheduled)),
        (true, false) => listed,
        (false, _) => scheduled,
    };
    Ok(Seen::new(len + due, Some(redis::count(wip)?), oldest))
}
