//! Real servers on free ports in folders of their own, ended when the test is; the libraries that write to them; and sources
//! made from settings as people write them.

#![allow(dead_code, reason = "each test file uses a part of this")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot build its input fails")]

pub(crate) mod postgres;
pub(crate) mod rabbitmq;
pub(crate) mod redis;

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use autoscalebot_core::fields::{Description, MeasurementKind, PlatformKind};
use autoscalebot_core::{Reading, Taken};
use autoscalebot_measure::{Intake, MEASUREMENTS, Measure, MeasureContext};
use autoscalebot_settings::{Kinds, Outside};

/// What installs what is missing.
const MEND: &str = "run scripts/test, or scripts/install-test-queues alone";

/// A child process that ends with this value.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a program in the background.
pub(crate) fn start(command: &mut Command) -> Running {
    let name = command.get_program().to_string_lossy().into_owned();
    let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    Running(command.spawn().unwrap_or_else(|error| panic!("{name} can't be started ({error}): {MEND}")))
}

/// Runs a program to its end; a failure shows what it said.
pub(crate) fn run(command: &mut Command) -> String {
    let name = command.get_program().to_string_lossy().into_owned();
    let Output { status, stdout, stderr } = command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{name} can't be started ({error}): {MEND}"));
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    assert!(status.success(), "{name}: {status}\n{}{}", text(stdout), text(stderr));
    text(stdout)
}

/// A port for a server.
pub(crate) fn free_port() -> u16 {
    autoscalebot_fakes::free_port().unwrap()
}

/// Waits until something listens there.
pub(crate) fn listening(port: u16, within: Duration) {
    until(&format!("port {port}"), within, || TcpStream::connect(("127.0.0.1", port)).is_ok());
}

/// Waits until something holds.
pub(crate) fn until(what: &str, within: Duration, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < within, "{what}: not within {within:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The build folder.
fn target() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().to_owned()
}

/// The Python that has the libraries.
pub(crate) fn python() -> Command {
    let python = target().join("venv/bin/python");
    assert!(python.exists(), "{} is missing: {MEND}", python.display());
    Command::new(python)
}

/// Node.js, for a script of this folder.
pub(crate) fn node(script: &str) -> Command {
    let modules = target().join("npm-queues/node_modules");
    assert!(modules.join("ioredis").exists(), "{} is missing: {MEND}", modules.join("ioredis").display());
    let mut node = Command::new("node");
    node.env("NODE_PATH", modules).arg(script_path(script));
    node
}

/// A script of this folder.
pub(crate) fn script_path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers").join(name)
}

const PLATFORM: PlatformKind =
    PlatformKind { description: Description { name: "none", doc: "", fields: &[], shorthand: &[] }, check: |_| Ok(()) };

/// A source from the lines of its section, or what is wrong with them.
pub(crate) fn try_source(lines: &str) -> Result<Arc<dyn Measure>, String> {
    let kinds: Vec<MeasurementKind> = MEASUREMENTS.iter().map(|entry| entry.kind).collect();
    let kinds = Kinds { measurements: &kinds, platforms: &[PLATFORM], notifications: &[] };
    let levels =
        if lines.contains("value = \"latency\"") { "low = \"1s\", high = \"9s\"" } else { "low = 1, high = 9" };
    let text = format!(
        "[platforms.x]\ntype = \"none\"\n[apps.shop.processes.worker]\n[[apps.shop.processes.worker.measure]]\n{lines}\n\
         decide = {{ type = \"consecutive\", {levels} }}\n"
    );
    let variable = |_: &str| None;
    let variables = Vec::new;
    let read = |path: &Path| std::fs::read_to_string(path);
    let outside = Outside { variable: &variable, variables: &variables, read: &read, folder: Path::new("/") };
    let loaded = autoscalebot_settings::from_toml(&text, Path::new("autoscalebot.toml"), kinds, &outside);
    let settings = loaded.map_err(|problems| problems.to_string())?.settings;
    let measurement = &settings.apps[0].processes[0].measure[0];
    let entry = MEASUREMENTS.iter().find(|entry| entry.kind.description.name == measurement.section.kind).unwrap();
    let intake = Arc::new(Intake::default());
    let every = measurement.every.unsigned_abs();
    let context = MeasureContext { app: "shop", process: "worker", every, intake: &intake };
    (entry.build)(&measurement.section.values, context).map_err(|error| error.to_string())
}

/// A source from the lines of its section.
pub(crate) fn source(lines: &str) -> Arc<dyn Measure> {
    try_source(lines).unwrap_or_else(|problems| panic!("{lines}\n{problems}"))
}

/// One reading of a source of these lines.
pub(crate) async fn read(lines: &str) -> Taken {
    source(lines).read().await
}

/// The number of a reading.
pub(crate) fn value(taken: &Taken) -> f64 {
    match &taken.reading {
        Reading::Value(value) => *value,
        Reading::Failed(failure) => panic!("unknown: {failure}"),
    }
}

/// The reason of a reading that has none.
pub(crate) fn failure(taken: &Taken) -> String {
    match &taken.reading {
        Reading::Value(value) => panic!("a value of {value}"),
        Reading::Failed(failure) => failure.to_string(),
    }
}

/// Reads until a reading is as wanted, as when a worker takes a job.
pub(crate) async fn reads(
    what: &str,
    source: &Arc<dyn Measure>,
    within: Duration,
    wanted: impl Fn(&Taken) -> bool,
) -> Taken {
    let began = Instant::now();
    loop {
        let taken = source.read().await;
        if wanted(&taken) {
            return taken;
        }
        assert!(began.elapsed() < within, "{what}: not within {within:?}, last {taken:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
