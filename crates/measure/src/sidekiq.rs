//! `sidekiq`: the queues of Sidekiq, in Redis. <https://github.com/sidekiq/sidekiq/wiki>
//!
//! - A queue is a list of jobs, the newest first. Retries and scheduled jobs lie in two sorted sets until a poller moves them,
//!   some seconds after they are due: those that are due count as waiting.
//! - `enqueued_at` is in seconds up to Sidekiq 7 and in milliseconds from 8 on, both in one list after an upgrade.
//! - What runs is told by the processes' heartbeats, so that it is 5 to 10 seconds old. A process whose key is gone is dead.
//! - A queue that is paused (Sidekiq Pro) gets no work done by more workers: none of its jobs count as waiting.

use std::sync::Arc;

use ::redis::{Cmd, Value, cmd};
use async_trait::async_trait;
use autoscalebot_core::Failure;
use autoscalebot_core::fields::{Field, FieldType};
use jiff::Timestamp;
use serde_json::Value as Json;

use crate::number::{age_ms, instant, seconds};
use crate::queue::{self, Backlog, Seen};
use crate::redis::{self, Server};
use crate::{MeasureEntry, fields};

/// The entry in the list of measurements.
pub const ENTRY: MeasureEntry = queue::entry(
    "sidekiq",
    "The queues of Sidekiq, in Redis.",
    FIELDS,
    |values, every| redis::server(values).and(queue::limit(values, every)).map(|_| ()),
    |values, context| {
        let prefix = values.text("namespace").map(|name| format!("{name}:")).unwrap_or_default();
        let sidekiq = Sidekiq { server: redis::server(values)?, queues: values.texts("queues").to_vec(), prefix };
        queue::measure(values, context.every, sidekiq)
    },
);

const FIELDS: &[Field] = &[
    redis::URL,
    Field::optional(
        "queues",
        FieldType::Texts,
        "The names of the queues; without it, all that Sidekiq knows of.",
        "[\"default\", \"mailers\"]",
    ),
    Field::optional("namespace", FieldType::Text, "The namespace of redis-namespace.", "\"shop\""),
    queue::VALUE,
    queue::COMBINE,
    redis::SENTINEL,
    redis::SENTINELS,
    fields::TIMEOUT,
];

/// The most due jobs of the two sorted sets that are looked at; with more, the count is at least as many.
const DUE: usize = 1000;

#[derive(Debug)]
struct Sidekiq {
    server: Arc<Server>,
    queues: Vec<String>,
    /// Before every key.
    prefix: String,
}

impl Sidekiq {
    fn ask(&self, name: &str, key: &str) -> Cmd {
        cmd(name).arg(format!("{}{key}", self.prefix)).take()
    }

    /// The queues of what runs now, one entry a job.
    async fn running(&self, processes: &[String]) -> Result<Vec<String>, Failure> {
        let of = |process: &String| {
            // Up to Sidekiq 6 the hash of what runs was named `workers`.
            [
                self.ask("EXISTS", process),
                self.ask("HVALS", &format!("{process}:work")),
                self.ask("HVALS", &format!("{process}:workers")),
            ]
        };
        let answers = self.server.ask(&processes.iter().flat_map(of).collect::<Vec<_>>()).await?;
        let alive = answers.chunks(3).filter(|of| redis::count(&of[0]).is_ok_and(|count| count > 0.0));
        let jobs = alive.flat_map(|of| redis::texts(&of[1]).into_iter().chain(redis::texts(&of[2])));
        Ok(jobs.filter_map(|job| queue_of(&serde_json::from_str(&job).ok()?)).collect())
    }
}

#[async_trait]
impl Backlog for Sidekiq {
    async fn look(&self) -> Result<Vec<Seen>, Failure> {
        let now = Timestamp::now();
        let now_s = now.as_millisecond() as f64 / 1000.0;
        let due = |set: &str| {
            let mut ask = self.ask("ZRANGEBYSCORE", set);
            ask.arg("-inf").arg(now_s).arg("WITHSCORES").arg("LIMIT").arg(0).arg(DUE).take()
        };
        let sets = ["processes", "paused", "queues"].map(|set| self.ask("SMEMBERS", set));
        let mut first = self.server.ask(&[sets.as_slice(), &[due("schedule"), due("retry")]].concat()).await?;
        let due: Vec<_> = first.split_off(3).iter().flat_map(due_jobs).collect();
        let mut sets = first.iter().map(redis::texts);
        let (processes, paused, known) =
            (sets.next().unwrap_or_default(), sets.next().unwrap_or_default(), sets.next().unwrap_or_default());
        let queues = if self.queues.is_empty() { known } else { self.queues.clone() };
        let running = self.running(&processes).await?;
        let of = |queue: &String| {
            let key = format!("queue:{queue}");
            [self.ask("LLEN", &key), self.ask("LINDEX", &key).arg(-1).take()]
        };
        let answers = self.server.ask(&queues.iter().flat_map(of).collect::<Vec<_>>()).await?;
        queues.iter().zip(answers.chunks(2)).map(|(queue, of)| judge(queue, of, &due, &running, &paused, now)).collect()
    }
}

