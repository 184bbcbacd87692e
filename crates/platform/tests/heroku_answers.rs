//! How the Heroku platform meets each answer of the API: refusals, limits, waits, broken answers and silence, against the
//! stand-in. Names with a case number (A18 …) hold that case.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

use std::time::{Duration, Instant};

use autoscalebot_core::Secret;
use autoscalebot_fakes::heroku::{Fault, HerokuFake, Limits};
use autoscalebot_platform::heroku::Heroku;
use autoscalebot_platform::{Change, Formation, Platform, PlatformError, Scaled};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

fn now() -> Timestamp {
    "2026-05-04T12:00:00.2Z".parse().unwrap()
}

fn secs(secs: i64) -> Timestamp {
    now() + SignedDuration::from_secs(secs)
}

fn platform(fake: &HerokuFake) -> Heroku {
    Heroku::new("heroku", &Secret::new(HerokuFake::KEY), fake.url().parse().unwrap()).unwrap()
}

fn shop() -> (HerokuFake, Heroku) {
    let fake = HerokuFake::with_shop().unwrap();
    let heroku = platform(&fake);
    (fake, heroku)
}

fn formation(quantities: &[(&str, u32)]) -> Formation {
    Formation {
        quantities: quantities.iter().map(|(name, quantity)| ((*name).to_owned(), *quantity)).collect(),
        ..Formation::default()
    }
}

fn changes(changes: &[(&str, u32)]) -> Vec<Change> {
    changes.iter().map(|(name, quantity)| Change { process: (*name).to_owned(), quantity: *quantity }).collect()
}

async fn scale(
    heroku: &Heroku,
    wanted: &[(&str, u32)],
    before: &[(&str, u32)],
    now: Timestamp,
) -> Vec<Result<Scaled, PlatformError>> {
    heroku.scale("shop", &changes(wanted), &formation(before), now).await
}

fn set(quantity: u32) -> Result<Scaled, PlatformError> {
    Ok(Scaled { quantity, limit: None })
}

fn cut(quantity: u32) -> Result<Scaled, PlatformError> {
    Ok(Scaled { quantity, limit: Some(quantity) })
}

