//! The store's thread: what comes is written within a second, and a store that cannot be written is seen, holds nothing up,
//! and is used again when it can.

#![allow(clippy::unwrap_used, reason = "a test that cannot build its input fails")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use autoscalebot_core::{BoundTable, BoundTables, CallOutcome, Observation, Record, Spec, State, Zero, decide, events};
use autoscalebot_engine::Memory;
use autoscalebot_store::{Filter, Page, Place, ProcessKey, Store};
use jiff::Timestamp;
use jiff::tz::TimeZone;

fn key() -> ProcessKey {
    ProcessKey::new("shop", "web")
}

fn tick(second: i64) -> (Arc<Record>, Vec<autoscalebot_core::Event>) {
    let spec = Spec {
        app: "shop".into(),
        process: "web".into(),
        bounds: BoundTables { min: BoundTable::Fixed(1), max: BoundTable::Fixed(6), zone: TimeZone::UTC },
        measurements: Vec::new(),
        gates: Vec::new(),
        zero: Zero::default(),
        rapid: None,
    };
    let at = Timestamp::from_second(1_800_000_000 + second).unwrap();
    let seen = Observation { at, dynos: Ok(3), ..Observation::default() };
    let state = State::default();
    let record = Arc::new(decide(&spec, &state, &seen).conclude(&spec, &state, &CallOutcome::None));
    let happened = events(&state, &record);
    (record, happened)
}

fn send(memory: &Memory, second: i64) {
    let (record, happened) = tick(second);
    memory.tick(&record, &happened, None, None);
}

fn stored(file: &Path) -> usize {
    let page = Page { limit: 10_000, ..Page::default() };
    Store::open(file).unwrap().history(&Filter { page, ..Filter::default() }).unwrap().len()
}

#[track_caller]
fn wait_for(what: &str, mut so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !so() {
        assert!(began.elapsed() < Duration::from_secs(20), "waited too long: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[tokio::test]
async fn what_comes_is_written_within_a_second_and_at_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.db");
    let memory = Memory::start(Store::open(&file).unwrap());
    send(&memory, 1);
    let began = Instant::now();
    wait_for("the record", || stored(&file) == 1);
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    let state = State { ours: Some(4), ..State::default() };
    assert!(memory.before_call(vec![(key(), state)], Timestamp::now()).await);
    let kept = Store::open(&file).unwrap().state(&key()).unwrap().unwrap();
    assert_eq!(kept.ours, Some(4), "a call is made once the state that it leads to is written");
    (2..1000).for_each(|second| send(&memory, second));
    drop(memory);
    assert_eq!(stored(&file), 999);
}

#[test]
fn a_full_disk_is_seen_and_holds_nothing_up_and_is_used_again() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.db");
    let store = Store::open(&file).unwrap();
    let memory = Memory::start(store.clone());
    store.limit_bytes(Some(200_000)).unwrap();
    let health = memory.health();
    let mut second = 0;
    wait_for("a full disk", || {
        (0..100).for_each(|n| send(&memory, second + n));
        second += 100;
        health.borrow().error.is_some()
    });
    let seen = health.borrow().clone();
    assert!(seen.full && seen.since.is_some(), "{seen:?}");
    assert!(seen.error.unwrap().contains("full"));
    let began = Instant::now();
    (0..5_000).for_each(|n| send(&memory, second + n));
    second += 5_000;
    assert!(began.elapsed() < Duration::from_secs(2), "a tick never waits: {:?}", began.elapsed());
    store.limit_bytes(None).unwrap();
    wait_for("room again", || health.borrow().error.is_none());
    let lost = health.borrow().lost;
    drop(memory);
    let stored = {
        let mut count = 0;
        let mut filter = Filter { page: Page { limit: 10_000, ..Page::default() }, ..Filter::default() };
        while let Some(last) = {
            let page = store.history(&filter).unwrap();
            count += page.len() as i64;
            page.last().map(|record| record.cursor)
        } {
            filter.page.before = Some(last);
        }
        count
    };
    assert_eq!(stored, second - i64::try_from(lost).unwrap(), "what was held is written, and what was lost is counted");
    assert_eq!(store.integrity().unwrap(), "ok");
}

#[test]
fn a_store_that_does_not_open_is_used_once_it_does() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("later/a.db");
    let memory = Memory::start(Store::later(&Place::File(file.clone())));
    let health = memory.health();
    send(&memory, 1);
    wait_for("the failure", || health.borrow().error.is_some());
    assert!(!health.borrow().full);
    std::fs::create_dir(folder.path().join("later")).unwrap();
    wait_for("the store", || health.borrow().error.is_none());
    drop(memory);
    assert_eq!(stored(&file), 1);
}

#[test]
fn a_broken_file_is_seen_and_a_whole_one_in_its_place_is_used() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.db");
    std::fs::write(&file, "no database, but long enough to be taken for one at first sight ".repeat(100)).unwrap();
    let memory = Memory::start(Store::later(&Place::File(file.clone())));
    let health = memory.health();
    send(&memory, 1);
    wait_for("the failure", || health.borrow().error.is_some());
    std::fs::rename(&file, folder.path().join("broken")).unwrap();
    wait_for("the new file", || health.borrow().error.is_none());
    drop(memory);
    assert_eq!(stored(&file), 1);
}

#[tokio::test]
async fn a_store_that_hangs_is_waited_for_once_and_is_well_again_when_it_answers() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.db");
    let memory = Memory::start(Store::open(&file).unwrap());
    let health = memory.health();
    // Another program holds the file.
    let other = rusqlite::Connection::open(&file).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let state = |ours| vec![(key(), State { ours: Some(ours), ..State::default() })];
    assert!(!memory.before_call(state(4), Timestamp::now()).await);
    let seen = health.borrow().clone();
    assert!(seen.error.unwrap().contains("did not write within 500 ms"));
    for ours in 5..1000 {
        // None of these waits: half a second each would be minutes.
        assert!(!memory.before_call(state(ours), Timestamp::now()).await);
    }
    other.execute_batch("COMMIT").unwrap();
    wait_for("the store", || health.borrow().error.is_none());
    assert!(memory.before_call(state(1000), Timestamp::now()).await);
    assert_eq!(Store::open(&file).unwrap().state(&key()).unwrap().unwrap().ours, Some(1000));
}
