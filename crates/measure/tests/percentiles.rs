//! The percentiles of a window beside the exact ones of the same requests, over an hour of recorded traffic.
//!
//! When requests came is recorded: `examples/traffic/azure-llm-code-2023-11-16.csv`, bursts and quiet minutes of one hour, 8,519
//! requests. How long each took is in no trace of free terms that we know, so it is drawn with a fixed seed from what web apps show: a log-normal body, and two
//! in a hundred with a long tail, in whole milliseconds as the router writes them.

#![allow(clippy::unwrap_used, clippy::panic)] // clippy.toml allows it in test functions; the helpers here are none.

use autoscalebot_core::fields::Value;
use jiff::{SignedDuration, Timestamp};

use world::{Seeded, TOKEN, World, value};

mod world;

/// Nothing worse than this, of the exact value.
const WITHIN: f64 = 0.01;
const PERCENTS: [f64; 5] = [50.0, 90.0, 95.0, 99.0, 99.9];

/// A time to serve a request, in whole milliseconds.
fn service_ms(random: &mut Seeded) -> u64 {
    // Box and Muller's way to a normal number.
    let normal = (-2.0 * (1.0 - random.unit()).ln()).sqrt() * (std::f64::consts::TAU * random.unit()).cos();
    let body = 80.0 * (0.9 * normal).exp();
    let slow = if random.unit() < 0.02 { 500.0 / (1.0 - random.unit()).powf(0.7) } else { 0.0 };
    (body + slow).min(30_000.0).round() as u64
}

/// Every request of the recorded hour: when it was answered and how long it took, in milliseconds, in order.
fn requests() -> Vec<(i64, u64)> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/traffic/azure-llm-code-2023-11-16.csv");
    let text = std::fs::read_to_string(path).unwrap();
    let rows = text.lines().filter_map(|line| {
        let (at, count) = line.split_once(',')?;
        Some((at.parse::<i64>().ok()?, count.parse::<u64>().ok()?))
    });
    let mut random = Seeded(20_231_116);
    let mut all = Vec::new();
    for (minute, count) in rows {
        for _ in 0..count {
            all.push((minute * 1000 + (random.unit() * 60_000.0) as i64, service_ms(&mut random)));
        }
    }
    all.sort_unstable();
    all
}

/// The exact percentile, by nearest rank.
fn exact(sorted: &[u64], percent: f64) -> f64 {
    sorted[((percent / 100.0 * sorted.len() as f64).ceil() as usize).max(1) - 1] as f64
}

fn line((at_ms, service_ms): &(i64, u64)) -> String {
    let at = Timestamp::from_millisecond(*at_ms).unwrap().strftime("%Y-%m-%dT%H:%M:%S%.6f+00:00");
    let text = format!(
        "<158>1 {at} host heroku router - at=info method=GET path=\"/\" host=a.example request_id=1 fwd=\"192.0.2.1\" dyno=web.1 \
         connect=1ms service={service_ms}ms status=200 bytes=9 protocol=https\n"
    );
    format!("{} {text}", text.len())
}

#[tokio::test]
async fn percentiles_over_recorded_traffic_are_within_a_hundredth_of_the_exact_ones() {
    let all = requests();
    assert!(all.len() > 8_000, "{} requests in the trace", all.len());
    for window_secs in [60, 300] {
        let world = World::at(all[0].0 / 1000 * 1000);
        let routers = PERCENTS.map(|percent| {
            let time = |secs| Value::Duration(SignedDuration::from_secs(secs));
            // There are quiet minutes in the recording.
            let set =
                [("window", time(window_secs)), ("silent_after", time(3600)), ("percentile", Value::Number(percent))];
            world.measure("router", "web", &set)
        });
        let step = window_secs * 1000 / 60;
        let (mut sent, mut compared, mut worst) = (0, 0, 0.0_f64);
        while sent < all.len() {
            world.pass(1);
            let come = all[sent..].partition_point(|(at, _)| *at <= world.now());
            let body: String = all[sent..sent + come].iter().map(line).collect();
            world.post(&format!("/drains/{TOKEN}"), &[], body.as_bytes());
            sent += come;
            if world.now() / 1000 % 7 != 0 {
                continue;
            }
            // The window begins with a whole step, so that it covers its length at least.
            let from = (world.now().div_euclid(step) - 60) * step;
            let inside = all[..sent].iter().filter(|(at, _)| *at >= from);
            let mut inside: Vec<_> = inside.map(|(_, service_ms)| *service_ms).collect();
            inside.sort_unstable();
            if inside.is_empty() {
                continue;
            }
            for (percent, router) in PERCENTS.iter().zip(&routers) {
                let (found, exact) = (value(router).await, exact(&inside, *percent));
                worst = worst.max((found - exact).abs() / exact);
                assert!(
                    (found - exact).abs() <= WITHIN * exact,
                    "p{percent}: {found}, not {exact}, of {}",
                    inside.len()
                );
                compared += 1;
            }
        }
        assert_eq!(world.intake.counts().samples, all.len() as u64);
        assert_eq!(world.intake.counts().late, 0);
        println!("{window_secs} s: {compared} readings, the worst off by {:.2} %", worst * 100.0);
        assert!(compared > 1_000, "{compared}");
    }
}