/// The queues of due jobs, and since when they are due.
pub(crate) fn due_jobs(answer: &Value) -> Vec<(String, Option<Timestamp>)> {
    let entries = redis::list(answer).unwrap_or_default();
    let job = |entry: &[Value]| {
        let job: Json = serde_json::from_str(&redis::text(entry.first()?)?).ok()?;
        Some((queue_of(&job)?, redis::number(entry.get(1)?).and_then(seconds)))
    };
    entries.chunks(2).filter_map(job).collect()
}

fn queue_of(job: &Json) -> Option<String> {
    job["queue"].as_str().map(str::to_owned)
}

/// One queue from its length and its oldest job.
pub(crate) fn judge(
    queue: &String,
    of: &[Value],
    due: &[(String, Option<Timestamp>)],
    running: &[String],
    paused: &[String],
    now: Timestamp,
) -> Result<Seen, Failure> {
    let [len, oldest] = of else { return Err(Failure::Closed) };
    let busy = running.iter().filter(|of| *of == queue).count() as f64;
    if paused.contains(queue) {
        return Ok(Seen::new(0.0, Some(busy), None));
    }
    let len = redis::count(len)?;
    let oldest = redis::text(oldest).and_then(|job| since(&serde_json::from_str(&job).ok()?)).map(|at| age_ms(at, now));
    let due: Vec<_> = due.iter().filter(|(of, _)| of == queue).map(|(_, at)| at.map(|at| age_ms(at, now))).collect();
    // Each must tell its age, or the oldest is not known.
    let listed = (len > 0.0).then_some(oldest);
    let oldest = listed.into_iter().chain(due.iter().copied()).try_fold(0.0, |most: f64, age| Some(most.max(age?)));
    Ok(Seen::new(len + due.len() as f64, Some(busy), oldest))
}

/// Since when a job waits in its list.
fn since(job: &Json) -> Option<Timestamp> {
    instant(&job["enqueued_at"]).or_else(|| instant(&job["created_at"]))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Sidekiq 6.4 wrote them (seconds), and as 8.0 does (milliseconds).
    const JOBS: [&str; 2] = [
        r#"{"retry":true,"queue":"mailer","args":[90],"class":"Slow","created_at":1795590799.5359058,"enqueued_at":1795590799.5}"#,
        r#"{"retry":true,"queue":"mailer","args":[90],"class":"Slow","created_at":1795590799000,"enqueued_at":1795590799500}"#,
    ];

    #[test]
    fn seconds_and_milliseconds() {
        let at = "2026-11-25T07:13:19.5Z".parse().ok();
        for job in JOBS {
            assert_eq!(since(&serde_json::from_str(job).unwrap()), at);
        }
        assert_eq!(since(&serde_json::json!({ "created_at": 1795590799.5 })), at);
        assert_eq!(since(&serde_json::json!({ "enqueued_at": null })), None);
        assert_eq!(
            queue_of(&serde_json::from_str(r#"{"queue":"mailer","payload":"{}","run_at":1795590799}"#).unwrap()),
            Some("mailer".into())
        );
    }

    #[test]
    fn a_paused_queue_waits_for_no_worker_and_unreadable_jobs_have_no_age() {
        let now = "2026-11-25T07:13:29.5Z".parse().unwrap();
        let bulk = |text: &str| Value::BulkString(text.into());
        let of = [Value::Int(2), bulk(JOBS[0])];
        let name = "mailer".to_owned();
        let seen = judge(&name, &of, &[], std::slice::from_ref(&name), &[], now).unwrap();
        assert_eq!(seen, Seen { waiting: 2.0, busy: Some(1.0), oldest_ms: Some(10_000.0) });
        let seen = judge(&name, &of, &[], &[], std::slice::from_ref(&name), now).unwrap();
        assert_eq!(seen, Seen { waiting: 0.0, busy: Some(0.0), oldest_ms: Some(0.0) });
        let seen = judge(&name, &[Value::Int(2), bulk("{")], &[], &[], &[], now).unwrap();
        assert_eq!(seen, Seen { waiting: 2.0, busy: Some(0.0), oldest_ms: None });
        let due = due_jobs(&Value::Array(vec![bulk(JOBS[0]), bulk("1795590789.5"), bulk("no job"), bulk("1")]));
        let seen = judge(&name, &[Value::Nil, Value::Nil], &due, &[], &[], now).unwrap();
        assert_eq!(seen, Seen { waiting: 1.0, busy: Some(0.0), oldest_ms: Some(20_000.0) });
    }
}
