//! `run` on a Heroku: the real binary, a real heartbeat over HTTP, and the stand-in of the Platform API.

#![allow(clippy::unwrap_used, reason = "a test that cannot build its input fails")]

use std::time::Duration;

use autoscalebot_fakes::heroku::{Fault, HerokuFake};
use common::{Folder, PLANTED, Site, heroku_settings, wait_for};

mod common;

const NOTIFY: &str =
    "[[notify]]\ntype = \"console\"\non = [\"scaled\", \"needs_above_max\", \"scale_failing\", \"source_unknown\"]\n";

fn world(process: &str, decide: &str) -> (HerokuFake, Site, Folder) {
    let heroku = HerokuFake::with_shop().unwrap();
    heroku.set_key(PLANTED);
    let site = Site::start();
    let folder = Folder::with(&heroku_settings(&heroku.url(), &site.url(), process, decide, NOTIFY));
    (heroku, site, folder)
}

#[test]
fn scales_up_while_slow_and_down_again_and_tells_it() {
    let (heroku, site, folder) = world("min_dynos = 1\nmax_dynos = 3", "fails = 2, passes = 3");
    heroku.set_quantity("shop", "web", 1);
    site.answers(200, 250);
    let running = folder.start(&["run"]);
    wait_for("three dynos", || heroku.quantity("shop", "web") == Some(3));
    wait_for("the condition is told", || folder.read("out").contains("more dynos are needed than the maximum allows"));
    site.answers(200, 1);
    wait_for("one dyno", || heroku.quantity("shop", "web") == Some(1));
    let (code, took) = running.end("TERM");
    assert_eq!(code, Some(0), "{}", folder.read("err"));
    assert!(took < Duration::from_secs(2), "{took:?}");
    let out = folder.read("out");
    assert!(out.contains("scaled from 1 to 2 dynos") && out.contains("scaled from 2 to 1 dynos"), "{out}");
    assert_eq!(heroku.writes(), 4, "1 to 3 and back, a call for each step");
    assert!(!format!("{out}{}", folder.read("err")).contains(PLANTED));
}

/// The gate waits for the dynos themselves, not for a time.
#[test]
fn a_dyno_that_starts_is_waited_for() {
    let (heroku, site, folder) = world("min_dynos = 1\nmax_dynos = 3\nboot = \"1h\"", "fails = 1");
    heroku.set_quantity("shop", "web", 1);
    heroku.set_boot("shop", Duration::from_secs(3600));
    site.answers(200, 250);
    let running = folder.start(&["run"]);
    let looks = || heroku.requests().iter().filter(|request| request.path == "/apps/shop/dynos").count();
    wait_for("some looks at the dyno that starts", || looks() > 3);
    assert_eq!((heroku.quantity("shop", "web"), heroku.writes()), (Some(2), 1), "one starts, and no other one");
    heroku.set_boot("shop", Duration::ZERO);
    wait_for("the next one", || heroku.quantity("shop", "web") == Some(3));
    assert_eq!(running.end("TERM").0, Some(0));
    let ran = folder.run(&["history", "--json"]).expect(0);
    let records = ran.json_lines();
    let held = records.iter().filter(|record| record["ready"] == 1 && record["dynos"]["before"] == 2);
    assert!(held.count() > 2, "{}", ran.out);
}

#[test]
fn bounds_hold_although_the_site_is_gone() {
    let (heroku, site, folder) = world("min_dynos = 4\nmax_dynos = 9", "fails = 2");
    heroku.set_quantity("shop", "web", 1);
    site.answers(404, 0);
    let ran = folder.run(&["run", "--once", "--json"]).expect(0);
    assert_eq!(heroku.quantity("shop", "web"), Some(4));
    let record = &ran.json_lines()[0];
    assert_eq!(record["reason"], "1 dyno is below the minimum of 4");
    assert_eq!(record["measurements"][0]["error"], "status 404");
    assert_eq!(record["conditions"][0], "source_unknown");
}

#[test]
fn a_dry_run_writes_nothing_on_the_platform() {
    let (heroku, site, folder) = world("min_dynos = 1\nmax_dynos = 9", "fails = 1");
    heroku.set_quantity("shop", "web", 12);
    site.answers(200, 300);
    let running = folder.start(&["run", "--dry-run"]);
    wait_for("some ticks", || heroku.reads() > 5);
    let (code, _) = running.end("INT");
    assert_eq!(code, Some(0));
    assert_eq!(heroku.writes(), 0);
    assert!(folder.read("err").contains("would set 9"), "{}", folder.read("err"));
}

