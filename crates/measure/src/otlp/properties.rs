//! Whatever a body is, it is read without a panic, and what comes out is bounded by it: recorded bodies with some bytes changed,
//! and bytes of any kind.

use proptest::prelude::*;

use super::attributes::Filter;
use super::read::read;
use super::streams::{Known, Streams};
use super::{Call, Series, Signal, inflate};

fn bodies() -> Vec<Vec<u8>> {
    let folder = format!("{}/tests/data/otlp", env!("CARGO_MANIFEST_DIR"));
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let body = std::fs::read(&path).unwrap();
        if path.to_str().unwrap().contains(".gz") {
            all.push(inflate(&body).unwrap());
        }
        all.push(body);
    }
    all
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    let changes = proptest::collection::vec((any::<usize>(), any::<u8>()), 0..6);
    let changed = (proptest::sample::select(bodies()), changes).prop_map(|(mut body, changes)| {
        for (at, byte) in changes {
            let at = at % body.len();
            body[at] = byte;
        }
        body
    });
    prop_oneof![4 => changed, 1 => proptest::collection::vec(any::<u8>(), 0..200)]
}

fn good(ms: f64) -> bool {
    ms.is_finite() && ms >= 0.0
}

proptest! {
    #[test]
    fn telemetry_properties(body in body(), now_ms in 1_777_000_000_000_i64..1_796_000_000_000) {
        let filters = [Filter { process: "web".into(), ..Filter::default() }];
        let mut series = Series::default();
        let mut streams = Streams::new(filters[0].clone(), 60_000);
        streams.alive(now_ms);
        let _ = inflate(&body);
        for (signal, json) in [(Signal::Traces, false), (Signal::Traces, true), (Signal::Metrics, false), (Signal::Metrics, true)] {
            let mut kept = Vec::new();
            let Ok(told) = read(Call { signal, json, gzip: false }, &body, &mut kept, &filters) else { continue };
            let cells: usize = told.points.iter().map(|point| point.cells.len()).sum();
            let all = told.requests.len() + told.points.len() + cells;
            prop_assert!(all as u64 + told.rejected + told.left_out <= body.len() as u64);
            for request in &told.requests {
                prop_assert!(request.ms.is_none_or(good) && request.count >= 1);
                streams.request(request, 0, now_ms);
            }
            for point in &told.points {
                if let super::Seen::News(news) = series.news(point, now_ms) {
                    streams.news(point, &news, 0, now_ms);
                }
            }
        }
        match streams.known(now_ms, 120_000) {
            Known::Summary(summary, _) => {
                prop_assert!(good(summary.rate) && summary.concurrency.is_none_or(good) && summary.service_ms.is_none_or(good));
                prop_assert!(summary.percentile(95.0).is_none_or(good));
            }
            Known::Late(age) => prop_assert!(age > 120_000),
            Known::NoRequest => {}
            Known::Nothing => prop_assert!(false),
        }
    }
}
