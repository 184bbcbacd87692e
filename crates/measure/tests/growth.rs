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
}
