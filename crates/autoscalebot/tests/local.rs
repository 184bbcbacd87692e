//! `run` with a Procfile on this machine: real processes behind the real proxy, and none left behind.

#![allow(clippy::unwrap_used, reason = "a test that cannot build its input fails")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::time::Duration;

use common::{Folder, Running, free_port, wait_for};

mod common;

/// An app of three processes, two of them in a pipeline of the shell.
fn folder(port: u16) -> Folder {
    let folder = Folder::with(&format!(
        r#"
[platforms.here]
type = "local"
procfile = "Procfile"
listen = "127.0.0.1:{port}"

[apps.shop.processes.web]
min_dynos = 2
max_dynos = 4

[[apps.shop.processes.web.measure]]
type = "heartbeat"
url = "http://127.0.0.1:{port}/"
every = "200ms"
timeout = "200ms"
decide = {{ type = "consecutive", low = "1ms", high = "5s", fails = 100 }}
"#
    ));
    let program = env!("CARGO_BIN_EXE_autoscalebot");
    folder.write("Procfile", &format!("web: {program} sample-app\nworker: sleep 1000 | sleep 1000\n"));
    folder
}

/// The processes whose working folder is this one, by their ids, without those that are gone but not reaped.
fn processes_in(folder: &Folder) -> Vec<u32> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Some(id) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        if std::fs::read_link(entry.path().join("cwd")).is_ok_and(|cwd| cwd == folder.path().canonicalize().unwrap()) {
            found.push(id);
        }
    }
    found
}

fn get(port: u16, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

fn started(folder: &Folder, port: u16) -> Running {
    let running = folder.start(&["run"]);
    wait_for("the app answers", || get(port, "/").is_some_and(|answer| answer.starts_with("HTTP/1.1 200")));
    wait_for("two dynos by the minimum", || folder.read("err").matches("heroku[web.2]: State changed").count() > 0);
    running
}

#[test]
fn serves_scales_and_leaves_nothing_behind() {
    for signal in ["TERM", "INT", "KILL"] {
        let port = free_port();
        let folder = folder(port);
        let running = started(&folder, port);
        assert!(processes_in(&folder).len() >= 6, "the program, its keeper, two web dynos, a pipeline of two");
        let began = std::time::Instant::now();
        let (code, took) = running.end(signal);
        if signal != "KILL" {
            assert_eq!(code, Some(0));
            assert!(took < Duration::from_secs(2), "{signal}: {took:?}");
            assert!(processes_in(&folder).is_empty(), "{signal}: {:?}", processes_in(&folder));
        }
        // After kill -9, the keeper ends what is left.
        wait_for("no process is left", || processes_in(&folder).is_empty());
        assert!(began.elapsed() < Duration::from_secs(6), "{signal}: {:?}", began.elapsed());
        let log = folder.read("err");
        // On a busy machine the heartbeat may have left before its answer; a request that was answered is meant.
        let answered = |line: &&str| line.contains("heroku[router]: ") && line.contains("status=200");
        let router = log.lines().find(answered).unwrap();
        for field in
            ["at=info", "method=GET", "path=\"/\"", "dyno=web.", "status=200", "protocol=http", "connect=", "service="]
        {
            assert!(router.contains(field), "{router}");
        }
    }
}

#[test]
fn a_bad_procfile_is_named_and_nothing_starts() {
    let folder = folder(free_port());
    folder.write("Procfile", "web: true\nthis is no process\n");
    let ran = folder.run(&["run"]);
    assert!(matches!(ran.code, Some(1 | 2)), "{ran:?}");
    assert!(ran.err.contains("Procfile") && ran.err.contains('2'), "{}", ran.err);
    assert!(processes_in(&folder).is_empty());
}

#[test]
fn a_port_that_is_taken_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = folder(taken.local_addr().unwrap().port());
    let ran = folder.run(&["run"]);
    assert!(matches!(ran.code, Some(1 | 2)), "{ran:?}");
    assert!(ran.err.contains("listen"), "{}", ran.err);
    assert!(processes_in(&folder).is_empty());
}

#[test]
fn the_demo_does_its_job_and_ends_cleanly() {
    let folder = Folder::new();
    let ran = folder.run(&["demo", "--for", "45s", "--json", "--no-open"]).expect(0);
    let summary = &ran.json_lines()[0];
    let number = |pointer: &str| summary.pointer(pointer).and_then(serde_json::Value::as_f64).unwrap_or(f64::NAN);
    assert!(number("/dynos/peak") > number("/dynos/start"), "{summary}");
    assert!(number("/dynos/end") < number("/dynos/peak"), "{summary}");
    assert_eq!((number("/requests/failed"), number("/requests/sent") > 200.0), (0.0, true), "{summary}");
    assert!(number("/p95_ms/surge_after_scale") < number("/p95_ms/surge_before_scale"), "{summary}");
    let decisions = summary["decisions"].as_array().unwrap();
    assert!(decisions.len() > 3);
    // The rule of 2.1 watches beside it, and what it wants is told.
    assert!(decisions.iter().any(|decision| decision["shadow_desired"].is_u64()), "{summary}");
    assert!(decisions.iter().any(|decision| decision["router_ms"].is_f64()), "{summary}");
    assert!(summary["reacted_after_secs"].is_f64() && number("/dyno_minutes") > 0.0, "{summary}");
    assert!(number("/shadow/dyno_minutes") > 0.0 && summary["shadow"]["changes"].is_array(), "{summary}");
    let left =
        Command::new("pgrep").args(["-f", &format!("^{} sample-app", env!("CARGO_BIN_EXE_autoscalebot"))]).output();
    let mine: Vec<_> = String::from_utf8(left.unwrap().stdout).unwrap().lines().map(str::to_owned).collect();
    // Other tests of this file run the sample app, too, in folders of their own.
    for id in mine {
        let cwd =
            std::fs::read_link(format!("/proc/{id}/cwd")).map(|cwd| cwd.display().to_string()).unwrap_or_default();
        assert!(!cwd.contains("autoscalebot-demo-"), "a dyno of the demo is left: {id} in {cwd}");
    }
}

