//! The key of a Heroku section is shown nowhere (A34): not in the most verbose log, nor in errors and `Debug`, whatever Heroku
//! answers.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

use std::io::Write;
use std::sync::{Arc, Mutex};

use autoscalebot_core::Secret;
use autoscalebot_fakes::heroku::{Fault, HerokuFake};
use autoscalebot_platform::heroku::Heroku;
use autoscalebot_platform::{Change, Formation, Platform};
use jiff::{SignedDuration, Timestamp};

fn secs(secs: i64) -> Timestamp {
    Timestamp::from_second(1_777_000_000).unwrap() + SignedDuration::from_secs(secs)
}

/// Keeps what is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a34_the_key_is_in_no_log_no_error_and_no_debug() {
    const KEY: &str = "tok-EXAMPLE-1234";
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut shown = String::new();
    // For the whole program: with one for a thread, other threads' log calls race with it. This file has one test for that.
    tracing::subscriber::set_global_default(subscriber).unwrap();
    runtime.block_on(async {
        let fake = HerokuFake::with_shop().unwrap();
        fake.set_key(KEY);
        let heroku = Heroku::new("heroku", &Secret::new(KEY), fake.url().parse().unwrap()).unwrap();
        shown += &format!("{heroku:?}{:?}", heroku.formation("shop", secs(0)).await);
        let changes = [Change { process: "web".into(), quantity: 3 }];
        let echo = format!("Bearer {KEY}");
        let echoed = serde_json::json!({"id": KEY, "message": echo, "limit": 1});
        for status in [400, 401, 403, 404, 409, 422, 429, 500, 503, 302, 200] {
            let fault = Fault::json(status, &echoed).header("Location", &format!("https://{KEY}.example/"));
            fake.fault_always("GET", "/formation", fault.clone());
            fake.fault_always("PATCH", "/formation", fault);
            let read = heroku.formation("shop", secs(i64::from(status) * 1000)).await;
            let wrote = heroku.scale("shop", &changes, &Formation::default(), secs(i64::from(status) * 1000)).await;
            shown += &format!("{read:?}{wrote:?}");
            for error in read.err().into_iter().chain(wrote.into_iter().filter_map(Result::err)) {
                shown += &format!("{error}{:?}", error.as_failure());
            }
            fake.clear_faults();
        }
        for fault in [Fault::Close, Fault::Cut] {
            fake.fault("GET", "/formation", fault);
            shown += &format!("{:?}", heroku.formation("shop", secs(900_000)).await);
        }
        shown += &format!("{heroku:?}");
    });
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("autoscalebot_platform::heroku::wire"), "the log was caught: {log}");
    assert!(log.contains("request_id=\"01234567-89ab"), "{log}");
    for text in [&log, &shown] {
        assert!(!text.to_lowercase().contains("tok-example"), "{text}");
    }
}
