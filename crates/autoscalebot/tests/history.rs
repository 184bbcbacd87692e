//! `status`, `history` and `explain` on a day that was decided in virtual time; and a stored history replays to itself.

#![allow(clippy::unwrap_used, reason = "a test that cannot build its input fails")]

use std::io::Write;
use std::process::Stdio;
use std::sync::Arc;

use autoscalebot_core::{
    Action, CallOutcome, Failure, Observation, Pause, Reading, Sample, State, decide, events, settle,
};
use autoscalebot_store::{Entry, Store};
use common::{Folder, Ran};
use jiff::{SignedDuration, Timestamp};

mod common;

const SETTINGS: &str = r#"time_zone = "UTC"
[platforms.local]
type = "local"
[apps.shop]
platform = "local"
[apps.shop.processes.web]
min_dynos = { "0:00" = 1, "8:00" = 2, "20:00" = 1 }
max_dynos = 5
cooldown = "3m"
[[apps.shop.processes.web.measure]]
type = "heartbeat"
url = "http://127.0.0.1:9/beat"
decide = { type = "consecutive", low = "200ms", high = "1s", fails = 3, passes = 5, increment = 1 }
[apps.shop.processes.worker]
min_dynos = 1
max_dynos = 3
"#;

const FIRST: &str = "2026-11-01T00:00:00Z";

fn first() -> Timestamp {
    FIRST.parse().unwrap()
}

fn after(seconds: i64) -> Timestamp {
    first().checked_add(SignedDuration::from_secs(seconds)).unwrap()
}

/// Response time in milliseconds: quiet at night, a surge at noon, and a failing source now and then.
fn reading(second: i64) -> Reading {
    let part = second as f64 / 86_400.0;
    let noise = ((second / 30 * 7919) % 101) as f64;
    match second {
        30_000..30_600 => Reading::Failed(Failure::Status(404)),
        60_000..60_300 => Reading::Failed(Failure::Timeout),
        _ => Reading::number(120.0 + 1100.0 * (-((part - 0.5) * 9.0).powi(2)).exp() + noise),
    }
}

/// A day of ticks into the folder's store, with failing calls, a limit, a pause, a restart and a change by hand.
fn a_day(folder: &Folder, seconds: std::ops::Range<i64>) {
    folder.write("Procfile", "web: true\nworker: true\n");
    folder.write("autoscalebot.toml", SETTINGS);
    let spec = folder.spec();
    let store = Store::open(&folder.path().join("autoscalebot.db")).unwrap();
    let (mut state, mut dynos, mut failing) = (State::default(), 1, 3);
    let mut batch = Vec::new();
    for second in seconds.clone().step_by(30) {
        let at = after(second);
        if second == 50_010 {
            dynos = 4; // by hand
        }
        let restarted = second == 55_020;
        if restarted {
            state = state.after_restart();
        }
        let pause = Pause { until: None, why: Some("sale".into()) };
        let seen = Observation {
            at,
            dynos: if second == 20_010 { Err(Failure::Timeout) } else { Ok(dynos) },
            samples: [Some(Sample::new(at, reading(second)))].into_iter().collect(),
            pause: (70_000..70_600).contains(&second).then_some(pause),
            ..Observation::default()
        };
        let kept = (second % 3600 == 0 || restarted || second == seconds.start).then(|| Box::new(state.clone()));
        let record = decide(&spec, &state, &seen);
        let outcome = record.without_call().unwrap_or_else(|| match record.action {
            Action::Set(_) if second > 32_000 && failing > 0 => {
                failing -= 1;
                CallOutcome::Failed { error: "503 from the platform".into(), limit: None }
            }
            Action::Set(quantity) => CallOutcome::Ok { quantity, limit: None },
            _ => CallOutcome::None,
        });
        let record = Arc::new(record.conclude(&spec, &state, &outcome));
        let happened = events(&state, &record);
        state = settle(&spec, state, &record, &outcome);
        dynos = record.after.unwrap_or(dynos);
        batch.push(Entry::Record(record, kept));
        batch.extend(happened.into_iter().map(Entry::Event));
        if batch.len() > 500 {
            store.write(&batch).unwrap();
            batch.clear();
        }
    }
    store.write(&batch).unwrap();
}

