//! The packages of other autoscalers, unchanged, in small apps on this machine, that report to a real server: by HTTP and by
//! HTTPS, of requests that waited and of jobs in a real Redis. What they tell must be what is so, and it must scale.
//!
//! `scripts/install-test-adapters` brings the packages. They report each second here, where they can be told to.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // clippy.toml allows it in test functions; the helpers here are none.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use authority::Authority;
use autoscalebot_core::fields::{Value, Values};
use autoscalebot_core::policy::consecutive::Consecutive;
use autoscalebot_core::{BoundTable, BoundTables, MeasurementSpec, Reading, Secret, Spec, State, Taken, Unit, Zero};
use autoscalebot_engine::{AppPlan, Engine, Memory, Mode, ProcessPlan, Source, SystemClock};
use autoscalebot_measure::{Intake, MEASUREMENTS, Measure, MeasureContext};
use autoscalebot_notify::deliver::Desk;
use autoscalebot_platform::{Change, Formation, Platform, PlatformError, Scaled};
use autoscalebot_server::{Bound, Options, Server, Setup, Tls};
use autoscalebot_store::Store;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use tempfile::TempDir;

#[path = "common/authority.rs"]
mod authority;

/// What installs what is missing.
const MEND: &str = "run scripts/test, or scripts/install-test-adapters alone";
/// How long requests say that they waited, in milliseconds.
const WAITED: i64 = 30_000;
/// How much longer they may have waited by the time the app sees them.
const PATIENCE: f64 = 15_000.0;

/// A child process that ends with this value.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn target() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().to_owned()
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(60), "waited too long: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Everything that is real: a Redis, a server with HTTPS, and the apps.
struct World {
    folder: TempDir,
    redis: String,
    intake: Arc<Intake>,
    http: SocketAddr,
    https: SocketAddr,
    platform: Arc<Scalings>,
    // These end in this order.
    _apps: Vec<Running>,
    _server: Server,
    _redis: Running,
}

/// A platform that takes every call, and how many dynos each app was told to have.
#[derive(Debug, Default)]
struct Scalings(Mutex<BTreeMap<String, u32>>);

#[async_trait]
impl Platform for Scalings {
    async fn formation(&self, _app: &str, _now: Timestamp) -> Result<Formation, PlatformError> {
        Ok(Formation { quantities: [("web".to_owned(), 1)].into(), ..Formation::default() })
    }

    async fn scale(
        &self,
        app: &str,
        changes: &[Change],
        _before: &Formation,
        _now: Timestamp,
    ) -> Vec<Result<Scaled, PlatformError>> {
        for change in changes {
            self.0.lock().unwrap().insert(app.to_owned(), change.quantity);
        }
        changes.iter().map(|change| Ok(Scaled { quantity: change.quantity, limit: None })).collect()
    }
}

/// The token of an app.
fn token(app: &str) -> String {
    format!("token-EXAMPLE-{app}")
}

