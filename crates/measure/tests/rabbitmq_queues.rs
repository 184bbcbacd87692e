//! Queues of a real RabbitMQ, one with Celery's jobs and a Celery worker.

#![allow(clippy::unwrap_used, reason = "a test that cannot build its input fails")]

mod servers;

use std::time::Duration;

use servers::rabbitmq::RabbitMq;
use servers::{failure, python, read, reads, run, script_path, source, start, value};

/// The counts are refreshed every 5 seconds.
const LONG: Duration = Duration::from_secs(25);

#[tokio::test(flavor = "multi_thread")]
async fn ready_and_unacknowledged_with_virtual_hosts_and_odd_characters() {
    let rabbit = RabbitMq::new();
    let broker = format!("amqp://guest:guest@127.0.0.1:{}//", rabbit.amqp);
    let lines = |login: &str, path: &str, queues: &str| {
        let port = rabbit.management;
        format!("type = \"rabbitmq\"\nurl = \"http://{login}@127.0.0.1:{port}{path}\"\nqueues = [{queues}]")
    };
    run(python().env("BROKER", &broker).arg(script_path("jobs.py")).args(["celery-plain", &broker]));
    // A queue that was just declared has no counts yet, and is not empty.
    rabbit.put("vhosts/a%2Fb", "{}");
    rabbit.put("permissions/a%2Fb/guest", r#"{"configure":".*","write":".*","read":".*"}"#);
    rabbit.put("queues/a%2Fb/x%20y", r#"{"durable":true}"#);
    let odd = source(&lines("guest:guest", "/a%2Fb", "\"x y\""));
    let first = odd.read().await;
    if !matches!(first.reading, autoscalebot_core::Reading::Value(_)) {
        assert_eq!(failure(&first), "the server does not tell messages_ready yet");
    }
    let message = r#"{"properties":{"timestamp":1000},"routing_key":"x y","payload":"1","payload_encoding":"string"}"#;
    rabbit.post("exchanges/a%2Fb/amq.default/publish", message);

    let plain = source(&lines("guest:guest", "", "\"plain\""));
    let taken =
        reads("Celery's jobs", &plain, LONG, |taken| taken.reading == autoscalebot_core::Reading::Value(4.0)).await;
    assert_eq!((taken.detail.busy, taken.detail.latency_ms), (Some(0.0), None));
    let taken = reads("a message", &odd, LONG, |taken| taken.reading == autoscalebot_core::Reading::Value(1.0)).await;
    assert!(taken.detail.latency_ms.unwrap() > 1e12, "since 1970");

    assert_eq!(
        failure(&read(&lines("guest:guest", "/", "\"none\"")).await),
        "there is no queue \"none\" in this virtual host"
    );
    assert_eq!(failure(&read(&lines("guest:wrong", "/", "\"plain\"")).await), "status 401");
    let body = "{\"password\":\"p#20@/:%\",\"tags\":\"monitoring\"}";
    rabbit.put("users/mon", body);
    rabbit.put("permissions/%2F/mon", r#"{"configure":"","write":"","read":""}"#);
    assert_eq!(value(&read(&lines("mon:p%2320%40%2F%3A%25", "/", "\"plain\"")).await), 4.0);

    // Over AMQP: what is ready alone, over one connection.
    let amqp = |login: &str, path: &str, queues: &str| {
        format!("type = \"rabbitmq\"\nurl = \"amqp://{login}@127.0.0.1:{}{path}\"\nqueues = [{queues}]", rabbit.amqp)
    };
    let source_of = source(&amqp("guest:guest", "//", "\"plain\""));
    for _ in 0..3 {
        let taken = source_of.read().await;
        assert_eq!((value(&taken), taken.detail.busy, taken.detail.latency_ms), (4.0, None, None));
    }
    assert_eq!(value(&read(&amqp("guest:guest", "/a%2Fb", "\"x y\", \"x y\"")).await), 2.0);
    let said = failure(&read(&amqp("guest:guest", "", "\"none\"")).await);
    assert_eq!(said, "NOT_FOUND - no queue 'none' in vhost '/'");
    // The kept connection is given up after an error, and the next reading has another.
    assert_eq!(value(&source_of.read().await), 4.0);
    assert_eq!(failure(&read(&amqp("guest:pw-EXAMPLE-5678", "", "\"plain\"")).await), "the server refuses the login");
    let said = failure(&read(&amqp("guest:guest", "/nowhere", "\"plain\"")).await);
    assert!(said.starts_with("NOT_ALLOWED - vhost nowhere not found"), "{said}");
    let said =
        servers::try_source(&format!("{}\nvalue = \"latency\"", amqp("guest:guest", "", "\"plain\""))).unwrap_err();
    assert!(said.contains("value: can't be latency over AMQP"), "{said}");

    let mut worker = python();
    worker.env("BROKER", &broker).env("PYTHONPATH", script_path("")).args(["-m", "celery", "-A", "jobs", "worker"]);
    run(python().env("BROKER", &broker).arg(script_path("jobs.py")).args(["celery-hold", &broker]));
    let _worker =
        start(worker.args(["-Q", "held", "-P", "threads", "-c", "1", "--without-gossip", "--without-mingle"]));
    let held = source(&lines("guest:guest", "", "\"held\""));
    // Case A27: with one of two jobs running, and maybe the other fetched ahead, somebody is busy.
    let taken = reads("a worker", &held, LONG, |taken| taken.detail.busy.is_some_and(|busy| busy > 0.0)).await;
    assert_eq!(value(&taken) + taken.detail.busy.unwrap(), 2.0);
}
