//! A settings file of 2.1 in the real daemon: each NOTIFY_ setting does what it says.

#![allow(clippy::unwrap_used, reason = "a test that cannot build its input fails")]

use autoscalebot_fakes::heroku::{Fault, HerokuFake};
use common::{Folder, PLANTED, Site, wait_for};

mod common;

/// Where the site's answer must not be taken for a slow one, however busy the machine.
const PATIENT: &str =
    "HEARTBEAT_INTERVAL_IN_SECONDS = 0.8\nMAX_RESPONSE_TIME_IN_MS = 800\nMIN_RESPONSE_TIME_IN_MS = 700";

struct World {
    heroku: HerokuFake,
    site: Site,
    folder: Folder,
}

fn world(dynos: u32, more: &str) -> World {
    let heroku = HerokuFake::with_shop().unwrap();
    heroku.set_key(PLANTED);
    heroku.set_quantity("shop", "web", dynos);
    let site = Site::start();
    let folder = Folder::new();
    folder.write(
        "autoscale_settings.py",
        &format!(
            r#"import os

HEROKU_APP_NAME = "shop"
HEROKU_API_KEY = os.environ["HEROKU_API_KEY"]
PLATFORM = {{"type": "heroku", "url": "{}"}}
HEARTBEAT_URL = "{}"
HEARTBEAT_INTERVAL_IN_SECONDS = 0.25
MAX_RESPONSE_TIME_IN_MS = 150
MIN_RESPONSE_TIME_IN_MS = 50
NUMBER_OF_FAILS_TO_SCALE_UP_AFTER = 2
NUMBER_OF_PASSES_TO_SCALE_DOWN_AFTER = 2
NOTIFICATION_BACKENDS = ["autoscalebot.backends.notification.ConsoleBackend"]
{more}
"#,
            heroku.url(),
            site.url()
        ),
    );
    World { heroku, site, folder }
}

impl World {
    /// Runs until something is so; what the console was told.
    fn told(&self, until: impl Fn(&Self) -> bool) -> String {
        let running = self.folder.start(&["--settings=autoscale_settings"]);
        wait_for("it happens", || until(self));
        let seen = self.site.requests();
        wait_for("a few more beats", || self.site.requests() >= seen + 3);
        assert_eq!(running.end("TERM").0, Some(0), "{}", self.folder.read("err"));
        self.folder.read("out")
    }
}

#[test]
fn needs_above_max_is_told_once_unless_switched_off() {
    for (flag, times) in [("", 1), ("NOTIFY_IF_NEEDS_EXCEED_MAX = False", 0)] {
        let world = world(3, flag);
        world.site.answers(503, 0);
        let told = world.told(|world| world.site.requests() > 8);
        assert_eq!(told.matches("more dynos are needed than the maximum allows").count(), times, "{flag}: {told}");
        assert_eq!(told.lines().count(), times, "nothing else by default: {told}");
    }
}

#[test]
fn needs_below_min_when_asked() {
    for (flag, times) in [("MIN_DYNOS = 2", 0), ("MIN_DYNOS = 2\nNOTIFY_IF_NEEDS_BELOW_MIN = True", 1)] {
        let world = world(2, &format!("{flag}\n{PATIENT}"));
        let told = world.told(|world| world.site.requests() > 6);
        assert_eq!(
            told.matches("fewer dynos would do than the minimum demands began").count(),
            times,
            "{flag}: {told}"
        );
    }
}

#[test]
fn every_scale_and_every_ping_when_asked() {
    let world = world(1, "NOTIFY_ON_EVERY_SCALE = True\nNOTIFY_ON_EVERY_PING = True");
    world.site.answers(500, 0);
    let told = world.told(|world| world.heroku.quantity("shop", "web") == Some(3));
    assert_eq!(told.matches("scaled from 1 to 2 dynos").count(), 1, "{told}");
    assert_eq!(told.matches("scaled from 2 to 3 dynos").count(), 1, "{told}");
    let pings = told.matches("shop/web: too_high, heartbeat status 500").count();
    assert!(pings >= 4, "{told}");
}

#[test]
fn failed_scales_when_asked() {
    for (flag, times) in [("", 0), ("NOTIFY_ON_SCALE_FAILS = True", 1)] {
        let world = world(1, flag);
        world.site.answers(500, 0);
        world.heroku.fault_always("PATCH", "/apps/shop/formation", Fault::error(503, "unavailable"));
        let told = world.told(|world| world.heroku.writes() >= 3);
        assert_eq!(told.matches("scaling calls fail began").count(), times, "{flag}: {told}");
    }
}

#[test]
fn scaling_too_rapid_with_its_period() {
    let both = "NOTIFY_IF_SCALE_DIFF_EXCEEDS_THRESHOLD = 1\nNOTIFY_IF_SCALE_DIFF_EXCEEDS_PERIOD_IN_MINUTES = 30";
    let world = world(1, both);
    world.site.answers(500, 0);
    let told = world.told(|world| world.heroku.quantity("shop", "web") == Some(3));
    assert_eq!(told.matches("the number of dynos moves further and faster than usual began").count(), 1, "{told}");
}

#[test]
fn a_wrong_heartbeat_is_told_and_changes_nothing() {
    let world = world(2, PATIENT);
    world.site.answers(404, 0);
    let told = world.told(|world| world.site.requests() > 2);
    assert_eq!(told.matches("a measurement gives no usable reading began").count(), 1, "{told}");
    assert_eq!((world.heroku.writes(), world.heroku.quantity("shop", "web")), (0, Some(2)));
}
