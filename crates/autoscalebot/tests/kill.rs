//! kill -9 in the middle of a surge, at random moments: after the restart nothing is lowered by amnesia, cooldowns are kept,
//! and the store is sound. Twenty times here; `AUTOSCALEBOT_KILLS=100` (or `scripts/kill-test`) for more.

#![allow(clippy::unwrap_used, reason = "a test that cannot build its input fails")]

use std::time::Duration;

use autoscalebot_fakes::heroku::HerokuFake;
use autoscalebot_store::{Filter, ProcessKey, Store};
use common::{Folder, PLANTED, Site, heroku_settings, wait_for};
use jiff::Timestamp;

mod common;

const PROCESS: &str = "min_dynos = 1\nmax_dynos = 500\ncooldown = { down = \"5m\" }";

#[test]
fn a_kill_in_a_surge_forgets_nothing_that_matters() {
    let kills: u32 = std::env::var("AUTOSCALEBOT_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(20);
    let seed =
        std::env::var("AUTOSCALEBOT_SEED").ok().and_then(|n| n.parse().ok()).unwrap_or_else(|| fastrand::u64(..));
    eprintln!("AUTOSCALEBOT_SEED={seed}");
    fastrand::seed(seed);
    let heroku = HerokuFake::with_shop().unwrap();
    heroku.set_key(PLANTED);
    let site = Site::start();
    let decide = "fails = 1, passes = 1";
    let folder = Folder::with(&heroku_settings(
        &heroku.url(),
        &site.url(),
        PROCESS,
        decide,
        "[server]\nlisten = \"127.0.0.1:0\"\n",
    ));
    heroku.set_quantity("shop", "web", 1);
    for round in 0..kills {
        heroku.set_remaining(4_500);
        surge(&heroku, &site, &folder, round);
        calm(&heroku, &site, &folder, round);
    }
    // What is left of all those runs still replays to the same decisions.
    let lines = folder.run(&["history", "--replay-format"]).expect(0);
    assert!(lines.json_lines().iter().filter(|line| line["call"] == "ok").count() >= kills as usize / 2);
    folder.write("lines.jsonl", &lines.out);
    folder.run(&["replay", "--assert", "lines.jsonl"]).expect(0);
}

/// More dynos with each reading, until a kill at a random moment.
fn surge(heroku: &HerokuFake, site: &Site, folder: &Folder, round: u32) {
    site.answers(200, 220);
    let writes = heroku.writes();
    let running = folder.start(&["run"]);
    wait_for("the surge", || heroku.writes() > writes);
    std::thread::sleep(Duration::from_millis(fastrand::u64(0..700)));
    let killed = Timestamp::now();
    drop(running);
    // A call that was under way is carried out all the same.
    std::thread::sleep(Duration::from_millis(50));
    let store = Store::open(&folder.path().join("autoscalebot.db")).unwrap();
    assert_eq!(store.integrity().unwrap(), "ok", "round {round}");
    let state = store.state(&ProcessKey::new("shop", "web")).unwrap().unwrap();
    let quantity = heroku.quantity("shop", "web").unwrap();
    // Written before the call: what was set, or what was about to be.
    let ours = state.ours.unwrap();
    assert!(ours == quantity || ours == quantity + 1, "round {round}: {ours} is remembered, {quantity} run");
    let since = killed.duration_since(state.last_scale.unwrap());
    assert!(since.as_secs() < 5, "round {round}: the last scale is remembered as {since:?} ago");
    // The newest record is at most a second and a tick old.
    let newest = store.history(&Filter::default()).unwrap()[0].at;
    let lost = killed.duration_since(newest);
    assert!(lost.as_secs_f64() < 3.0, "round {round}: {lost:?} are lost");
}

/// The surge is over: the cooldown holds through the restart.
fn calm(heroku: &HerokuFake, site: &Site, folder: &Folder, round: u32) {
    site.answers(200, 0);
    let quantity = heroku.quantity("shop", "web");
    let requests = site.requests();
    let running = folder.start(&["run"]);
    wait_for("some ticks", || site.requests() > requests + 5);
    drop(running);
    assert_eq!(heroku.quantity("shop", "web"), quantity, "round {round}: lowered inside the cooldown");
}
