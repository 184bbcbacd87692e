//! Queues in a real Redis, written by the real libraries (Celery, RQ, BullMQ) or as they write (Sidekiq, Resque).

#![allow(clippy::unwrap_used, reason = "a test that cannot build its input fails")]

mod servers;

use std::time::{Duration, SystemTime};

use servers::redis::Redis;
use servers::{node, python, read, reads, run, script_path, source, start, value};

const LONG: Duration = Duration::from_secs(20);

fn now_s() -> f64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64()
}

#[tokio::test(flavor = "multi_thread")]
async fn a24_celery_with_priorities_times_and_a_worker() {
    let redis = Redis::new();
    let url = redis.url();
    run(python().env("BROKER", &url).arg(script_path("jobs.py")).args(["celery", &url]));
    let lines = |rest: &str| format!("type = \"celery\"\nurl = \"{url}\"\n{rest}");

    let taken = read(&lines("")).await;
    assert_eq!((value(&taken), taken.detail.busy, taken.detail.latency_ms), (47.0, Some(0.0), None));
    assert_eq!(value(&read(&lines("priority_steps = [\"0\"]")).await), 2.0);
    assert_eq!(value(&read(&lines("queues = [\"celery\", \"held\"]")).await), 50.0);
    assert_eq!(value(&read(&lines("queues = [\"celery\", \"held\"]\ncombine = \"max\"")).await), 47.0);
    assert_eq!(value(&read(&lines("queues = [\"no-such-queue\"]")).await), 0.0);
    let timed = value(&read(&lines("queues = [\"timed\"]\nvalue = \"latency\"")).await);
    assert!((30_000.0..45_000.0).contains(&timed), "{timed}");
    assert_eq!(value(&read(&lines("queues = [\"later\"]\nvalue = \"latency\"")).await), 0.0);

    let mut worker = python();
    worker.env("BROKER", &url).env("PYTHONPATH", script_path("")).args(["-m", "celery", "-A", "jobs", "worker"]);
    let _worker =
        start(worker.args(["-Q", "held", "-P", "threads", "-c", "1", "--without-gossip", "--without-mingle"]));
    let held = source(&lines("queues = [\"held\"]"));
    // It runs one, and fetched one more ahead (a thread pool's prefetch of one besides).
    let busy =
        reads("a worker takes jobs", &held, LONG, |taken| taken.detail.busy.is_some_and(|busy| busy > 0.0)).await;
    assert_eq!(value(&busy) + busy.detail.busy.unwrap(), 3.0);
    let waiting = value(&read(&lines("queues = [\"held\"]\nunacked = \"waiting\"")).await);
    assert_eq!(waiting, 3.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn rq_with_a_worker_and_a_schedule() {
    let redis = Redis::new();
    let url = redis.url();
    run(python().env("PYTHONPATH", script_path("")).arg(script_path("jobs.py")).args(["rq", &url]));
    let lines = |rest: &str| format!("type = \"rq\"\nurl = \"{url}\"\n{rest}");

    let taken = read(&lines("queues = [\"default\"]")).await;
    let age = taken.detail.latency_ms.unwrap();
    assert_eq!((value(&taken), taken.detail.busy), (4.0, Some(0.0)));
    assert!((1.0..10_000.0).contains(&age), "{age}");
    // Due and not moved yet; the other is due in an hour.
    let taken = read(&lines("queues = [\"mail\"]")).await;
    let age = taken.detail.latency_ms.unwrap();
    assert_eq!(value(&taken), 1.0);
    assert!((40_000.0..55_000.0).contains(&age), "{age}");

    let mut worker = python();
    worker.env("PYTHONPATH", script_path("")).args(["-m", "rq.cli", "worker", "--url", &url, "default"]);
    let _worker = start(&mut worker);
    let default = source(&lines("queues = [\"default\"]"));
    let busy = reads("a worker takes a job", &default, LONG, |taken| taken.detail.busy == Some(1.0)).await;
    assert_eq!(value(&busy), 2.0, "one had gone, one runs");
    // Without names: all that RQ knows of, which are both.
    assert_eq!(value(&read(&lines("")).await), 3.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn bullmq_with_priorities_delays_a_pause_and_a_worker() {
    let redis = Redis::new();
    let url = redis.url();
    let _node = start(node("jobs.cjs").arg(redis.port.to_string()));
    let lines = |queue: &str| format!("type = \"bullmq\"\nurl = \"{url}\"\nqueues = [\"{queue}\"]");

    let busy = source(&lines("busy"));
    let taken = reads("a worker takes a job", &busy, LONG, |taken| taken.detail.busy == Some(1.0)).await;
    assert_eq!(value(&taken), 1.0);
    let taken = read(&lines("mail")).await;
    // Four that wait, one with a priority, one whose delay is over.
    assert_eq!((value(&taken), taken.detail.busy), (6.0, Some(0.0)));
    let age = taken.detail.latency_ms.unwrap();
    assert!((1.0..20_000.0).contains(&age), "{age}");
    let taken = read(&lines("paused")).await;
    assert_eq!((value(&taken), taken.detail.latency_ms), (0.0, Some(0.0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn sidekiq_as_versions_6_and_8_write() {
    let redis = Redis::new();
    let now = now_s();
    let job = |queue: &str, rest: &str| {
        format!("{{\"class\":\"Slow\",\"jid\":\"1\",\"queue\":\"{queue}\",\"args\":[],{rest}}}")
    };
    redis.cli(&["SADD", "queues", "default", "mailer"]);
    let old = job("mailer", &format!("\"created_at\":{0},\"enqueued_at\":{0}", now - 50.0));
    let new = job("mailer", &format!("\"created_at\":{0},\"enqueued_at\":{0}", ((now - 20.0) * 1000.0) as i64));
    redis.cli(&["LPUSH", "queue:mailer", &old, &new]);
    redis.cli(&["ZADD", "retry", &(now - 70.0).to_string(), &job("mailer", "\"retry_count\":1")]);
    redis.cli(&["ZADD", "schedule", &(now + 70.0).to_string(), &job("mailer", "\"created_at\":1")]);
    redis.cli(&["SADD", "processes", "host:1:a", "host:2:dead", "host:3:c"]);
    redis.cli(&["HSET", "host:1:a", "busy", "1", "beat", &now.to_string()]);
    redis.cli(&["HSET", "host:3:c", "busy", "2", "beat", &now.to_string()]);
    let work = |queue: &str| format!("{{\"queue\":\"{queue}\",\"payload\":\"{{}}\",\"run_at\":{}}}", now as i64);
    redis.cli(&["HSET", "host:1:a:workers", "t1", &work("mailer")]);
    redis.cli(&["HSET", "host:2:dead:work", "t1", &work("mailer")]);
    redis.cli(&["HSET", "host:3:c:work", "t1", &work("mailer"), "t2", &work("default")]);
    let lines = |rest: &str| format!("type = \"sidekiq\"\nurl = \"{}\"\n{rest}", redis.url());

    let taken = read(&lines("queues = [\"mailer\"]")).await;
    assert_eq!((value(&taken), taken.detail.busy), (3.0, Some(2.0)));
    let age = value(&read(&lines("queues = [\"mailer\"]\nvalue = \"latency\"")).await);
    assert!((70_000.0..80_000.0).contains(&age), "{age}");
    let all = read(&lines("")).await;
    assert_eq!((value(&all), all.detail.busy), (3.0, Some(3.0)));
    redis.cli(&["SADD", "paused", "mailer"]);
    assert_eq!(value(&read(&lines("")).await), 0.0);
    assert_eq!(value(&read(&lines("namespace = \"other\"")).await), 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn resque_with_and_without_times() {
    let redis = Redis::new();
    redis.cli(&["SADD", "resque:queues", "mail", "empty"]);
    redis.cli(&[
        "RPUSH",
        "resque:queue:mail",
        "{\"class\":\"Mail\",\"args\":[1]}",
        "{\"class\":\"Mail\",\"args\":[2]}",
    ]);
    redis.cli(&["SADD", "resque:workers", "host:1:mail", "host:2:mail"]);
    redis.cli(&[
        "SET",
        "resque:worker:host:1:mail",
        "{\"queue\":\"mail\",\"run_at\":\"2026-11-25T07:13:00Z\",\"payload\":{}}",
    ]);
    let lines = |rest: &str| format!("type = \"resque\"\nurl = \"{}\"\n{rest}", redis.url());

    let taken = read(&lines("")).await;
    assert_eq!((value(&taken), taken.detail.busy, taken.detail.latency_ms), (2.0, Some(1.0), None));
    let taken = read(&lines("value = \"latency\"")).await;
    assert_eq!(servers::failure(&taken), "the oldest job does not tell since when it waits");
    redis.cli(&[
        "LPUSH",
        "resque:queue:mail",
        &format!("{{\"class\":\"Mail\",\"args\":[],\"timestamp\":{}}}", now_s() - 9.0),
    ]);
    let age = value(&read(&lines("queues = [\"mail\"]\nvalue = \"latency\"")).await);
    assert!((9_000.0..19_000.0).contains(&age), "{age}");
}
