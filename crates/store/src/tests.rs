//! The store as its callers see it, on SQLite.

use autoscalebot_core::state::Limit;
use autoscalebot_core::{Pause, State};
use jiff::Timestamp;

use crate::{ProcessKey, Store};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

#[test]
fn state_survives_a_new_opening() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.db");
    let key = ProcessKey::new("shop", "web");
    let state = State {
        last_scale: Some(at(100)),
        ours: Some(4),
        limit: Some(Limit { dynos: 10, at: at(99) }),
        ..State::default()
    };
    let store = Store::open(&file).unwrap();
    store.save_state(&key, &State::default(), at(1)).unwrap();
    store.save_state(&key, &state, at(2)).unwrap();
    drop(store);
    let store = Store::open(&file).unwrap();
    assert_eq!(store.state(&key).unwrap(), Some(state));
    assert_eq!(store.state(&ProcessKey::new("shop", "worker")).unwrap(), None);
}

#[test]
fn a_state_of_another_version_is_left_alone() {
    let store = Store::in_memory().unwrap();
    let key = ProcessKey::new("shop", "web");
    store.save_state(&key, &State { version: 999, ..State::default() }, at(1)).unwrap();
    assert_eq!(store.state(&key).unwrap(), None);
}

#[test]
fn pauses_end_by_time_or_by_hand() {
    let store = Store::in_memory().unwrap();
    let (web, worker) = (ProcessKey::new("shop", "web"), ProcessKey::new("shop", "worker"));
    let pause = Pause { until: Some(at(50)), why: Some("sale".into()) };
    store.pause(&web, &pause).unwrap();
    store.pause(&worker, &Pause { until: None, why: None }).unwrap();
    assert_eq!(store.pauses(at(49)).unwrap().len(), 2);
    assert_eq!(store.pauses(at(49)).unwrap()[0], (web.clone(), pause));
    assert_eq!(store.pauses(at(50)).unwrap(), [(worker.clone(), Pause { until: None, why: None })]);
    assert!(store.resume(&worker).unwrap());
    assert!(!store.resume(&worker).unwrap());
    assert!(store.pauses(at(50)).unwrap().is_empty());
}

#[test]
fn two_openings_of_one_file_see_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.db");
    let daemon = Store::open(&file).unwrap();
    let command = daemon.another().unwrap();
    let key = ProcessKey::new("shop", "web");
    command.pause(&key, &Pause { until: None, why: None }).unwrap();
    assert_eq!(daemon.pauses(at(0)).unwrap().len(), 1);
}
