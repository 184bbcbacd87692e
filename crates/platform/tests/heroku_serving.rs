//! Which dynos serve, after a rise, against the stand-in: the formation is good with or without that.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use autoscalebot_core::Secret;
use autoscalebot_fakes::heroku::{Fault, HerokuFake};
use autoscalebot_platform::heroku::Heroku;
use autoscalebot_platform::{Formation, Platform};
use jiff::{SignedDuration, Timestamp};

const HOUR: Duration = Duration::from_secs(3600);

fn at(secs: i64) -> Timestamp {
    "2026-05-04T12:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_secs(secs)
}

fn shop() -> (HerokuFake, Heroku) {
    let fake = HerokuFake::with_shop().unwrap();
    let heroku = Heroku::new("heroku", &Secret::new(HerokuFake::KEY), fake.url().parse().unwrap()).unwrap();
    (fake, heroku.with_call_budget(Duration::from_millis(500)))
}

fn of(web: u32, worker: u32) -> BTreeMap<String, u32> {
    BTreeMap::from([("web".into(), web), ("worker".into(), worker)])
}

fn looks(fake: &HerokuFake) -> usize {
    fake.requests().iter().filter(|request| request.path == "/apps/shop/dynos").count()
}

#[tokio::test]
async fn dynos_that_start_do_not_serve() {
    let (fake, heroku) = shop();
    let plain = Formation { quantities: of(1, 1), ready: BTreeMap::new() };
    assert_eq!(heroku.formation("shop", at(0)).await, Ok(plain), "nothing rose, nothing is looked at");
    fake.set_boot("shop", HOUR);
    fake.set_quantity("shop", "web", 3);
    for secs in [30, 60] {
        let starting = Formation { quantities: of(3, 1), ready: of(1, 1) };
        assert_eq!(heroku.formation("shop", at(secs)).await, Ok(starting));
    }
    fake.set_boot("shop", Duration::ZERO);
    assert_eq!(heroku.formation("shop", at(90)).await.unwrap().ready, of(3, 1), "told once that all serve");
    assert_eq!(heroku.formation("shop", at(120)).await.unwrap().ready, BTreeMap::new());
    assert_eq!(looks(&fake), 3);
    fake.set_quantity("shop", "web", 2);
    assert_eq!(heroku.formation("shop", at(150)).await.unwrap().ready, BTreeMap::new(), "fewer: nothing starts");
    assert_eq!(looks(&fake), 3);
}

#[tokio::test]
async fn a_look_that_fails_or_hangs_is_no_fault_of_the_formation() {
    let (fake, heroku) = shop();
    heroku.formation("shop", at(0)).await.unwrap();
    fake.set_boot("shop", HOUR);
    fake.set_quantity("shop", "web", 3);
    let faults = [
        Fault::error(500, "internal"),
        Fault::error(403, "forbidden"),
        Fault::error(404, "not_found"),
        Fault::body(200, "[{\"type\":"),
        Fault::Close,
        Fault::Silence,
    ];
    for (n, fault) in faults.into_iter().enumerate() {
        let said = format!("{fault:?}");
        fake.fault("GET", "/dynos", fault);
        let started = Instant::now();
        let read = heroku.formation("shop", at(30 + 10 * n as i64)).await;
        assert_eq!(read, Ok(Formation { quantities: of(3, 1), ready: BTreeMap::new() }), "{said}");
        assert!(started.elapsed() < Duration::from_secs(3), "{said}: {:?}", started.elapsed());
    }
    assert_eq!(heroku.formation("shop", at(100)).await.unwrap().ready, of(1, 1), "and is tried again at the next tick");
}

/// The calls that are left to the account are for formations and changes.
#[tokio::test]
async fn a_crash_is_not_watched_for_ever() {
    let (fake, heroku) = shop();
    heroku.formation("shop", at(0)).await.unwrap();
    fake.set_boot("shop", HOUR);
    fake.set_quantity("shop", "web", 2);
    for tick in 1..=100 {
        heroku.formation("shop", at(tick * 30)).await.unwrap();
    }
    assert_eq!(looks(&fake), 20, "ten minutes of them");
}
