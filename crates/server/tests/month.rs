//! A month of a restless process: the chart is whole to its end, and no larger than it needs to be.

#![allow(clippy::unwrap_used, reason = "a test that cannot build its input fails")]

use std::sync::Arc;

use autoscalebot_core::{CallOutcome, Observation, Reading, Sample, State, decide, settle};
use autoscalebot_server::Options;
use autoscalebot_store::{Entry, ProcessKey, Store};
use common::{get, server_over, spec};
use jiff::{SignedDuration, Timestamp};

mod common;

#[tokio::test]
async fn the_chart_of_a_month_reaches_its_end() {
    let store = Store::in_memory().unwrap();
    let (spec, mut state, mut dynos) = (spec("shop"), State::default(), 2);
    let now = Timestamp::now();
    let mut entries = Vec::new();
    // Slow and fast by turns: each tick scales, which is some 14,000 steps.
    for n in (0..14_000).rev() {
        let at = now - SignedDuration::from_secs(180 * n + 30);
        let value = if dynos < 4 { 2000.0 } else { 10.0 };
        let sample = Sample::new(at, Reading::Value(value));
        let seen = Observation {
            at,
            dynos: Ok(dynos),
            samples: [Some(sample)].into_iter().collect(),
            ..Observation::default()
        };
        let record = decide(&spec, &state, &seen);
        let outcome = match record.without_call() {
            Some(outcome) => outcome,
            // Somebody takes away by hand what was added, so that there is always more to do.
            None => CallOutcome::Ok { quantity: record.desired.unwrap(), limit: None },
        };
        let record = record.conclude(&spec, &state, &outcome);
        state = settle(&spec, state, &record, &outcome);
        dynos = if record.after == Some(4) { 1 } else { record.after.unwrap() };
        entries.push(Entry::Record(Arc::new(record), None));
        if entries.len() == 1_000 {
            store.write(&entries).unwrap();
            entries.clear();
        }
    }
    store.write(&entries).unwrap();
    let newest = store.record_at(&ProcessKey::new("shop", "web"), now).unwrap().unwrap();
    let router = server_over(store, Options::local("127.0.0.1:7878".parse().unwrap()), &["shop"]).await;
    let began = std::time::Instant::now();
    let answer = get(&router, "/api/v1/apps/shop/processes/web/series?range=30d&points=300").await;
    println!("{} bytes in {:?}", answer.body.len(), began.elapsed());
    let series = answer.json();
    let at = series["steps"]["at"].as_array().unwrap();
    assert!(at.len() <= 1_000 && at.len() > 400, "{} steps", at.len());
    let last = at.last().unwrap().as_f64().unwrap();
    assert!((last - newest.at.as_second() as f64).abs() < 3.0 * 3600.0, "the end of the month is missing");
    assert_eq!(series["marks"].as_array().unwrap().len(), 400);
    assert!(answer.body.len() < 300_000, "{} bytes", answer.body.len());
}
