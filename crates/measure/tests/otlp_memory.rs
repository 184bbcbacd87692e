//! What a body costs that was made to cost much: memory by a small multiple of its greatest size, and no more. Alone in its file,
//! as it looks at what the whole process has.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in test functions; the helpers here are none.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use autoscalebot_core::Secret;
use autoscalebot_core::fields::{Value, Values};
use autoscalebot_measure::{Intake, MEASUREMENTS, MeasureContext};
use reqwest::header::HeaderMap;

const TOKEN: &str = "token-EXAMPLE-1234";
/// The greatest size of a body.
const FULL: usize = 8 << 20;
/// Megabytes that one body may take, of which 8 are itself.
const MOST_MB: u64 = 32;

/// The most memory that this process has had since it was last asked, in megabytes.
fn peak_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak = line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024;
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    peak
}

fn gzip(pieces: impl Iterator<Item = Vec<u8>>) -> Vec<u8> {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    for piece in pieces {
        writer.write_all(&piece).unwrap();
    }
    writer.finish().unwrap()
}

/// As many of the same as fill a body, and what stands around them.
fn text(before: &str, piece: &str, after: &str) -> Vec<u8> {
    let number = (FULL - before.len() - after.len()) / piece.len() / 100;
    let pieces = std::iter::repeat_n(piece.repeat(100).into_bytes(), number);
    gzip([before.into()].into_iter().chain(pieces).chain([after.into()]))
}

/// The same for messages within messages, by their numbers from the outermost; what is first is within the innermost, and what
/// is last within all but that.
fn messages(numbers: &[u8], first: &[u8], piece: &[u8], last: &[u8]) -> Vec<u8> {
    let number = (FULL - 100 - first.len() - last.len()) / piece.len() / 100;
    let mut head = Vec::new();
    for (depth, field) in numbers.iter().enumerate() {
        let inner = numbers.len() - depth - 1;
        // Each head has five bytes, so that lengths are known beforehand.
        let mut length = first.len() + number * 100 * piece.len() + 5 * inner + if inner > 0 { last.len() } else { 0 };
        head.push(field << 3 | 2);
        for _ in 0..3 {
            head.push(length as u8 | 0x80);
            length >>= 7;
        }
        head.push(length as u8);
    }
    let pieces = std::iter::repeat_n(piece.repeat(100), number);
    gzip([head, first.to_vec()].into_iter().chain(pieces).chain([last.to_vec()]))
}

#[test]
fn a_body_takes_no_more_than_a_few_times_its_size() {
    let intake = Arc::new(Intake::default());
    let entry = MEASUREMENTS.iter().find(|entry| entry.kind.description.name == "otlp").unwrap();
    let mut values = Values::default();
    values.set("token", Value::Secret(Secret::new(TOKEN)));
    let every = Duration::from_secs(10);
    let _measure =
        (entry.build)(&values, MeasureContext { app: "shop", process: "web", every, intake: &intake }).unwrap();
    let span =
        b"\x12\x22\x30\x02\x39\x01\0\0\0\0\0\0\x10\x41\x02\0\0\0\0\0\0\x10\x4a\x0c\x0a\x06http.a\x12\x02\x18\x01";
    let point = b"\x0a\x13\x19\x01\0\0\0\0\0\0\x10\x32\x08\x01\0\0\0\0\0\0\0";
    let delta = b"\x10\x01";
    // What follows the points, within their metric: its name.
    let named = [b"\x0a\x1c", "http.server.request.duration".as_bytes()].concat();
    let binary = "application/x-protobuf";
    let bodies = [
        ("traces", binary, gzip(std::iter::repeat_n(vec![0; 1 << 20], 16))),
        ("traces", binary, messages(&[1, 2], b"", b"\x12\x00", b"")),
        ("traces", binary, messages(&[1, 2], b"", &span[..], b"")),
        ("traces", binary, messages(&[1], b"", b"\x0a\x00", b"")),
        ("metrics", binary, messages(&[1, 2, 2, 9], delta, &point[..], &named)),
        ("traces", "application/json", text("{\"resourceSpans\":[", "{},", "{}]}")),
        ("traces", "application/json", text("{\"x\":", "[", "")),
    ];
    for (number, (signal, kind, body)) in bodies.iter().enumerate() {
        let headers = [("content-type", *kind), ("content-encoding", "gzip")];
        let headers: HeaderMap = headers.iter().map(|(n, v)| (n.parse().unwrap(), v.parse().unwrap())).collect();
        let path = format!("/otlp/{TOKEN}/v1/{signal}");
        let ticket = intake.admit("POST", &path, &headers).unwrap();
        peak_mb();
        let before = peak_mb();
        let reply = ticket.accept(body);
        let took = peak_mb() - before;
        println!("{number}: {} bytes, {took} MB, {}", body.len(), reply.status);
        assert!(took <= MOST_MB, "body {number} took {took} MB");
    }
    let counts = intake.counts();
    println!("{counts:?}");
    assert!(counts.samples > 0 && counts.odd > 0 && counts.left_out > 1_000_000 && counts.refused > 0, "{counts:?}");
}
