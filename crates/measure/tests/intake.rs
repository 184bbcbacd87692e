//! From a request's path, headers and body to a reading: tokens, drains, reports and pushes, on a clock of the test's own.

#![allow(clippy::unwrap_used, clippy::panic)] // clippy.toml allows it in test functions; the helpers here are none.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use autoscalebot_core::fields::{Value, Values};
use autoscalebot_core::{Detail, Failure, Secret};
use autoscalebot_measure::intake::Reply;
use autoscalebot_measure::{MEASUREMENTS, Measure, MeasureContext};
use jiff::{SignedDuration, Timestamp};
use reqwest::header::HeaderMap;

use world::{Seeded, TOKEN, World, failure, value};

mod world;

impl World {
    fn drain(&self, lines: &[(i64, &str, &str)]) -> u16 {
        self.post(&format!("/drains/{TOKEN}"), &[], &body(lines))
    }
}

/// A body of router lines: when, dyno, and the rest.
fn body(lines: &[(i64, &str, &str)]) -> Vec<u8> {
    let frame = |(at_ms, dyno, rest): &(i64, &str, &str)| {
        let at = Timestamp::from_millisecond(*at_ms).unwrap().strftime("%Y-%m-%dT%H:%M:%S%.6f+00:00");
        let text = format!("<158>1 {at} host heroku router - at=info path=\"/\" dyno={dyno} connect=1ms {rest}\n");
        format!("{} {text}", text.len())
    };
    lines.iter().map(frame).collect::<String>().into_bytes()
}

/// A line of another kind: the drain is alive.
fn alive(world: &World) -> u16 {
    let text = "<45>1 2026-05-04T08:24:26+00:00 host heroku web.1 - State is now up\n";
    world.post(&format!("/drains/{TOKEN}"), &[], format!("{} {text}", text.len()).as_bytes())
}

const OK: &str = "service=100ms status=200 bytes=1";

fn near(found: f64, wanted: f64) {
    assert!((found - wanted).abs() <= wanted * 0.01, "{found}, not {wanted}");
}

#[tokio::test]
async fn silent_is_unknown_and_alive_and_idle_is_low() {
    let world = World::new();
    let router = world.measure("router", "web", &[]);
    assert_eq!(failure(&router).await, Failure::Missing);
    assert_eq!(
        world.drain(&[(world.now(), "web.1", OK), (world.now() - 4000, "web.2", "service=300ms status=200")]),
        200
    );
    near(value(&router).await, 300.0);
    let detail = router.read().await.detail;
    assert_eq!(detail.service_ms, Some(200.0));
    assert!(detail.rate.is_some() && detail.concurrency.is_some());
    world.pass(90);
    alive(&world);
    assert_eq!(value(&router).await, 0.0);
    assert_eq!(router.read().await.detail, Detail { rate: Some(0.0), concurrency: Some(0.0), ..Detail::default() });
    world.pass(121);
    assert_eq!(failure(&router).await, Failure::Late(121));
}

#[tokio::test]
async fn failures_without_a_dyno_are_no_fast_answers() {
    let world = World::new();
    let router = world.measure("router", "web", &[]);
    world.drain(&[(world.now(), "", "code=H10 service= status=503 bytes=")]);
    assert!(failure(&router).await.to_string().contains("failed before they were served"));
    world.drain(&[(world.now(), "", "code=H12 service= status=503 bytes=")]);
    near(value(&router).await, 30_000.0);
}

#[tokio::test]
async fn each_process_hears_of_its_own_dynos() {
    let world = World::new();
    let web = world.measure("router", "web", &[]);
    let api = world.measure("router", "api", &[("of", Value::Text("total".into()))]);
    world.drain(&[(world.now(), "web.1", OK), (world.now(), "api.3", "service=700ms status=200")]);
    near(value(&web).await, 100.0);
    near(value(&api).await, 701.0);
    // A name that only begins alike is another's.
    for dyno in ["web2.1", "web-canary.1", "webs", "apis.1", "ap.1"] {
        world.drain(&[(world.now(), dyno, "service=9000ms status=200"); 30]);
    }
    near(value(&web).await, 100.0);
    near(value(&api).await, 701.0);
    // One without a number is its own.
    world.drain(&[(world.now(), "web", "service=9000ms status=200"); 30]);
    near(value(&web).await, 9_000.0);
}

#[tokio::test]
async fn a10_old_lines_are_no_fresh_ones() {
    let world = World::new();
    let router = world.measure("router", "web", &[]);
    world.drain(&[(world.now() - 25 * 60_000, "web.1", "service=900ms status=200")]);
    assert_eq!(failure(&router).await, Failure::Late(1500));
}

