//! `simulate` on what apps leave behind: recordings of log drains, lines of `heroku logs`, and the store of a daemon.

#![allow(clippy::unwrap_used, reason = "a test that cannot build its input fails")]

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::Stdio;

use common::{Folder, Ran};
use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

mod common;

/// The recorded bodies of a log drain, all of them.
fn recorded() -> Vec<u8> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../measure/tests/data");
    let names = ["1-utf8-mixed", "2-errors", "3-websocket-and-traps", "4-l10-drop", "5-garbage-resync"];
    let bodies = names.map(|name| std::fs::read(folder.join(format!("drain-{name}.txt"))).unwrap());
    bodies.concat()
}

fn at(second: f64) -> Timestamp {
    let start: Timestamp = "2026-11-02T08:00:00Z".parse().unwrap();
    start.checked_add(SignedDuration::from_secs_f64(second)).unwrap()
}

/// What a recording says: second, source, process, text.
type Said = (f64, &'static str, String, String);

/// The router's lines of ninety minutes that swell and ebb between 30 and 120 requests a minute on one dyno. While it is
/// quiet a request takes 60 or 100 ms, turn by turn; while it is not, it waits.
fn ninety_minutes() -> Vec<Said> {
    let mut said = Vec::new();
    for minute in 0..90_i32 {
        let count = 30 + 2 * (45 - (minute - 45).abs());
        for n in 0..count {
            let service = if n % 2 == 0 { 60 } else { 100 } + if count > 60 { 5 * (count - 60) } else { 0 };
            let text = format!(
                "at=info method=GET path=\"/a?b=c, d\" host=shop.example request_id=00000000-0000-4000-8000-000000000001 \
                 fwd=\"203.0.113.7\" dyno=web.1 connect=1ms service={service}ms status=200 bytes=512 protocol=http1.1 \
                 tls=true tls_version=tls1.3"
            );
            let second = f64::from(minute * 60) + f64::from(n) * 60.0 / f64::from(count);
            said.push((second, "heroku", "router".to_owned(), text));
        }
    }
    said
}

/// As `heroku logs` shows it.
fn shown(said: &[Said]) -> String {
    said.iter().fold(String::new(), |mut text, (second, source, process, words)| {
        let at = format!("{:.6}", at(*second)).replace('Z', "+00:00");
        writeln!(text, "{at} {source}[{process}]: {words}").unwrap();
        text
    })
}

/// As the bodies of a drain hold it.
fn framed(said: &[Said]) -> String {
    said.iter().fold(String::new(), |mut text, (second, source, process, words)| {
        let at = format!("{:.6}", at(*second)).replace('Z', "+00:00");
        let message = format!("<158>1 {at} host {source} {process} - {words}");
        write!(text, "{} {message}", message.len()).unwrap();
        text
    })
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

fn folder(name: &str, bytes: impl AsRef<[u8]>) -> Folder {
    let folder = Folder::new();
    std::fs::write(folder.path().join(name), bytes).unwrap();
    folder
}

fn json(ran: &Ran) -> Value {
    ran.json_lines().remove(0)
}

#[test]
fn bodies_of_a_drain_are_a_trace() {
    let folder = folder("drain", recorded());
    std::fs::write(folder.path().join("drain.gz"), gzip(&recorded())).unwrap();
    let ran = folder.run(&["simulate", "drain", "--json", "--policy", "2.1"]).expect(0);
    let report = json(&ran);
    let input = &report["input"];
    assert_eq!(
        (&input["kind"], &input["process"], &input["step_secs"]),
        (&"recording".into(), &"web".into(), &1.into())
    );
    // Counted by hand in the fixtures: five files' messages, and the notice of 491 lost ones and that of 1.
    assert_eq!((&input["lines"], &input["lost"]), (&26.into(), &492.into()), "{input}");
    assert!(ran.err.contains("17 requests of web in steps of 1 s"), "{}", ran.err);
    assert!(ran.err.contains("492 lines were lost"), "{}", ran.err);
    assert!(ran.err.contains("too few answers tell how long"), "{}", ran.err);
    let packed = folder.run(&["simulate", "drain.gz", "--json", "--policy", "2.1"]).expect(0);
    assert_eq!(json(&packed)["reports"], report["reports"]);
}

#[test]
fn lines_frames_and_a_pipe_are_the_same_traffic_and_tell_the_service_time() {
    let said = ninety_minutes();
    let folder = folder("lines.log", shown(&said));
    folder.write("frames.log", &framed(&said));
    let run = |name: &str| json(&folder.run(&["simulate", name, "--json", "--policy", "2.1"]).expect(0));
    let (lines, frames) = (run("lines.log"), run("frames.log"));
    assert_eq!(lines["input"], frames["input"]);
    assert_eq!(lines["reports"][0]["dyno_hours"], frames["reports"][0]["dyno_hours"]);
    let service = &lines["input"]["service"];
    assert_eq!(lines["input"]["step_secs"], 60);
    assert!((service["mean_secs"].as_f64().unwrap() - 0.08).abs() < 1e-3, "{service}");
    assert!((service["scv"].as_f64().unwrap() - 0.0625).abs() < 1e-3, "(20 / 80)^2: {service}");
    // What was told is what is simulated: given by hand, it comes to the same.
    let scv = service["scv"].to_string();
    let mean = format!("{}us", service["mean_secs"].as_f64().unwrap() * 1e6);
    let (shape, told) = (format!("lognormal:{scv}"), ["--service", &mean, "--shape"]);
    let by_hand = [&["simulate", "lines.log", "--json", "--policy", "2.1"], &told[..], &[&shape]].concat();
    let by_hand = json(&folder.run(&by_hand).expect(0));
    assert_eq!(by_hand["reports"][0]["p95_secs"], lines["reports"][0]["p95_secs"]);
    let mut child = folder
        .command(&["simulate", "-", "--json", "--policy", "2.1"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&gzip(shown(&said).as_bytes())).unwrap();
    let piped = json(&Ran::from(child.wait_with_output().unwrap()).expect(0));
    assert_eq!(piped["reports"][0]["dyno_hours"], lines["reports"][0]["dyno_hours"]);
}

#[test]
fn a_gap_is_no_zero_unless_the_recording_was_alive() {
    let mut said = ninety_minutes();
    said.retain(|(second, ..)| !(1800.0..3000.0).contains(second));
    let folder = folder("gap.log", shown(&said));
    let ran = folder.run(&["simulate", "gap.log"]).expect(2);
    assert!(
        ran.err.contains("gap.log: nothing was recorded from 2026-11-02T08:30:00Z to 2026-11-02T08:50:00Z"),
        "{}",
        ran.err
    );
    assert!(ran.err.contains("--since and --until") && ran.err.contains("--gap 21m"), "{}", ran.err);
    assert!(ran.out.is_empty(), "{}", ran.out);
    // Each mend that it names works.
    let requests = |args: &[&str]| {
        let all = [&["simulate", "gap.log", "--policy", "2.1", "--mode", "fluid"], args].concat();
        let err = folder.run(&all).expect(0).err;
        err.split(" lines, ").nth(1).unwrap().split(' ').next().unwrap().parse::<u64>().unwrap()
    };
    let all = requests(&["--gap", "21m"]);
    let first = requests(&["--until", "2026-11-02T08:30:00Z"]);
    let last = requests(&["--from", "2026-11-02T08:50:00Z"]);
    assert_eq!(first, (0..30).map(|minute| 30 + 2 * minute).sum::<u64>());
    assert!(
        first + last <= all + 64 && all <= first + last,
        "the step that is cut at the end alone: {all} {first} {last}"
    );
    // With the dyno's runtime metrics in between, nothing was asked of the app.
    let alive = (1800..3000).step_by(20).map(|second| {
        let text = "source=web.1 dyno=heroku.1 sample#load_avg_1m=0.01".to_owned();
        (f64::from(second), "heroku", "web.1".to_owned(), text)
    });
    said.extend(alive);
    folder.write("gap.log", &shown(&said));
    assert_eq!(requests(&[]), all);
}

#[test]
fn a_process_a_step_and_a_page_can_be_chosen() {
    let mut said = ninety_minutes();
    let api: Vec<_> = said.iter().step_by(3).cloned().collect();
    said.extend(
        api.into_iter().map(|(at, source, process, text)| (at, source, process, text.replace("=web.", "=api."))),
    );
    let folder = folder("two.log", shown(&said));
    let ran = folder.run(&["simulate", "two.log"]).expect(2);
    assert!(ran.err.contains("name one with --process: api (2250 requests), web (6750 requests)"), "{}", ran.err);
    let ran = folder.run(&["simulate", "two.log", "--process", "worker"]).expect(2);
    assert!(ran.err.contains("no request of worker is in it: name with --process one of api, web"), "{}", ran.err);
    let args = ["simulate", "two.log", "--process", "api", "--step", "5m", "--json", "--html", "page.html"];
    let report = json(&folder.run(&[&args[..], &["--policy", "2.1"]].concat()).expect(0));
    assert_eq!((&report["input"]["process"], &report["input"]["step_secs"]), (&"api".into(), &300.into()));
    assert!(folder.read("page.html").contains("<svg"));
}

#[test]
fn what_is_no_traffic_is_told_with_its_mend() {
    let said = ninety_minutes();
    let folder = folder("app.log", "2026-11-02T08:00:00+00:00 app[web.1]: hello\n");
    let packed = gzip(shown(&said).as_bytes());
    std::fs::write(folder.path().join("cut.gz"), &packed[..packed.len() / 2]).unwrap();
    folder.write("good.log", &shown(&said));
    folder.write("table.csv", "60,1\n120,1\n180,1\n");
    folder.write("text.txt", "this is\nno traffic at all\n");
    let rows: &[(&[&str], &str)] = &[
        (&["app.log"], "no request is in its 1 lines: record the router's, by `heroku logs --tail`"),
        (&["cut.gz"], "cut.gz: cannot be read on"),
        (&["good.log", "--since", "2027-01-01T00:00Z"], "nothing of it lies between"),
        (&["good.log", "--since", "2026-11-03T00:00", "--until", "2026-11-02T00:00"], "--since is not before --until"),
        (&["good.log", "--since", "soon"], "--since soon: give an instant"),
        (&["good.log", "--step", "500ms"], "give whole seconds from 1s to 1d"),
        (&["good.log", "--scale", "0"], "the scale 0"),
        (&["good.log", "--app", "shop"], "--app names an app of the settings"),
        (&["table.csv", "--step", "60s"], "leave out --step"),
        (&["table.csv", "--since", "1970-01-01T01:00Z"], "no whole step lies between"),
        (&["text.txt"], "text.txt:1: has 1 columns"),
        (&["."], "cannot be read"),
        (&[], "<TRAFFIC>"),
        (&["--since", "7d"], "there are none: name a file, or --config"),
    ];
    for (args, want) in rows {
        let ran = folder.run(&[&["simulate"], *args].concat()).expect(2);
        assert!(ran.err.contains(want), "{args:?}: {}", ran.err);
        assert!(ran.out.is_empty(), "{args:?}: {}", ran.out);
    }
}
