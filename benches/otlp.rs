//! OpenTelemetry, from the body of a request to the windows: batches of 512 server spans as SDKs send them, in Protocol Buffers
//! and JSON, plain and compressed. Run with `cargo bench -p autoscalebot-measure --bench otlp`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a benchmark that cannot build its input fails")]

use std::cell::Cell;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use autoscalebot_core::Secret;
use autoscalebot_core::fields::{Value, Values};
use autoscalebot_measure::{Intake, MEASUREMENTS, Measure, MeasureContext};
use divan::counter::ItemsCount;
use reqwest::header::HeaderMap;

fn main() {
    divan::main();
}

/// Spans of a batch, unless an SDK is told otherwise.
const SPANS: usize = 512;
/// Batches that differ, more than are remembered as sent before.
const BATCHES: usize = 80;
const TOKEN: &str = "token-EXAMPLE-1234";
const ATTRIBUTES: [(&str, &str); 9] = [
    ("http.request.method", "GET"),
    ("http.route", "/articles/{id}"),
    ("url.path", "/articles/1234"),
    ("url.scheme", "https"),
    ("server.address", "myapp.example.com"),
    ("client.address", "203.0.113.7"),
    ("user_agent.original", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
    ("network.protocol.version", "1.1"),
    ("heroku.dyno.name", "web-6f9c8d7b54-x2x9k"),
];

fn varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn message(out: &mut Vec<u8>, number: u8, inner: &[u8]) {
    out.push(number << 3 | 2);
    varint(out, inner.len() as u64);
    out.extend_from_slice(inner);
}

/// When a span ended, and how long it took, in nanoseconds.
fn times(now_ms: i64, batch: usize, span: usize) -> (u64, u64) {
    let end = now_ms as u64 * 1_000_000 - (batch * SPANS + span) as u64 * 1000;
    (end, (span as u64 * 7 % 900 + 1) * 1_000_000)
}

fn protobuf(now_ms: i64, batch: usize) -> Vec<u8> {
    let mut spans = Vec::new();
    for number in 0..SPANS {
        let (end, took) = times(now_ms, batch, number);
        let mut span = Vec::new();
        message(&mut span, 1, &(number as u128).to_le_bytes());
        message(&mut span, 2, &(number as u64 + 1).to_le_bytes());
        message(&mut span, 5, b"GET /articles/{id}");
        span.extend([0x30, 2, 0x39]);
        span.extend((end - took).to_le_bytes());
        span.push(0x41);
        span.extend(end.to_le_bytes());
        for (key, value) in ATTRIBUTES {
            let (mut any, mut attribute) = (Vec::new(), Vec::new());
            message(&mut any, 1, value.as_bytes());
            message(&mut attribute, 1, key.as_bytes());
            message(&mut attribute, 2, &any);
            message(&mut span, 9, &attribute);
        }
        message(&mut span, 9, b"\x0a\x19http.response.status_code\x12\x03\x18\xc8\x01");
        message(&mut spans, 2, &span);
    }
    let (mut resource, mut body) = (Vec::new(), Vec::new());
    message(&mut resource, 2, &spans);
    message(&mut body, 1, &resource);
    body
}

fn json(now_ms: i64, batch: usize) -> Vec<u8> {
    let attribute = |(key, value)| format!(r#"{{"key":"{key}","value":{{"stringValue":"{value}"}}}}"#);
    let attributes = ATTRIBUTES.map(attribute).join(",");
    let status = r#"{"key":"http.response.status_code","value":{"intValue":"200"}}"#;
    let span = |number: usize| {
        let (end, took) = times(now_ms, batch, number);
        format!(
            r#"{{"traceId":"{number:032x}","spanId":"{:016x}","name":"GET /articles/{{id}}","kind":2,"startTimeUnixNano":"{}","endTimeUnixNano":"{end}","attributes":[{attributes},{status}]}}"#,
            number + 1,
            end - took,
        )
    };
    let spans: Vec<_> = (0..SPANS).map(span).collect();
    format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{}]}}]}}]}}"#, spans.join(",")).into_bytes()
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    writer.write_all(body).unwrap();
    writer.finish().unwrap()
}

fn listener(intake: &Arc<Intake>) -> Arc<dyn Measure> {
    let entry = MEASUREMENTS.iter().find(|entry| entry.kind.description.name == "otlp").unwrap();
    let mut values = Values::default();
    values.set("token", Value::Secret(Secret::new(TOKEN)));
    let every = Duration::from_secs(10);
    (entry.build)(&values, MeasureContext { app: "shop", process: "web", every, intake }).unwrap()
}

#[divan::bench(args = [("protobuf", "plain"), ("protobuf", "gzip"), ("json", "plain"), ("json", "gzip")])]
fn server_spans(bencher: divan::Bencher<'_, '_>, (kind, encoding): (&str, &str)) {
    let intake = Arc::new(Intake::default());
    let _listening = listener(&intake);
    let now_ms = intake.now().as_millisecond();
    let written = |batch| if kind == "json" { json(now_ms, batch) } else { protobuf(now_ms, batch) };
    let packed = |body: Vec<u8>| if encoding == "gzip" { gzip(&body) } else { body };
    let bodies: Vec<_> = (0..BATCHES).map(|batch| packed(written(batch))).collect();
    let kind = if kind == "json" { "application/json" } else { "application/x-protobuf" };
    let encoding = if encoding == "gzip" { "gzip" } else { "identity" };
    let headers = [("content-type", kind), ("content-encoding", encoding)];
    let headers: HeaderMap = headers.iter().map(|(n, v)| (n.parse().unwrap(), v.parse().unwrap())).collect();
    let path = format!("/otlp/{TOKEN}/v1/traces");
    let next = Cell::new(0);
    bencher.counter(ItemsCount::new(SPANS)).bench_local(|| {
        let batch = next.replace((next.get() + 1) % BATCHES);
        let reply = intake.admit("POST", &path, &headers).unwrap().accept(&bodies[batch]);
        assert!(reply.status == 200);
    });
    let counts = intake.counts();
    assert_eq!((counts.repeated, counts.odd, counts.left_out), (0, 0, 0));
    assert_eq!(counts.samples, counts.requests * SPANS as u64);
}
