//! An app in a folder of its own, run by the local platform; a client that shows the bytes; the log lines as they came.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use autoscalebot_platform::local::{Local, Options};
use autoscalebot_platform::logs::{LogLine, LogSink};
use autoscalebot_platform::{Change, Formation, Platform, PlatformContext};
use jiff::Timestamp;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Long enough for a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct App {
    pub local: Local,
    pub lines: Lines,
    pub folder: TempDir,
}

/// The command of the test app.
pub(crate) fn python(flags: &str) -> String {
    format!("exec python3 app.py {flags}")
}

pub(crate) fn folder(procfile: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("Procfile"), procfile).unwrap();
    std::fs::write(folder.path().join("app.py"), include_str!("app.py")).unwrap();
    folder
}

pub(crate) fn options(folder: &TempDir) -> Options {
    Options {
        procfile: folder.path().join("Procfile"),
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        restart_pause_min: Duration::from_millis(100),
        ..Options::default()
    }
}

impl App {
    /// Not started.
    pub(crate) fn new(procfile: &str, change: impl FnOnce(&mut Options)) -> Self {
        let folder = folder(procfile);
        let mut options = options(&folder);
        change(&mut options);
        let logs = LogSink::default();
        let lines = Lines::of(&logs);
        let local = Local::new(options, &PlatformContext { logs, keeper: None });
        Self { local, lines, folder }
    }

    pub(crate) async fn start(procfile: &str, change: impl FnOnce(&mut Options)) -> Self {
        let app = Self::new(procfile, change);
        app.local.start().await.unwrap();
        app
    }

    /// One dyno of the test app, listening.
    pub(crate) async fn web(change: impl FnOnce(&mut Options)) -> Self {
        let app = Self::start(&format!("web: {}", python("")), change).await;
        app.up("web.1").await;
        app
    }

    pub(crate) async fn up(&self, dyno: &str) {
        self.lines.wait(dyno, "to up").await;
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.local.address().unwrap()
    }

    pub(crate) async fn scale(&self, process: &str, quantity: u32) {
        let change = Change { process: process.to_owned(), quantity };
        let before = Formation::default();
        let answers = self.local.scale("app", &[change], &before, Timestamp::now()).await;
        assert_eq!(answers[0].as_ref().unwrap().quantity, quantity);
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        request(self.address(), &format!("GET {path} HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n"))
            .await
    }

    /// Requests on their way at the same time.
    pub(crate) async fn get_many(&self, count: usize, path: &'static str) -> Vec<Answer> {
        let address = self.address();
        let head = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        let tasks: Vec<_> = (0..count)
            .map(|_| {
                let head = head.clone();
                tokio::spawn(async move { request(address, &head).await })
            })
            .collect();
        let mut answers = Vec::new();
        for task in tasks {
            answers.push(task.await.unwrap());
        }
        answers
    }
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub status: u16,
    pub body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> BTreeMap<String, String> {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// Sends bytes and reads all that comes, with chunks put together.
pub(crate) async fn request(address: SocketAddr, bytes: &str) -> Answer {
    let work = async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(bytes.as_bytes()).await.unwrap();
        let mut all = Vec::new();
        // A broken end is part of what some tests look at.
        let _ = stream.read_to_end(&mut all).await;
        String::from_utf8_lossy(&all).into_owned()
    };
    let all = tokio::time::timeout(2 * PATIENCE, work).await.unwrap();
    let (head, body) = all.split_once("\r\n\r\n").unwrap_or((&all, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    Answer { status, body: body.to_owned() }
}

/// All log lines so far.
#[derive(Clone)]
pub(crate) struct Lines(Arc<Mutex<Vec<LogLine>>>);

impl Lines {
    pub(crate) fn of(logs: &LogSink) -> Self {
        let lines = Self(Arc::default());
        let mut receiver = logs.subscribe();
        let kept = lines.clone();
        tokio::spawn(async move {
            while let Ok(line) = receiver.recv().await {
                kept.0.lock().unwrap().push(line);
            }
        });
        lines
    }

    pub(crate) fn all(&self) -> Vec<LogLine> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn count(&self, process: &str, part: &str) -> usize {
        self.all().iter().filter(|line| &*line.process == process && line.text.contains(part)).count()
    }

    /// The first line of `process` that holds `part`.
    pub(crate) async fn wait(&self, process: &str, part: &str) -> String {
        let until = Instant::now() + PATIENCE;
        loop {
            let found = self.all().into_iter().find(|line| &*line.process == process && line.text.contains(part));
            if let Some(line) = found {
                return line.text.to_string();
            }
            if Instant::now() > until {
                let all: Vec<_> = self.all().iter().map(ToString::to_string).collect();
                panic!("no line of {process} with {part:?} among\n{}", all.join("\n"));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The fields of the router line of a path; quoted values without their quotes.
    pub(crate) async fn router(&self, path: &str) -> BTreeMap<String, String> {
        let line = self.wait("router", &format!("path=\"{path}\"")).await;
        let mut fields = BTreeMap::new();
        let mut rest = line.as_str();
        while let Some((name, after)) = rest.split_once('=') {
            let (value, after) = match after.strip_prefix('"') {
                Some(quoted) => quoted.split_once('"').unwrap(),
                None => after.split_once(' ').map_or((after, ""), |(value, after)| (value, after)),
            };
            fields.insert(name.trim().to_owned(), value.to_owned());
            rest = after;
        }
        fields
    }
}

/// Whether a process runs; a zombie does not.
pub(crate) fn runs(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

/// The processes whose command line holds this.
pub(crate) fn processes_with(part: &str) -> Vec<u32> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse::<u32>() else { continue };
        let command = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        if String::from_utf8_lossy(&command).contains(part) && runs(pid) {
            found.push(pid);
        }
    }
    found
}

pub(crate) async fn gone(part: &str, within: Duration) {
    let until = Instant::now() + within;
    while !processes_with(part).is_empty() {
        assert!(Instant::now() < until, "still there: {part}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
