//! `simulate` on the rates in a store: of hours that were decided in virtual time, and of a daemon that runs.

#![allow(clippy::unwrap_used, reason = "a test that cannot build its input fails")]

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;

use autoscalebot_core::{CallOutcome, Detail, Observation, Reading, Sample, State, Taken, decide, settle};
use autoscalebot_store::{Entry, Retention, Store};
use common::{Folder, Ran, wait_for};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

mod common;
#[allow(dead_code, unreachable_pub, reason = "the store's tests use the rest")]
#[path = "../../store/tests/common/postgres.rs"]
mod postgres;

const SETTINGS: &str = r#"time_zone = "UTC"
[platforms.local]
type = "local"
[apps.shop.processes.web]
max_dynos = 5
"#;

const ROUTER: &str = r#"
[[apps.shop.processes.web.measure]]
type = "router"
decide = { type = "consecutive", low = "100ms", high = "400ms", fails = 2, passes = 4 }
"#;

const PROMETHEUS: &str = r#"
[[apps.shop.processes.web.measure]]
type = "prometheus"
url = "http://127.0.0.1:9"
query = "sum(rate(requests[1m]))"
unit = "rps"
decide = { type = "target", target = 8.0 }
"#;

const HEARTBEAT: &str = r#"
[[apps.shop.processes.web.measure]]
type = "heartbeat"
url = "http://127.0.0.1:9/beat"
decide = { type = "consecutive", low = "100ms", high = "400ms", fails = 2, passes = 4 }
"#;

const START: i64 = 1_793_491_200; // 2026-11-01T00:00:00Z

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(START + second).unwrap()
}

/// Requests in a second, by the hour: a day that swells and ebbs.
fn rate(second: i64) -> f64 {
    2.0 + ((second / 3600) % 24 - 12).abs() as f64
}

fn folder(measure: &str) -> Folder {
    let folder = Folder::with(&format!("{SETTINGS}{measure}"));
    folder.write("Procfile", "web: true\n");
    folder
}

fn sqlite(folder: &Folder) -> Store {
    Store::open(&folder.path().join("autoscalebot.db")).unwrap()
}

/// Ticks of every 30 s into a store, by the readings of one measurement.
fn ticks(folder: &Folder, store: &Store, seconds: impl Iterator<Item = i64>, reading: fn(i64) -> Taken) {
    let spec = folder.spec();
    let (mut state, mut batch) = (State::default(), Vec::new());
    for second in seconds {
        let samples = [Some(Sample::new(at(second), reading(second)))].into_iter().collect();
        let seen = Observation { at: at(second), dynos: Ok(2), samples, ..Observation::default() };
        let record = decide(&spec, &state, &seen);
        let outcome = record.without_call().unwrap_or(CallOutcome::DryRun);
        let record = record.conclude(&spec, &state, &outcome);
        state = settle(&spec, state, &record, &outcome);
        batch.push(Entry::Record(Arc::new(record), None));
    }
    store.write(&batch).unwrap();
}

/// The router's reading: 80 ms while little comes, more when much does.
fn routed(second: i64) -> Taken {
    let service_ms = if rate(second) < 3.0 { 80.0 } else { 200.0 };
    let detail = Detail { rate: Some(rate(second)), service_ms: Some(service_ms), ..Detail::default() };
    Taken { reading: Reading::number(250.0), detail }
}

fn rated(second: i64) -> Taken {
    Reading::number(rate(second)).into()
}

/// The same hours as a table.
fn table(folder: &Folder, minutes: std::ops::Range<i64>) {
    let text = minutes.fold(String::new(), |mut text, minute| {
        writeln!(text, "{},{}", START + 60 * minute, rate(60 * minute) * 60.0).unwrap();
        text
    });
    folder.write("table.csv", &text);
}

fn report(ran: Ran) -> Value {
    ran.expect(0).json_lines().remove(0)
}

const HOURS: [&str; 4] = ["--since", "2026-11-01T10:00Z", "--until", "2026-11-01T14:00Z"];

