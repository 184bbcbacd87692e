//! Bodies of drains: the recorded ones, those of the case list, and random ones.

use proptest::prelude::*;
use serde_json::Value;

use super::*;

/// A body of the test data, and what is said of it.
fn fixture(name: &str) -> (Vec<u8>, Value) {
    let base = format!("{}/tests/data/{name}", env!("CARGO_MANIFEST_DIR"));
    let told = std::fs::read(format!("{base}.json")).unwrap();
    (std::fs::read(format!("{base}.txt")).unwrap(), serde_json::from_slice(&told).unwrap())
}

/// Every router line of a body.
fn router_lines(body: &[u8]) -> Vec<RouterLine<'_>> {
    let messages = Frames::new(body).filter_map(Message::parse);
    let router = messages.filter(|message| message.app == b"heroku" && message.process == b"router");
    router.map(|message| RouterLine::parse(message.text)).collect()
}

#[test]
fn the_recorded_bodies_are_read_as_told() {
    for name in [
        "drain-1-utf8-mixed",
        "drain-2-errors",
        "drain-3-websocket-and-traps",
        "drain-4-l10-drop",
        "drain-5-garbage-resync",
        "drain-6-newline-separated-truncated",
    ] {
        let (body, told) = fixture(name);
        let batch = Batch::read(&body);
        assert_eq!(batch.messages, told["frames"].as_u64().unwrap(), "{name}");
        assert_eq!(batch.odd, 0, "{name}");
        assert_eq!(batch.lost, told["dropped"].as_u64().unwrap(), "{name}");
        assert_eq!(batch.torn.garbage_bytes, told["garbage_bytes"].as_u64().unwrap_or(0), "{name}");
        assert_eq!(batch.torn.truncated_bytes, told["truncated_tail_bytes"].as_u64().unwrap_or(0), "{name}");
        let lines: Vec<_> = router_lines(&body).into_iter().filter(|line| line.status != Some(101)).collect();
        let wanted = told["router_requests"].as_array().unwrap();
        assert_eq!((lines.len(), batch.hits.len()), (wanted.len(), wanted.len()), "{name}");
        for (line, wanted) in lines.iter().zip(wanted) {
            assert_eq!(line.status.map(u64::from), wanted["status"].as_u64(), "{name}");
            assert_eq!(line.service_ms, wanted["service_ms"].as_f64(), "{name}");
            assert_eq!(line.connect_ms, wanted["connect_ms"].as_f64(), "{name}");
            assert_eq!(line.code, wanted["code"].as_str().unwrap_or_default().as_bytes(), "{name}");
        }
    }
}

#[test]
fn errors_count_as_what_they_mean() {
    let (body, _) = fixture("drain-2-errors");
    let requests: Vec<_> =
        Batch::read(&body).hits.iter().map(|hit| (hit.request.service_ms, hit.request.error)).collect();
    let wanted = [(Some(30_000.0), true), (None, true), (None, true), (None, true), (None, true), (Some(4512.0), true)];
    assert_eq!(requests, wanted, "H12, H10, H27, H14, H20, H18");
    let request = |text: &str| RouterLine::parse(text.as_bytes()).request().unwrap();
    let h13 = request("at=error code=H13 dyno=web.1 connect=3055ms service=8ms status=503 bytes=0");
    assert_eq!((h13.service_ms, h13.error), (Some(30_000.0), true), "closed without an answer is no fast answer");
    let h12 = request("at=error code=H12 dyno=web.1 connect=1ms service=55000ms status=503 bytes=0");
    assert_eq!(h12.service_ms, Some(55_000.0));
    assert_eq!(request("at=error code=H12 dyno= connect= service= status=503 bytes=").service_ms, Some(30_000.0));
}

#[test]
fn runtime_metrics_are_kept_by_dyno() {
    let (body, _) = fixture("drain-1-utf8-mixed");
    let batch = Batch::read(&body);
    let all: RuntimeMetrics = batch.metrics.iter().fold(RuntimeMetrics::default(), |all, (_, one)| one.or(all));
    assert!(batch.metrics.iter().all(|(dyno, _)| *dyno == b"web.1"));
    assert_eq!(
        (all.load_1m, all.memory_mb, all.swap_mb, all.quota_mb),
        (Some(2.46), Some(180.43), Some(0.0), Some(512.0))
    );
}

/// The body of A28.
const A28: &str = "95 <172>1 2026-05-04T08:24:25+00:00 host heroku logplex - Error L10 (drain backlog): 3 lines lost.\
    68 <45>1 2026-05-04T08:24:26+00:00 host heroku web.1 - State is now up\n\
    63 <190>1 2026-05-04T08:24:27+00:00 host app web.1 - café ✓ ok\n";