#[test]
fn a_demo_that_is_interrupted_ends_within_two_seconds() {
    let folder = Folder::new();
    let running = folder.start(&["demo", "--no-open"]);
    wait_for("it runs", || folder.read("err").contains("visitors/s"));
    let (code, took) = running.end("INT");
    assert_eq!(code, Some(0), "{}", folder.read("err"));
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert!(folder.read("out").contains("dynos"), "the summary comes all the same");
}

/// Idle for so long, the last dyno goes; the next request waits for one to start, and is served by it.
#[test]
fn a16_an_idle_app_sleeps_and_the_next_request_wakes_it() {
    let port = free_port();
    let folder = Folder::with(&format!(
        r#"
[platforms.here]
type = "local"
procfile = "Procfile"
listen = "127.0.0.1:{port}"
at_zero = "wait"

[apps.shop.processes.web]
min_dynos = 0
max_dynos = 4
idle_after = "2s"
cooldown = {{ up = "1h" }}

[[apps.shop.processes.web.measure]]
type = "router"
every = "1s"
window = "5s"
silent_after = "24h"
decide = {{ type = "response_time", objective = "500ms", at_once = 5 }}
"#
    ));
    folder.write("Procfile", &format!("web: {} sample-app\n", env!("CARGO_BIN_EXE_autoscalebot")));
    let running = folder.start(&["run"]);
    let answered = |line: &str| get(port, "/").is_some_and(|answer| answer.starts_with(line));
    wait_for("the app answers", || answered("HTTP/1.1 200"));
    let log = |part: &str| folder.read("err").matches(part).count();
    let ups = log("heroku[web.1]: State changed from starting to up");
    wait_for("the last dyno goes", || {
        log("idle_after: ") > 0 && log("heroku[web.1]: State changed from up to down") > 0
    });
    assert!(answered("HTTP/1.1 200"), "{}", folder.read("err"));
    assert!(log("heroku[web.1]: State changed from starting to up") > ups);
    assert!(log("code=H14") >= 1 && log("wake: something is asked of it") >= 1, "{}", folder.read("err"));
    assert_eq!(running.end("TERM").0, Some(0));
}

/// Heroku's router says H14 of a request that found no dyno: by its log drain, the process wakes.
#[test]
fn a16_a_line_of_the_drain_wakes_a_process() {
    let (port, server) = (free_port(), free_port());
    let folder = Folder::with(&format!(
        r#"
[platforms.here]
type = "local"
procfile = "Procfile"
listen = "127.0.0.1:{port}"
formation = {{ web = 0 }}

[server]
listen = "127.0.0.1:{server}"

[apps.shop.processes.web]
min_dynos = 0
max_dynos = 4
idle_after = "15m"
cooldown = {{ up = "1h" }}

[[apps.shop.processes.web.measure]]
type = "router"
token = "token-EXAMPLE-1234"
every = "10m"
decide = {{ type = "response_time", objective = "500ms", at_once = 5 }}
"#
    ));
    folder.write("Procfile", &format!("web: {} sample-app\n", env!("CARGO_BIN_EXE_autoscalebot")));
    let running = folder.start(&["run"]);
    wait_for("it runs", || folder.read("err").contains("\"running\""));
    let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.6f+00:00").to_string();
    let line = format!(
        "<158>1 {now} host heroku router - at=error code=H14 desc=\"No web processes running\" method=GET path=\"/\" \
         host=shop.example request_id=a fwd=\"192.0.2.1\" dyno= connect= service= status=503 bytes= protocol=http\n"
    );
    let body = format!("{} {line}", line.len());
    wait_for("the drain is taken", || {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", server)) else { return false };
        let head = "POST /drains/token-EXAMPLE-1234 HTTP/1.1\r\nHost: bot.example\r\nConnection: close\r\n";
        write!(stream, "{head}Content-Length: {}\r\n\r\n{body}", body.len()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).is_ok() && answer.starts_with("HTTP/1.1 200")
    });
    wait_for("a dyno starts", || folder.read("err").contains("wake: something is asked of it"));
    assert_eq!(running.end("TERM").0, Some(0));
}