/// Four hours of a store come to the same as their table.
fn same_as_the_table(folder: &Folder) {
    table(folder, 600..840);
    let from_store = [&["simulate", "--json", "--mode", "fluid"], &HOURS[..]].concat();
    let stored = report(folder.run(&from_store));
    let given = ["simulate", "table.csv", "--json", "--mode", "fluid", "--service", "80ms"];
    let tabled = report(folder.run(&given));
    assert_eq!(stored["reports"][0]["name"], "web", "the settings take part");
    assert_eq!(stored["reports"][0]["trace"], "shop/web");
    for figure in ["requests", "dyno_hours", "slow_share", "p95_secs", "changes"] {
        assert_eq!(stored["reports"][0][figure], tabled["reports"][0][figure], "{figure}: {stored}\n{tabled}");
    }
    let input = &stored["input"];
    assert_eq!((&input["kind"], &input["measurement"]), (&"history".into(), &"router".into()));
    assert_eq!((&input["minutes"], &input["bridged_minutes"]), (&240.into(), &0.into()));
    assert_eq!(input["service"]["scv"], Value::Null, "means alone are known: {input}");
}

#[test]
fn rates_in_the_detail_of_records_are_a_trace() {
    let folder = folder(ROUTER);
    ticks(&folder, &sqlite(&folder), (0..86_400).step_by(30), routed);
    same_as_the_table(&folder);
    // A policy of its name needs the settings for their store alone.
    let alone =
        report(folder.run(&[&["simulate", "--json", "--policy", "2.1", "--mode", "fluid"], &HOURS[..]].concat()));
    assert_eq!(alone["reports"].as_array().unwrap().len(), 1);
    assert_eq!(alone["reports"][0]["name"], "2.1");
}

#[test]
fn the_same_from_postgresql() {
    let server = postgres::Server::start();
    let folder = folder(&format!("{ROUTER}\n[store]\nurl = \"{}\"\n", server.url()));
    ticks(&folder, &Store::connect(&server.place()).unwrap(), (36_000..50_400).step_by(30), routed);
    same_as_the_table(&folder);
}

#[test]
fn rates_that_were_measured_last_by_the_minute_and_by_the_hour() {
    let folder = folder(PROMETHEUS);
    let store = sqlite(&folder);
    ticks(&folder, &store, (0..2 * 86_400).step_by(30), rated);
    let kept = Retention {
        records: SignedDuration::from_hours(2),
        changes: SignedDuration::from_hours(2),
        minutes: SignedDuration::from_hours(24),
        ..Retention::default()
    };
    while store.clean(&kept, at(2 * 86_400)).unwrap() {}
    table(&folder, 0..2880);
    let stored =
        report(folder.run(&["simulate", "--from", "2026-11-01", "--to", "2026-11-03", "--json", "--mode", "fluid"]));
    let tabled = report(folder.run(&["simulate", "table.csv", "--json", "--mode", "fluid"]));
    assert_eq!(stored["input"]["minutes"], 2880, "{}", stored["input"]);
    assert_eq!(stored["input"]["measurement"], "prometheus");
    let of = |report: &Value, figure: &str| report["reports"][0][figure].as_f64().unwrap();
    for figure in ["requests", "dyno_hours", "slow_share"] {
        let (a, b) = (of(&stored, figure), of(&tabled, figure));
        assert!((a - b).abs() <= 1e-6 * b, "{figure}: {a} {b}");
    }
    let hourly = ["simulate", "--since", "2026-11-01", "--until", "2026-11-03", "--step", "1h", "--json"];
    assert_eq!(report(folder.run(&hourly))["input"]["step_secs"], 3600);
}

#[test]
fn what_the_store_does_not_know_is_told_with_its_mend() {
    let folder = folder(HEARTBEAT);
    let ran = folder.run(&["simulate", "--since", "7d"]).expect(1);
    assert!(ran.err.contains("there is no store"), "{}", ran.err);
    let store = sqlite(&folder);
    let ran = folder.run(&["simulate", "--since", "7d"]).expect(2);
    assert!(ran.err.contains("the store has nothing that was measured"), "{}", ran.err);
    ticks(&folder, &store, (0..3600).step_by(30), |_| Reading::number(90.0).into());
    let ran = folder.run(&["simulate", "--since", "2026-11-01"]).expect(2);
    let want = "heartbeat (ms), and none of it tells how many requests came. Rates are told by `router` and `otlp`";
    assert!(ran.err.contains(want) && ran.out.is_empty(), "{}", ran.err);
    let ran = folder.run(&["simulate", "--since", "2026-11-01", "--process", "worker"]).expect(2);
    assert!(ran.err.contains("no such process"), "{}", ran.err);
    let ran = folder.run(&["simulate", "--since", "2026-11-01", "--step", "90s"]).expect(2);
    assert!(ran.err.contains("give whole minutes"), "{}", ran.err);
}

