//! What is sent to the program, end to end: the real binary pinned to one core takes log drains and adapters' reports over HTTP
//! on connections that are kept, while the senders run on the other cores. Counts are those of its own `/metrics`, and every
//! line that was sent must be in them. Run with `cargo bench -p autoscalebot --bench intake [-- LINES]`, ten million lines
//! unless told otherwise.
//!
//! A machine has other work, too, so beside what came in a second there is what that took of the core's own time.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a benchmark that cannot run fails")]

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const TOKEN: &str = "token-EXAMPLE-1234";
/// Lines of a batch: about the 100 kB that Heroku aims at.
const LINES: u64 = 340;
/// Senders, each with a connection that it keeps.
const SENDERS: u64 = 8;
/// Different bodies of each sender, more than are remembered as sent before.
const BODIES: u64 = 80;
/// Samples of adapters that are sent, at least.
const SAMPLES: u64 = 2_000_000;
/// Clock ticks of the kernel in a second, as `/proc` counts processor time.
const CLOCK_TICKS: f64 = 100.0;

fn main() {
    // `cargo test` builds benches, too, and asks each what tests it has.
    if std::env::args().any(|arg| arg == "--test" || arg == "--list") {
        return;
    }
    let lines = std::env::args().filter_map(|arg| arg.parse().ok()).next().unwrap_or(10_000_000);
    let folder = std::env::temp_dir().join(format!("autoscalebot-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let bench = Bench::start(&folder);
    bench.drains(lines);
    for kind in ["judoscale", "hirefire", "dynoscale"] {
        bench.reports(kind);
    }
    drop(bench);
    std::fs::remove_dir_all(&folder).unwrap();
}

/// One request as it goes over the wire, but for its head's id, and how much is in it.
struct Sent {
    head: String,
    body: Vec<u8>,
    numbers: u64,
}

impl Sent {
    fn new(path: &str, header: &str, body: Vec<u8>, numbers: u64) -> Self {
        let length = body.len();
        let head = format!("POST {path} HTTP/1.1\r\nhost: bot.example\r\n{header}content-length: {length}\r\n");
        Self { head, body, numbers }
    }
}

/// The program, on a core of its own.
struct Bench {
    child: Child,
    address: SocketAddr,
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Bench {
    fn start(folder: &Path) -> Self {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        std::fs::write(folder.join("autoscalebot.toml"), settings(address)).unwrap();
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let last = (cores - 1).to_string();
        // The senders keep to the other cores, where there are any.
        if cores > 1 {
            let others = format!("0-{}", cores - 2);
            let own = std::process::id().to_string();
            assert!(Command::new("taskset").args(["-acp", &others, &own]).output().unwrap().status.success());
        }
        let child = Command::new("taskset")
            .args(["-c", &last, env!("CARGO_BIN_EXE_autoscalebot"), "run"])
            .current_dir(folder)
            .env("HEROKU_API_KEY", "not-a-key-0123456789abcdef")
            .env("INTAKE_TOKEN", TOKEN)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let bench = Self { child, address };
        let until = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(address).is_err() {
            assert!(Instant::now() < until, "the program does not start");
            std::thread::sleep(Duration::from_millis(20));
        }
        bench
    }

    fn drains(&self, lines: u64) {
        let mut done = 0;
        for until in [1_000_000, 5_000_000, 10_000_000].into_iter().filter(|until| *until < lines).chain([lines]) {
            let at = time(now());
            let bodies: Vec<_> = (0..SENDERS * BODIES).map(|number| drain(&at, number)).collect();
            let before = self.count("lines");
            let took = self.send(&bodies, until - done);
            let came = self.count("lines") - before;
            assert_eq!(came, took.numbers, "every line is counted");
            done += came;
            println!("log drains, to {:>4.1} million lines: {}", done as f64 / 1e6, took.told("lines"));
            println!("    {}", self.memory());
        }
        for name in ["requests_shed", "requests_refused", "requests_repeated", "odd", "broken_frames", "samples_late"] {
            assert_eq!(self.count(name), 0, "{name}");
        }
    }

    fn reports(&self, kind: &str) {
        let bodies: Vec<_> = (0..SENDERS * BODIES).map(|number| report(kind, number)).collect();
        let before = self.count("samples");
        let took = self.send(&bodies, SAMPLES);
        assert_eq!(self.count("samples") - before, took.numbers, "every sample is counted");
        let bytes: usize = bodies.iter().map(|sent| sent.body.len()).sum::<usize>() / bodies.len();
        println!("{kind}, {} samples a report ({bytes} bytes): {}", bodies[0].numbers, took.told("samples"));
        println!("    {}", self.memory());
    }

    /// Sends these bodies again and again until so many numbers are sent.
    fn send(&self, bodies: &[Sent], numbers: u64) -> Took {
        let sent = AtomicU64::new(0);
        let (began, busy) = (Instant::now(), self.busy());
        std::thread::scope(|scope| {
            for sender in 0..SENDERS {
                let sent = &sent;
                scope.spawn(move || {
                    let mut stream = TcpStream::connect(self.address).unwrap();
                    stream.set_nodelay(true).unwrap();
                    let own = &bodies[(sender * BODIES) as usize..][..BODIES as usize];
                    for body in own.iter().cycle() {
                        let number = sent.fetch_add(body.numbers, Ordering::Relaxed);
                        if number >= numbers {
                            sent.fetch_sub(body.numbers, Ordering::Relaxed);
                            return;
                        }
                        exchange(&mut stream, body, number + self.address.port() as u64 * 1_000_000_000);
                    }
                });
            }
        });
        Took { numbers: sent.load(Ordering::Relaxed), wall: began.elapsed().as_secs_f64(), busy: self.busy() - busy }
    }

    /// Seconds of processor time that the program has used.
    fn busy(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let fields: Vec<_> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / CLOCK_TICKS
    }

    fn memory(&self) -> String {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let lines = status.lines().filter(|line| line.starts_with("VmRSS") || line.starts_with("VmHWM"));
        lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>().join(", ")
    }

    /// A counter of the intake.
    fn count(&self, name: &str) -> u64 {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let begin = format!("autoscalebot_intake_{name}_total ");
        text.lines().find_map(|line| line.strip_prefix(&begin)?.parse().ok()).unwrap()
    }
}

struct Took {
    numbers: u64,
    wall: f64,
    busy: f64,
}

impl Took {
    fn told(&self, what: &str) -> String {
        let (by_wall, by_busy) = (self.numbers as f64 / self.wall, self.numbers as f64 / self.busy);
        let (wall, busy) = (self.wall, self.busy);
        format!("{by_wall:.0} {what} a second ({wall:.2} s), {by_busy:.0} in a second of its core ({busy:.2} s)")
    }
}

/// Sends one request and reads its answer.
fn exchange(stream: &mut TcpStream, sent: &Sent, id: u64) {
    let head = format!("{}logplex-frame-id: {id:032X}\r\n\r\n", sent.head);
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&sent.body).unwrap();
    let mut answer = Vec::new();
    let mut buffer = [0; 1024];
    loop {
        let read = stream.read(&mut buffer).unwrap();
        answer.extend_from_slice(&buffer[..read]);
        let text = std::str::from_utf8(&answer).unwrap();
        assert!(read > 0, "{text}");
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        assert!(head.starts_with("HTTP/1.1 200"), "{text}");
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
        if body.len() >= length.unwrap_or(0) {
            return;
        }
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// `HH:MM:SS` of an instant, with its day.
fn time(secs: u64) -> String {
    // The day's date by the machine's own tool: a benchmark needs no calendar.
    let output = Command::new("date").args(["-u", "-d", &format!("@{secs}"), "+%Y-%m-%dT%H:%M:%S"]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A batch of router lines of now, as Heroku sends them.
fn drain(at: &str, number: u64) -> Sent {
    let mut body = String::new();
    for line in 0..LINES {
        let text = format!(
            "<134>1 {at}.{:06}+00:00 host heroku router - at=info method=GET \
             path=\"/search?q=service=9999ms%20status={line}&page={number}\" host=myapp.example.com \
             request_id=00000000-0000-4000-8000-{line:012} fwd=\"203.0.113.7\" dyno=web.{} connect={}ms service={}ms \
             status=200 bytes=512 protocol=http1.1 tls=true tls_version=tls1.3\n",
            line * 37,
            line % 9 + 1,
            line % 3,
            (line + number) * 7 % 900,
        );
        write!(body, "{} {text}", text.len()).unwrap();
    }
    let header = format!(
        "content-type: application/logplex-1\r\nlogplex-msg-count: {LINES}\r\nuser-agent: Logplex/v82\r\n\
         logplex-drain-token: d.00000000-0000-4000-8000-000000000001\r\n"
    );
    Sent::new(&format!("/drains/{TOKEN}"), &header, body.into_bytes(), LINES)
}

/// A report of one of many processes of a busy app.
fn report(kind: &str, number: u64) -> Sent {
    let now = now();
    match kind {
        "judoscale" => {
            // Ten seconds of 30 requests each, two numbers of each; one more for the process.
            let tuple = |i: u64| {
                let at = now - 1 - i / 30;
                format!("[{at},{},\"qt\",null],[{at},{},\"at\",null]", i * 7 % 90, i * 13 % 400)
            };
            let tuples: Vec<_> = (0..300).map(tuple).collect();
            let body = format!(
                r#"{{"container":"web.{}","pid":{},"config":{{"log_level":"INFO","report_interval_seconds":10}},"adapters":{{"judoscale-python":{{"adapter_version":"1.14.0","runtime_version":"3.11.7"}}}},"metrics":[{},[{now},50,"up",null]],"metadata":{{}}}}"#,
                number % 8 + 1,
                6000 + number,
                tuples.join(",")
            );
            let header = "content-type: application/json\r\n";
            Sent::new(&format!("/judoscale/{TOKEN}/v3/reports"), header, body.into_bytes(), 601)
        }
        "hirefire" => {
            let times: Vec<_> = (0..100).map(|i| (i * 7 % 300 + number).to_string()).collect();
            let header = format!("content-type: application/json\r\nhirefire-token: {TOKEN}\r\n");
            Sent::new("/", &header, format!("{{\"{now}\":[{}]}}", times.join(",")).into_bytes(), 100)
        }
        _ => {
            let body: String =
                (0..150).map(|i| format!("{},{},web,\r\n", now - i / 30, i * 7 % 300 + number)).collect();
            let header = "content-type: text/csv\r\nhttp_x_dyno: web.1\r\n";
            Sent::new(&format!("/dynoscale/{TOKEN}"), header, body.into_bytes(), 150)
        }
    }
}

fn settings(address: SocketAddr) -> String {
    let mut text = format!(
        r#"
[server]
listen = "{address}"

[store]
url = "sqlite::memory:"

[platforms.heroku]
type = "heroku"
api_key = {{ env = "HEROKU_API_KEY" }}
url = "http://127.0.0.1:9"
"#
    );
    for kind in ["router", "judoscale", "hirefire", "dynoscale"] {
        let app = format!(
            r#"
[apps.{kind}.processes.web]
max_dynos = 9

[[apps.{kind}.processes.web.measure]]
type = "{kind}"
token = {{ env = "INTAKE_TOKEN" }}
decide = {{ type = "consecutive", low = "200ms", high = "1s" }}
"#
        );
        text.push_str(&app);
    }
    text
}