#[tokio::test]
async fn a36_a_clock_that_is_wrong_by_a_minute() {
    let world = World::new();
    let router = world.measure("router", "web", &[]);
    world.drain(&[(world.now() - 60_000, "web.1", "service=900ms status=200")]);
    near(value(&router).await, 900.0);

    let world = World::new();
    let router = world.measure("router", "web", &[]);
    world.drain(&[(world.now() + 60_000, "web.1", "service=900ms status=200")]);
    near(value(&router).await, 900.0);
    for _ in 0..70 {
        world.pass(1);
        world.drain(&[(world.now(), "web.1", OK)]);
    }
    near(value(&router).await, 100.0);
}

#[tokio::test]
async fn a_body_sent_again_counts_once_and_losses_are_known() {
    let world = World::new();
    let router = world.measure("router", "web", &[]);
    let path = format!("/drains/{TOKEN}");
    let lines = body(&[(world.now(), "web.1", OK)]);
    for _ in 0..2 {
        assert_eq!(world.post(&path, &[("logplex-frame-id", "09C557EAFCFB6CF2740EE62F62971004")], &lines), 200);
    }
    assert_eq!(world.intake.counts().repeated, 1);
    assert_eq!(world.intake.counts().samples, 1);
    assert!(router.read().await.detail.rate.is_some());
    let lost = "<172>1 2026-05-04T08:24:30+00:00 host heroku logplex - Error L10 (drain backlog): 3 lines lost.";
    world.post(&path, &[], format!("{} {lost}", lost.len()).as_bytes());
    assert_eq!(router.read().await.detail.rate, None, "what is lost is not counted, so the rate is not known");
    assert_eq!(world.intake.counts().lost_lines, 3);
}

#[tokio::test]
async fn only_known_tokens_are_heard() {
    let world = World::new();
    let _router = world.measure("router", "web", &[]);
    for path in ["/drains/token-EXAMPLE-1235", "/drains/token-EXAMPLE", "/samples/token-EXAMPLE-1234"] {
        assert_eq!(world.post(path, &[], b""), 403, "{path}");
    }
    for path in ["/drains/", "/drains/a/b", "/other/token-EXAMPLE-1234", "/", "/judoscale/token-EXAMPLE-1234"] {
        assert_eq!(world.post(path, &[], b""), 404, "{path}");
    }
    assert_eq!(world.intake.admit("GET", "/drains/token-EXAMPLE-1234", &HeaderMap::new()).unwrap_err().status, 405);
    assert_eq!(world.intake.counts().refused, 3);
    assert!(!format!("{:?}", world.intake).contains("EXAMPLE"));
    // Another app cannot have the same.
    let entry = MEASUREMENTS.iter().find(|entry| entry.kind.description.name == "router").unwrap();
    let mut values = Values::default();
    values.set("token", Value::Secret(Secret::new(TOKEN)));
    let context = MeasureContext { app: "blog", process: "web", every: Duration::from_secs(10), intake: &world.intake };
    assert_eq!((entry.build)(&values, context).unwrap_err().field, "token");
}

#[tokio::test]
async fn an_overload_is_shed_and_said_and_ends() {
    let world = World::new();
    let _router = world.measure("router", "web", &[]);
    let path = format!("/drains/{TOKEN}");
    let admit = || world.intake.admit("POST", &path, &HeaderMap::new());
    let held: Vec<_> = std::iter::from_fn(|| admit().ok()).take(100).collect();
    assert_eq!(held.len(), 16, "a megabyte each: half of the room");
    assert_eq!(admit().unwrap_err().status, 200);
    assert!(world.intake.counts().shed > 0);
    // The other half is left to the others.
    let _reports = world.measure("judoscale", "web", &[]);
    let reports = format!("/judoscale/{TOKEN}/v3/reports");
    let admit_report = || world.intake.admit("POST", &reports, &HeaderMap::new());
    let others: Vec<_> = std::iter::from_fn(|| admit_report().ok()).take(100).collect();
    assert_eq!(others.len(), 4, "four megabytes each");
    let _samples = world.measure("push", "web", &[]);
    let samples = format!("/samples/{TOKEN}");
    assert_eq!(world.intake.admit("POST", &samples, &HeaderMap::new()).unwrap_err().status, 200, "all is taken");
    drop(others);
    assert!(world.intake.admit("POST", &samples, &HeaderMap::new()).is_ok());
    drop(held);
    assert!(admit().is_ok());
    let long: HeaderMap = [("content-length".parse().unwrap(), "99999999".parse().unwrap())].into_iter().collect();
    assert_eq!(world.intake.admit("POST", &path, &long).unwrap_err(), Reply::TOO_LARGE);
}

