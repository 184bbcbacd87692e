//! From a breach on the wire to the scaling call: drains, adapters' reports and pushes, in virtual time and over real sockets.

#![allow(clippy::unwrap_used, clippy::panic)] // clippy.toml allows it in test functions; the helpers here are none.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use autoscalebot_core::fields::{Value, Values};
use autoscalebot_core::policy::consecutive::Consecutive;
use autoscalebot_core::{BoundTable, BoundTables, MeasurementSpec, Secret, Spec, State, Unit, Zero};
use autoscalebot_engine::clock::TimerClock;
use autoscalebot_engine::{AppPlan, Clock, Engine, Memory, Mode, ProcessPlan, Source, SystemClock};
use autoscalebot_measure::{Intake, MEASUREMENTS, MeasureContext};
use autoscalebot_notify::deliver::Desk;
use autoscalebot_platform::{Change, Formation, Platform, PlatformError, Scaled};
use autoscalebot_server::{Bound, Options, Server, Setup};
use autoscalebot_store::Store;
use axum::body::Body;
use axum::http::{HeaderMap, Request};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tower::ServiceExt;

const TOKEN: &str = "token-EXAMPLE-1234";

/// A platform of one process that tells when it is called, and starts anew.
#[derive(Debug, Default)]
struct Calls(Mutex<Vec<Instant>>);

