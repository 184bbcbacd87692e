//! What a source that is down costs: nothing that grows. Alone in its file, as it counts what the whole process has open.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in test functions; the helpers here are none.

use std::sync::Arc;
use std::time::Duration;

use autoscalebot_core::fields::{Value, Values};
use autoscalebot_core::{Failure, Reading};
use autoscalebot_measure::{MEASUREMENTS, Measure, MeasureContext};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

fn tasks() -> usize {
    tokio::runtime::Handle::current().metrics().num_alive_tasks()
}

async fn fail(heartbeat: &Arc<dyn Measure>, times: usize) {
    for _ in 0..times {
        assert_eq!(heartbeat.read().await.reading, Reading::Failed(Failure::Refused));
    }
}

/// A source of this kind at an address.
fn source(kind: &str, url: &str) -> Arc<dyn Measure> {
    let mut values = Values::default();
    values.set("url", Value::Url(url.parse().unwrap()));
    values.set("query", Value::Text("up".into()));
    values.set("queues", Value::Texts(vec!["jobs".into()]));
    let entry = MEASUREMENTS.iter().find(|entry| entry.kind.description.name == kind).unwrap();
    let intake = Arc::default();
    let context = MeasureContext { app: "shop", process: "worker", every: Duration::from_secs(30), intake: &intake };
    (entry.build)(&values, context).unwrap()
}

/// Whether the server refuses or, taking the connection, closes it at once: brokers and databases whose clients keep a
/// connection with a task of its own leave nothing behind either.
async fn a35_queues_and_metrics_servers() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closing = listener.local_addr().unwrap();
    let server = tokio::spawn(async move { while listener.accept().await.is_ok() {} });
    let refusing = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let kinds = [("celery", "redis://"), ("sql", "postgres://me@"), ("rabbitmq", "http://"), ("prometheus", "http://")];
    for (kind, begin) in kinds {
        for (addr, failure) in [(refusing, Failure::Refused), (closing, Failure::Closed)] {
            let source = source(kind, &format!("{begin}{addr}/"));
            let mut after_some = None;
            for n in 0..500 {
                let reading = source.read().await.reading;
                assert_eq!(reading, Reading::Failed(failure.clone()), "{kind}");
                if n == 100 {
                    after_some = Some((open_files(), resident_bytes()));
                }
            }
            let (files, resident) = after_some.unwrap();
            // What is being closed at this instant, by a server and by a client.
            assert!(open_files() <= files + 4, "{kind}: {files} files became {}", open_files());
            assert!(resident_bytes() < resident + 5 * 1024 * 1024, "{kind}");
        }
    }
    server.abort();
}

#[tokio::test]
async fn a35_ten_thousand_refused_readings_leave_nothing_behind() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    drop(listener);
    let mut values = Values::default();
    values.set("url", Value::Url(format!("http://{addr}/").parse().unwrap()));
    values.set("reuse_connections", Value::Flag(true));
    let entry = MEASUREMENTS.iter().find(|entry| entry.kind.description.name == "heartbeat").unwrap();
    let intake = Arc::default();
    let context = MeasureContext { app: "shop", process: "web", every: Duration::from_secs(30), intake: &intake };
    let heartbeat = (entry.build)(&values, context).unwrap();

    fail(&heartbeat, 100).await;
    let (files, alive, resident) = (open_files(), tasks(), resident_bytes());
    fail(&heartbeat, 9_900).await;
    assert_eq!((open_files(), tasks()), (files, alive));
    assert!(resident_bytes() < resident + 5 * 1024 * 1024);

    // The source returns, and the very next reading uses it.
    let listener = TcpListener::bind(addr).await.unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 1024];
        assert!(stream.read(&mut request).await.unwrap() > 0);
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
    });
    assert!(matches!(heartbeat.read().await.reading, Reading::Value(_)));

    a35_queues_and_metrics_servers().await;
}
