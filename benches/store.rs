//! A store of 30 days: what questions to it cost, and how large it is. With `AUTOSCALEBOT_BENCH_PROCESSES=100` as many
//! processes as `docs/benchmarks.md` tells of; fewer by default, as writing a month takes its time.

#![allow(clippy::unwrap_used, reason = "a benchmark that cannot build its input fails")]

use std::sync::OnceLock;

use autoscalebot_store::{EventFilter, Filter, Page, ProcessKey, SampleQuery, Store};
use common::at;
use common::month::{DAY, DAYS, fill};
use tempfile::TempDir;

#[path = "../crates/store/tests/common/mod.rs"]
mod common;

fn main() {
    month();
    divan::main();
}

/// The store, made once.
fn month() -> &'static Store {
    static MONTH: OnceLock<(TempDir, Store)> = OnceLock::new();
    &MONTH
        .get_or_init(|| {
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("month.db");
            let store = Store::open(&file).unwrap();
            let processes =
                std::env::var("AUTOSCALEBOT_BENCH_PROCESSES").ok().and_then(|n| n.parse().ok()).unwrap_or(5);
            let began = std::time::Instant::now();
            fill(&store, processes, at(0));
            let mb = std::fs::metadata(&file).unwrap().len() as f64 / 1e6;
            let used = store.used_bytes().unwrap() as f64 / 1e6;
            println!(
                "{DAYS} days of {processes} processes: {mb:.0} MB on disk, {used:.0} MB used, made in {:?}",
                began.elapsed()
            );
            (folder, store)
        })
        .1
}

fn samples(bencher: divan::Bencher<'_, '_>, seconds: i64) {
    let store = month();
    let key = ProcessKey::new("app1", "web");
    let (from, to) = (at(DAYS * DAY - seconds), at(DAYS * DAY));
    let query = SampleQuery { key, measurement: None, from, to, buckets: 500 };
    bencher.bench(|| store.samples(&query).unwrap());
}

#[divan::bench]
fn samples_of_15_minutes(bencher: divan::Bencher<'_, '_>) {
    samples(bencher, 900);
}

#[divan::bench]
fn samples_of_a_day(bencher: divan::Bencher<'_, '_>) {
    samples(bencher, DAY);
}

#[divan::bench]
fn samples_of_30_days(bencher: divan::Bencher<'_, '_>) {
    samples(bencher, DAYS * DAY);
}

#[divan::bench]
fn steps_of_30_days(bencher: divan::Bencher<'_, '_>) {
    let (store, key) = (month(), ProcessKey::new("app1", "web"));
    bencher.bench(|| store.steps(&key, at(0), at(DAYS * DAY), 5_000).unwrap());
}

#[divan::bench]
fn changes_of_30_days_in_pages_of_100(bencher: divan::Bencher<'_, '_>) {
    let store = month();
    let page = Page { limit: 100, from: Some(at(0)), ..Page::default() };
    let filter =
        Filter { who: (&ProcessKey::new("app1", "web")).into(), page, changes_only: true, conditions: Vec::new() };
    bencher.bench(|| store.history(&filter).unwrap());
}

#[divan::bench]
fn newest_hundred_of_all(bencher: divan::Bencher<'_, '_>) {
    let store = month();
    bencher.bench(|| store.history(&Filter::default()).unwrap());
}

#[divan::bench]
fn newest_of_each(bencher: divan::Bencher<'_, '_>) {
    let store = month();
    bencher.bench(|| store.latest().unwrap());
}

#[divan::bench]
fn record_at(bencher: divan::Bencher<'_, '_>) {
    let (store, key) = (month(), ProcessKey::new("app1", "web"));
    bencher.bench(|| store.record_at(&key, at(DAYS * DAY - 7_777)).unwrap());
}

#[divan::bench]
fn events_of_30_days(bencher: divan::Bencher<'_, '_>) {
    let store = month();
    let page = Page { limit: 1_000, ..Page::default() };
    let filter = EventFilter { page, ..EventFilter::default() };
    bencher.bench(|| store.events(&filter).unwrap());
}