#[test]
fn minutes_without_a_rate_are_no_zero() {
    let folder = folder(ROUTER);
    let seconds = (36_000..50_400).step_by(30).filter(|second| !(43_200..45_000).contains(second));
    ticks(&folder, &sqlite(&folder), seconds, routed);
    let args = [&["simulate", "--json", "--mode", "fluid"], &HOURS[..]].concat();
    let ran = folder.run(&args).expect(2);
    let want = "no rate is known from 2026-11-01T12:00:00Z to 2026-11-01T12:30:00Z (30 min)";
    assert!(ran.err.contains(want) && ran.err.contains("--gap 31m"), "{}", ran.err);
    let ran = folder.run(&[&args[..], &["--gap", "31m"]].concat());
    assert!(ran.err.contains("in 30 of them no rate is known: those around them stand for them"), "{}", ran.err);
    assert_eq!(report(ran)["input"]["bridged_minutes"], 30);
}

/// What a page shows to be typed in, with its lines put together.
fn shown(page: &str, command: &str) -> Vec<String> {
    let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(page);
    let text = std::fs::read_to_string(page).unwrap().replace("\\\n", " ");
    let begins = format!("    autoscalebot {command} ");
    text.lines().filter_map(|line| line.strip_prefix(&begins).map(|rest| format!("{command} {rest}"))).collect()
}

#[test]
fn what_the_pages_show_works() {
    let folder = folder(ROUTER);
    ticks(&folder, &sqlite(&folder), (0..86_400).step_by(30), routed);
    let day = folder.run(&["history", "--replay-format"]).expect(0);
    folder.write("day.jsonl", &day.out);
    let line = |second: i64| {
        format!(
            "{} heroku[router]: at=info method=GET path=\"/\" host=x dyno=web.1 connect=1ms service=80ms status=200 bytes=1\n",
            at(second)
        )
    };
    folder.write("shop.log", &(0..600).map(line).collect::<String>());
    let mut ran = 0;
    for command in [shown("simulate.md", "simulate"), shown("commands/replay.md", "replay")].concat() {
        // The traces of the examples are long; a word in capitals stands for something else.
        if command.contains("examples/") || command.contains("TRA") {
            continue;
        }
        let program = env!("CARGO_BIN_EXE_autoscalebot");
        let done = std::process::Command::new("sh")
            .args(["-c", &format!("{program} {command}")])
            .current_dir(folder.path())
            .output()
            .unwrap();
        assert!(done.status.success(), "{command}: {}", String::from_utf8_lossy(&done.stderr));
        ran += 1;
    }
    assert_eq!(ran, 3, "a file, the store, a replay");
}

/// A daemon, its proxy and its dyno; its log lines are a recording, and its store is read while it writes.
#[test]
fn a_daemon_that_runs_leaves_both() {
    let port = autoscalebot_fakes::free_port().unwrap();
    let folder = Folder::with(&format!(
        "[platforms.here]\ntype = \"local\"\nprocfile = \"Procfile\"\nlisten = \"127.0.0.1:{port}\"\n\
         [apps.shop.processes.web]\nmax_dynos = 2\n{}",
        ROUTER.replace("type = \"router\"", "type = \"router\"\nevery = \"1s\"\nwindow = \"10s\"")
    ));
    folder.write("Procfile", &format!("web: {} sample-app\n", env!("CARGO_BIN_EXE_autoscalebot")));
    let running = folder.start(&["run"]);
    let get = || {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
        write!(stream, "GET /?n=1 HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        answer.starts_with("HTTP/1.1 200").then_some(())
    };
    wait_for("the app answers", || get().is_some());
    for _ in 0..60 {
        get().unwrap();
    }
    wait_for("a rate in the store", || {
        folder.run(&["history", "--json"]).out.lines().any(|line| line.contains("\"service_ms\""))
    });
    let args = ["simulate", "--since", "10m", "--json", "--policy", "recommended"];
    let stored = report(folder.run(&args));
    assert_eq!(stored["input"]["measurement"], "router", "{stored}");
    assert!(stored["reports"][0]["requests"].as_f64().unwrap() > 1.0, "{stored}");
    let recorded = folder.run(&["simulate", "err", "--json", "--policy", "recommended"]);
    let err = recorded.err.clone();
    let recorded = report(recorded);
    assert_eq!(recorded["input"]["process"], "web", "{err}");
    assert!(recorded["input"]["service"]["samples"].as_u64().unwrap() >= 40, "{err}");
    assert_eq!(running.end("TERM").0, Some(0), "{}", folder.read("err"));
}
