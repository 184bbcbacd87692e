//! The dashboard and the metrics of a running demo, in a real Chromium and a real Prometheus. `scripts/install-test-browser`
//! brings both.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot build its input fails")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use common::{Folder, Running, wait_for};
use serde_json::Value;

mod common;

/// Where `scripts/install-test-browser` puts what comes from npm.
fn modules() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |target| root.join(target));
    let folder = target.join("npm-browser");
    assert!(folder.join("node_modules").is_dir(), "run scripts/install-test-browser: {} is missing", folder.display());
    folder
}

/// One request by HTTP; the body.
fn get(address: &str, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    head.split(' ').nth(1)?.starts_with('2').then(|| body.to_owned())
}

/// A Prometheus that scrapes this address once a second.
fn prometheus(folder: &Folder, target: &str) -> (Running, String) {
    let config = format!(
        "global: {{ scrape_interval: 1s }}\nscrape_configs: [{{ job_name: bot, static_configs: [{{ targets: ['{target}'] }}] }}]\n"
    );
    folder.write("prometheus.yml", &config);
    let listen = format!("127.0.0.1:{}", common::free_port());
    let mut command = Command::new("prometheus");
    command.args([
        "--config.file=prometheus.yml",
        "--storage.tsdb.path=tsdb",
        &format!("--web.listen-address={listen}"),
    ]);
    let log = std::fs::File::create(folder.path().join("prometheus.log")).unwrap();
    command.current_dir(folder.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    let child = command.spawn().expect("run scripts/install-test-browser: prometheus is missing");
    (Running(child), listen)
}

fn query(prometheus: &str, what: &str) -> Vec<Value> {
    let escaped: String = what.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let answer = get(prometheus, &format!("/api/v1/query?query={escaped}")).unwrap_or_default();
    let answer: Value = serde_json::from_str(&answer).unwrap_or_default();
    answer["data"]["result"].as_array().cloned().unwrap_or_default()
}

/// The value of the only series.
fn number(prometheus: &str, what: &str) -> Option<f64> {
    match query(prometheus, what).as_slice() {
        [one] => one["value"][1].as_str()?.parse().ok(),
        _ => None,
    }
}

#[test]
fn a_person_and_a_prometheus_see_the_demo() {
    let modules = modules();
    let folder = Folder::new();
    let demo = folder.start(&["demo", "--for", "40s", "--no-open", "--listen", "127.0.0.1:0"]);
    let mut address = String::new();
    wait_for("the dashboard's address", || {
        let err = folder.read("err");
        let line = err.lines().find_map(|line| line.strip_prefix("watch it on the dashboard: http://"));
        address = line.unwrap_or_default().trim_end_matches('/').to_owned();
        !address.is_empty()
    });
    let (_prometheus, server) = prometheus(&folder, &address);
    let browser = Command::new("node")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser/dashboard.mjs"))
        .args([&format!("http://{address}/"), modules.to_str().unwrap()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("Node.js is missing");
    let scraped = scraped(&server, &address);
    let browser = browser.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&browser.stdout);
    println!("{told}");
    assert!(browser.status.success(), "{told}{}", String::from_utf8_lossy(&browser.stderr));
    drop(demo);
    scraped.unwrap_or_else(|why| panic!("{why}\n{}", folder.read("prometheus.log")));
}

/// What Prometheus knows of the demo while it runs; why not, as the browser's word is worth hearing, too.
fn scraped(server: &str, address: &str) -> Result<(), String> {
    let sees = |what: &str, so: &dyn Fn(f64) -> bool| {
        let mut last = None;
        for _ in 0..400 {
            last = number(server, what);
            if last.is_some_and(so) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Err(format!("Prometheus says {last:?} to {what}"))
    };
    sees("up", &|up| up == 1.0)?;
    sees("autoscalebot_dynos{app=\"sample\",process=\"web\"}", &|dynos| dynos > 1.0)?;
    sees("autoscalebot_bound_dynos{bound=\"max\"}", &|dynos| dynos == 6.0)?;
    sees("autoscalebot_measurement_seconds{measurement=\"heartbeat\"}", &|seconds| seconds > 0.0 && seconds < 2.0)?;
    sees("autoscalebot_measurement_known{measurement=\"router\"}", &|known| known <= 1.0)?;
    sees("autoscalebot_decisions_total{call=\"ok\"}", &|count| count >= 1.0)?;
    sees("autoscalebot_ticks_total", &|count| count >= 5.0)?;
    sees("autoscalebot_build_info", &|one| one == 1.0)?;
    sees("time() - autoscalebot_last_tick_timestamp_seconds", &|age| age < 30.0)?;
    let text = get(address, "/metrics").ok_or("the demo has gone")?;
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| error.to_string())?;
    promtool.stdin.take().ok_or("no input")?.write_all(text.as_bytes()).map_err(|error| error.to_string())?;
    let checked = promtool.wait_with_output().map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&checked.stderr).into_owned() + &String::from_utf8_lossy(&checked.stdout);
    if checked.status.success() { Ok(()) } else { Err(format!("promtool: {said}\n{text}")) }
}

/// Settings of an app on this machine that needs nothing, with this `[server]`.
fn settings(server: &str) -> String {
    let app = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    format!(
        "[platforms.here]\ntype = \"local\"\nprocfile = \"Procfile\"\nlisten = \"{app}\"\n\
         [apps.shop.processes.worker]\nmin_dynos = 1\nmax_dynos = 2\n[server]\n{server}\n"
    )
}

#[test]
fn a_taken_port_is_a_warning_and_scaling_goes_on() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = Folder::with(&settings(&format!("listen = \"{address}\"")));
    folder.write("Procfile", "worker: sleep 1000\n");
    let running = folder.start(&["run"]);
    wait_for("the warning", || folder.read("err").contains("the dashboard cannot be reached"));
    wait_for("the worker", || folder.read("err").contains("worker.1"));
    drop(taken);
    wait_for("the dashboard all the same", || get(&address, "/healthz").is_some_and(|said| said == "ok\n"));
    assert_eq!(running.end("TERM").0, Some(0));
}

