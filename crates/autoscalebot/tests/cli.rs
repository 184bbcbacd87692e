//! What people read: help, errors, plans, and exit codes.

#![allow(clippy::unwrap_used, reason = "a test that cannot build its input fails")]

use common::{Folder, PLANTED};

mod common;

const GOOD: &str = r#"time_zone = "Europe/Berlin"

[platforms.heroku]
type = "heroku"
api_key = { env = "HEROKU_API_KEY" }

[apps.shop]
platform = "heroku"

[apps.shop.processes.web]
min_dynos = { "0:00" = 1, "Mon-Fri 8:00" = 3, "Mon-Fri 18:00" = 1 }
max_dynos = 5

[[apps.shop.processes.web.measure]]
type = "heartbeat"
url = "https://shop.example/beat"
decide = { type = "consecutive", low = "200ms", high = "1s" }
"#;

#[test]
fn help() {
    let folder = Folder::new();
    let ran = folder.run(&["--help"]).expect(0);
    insta::assert_snapshot!("help", ran.out);
    for command in [
        "run",
        "demo",
        "init",
        "import",
        "check",
        "drain-url",
        "plan",
        "measure",
        "replay",
        "simulate",
        "pause",
        "resume",
        "config",
    ] {
        let ran = folder.run(&[command, "--help"]).expect(0);
        insta::assert_snapshot!(format!("help-{command}"), ran.out);
    }
    let ran = folder.run(&["--version"]).expect(0);
    assert_eq!(ran.out, format!("autoscalebot {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn plan_over_a_change_of_the_clock() {
    let folder = Folder::with(GOOD);
    let args = ["plan", "--at", "2026-10-23T12:00:00Z", "--days", "4"];
    insta::assert_snapshot!("plan", folder.run(&args).expect(0).out);
    let json = folder.run(&[&args[..], &["--json"]].concat()).expect(0);
    insta::assert_snapshot!("plan-json", json.out);
    let local = folder.run(&["plan", "--at", "2026-10-23T14:00", "--days", "4", "--json"]).expect(0);
    assert_eq!(json.out, local.out, "the settings' zone");
    folder.run(&["plan", "--at", "soon"]).expect(2);
}

/// Zone data is built in, and UTC never stands for a zone that is not known.
#[test]
fn a03_zone_data_absent_and_zone_misspelt() {
    let plan = |zone: &str| {
        let folder = Folder::with(
            &GOOD
                .replace("Europe/Berlin", zone)
                .replace("\"Mon-Fri 8:00\" = 3, \"Mon-Fri 18:00\" = 1", "\"2:30\" = 6")
                .replace("max_dynos = 5", "max_dynos = 9"),
        );
        let mut command = folder.command(&["plan", "--at", "2027-03-28T01:00:00Z", "--json"]);
        let none = folder.path().join("no-zones");
        std::fs::create_dir(&none).unwrap();
        common::Ran::from(command.env("TZDIR", none).env_remove("TZ").output().unwrap())
    };
    // The clock goes from 2 to 3 at that instant; in UTC it would be 1 o'clock, and the bound that of midnight.
    assert_eq!(plan("Europe/Berlin").expect(0).json_lines()[0]["bounds"]["min"], 6);
    let refused = plan("Europe/Berlim").expect(2);
    assert!(refused.err.contains(":1: time_zone: \"Europe/Berlim\" is no IANA time zone"), "{}", refused.err);
    assert!(refused.out.is_empty());
}

#[test]
fn every_problem_at_once_with_line_and_mend() {
    let folder = Folder::with(
        r#"time_zone = "Europe/Berlim"

[platforms.heroku]
type = "heroku"
api_key = { env = "NOT_SET" }

[apps.shop]
platform = "herok"

[apps.shop.processes.web]
min_dynos = { "0:00" = 1, "9:15" = 8, "25:00" = 2 }
max_dynos = 5
max_dyno = 6

[[apps.shop.processes.web.measure]]
type = "hartbeat"

[[notify]]
type = "console"
on = ["needs_above_maximum"]
"#,
    );
    let ran = folder.run(&["check"]).expect(2);
    assert!(ran.out.is_empty());
    // What is known grows with each kind that is added; the rest of each line is this test's.
    let lists =
        |line: &str| line.split(" (known: ").next().and_then(|l| l.split(", one of ").next()).unwrap_or("").to_owned();
    let shown: Vec<_> = ran.err.lines().map(lists).collect();
    insta::assert_snapshot!("problems", shown.join("\n"));
    for command in [&["run", "--once"][..], &["plan"], &["measure", "--once"], &["replay", "x"], &["pause"]] {
        assert_eq!(folder.run(command).expect(2).err, ran.err, "{command:?}");
    }
}

#[test]
fn without_settings_it_says_how_to_start() {
    let ran = Folder::new().run(&[]).expect(2);
    insta::assert_snapshot!("no-settings", ran.err);
}

#[test]
fn the_environment_alone_is_enough() {
    let folder = Folder::new();
    let mut command = folder.command(&["plan", "--at", "2026-07-01T16:10:00Z", "--json"]);
    command
        .env("AUTOSCALE_HEROKU_APP_NAME", "dancing-forest-1234")
        .env("AUTOSCALE_HEROKU_API_KEY", PLANTED)
        .env("AUTOSCALE_HEARTBEAT_URL", "https://shop.example/beat")
        .env("AUTOSCALE_MIN_DYNOS", r#"{"9:30": 5, "9:05": 3, "17:00": 2}"#)
        .env("AUTOSCALE_MAX_DYNOS", "9")
        .env("AUTOSCALE_TIME_ZONE", "America/Vancouver");
    let ran = common::Ran::from(command.output().unwrap()).expect(0);
    assert_eq!(ran.json_lines()[0]["bounds"], serde_json::json!({"min": 3, "max": 9}));
    command.env("AUTOSCALE_MIN_DYNOS", "10");
    let ran = common::Ran::from(command.output().unwrap()).expect(2);
    assert!(ran.err.contains("AUTOSCALE_MIN_DYNOS") && ran.err.contains("AUTOSCALE_MAX_DYNOS"), "{}", ran.err);
}

#[test]
fn init_writes_settings_that_are_good_and_replaces_nothing() {
    for platform in ["heroku", "local"] {
        let folder = Folder::new();
        folder.write("Procfile", "web: true\n");
        let ran = folder.run(&["init", "--platform", platform]).expect(0);
        assert!(ran.out.contains("autoscalebot check --online"), "{}", ran.out);
        folder.run(&["check"]).expect(0);
        let before = folder.read("autoscalebot.toml");
        let again = folder.run(&["init", "--platform", platform]).expect(2);
        assert!(again.err.contains("is there already"), "{}", again.err);
        assert_eq!(folder.read("autoscalebot.toml"), before);
        folder.run(&["init", "--platform", platform, "--force"]).expect(0);
    }
}

/// What the template for Heroku holds as a comment is good as well, once it is taken.
#[test]
fn inits_second_choice_is_good_too() {
    let folder = Folder::new();
    folder.run(&["init", "--platform", "heroku"]).expect(0);
    let text = folder.read("autoscalebot.toml");
    let (before, first) = text.split_once("[[apps.shop.processes.web.measure]]\n").unwrap();
    let (_, second) = first.split_once("# [[apps.shop.processes.web.measure]]\n").unwrap();
    let second = second.split_inclusive('\n').map(|line| line.strip_prefix("# ").unwrap_or(line)).collect::<String>();
    let (second, after) = second.split_once("\n\n").unwrap();
    let chosen = format!("{before}[[apps.shop.processes.web.measure]]\n{second}\n\n");
    assert!(after.contains("[[notify]]") && chosen.contains("type = \"router\""), "{chosen}");
    folder.write("autoscalebot.toml", &chosen);
    let mut command = folder.command(&["check"]);
    let ran = common::Ran::from(command.env("INTAKE_TOKEN", "0123456789abcdef").output().unwrap()).expect(0);
    assert!(!ran.err.contains("decide"), "{}", ran.err);
}

#[test]
fn import_writes_no_secret() {
    let folder = Folder::new();
    let old = "import os\nHEROKU_APP_NAME = 'shop'\nHEROKU_API_KEY = 'planted-secret-0123456789abcdef0123'\nHEARTBEAT_URL = 'https://shop.example/beat'\nMAX_DYNOS = {'0:00': 2, '9:00': 5}\nINCREMENT = 2\n";
    folder.write("old.py", old);
    let ran = folder.run(&["import", "old.py"]).expect(0);
    insta::assert_snapshot!("import", ran.out);
    folder.write("autoscalebot.toml", &ran.out);
    folder.run(&["check"]).expect(0);
}

#[test]
fn the_schema_and_the_reference_are_those_of_the_tables() {
    let folder = Folder::new();
    let schema: serde_json::Value = serde_json::from_str(&folder.run(&["config", "schema"]).expect(0).out).unwrap();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    let measurements: Vec<_> = autoscalebot_measure::MEASUREMENTS.iter().map(|entry| entry.kind).collect();
    let platforms: Vec<_> = autoscalebot_platform::PLATFORMS.iter().map(|entry| entry.kind).collect();
    let notifications: Vec<_> = autoscalebot_notify::CHANNELS.iter().map(|entry| entry.kind).collect();
    let kinds = autoscalebot_settings::Kinds {
        measurements: &measurements,
        platforms: &platforms,
        notifications: &notifications,
    };
    let reference = autoscalebot_settings::reference(kinds);
    let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/settings.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&page, &reference).unwrap();
    }
    let committed = std::fs::read_to_string(page).unwrap();
    assert!(committed == reference, "docs/settings.md is out of date: run the tests with UPDATE_DOCS=1");
}

#[test]
fn completions_for_every_shell() {
    let folder = Folder::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        assert!(folder.run(&["completions", shell]).expect(0).out.contains("autoscalebot"), "{shell}");
    }
    folder.run(&["completions", "tcsh"]).expect(2);
}

#[test]
fn wrong_usage_is_two() {
    let folder = Folder::with(GOOD);
    for args in [&["runn"][..], &["run", "--dry"], &["--config", "a", "--settings", "b"], &["plan", "--days", "x"]] {
        folder.run(args).expect(2);
    }
    let ran = folder.run(&["--log", "a=b=c", "run", "--once"]).expect(2);
    assert!(ran.err.contains("--log"), "{}", ran.err);
}

#[test]
fn a_reader_that_leaves_is_no_fault() {
    let folder = Folder::with(GOOD);
    let script = format!("'{}' plan --days 3000 | head -n 1", env!("CARGO_BIN_EXE_autoscalebot"));
    let mut command = folder.command(&[]);
    let shell = std::process::Command::new("bash")
        .args(["-c", &format!("set -o pipefail; {script}")])
        .current_dir(folder.path())
        .envs(command.env("X", "1").get_envs().filter_map(|(name, value)| Some((name, value?))))
        .output()
        .unwrap();
    let err = String::from_utf8(shell.stderr).unwrap();
    assert_eq!(shell.status.code(), Some(0), "{err}");
    assert!(err.is_empty(), "{err}");
}