#[test]
fn every_refusal_names_its_setting_and_hides_the_key() {
    for (status, id, word) in [
        (401, "unauthorized", "api_key"),
        (403, "forbidden", "api_key"),
        (404, "not_found", "name"),
        (503, "unavailable", "503"),
    ] {
        let (heroku, _site, folder) = world("min_dynos = 1\nmax_dynos = 3", "fails = 2");
        heroku.fault_always("GET", "/apps/shop/formation", Fault::error(status, id));
        let ran = folder.run(&["run", "--once"]).expect(1);
        assert!(ran.out.contains(word), "{status}: {}", ran.out);
        let online = folder.run(&["check", "--online"]).expect(1);
        assert!(online.out.contains("FAILED platforms.heroku for shop"), "{}", online.out);
        assert!(online.out.contains(word), "{status}: {}", online.out);
        assert_eq!(heroku.writes(), 0);
    }
}

#[test]
fn check_online_tries_everything_and_changes_nothing() {
    let (heroku, site, folder) = world("min_dynos = 1\nmax_dynos = 3", "fails = 2");
    let ran = folder.run(&["check", "--online"]).expect(0);
    for line in
        ["ok     platforms.heroku for shop", "ok     shop/web heartbeat", "ok     notify console[0]", "ok     store"]
    {
        assert!(ran.out.contains(line), "{}", ran.out);
    }
    assert_eq!((heroku.writes(), site.requests()), (0, 1));
    assert!(!folder.path().join("autoscalebot.db").exists());
}

#[test]
fn measure_reads_each_source_with_its_time() {
    let (_heroku, site, folder) = world("max_dynos = 3", "fails = 2");
    site.answers(200, 30);
    let ran = folder.run(&["measure", "--once", "--json"]).expect(0);
    let row = &ran.json_lines()[0];
    assert!(row["value"].as_f64().unwrap() >= 30.0, "{row}");
    assert!(row["took_ms"].as_f64().unwrap() >= row["value"].as_f64().unwrap(), "{row}");
    site.answers(302, 0);
    let ran = folder.run(&["measure", "--once"]).expect(0);
    assert!(ran.out.starts_with("shop/web heartbeat: unknown: status 302"), "{}", ran.out);
}

#[test]
fn stops_within_two_seconds_though_everything_is_silent() {
    for signal in ["TERM", "INT"] {
        let (heroku, site, folder) = world("min_dynos = 2\nmax_dynos = 3", "fails = 2");
        heroku.set_quantity("shop", "web", 1);
        heroku.fault_always("PATCH", "/apps/shop/formation", Fault::Silence);
        site.answers(200, 60_000);
        let running = folder.start(&["run"]);
        wait_for("the first tick", || heroku.reads() > 0 && site.requests() > 0);
        let (code, took) = running.end(signal);
        assert_eq!(code, Some(0));
        assert!(took < Duration::from_secs(2), "{signal}: {took:?}");
    }
}

#[test]
fn a_pause_holds_a_running_daemon_and_a_resume_ends_it() {
    let (heroku, site, folder) = world("min_dynos = 1\nmax_dynos = 9", "fails = 1");
    heroku.set_quantity("shop", "web", 1);
    site.answers(200, 1);
    let paused = folder.run(&["pause", "--process", "web", "--for", "1h", "--why", "sale"]).expect(0);
    assert!(paused.out.starts_with("shop/web is paused until 20"), "{}", paused.out);
    site.answers(200, 250);
    let running = folder.start(&["run"]);
    wait_for("ticks", || site.requests() > 5);
    assert_eq!(heroku.writes(), 0);
    assert_eq!(folder.run(&["resume"]).expect(0).out, "shop/web is resumed\n");
    wait_for("it scales", || heroku.writes() > 0);
    assert_eq!(running.end("TERM").0, Some(0));
}

#[test]
fn a_cooldown_survives_kill_nine() {
    let process = "min_dynos = 1\nmax_dynos = 9\ncooldown = { down = \"1h\" }";
    let (heroku, site, folder) = world(process, "fails = 1, passes = 2");
    heroku.set_quantity("shop", "web", 1);
    site.answers(200, 250);
    let mut running = folder.start(&["run"]);
    wait_for("two dynos", || heroku.quantity("shop", "web") >= Some(2));
    // At most the last second is lost.
    std::thread::sleep(Duration::from_millis(1200));
    running.0.kill().unwrap();
    running.0.wait().unwrap();
    let writes = heroku.writes();
    site.answers(200, 1);
    let before = site.requests();
    let running = folder.start(&["run", "--log", "debug"]);
    wait_for("ticks", || site.requests() > before + 10);
    assert_eq!(heroku.writes(), writes, "nothing is lowered by amnesia");
    assert!(folder.read("err").contains("cooldown: no dyno is removed"), "{}", folder.read("err"));
    running.end("TERM");
}
