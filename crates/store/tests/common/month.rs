//! A month of many processes, as a store keeps it after its cleaning: what benchmarks ask and what a dashboard shows.

use autoscalebot_store::{Entry, Retention, Store};
use jiff::{SignedDuration, Timestamp};

use super::{Ticker, day, spec};

/// How long the month is.
pub const DAYS: i64 = 30;
/// The seconds of a day.
pub const DAY: i64 = 86_400;

/// Writes [`DAYS`] of this many processes that tick every 30 s from this instant on, with the usual retention.
pub fn fill(store: &Store, processes: usize, start: Timestamp) {
    let at = |second| start + SignedDuration::from_secs(second);
    let clean = |second| while store.clean(&Retention::default(), at(second)).unwrap() {};
    let mut tickers: Vec<_> = (0..processes).map(|n| Ticker::new(spec(&format!("app{n}"), "web"))).collect();
    let mut batch: Vec<Entry> = Vec::new();
    for second in (0..DAYS * DAY).step_by(30) {
        for (n, ticker) in tickers.iter_mut().enumerate() {
            batch.extend(ticker.entries(at(second), Some(day(second + 977 * n as i64))));
        }
        if batch.len() > 2_000 {
            store.write(&batch).unwrap();
            batch.clear();
        }
        if second % 3600 == 0 {
            clean(second);
        }
    }
    store.write(&batch).unwrap();
    clean(DAYS * DAY);
}
