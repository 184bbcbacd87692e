//! What is sent to the program: `drain-url` says where to, Heroku's own tool takes it from there, and `check --online` says
//! whether anything arrives; the real binary, real frames of Heroku's over HTTP, and the stand-in of the Platform API.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot build its input fails")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;

use autoscalebot_fakes::heroku::{Fault, HerokuFake};
use common::{Folder, PLANTED, Ran, free_port, wait_for};
use serde_json::Value;

mod common;

fn world() -> (HerokuFake, Folder, String) {
    let heroku = HerokuFake::with_shop().unwrap();
    heroku.set_key(PLANTED);
    let address = format!("127.0.0.1:{}", free_port());
    let folder = Folder::with(&format!(
        r#"
[platforms.heroku]
type = "heroku"
api_key = {{ env = "HEROKU_API_KEY" }}
url = "{}"

[apps.shop.processes.web]
max_dynos = 3

[[apps.shop.processes.web.measure]]
type = "router"
token = {{ env = "INTAKE_TOKEN" }}
decide = {{ type = "response_time", objective = "500ms", at_once = 5, wait_included = true }}

[apps.shop.processes.worker]
max_dynos = 3

[[apps.shop.processes.worker.measure]]
type = "push"
token = {{ env = "INTAKE_TOKEN" }}
unit = "jobs"
decide = {{ type = "queue", jobs_per_dyno = 25 }}

[server]
listen = "{address}"
public_url = "http://{address}/"
"#,
        heroku.url()
    ));
    (heroku, folder, address)
}

/// The URL of the way that `drain-url` has for this kind.
fn url(folder: &Folder, kind: &str) -> String {
    let ran = folder.run(&["drain-url", "--json"]);
    let sender = ran.json_lines().into_iter().find(|sender| sender["kind"] == kind).unwrap();
    let way = &sender["ways"][0];
    let url = way["url"].as_str().or_else(|| way["command"].as_str()?.split(' ').next_back());
    url.unwrap().to_owned()
}