#[test]
fn a28_frames_are_split_by_their_length_in_bytes() {
    let messages: Vec<_> = Frames::new(A28.as_bytes()).filter_map(Message::parse).collect();
    assert_eq!(messages.len(), 3);
    assert_eq!(messages[2].text, "café ✓ ok".as_bytes());
    assert_eq!(Batch::read(A28.as_bytes()).lost, 3);
    assert_eq!(lost(b"Error L10 (x): 18446744073709551615 messages dropped since y."), Some(MOST_LOST));

    let cut = &A28.as_bytes()[..A28.len() - 5];
    let batch = Batch::read(cut);
    assert_eq!((batch.messages, batch.torn.broken), (2, 1));

    let huge = Batch::read(b"99999999999 <172>1 2026-05-04T08:24:25+00:00 host heroku router - at=info status=200");
    assert_eq!((huge.messages, huge.torn.broken, huge.hits.len()), (0, 1, 0));
    // A count within bounds that is not there is refused the same.
    assert_eq!(Batch::read(b"9999999 <172>1 x").torn, Torn { broken: 1, garbage_bytes: 0, truncated_bytes: 16 });
}

#[test]
fn garbage_costs_no_frame_before_or_after_it() {
    let frame = "68 <45>1 2026-05-04T08:24:26+00:00 host heroku web.1 - State is now up\n";
    for garbage in ["\0\0\0", "17 <x", "99999999999 <", "12 34 ", "0 <", "8 <8 <8 <"] {
        let body = format!("{frame}{garbage}{frame}{frame}");
        let batch = Batch::read(body.as_bytes());
        assert_eq!((batch.messages, batch.torn.broken), (3, 1), "{garbage:?}");
        assert_eq!(batch.torn.garbage_bytes, garbage.len() as u64, "{garbage:?}");
    }
    // A count that is too large for its own frame and ends within another loses that frame alone.
    let body = format!("{}{frame}{frame}", frame.replacen("68", "98", 1));
    assert_eq!(Batch::read(body.as_bytes()).messages, 2);
}

/// A body of false starts takes one walk, not one for each of them.
#[test]
fn a_megabyte_of_false_starts_is_read_quickly() {
    let began = std::time::Instant::now();
    for piece in ["9 <", "1000000 <", "3000 <", "1 <1 <", "44444"] {
        let body = piece.repeat(1_000_000 / piece.len());
        let batch = Batch::read(body.as_bytes());
        assert!(batch.hits.is_empty());
    }
    assert!(began.elapsed() < std::time::Duration::from_secs(5), "{:?}", began.elapsed());
}

fn piece() -> impl Strategy<Value = Vec<u8>> {
    let frame = |text: &'static str| Just(format!("{} {text}", text.len()).into_bytes());
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..20),
        frame(
            "<158>1 2026-05-04T08:24:26+00:00 host heroku router - at=info path=\"/\\\"x\" service=5ms status=200 dyno=web.1"
        ),
        frame(
            "<45>1 2026-05-04T08:24:26.5+00:00 host heroku web.1 - source=web.1 sample#load_avg_1m=1e400 sample#memory_total=5MB\n"
        ),
        frame("<172>1 t host heroku logplex - Error L10 (x): 99999999999999999999 lost"),
        Just(b"123 <".to_vec()),
        Just(b"\n \r\n".to_vec()),
        "[0-9]{1,12} <[0-9>a-z= \"]{0,20}".prop_map(String::into_bytes),
    ]
}

proptest! {
    #[test]
    fn every_byte_is_accounted_for(pieces in proptest::collection::vec(piece(), 0..12), cut in 0_usize..400) {
        let mut body = pieces.concat();
        body.truncate(body.len().saturating_sub(cut));
        let mut frames = Frames::new(&body);
        let mut within = 0;
        for frame in frames.by_ref() {
            within += frame.len();
            let _ = Message::parse(frame);
            let _ = RouterLine::parse(frame);
        }
        let torn = frames.torn();
        let known = within as u64 + torn.garbage_bytes + torn.truncated_bytes;
        prop_assert!(known <= body.len() as u64);
        let batch = Batch::read(&body);
        prop_assert_eq!(batch.torn, torn);
        for hit in &batch.hits {
            prop_assert!(hit.request.service_ms.is_none_or(|ms| ms.is_finite() && ms >= 0.0));
        }
    }

    #[test]
    fn quotes_in_a_path_never_become_fields(path in "[ -~]{0,60}") {
        let quoted = path.replace('\\', "\\\\").replace('"', "\\\"");
        let text = format!("at=info method=GET path=\"{quoted}\" host=x dyno=web.7 connect=1ms service=17ms status=204 bytes=3");
        let line = RouterLine::parse(text.as_bytes());
        prop_assert_eq!((line.service_ms, line.connect_ms, line.status), (Some(17.0), Some(1.0), Some(204)));
        prop_assert_eq!(line.process(), b"web");
        prop_assert_eq!(line.code, b"");
    }
}
