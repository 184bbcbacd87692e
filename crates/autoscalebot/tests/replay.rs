//! `replay` on recorded runs of autoscalebot 2.1, through its Python settings, and on lines of its own kind.

#![allow(clippy::unwrap_used, reason = "a test that cannot build its input fails")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use common::Folder;
use serde_json::{Value, json};

mod common;

fn python(value: &Value) -> String {
    match value {
        Value::Bool(true) => "True".into(),
        Value::Bool(false) => "False".into(),
        Value::Null => "None".into(),
        other => other.to_string(),
    }
}

/// The settings of a recorded run as the file that 2.1 would have read.
fn python_settings(run: &Value) -> String {
    let mut text = String::new();
    for (name, value) in run["settings"].as_object().unwrap() {
        writeln!(text, "{name} = {}", python(value)).unwrap();
    }
    text.push_str("HEROKU_APP_NAME = 'shop'\nHEROKU_API_KEY = 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'\n");
    text.push_str("HEARTBEAT_URL = 'http://127.0.0.1:9/autoscalebot/heartbeat/'\n");
    text
}

/// Every recorded run at hand: those of the repository, and the whole set where it is there.
fn recorded() -> Vec<Value> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let own = here.join("../core/tests/data/traces-2.1.jsonl");
    let all = here.join("../../../shared/reference/traces-2.1.jsonl");
    let file: PathBuf = if all.exists() { all } else { own };
    std::fs::read_to_string(file).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn agrees_with_recorded_runs_of_2_1_tick_by_tick() {
    let runs = recorded();
    assert!(runs.len() >= 50);
    let folder = Folder::new();
    for run in &runs {
        let ticks = run["ticks"].as_array().unwrap();
        folder.write("autoscale_settings.py", &python_settings(run));
        let lines: Vec<_> = ticks.iter().map(Value::to_string).collect();
        folder.write("trace.jsonl", &lines.join("\n"));
        let start = run["start_dynos"].to_string();
        let args = ["--settings", "autoscale_settings", "replay", "trace.jsonl", "--dynos", &start, "--assert"];
        let ran = folder.run(&args).expect(0);
        assert_eq!(ran.json_lines().len(), ticks.len(), "{}", run["id"]);
    }
}

#[test]
fn import_decides_as_the_file_it_came_from() {
    let folder = Folder::new();
    for run in recorded().iter().step_by(10) {
        folder.write("autoscale_settings.py", &python_settings(run));
        let lines: Vec<_> = run["ticks"].as_array().unwrap().iter().map(Value::to_string).collect();
        folder.write("trace.jsonl", &lines.join("\n"));
        let start = run["start_dynos"].to_string();
        let _ = std::fs::remove_file(folder.path().join("new.toml"));
        folder.run(&["import", "autoscale_settings.py", "--output", "new.toml"]).expect(0);
        let old = folder.run(&["--settings=autoscale_settings", "replay", "trace.jsonl", "--dynos", &start]).expect(0);
        let new = folder.run(&["--config", "new.toml", "replay", "trace.jsonl", "--dynos", &start]).expect(0);
        assert_eq!(old.out, new.out, "{}", run["id"]);
    }
}

const SETTINGS: &str = r#"
[platforms.heroku]
type = "heroku"
api_key = { env = "HEROKU_API_KEY" }
[apps.shop.processes.web]
min_dynos = 1
max_dynos = 5
[[apps.shop.processes.web.measure]]
type = "heartbeat"
url = "https://shop.example/beat"
decide = { type = "consecutive", low = "200ms", high = "1s", fails = 2, passes = 2 }
[apps.shop.processes.worker]
max_dynos = 2
"#;

fn tick(second: u32, value: &Value) -> Value {
    json!({"at": format!("2026-05-04T12:00:{second:02}Z"), "process": "web", "measurements": [{"name": "heartbeat", "value": value}]})
}

