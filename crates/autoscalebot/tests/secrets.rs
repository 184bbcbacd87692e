//! A34: planted secrets, the most verbose log, a tick that works and one that fails; nothing that is written shows them.

#![allow(clippy::unwrap_used, reason = "a test that cannot build its input fails")]

use autoscalebot_fakes::heroku::{Fault, HerokuFake};
use common::{Folder, PLANTED, Ran, Site, wait_for};

mod common;

const URL_PASSWORD: &str = "pw-EXAMPLE-5678-in-a-url";
const LOGIN_PASSWORD: &str = "pw-EXAMPLE-5678-in-a-login";
const HEADER: &str = "tok-EXAMPLE-1234-in-a-header";
const SMTP: &str = "pw-EXAMPLE-5678-for-mail";

fn everything_written(folder: &Folder) -> Vec<u8> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder.path()).unwrap().flatten() {
        // The settings themselves hold what was planted in them.
        if entry.path().extension().is_none_or(|ending| ending != "toml") && entry.path().is_file() {
            all.extend(std::fs::read(entry.path()).unwrap());
        }
    }
    all
}

#[track_caller]
fn assert_hidden(what: &str, shown: &[u8]) {
    for secret in [PLANTED, URL_PASSWORD, LOGIN_PASSWORD, HEADER, SMTP] {
        assert!(!shown.windows(secret.len()).any(|window| window == secret.as_bytes()), "{what} shows {secret}");
    }
}

#[test]
fn a34_planted_secrets_are_never_seen() {
    let heroku = HerokuFake::with_shop().unwrap();
    heroku.set_key(PLANTED);
    let site = Site::start();
    let settings = format!(
        r#"
[platforms.heroku]
type = "heroku"
api_key = "{PLANTED}"
url = "{}"

[apps.shop.processes.web]
min_dynos = 1
max_dynos = 3

[[apps.shop.processes.web.measure]]
name = "login"
type = "heartbeat"
url = "http://{}/beat"
every = "100ms"
username = "mon"
password = "{LOGIN_PASSWORD}"
headers = {{ X-Token = "{HEADER}" }}
decide = {{ type = "consecutive", low = "20ms", high = "200ms", fails = 1 }}

[[apps.shop.processes.web.measure]]
name = "url"
type = "heartbeat"
url = "http://mon:{URL_PASSWORD}@{}/beat"
every = "100ms"
decide = {{ type = "consecutive", low = "20ms", high = "200ms", fails = 1 }}

[[notify]]
type = "console"
on = ["decided", "scaled", "scale_failing", "source_unknown", "formation_unknown"]

[[notify]]
type = "log"
on = ["decided"]

[[notify]]
type = "email"
host = "127.0.0.1"
port = 9
security = "none"
username = "mon"
password = "{SMTP}"
from = "bot@shop.example"
to = ["you@shop.example"]
on = ["scaled"]
"#,
        heroku.url(),
        site.addr,
        site.addr
    );
    let folder = Folder::with(&settings);
    site.answers(200, 250);
    let running = folder.start(&["run", "--json", "--log", "trace"]);
    wait_for("a tick that works", || heroku.writes() > 0);
    let command_line = std::fs::read(format!("/proc/{}/cmdline", running.0.id())).unwrap();
    assert_hidden("the process list", &command_line);
    heroku.fault_always("GET", "/apps/shop/formation", Fault::error(401, "unauthorized"));
    site.answers(404, 0);
    wait_for("a tick that fails", || folder.read("out").contains("unauthorized"));
    assert_eq!(running.end("TERM").0, Some(0));
    assert_hidden("what the daemon writes", &everything_written(&folder));
    for args in
        [&["--help"][..], &["check"], &["check", "--online"], &["measure", "--once"], &["plan"], &["config", "schema"]]
    {
        let ran: Ran = folder.run(args);
        assert_hidden(&args.join(" "), format!("{}{}", ran.out, ran.err).as_bytes());
    }
    // Settings that are wrong near a secret.
    for (from, to) in [
        ("security = \"none\"", "security = \"nome\""),
        ("api_key = ", "api_kei = "),
        ("type = \"heroku\"", "type = 3"),
        ("http://mon:", "htp://mon:"),
        ("[[notify]]", "[[notify]"),
        ("headers = {", "headers = "),
    ] {
        folder.write("autoscalebot.toml", &settings.replace(from, to));
        let ran = folder.run(&["check"]);
        assert_eq!(ran.code, Some(2), "{from} → {to}: {}", ran.out);
        assert_hidden(to, format!("{}{}", ran.out, ran.err).as_bytes());
    }
}
