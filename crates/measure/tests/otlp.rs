//! OpenTelemetry from a request's path, headers and body to a reading, on a clock of the test's own: bodies that real exporters
//! sent, and bodies made for one case each.

#![allow(clippy::unwrap_used, clippy::panic)] // clippy.toml allows it in test functions; the helpers here are none.

use std::io::Write;

use autoscalebot_core::Failure;
use autoscalebot_core::fields::Value;
use autoscalebot_measure::intake::Reply;
use reqwest::header::HeaderMap;
use serde_json::{Value as Json, json};

use world::{START, TOKEN, World, failure, value};

mod world;

const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json";

impl World {
    /// A recorded body.
    fn recorded(&self, name: &str, signal: &str) {
        let body = std::fs::read(format!("{}/tests/data/otlp/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap();
        let kind = if name.contains("json") { JSON } else { PROTOBUF };
        let encoding = if name.contains(".gz") { "gzip" } else { "identity" };
        let headers = [("content-type", kind), ("content-encoding", encoding)];
        let reply = self.reply(&format!("/otlp/{TOKEN}/v1/{signal}"), &headers, &body);
        let nothing: &[u8] = if kind == JSON { b"{}" } else { b"" };
        assert_eq!((reply.status, &*reply.body, reply.content_type), (200, nothing, kind), "{name}");
    }

    fn json(&self, signal: &str, body: &Json) -> Reply {
        let path = format!("/otlp/{TOKEN}/v1/{signal}");
        self.reply(&path, &[("content-type", JSON)], body.to_string().as_bytes())
    }

    /// Spans of a resource.
    fn spans(&self, resource: Json, spans: &[Json]) {
        let scope = json!([{ "spans": spans }]);
        let body =
            json!({ "resourceSpans": [{ "resource": { "attributes": attributes(&resource) }, "scopeSpans": scope }] });
        assert_eq!(&*self.json("traces", &body).body, b"{}");
    }

    /// A point of a histogram with bounds at 100 ms, 200 ms and 1 s: temporality (1: delta, 2: cumulative), times, counts.
    fn histogram(&self, resource: Json, temporality: u8, times: (i64, i64), counts: [u64; 4], more: Json) {
        let mut point = json!({
            "startTimeUnixNano": nanos(times.0), "timeUnixNano": nanos(times.1),
            "bucketCounts": counts, "explicitBounds": [0.1, 0.2, 1.0],
        });
        for (key, value) in more.as_object().unwrap() {
            point[key] = value.clone();
        }
        let histogram = json!({ "aggregationTemporality": temporality, "dataPoints": [point] });
        let metrics =
            json!([{ "metrics": [{ "name": "http.server.request.duration", "unit": "s", "histogram": histogram }] }]);
        let body = json!({ "resourceMetrics": [{ "resource": { "attributes": attributes(&resource) }, "scopeMetrics": metrics }] });
        assert_eq!(&*self.json("metrics", &body).body, b"{}");
    }
}

fn nanos(ms: i64) -> String {
    format!("{ms}000000")
}

fn attributes(of: &Json) -> Json {
    let value = |value: &Json| match value {
        Json::String(text) => json!({ "stringValue": text }),
        number => json!({ "intValue": number }),
    };
    of.as_object().unwrap().iter().map(|(key, of)| json!({ "key": key, "value": value(of) })).collect()
}

/// An HTTP server span that ended at an instant and took so long.
fn span(at_ms: i64, ms: i64, of: Json) -> Json {
    let mut all = json!({ "http.request.method": "GET", "http.response.status_code": 200 });
    for (key, value) in of.as_object().unwrap() {
        all[key] = value.clone();
    }
    json!({ "kind": 2, "startTimeUnixNano": nanos(at_ms - ms), "endTimeUnixNano": nanos(at_ms), "attributes": attributes(&all) })
}

/// A call that an app made of another: no request, but a sign of life.
fn call(at_ms: i64) -> Json {
    let mut span = span(at_ms, 5, json!({}));
    span["kind"] = 3.into();
    span
}

fn percentile(percent: f64) -> [(&'static str, Value); 1] {
    [("percentile", Value::Number(percent))]
}

fn near(found: f64, wanted: f64, tolerance: f64) {
    assert!((found - wanted).abs() <= wanted * tolerance, "{found}, not {wanted}");
}

#[tokio::test]
async fn recorded_spans_are_read_as_they_were_sent() {
    let world = World::new();
    let measures = [50.0, 95.0, 99.0].map(|percent| (percent, world.measure("otlp", "web", &percentile(percent))));
    assert_eq!(failure(&measures[0].1).await, Failure::Missing);
    // 10 ms, 20 ms, … 1 s.
    world.recorded("spans.pb.gz", "traces");
    for (percent, measure) in &measures {
        near(value(measure).await, percent * 10.0, 0.01);
    }
    let detail = measures[0].1.read().await.detail;
    assert_eq!(detail.service_ms, Some(505.0));
    let counts = world.intake.counts();
    assert_eq!((counts.requests, counts.samples, counts.odd), (1, 100, 0));
    assert_eq!(counts.left_out, 100, "what a request asks of others is none");
    world.recorded("spans.pb.gz", "traces");
    assert_eq!((world.intake.counts().samples, world.intake.counts().repeated), (100, 1), "sent again");
}

#[tokio::test]
async fn json_tells_the_same() {
    for (name, signal) in [("spans.json", "traces"), ("node-traces.json", "traces")] {
        let world = World::new();
        let measure = world.measure("otlp", "web", &percentile(99.0));
        world.recorded(name, signal);
        near(value(&measure).await, 300.0, 0.01);
        assert_eq!(measure.read().await.detail.service_ms, Some(200.0), "{name}");
        assert_eq!(world.intake.counts().samples, 3, "{name}");
    }
}

#[tokio::test]
async fn recorded_histograms_are_read_within_their_cells() {
    // When the bodies were recorded; durations as those of the spans.
    let recorded = 1_795_608_030_000;
    for (names, tolerance) in [
        // Bounds at 0.1, 0.25, 0.5, 0.75 and 1 s, even between them: exact but for the eighths of a cell.
        (&["cumulative.pb.gz-1", "cumulative.pb.gz-2"][..], 0.04),
        (&["delta.pb.gz"], 0.04),
        (&["exponential.pb.gz-1", "exponential.pb.gz-2"], 0.04),
        (&["exponential.json"], 0.04),
    ] {
        let later = if names == ["exponential.json"] { 670_000 } else { 0 };
        let world = World::at(recorded + later);
        let measures = [50.0, 95.0].map(|percent| (percent, world.measure("otlp", "web", &percentile(percent))));
        for name in names {
            world.recorded(name, "metrics");
        }
        for (percent, measure) in &measures {
            near(value(measure).await, percent * 10.0, tolerance);
        }
        let detail = measures[0].1.read().await.detail;
        near(detail.service_ms.unwrap(), 505.0, 1e-9);
        let counts = world.intake.counts();
        assert_eq!((counts.samples, counts.odd), (100, 0), "{names:?}");
    }
    for (name, slowest) in [("delta.json", 2000.0), ("node-metrics.json", 300.0)] {
        let world = World::at(recorded);
        let measure = world.measure("otlp", "web", &percentile(100.0));
        world.recorded(name, "metrics");
        near(value(&measure).await, slowest, 0.06);
    }
}

#[tokio::test]
async fn an_instrumented_app_tells_spans_and_a_histogram_of_the_same_requests() {
    for name in ["wsgi.pb", "wsgi-new.pb"] {
        let world = World::at(1_795_608_010_000);
        let measure = world.measure("otlp", "web", &percentile(50.0));
        world.recorded(&format!("{name}-1"), "traces");
        let spans = measure.read().await;
        world.recorded(&format!("{name}-2"), "metrics");
        let both = measure.read().await;
        assert_eq!(both.reading, spans.reading, "{name}: times are those of the spans");
        near(both.detail.service_ms.unwrap(), spans.detail.service_ms.unwrap(), 0.2);
        // Two requests, whether told once, twice, or by the old name and the new.
        assert!(both.detail.rate.unwrap() <= 2.0 && value(&measure).await >= 20.0, "{name}");
        assert_eq!(world.intake.counts().samples, 4, "{name}");
    }
}

#[tokio::test]
async fn each_process_hears_of_its_own_dynos_and_the_router_counts_once() {
    let world = World::new();
    let (web, api) = (world.measure("otlp", "web", &[]), world.measure("otlp", "api", &[]));
    world.recorded("heroku-router.json", "traces");
    near(value(&web).await, 50.0, 0.01);
    assert!(failure(&api).await.to_string().contains("no request of this process"), "alive by the router");
    // The app behind it tells of one of the two, and is within.
    let app = json!({ "service.name": "shop", "heroku.dyno.name": "web-6f9c8d7b54-x2x9k" });
    world.spans(app, &[span(START, 45, json!({}))]);
    near(value(&web).await, 50.0, 0.01);
    assert_eq!(web.read().await.detail.service_ms, Some(45.0), "the mean of the router's 40 and 50");
    world.spans(json!({ "service.name": "router" }), &[span(START, 700, json!({ "heroku.dyno.name": "api.2" }))]);
    near(value(&api).await, 700.0, 0.01);
    let instance =
        json!({ "service.name": "shop", "service.instance.id": "api-6f9c8d7b54-x2x9k", "heroku.app.id": "2daa2797" });
    world.spans(instance, &[span(START, 800, json!({})), span(START, 800, json!({}))]);
    near(value(&api).await, 800.0, 0.01);
    world.spans(
        json!({ "service.instance.id": "shop-1" }),
        &[span(START, 500, json!({})), span(START, 501, json!({})), span(START, 850, json!({}))],
    );
    near(value(&api).await, 850.0, 0.01);
    // What stands at the span is nearer to it than what stands at its resource.
    let resource = json!({ "service.name": "router", "heroku.dyno.name": "web.1" });
    let of_api = || span(START, 900, json!({ "heroku.dyno.name": "api.2" }));
    world.spans(resource, &[of_api(), of_api(), of_api()]);
    near(value(&api).await, 900.0, 0.01);
}

#[tokio::test]
async fn settings_say_which_service_and_attribute_count() {
    let world = World::new();
    let only = world.measure("otlp", "web", &[("service", Value::Text("shop".into()))]);
    let named = world.measure("otlp", "web", &[("process_attribute", Value::Text("deployment.process".into()))]);
    world.spans(json!({ "service.name": "other" }), &[span(START, 900, json!({})), span(START, 800, json!({}))]);
    world.spans(json!({ "service.name": "shop" }), &[span(START, 100, json!({}))]);
    world.spans(json!({ "service.name": "x", "deployment.process": "web" }), &[span(START, 300, json!({}))]);
    near(value(&only).await, 100.0, 0.01);
    near(value(&named).await, 300.0, 0.01);
}

#[tokio::test]
async fn errors_of_the_router_count_as_they_do_in_its_lines() {
    for (of, wanted) in [
        (json!({ "error.type": "H12", "http.response.status_code": 503, "heroku.dyno.name": "web.1" }), Some(30_000.0)),
        (
            json!({ "heroku.error": "H13", "http.response.status_code": 503, "heroku.dyno.name": "web.1" }),
            Some(30_000.0),
        ),
        (json!({ "error.type": "H10", "http.response.status_code": 503 }), None),
        (json!({ "http.response.status_code": 503, "heroku.app.id": "2daa2797" }), None),
        (json!({ "http.response.status_code": 500, "heroku.dyno.name": "web.1" }), Some(40.0)),
    ] {
        let world = World::new();
        let web = world.measure("otlp", "web", &[]);
        world.spans(json!({}), &[span(START, 40, of.clone())]);
        match wanted {
            Some(wanted) => near(value(&web).await, wanted, 0.01),
            None => {
                let failure = failure(&web).await.to_string();
                assert!(failure.contains("failed before they were served"), "{of} {failure}");
            }
        }
    }
    let world = World::new();
    let web = world.measure("otlp", "web", &[]);
    world.spans(json!({}), &[span(START, 500_000, json!({ "http.response.status_code": 101 }))]);
    assert!(failure(&web).await.to_string().contains("no request"), "the life of a websocket is none");
}

#[tokio::test]
async fn what_is_no_request_of_its_own_is_left_out() {
    let world = World::new();
    let web = world.measure("otlp", "web", &percentile(0.0));
    let mut outer = span(START, 100, json!({}));
    outer["spanId"] = "00000000000000a1".into();
    let mut inner = span(START, 7, json!({}));
    inner["parentSpanId"] = "00000000000000a1".into();
    let mut client = span(START, 3, json!({}));
    client["kind"] = 3.into();
    let rpc = json!({ "kind": 2, "startTimeUnixNano": nanos(START - 1), "endTimeUnixNano": nanos(START) });
    world.spans(json!({}), &[inner, outer, client, rpc]);
    near(value(&web).await, 100.0, 0.01);
    assert_eq!(world.intake.counts().left_out, 3);
}

#[tokio::test]
async fn a_sampled_span_stands_for_those_that_were_left_out() {
    let world = World::new();
    let web = world.measure("otlp", "web", &[]);
    world.pass(10);
    let spans: Vec<_> = (0..10)
        .map(|second| {
            let mut span = span(START + second * 1000, 500, json!({}));
            span["traceState"] = "ot=th:c".into();
            span
        })
        .collect();
    world.spans(json!({}), &spans);
    // Ten seconds and a half, with four a second.
    near(web.read().await.detail.rate.unwrap(), 40.0 / 10.5, 0.01);
}

#[tokio::test]
async fn silence_is_unknown_and_telemetry_without_requests_is_idle_only_after_there_were_some() {
    let world = World::new();
    let web = world.measure("otlp", "web", &[]);
    let logs = world.reply(&format!("/otlp/{TOKEN}/v1/logs"), &[("content-type", PROTOBUF)], b"\x0a\x00");
    assert_eq!((logs.status, logs.body.len(), world.intake.counts().requests), (200, 0, 1));
    assert_eq!(failure(&web).await, Failure::Missing, "logs tell nothing of requests, nor that there were none");
    let inner = || [call(world.now())];
    world.spans(json!({ "service.name": "shop" }), &inner());
    assert!(failure(&web).await.to_string().contains("no request of this process"));
    world.spans(json!({ "service.name": "shop" }), &[span(START, 100, json!({}))]);
    near(value(&web).await, 100.0, 0.01);
    world.pass(100);
    // Any metric of the process will do.
    let resource = json!({ "attributes": attributes(&json!({ "service.name": "shop" })) });
    let memory =
        json!([{ "metrics": [{ "name": "process.memory.usage", "gauge": { "dataPoints": [{ "asInt": "7" }] } }] }]);
    world.json("metrics", &json!({ "resourceMetrics": [{ "resource": resource, "scopeMetrics": memory }] }));
    assert_eq!(value(&web).await, 0.0);
    world.pass(121);
    assert_eq!(failure(&web).await, Failure::Late(121));
    world.spans(json!({ "heroku.dyno.name": "worker.1" }), &inner());
    assert_eq!(failure(&web).await, Failure::Late(121), "another process is no sign of life");
}

#[tokio::test]
async fn late_spans_land_in_their_place_and_old_ones_are_no_fresh_ones() {
    let world = World::new();
    let web = world.measure("otlp", "web", &[]);
    world.spans(json!({}), &[span(START - 25 * 60_000, 900, json!({}))]);
    assert_eq!(failure(&web).await, Failure::Late(1500));
    assert_eq!(world.intake.counts().late, 1);
    world.spans(json!({}), &[span(START - 50_000, 300, json!({})), span(START, 100, json!({}))]);
    near(value(&web).await, 300.0, 0.01);
    world.pass(20);
    near(value(&web).await, 100.0, 0.01);
}

#[tokio::test]
async fn cumulative_histograms_count_what_is_new() {
    let world = World::new();
    let web = world.measure("otlp", "web", &percentile(50.0));
    let one = || json!({ "service.name": "shop", "service.instance.id": "one" });
    let long_ago = START - 3_600_000;
    world.histogram(one(), 2, (long_ago, START), [100, 0, 0, 50], json!({}));
    assert!(failure(&web).await.to_string().contains("no request"), "of the last hour, not of now");
    world.pass(60);
    world.histogram(one(), 2, (long_ago, world.now()), [100, 60, 0, 50], json!({ "sum": 999.0 }));
    near(value(&web).await, 150.0, 0.05);
    near(web.read().await.detail.rate.unwrap(), 1.0, 0.02);
    world.pass(30);
    near(value(&web).await, 150.0, 0.05);
    near(web.read().await.detail.rate.unwrap(), 1.0, 0.02);
    // It began anew: what it holds is of after that.
    world.pass(30);
    world.histogram(one(), 2, (world.now() - 50_000, world.now()), [0, 0, 40, 0], json!({}));
    near(value(&web).await, 600.0, 0.10);
    // No request since, and that is told.
    for _ in 0..2 {
        world.pass(60);
        world.histogram(one(), 2, (world.now() - 170_000, world.now() - 1), [0, 0, 40, 0], json!({}));
    }
    world.pass(121);
    assert!(matches!(failure(&web).await, Failure::Late(_)));
}

#[tokio::test]
async fn a_histogram_that_stops_says_nothing_unless_it_has_nothing_to_say() {
    for (temporality, idle) in [(1, true), (2, false)] {
        let world = World::new();
        let web = world.measure("otlp", "web", &[]);
        let of = || json!({ "service.name": "shop" });
        world.histogram(of(), temporality, (world.now() - 60_000, world.now()), [0, 30, 0, 0], json!({}));
        for secs in [50, 60] {
            world.pass(secs);
            world.spans(of(), &[call(world.now())]);
            near(value(&web).await, 195.0, 0.05);
        }
        world.pass(20);
        world.spans(of(), &[call(world.now())]);
        // Deltas of an idle app are not sent; counts from the beginning on are, again and again.
        match idle {
            true => assert_eq!(value(&web).await, 0.0),
            false => assert_eq!(failure(&web).await, Failure::Late(130)),
        }
    }
}

#[tokio::test]
async fn rates_are_those_of_all_instances_though_they_tell_in_turns() {
    let world = World::new();
    let web = world.measure("otlp", "web", &[]);
    for round in 0..4 {
        for id in ["one", "two", "three"] {
            let of = json!({ "service.name": "shop", "service.instance.id": id });
            let at = world.now();
            world.histogram(of, 1, (at - 60_000, at), [60, 60, 0, 0], json!({}));
            if round > 1 {
                // Two a second of each.
                near(web.read().await.detail.rate.unwrap(), 6.0, 0.02);
                near(value(&web).await, 195.0, 0.05);
            }
            world.pass(20);
        }
    }
}

#[tokio::test]
async fn a_histogram_of_failures_holds_errors() {
    let world = World::new();
    let web = world.measure("otlp", "web", &[]);
    let of = json!({ "service.name": "router", "heroku.app.id": "2daa2797" });
    let failed = json!({ "attributes": attributes(&json!({ "http.response.status_code": 503, "error.type": "H14" })) });
    world.histogram(of, 1, (START - 60_000, START), [9, 0, 0, 0], failed);
    assert!(failure(&web).await.to_string().contains("all of 9 requests failed"));
}

#[tokio::test]
async fn bad_requests_are_refused_as_the_protocol_says() {
    let world = World::new();
    let _web = world.measure("otlp", "web", &[]);
    let traces = format!("/otlp/{TOKEN}/v1/traces");
    let gzip = |bytes: &[u8]| {
        let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        writer.write_all(bytes).unwrap();
        writer.finish().unwrap()
    };
    let bomb = gzip(&vec![0; 64 << 20]);
    assert!(bomb.len() < 100_000);
    let (binary, text) = (("content-type", PROTOBUF), ("content-type", "application/json; charset=utf-8"));
    let packed = ("content-encoding", "gzip");
    type Headers<'a> = &'a [(&'static str, &'a str)];
    let cases: [(&str, Headers<'_>, &[u8], u16, &str); 11] = [
        ("/otlp/token-EXAMPLE-9999/v1/traces", &[binary], b"", 403, "token"),
        ("/otlp/v1/traces", &[text], b"", 403, "token"),
        ("/otlp/v1/traces", &[text, ("authorization", "Bearer token-EXAMPLE-9999")], b"", 403, "token"),
        (&traces, &[binary], b"\xff", 400, "no such message"),
        (&traces, &[text], b"[1]", 400, "no such message"),
        (&traces, &[text], b"{\"resourceSpans\":[7]}", 400, "no such message"),
        (&traces, &[binary, packed], b"no gzip", 400, "no gzip"),
        (&traces, &[binary, packed], &bomb, 413, "too large"),
        (&traces, &[binary], &vec![0; 5 << 20], 413, "too large"),
        (&traces, &[], b"", 415, "content type"),
        (&traces, &[binary, ("content-encoding", "br")], b"", 415, "encoding"),
    ];
    for (path, headers, body, status, message) in cases {
        let reply = world.reply(path, headers, body);
        assert_eq!(reply.status, status, "{headers:?} {message}");
        if reply.content_type == JSON {
            let said: Json = serde_json::from_slice(&reply.body).unwrap();
            assert!(said["code"].is_u64() && said["message"].as_str().unwrap().contains(message), "{said}");
        } else {
            assert_eq!(reply.body[0], 0x08, "the code");
            assert!(String::from_utf8_lossy(&reply.body[4..]).contains(message));
        }
    }
    assert_eq!(world.intake.counts().refused, 11);
    assert_eq!(world.post("/otlp/v1/traces", &[text, ("authorization", &format!("Bearer {TOKEN}"))], b"{}"), 200);
    assert_eq!(world.reply(&format!("/otlp/{TOKEN}//v1/metrics"), &[binary], b"").status, 200);
    assert_eq!(world.reply(&format!("/otlp/{TOKEN}/v1/profiles"), &[binary], b"").status, 404);
}

#[tokio::test]
async fn what_makes_no_sense_is_rejected_by_number_and_costs_nothing_else() {
    let world = World::new();
    let web = world.measure("otlp", "web", &[]);
    let mut backwards = span(START, 100, json!({}));
    backwards["endTimeUnixNano"] = nanos(START - 200).into();
    let mut endless = span(START, 100, json!({}));
    endless["endTimeUnixNano"] = Json::Null;
    let spans = [backwards, endless, span(START, 100, json!({}))];
    let body = json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": spans }] }] });
    let reply = world.json("traces", &body);
    let said: Json = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!((reply.status, &said["partialSuccess"]["rejectedSpans"]), (200, &json!("2")));
    near(value(&web).await, 100.0, 0.01);
    assert_eq!(world.intake.counts().odd, 2);
    // The same in Protocol Buffers: two spans with a kind, a key and no times.
    let span = b"\x30\x02\x4a\x0a\x0a\x06http.a\x12\x00";
    let mut scope = Vec::new();
    for _ in 0..2 {
        scope.extend([0x12, span.len() as u8]);
        scope.extend(span);
    }
    let mut body = vec![0x0a, scope.len() as u8 + 2, 0x12, scope.len() as u8];
    body.extend(&scope);
    let reply = world.reply(&format!("/otlp/{TOKEN}/v1/traces"), &[("content-type", PROTOBUF)], &body);
    assert_eq!(reply.status, 200);
    assert_eq!(reply.body.len(), 0, "without a value it is no attribute");
}

#[tokio::test]
async fn in_an_overload_the_sender_is_told_to_come_again() {
    let world = World::new();
    let _web = world.measure("otlp", "web", &[]);
    let mut headers: HeaderMap = [("content-type".parse().unwrap(), PROTOBUF.parse().unwrap())].into_iter().collect();
    headers.insert("content-length", (4 << 20).to_string().parse().unwrap());
    let path = format!("/otlp/{TOKEN}/v1/traces");
    let admit = || world.intake.admit("POST", &path, &headers);
    // One sender has half of the room for bodies.
    let tickets: Vec<_> = (0..4).map(|_| admit().unwrap()).collect();
    let reply = admit().unwrap_err();
    assert_eq!((reply.status, reply.retry_after_secs), (503, Some(5)));
    assert_eq!(world.intake.counts().shed, 1);
    drop(tickets);
    assert!(admit().is_ok());
}
