//! Makes a store of the last 30 days of many processes, named `app0/web`, `app1/web` and so on, for
//! `scripts/bench-dashboard`: month FILE [PROCESSES]

#![allow(clippy::unwrap_used, reason = "a benchmark that cannot build its input fails")]

use autoscalebot_store::Store;
use common::month::{DAY, DAYS, fill};
use jiff::{SignedDuration, Timestamp};

#[path = "../tests/common/mod.rs"]
mod common;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next().unwrap();
    let processes = arguments.next().map_or(100, |n| n.parse().unwrap());
    // Ticks fall on whole hours, as states are kept at those.
    let end = Timestamp::from_second(Timestamp::now().as_second() / 30 * 30).unwrap();
    let (store, began) = (Store::open(file.as_ref()).unwrap(), std::time::Instant::now());
    fill(&store, processes, end - SignedDuration::from_secs(DAYS * DAY));
    println!("{DAYS} days of {processes} processes, made in {:?}", began.elapsed());
}