/// What is thrown at a read and at a write.
fn bad_answers() -> Vec<(Fault, &'static str)> {
    vec![
        (Fault::error(500, "internal"), "500 internal"),
        (Fault::error(503, "unavailable"), "503 unavailable"),
        (Fault::error(503, "maintenance"), "503 maintenance"),
        (Fault::error(409, "conflict"), "409 conflict"),
        (Fault::body(503, ""), "503 with an empty body"),
        (Fault::body(503, "\"\""), "503 with an empty body"),
        (Fault::body(503, "<html><title>Maintenance</title>"), "503 with an HTML page"),
        (Fault::body(502, "Bad gateway"), "502 with a body that is not JSON"),
        (Fault::body(200, "<html><title>Maintenance</title>"), "200 with an HTML page"),
        (Fault::body(200, r#"{"quantity":4,"ty"#), "200 with a body that is not whole JSON"),
        (Fault::body(200, ""), "200 with an empty body"),
        (Fault::body(204, ""), "204 with an empty body"),
        (Fault::body(200, "{}"), "200 with JSON that is not what was asked for"),
        (Fault::body(200, r#"[{"type":"web","quantity":-3}]"#), "200 with JSON"),
        (Fault::body(304, ""), "304"),
        (Fault::body(302, "").header("Location", "https://elsewhere.example/x?y"), "a redirect to elsewhere.example"),
        (Fault::body(422, "<html>"), "422 with an HTML page"),
        (Fault::Close, "broke off"),
        (Fault::Cut, "the answer broke off"),
        (Fault::Flood { bytes: 5 * 1024 * 1024 }, "a body of more than 4 MiB"),
    ]
}

#[tokio::test]
async fn a21_a_read_that_makes_no_sense_is_unknown_and_the_next_one_works() {
    let (fake, heroku) = shop();
    for (fault, said) in bad_answers() {
        fake.fault("GET", "/formation", fault.clone());
        match heroku.formation("shop", now()).await {
            Err(PlatformError::Unavailable(text)) => assert!(text.contains(said), "{fault:?}: {text}"),
            other => panic!("{fault:?}: {other:?}"),
        }
        assert_eq!(fake.reads(), 1, "{fault:?}: nothing is repeated within a tick");
        let next = heroku.formation("shop", now()).await;
        assert_eq!(next, Ok(formation(&[("web", 1), ("worker", 1)])), "{fault:?}: the next tick");
        // A new platform knows no tag, so that 304 makes no sense again.
        fake.clear_requests();
        fake.set_quantity("shop", "web", 2);
        let other = heroku.formation("shop", now()).await.unwrap();
        assert_eq!(other.quantities["web"], 2);
        fake.set_quantity("shop", "web", 1);
        fake.clear_requests();
        let before = formation(&[("web", 1), ("worker", 1)]);
        // Writing forgets the tag.
        let _ = heroku.scale("shop", &changes(&[("web", 1)]), &before, now()).await;
        fake.clear_requests();
    }
}

#[tokio::test]
async fn a21_a_write_that_is_answered_with_nonsense_is_not_taken_for_set() {
    let (fake, heroku) = shop();
    for (fault, said) in bad_answers() {
        fake.fault("PATCH", "/formation", fault.clone());
        let done = scale(&heroku, &[("web", 3), ("worker", 2)], &[("web", 1), ("worker", 1)], now()).await;
        assert_eq!(done.len(), 2);
        for outcome in done {
            match outcome {
                Err(PlatformError::Unavailable(text)) => assert!(text.contains(said), "{fault:?}: {text}"),
                other => panic!("{fault:?}: {other:?}"),
            }
        }
        assert_eq!(fake.writes(), 1, "{fault:?}: nothing is repeated within a tick");
        fake.clear_requests();
    }
    let done = scale(&heroku, &[("web", 3)], &[("web", 1), ("worker", 1)], now()).await;
    assert_eq!(done, [set(3)], "the next tick works");
}

#[tokio::test]
async fn a_write_whose_answer_is_lost_is_seen_at_the_next_read() {
    let (fake, heroku) = shop();
    let before = heroku.formation("shop", now()).await.unwrap();
    fake.fault_after("PATCH", "/formation", Fault::Close);
    let done = heroku.scale("shop", &changes(&[("web", 3)]), &before, now()).await;
    assert!(matches!(done[..], [Err(PlatformError::Unavailable(_))]), "{done:?}");
    assert_eq!(heroku.formation("shop", now()).await.unwrap().quantities["web"], 3);
}

#[tokio::test]
async fn the_answer_to_a_write_is_looked_up_by_type() {
    let (fake, heroku) = shop();
    let swapped = json!([{"type": "worker", "quantity": 2}, {"type": "web", "quantity": 3}]);
    fake.fault("PATCH", "/formation", Fault::json(200, &swapped));
    let done = scale(&heroku, &[("web", 3), ("worker", 2)], &[("web", 1), ("worker", 1)], now()).await;
    assert_eq!(done, [set(3), set(2)]);
    for other in [json!([{"type": "worker", "quantity": 3}]), json!([{"type": "web", "quantity": 1}]), json!([])] {
        fake.fault("PATCH", "/formation", Fault::json(202, &other));
        let done = scale(&heroku, &[("web", 3)], &[("web", 1)], now()).await;
        assert!(matches!(&done[..], [Err(PlatformError::Unavailable(_))]), "{other}: {done:?}");
    }
}

#[tokio::test]
async fn a22_silence_and_trickles_end_within_the_budget() {
    let fake = HerokuFake::with_shop().unwrap();
    let heroku = platform(&fake).with_call_budget(Duration::from_millis(150));
    for fault in [Fault::Silence, Fault::Trickle { every: Duration::from_millis(5) }] {
        fake.fault_always("GET", "/formation", fault.clone());
        fake.fault_always("PATCH", "/formation", fault);
        let started = Instant::now();
        assert_eq!(heroku.formation("shop", now()).await, Err(PlatformError::Timeout(1)));
        let done = scale(&heroku, &[("web", 3)], &[("web", 1)], now()).await;
        assert_eq!(done, [Err(PlatformError::Timeout(1))]);
        assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
        fake.clear_faults();
        assert!(heroku.formation("shop", now()).await.is_ok(), "the next tick works");
    }
}

#[tokio::test]
async fn a22_the_budget_is_at_most_30_s_whatever_is_asked() {
    let (_fake, heroku) = shop();
    let debug = format!("{:?}", heroku.with_call_budget(Duration::from_secs(600)));
    assert!(debug.contains("call_budget: 15s"), "{debug}");
}

#[tokio::test]
async fn a_port_where_nobody_listens_is_unavailable() {
    let fake = HerokuFake::with_shop().unwrap();
    let heroku = platform(&fake);
    drop(fake);
    match heroku.formation("shop", now()).await {
        Err(PlatformError::Unavailable(text)) => assert!(text.contains("no connection"), "{text}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a18_a_limit_with_a_number_is_retried_once_at_the_limit() {
    let (fake, heroku) = shop();
    fake.set_quantity("shop", "web", 4);
    fake.set_limits("shop", Limits { app: Some(10), ..Limits::default() });
    let done = scale(&heroku, &[("web", 14)], &[("web", 4), ("worker", 1)], now()).await;
    assert_eq!(done, [cut(9)], "the worker uses one of the ten");
    assert_eq!(fake.quantity("shop", "web"), Some(9));
    assert_eq!(fake.writes(), 2);
    fake.clear_requests();
    // At the limit already: the core is told the room, and no second call is made.
    let done = scale(&heroku, &[("web", 14)], &[("web", 9), ("worker", 1)], now()).await;
    assert!(matches!(&done[..], [Err(PlatformError::OverLimit { limit: Some(9), .. })]), "{done:?}");
    assert_eq!(fake.writes(), 1);
}

#[tokio::test]
async fn a18_as_the_case_has_it() {
    let (fake, heroku) = shop();
    fake.remove_process("shop", "worker");
    fake.set_quantity("shop", "web", 4);
    let limit = json!({"id": "cannot_run_above_limit", "limit": 10, "message": "over the limit"});
    fake.fault("PATCH", "/formation", Fault::json(422, &limit));
    assert_eq!(scale(&heroku, &[("web", 14)], &[("web", 4)], now()).await, [cut(10)]);
    assert_eq!(fake.requests()[1].body, r#"{"updates":[{"quantity":10,"type":"web"}]}"#);
}

#[tokio::test]
async fn a18_in_a_batch_the_raising_ones_are_cut_in_order_and_the_lowering_ones_go_out() {
    let (fake, heroku) = shop();
    fake.add_app("big", &[("web", 2, "Standard-1X"), ("worker", 5, "Standard-1X"), ("clock", 1, "Standard-1X")]);
    fake.set_limits("big", Limits { app: Some(8), ..Limits::default() });
    let before = formation(&[("web", 2), ("worker", 5), ("clock", 1)]);
    let wanted = changes(&[("web", 6), ("worker", 3), ("clock", 4)]);
    let done = heroku.scale("big", &wanted, &before, now()).await;
    assert_eq!(done[0], cut(4));
    assert_eq!(done[1], set(3));
    assert!(matches!(done[2], Err(PlatformError::OverLimit { limit: Some(1), .. })), "{done:?}");
    assert_eq!(fake.writes(), 2);
    assert_eq!(fake.quantity("big", "worker"), Some(3));
}

#[tokio::test]
async fn a18_the_limit_of_a_process_is_not_shared() {
    let (fake, heroku) = shop();
    fake.set_limits("shop", Limits { process: Some(5), ..Limits::default() });
    let done = scale(&heroku, &[("web", 9), ("worker", 4)], &[("web", 1), ("worker", 1)], now()).await;
    assert_eq!(done, [cut(5), set(4)]);
}

#[tokio::test]
async fn a18_a_limit_without_a_number_holds_and_is_not_asked_for_at_each_tick() {
    let (fake, heroku) = shop();
    fake.set_quantity("shop", "web", 4);
    fake.set_limits("shop", Limits { app: Some(6), named: false, ..Limits::default() });
    let before = [("web", 4), ("worker", 1)];
    let first = scale(&heroku, &[("web", 14)], &before, now()).await;
    assert!(matches!(&first[..], [Err(PlatformError::OverLimit { limit: None, .. })]), "{first:?}");
    assert_eq!(fake.writes(), 1);
    for tick in 1..3 {
        assert_eq!(scale(&heroku, &[("web", 14)], &before, secs(tick * 10)).await, first, "the same, without a call");
    }
    assert_eq!(fake.writes(), 1);
    // Fewer is a new question, lowering too, and other processes are not concerned.
    assert_eq!(scale(&heroku, &[("web", 5)], &before, secs(29)).await, [set(5)]);
    assert_eq!(scale(&heroku, &[("web", 3), ("worker", 2)], &before, secs(29)).await, [set(3), set(2)]);
    // After the pause it is asked again.
    fake.clear_requests();
    let again = scale(&heroku, &[("web", 14)], &[("web", 3), ("worker", 2)], secs(60)).await;
    assert!(matches!(&again[..], [Err(PlatformError::OverLimit { limit: None, .. })]), "{again:?}");
    assert_eq!(fake.writes(), 1);
}

#[tokio::test]
async fn a18_without_a_number_the_rest_of_the_batch_goes_out_one_by_one() {
    let (fake, heroku) = shop();
    fake.set_quantity("shop", "worker", 5);
    fake.set_limits("shop", Limits { app: Some(6), named: false, ..Limits::default() });
    let done = scale(&heroku, &[("web", 9), ("worker", 2)], &[("web", 1), ("worker", 5)], now()).await;
    assert!(matches!(done[0], Err(PlatformError::OverLimit { limit: None, .. })), "{done:?}");
    assert_eq!(done[1], set(2));
    assert_eq!(fake.writes(), 3);
}

#[tokio::test]
async fn a18_a_limit_that_makes_no_sense_is_not_followed_in_circles() {
    let (fake, heroku) = shop();
    for (limit, hour) in [json!(1000), json!(-1), json!("many"), json!(4.5), json!(null)].into_iter().zip(1..) {
        let body = json!({"id": "cannot_update_above_limit", "limit": limit});
        fake.fault_always("PATCH", "/formation", Fault::json(422, &body));
        let done = scale(&heroku, &[("web", 9)], &[("web", 1)], secs(hour * 3600)).await;
        assert!(matches!(&done[..], [Err(PlatformError::OverLimit { limit: None, .. })]), "{limit}: {done:?}");
        fake.clear_faults();
    }
    assert_eq!(fake.writes(), 5);
    // The same limit again and again: one retry, then the lowering ones alone.
    let (fake, heroku) = shop();
    let body = json!({"id": "cannot_update_above_limit", "limit": 5});
    fake.fault_always("PATCH", "/formation", Fault::json(422, &body));
    let done = scale(&heroku, &[("web", 9), ("worker", 0)], &[("web", 1), ("worker", 1)], now()).await;
    assert!(done.iter().all(|outcome| matches!(outcome, Err(PlatformError::OverLimit { .. }))), "{done:?}");
    assert_eq!(fake.writes(), 3);
}

#[tokio::test]
async fn a422_that_is_no_limit_is_misconfigured_with_its_id() {
    let (fake, heroku) = shop();
    fake.fault_always("PATCH", "/formation", Fault::error(422, "verification_needed"));
    let done = scale(&heroku, &[("web", 9)], &[("web", 1)], now()).await;
    let [Err(PlatformError::Misconfigured(text))] = &done[..] else { panic!("{done:?}") };
    assert!(text.contains("422 verification_needed: made up"), "{text}");
}

#[tokio::test]
async fn one_unknown_process_type_does_not_hold_back_the_batch() {
    let (fake, heroku) = shop();
    let before = [("web", 1), ("worker", 1), ("gone", 1)];
    let done = scale(&heroku, &[("gone", 2), ("web", 2), ("worker", 0)], &before, now()).await;
    let Err(PlatformError::Misconfigured(text)) = &done[0] else { panic!("{done:?}") };
    assert!(text.contains("no process type gone"), "{text}");
    assert_eq!(done[1..], [set(2), set(0)]);
    // The next tick leaves it out by itself for a while.
    fake.clear_requests();
    let next = scale(&heroku, &[("gone", 2), ("web", 3)], &before, secs(10)).await;
    assert_eq!(next[0], done[0]);
    assert_eq!(next[1], set(3));
    assert_eq!(fake.writes(), 1);
}

#[tokio::test]
async fn a31_nothing_is_written_when_nothing_is_asked() {
    let (fake, heroku) = shop();
    for tick in 0..100 {
        heroku.formation("shop", secs(tick * 10)).await.unwrap();
    }
    heroku.probe("shop", secs(1000)).await.unwrap();
    assert_eq!((fake.writes(), fake.reads()), (0, 102), "A23: 100 ticks, one read each");
}

#[tokio::test]
async fn the_newest_release_is_asked_for_alone() {
    let fake = HerokuFake::with_shop().unwrap();
    fake.add_release("shop", "succeeded");
    fake.add_release("shop", "pending");
    let heroku = Heroku::new("heroku", &Secret::new(HerokuFake::KEY), fake.url().parse().unwrap()).unwrap();
    let released = heroku.released_at("shop", Timestamp::now()).await.unwrap();
    assert!(released.is_some());
    assert!(matches!(heroku.released_at("shopp", Timestamp::now()).await, Err(PlatformError::Misconfigured(_))));
    fake.fault("GET", "/apps/shop/releases", Fault::body(200, "[{\"created_at\":"));
    assert!(matches!(heroku.released_at("shop", Timestamp::now()).await, Err(PlatformError::Unavailable(_))));
}
