//! Odd bodies of every sender, one after the other, to one intake that goes on: nobody panics, each request is counted once,
//! what is not understood is counted as such, and memory ends as it was after the first part of them. Alone in its file, as it
//! looks at what the whole process has. `scripts/fuzz` sends a million to each sender; here it is a short round.

#![allow(clippy::unwrap_used, clippy::panic)] // clippy.toml allows it in test functions; the helpers here are none.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use autoscalebot_core::Reading;
use autoscalebot_core::fields::Value;
use autoscalebot_measure::Measure;

use world::{START, Seeded, TOKEN, World};

mod world;

const SHORT_ROUND: u64 = 3_000;
/// Bytes by which memory may be more at the end than after the first fifth: what an allocator does not give back.
const MORE: u64 = 8 << 20;
/// 2026-01-02T03:04:00Z.
const DRAINED: i64 = 1_767_323_040_000;
/// The most characters of an answer.
const LONGEST: usize = 300;

/// Who sends: the kind of measurement, where to, a header, and the recorded bodies.
type Sender = (&'static str, String, &'static str, &'static str, Vec<Vec<u8>>);

fn data(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/tests/data/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// The bodies of recorded requests.
fn recorded(name: &str) -> Vec<Vec<u8>> {
    let text = String::from_utf8(data(&format!("adapters/{name}.jsonl"))).unwrap();
    let body = |line: &str| match &serde_json::from_str::<serde_json::Value>(line).unwrap()["body"] {
        serde_json::Value::String(text) => text.clone().into_bytes(),
        document => document.to_string().into_bytes(),
    };
    text.lines().map(body).filter(|body| !body.is_empty()).collect()
}

fn senders() -> Vec<Sender> {
    let drains = [
        "1-utf8-mixed",
        "2-errors",
        "3-websocket-and-traps",
        "4-l10-drop",
        "5-garbage-resync",
        "6-newline-separated-truncated",
    ];
    let drains = drains.iter().map(|name| data(&format!("drain-{name}.txt"))).collect();
    let judoscale = ["judoscale", "judoscale-express", "judoscale-bullmq"].into_iter().flat_map(recorded).collect();
    let push =
        [&br#"{"value":12.5,"rate":3,"at":"2026-05-04T08:24:25Z"}"#[..], b"17", br#"{"value":1,"latency":"5s"}"#];
    let otlp = ["spans.json", "delta.json", "exponential.json", "heroku-router.json"];
    let otlp = otlp.iter().map(|name| data(&format!("otlp/{name}"))).collect();
    let json = ("content-type", "application/json");
    vec![
        ("router", format!("/drains/{TOKEN}"), json.0, "application/logplex-1", drains),
        ("judoscale", format!("/judoscale/{TOKEN}/v3/reports"), json.0, json.1, judoscale),
        ("hirefire", "/".to_owned(), "hirefire-token", TOKEN, recorded("hirefire-resource-python")),
        ("dynoscale", format!("/dynoscale/{TOKEN}"), json.0, "text/csv", recorded("dynoscale")),
        ("autoscale_agent", "/".to_owned(), "autoscale-metric-token", TOKEN, recorded("autoscale-agent")),
        ("push", format!("/samples/{TOKEN}"), json.0, json.1, push.map(<[u8]>::to_vec).to_vec()),
        ("otlp", format!("/otlp/{TOKEN}/v1/traces"), json.0, json.1, otlp),
    ]
}

/// Puts in, takes out, doubles and changes a few pieces; most often a name or a number becomes another, so that what is kept by
/// name is asked to grow.
fn mutate(body: &mut Vec<u8>, random: &mut Seeded) {
    for _ in 0..random.below(6) {
        let at = random.below(body.len() + 1);
        let to = (at + random.below(40)).min(body.len());
        match random.below(6) {
            0 => drop(body.drain(at..to)),
            1 => {
                let copy = body[at..to].to_vec();
                let place = random.below(body.len() + 1);
                body.splice(place..place, copy);
            }
            2 if at < body.len() => body[at] = random.below(256) as u8,
            _ => {
                let digits = body[at..].iter().position(u8::is_ascii_digit).map_or(body.len(), |digit| at + digit);
                let end = digits + body[digits..].iter().take_while(|byte| byte.is_ascii_digit()).count();
                // As many digits, so that what counts bytes may still fit.
                let number = random.below(usize::MAX).to_string().repeat(2);
                let digits = digits..end.min(digits + number.len());
                body[digits.clone()].copy_from_slice(&number.as_bytes()[..digits.len()]);
            }
        }
    }
}

fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

async fn good(measure: &Arc<dyn Measure>, what: &str) {
    let taken = measure.read().await;
    if let Reading::Value(value) = taken.reading {
        let detail = taken.detail;
        let all = [Some(value), detail.rate, detail.concurrency, detail.service_ms, detail.busy, detail.latency_ms];
        assert!(
            all.into_iter().flatten().all(|number| number.is_finite() && number >= 0.0),
            "{what}: {value} {detail:?}"
        );
    }
}

/// Sends so many odd bodies of one sender.
async fn round((kind, path, name, value, seeds): Sender, inputs: u64) {
    // The lines of drains were recorded at a time of their own.
    let start = if kind == "router" { DRAINED } else { START };
    let world = World::at(start);
    let of = |value: &str| world.measure(kind, "web", &[("value", Value::Text(value.into()))]);
    let mut measures = vec![world.measure(kind, "web", &[])];
    if kind == "judoscale" {
        measures.extend(["latency", "depth", "busy", "utilization"].map(of));
    }
    let first = std::env::var("AUTOSCALEBOT_FUZZ_SEED").ok().and_then(|text| text.parse().ok());
    let first = first.unwrap_or_else(|| std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64);
    println!("{kind}: {inputs} inputs from seed {first}");
    let (mut resident, mut refused, mut empty) = (0, 0, 0);
    for input in 0..inputs {
        let seed = first.wrapping_add(input);
        let mut random = Seeded(seed);
        let mut body = seeds[random.below(seeds.len())].clone();
        mutate(&mut body, &mut random);
        let before = world.intake.counts();
        let reply = world.reply(&path, &[(name, value)], &body);
        let after = world.intake.counts();
        let what = || format!("{kind}, seed {seed}: {} {after:?} {}", reply.status, String::from_utf8_lossy(&body));
        assert!(matches!(reply.status, 200 | 400) && reply.body.len() <= LONGEST, "{}", what());
        refused += u64::from(reply.status == 400);
        let told = after.lines + after.samples + after.odd + after.broken_frames + after.left_out + after.repeated;
        let told_before =
            before.lines + before.samples + before.odd + before.broken_frames + before.left_out + before.repeated;
        // Whatever was taken shows in some count, unless it says nothing.
        empty += u64::from(reply.status == 200 && told == told_before);
        let blank = body.iter().all(|byte| byte.is_ascii_whitespace());
        assert!(kind != "router" || told > told_before || blank, "{}", what());
        // A clock that goes back and forth, near the times of the recorded lines.
        if random.below(8) == 0 {
            world.now_ms.store(start + random.below(120_000) as i64, Ordering::SeqCst);
        }
        if input % 16 == 0 {
            for measure in &measures {
                good(measure, &what()).await;
            }
        }
        if input == inputs / 5 {
            resident = resident_bytes();
        }
    }
    let counts = world.intake.counts();
    // What comes again in parts is taken without them.
    let again = if matches!(kind, "hirefire" | "dynoscale") { 0 } else { counts.repeated };
    assert_eq!(counts.requests + counts.refused + counts.shed + again, inputs, "{kind}: {counts:?}");
    assert_eq!(counts.refused, refused, "{kind}");
    assert!(world.intake.dynos().len() <= 512);
    let grown = resident_bytes().saturating_sub(resident);
    println!("{kind}: {counts:?}, {empty} that say nothing, {grown} bytes more");
    assert!(grown <= MORE, "{kind}: {grown} bytes more at the end");
}

#[tokio::test]
async fn nothing_grows_with_odd_bodies_and_each_is_counted() {
    let inputs = std::env::var("AUTOSCALEBOT_FUZZ_INPUTS").ok().and_then(|text| text.parse().ok());
    for sender in senders() {
        round(sender, inputs.unwrap_or(SHORT_ROUND)).await;
    }
}