fn measure(
    intake: &Arc<Intake>,
    kind: &str,
    app: &str,
    process: &str,
    set: &[(&'static str, Value)],
) -> Arc<dyn Measure> {
    let entry = MEASUREMENTS.iter().find(|entry| entry.kind.description.name == kind).unwrap();
    let mut values = Values::default();
    values.set("token", Value::Secret(Secret::new(token(app))));
    for (name, value) in set {
        values.set(name, value.clone());
    }
    (entry.kind.check)(&values, SignedDuration::from_secs(10)).unwrap();
    let context = MeasureContext { app, process, every: Duration::from_secs(10), intake };
    (entry.build)(&values, context).unwrap()
}

fn text(value: &str) -> Value {
    Value::Text(value.into())
}

/// An app whose web process gets one more dyno once requests wait for longer than a second.
fn plan(intake: &Arc<Intake>, platform: &Arc<Scalings>, kind: &str, app: &str) -> AppPlan {
    let rule = Consecutive { low: 0.0, high: 1000.0, fails: 1, passes: 1000, increment: 1, refuse_zero: false };
    let spec = Spec {
        app: app.into(),
        process: "web".into(),
        bounds: BoundTables { min: BoundTable::Fixed(1), max: BoundTable::Fixed(9), zone: TimeZone::UTC },
        measurements: vec![MeasurementSpec {
            name: kind.into(),
            unit: Unit::Milliseconds,
            max_age: SignedDuration::from_mins(2),
            failures_mean_overload: false,
            policy: Arc::new(rule),
            shadow: false,
        }],
        gates: Vec::new(),
        zero: Zero::Keep,
        rapid: None,
    };
    let measure = measure(intake, kind, app, "web", &[]);
    let sources = vec![Source { measure, every: Duration::from_secs(10), adviser: None }];
    let processes = vec![ProcessPlan { spec: Arc::new(spec), sources, state: State::default() }];
    let platform = Arc::clone(platform) as Arc<dyn Platform>;
    AppPlan { key: app.into(), name: app.to_owned(), platform, processes }
}

/// The web apps, and the kind that hears of each.
const WEBS: [(&str, &str); 5] = [
    ("flask", "judoscale"),
    ("django", "judoscale"),
    ("express", "judoscale"),
    ("hirefire", "hirefire"),
    ("dynoscale", "dynoscale"),
];

impl World {
    /// Redis and server, and the engine that runs on what the server takes.
    async fn new() -> (Self, Engine) {
        let folder = tempfile::tempdir().unwrap();
        let port = autoscalebot_fakes::free_port().unwrap();
        let mut redis = Command::new("redis-server");
        redis.current_dir(folder.path()).args(["--save", "", "--bind", "127.0.0.1", "--port", &port.to_string()]);
        let redis = redis.stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect(MEND);
        until("Redis", || TcpStream::connect(("127.0.0.1", port)).is_ok());

        let authority = Authority::new();
        let (certificate, key) = authority.issue();
        let path = |name: &str| folder.path().join(name);
        for (name, text) in [("ca.pem", &authority.pem), ("cert.pem", &certificate), ("key.pem", &key)] {
            std::fs::write(path(name), text).unwrap();
        }
        let local = "127.0.0.1:0".parse().unwrap();
        let tls = Tls { listen: local, certificate: path("cert.pem"), key: path("key.pem") };
        let options = Options { tls: Some(tls), ..Options::local(local) };

        let (intake, platform) = (Arc::new(Intake::default()), Arc::new(Scalings::default()));
        let apps = WEBS.map(|(app, kind)| plan(&intake, &platform, kind, app));
        let memory = Memory::start(Store::in_memory().unwrap());
        let clock = Arc::new(SystemClock);
        let engine = Engine::new(apps.into(), Vec::new(), Mode::Act, clock, memory, Desk::open(Vec::new()));
        let setup = Setup {
            options: options.clone(),
            processes: Vec::new(),
            board: engine.board(),
            events: engine.events(),
            store: Store::in_memory().unwrap(),
            health: engine.store_health(),
            intake: Arc::clone(&intake),
            clock: Arc::new(SystemClock),
            dry_run: false,
        };
        let server = Bound::listen(options).await.unwrap().serve(setup);
        let world = Self {
            redis: format!("redis://127.0.0.1:{port}"),
            intake,
            http: server.address(),
            https: server.tls_address().unwrap(),
            platform,
            _apps: Vec::new(),
            _server: server,
            _redis: Running(redis),
            folder,
        };
        (world, engine)
    }

    /// Starts an app with an environment of its own.
    fn start(&mut self, name: &str, database: u8, environment: &[(&str, String)]) {
        let mut command = if ["express", "bullmq"].contains(&name) {
            let modules = target().join("npm-adapters/node_modules");
            assert!(modules.is_dir(), "{} is missing: {MEND}", modules.display());
            let mut node = Command::new("node");
            node.env("NODE_PATH", modules).arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/adapters/apps.cjs"));
            node
        } else {
            let python = target().join("venv-adapters/bin/python");
            assert!(python.exists(), "{} is missing: {MEND}", python.display());
            let mut python = Command::new(python);
            python.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/adapters/apps.py"));
            python.env("PYTHONDONTWRITEBYTECODE", "1");
            python
        };
        let authority = self.path("ca.pem");
        for variable in ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"] {
            command.env(variable, &authority);
        }
        let log = std::fs::File::create(self.path(&format!("{name}.log"))).unwrap();
        command.args([name, &self.path(&format!("{name}.ready"))]).current_dir(self.folder.path());
        command.env("REDIS_URL", format!("{}/{database}", self.redis)).env("DYNO", "web.1");
        command.envs(environment.iter().map(|(name, value)| (*name, value)));
        let child = command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().expect(MEND);
        self._apps.insert(0, Running(child));
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_string_lossy().into_owned()
    }

    /// What an app says once it is ready.
    fn ready(&self, name: &str) -> String {
        let mut said = String::new();
        until(&format!("{name}; see its log"), || {
            said = std::fs::read_to_string(self.path(&format!("{name}.ready"))).unwrap_or_default();
            !said.is_empty()
        });
        said
    }

    /// What the apps said, the last of it.
    fn logs(&self) -> String {
        let mut all = String::new();
        for log in std::fs::read_dir(self.folder.path()).unwrap().map(|entry| entry.unwrap().path()) {
            if log.extension().is_some_and(|extension| extension == "log") {
                let said = std::fs::read_to_string(&log).unwrap_or_default();
                let lines: Vec<_> = said.lines().collect();
                all.push_str(&format!("{}: {}\n", log.display(), lines[lines.len().saturating_sub(5)..].join("\n")));
            }
        }
        all
    }

    fn judoscale(&self, app: &str) -> [(&'static str, String); 1] {
        [("JUDOSCALE_URL", format!("http://{}/judoscale/{}", self.http, token(app)))]
    }

    fn measure(&self, kind: &str, app: &str, process: &str, set: &[(&'static str, Value)]) -> Arc<dyn Measure> {
        measure(&self.intake, kind, app, process, set)
    }

    /// What Redis itself says.
    fn redis(&self, database: u8, words: &[&str]) -> f64 {
        let mut command = Command::new("redis-cli");
        let said = command.args(["-u", &format!("{}/{database}", self.redis)]).args(words).output().unwrap();
        let said = String::from_utf8(said.stdout).unwrap();
        said.trim().parse().unwrap_or_else(|_| panic!("{words:?}: {said}"))
    }

    /// Reads until the reading is this; then what came with it.
    async fn reads(&self, what: &str, measure: &Arc<dyn Measure>, wanted: impl Fn(f64) -> bool) -> Taken {
        let began = Instant::now();
        loop {
            let taken = measure.read().await;
            if matches!(taken.reading, Reading::Value(value) if wanted(value)) {
                return taken;
            }
            assert!(began.elapsed() < Duration::from_secs(60), "{what}: at last {taken:?}\n{}", self.logs());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// One request to an app, with this header.
fn request(port: &str, header: &str) {
    let mut stream = TcpStream::connect(format!("127.0.0.1:{port}")).unwrap();
    let head = format!("GET / HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nconnection: close\r\n{header}\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("200 OK") && answer.ends_with("hello"), "{answer}");
}

/// Requests that waited, with the header in every form that the app's package reads.
fn requests(app: &str, port: &str) {
    let at = Timestamp::now().as_millisecond() - WAITED;
    request(port, &format!("X-Request-Start: {at}\r\n"));
    if !["hirefire", "dynoscale"].contains(&app) {
        request(port, &format!("X-Request-Start: t={}.{:03}\r\n", at / 1000, at % 1000));
        request(port, &format!("X-Request-Start: t={at}000\r\n"));
        request(port, &format!("X-Request-Start: {at}000000\r\n"));
        // Without the header it has no queue time, and is a request all the same.
        request(port, "");
    }
}

fn waited(value: f64) -> bool {
    // A sketch keeps numbers to 1 %.
    (WAITED as f64 * 0.99..WAITED as f64 + PATIENCE).contains(&value)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_real_packages_tell_what_is_so_and_it_scales() {
    let (mut world, engine) = World::new().await;
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    let run = tokio::spawn(engine.run(async { drop(ended.await) }));

    let jobs = |app: &str, value: &str, queues: &[&str]| {
        let queues = Value::Texts(queues.iter().map(|queue| (*queue).to_owned()).collect());
        world.measure("judoscale", app, "worker", &[("value", text(value)), ("queues", queues)])
    };
    let told: Vec<_> = ["latency", "busy", "depth"]
        .into_iter()
        .flat_map(|value| {
            let of = |app: &'static str, queues: &[&str]| (app, value, queues.join(","), jobs(app, value, queues));
            [
                of("celery", &["slow"]),
                of("celery", &["mailer"]),
                of("rq", &["default"]),
                of("rq", &["default", "high"]),
                of("bullmq", &["mailer"]),
            ]
        })
        .collect();
    let extremes: Vec<_> = WEBS
        .into_iter()
        .flat_map(|(app, kind)| {
            let percentile = |of: f64| world.measure(kind, app, "web", &[("percentile", Value::Number(of))]);
            [(app, percentile(0.0)), (app, percentile(100.0))]
        })
        .collect();
    let oldest = world.measure("dynoscale", "dynoscale", "worker", &[("value", text("latency"))]);

    // All of them side by side; two by HTTPS.
    let (http, https) = (world.http, format!("https://localhost:{}", world.https.port()));
    let secure = |app: &str| [("JUDOSCALE_URL", format!("{https}/judoscale/{}/", token(app)))];
    world.start("celery", 0, &world.judoscale("celery"));
    world.start("celery_worker", 0, &[]);
    world.start("rq", 1, &world.judoscale("rq"));
    world.start("bullmq", 2, &world.judoscale("bullmq"));
    world.start("flask", 9, &world.judoscale("flask"));
    world.start("django", 9, &secure("django"));
    world.start("express", 9, &secure("express"));
    world.start("hirefire", 1, &[("HIREFIRE_TOKEN", token("hirefire")), ("HIREFIRE_DISPATCH_URL", https.clone())]);
    world.ready("rq");
    world.start("rq_worker", 1, &[]);
    let url = format!("http://{http}/dynoscale/{}", token("dynoscale"));
    let old_rq = target().join("venv-adapters/rq1").to_string_lossy().into_owned();
    world.start("dynoscale", 1, &[("DYNOSCALE_URL", url), ("PYTHONPATH", old_rq)]);

    for (app, _) in WEBS {
        requests(app, &world.ready(app));
    }
    for (app, measure) in &extremes {
        // A report before the requests told that there were none.
        let taken = world.reads(&format!("{app} queue time"), measure, |value| value > 0.0).await;
        assert!(matches!(taken.reading, Reading::Value(value) if waited(value)), "{app}: {taken:?}");
        assert!(taken.detail.latency_ms.is_some_and(waited), "{app}: {taken:?}");
        assert!(taken.detail.rate.is_some_and(|rate| rate > 0.0), "{app}: {taken:?}");
    }
    for (app, _) in WEBS {
        until(&format!("{app} is scaled"), || world.platform.0.lock().unwrap().contains_key(app));
    }
    drop(end);
    run.await.unwrap();

    // Each number of jobs against what Redis itself holds.
    world.ready("celery");
    world.ready("bullmq");
    for (app, value, queues, measure) in &told {
        let (what, none) = (format!("{app} {value} of {queues}"), || panic!("{app} tells no {value}"));
        match (*app, *value, queues.as_str()) {
            ("bullmq", "latency", _) => {
                assert!(matches!(measure.read().await.reading, Reading::Failed(_)), "BullMQ's package tells none");
            }
            (_, "latency", _) => {
                let aged = world.reads(&what, measure, |ms| ms >= 1000.0).await;
                let Reading::Value(first) = aged.reading else { none() };
                world.reads(&what, measure, |ms| ms > first).await;
                assert!(first < 120_000.0, "{what}: {first}");
            }
            ("celery", "busy", "slow") | ("rq", "busy", _) | ("bullmq", "busy", _) => {
                let taken = world.reads(&what, measure, |busy| busy == 1.0).await;
                assert_eq!(taken.detail.busy, Some(1.0), "{what}");
            }
            ("celery", "busy", _) => drop(world.reads(&what, measure, |busy| busy == 0.0).await),
            ("celery", _, "slow") => {
                world.reads(&what, measure, |depth| depth == world.redis(0, &["LLEN", "slow"])).await;
            }
            ("celery", _, _) => {
                let lists = ["mailer", "mailer\u{6}\u{16}3", "mailer\u{6}\u{16}9"];
                let held: f64 = lists.iter().map(|list| world.redis(0, &["LLEN", list])).sum();
                assert_eq!(held, 4.0);
                world.reads(&what, measure, |depth| depth == held).await;
            }
            ("rq", _, queues) => {
                let held: f64 =
                    queues.split(',').map(|queue| world.redis(1, &["LLEN", &format!("rq:queue:{queue}")])).sum();
                assert_eq!(held, if queues == "default" { 3.0 } else { 5.0 });
                world.reads(&what, measure, |depth| depth == held).await;
            }
            _ => {
                let waiting = world.redis(2, &["LLEN", "bull:mailer:wait"]);
                let held = waiting + world.redis(2, &["ZCARD", "bull:mailer:prioritized"]);
                assert_eq!(held, 4.0, "the delayed one does not wait yet");
                world.reads(&what, measure, |depth| depth == held).await;
            }
        }
    }

    // HireFire's package is asked by us; Dynoscale's told of jobs with the first request.
    let app = format!("http://127.0.0.1:{}/", world.ready("hirefire"));
    let url = || Value::Url(app.parse().unwrap());
    let depth = world.measure("hirefire", "hirefire", "worker", &[("value", text("depth")), ("url", url())]);
    world.reads("hirefire depth", &depth, |depth| depth == 5.0).await;
    let of_high = [("value", text("latency")), ("url", url()), ("worker", text("mailer"))];
    let latency = world.measure("hirefire", "hirefire", "worker", &of_high);
    world.reads("hirefire latency", &latency, |ms| (1000.0..120_000.0).contains(&ms)).await;
    world.reads("dynoscale latency", &oldest, |ms| (100.0..120_000.0).contains(&ms)).await;
    assert_eq!(world.intake.counts().odd, 0, "all that was told was understood");
    assert_eq!(world.intake.counts().refused, 0);
}

/// A way to the server that passes everything on, and loses the answer of one connection after its request was passed.
fn lossy(server: SocketAddr, loses: Arc<AtomicBool>) -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let server = TcpStream::connect(server).unwrap();
            let (mut from_client, mut to_server) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            let (mut from_server, mut to_client) = (server, client);
            let loses = Arc::clone(&loses);
            std::thread::spawn(move || std::io::copy(&mut from_server, &mut to_client));
            std::thread::spawn(move || {
                let (mut head, mut records) = ([0; 5], 0);
                // Records of TLS 1.3 that hold data: the end of the handshake, the head of the request, its body.
                while from_client.read_exact(&mut head).is_ok() {
                    let mut record = vec![0; usize::from(u16::from_be_bytes([head[3], head[4]]))];
                    from_client.read_exact(&mut record).unwrap();
                    records += u32::from(head[0] == 23);
                    if records == 3 && loses.swap(false, Ordering::SeqCst) {
                        // Nothing comes back any more: the sender sees the end before the server has the body.
                        from_client.shutdown(Shutdown::Both).unwrap();
                    }
                    to_server.write_all(&[&head[..], &record].concat()).unwrap();
                }
            });
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_hirefires_package_sends_again_counts_once() {
    let (mut world, engine) = World::new().await;
    let loses = Arc::new(AtomicBool::new(false));
    let url = format!("https://localhost:{}", lossy(world.https, Arc::clone(&loses)));
    world.start("hirefire", 1, &[("HIREFIRE_TOKEN", token("hirefire")), ("HIREFIRE_DISPATCH_URL", url)]);
    let port = world.ready("hirefire");
    let wait = |ms: i64| request(&port, &format!("X-Request-Start: {}\r\n", Timestamp::now().as_millisecond() - ms));
    wait(0);
    until("the first push", || world.intake.counts().samples == 1);
    loses.store(true, Ordering::SeqCst);
    for number in 1..=40 {
        wait(number * 1000);
    }
    until("a push that comes again", || world.intake.counts().repeated > 0);
    until("all requests", || world.intake.counts().samples > 40);
    // Where the package's second ends among the requests, one or two of them are too few to be known again.
    assert!((41..=45).contains(&world.intake.counts().samples), "{:?}", world.intake.counts());
    assert!(!loses.load(Ordering::SeqCst));
    drop(engine);
}