/// Sends a body to a URL of this machine; the status.
fn post(url: &str, content_type: &str, body: &str) -> u16 {
    let (host, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    write!(
        stream,
        "POST /{path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

/// The body at a path of the server.
fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// Frames of a drain, with a line that is none of the router's.
fn frames() -> String {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../measure/tests/data/drain-1-utf8-mixed.txt");
    std::fs::read_to_string(data).unwrap()
}

/// The line about something, of what `check --online` says.
fn line<'a>(ran: &'a Ran, what: &str) -> &'a str {
    ran.out.lines().find(|line| line.contains(what)).unwrap_or_else(|| panic!("{what}: {}", ran.out))
}

#[test]
fn what_drain_url_prints_makes_lines_arrive() {
    let (heroku, folder, address) = world();
    let none = folder.run(&["check", "--online"]).expect(1);
    assert!(line(&none, "shop/web router drain").starts_with("FAILED"), "{}", none.out);
    assert!(line(&none, "shop/web router drain").contains("`autoscalebot drain-url` prints the command"));

    let printed = folder.run(&["drain-url"]);
    assert_eq!(printed.code, Some(0), "{}", printed.err);
    assert!(
        printed.err.starts_with("warning: this holds secrets") && !printed.err.contains(PLANTED),
        "{}",
        printed.err
    );
    let command = printed.out.lines().find(|line| line.starts_with("heroku drains:add ")).unwrap();
    assert_eq!(command, format!("heroku drains:add http://{address}/drains/{PLANTED} --app shop"));
    assert!(printed.out.contains(&format!("curl -d '{{\"value\": 120}}' http://{address}/samples/{PLANTED}")));
    let added = heroku_cli(&folder, &heroku, &command.split(' ').skip(1).collect::<Vec<_>>());
    assert_eq!(added.code, Some(0), "{added:?}");
    assert_eq!(heroku.drains("shop"), [format!("http://{address}/drains/{PLANTED}")]);

    let still = folder.run(&["check", "--online"]).expect(0);
    assert!(line(&still, "shop/web router drain").starts_with("ok "), "{}", still.out);
    for what in ["shop/web router arrives", "shop/worker push arrives"] {
        assert!(line(&still, what).starts_with("? "), "{}", still.out);
        assert!(line(&still, what).contains(&format!("not running at {address}: cannot tell")), "{}", still.out);
    }

    let running = folder.start(&["run", "--log", "trace"]);
    assert_eq!(folder.served_at(), address);
    let silent = folder.run(&["check", "--online"]).expect(0);
    assert!(line(&silent, "shop/web router arrives").starts_with("? "), "{}", silent.out);
    assert!(line(&silent, "shop/web router arrives").contains("nothing came yet"), "{}", silent.out);
    let drain = url(&folder, "router");
    assert_eq!(post(&drain, "application/logplex-1", &frames()), 200);
    assert_eq!(post(&drain, "application/logplex-1", "5 xxxxx"), 200);
    assert_eq!(post(&url(&folder, "push"), "application/json", "{\"value\": 7}"), 200);
    let heard = folder.run(&["check", "--online", "--json"]).expect(0);
    let found = |what: &str| {
        let found = heard.json_lines().into_iter().find(|found| found["what"] == what).unwrap();
        assert_eq!(found["ok"], true, "{found}");
        found["message"].as_str().unwrap().to_owned()
    };
    let router = found("shop/web router arrives");
    assert!(router.contains("2 requests with ") && router.contains(" lines, 1 not understood; the last "), "{router}");
    // The recorded frames hold the runtime metrics of one dyno.
    let metrics = get(&address, "/metrics");
    for told in [
        "autoscalebot_dyno_load1{app=\"shop\",dyno=\"web.1\"} 2.46",
        "autoscalebot_dyno_memory_bytes{app=\"shop\",dyno=\"web.1\"} 189194567.68",
        "autoscalebot_dyno_memory_quota_bytes{app=\"shop\",dyno=\"web.1\"} 536870912",
    ] {
        assert!(metrics.lines().any(|line| line.starts_with(told)), "{told}: {metrics}");
    }
    assert!(found("shop/worker push arrives").starts_with("1 request, all understood; the last "));
    assert_eq!(running.end("TERM").0, Some(0));
    assert!(!format!("{}{}", folder.read("out"), folder.read("err")).contains(PLANTED));
}

/// Heroku's own tool with these arguments; `scripts/install-test-tools` brings it.
fn heroku_cli(folder: &Folder, fake: &HerokuFake, arguments: &[&str]) -> Ran {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let program = std::env::var_os("AUTOSCALEBOT_TEST_HEROKU")
        .map_or_else(|| target.join("npm/node_modules/.bin/heroku"), Into::into);
    assert!(program.is_file(), "the Heroku CLI is missing: run scripts/install-test-tools");
    let mut command = Command::new(program);
    command.args(arguments).env_clear().current_dir(folder.path());
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    for name in ["HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"] {
        command.env(name, folder.path());
    }
    // Only an address of this machine may be given: for another host the tool goes to the real Heroku.
    command.env("HEROKU_HOST", fake.url()).env("HEROKU_API_KEY", PLANTED);
    command.env("DISABLE_TELEMETRY", "true").env("HEROKU_SKIP_NEW_VERSION_CHECK", "true").env("NO_COLOR", "1");
    Ran::from(command.output().unwrap())
}

#[test]
fn a_drain_that_leads_elsewhere_and_one_that_cannot_be_listed_are_told() {
    let (heroku, folder, _) = world();
    let mut elsewhere =
        heroku_cli(&folder, &heroku, &["drains:add", &format!("https://old.example/drains/{PLANTED}"), "-a", "shop"]);
    assert_eq!(elsewhere.code, Some(0), "{elsewhere:?}");
    elsewhere = folder.run(&["check", "--online"]).expect(1);
    assert!(line(&elsewhere, "shop/web router drain").contains("leads elsewhere than server.public_url"));
    let settings = folder.read("autoscalebot.toml");
    let without: Vec<_> = settings.lines().filter(|line| !line.starts_with("public_url")).collect();
    folder.write("autoscalebot.toml", &without.join("\n"));
    let anywhere = folder.run(&["check", "--online"]).expect(0);
    assert!(line(&anywhere, "shop/web router drain").contains("server.public_url is not set"), "{}", anywhere.out);
    heroku.fault_always("GET", "/apps/shop/log-drains", Fault::error(403, "forbidden"));
    let forbidden = folder.run(&["check", "--online"]).expect(1);
    assert!(line(&forbidden, "shop/web router drain").contains("may not list the log drains of"), "{}", forbidden.out);
}

#[test]
fn check_listens_in_the_daemons_place_until_each_was_heard() {
    let (_heroku, folder, _) = world();
    folder.run(&["check", "--wait", "1s"]).expect(2);
    let waiting = folder.start(&["check", "--online", "--wait", "20s", "--json"]);
    wait_for("it says what it waits for", || {
        folder.read("err").contains("waiting for shop/web router, shop/worker push, 20 s more")
    });
    assert_eq!(post(&url(&folder, "router"), "application/logplex-1", &frames()), 200);
    assert_eq!(post(&url(&folder, "push"), "application/json", "{\"value\": 7}"), 200);
    // The one drain is missing; all else is well.
    let found = |what: &str| {
        let out = folder.read("out");
        let mut lines = out.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.find(|found| found["what"] == what).map(|found| found["ok"].clone())
    };
    wait_for("it has heard them", || found("store").is_some());
    drop(waiting);
    assert_eq!(found("shop/web router drain"), Some(false.into()));
    for what in ["shop/web router arrives", "shop/worker push arrives"] {
        assert_eq!(found(what), Some(true.into()), "{}", folder.read("out"));
    }
    // A time that is over is a failure, not a question.
    let late = folder.run(&["check", "--online", "--wait", "1s"]).expect(1);
    assert!(line(&late, "shop/worker push arrives").starts_with("FAILED"), "{}", late.out);
}

#[test]
fn another_program_at_the_address_is_none_of_ours() {
    let (_heroku, folder, address) = world();
    let other = TcpListener::bind(&address).unwrap();
    std::thread::spawn(move || {
        for mut stream in other.incoming().flatten() {
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        }
    });
    for args in [&["check", "--online"][..], &["check", "--online", "--wait", "1s"]] {
        let ran = folder.run(args).expect(1);
        let said = line(&ran, "shop/web router arrives");
        assert!(said.contains(&format!("what listens at {address} is no autoscalebot")), "{said}");
    }
}

#[test]
fn drain_url_needs_an_address_and_something_that_is_told() {
    let (_heroku, folder, _) = world();
    let settings = folder.read("autoscalebot.toml");
    let without: Vec<_> = settings.lines().filter(|line| !line.starts_with("public_url")).collect();
    folder.write("autoscalebot.toml", &without.join("\n"));
    let ran = folder.run(&["drain-url"]).expect(2);
    assert!(ran.err.contains("server.public_url is not set") && ran.err.contains("--url https://"), "{}", ran.err);
    let ran = folder.run(&["drain-url", "--url", &format!("https://mon:{PLANTED}@scale.example")]).expect(2);
    assert!(ran.err.contains("neither user nor password"), "{}", ran.err);
    let ran = folder.run(&["drain-url", "--url", "https://scale.example/bot/", "--process", "worker"]);
    assert_eq!(
        ran.out,
        format!("# shop/worker push\ncurl -d '{{\"value\": 120}}' https://scale.example/bot/samples/{PLANTED}\n")
    );
    assert_eq!(folder.run(&["drain-url", "--process", "nobody"]).code, Some(2));
    let beat = "type = \"heartbeat\"\nurl = \"https://shop.example/\"\ndecide = { type = \"consecutive\", low = \"1ms\", high = \"1s\" }";
    let asked: String = settings
        .split("[apps.shop.processes.worker]")
        .next()
        .unwrap()
        .lines()
        .take_while(|l| !l.starts_with("type = \"router\""))
        .collect::<Vec<_>>()
        .join("\n");
    folder.write("autoscalebot.toml", &format!("{asked}\n{beat}\n"));
    let ran = folder.run(&["drain-url"]).expect(2);
    assert!(ran.err.contains("nothing is sent to this program"), "{}", ran.err);
}

#[test]
fn measure_says_of_what_is_told_that_it_is_not_asked() {
    let (_heroku, folder, _) = world();
    let ran = folder.run(&["measure", "--once"]).expect(0);
    assert!(line(&ran, "shop/web router").starts_with("shop/web router: told, not asked: "), "{}", ran.out);
    assert!(ran.out.contains("`autoscalebot drain-url`"), "{}", ran.out);
    let rows = folder.run(&["measure", "--once", "--json"]).expect(0).json_lines();
    assert_eq!(rows.len(), 2);
    for row in rows {
        assert_eq!((&row["told"], row.get("value")), (&true.into(), None), "{row}");
    }
    // Without --once it ends all the same: nothing would ever come.
    folder.run(&["measure"]).expect(0);
}