fn fixture(name: &str, line: usize) -> Vec<u8> {
    let path = format!("{}/tests/data/adapters/{name}.jsonl", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    match &serde_json::from_str::<serde_json::Value>(text.lines().nth(line).unwrap()).unwrap()["body"] {
        serde_json::Value::String(text) => text.clone().into_bytes(),
        document => document.to_string().into_bytes(),
    }
}

fn words(value: &str) -> Value {
    Value::Text(value.into())
}

/// The instant of the recorded reports of the web, and of those of jobs.
const RECORDED: i64 = 1_795_590_556_000;

#[tokio::test]
async fn judoscale_reports_tell_queue_times_and_queues() {
    let world = World::new();
    world.now_ms.store(RECORDED, Ordering::SeqCst);
    let path = format!("/judoscale/{TOKEN}//v3/reports");
    let web = world.measure("judoscale", "web", &[("percentile", Value::Number(99.0))]);
    let up = world.measure("judoscale", "web", &[("value", words("utilization"))]);
    let queues = Value::Texts(vec!["mailer".into()]);
    let depth = world.measure("judoscale", "worker", &[("value", words("depth")), ("queues", queues.clone())]);
    let latency = world.measure("judoscale", "worker", &[("value", words("latency")), ("queues", queues)]);
    let busy = world.measure("judoscale", "worker", &[("value", words("busy"))]);
    for line in [0, 1, 0] {
        assert_eq!(world.post(&path, &[], &fixture("judoscale", line)), 200);
    }
    assert_eq!(world.intake.counts().repeated, 1);
    near(value(&web).await, 163.0);
    assert_eq!(value(&up).await, 1.5);
    let detail = web.read().await.detail;
    assert_eq!(detail.service_ms, Some(50.0));
    world.post(&path, &[], &fixture("judoscale", 4));
    assert_eq!(value(&depth).await, 6.0, "the priorities of a queue are its own");
    assert_eq!(value(&latency).await, 8975.0);
    assert_eq!(value(&busy).await, 2.0);
    assert_eq!(busy.read().await.detail.busy, Some(2.0));
    // An idle web: reports, and no requests. The queues are told of no more.
    world.pass(130);
    world.post(&path, &[], &fixture("judoscale", 2));
    assert_eq!(value(&web).await, 0.0);
    assert!(matches!(failure(&depth).await, Failure::Other(_)));
}

#[tokio::test]
async fn the_other_adapters_tell_theirs() {
    let world = World::new();
    world.now_ms.store(RECORDED, Ordering::SeqCst);
    let hirefire = world.measure("hirefire", "web", &[("percentile", Value::Number(100.0))]);
    assert_eq!(world.post("/", &[("hirefire-token", TOKEN)], &fixture("hirefire-resource-python", 0)), 200);
    near(value(&hirefire).await, 283.0);
    let dynoscale = world.measure("dynoscale", "web", &[]);
    let path = format!("/dynoscale/{TOKEN}");
    assert_eq!(world.post(&path, &[("http_x_dyno", "web.1")], &fixture("dynoscale", 0)), 200);
    near(value(&dynoscale).await, 269.0);
    let agent = world.measure("autoscale_agent", "web", &[]);
    assert_eq!(world.post("/", &[("autoscale-metric-token", TOKEN)], &fixture("autoscale-agent", 0)), 200);
    near(value(&agent).await, 301.0);
    assert_eq!(agent.read().await.detail.rate, None, "a maximum of each second tells no rate");
    assert_eq!(world.post(&path, &[], b"no report"), 400);
}

#[tokio::test]
async fn what_is_sent_again_counts_once() {
    let world = World::new();
    // The second of the recorded repeats, and a little.
    world.now_ms.store(1_795_590_615_000, Ordering::SeqCst);
    let requests = |measure: Arc<dyn Measure>| async move { measure.read().await.detail.rate.unwrap() };
    let hirefire = world.measure("hirefire", "web", &[]);
    let push = |body: &[u8]| world.reply("/", &[("hirefire-token", TOKEN)], body);
    for line in [3, 4, 5] {
        assert_eq!(push(&fixture("hirefire-resource-python", line)).push_every_secs, Some(1));
    }
    assert_eq!(requests(Arc::clone(&hirefire)).await, 3.0, "over the one second since the first");
    push(br#"{"1795590614": [7, 129, 127, 126], "1795590615": [1]}"#);
    assert_eq!(requests(Arc::clone(&hirefire)).await, 5.0);
    push(br#"{"1795590614": [5, 4, 3]}"#);
    push(br#"{"1795590615": [1]}"#);
    assert_eq!(requests(Arc::clone(&hirefire)).await, 9.0, "other processes have the same seconds");
    assert_eq!(push(b"[]").status, 400);
    assert_eq!(push(b"[]").push_every_secs, None);

    let dynoscale = world.measure("dynoscale", "web", &[]);
    let path = format!("/dynoscale/{TOKEN}");
    let lines = "1795590612,128,web,\r\n1795590612,120,web,\r\n";
    assert_eq!(world.post(&path, &[], lines.as_bytes()), 200);
    assert_eq!(world.post(&path, &[], lines.as_bytes()), 200);
    assert_eq!(requests(Arc::clone(&dynoscale)).await, 2.0);
    assert_eq!(world.post(&path, &[], format!("{lines}1795590615,9,web,\r\n").as_bytes()), 200);
    assert_eq!(requests(dynoscale).await, 3.0, "later lines stand behind those that come again");
    assert_eq!(world.intake.counts().repeated, 5);
}

#[tokio::test]
async fn pushed_samples_are_news_and_old_ones_are_late() {
    let world = World::new();
    let push = world.measure("push", "web", &[]);
    let path = format!("/samples/{TOKEN}");
    assert_eq!(world.post(&path, &[], br#"{"value": 12, "busy": 3}"#), 200);
    tokio::time::timeout(Duration::from_secs(1), push.news()).await.unwrap();
    assert_eq!(push.read().await.detail, Detail { busy: Some(3.0), ..Detail::default() });
    assert_eq!(world.post(&path, &[], br#"{"value": 11, "at": "2026-05-04T08:00:00Z"}"#), 200);
    assert_eq!(failure(&push).await, Failure::Late(1470));
    assert_eq!(world.post(&path, &[], br#"{"value": 10}"#), 200);
    assert_eq!(value(&push).await, 10.0);
    assert_eq!(world.post(&path, &[], b"{}"), 400);
    assert_eq!(world.post(&path, &[], &[b' '; 20_000]), 413);
}

#[tokio::test(start_paused = true)]
async fn a_rise_is_news_and_a_fall_is_none() {
    let world = World::new();
    let router = world.measure("router", "web", &[]);
    let news = |router: Arc<dyn Measure>| async move {
        tokio::time::timeout(Duration::from_secs(2), router.news()).await.is_ok()
    };
    world.drain(&[(world.now(), "web.1", OK)]);
    assert!(news(Arc::clone(&router)).await, "it came to life");
    value(&router).await;
    world.drain(&[(world.now(), "web.1", OK)]);
    assert!(!news(Arc::clone(&router)).await, "the same again");
    world.drain(&[(world.now(), "web.1", "service=900ms status=200"); 30]);
    assert!(news(Arc::clone(&router)).await, "a rise");
    near(value(&router).await, 900.0);
    world.drain(&[(world.now(), "web.1", "service=10ms status=200"); 900]);
    assert!(!news(Arc::clone(&router)).await, "a fall");
}

#[tokio::test(start_paused = true)]
async fn noise_is_no_news_and_a_breach_after_a_calm_is() {
    let world = World::new();
    let router = world.measure("router", "web", &[("window", Value::Duration(SignedDuration::from_secs(5)))]);
    // One look at five of a second, as soon as news are looked for at all.
    let look = async |ms: u64| {
        world.now_ms.fetch_add(200, Ordering::SeqCst);
        world.drain(&[(world.now(), "web.1", format!("service={ms}ms status=200").as_str()); 4]);
        tokio::time::timeout(Duration::from_millis(199), router.news()).await.is_ok()
    };
    let mut random = Seeded(7);
    let (mut news, mut ticks) = (0, 0);
    for number in 0..3_000 {
        let news_now = look(200 + random.below(200) as u64).await;
        if news_now || number % 50 == 0 {
            value(&router).await;
            (news, ticks) = (news + u64::from(news_now), ticks + 1);
        }
    }
    assert!(news <= 60, "{news} of {ticks} ticks in ten minutes, which an interval of 10 s has sixty of");

    // A breach, a calm of more than an interval, and a breach that is not as high.
    for (ms, times) in [(5_000, 10), (100, 75)] {
        for number in 0..times {
            if look(ms).await || number % 50 == 0 {
                value(&router).await;
            }
        }
    }
    near(value(&router).await, 100.0);
    let mut looks = 1;
    while looks < 60 && !look(4_000).await {
        looks += 1;
    }
    assert!(looks <= 4, "{looks} looks");
    near(value(&router).await, 4_000.0);
}

#[tokio::test]
async fn the_local_platforms_lines_go_the_same_way() {
    let world = World::new();
    let entry = MEASUREMENTS.iter().find(|entry| entry.kind.description.name == "router").unwrap();
    let context = MeasureContext { app: "shop", process: "web", every: Duration::from_secs(10), intake: &world.intake };
    let router = (entry.build)(&Values::default(), context).unwrap();
    let line = "at=info method=GET path=\"/\" dyno=web.1 connect=0ms service=42ms status=200 bytes=1";
    world.intake.log_line("shop", world.intake.now(), "heroku", "router", line);
    world.intake.log_line("shop", world.intake.now(), "app", "web.1", "service=9999ms at=info status=200");
    world.intake.log_line("blog", world.intake.now(), "heroku", "router", line);
    near(value(&router).await, 42.0);
}