#[test]
fn a_difference_fails_and_names_its_line() {
    let folder = Folder::with(SETTINGS);
    let mut wrong = tick(30, &json!(5000));
    wrong["then"] = json!({"dynos": 3, "call": "none"});
    folder.write("trace.jsonl", &format!("{}\n{wrong}\n{}\n", tick(0, &json!(5000)), tick(59, &json!(5000))));
    folder.run(&["replay", "trace.jsonl", "--dynos", "2"]).expect(0);
    let ran = folder.run(&["replay", "trace.jsonl", "--dynos", "2", "--assert"]).expect(1);
    assert_eq!(ran.json_lines().len(), 2, "it stops at the first difference");
    assert!(ran.err.contains("trace.jsonl:2 (2026-05-04T12:00:30Z): call is ok, not none"), "{}", ran.err);
}

#[test]
fn numbers_as_text_nan_and_nothing_are_what_they_are() {
    let folder = Folder::with(SETTINGS);
    let values = [json!("1500.5"), json!("NaN"), json!(-1), json!({}), json!("1500"), json!(null)];
    let lines: Vec<_> = values.iter().zip(0..).map(|(value, second)| tick(second, value).to_string()).collect();
    folder.write("trace.jsonl", &lines.join("\n"));
    let records = folder.run(&["replay", "trace.jsonl", "--dynos", "2"]).expect(0).json_lines();
    let verdicts: Vec<_> = records.iter().map(|r| r["verdict"].as_str().unwrap()).collect();
    assert_eq!(verdicts, ["too_high", "unknown", "unknown", "unknown", "too_high", "unknown"]);
    assert_eq!(records[0]["measurements"][0]["value"], 1500.5);
    assert_eq!(records[1]["measurements"][0]["error"], "invalid NaN");
    assert_eq!(records[4]["dynos"], json!({"before": 2, "after": 3}));
    assert_eq!(records[5]["measurements"][0]["error"], "missing");
}

#[test]
fn a_record_replays_to_itself() {
    let folder = Folder::with(SETTINGS);
    let lines: Vec<_> =
        (0..50).map(|n| tick(n, &json!([1.5, 5000.25, 300.0][n as usize / 5 % 3])).to_string()).collect();
    folder.write("trace.jsonl", &lines.join("\n"));
    let first = folder.run(&["replay", "trace.jsonl", "--dynos", "2"]).expect(0);
    folder.write("records.jsonl", &first.out);
    let again = folder.run(&["replay", "records.jsonl"]).expect(0);
    assert_eq!(first.out, again.out);
}

