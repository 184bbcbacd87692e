//! OpenTelemetry's own SDK and exporters against the real binary: what they send is read as it was, and a breach scales.
//! `scripts/install-test-otlp` brings them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot build its input fails")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use autoscalebot_fakes::heroku::HerokuFake;
use common::{Folder, PLANTED, wait_for};
use serde_json::{Value, json};

mod common;

/// The Python that has OpenTelemetry.
fn python() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |target| root.join(target));
    let python = target.join("venv-otlp/bin/python");
    assert!(python.exists(), "run scripts/install-test-otlp: {} is missing", python.display());
    python
}

/// Sends telemetry as an app does whose environment names the endpoint.
fn send(endpoint: &str, [encoding, what]: [&str; 2], environment: &[(&str, &str)], given: &Value) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../measure/tests/servers/otlp.py");
    let mut command = Command::new(python());
    command.arg(script).args([encoding, what]).env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint);
    command.envs(environment.iter().copied()).env("NO_PROXY", "127.0.0.1");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(given.to_string().as_bytes()).unwrap();
    let ended = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    // An exporter that is refused says so in its log, and goes on.
    assert!(ended.status.success() && said.is_empty(), "{said}");
}

/// The newest record of the process, as the API has it.
fn measured(address: &str) -> Option<f64> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    write!(stream, "GET /api/v1/apps/shop/processes/web HTTP/1.0\r\nHost: {address}\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (_, body) = answer.split_once("\r\n\r\n")?;
    let process: Value = serde_json::from_str(body).ok()?;
    process["record"]["measurements"][0]["value"].as_f64()
}

#[test]
fn real_exporters_are_read_as_they_sent_and_a_breach_scales() {
    let gzip = ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip");
    let bearer = format!("Authorization=Bearer%20{PLANTED}");
    let in_header = ("OTEL_EXPORTER_OTLP_HEADERS", bearer.as_str());
    let exponential =
        ("OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", "base2_exponential_bucket_histogram");
    let delta = ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "delta");
    // What is sent, and how far the percentile may be from the true one.
    let cases: [(_, &[_], _); 5] = [
        (["proto", "spans"], &[gzip], 0.01),
        (["json", "spans"], &[in_header], 0.01),
        (["proto", "histogram"], &[gzip], 0.04),
        (["json", "histogram"], &[delta], 0.04),
        (["proto", "histogram"], &[exponential, in_header], 0.06),
    ];
    std::thread::scope(|scope| {
        for (how, environment, tolerance) in cases {
            scope.spawn(move || {
                let heroku = HerokuFake::with_shop().unwrap();
                heroku.set_key(PLANTED);
                heroku.set_quantity("shop", "web", 1);
                let (folder, _running, address) = daemon(&heroku, "high = \"1500ms\"");
                let token = if environment.contains(&in_header) { "" } else { "/planted" };
                let endpoint = format!("http://{address}/otlp{}", token.replace("planted", PLANTED));
                // 10 ms, 20 ms, … 1 s.
                let durations: Vec<u32> = (1..=100).map(|number| number * 10).collect();
                send(&endpoint, how, environment, &json!({ "durations_ms": durations }));
                let mut found = 0.0;
                wait_for("a reading", || {
                    found = measured(&address).unwrap_or_default();
                    found > 0.0
                });
                assert!((found - 950.0).abs() <= 950.0 * tolerance, "{how:?} {environment:?}: {found}");
                assert_eq!(heroku.quantity("shop", "web"), Some(1));
                send(&endpoint, how, environment, &json!({ "durations_ms": vec![4000; 100] }));
                wait_for("a second dyno", || heroku.quantity("shop", "web") > Some(1));
                assert!(!folder.read("err").contains(PLANTED));
            });
        }
    });
}

#[test]
fn an_app_that_is_instrumented_is_measured() {
    let heroku = HerokuFake::with_shop().unwrap();
    heroku.set_key(PLANTED);
    heroku.set_quantity("shop", "web", 1);
    let (_folder, _running, address) = daemon(&heroku, "high = \"50ms\"");
    let endpoint = format!("http://{address}/otlp/{PLANTED}");
    send(&endpoint, ["proto", "wsgi"], &[], &json!({ "durations_ms": [60, 60, 60] }));
    wait_for("a second dyno", || heroku.quantity("shop", "web") > Some(1));
    let found = measured(&address).unwrap();
    assert!(found >= 60.0 * 0.99, "no request took less than the app's sleep: {found}");
}

/// The daemon, with a server on a port of its own.
fn daemon(heroku: &HerokuFake, high: &str) -> (Folder, common::Running, String) {
    let folder = Folder::with(&format!(
        r#"[platforms.heroku]
type = "heroku"
api_key = {{ env = "HEROKU_API_KEY" }}
url = "{}"

[apps.shop]
platform = "heroku"

[apps.shop.processes.web]
min_dynos = 1
max_dynos = 5

[[apps.shop.processes.web.measure]]
type = "otlp"
token = {{ env = "INTAKE_TOKEN" }}
percentile = 95
every = "1s"
decide = {{ type = "consecutive", low = "1ms", {high}, fails = 1, passes = 1000, increment = 1 }}

[server]
listen = "127.0.0.1:0"
"#,
        heroku.url()
    ));
    let running = folder.start(&["run"]);
    let address = folder.served_at();
    (folder, running, address)
}
