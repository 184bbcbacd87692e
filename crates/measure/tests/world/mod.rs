//! An intake on a clock of the test's own, and measurements that listen to it.

#![allow(dead_code, reason = "each test file uses a part of this")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot build its input fails")]

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use autoscalebot_core::fields::{Value, Values};
use autoscalebot_core::{Failure, Reading, Secret};
use autoscalebot_measure::intake::Reply;
use autoscalebot_measure::{Intake, MEASUREMENTS, Measure, MeasureContext};
use jiff::{SignedDuration, Timestamp};
use reqwest::header::HeaderMap;

/// The token of every measurement here.
pub(crate) const TOKEN: &str = "token-EXAMPLE-1234";
/// 2026-05-04T08:24:30Z.
pub(crate) const START: i64 = 1_777_883_070_000;

/// The intake and its clock, in milliseconds.
pub(crate) struct World {
    pub(crate) now_ms: Arc<AtomicI64>,
    pub(crate) intake: Arc<Intake>,
}

impl World {
    pub(crate) fn at(start_ms: i64) -> Self {
        let now_ms = Arc::new(AtomicI64::new(start_ms));
        let clock = Arc::clone(&now_ms);
        let now = move || Timestamp::from_millisecond(clock.load(Ordering::SeqCst)).unwrap();
        Self { now_ms, intake: Arc::new(Intake::new(now)) }
    }

    pub(crate) fn new() -> Self {
        Self::at(START)
    }

    pub(crate) fn pass(&self, secs: i64) {
        self.now_ms.fetch_add(secs * 1000, Ordering::SeqCst);
    }

    pub(crate) fn now(&self) -> i64 {
        self.now_ms.load(Ordering::SeqCst)
    }

    /// A measurement of this kind, with the token and these settings.
    pub(crate) fn measure(&self, kind: &str, process: &str, set: &[(&'static str, Value)]) -> Arc<dyn Measure> {
        let entry = MEASUREMENTS.iter().find(|entry| entry.kind.description.name == kind).unwrap();
        let mut values = Values::default();
        values.set("token", Value::Secret(Secret::new(TOKEN)));
        for (name, value) in set {
            values.set(name, value.clone());
        }
        (entry.kind.check)(&values, SignedDuration::from_secs(10)).unwrap();
        let every = Duration::from_secs(10);
        (entry.build)(&values, MeasureContext { app: "shop", process, every, intake: &self.intake }).unwrap()
    }

    /// What a request is answered.
    pub(crate) fn reply(&self, path: &str, headers: &[(&'static str, &str)], body: &[u8]) -> Reply {
        let headers: HeaderMap = headers.iter().map(|(n, v)| (n.parse().unwrap(), v.parse().unwrap())).collect();
        match self.intake.admit("POST", path, &headers) {
            Ok(ticket) => ticket.accept(body),
            Err(reply) => reply,
        }
    }

    /// The status of the same.
    pub(crate) fn post(&self, path: &str, headers: &[(&'static str, &str)], body: &[u8]) -> u16 {
        self.reply(path, headers, body).status
    }
}

/// A reading that must be a number.
pub(crate) async fn value(measure: &Arc<dyn Measure>) -> f64 {
    match measure.read().await.reading {
        Reading::Value(value) => value,
        Reading::Failed(failure) => panic!("{failure}"),
    }
}

/// A reading that must be none.
pub(crate) async fn failure(measure: &Arc<dyn Measure>) -> Failure {
    match measure.read().await.reading {
        Reading::Value(value) => panic!("a value of {value}"),
        Reading::Failed(failure) => failure,
    }
}

/// A small generator of known quality (splitmix64), so that a run can be repeated.
pub(crate) struct Seeded(pub(crate) u64);

impl Seeded {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// From 0, inclusive, to 1.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// From 0 to one less.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }
}
