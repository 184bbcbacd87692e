//! What both databases must do alike.

#![allow(clippy::unwrap_used, reason = "a test that cannot build its input fails")]

use autoscalebot_core::{Pause, Secret, State};
use autoscalebot_store::{
    Entry, EventFilter, Filter, Page, Place, ProcessKey, Retention, SampleQuery, Store, StoreError,
};
use common::postgres::{PASSWORD, Server};
use common::{Ticker, at, day, spec};
use jiff::SignedDuration;

mod common;

/// Runs a check on SQLite and on PostgreSQL.
fn on_both(check: impl Fn(&Store)) {
    let folder = tempfile::tempdir().unwrap();
    check(&Store::open(&folder.path().join("a.db")).unwrap());
    let server = Server::start();
    check(&Store::connect(&server.place()).unwrap());
}

fn web() -> ProcessKey {
    ProcessKey::new("shop", "web")
}

/// Two processes, a tick every 30 s.
fn fill(store: &Store, seconds: std::ops::Range<i64>) {
    let mut tickers = [Ticker::new(spec("shop", "web")), Ticker::new(spec("shop", "worker"))];
    let mut batch: Vec<Entry> = Vec::new();
    for second in seconds.step_by(30) {
        for ticker in &mut tickers {
            batch.extend(ticker.entries(at(second), (second % 3600 != 0).then(|| day(second))));
        }
        if batch.len() > 400 {
            store.write(&batch).unwrap();
            batch.clear();
        }
    }
    store.write(&batch).unwrap();
}

#[test]
fn state_pauses_and_history() {
    on_both(|store| {
        state_and_pauses(store);
        fill(store, 0..86_400);
        pages(store);
        changes_and_conditions(store);
        instants_and_steps(store);
        what_happened(store);
        percentiles(store);
        small_with_time(store);
        assert_eq!(store.integrity().unwrap(), "ok");
    });
}

fn state_and_pauses(store: &Store) {
    let state = State { last_scale: Some(at(100)), ours: Some(4), ..State::default() };
    store.save_state(&web(), &State::default(), at(1)).unwrap();
    store.write(&[Entry::State(web(), Box::new(state.clone()), at(2))]).unwrap();
    assert_eq!(store.another().unwrap().state(&web()).unwrap(), Some(state));
    let pause = Pause { until: Some(at(50)), why: Some("sale".into()) };
    store.pause(&web(), &pause).unwrap();
    assert_eq!(store.pauses(at(49)).unwrap(), [(web(), pause)]);
    assert!(store.pauses(at(50)).unwrap().is_empty());
    assert!(store.resume(&web()).unwrap() && !store.resume(&web()).unwrap());
}

fn pages(store: &Store) {
    let mut filter =
        Filter { who: (&web()).into(), page: Page { limit: 1000, ..Page::default() }, ..Filter::default() };
    let mut all = Vec::new();
    loop {
        let page = store.history(&filter).unwrap();
        let Some(last) = page.last() else { break };
        filter.page.before = Some(last.cursor.to_string().parse().unwrap());
        all.extend(page);
    }
    assert_eq!(all.len(), 2880);
    assert!(all.is_sorted_by(|a, b| a.at > b.at));
    assert!(all.iter().all(|record| record.key == web()));
    let part = Page { from: Some(at(3600)), to: Some(at(7200)), limit: 10_000, ..Page::default() };
    let records = store.history(&Filter { page: part, ..Filter::default() }).unwrap();
    assert_eq!(records.len(), 240, "both processes, the first instant and not the last");
    assert_eq!((records[239].at, records[0].at), (at(3600), at(7170)));
    let oldest = |page| store.history_onward(&Filter { page, ..Filter::default() }).unwrap();
    let first = oldest(Page { limit: 3, ..part });
    assert_eq!(first[0].at, at(3600));
    assert_eq!(oldest(Page { limit: 2, before: Some(first[1].cursor), ..part })[0], first[2]);
    let nobody = autoscalebot_store::Who { app: Some("none".into()), process: None };
    assert!(store.history(&Filter { who: nobody, ..Filter::default() }).unwrap().is_empty());
}

fn changes_and_conditions(store: &Store) {
    let page = Page { limit: 10_000, ..Page::default() };
    let changes = Filter { who: (&web()).into(), page, changes_only: true, ..Filter::default() };
    let changes = store.history(&changes).unwrap();
    assert!(changes.len() > 10 && changes.len() < 300, "{}", changes.len());
    assert!(changes.iter().all(|record| !record.marks.is_empty()));
    assert!(changes.last().unwrap().marks.names().any(|name| name == "first"));
    let unknown = Filter { conditions: vec!["source_unknown".into()], page, ..Filter::default() };
    let unknown = store.history(&unknown).unwrap();
    assert_eq!(unknown.len(), 2 * 24);
    assert!(unknown.iter().all(|record| record.line().unwrap().conditions.contains(&"source_unknown".to_owned())));
}