impl Calls {
    async fn next(&self) -> Instant {
        for _ in 0..60_000 {
            if let Some(at) = self.0.lock().unwrap().pop() {
                return at;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        panic!("no scaling call within a minute")
    }
}

#[async_trait]
impl Platform for Calls {
    async fn formation(&self, _app: &str, _now: Timestamp) -> Result<Formation, PlatformError> {
        Ok(Formation { quantities: [("web".to_owned(), 1)].into(), ..Formation::default() })
    }

    async fn scale(
        &self,
        _app: &str,
        changes: &[Change],
        _before: &Formation,
        _now: Timestamp,
    ) -> Vec<Result<Scaled, PlatformError>> {
        self.0.lock().unwrap().push(Instant::now());
        changes.iter().map(|change| Ok(Scaled { quantity: change.quantity, limit: None })).collect()
    }
}

fn engine(kind: &str, intake: &Arc<Intake>, calls: &Arc<Calls>, clock: Arc<dyn Clock>) -> Engine {
    let entry = MEASUREMENTS.iter().find(|entry| entry.kind.description.name == kind).unwrap();
    let mut values = Values::default();
    values.set("token", Value::Secret(Secret::new(TOKEN)));
    values.set("percentile", Value::Number(99.0));
    // So short a window forgets the last breach before the next.
    values.set("window", Value::Duration(SignedDuration::from_secs(5)));
    let every = Duration::from_secs(10);
    let context = MeasureContext { app: "shop", process: "web", every, intake };
    let measure = (entry.build)(&values, context).unwrap();
    let rule = Consecutive { low: 0.0, high: 1000.0, fails: 1, passes: 1000, increment: 1, refuse_zero: false };
    let spec = Spec {
        app: "shop".into(),
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
    let sources = vec![Source { measure, every, adviser: None }];
    let processes = vec![ProcessPlan { spec: Arc::new(spec), sources, state: State::default() }];
    let platform = Arc::clone(calls) as Arc<dyn Platform>;
    let app = AppPlan { key: "shop".into(), name: "shop-1".into(), platform, processes };
    let memory = Memory::start(Store::in_memory().unwrap());
    Engine::new(vec![app], Vec::new(), Mode::Act, clock, memory, Desk::open(Vec::new()))
}

/// What each kind of sender sends of a request that took so long: the path, a header, the body.
fn sent(kind: &str, now: Timestamp, ms: u64) -> (String, HeaderMap, String) {
    let mut headers = HeaderMap::new();
    let secs = now.as_second();
    let (path, body) = match kind {
        "router" => {
            let at = now.strftime("%Y-%m-%dT%H:%M:%S%.6f+00:00");
            let text = format!(
                "<158>1 {at} host heroku router - at=info method=GET path=\"/\" dyno=web.1 connect=1ms service={ms}ms status=200 bytes=1\n"
            );
            (format!("/drains/{TOKEN}"), format!("{} {text}", text.len()))
        }
        "judoscale" => {
            let body = format!(
                r#"{{"container":"web.1","pid":{ms},"metrics":[[{secs},{ms},"qt",null],[{secs},5,"at",null]]}}"#
            );
            (format!("/judoscale/{TOKEN}/v3/reports"), body)
        }
        "hirefire" => {
            headers.insert("hirefire-token", TOKEN.parse().unwrap());
            ("/".to_owned(), format!(r#"{{"{secs}":[{ms}]}}"#))
        }
        "otlp" => {
            headers.insert("content-type", "application/json".parse().unwrap());
            let (end, start) = (now.as_nanosecond(), now.as_nanosecond() - i128::from(ms) * 1_000_000);
            let status = r#"{"key":"http.response.status_code","value":{"intValue":200}}"#;
            let span = format!(
                r#"{{"kind":2,"startTimeUnixNano":"{start}","endTimeUnixNano":"{end}","attributes":[{status}]}}"#
            );
            let body = format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{span}]}}]}}]}}"#);
            (format!("/otlp/{TOKEN}/v1/traces"), body)
        }
        "autoscale_agent" => {
            headers.insert("autoscale-metric-token", TOKEN.parse().unwrap());
            ("/".to_owned(), format!(r#"{{"{secs}":{ms}.0}}"#))
        }
        "dynoscale" => (format!("/dynoscale/{TOKEN}"), format!("{secs},{ms},web,\r\n")),
        _ => (format!("/samples/{TOKEN}"), format!(r#"{{"value":{ms}}}"#)),
    };
    (path, headers, body)
}

/// One request on a connection of its own; the status.
async fn post(address: SocketAddr, path: &str, headers: &HeaderMap, body: &[u8]) -> u16 {
    let mut head =
        format!("POST {path} HTTP/1.1\r\nhost: bot.example\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        head.push_str(&format!("{name}: {}\r\n", value.to_str().unwrap()));
    }
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(format!("{head}\r\n").as_bytes()).await.unwrap();
    // An answer may come before the whole body is read.
    let _ = stream.write_all(body).await;
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    std::str::from_utf8(&answer[9..]).unwrap().parse().unwrap()
}

const KINDS: [&str; 7] = ["router", "judoscale", "hirefire", "dynoscale", "autoscale_agent", "otlp", "push"];

/// The 99th per cent of delays.
fn worst(mut delays: Vec<Duration>) -> Duration {
    delays.sort_unstable();
    delays[(delays.len() - 1) * 99 / 100]
}

#[tokio::test(start_paused = true)]
async fn a_breach_is_acted_upon_within_a_second_in_virtual_time() {
    for kind in KINDS {
        let clock = TimerClock::starting_at("2026-05-04T07:00:00Z".parse().unwrap());
        let intake = Arc::new(Intake::new(move || clock.now()));
        let calls = Arc::new(Calls::default());
        let engine = engine(kind, &intake, &calls, Arc::new(clock));
        let (end, ended) = tokio::sync::oneshot::channel::<()>();
        let run = tokio::spawn(engine.run(async { drop(ended.await) }));
        let mut delays = Vec::new();
        for breach in 0..100_u64 {
            // Calm, then slow; never in step with the interval.
            for (wait, ms) in [(7_000, 10), (31_000 + breach * 37 % 1000, 10)] {
                tokio::time::sleep(Duration::from_millis(wait)).await;
                let (path, headers, body) = sent(kind, intake.now(), ms);
                assert_eq!(intake.admit("POST", &path, &headers).unwrap().accept(body.as_bytes()).status, 200);
            }
            tokio::time::sleep(Duration::from_millis(breach * 61 % 300)).await;
            calls.0.lock().unwrap().clear();
            let began = Instant::now();
            let (path, headers, body) = sent(kind, intake.now(), 5_000 + breach);
            assert_eq!(intake.admit("POST", &path, &headers).unwrap().accept(body.as_bytes()).status, 200);
            delays.push(calls.next().await.duration_since(began));
        }
        let worst = worst(delays);
        assert!(worst < Duration::from_secs(1), "{kind}: {worst:?}");
        drop(end);
        run.await.unwrap();
    }
}

fn setup(engine: &Engine, intake: &Arc<Intake>, options: Options) -> Setup {
    Setup {
        options,
        processes: Vec::new(),
        board: engine.board(),
        events: engine.events(),
        store: Store::in_memory().unwrap(),
        health: engine.store_health(),
        intake: Arc::clone(intake),
        clock: Arc::new(SystemClock),
        dry_run: false,
    }
}

/// A server on a free port, over this engine.
async fn serve(engine: &Engine, intake: &Arc<Intake>, options: Options) -> Server {
    Bound::listen(options.clone()).await.unwrap().serve(setup(engine, intake, options))
}

/// Breaches one after the other over a real socket; how long each took.
async fn breaches(kind: &'static str, number: u32) -> (&'static str, Vec<Duration>) {
    let intake = Arc::new(Intake::default());
    let calls = Arc::new(Calls::default());
    let engine = engine(kind, &intake, &calls, Arc::new(SystemClock));
    let server = serve(&engine, &intake, Options::local("127.0.0.1:0".parse().unwrap())).await;
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    let run = tokio::spawn(engine.run(async { drop(ended.await) }));
    let mut delays = Vec::new();
    for breach in 0..number {
        tokio::time::sleep(Duration::from_millis(150 + u64::from(breach) * 17)).await;
        calls.0.lock().unwrap().clear();
        // Each breach rises above the last, as the window still holds that.
        let ms = 2_000 * 3_u64.pow(breach) / 2_u64.pow(breach);
        let (path, headers, body) = sent(kind, Timestamp::now(), ms);
        let began = Instant::now();
        assert_eq!(post(server.address(), &path, &headers, body.as_bytes()).await, 200, "{kind}");
        delays.push(calls.next().await.duration_since(began));
    }
    drop(end);
    run.await.unwrap();
    (kind, delays)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_breach_is_acted_upon_within_a_second_over_real_sockets() {
    // 108 of each kind, nine servers of each side by side.
    let runs = KINDS.into_iter().flat_map(|kind| (0..9).map(move |_| tokio::spawn(breaches(kind, 12))));
    let mut all: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for run in futures_util::future::join_all(runs).await {
        let (kind, delays) = run.unwrap();
        all.entry(kind).or_default().extend(delays);
    }
    for (kind, delays) in all {
        let (number, worst) = (delays.len(), worst(delays));
        println!("{kind}: of {number} breaches 99 % within {worst:?}");
        assert!(number > 100 && worst < Duration::from_secs(1), "{kind}: {worst:?}");
    }
}

#[tokio::test]
async fn what_is_for_the_intake_needs_no_other_right_and_the_rest_goes_its_way() {
    let intake = Arc::new(Intake::default());
    let calls = Arc::new(Calls::default());
    let engine = engine("router", &intake, &calls, Arc::new(SystemClock));
    let options = Options {
        token: Some(Secret::new("0123456789abcdef")),
        path_prefix: "/bot".into(),
        ..Options::local("127.0.0.1:0".parse().unwrap())
    };
    let server = serve(&engine, &intake, options).await;
    let none = HeaderMap::new();
    let address = server.address();
    let post = |path: &str, body: Vec<u8>| {
        let (path, none) = (path.to_owned(), none.clone());
        async move { post(address, &path, &none, &body).await }
    };
    assert_eq!(post(&format!("/drains/{TOKEN}"), Vec::new()).await, 200);
    assert_eq!(post(&format!("/bot/drains/{TOKEN}"), Vec::new()).await, 200);
    assert_eq!(post("/drains/token-EXAMPLE-9999", Vec::new()).await, 403);
    assert_eq!(post(&format!("/drains/{TOKEN}"), vec![b'x'; 2 << 20]).await, 413);
    assert_eq!(post("/api/v1/none", Vec::new()).await, 404);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_is_refused_and_holds_no_room() {
    let intake = Arc::new(Intake::default());
    let calls = Arc::new(Calls::default());
    let engine = engine("router", &intake, &calls, Arc::new(SystemClock));
    let (router, _follow) =
        autoscalebot_server::service(setup(&engine, &intake, Options::local("127.0.0.1:1".parse().unwrap())));
    let stuck = || {
        let body = Body::from_stream(futures_util::stream::pending::<Result<Vec<u8>, std::io::Error>>());
        router.clone().oneshot(Request::post(format!("/drains/{TOKEN}")).body(body).unwrap())
    };
    // Half of the room is a sender's; who comes after those is let go at once, or as soon as its own body would be over.
    for answer in futures_util::future::join_all((0..20).map(|_| stuck())).await {
        assert!(matches!(answer.unwrap().status().as_u16(), 200 | 408));
    }
    let counts = intake.counts();
    assert_eq!((counts.refused, counts.shed), (16, 4), "{counts:?}");
    assert_eq!(stuck().await.unwrap().status(), 408, "there is room again");
}
