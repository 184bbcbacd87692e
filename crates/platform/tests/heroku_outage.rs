//! Heroku is away for thousands of ticks: nothing grows, and the very next tick after its return works. One test, so that
//! nothing else in this program opens files meanwhile.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

use autoscalebot_core::Secret;
use autoscalebot_fakes::heroku::{Fault, HerokuFake};
use autoscalebot_platform::heroku::Heroku;
use autoscalebot_platform::{Change, Formation, Platform, PlatformError};
use jiff::{SignedDuration, Timestamp};

fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Resident memory in KiB.
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn a35_nothing_grows_while_heroku_is_away() {
    let fake = HerokuFake::with_shop().unwrap();
    let gone = HerokuFake::start().unwrap();
    let refused = Heroku::new("gone", &Secret::new("k"), gone.url().parse().unwrap()).unwrap();
    drop(gone);
    let heroku = Heroku::new("heroku", &Secret::new(HerokuFake::KEY), fake.url().parse().unwrap()).unwrap();
    fake.fault_always("GET", "/formation", Fault::body(503, "<html>"));
    fake.fault_always("PATCH", "/formation", Fault::Close);
    let changes = [Change { process: "web".into(), quantity: 3 }];
    let mut now = Timestamp::from_second(1_777_000_000).unwrap();
    let mut at_100 = (0, 0);
    for tick in 1..=3000 {
        now += SignedDuration::from_secs(10);
        for read in [heroku.formation("shop", now).await, refused.formation("shop", now).await] {
            assert!(matches!(read, Err(PlatformError::Unavailable(_))), "{tick}: {read:?}");
        }
        let done = heroku.scale("shop", &changes, &Formation::default(), now).await;
        assert!(matches!(done[..], [Err(PlatformError::Unavailable(_))]), "{tick}: {done:?}");
        fake.clear_requests();
        if tick == 100 {
            at_100 = (open_files(), memory());
        }
    }
    let (files, kib) = (open_files(), memory());
    // A connection that was just closed may still be on its way out.
    assert!(files <= at_100.0 + 2, "{} open files at tick 100, {files} at the end", at_100.0);
    assert!(kib <= at_100.1 + 5 * 1024, "{} KiB at tick 100, {kib} at the end", at_100.1);
    fake.clear_faults();
    assert!(heroku.formation("shop", now).await.is_ok());
}
