//! HTTPS as a person sets it up: what is wrong is said before anything runs, and an app with HireFire's package, which speaks
//! nothing else, is scaled by what it pushes.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot build its input fails")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use autoscalebot_fakes::heroku::HerokuFake;
use common::{Folder, PLANTED, Running, wait_for};
use serde_json::Value;

mod common;

/// A web process that is told by HireFire's package.
fn settings(api: &str) -> String {
    format!(
        r#"[platforms.heroku]
type = "heroku"
api_key = {{ env = "HEROKU_API_KEY" }}
url = "{api}"

[apps.shop]
platform = "heroku"

[apps.shop.processes.web]
min_dynos = 1
max_dynos = 2

[[apps.shop.processes.web.measure]]
type = "hirefire"
token = {{ env = "INTAKE_TOKEN" }}
decide = {{ type = "consecutive", low = "10ms", high = "1s", fails = 1, passes = 30, increment = 1 }}

[server]
listen = "127.0.0.1:0"

[server.tls]
listen = "127.0.0.1:0"
certificate = "tls/certificate.pem"
key = "tls/key.pem"
"#
    )
}

fn folder(api: &str) -> Folder {
    let folder = Folder::with(&settings(api));
    std::fs::create_dir(folder.path().join("tls")).unwrap();
    folder.certify("tls/certificate.pem", "tls/key.pem");
    folder
}

#[test]
fn certificates_that_cannot_be_used_end_each_command_with_their_setting() {
    let folder = folder("http://127.0.0.1:1/");
    folder.run(&["check"]).expect(0);
    folder.certify("tls/certificate.pem", "other.pem");
    for command in [&["check"][..], &["run"]] {
        let ran = folder.run(command).expect(2);
        assert!(ran.err.contains("server.tls.key: ") && ran.err.contains("key.pem: is not the key of "), "{}", ran.err);
        for line in folder.read("tls/key.pem").lines().filter(|line| !line.starts_with('-')) {
            assert!(!ran.err.contains(line), "{}", ran.err);
        }
    }
    std::fs::remove_file(folder.path().join("tls/key.pem")).unwrap();
    let ran = folder.run(&["check"]).expect(2);
    assert!(ran.err.contains("autoscalebot.toml:24: server.tls.key: "), "{}", ran.err);
}

#[test]
fn an_app_with_hirefires_package_is_scaled_by_what_it_pushes() {
    let heroku = HerokuFake::with_shop().unwrap();
    heroku.set_key(PLANTED);
    heroku.set_quantity("shop", "web", 1);
    let folder = folder(&heroku.url());
    let running = folder.start(&["run"]);
    let mut port = String::new();
    wait_for("the address", || {
        let err = folder.read("err");
        let said = err.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let mut by_https =
            said.filter(|said| said["message"].as_str().is_some_and(|message| message.contains("by HTTPS")));
        let address = by_https.next_back().and_then(|said| said["address"].as_str().map(str::to_owned));
        port = address.and_then(|address| Some(address.rsplit_once(':')?.1.to_owned())).unwrap_or_default();
        !port.is_empty()
    });

    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let mut app = Command::new(target.join("venv-adapters/bin/python"));
    app.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../server/tests/adapters/apps.py")).args(["hirefire", "ready"]);
    app.env("HIREFIRE_TOKEN", PLANTED).env("HIREFIRE_DISPATCH_URL", format!("https://localhost:{port}"));
    app.env("SSL_CERT_FILE", "tls/certificate.pem").env("PYTHONDONTWRITEBYTECODE", "1").current_dir(folder.path());
    let log = std::fs::File::create(folder.path().join("app.log")).unwrap();
    let app = app
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .expect("run scripts/install-test-adapters");
    let _app = Running(app);
    let mut listens = String::new();
    wait_for("the app", || {
        listens = std::fs::read_to_string(folder.path().join("ready")).unwrap_or_default();
        !listens.is_empty()
    });
    let waited = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() - 5000;
    let mut stream = TcpStream::connect(format!("127.0.0.1:{listens}")).unwrap();
    write!(stream, "GET / HTTP/1.0\r\nX-Request-Start: {waited}\r\n\r\n").unwrap();
    stream.read_to_string(&mut String::new()).unwrap();

    wait_for("two dynos", || heroku.quantity("shop", "web") == Some(2));
    let (code, _) = running.end("TERM");
    assert_eq!(code, Some(0));
    assert!(!folder.read("err").contains(PLANTED));
}