#[test]
fn bad_lines_are_named_and_nothing_is_guessed() {
    let folder = Folder::with(SETTINGS);
    let good = tick(10, &json!(5000)).to_string();
    let rows = [
        ("{", vec!["--dynos", "2"], "trace.jsonl:2: EOF"),
        (r#"{"at":"soon"}"#, vec!["--dynos", "2"], "trace.jsonl:2:"),
        (
            r#"{"at":"2026-05-04T12:00:20Z"}"#,
            vec!["--dynos", "2"],
            "name the \"process\": the settings have shop/web, shop/worker",
        ),
        (r#"{"at":"2026-05-04T12:00:20Z","process":"clock"}"#, vec!["--dynos", "2"], "no such process"),
        (r#"{"at":"2026-05-04T12:00:00Z","process":"web"}"#, vec!["--dynos", "2"], "sort the lines by time"),
        (
            r#"{"at":"2026-05-04T12:00:20Z","process":"web","measurements":[{"name":"pulse","value":1}]}"#,
            vec!["--dynos", "2"],
            "no measurement \"pulse\"; they have: heartbeat",
        ),
        (r#"{"at":"2026-05-04T12:00:20Z","process":"web","dynos":-1}"#, vec!["--dynos", "2"], "trace.jsonl:2:"),
        (r#"{"at":"2026-05-04T12:00:20Z","process":"web"}"#, vec![], "give --dynos N"),
        (
            r#"{"at":"2026-05-04T12:00:20Z","process":"web","then":{"dyno":1}}"#,
            vec!["--dynos", "2"],
            "unknown field `dyno`",
        ),
    ];
    for (line, args, message) in rows {
        folder.write("trace.jsonl", &format!("{good}\n{line}\n"));
        let all = [&["replay", "trace.jsonl"], args.as_slice()].concat();
        let ran = folder.run(&all).expect(2);
        assert!(ran.err.contains(message), "{line}: {}", ran.err);
    }
    folder.run(&["replay", "nowhere.jsonl"]).expect(2);
    folder.write("trace.jsonl", "\n\n");
    folder.run(&["replay", "trace.jsonl", "--dynos", "1"]).expect(2);
}

/// Five ticks of half an hour: 2, up to 3, up to 4, a reading that is unknown, and down to 3 at last.
fn half_an_hour(folder: &Folder) {
    let rows = [("00", 5000), ("10", 5000), ("12", -1), ("20", 50), ("30", 50)];
    let lines = rows.map(|(minute, value)| {
        json!({"at": format!("2026-05-04T12:{minute}:00Z"), "process": "web",
               "measurements": [{"name": "heartbeat", "value": value}]})
        .to_string()
    });
    folder.write("trace.jsonl", &lines.join("\n"));
}

#[test]
fn figures_are_asserted_by_the_language_of_simulate() {
    let folder = Folder::with(&SETTINGS.replace("fails = 2, passes = 2", "fails = 1, passes = 1"));
    half_an_hour(&folder);
    let run = |args: &[&str]| folder.run(&[&["replay", "--dynos", "2"], args].concat());
    // 10 min of 3, 2 and 8 min of 4, 10 of 3: by hand.
    let hours = "dyno_hours > 1.66, dyno_hours < 1.67";
    run(&["trace.jsonl", "--assert", hours]).expect(0);
    run(&["trace.jsonl", "--assert", "ticks == 5, changes == 4 and reversals == 1, max_dynos == 4, min_dynos == 2"])
        .expect(0);
    run(&["--assert", "slow_share == 50%, unknown_share <= 20%", "trace.jsonl"]).expect(0);
    let ran = run(&["trace.jsonl", "--assert", "changes <= 3"]).expect(1);
    assert!(ran.err.contains("shop/web on trace.jsonl: changes <= 3 does not hold, it is 4"), "{}", ran.err);
    assert_eq!(ran.json_lines().len(), 5, "the records are there all the same");
    let ran = run(&["trace.jsonl", "--assert", "p95_secs < 1"]).expect(2);
    assert!(ran.err.contains("names no figure (\"p95_secs\"): write one of changes, dyno_hours"), "{}", ran.err);
    assert!(ran.out.is_empty(), "{}", ran.out);
    let ran = run(&["trace.jsonl", "--assert", "changes"]).expect(2);
    assert!(ran.err.contains("has no comparison"), "{}", ran.err);
    run(&["--assert", "changes <= 4"]).expect(2);
}

#[test]
fn a_bare_assert_compares_wherever_it_stands() {
    let folder = Folder::with(SETTINGS);
    let mut wrong = tick(30, &json!(5000));
    wrong["then"] = json!({"call": "ok"});
    folder.write("trace.jsonl", &wrong.to_string());
    for args in [&["--assert", "trace.jsonl"][..], &["trace.jsonl", "--assert"], &["trace.jsonl", "--assert", "then"]] {
        let ran = folder.run(&[&["replay", "--dynos", "2"], args].concat()).expect(1);
        assert!(ran.err.contains("call is none, not ok"), "{args:?}: {}", ran.err);
    }
    let both = ["replay", "trace.jsonl", "--dynos", "2", "--assert", "--assert", "changes == 0"];
    folder.run(&both).expect(1);
    wrong["then"] = json!({"call": "none"});
    folder.write("trace.jsonl", &wrong.to_string());
    folder.run(&both).expect(0);
}
