//! The real binary in a folder of its own, and a web server to beat against.

#![allow(dead_code, unreachable_pub, reason = "each test file uses a part")]
#![allow(clippy::unwrap_used, reason = "a test that cannot build its input fails")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use autoscalebot_core::Spec;
use autoscalebot_settings::{Kinds, Outside, Source};
use tempfile::TempDir;

/// A secret that must never be seen.
pub const PLANTED: &str = "planted-secret-0123456789abcdef0123";

/// A folder with settings, and the binary run in it without anything of the tester's environment.
pub struct Folder(pub TempDir);

impl Folder {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn with(settings: &str) -> Self {
        let folder = Self::new();
        folder.write("autoscalebot.toml", settings);
        folder
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path().join(name), text).unwrap();
    }

    /// The first process of the settings, as the daemon would have it.
    pub fn spec(&self) -> Arc<Spec> {
        let measurements: Vec<_> = autoscalebot_measure::MEASUREMENTS.iter().map(|entry| entry.kind).collect();
        let platforms: Vec<_> = autoscalebot_platform::PLATFORMS.iter().map(|entry| entry.kind).collect();
        let notifications: Vec<_> = autoscalebot_notify::CHANNELS.iter().map(|entry| entry.kind).collect();
        let kinds = Kinds { measurements: &measurements, platforms: &platforms, notifications: &notifications };
        let source = Source::Toml(self.path().join("autoscalebot.toml"));
        let loaded = autoscalebot_settings::load(&source, kinds, &Outside::real(self.path())).unwrap();
        Arc::clone(&loaded.settings.apps[0].processes[0].spec)
    }

    /// Writes a certificate for `localhost` that nobody signed, and its key.
    pub fn certify(&self, certificate: &str, key: &str) {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        self.write(certificate, &made.cert.pem());
        self.write(key, &made.signing_key.serialize_pem());
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path().join(name)).unwrap()
    }

    /// The address at which a binary that was started here serves, as its log tells.
    pub fn served_at(&self) -> String {
        let mut address = String::new();
        wait_for("the address", || {
            let err = self.read("err");
            let line = err.lines().find(|line| line.contains("dashboard and API"));
            let line: Option<serde_json::Value> = line.and_then(|line| serde_json::from_str(line).ok());
            address = line.and_then(|line| line["address"].as_str().map(str::to_owned)).unwrap_or_default();
            !address.is_empty()
        });
        address
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_autoscalebot"));
        command.args(args).current_dir(self.path()).env_clear();
        for name in ["PATH", "LD_LIBRARY_PATH"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command
            .env("HOME", self.path())
            .env("HEROKU_API_KEY", PLANTED)
            .env("INTAKE_TOKEN", PLANTED)
            .env("AUTOSCALEBOT_TOKEN", PLANTED)
            .stdin(Stdio::null());
        command
    }

    pub fn run(&self, args: &[&str]) -> Ran {
        Ran::from(self.command(args).output().unwrap())
    }

    /// Starts the binary with its output in files `out` and `err` of the folder.
    pub fn start(&self, args: &[&str]) -> Running {
        let out = std::fs::File::create(self.path().join("out")).unwrap();
        let err = std::fs::File::create(self.path().join("err")).unwrap();
        Running(self.command(args).stdout(out).stderr(err).spawn().unwrap())
    }
}

/// What a run of the binary came to.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Ran {
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "out: {}\nerr: {}", self.out, self.err);
        assert!(!self.err.contains("panicked"), "{}", self.err);
        assert!(!format!("{}{}", self.out, self.err).contains(PLANTED), "a secret is shown: {}{}", self.out, self.err);
        self
    }

    pub fn json_lines(&self) -> Vec<serde_json::Value> {
        self.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// A running binary; it is ended with the test.
pub struct Running(pub Child);

impl Running {
    pub fn signal(&self, name: &str) {
        let done = Command::new("kill").args([&format!("-{name}"), &self.0.id().to_string()]).status().unwrap();
        assert!(done.success());
    }

    /// Ends it by a signal; its exit code, and how long it took.
    pub fn end(mut self, signal: &str) -> (Option<i32>, Duration) {
        self.signal(signal);
        let began = Instant::now();
        let status = self.0.wait().unwrap();
        (status.code(), began.elapsed())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits until something is so; fails after 20 s.
#[track_caller]
pub fn wait_for(what: &str, mut so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !so() {
        assert!(began.elapsed() < Duration::from_secs(20), "waited too long: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A port for a server.
pub fn free_port() -> u16 {
    autoscalebot_fakes::free_port().unwrap()
}

/// A web server whose status and delay can be set, and that counts its requests.
pub struct Site {
    pub addr: SocketAddr,
    pub state: Arc<SiteState>,
}

#[derive(Default)]
pub struct SiteState {
    pub status: AtomicU16,
    pub delay_ms: AtomicU64,
    pub requests: AtomicU64,
}

impl Site {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let state = Arc::new(SiteState::default());
        state.status.store(200, Ordering::Relaxed);
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&shared);
                std::thread::spawn(move || serve(stream, &state));
            }
        });
        Self { addr, state }
    }

    pub fn url(&self) -> String {
        format!("http://{}/beat", self.addr)
    }

    pub fn answers(&self, status: u16, delay_ms: u64) {
        self.state.status.store(status, Ordering::Relaxed);
        self.state.delay_ms.store(delay_ms, Ordering::Relaxed);
    }

    pub fn requests(&self) -> u64 {
        self.state.requests.load(Ordering::Relaxed)
    }
}

fn serve(mut stream: std::net::TcpStream, state: &SiteState) {
    let mut seen = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let Ok(read @ 1..) = stream.read(&mut buffer) else { return };
        seen.extend_from_slice(&buffer[..read]);
        if !seen.windows(4).any(|end| end == b"\r\n\r\n") {
            continue;
        }
        seen.clear();
        state.requests.fetch_add(1, Ordering::Relaxed);
        std::thread::sleep(Duration::from_millis(state.delay_ms.load(Ordering::Relaxed)));
        let status = state.status.load(Ordering::Relaxed);
        let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: 4\r\nContent-Type: text/plain\r\n\r\nBeat");
        if stream.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

/// Settings of one web process on a Heroku of this address.
pub fn heroku_settings(api: &str, beat: &str, process: &str, decide: &str, rest: &str) -> String {
    format!(
        r#"time_zone = "America/Vancouver"

[platforms.heroku]
type = "heroku"
api_key = {{ env = "HEROKU_API_KEY" }}
url = "{api}"

[apps.shop]
platform = "heroku"

[apps.shop.processes.web]
{process}

[[apps.shop.processes.web.measure]]
type = "heartbeat"
url = "{beat}"
every = "100ms"
decide = {{ type = "consecutive", low = "20ms", high = "200ms", {decide} }}

{rest}
"#
    )
}
