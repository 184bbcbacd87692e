//! The policy `forecast` in the real program: seasons from the store that a daemon wrote, a floor on a stand-in of Heroku, and
//! what becomes of it without a past or without a store.

#![allow(clippy::unwrap_used, reason = "a test that cannot build its input fails")]

use std::sync::Arc;

use autoscalebot_core::{CallOutcome, Observation, Reading, Sample, State, decide, settle};
use autoscalebot_fakes::heroku::HerokuFake;
use autoscalebot_store::{Entry, Retention, Store};
use common::{Folder, PLANTED};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

mod common;

fn world() -> (HerokuFake, Folder) {
    let heroku = HerokuFake::with_shop().unwrap();
    heroku.set_key(PLANTED);
    heroku.set_quantity("shop", "web", 3);
    let folder = Folder::with(&format!(
        r#"
[platforms.heroku]
type = "heroku"
api_key = {{ file = "key" }}
url = "{}"

[apps.shop]
platform = "heroku"
[apps.shop.processes.web]
min_dynos = 1
max_dynos = 20

[[apps.shop.processes.web.measure]]
name = "rate"
type = "exec"
command = ["printf", '{{"value": 20}}']
unit = "rps"
decide = {{ type = "forecast", target = 10, ahead = "20m", learn = "120h" }}
"#,
        heroku.url()
    ));
    folder.write("key", PLANTED);
    (heroku, folder)
}

/// Days of ticks up to now: 20 requests in a second, but 80 in two hours of each day, which begin in 10 minutes.
fn past(folder: &Folder, days: i64) {
    let store = Store::open(&folder.path().join("autoscalebot.db")).unwrap();
    let (spec, now) = (folder.spec(), Timestamp::now());
    let (mut state, mut batch) = (State::default(), Vec::new());
    for minute in (1..days * 1440).rev().step_by(5) {
        let at = now.checked_sub(SignedDuration::from_mins(minute)).unwrap();
        let until = (-minute - 10).rem_euclid(1440);
        let rate = if until < 120 { 80.0 } else { 20.0 };
        let samples = [Some(Sample::new(at, Reading::Value(rate)))].into_iter().collect();
        let seen = Observation { at, dynos: Ok(3), samples, ..Observation::default() };
        let record = decide(&spec, &state, &seen);
        let outcome = record.without_call().unwrap_or(CallOutcome::DryRun);
        let record = record.conclude(&spec, &state, &outcome);
        state = settle(&spec, state, &record, &outcome);
        batch.push(Entry::Record(Arc::new(record), None));
    }
    store.write(&batch).unwrap();
    // Days that are over are kept as percentiles of their minutes and hours, as in a store that a daemon kept small.
    while store.clean(&Retention::default(), now).unwrap() {}
}

fn tick(folder: &Folder) -> Value {
    folder.run(&["run", "--once", "--json"]).expect(0).json_lines().remove(0)
}

#[test]
fn what_came_at_this_time_of_each_day_is_made_ready_for() {
    let (heroku, folder) = world();
    past(&folder, 9);
    let record = tick(&folder);
    let wanted = record["desired"].as_u64().unwrap();
    assert!((8..=12).contains(&wanted), "80 requests in a second come soon, and a dyno takes 10: {record}");
    assert_eq!(heroku.quantity("shop", "web").map(u64::from), Some(wanted));
    let measured = &record["measurements"][0];
    assert_eq!((&measured["value"], &measured["floor"]), (&Value::from(20.0), &Value::Bool(true)), "{record}");
    let expected = &measured["advice"]["expected"];
    assert!(expected["error"].as_f64() < expected["error_of_none"].as_f64(), "{record}");
    assert!(record["reason"].as_str().unwrap().contains("are expected, off by"), "{record}");
    assert!(expected["known_secs"].as_f64() > Some(8.0 * 86_400.0), "{record}");

    // Decided again from what is in the record, it is the same.
    let line = serde_json::json!({ "at": record["at"], "dynos": 3, "measurements": [{
        "name": "rate", "value": 20.0, "advice": measured["advice"] }] });
    folder.write("tick.jsonl", &format!("{line}\n"));
    let again = folder.run(&["replay", "tick.jsonl"]).expect(0).json_lines().remove(0);
    assert_eq!((&again["desired"], &again["reason"]), (&record["desired"], &record["reason"]));
}

#[test]
fn with_little_of_a_past_it_only_records() {
    let (heroku, folder) = world();
    past(&folder, 4);
    let record = tick(&folder);
    assert!(record["reason"].as_str().unwrap().contains("are only recorded as expected"), "{record}");
    assert!(record["measurements"][0]["advice"]["expected"]["load"].as_f64() > Some(60.0), "{record}");
    assert_eq!(heroku.quantity("shop", "web"), Some(3));
}

#[test]
fn without_a_past_nothing_is_foretold_and_nothing_is_held_back() {
    let (heroku, folder) = world();
    let record = tick(&folder);
    assert!(
        record["reason"].as_str().unwrap().contains("nothing is foretold: less than three days are known"),
        "{record}"
    );
    assert_eq!((heroku.quantity("shop", "web"), heroku.writes()), (Some(3), 0));
}