fn instants_and_steps(store: &Store) {
    let record = store.record_at(&web(), at(3615)).unwrap().unwrap();
    assert_eq!(record.at, at(3600));
    assert_eq!(record.line().unwrap().at, at(3600));
    assert!(store.record_at(&web(), at(-1)).unwrap().is_none());
    let with_state = store.state_at(&web(), at(40_000)).unwrap().unwrap();
    assert_eq!(with_state.at, at(39_600));
    assert!(with_state.state_before().is_some() && record.state_before().is_some());
    let latest = store.latest().unwrap();
    assert_eq!(
        latest.iter().map(|r| (&*r.key.process, r.at)).collect::<Vec<_>>(),
        [("web", at(86_370)), ("worker", at(86_370))]
    );
    let change = store.last_change(&web()).unwrap().unwrap();
    let line = change.line().unwrap();
    assert_ne!(line.dynos.before, line.dynos.after);
    let steps = store.steps(&web(), at(30_000), at(86_400), 1000).unwrap();
    assert!(steps[0].at <= at(30_000) && steps.len() > 3);
    assert!(steps.iter().all(|step| (step.min, step.max) == (1, 6) && step.dynos.is_some()));
    assert_eq!(steps.last().unwrap().dynos, line.dynos.after);
}

fn what_happened(store: &Store) {
    let scaled = EventFilter { who: (&web()).into(), topics: vec!["scaled".into()], ..EventFilter::default() };
    let events = store.events(&scaled).unwrap();
    assert!(!events.is_empty());
    let json: serde_json::Value = serde_json::from_str(&events[0].json).unwrap();
    assert_eq!((json["event"].as_str(), json["app"].as_str()), (Some("scaled"), Some("shop")));
    assert!(json["from"].is_u64() && json["text"].is_string() && json.get("since").is_none());
    let ended = EventFilter { topics: vec!["source_unknown".into()], ..EventFilter::default() };
    let ended = store.events(&ended).unwrap();
    assert!(ended.iter().any(|event| event.name == "condition_ended" && event.json.contains("\"since\"")));
}

fn query(from: i64, to: i64, buckets: usize) -> SampleQuery {
    SampleQuery { key: web(), measurement: Some("heartbeat".into()), from: at(from), to: at(to), buckets }
}

fn percentiles(store: &Store) {
    let one = |query: &SampleQuery| store.samples(query).unwrap().remove(0);
    let each = one(&query(3600, 7200, 500));
    assert_eq!((each.width, each.buckets.len(), &*each.unit), (SignedDuration::ZERO, 120, "ms"));
    assert_eq!((each.buckets[0].count, each.buckets[0].unknown), (0, 1));
    assert_eq!((each.buckets[1].count, each.buckets[1].p50), (1, day(3630)));
    let hours = one(&query(0, 86_400, 24));
    assert_eq!(hours.width, SignedDuration::from_hours(1));
    assert_eq!(hours.buckets.iter().map(|b| b.count + b.unknown).sum::<u64>(), 2880);
    assert!(store.samples(&SampleQuery { measurement: Some("none".into()), ..query(0, 9, 9) }).unwrap().is_empty());
}

/// Rolled up and cleaned, a range says what it said before.
fn small_with_time(store: &Store) {
    let before = store.samples(&query(0, 86_400, 24)).unwrap().remove(0);
    let retention = Retention { records: SignedDuration::from_hours(6), ..Retention::default() };
    let mut steps = 0;
    while store.clean(&retention, at(86_400 + 600)).unwrap() {
        steps += 1;
        assert!(steps < 1000);
    }
    let kept = store.history(&Filter { page: Page { limit: 10_000, ..Page::default() }, ..Filter::default() }).unwrap();
    let (old, new): (Vec<_>, Vec<_>) = kept.iter().partition(|record| record.at < at(86_400 + 600 - 6 * 3600));
    assert!(!old.is_empty() && old.iter().all(|record| !record.marks.is_empty()));
    assert_eq!(new.len(), 2 * (720 - 20));
    let after = store.samples(&query(0, 86_400, 24)).unwrap().remove(0);
    assert_eq!(after.width, before.width);
    assert_eq!(after.buckets.len(), before.buckets.len());
    for (after, before) in after.buckets.iter().zip(&before.buckets) {
        assert_eq!((after.at, after.count, after.unknown), (before.at, before.count, before.unknown));
        for (after, before) in [(after.p50, before.p50), (after.p95, before.p95), (after.max, before.max)] {
            assert!((after - before).abs() <= before * 0.02, "{after}, not {before}");
        }
    }
    let minutes = store.samples(&query(7200, 10_800, 500)).unwrap().remove(0);
    assert_eq!(minutes.width, SignedDuration::from_mins(1), "the samples are gone, the minutes are not");
    assert_eq!(minutes.buckets.iter().map(|b| b.count + b.unknown).sum::<u64>(), 120);
    let steps = store.steps(&web(), at(20_000), at(86_400), 1000).unwrap();
    assert!(!steps.is_empty() && steps[0].at <= at(20_000), "the quantity of then is still known");
}

