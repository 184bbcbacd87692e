//! A server without a socket, over a real engine with a made-up platform and source, and a store in memory.

#![allow(dead_code, unreachable_pub, reason = "each test file uses a part")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot build its input fails")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use autoscalebot_core::policy::consecutive::Consecutive;
use autoscalebot_core::{BoundTable, BoundTables, MeasurementSpec, Reading, Secret, Spec, State, Taken, Unit, Zero};
use autoscalebot_engine::{AppPlan, Engine, Memory, Mode, ProcessPlan, Source, SystemClock};
use autoscalebot_measure::Measure;
use autoscalebot_notify::deliver::Desk;
use autoscalebot_platform::{Change, Formation, Platform, PlatformError, Scaled};
use autoscalebot_server::{Options, Setup, Watched};
use autoscalebot_store::Store;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, Response, StatusCode, header};
use jiff::Timestamp;
use serde_json::Value;
use tower::ServiceExt;

/// Secrets that must never be seen.
pub const TOKEN: &str = "planted-change-0123456789abcdef";
pub const READ: &str = "planted-read-0123456789abcdef";

#[derive(Debug)]
struct Made;

#[async_trait::async_trait]
impl Platform for Made {
    async fn formation(&self, _app: &str, _at: Timestamp) -> Result<Formation, PlatformError> {
        Ok(Formation { quantities: BTreeMap::from([("web".to_owned(), 2)]), ..Formation::default() })
    }

    async fn scale(
        &self,
        _app: &str,
        changes: &[Change],
        _formation: &Formation,
        _at: Timestamp,
    ) -> Vec<Result<Scaled, PlatformError>> {
        changes.iter().map(|change| Ok(Scaled { quantity: change.quantity, limit: None })).collect()
    }
}

#[derive(Debug)]
struct Slow;

#[async_trait::async_trait]
impl Measure for Slow {
    async fn read(&self) -> Taken {
        Reading::Value(2000.0).into()
    }

    fn budget(&self) -> Duration {
        Duration::from_secs(1)
    }
}

/// The settings of one process.
pub fn spec(app: &str) -> Arc<Spec> {
    let policy = Consecutive { low: 200.0, high: 1000.0, fails: 1, passes: 5, increment: 1, refuse_zero: false };
    Arc::new(Spec {
        app: app.into(),
        process: "web".into(),
        bounds: BoundTables { min: BoundTable::Fixed(1), max: BoundTable::Fixed(5), zone: jiff::tz::TimeZone::UTC },
        measurements: vec![MeasurementSpec {
            name: "heartbeat".into(),
            unit: Unit::Milliseconds,
            max_age: jiff::SignedDuration::from_secs(60),
            failures_mean_overload: true,
            shadow: false,
            policy: Arc::new(policy),
        }],
        gates: Vec::new(),
        zero: Zero::Keep,
        rapid: None,
    })
}

/// A server that has seen one tick of each app.
pub async fn server(options: Options, apps: &[&str]) -> Router {
    server_over(Store::in_memory().unwrap(), options, apps).await
}

/// The same over a store that has a past.
pub async fn server_over(store: Store, options: Options, apps: &[&str]) -> Router {
    let source = || Source { measure: Arc::new(Slow), every: Duration::from_secs(30), adviser: None };
    let plans = apps.iter().map(|app| AppPlan {
        key: (*app).into(),
        name: (*app).to_owned(),
        platform: Arc::new(Made),
        processes: vec![ProcessPlan { spec: spec(app), sources: vec![source()], state: State::default() }],
    });
    let memory = Memory::start(store.another().unwrap());
    let engine =
        Engine::new(plans.collect(), Vec::new(), Mode::Act, Arc::new(SystemClock), memory, Desk::open(Vec::new()));
    let processes =
        apps.iter().map(|app| Watched { spec: spec(app), platform: "made".to_owned(), every: Duration::from_secs(30) });
    let setup = Setup {
        options,
        processes: processes.collect(),
        board: engine.board(),
        events: engine.events(),
        store,
        health: engine.store_health(),
        intake: Arc::default(),
        clock: Arc::new(SystemClock),
        dry_run: false,
    };
    let (router, follow) = autoscalebot_server::service(setup);
    engine.once().await;
    // The engine is gone, so what it said is all there is.
    follow.await;
    router
}

/// A server on this machine that asks nobody for a token.
pub async fn local(apps: &[&str]) -> Router {
    server(Options::local("127.0.0.1:7878".parse().unwrap()), apps).await
}

/// A server with tokens.
pub async fn with_tokens(prefix: &str) -> Router {
    let options = Options {
        listen: "0.0.0.0:7878".parse().unwrap(),
        token: Some(Secret::new(TOKEN)),
        read_token: Some(Secret::new(READ)),
        path_prefix: prefix.to_owned(),
        tls: None,
    };
    options.check().unwrap();
    server(options, &["shop"]).await
}

/// What a request came to.
pub struct Answer {
    pub status: StatusCode,
    pub headers: axum::http::HeaderMap,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }
}

/// Asks; headers as pairs. The body of a stream is left alone.
pub async fn ask(router: &Router, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let mut request = Request::builder().method(Method::from_bytes(method.as_bytes()).unwrap()).uri(path);
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        request = request.header(header::HOST, "localhost:7878");
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response: Response<Body> =
        router.clone().oneshot(request.body(Body::from(body.to_owned())).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    let stream = parts.headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind == "text/event-stream");
    let body = if stream { Vec::new() } else { to_bytes(body, 16 << 20).await.unwrap().to_vec() };
    Answer { status: parts.status, headers: parts.headers, body: String::from_utf8(body).unwrap() }
}

/// Asks without any header.
pub async fn get(router: &Router, path: &str) -> Answer {
    ask(router, "GET", path, &[], "").await
}

/// The header of a token.
pub fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}