#[test]
fn strangers_are_kept_out_before_anything_runs() {
    let folder = Folder::with(&settings("listen = \"0.0.0.0:0\""));
    folder.write("Procfile", "worker: sleep 1000\n");
    let ran = folder.run(&["run"]).expect(2);
    assert!(
        ran.err.contains("autoscalebot.toml:9: server.listen: 0.0.0.0:0 can be reached from other machines"),
        "{}",
        ran.err
    );
    assert!(ran.err.contains("server.token"), "{}", ran.err);
    let demo = folder.run(&["demo", "--no-open", "--listen", "0.0.0.0:0"]).expect(2);
    assert!(demo.err.contains("can be reached from other machines"), "{}", demo.err);
}

#[test]
fn a_token_opens_the_daemon_and_is_never_shown() {
    // The environment of these tests has it in this variable.
    let folder = Folder::with(&settings("listen = \"127.0.0.1:0\"\ntoken = { env = \"AUTOSCALEBOT_TOKEN\" }"));
    folder.write("Procfile", "worker: sleep 1000\n");
    let running = folder.start(&["run"]);
    let address = folder.served_at();
    assert_eq!(get(&address, "/api/v1/processes"), None);
    let with = |token: &str| {
        let mut stream = TcpStream::connect(&address).unwrap();
        write!(stream, "GET /api/v1/processes HTTP/1.0\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    assert!(with("wrong-0123456789abcdef").starts_with("HTTP/1.0 401"));
    let answer = with(common::PLANTED);
    assert!(answer.starts_with("HTTP/1.0 200") && answer.contains("\"process\":\"worker\""), "{answer}");
    assert_eq!(running.end("TERM").0, Some(0));
    assert!(!answer.contains(common::PLANTED) && !folder.read("err").contains(common::PLANTED));
}