#[test]
fn a_server_that_comes_back_is_used_again_and_its_password_is_never_told() {
    let server = Server::start();
    let store = Store::connect(&server.place()).unwrap();
    store.save_state(&web(), &State::default(), at(1)).unwrap();
    server.down();
    let error = store.save_state(&web(), &State::default(), at(2)).unwrap_err();
    let again = store.state(&web()).unwrap_err();
    for text in [format!("{error} {again} {error:?} {again:?}"), format!("{store:?} {:?}", store.place())] {
        assert!(!text.contains(PASSWORD), "{text}");
    }
    server.up();
    assert_eq!(store.state(&web()).unwrap(), Some(State::default()));
    let wrong = server.url().replace(PASSWORD, "planted-secret-wrong");
    let refused = Store::connect(&Place::Postgres(Secret::new(wrong))).unwrap_err();
    assert!(matches!(refused, StoreError::Postgres(_)) && !refused.to_string().contains("planted"), "{refused}");
}

/// Blocking calls from a task neither panic nor hang.
#[test]
fn postgres_is_reached_from_inside_a_runtime() {
    let server = Server::start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = Store::connect(&server.place()).unwrap();
        store.save_state(&web(), &State::default(), at(1)).unwrap();
        assert!(store.state(&web()).unwrap().is_some());
    });
    server.down();
}

/// Too large before its time, the store lets the oldest records go, those without a mark first.
#[test]
fn a_store_that_is_too_large_lets_the_oldest_go() {
    let store = Store::in_memory().unwrap();
    fill(&store, 0..40_000);
    let before = store.used_bytes().unwrap();
    let retention = Retention { max_bytes: before / 2, ..Retention::default() };
    while store.clean(&retention, at(40_000)).unwrap() {}
    assert!(store.used_bytes().unwrap() <= before / 2);
    let left = store.history(&Filter { page: Page { limit: 10_000, ..Page::default() }, ..Filter::default() }).unwrap();
    assert!(left.iter().any(|record| record.marks.is_empty()), "the newest are still whole");
    assert!(!left.last().unwrap().marks.is_empty(), "the oldest that are left are those with marks");
}

/// A file of the version before goes on with what it holds.
#[test]
fn every_older_version_is_brought_up_to_date() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.db");
    let old = rusqlite::Connection::open(&file).unwrap();
    old.execute_batch(include_str!("../src/migrations/sqlite/0001_state.sql")).unwrap();
    let state = serde_json::to_string(&State { ours: Some(7), ..State::default() }).unwrap();
    old.execute("INSERT INTO state VALUES ('shop', 'web', 1, ?1, '2026-01-01T00:00:00Z')", [state]).unwrap();
    old.execute("INSERT INTO pause VALUES ('shop', 'web', NULL, 'sale')", []).unwrap();
    old.pragma_update(None, "user_version", 1).unwrap();
    drop(old);
    let store = Store::open(&file).unwrap();
    assert_eq!(store.state(&web()).unwrap().unwrap().ours, Some(7));
    assert_eq!(store.pauses(at(0)).unwrap()[0].1.why.as_deref(), Some("sale"));
    fill(&store, 0..3_600);
    drop(store);
    let reader = rusqlite::Connection::open(&file).unwrap();
    let vacuum: i64 = reader.query_row("PRAGMA auto_vacuum", [], |row| row.get(0)).unwrap();
    assert_eq!(vacuum, 2, "room is given back");
    reader.pragma_update(None, "user_version", 99).unwrap();
    drop(reader);
    let newer = Store::open(&file).unwrap_err();
    assert!(matches!(newer, StoreError::Migration(_)), "{newer}");
}

#[test]
fn connections_are_encrypted_and_proven_where_the_url_says_so() {
    let server = Server::start();
    server.down();
    server.encrypt();
    server.up();
    let try_with = |mode: &str| {
        let url = format!("{}?sslmode={mode}", server.url());
        Store::connect(&Place::Postgres(Secret::new(url)))
    };
    for mode in ["disable", "prefer", "require"] {
        try_with(mode).unwrap().save_state(&web(), &State::default(), at(1)).unwrap();
    }
    let refused = try_with("verify-full").unwrap_err().to_string();
    assert!(refused.contains("certificate") && !refused.contains(PASSWORD), "{refused}");
}