fn replay(folder: &Folder, lines: &str) -> Ran {
    let mut child = folder
        .command(&["replay", "--assert", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut to = child.stdin.take().unwrap();
    let lines = lines.to_owned();
    let writer = std::thread::spawn(move || to.write_all(lines.as_bytes()));
    let ran = Ran::from(child.wait_with_output().unwrap());
    writer.join().unwrap().unwrap();
    ran
}

#[test]
fn a_stored_day_replays_to_the_same_decisions() {
    let folder = Folder::new();
    a_day(&folder, 0..86_400);
    let stored = folder.run(&["history", "--replay-format"]).expect(0);
    let lines = stored.json_lines();
    assert_eq!(lines.len(), 2880);
    assert!(lines.iter().filter(|line| line["call"] == "ok").count() > 6);
    let again = replay(&folder, &stored.out).expect(0);
    for (again, stored) in again.json_lines().iter().zip(&lines) {
        for field in ["at", "dynos", "bounds", "verdict", "desired", "call", "gates", "conditions"] {
            assert_eq!(again[field], stored[field], "{field}\n{again}\n{stored}");
        }
        // The platform's words are not in the record's fields, only in its reason.
        if stored["call"] != "failed" && stored["dynos"]["before"].is_u64() {
            assert_eq!(again["reason"], stored["reason"]);
        }
    }
    // From the middle of the day: the first hours may differ until a state is met, from there on nothing may.
    let part = folder.run(&["history", "--replay-format", "--since", "2026-11-01T13:00:00Z"]).expect(0);
    assert!(part.json_lines()[0]["state"].is_object());
    replay(&folder, &part.out).expect(0);
}

#[test]
fn history_is_filtered_and_in_the_form_asked_for() {
    let folder = Folder::new();
    a_day(&folder, 0..86_400);
    let some = folder.run(&["history", "--json", "--limit", "3"]).expect(0);
    let lines = some.json_lines();
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[2]["at"], "2026-11-01T23:59:30Z");
    assert!(lines[0]["at"].as_str() < lines[1]["at"].as_str());
    let paused = folder.run(&["history", "--json", "--condition", "paused"]).expect(0);
    assert_eq!(paused.json_lines().len(), 20);
    let changes = folder.run(&["history", "--changes", "--process", "web", "--until", "2026-11-01T10:30"]).expect(0);
    insta::assert_snapshot!("history_changes", changes.out);
    let csv = folder.run(&["history", "--csv", "--changes", "--limit", "4"]).expect(0);
    insta::assert_snapshot!("history_csv", csv.out);
    let none = folder.run(&["history", "--since", "2027-01-01"]).expect(0);
    assert_eq!(none.out, "nothing is recorded of this\n");
    let wrong = folder.run(&["history", "--process", "wbe"]).expect(2);
    assert!(wrong.err.contains("the settings have shop/web, shop/worker"), "{}", wrong.err);
    folder.run(&["history", "--condition", "hungry"]).expect(2);
    folder.run(&["history", "--since", "soon"]).expect(2);
    folder.run(&["history", "--since", "2026-11-02", "--until", "2026-11-01"]).expect(2);
}

#[test]
fn explain_tells_why_and_what_would_have_changed_it() {
    let folder = Folder::new();
    a_day(&folder, 0..86_400);
    let lines = folder.run(&["history", "--json", "--limit", "10000"]).expect(0).json_lines();
    let first = |so: &dyn Fn(&serde_json::Value) -> bool| {
        lines.iter().find(|line| so(line)).unwrap()["at"].as_str().unwrap().to_owned()
    };
    let tell = |at: &str| folder.run(&["explain", "--process", "web", "--at", at]).expect(0).out;
    for (name, at) in [
        ("explain_quiet", "2026-11-01T03:00:00Z"),
        ("explain_almost", after(30_630).to_string().as_str()),
        ("explain_failed_call", &first(&|line| line["call"] == "failed")),
        ("explain_scaled", &first(&|line| line["call"] == "ok" && line["verdict"] == "too_high")),
        ("explain_cooldown", &first(&|line| line["gates"][0] == "cooldown")),
        ("explain_below_minimum", "2026-11-01T08:00:00Z"),
        ("explain_at_maximum", "2026-11-01T12:30:00Z"),
        ("explain_paused", after(70_200).to_string().as_str()),
        ("explain_unknown_source", after(30_300).to_string().as_str()),
        ("explain_unread_formation", after(20_010).to_string().as_str()),
    ] {
        insta::assert_snapshot!(name, tell(at));
    }
    let json = folder.run(&["explain", "--json", "--process", "web", "--at", "2026-11-01T12:30:00Z"]).expect(0);
    assert!(json.json_lines()[0]["what_if"].is_array());
    let early = folder.run(&["explain", "--process", "web", "--at", "2020-01-01"]).expect(1);
    assert!(early.err.contains("nothing is recorded at or before"), "{}", early.err);
    let which = folder.run(&["explain"]).expect(2);
    assert!(which.err.contains("say which with --app and --process: shop/web, shop/worker"), "{}", which.err);
}

#[test]
fn status_tells_of_every_process_and_of_a_pause() {
    let folder = Folder::new();
    a_day(&folder, 0..86_400);
    folder.run(&["pause", "--process", "worker", "--why", "a fair"]).expect(0);
    let text = folder.run(&["status"]).expect(0).out;
    // The day lies in the past or in the future of whoever runs this.
    let text: Vec<_> = text.lines().filter(|line| !line.contains(" ago")).collect();
    insta::assert_snapshot!("status", text.join("\n"));
    let json = folder.run(&["status", "--json"]).expect(0).json_lines();
    assert_eq!((json[0]["process"].as_str(), json[1]["pause"]["why"].as_str()), (Some("web"), Some("a fair")));
    assert!(json[0]["last_change"]["to"].is_u64() && json[0]["bounds"]["max"] == 5);
    folder.write("autoscalebot.db", "this is no database, whatever its name says; it is long enough to be looked at");
    let broken = folder.run(&["status"]).expect(1);
    let elsewhere = Folder::with(SETTINGS);
    elsewhere.write("Procfile", "web: true\nworker: true\n");
    for command in ["status", "history", "explain"] {
        let none = elsewhere.run(&[command, "--process", "web"]).expect(1);
        assert!(none.err.contains("there is no store autoscalebot.db yet"), "{}", none.err);
    }
    assert!(!elsewhere.path().join("autoscalebot.db").exists());
    assert!(broken.err.contains("autoscalebot.db"), "{}", broken.err);
}

#[test]
fn a_shadow_is_told_apart_from_what_decides() {
    let folder = Folder::new();
    folder.write("Procfile", "web: true\nworker: true\n");
    let shadow = "[[apps.shop.processes.web.measure]]\nname = \"eager\"\nshadow = true\ntype = \"heartbeat\"\n\
                  url = \"http://127.0.0.1:9/beat\"\n\
                  decide = { type = \"consecutive\", low = \"50ms\", high = \"100ms\", fails = 1 }\n[apps.shop.processes.worker]";
    folder.write("autoscalebot.toml", &SETTINGS.replace("[apps.shop.processes.worker]", shadow));
    let spec = folder.spec();
    let sample = |ms| Some(Sample::new(first(), Reading::Value(ms)));
    let samples = [sample(300.0), sample(300.0)].into_iter().collect();
    let seen = Observation { at: first(), dynos: Ok(2), samples, ..Observation::default() };
    let record = decide(&spec, &State::default(), &seen);
    let record = record.conclude(&spec, &State::default(), &CallOutcome::None);
    let store = Store::open(&folder.path().join("autoscalebot.db")).unwrap();
    store.write(&[Entry::Record(Arc::new(record), Some(Box::default()))]).unwrap();
    let status = folder.run(&["status", "--process", "web"]).expect(0).out;
    assert!(status.contains("  heartbeat    300 ms, just_right\n"), "{status}");
    assert!(status.contains("  eager        300 ms, too_high; in the shadow, where it would set 3\n"), "{status}");
    let told = folder.run(&["explain", "--process", "web"]).expect(0).out;
    let (decides, watches) = told.split_once("\nIn the shadow, which changed nothing\n").unwrap();
    assert!(!decides.contains("eager: 3 dynos"), "{told}");
    assert!(watches.starts_with("  eager: 3 dynos: "), "{told}");
}
