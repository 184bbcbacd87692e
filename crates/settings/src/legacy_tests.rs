//! 2.1's settings: what they mean now, from a Python file and from the environment, and what is said of bad ones.

use crate::testing::{OLD, PASSWORD, TOKEN, World, world};
use crate::{Loaded, Settings};

fn old(more: &str) -> Result<Loaded, crate::Problems> {
    world().python(&format!("{OLD}{more}"))
}

fn problems(more: &str) -> String {
    old(more).err().map(|problems| problems.to_string()).unwrap_or_default()
}

fn shape(settings: &Settings) -> String {
    let process = &settings.apps[0].processes[0];
    format!(
        "{:?} {:?} {:?} {:?} {:?} {:?}",
        process.spec.bounds,
        process.spec.measurements,
        process.spec.rapid,
        process.measure,
        settings.notify,
        settings.apps[0].name
    )
}

#[test]
fn the_defaults_are_those_of_2_1() {
    let loaded = old("").unwrap();
    let settings = &loaded.settings;
    assert_eq!(settings.time_zone, "UTC");
    assert_eq!(settings.platforms["heroku"].values.secret("api_key").unwrap().expose(), TOKEN);
    let app = &settings.apps[0];
    assert_eq!((&*app.key, app.platform.as_str(), app.name.as_str()), ("shop", "heroku", "shop"));
    let process = &app.processes[0];
    assert_eq!(&*process.spec.process, "web");
    let bounds = process.spec.bounds.in_force(jiff::Timestamp::UNIX_EPOCH).bounds();
    assert_eq!((bounds.min, bounds.max), (1, 3));
    let measure = &process.measure[0];
    assert_eq!((measure.section.kind, measure.every.as_secs()), ("heartbeat", 30));
    assert_eq!(measure.section.values.duration("timeout").map(|d| d.as_millis()), Some(1000));
    assert!(!measure.section.values.flag("reuse_connections"));
    let policy = format!("{:?}", process.spec.measurements[0].policy);
    assert!(
        policy.starts_with("Consecutive { low: 200.0, high: 1000.0, fails: 3, passes: 5, increment: 1"),
        "{policy}"
    );
    assert_eq!(process.spec.gates.len(), 2, "pause and wake, and no cooldown");
    assert!(settings.notify.is_empty());
    assert!(process.spec.rapid.is_none());
    assert_eq!(loaded.warnings.len(), 1, "{}", loaded.warnings);
    assert!(
        loaded.warnings.to_string().contains("autoscale_settings.py:2: HEROKU_API_KEY: the secret stands in the file")
    );
}

const EVERYTHING: &str = r#"
"""Settings of the shop."""
import os
from os import environ
STEP = 1
MIN_DYNOS = {"0:00": STEP, "9:5": 2 + STEP,  # comment
    "18:00": 1}
MAX_DYNOS = int(os.environ.get("MOST", "7"))
INCREMENT = STEP * 2
NUMBER_OF_FAILS_TO_SCALE_UP_AFTER = 2
NUMBER_OF_PASSES_TO_SCALE_DOWN_AFTER = 8
MIN_RESPONSE_TIME_IN_MS = 0
MAX_RESPONSE_TIME_IN_MS = 1500.5
HEARTBEAT_INTERVAL_IN_SECONDS = 60
TIME_ZONE = 'America/' "Vancouver"
NOTIFICATION_BACKENDS = ['autoscalebot.backends.notification.ConsoleBackend']
NOTIFICATION_BACKENDS += ('autoscalebot.backends.notification.LoggerBackend',) if False else ["autoscalebot.backends.notification.TestBackend"]
"#;

#[test]
fn everything_that_2_1_has() {
    let said = problems(EVERYTHING);
    assert!(said.contains(": NOTIFICATION_BACKENDS: depends on a condition, which is not read: write"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    let good = EVERYTHING.replace("('autoscalebot.backends.notification.LoggerBackend',) if False else ", "")
        + "NOTIFICATION_BACKENDS.append('autoscalebot.backends.notification.LoggerBackend')
NOTIFY_IF_SCALE_DIFF_EXCEEDS_THRESHOLD = 10
NOTIFY_IF_SCALE_DIFF_EXCEEDS_PERIOD_IN_MINUTES = 30
NOTIFY_IF_NEEDS_EXCEED_MAX = False
NOTIFY_IF_NEEDS_BELOW_MIN = True
NOTIFY_ON_SCALE_FAILS = 1
NOTIFY_ON_EVERY_SCALE = True
NOTIFY_ON_EVERY_PING = not False
";
    let settings = old(&good).unwrap().settings;
    assert_eq!(settings.time_zone, "America/Vancouver");
    let process = &settings.apps[0].processes[0];
    let at: jiff::Timestamp = "2026-07-01T16:05:00Z".parse().unwrap();
    assert_eq!(process.spec.bounds.in_force(at).bounds(), autoscalebot_core::Bounds { min: 3, max: 7 });
    assert_eq!(format!("{:?}", process.spec.rapid), "Some(Rapid { dynos: 10, within: 30m })");
    let kinds: Vec<_> = settings.notify.iter().map(|notify| notify.section.kind).collect();
    assert_eq!(kinds, ["console", "test", "log"]);
    let on = [
        "source_unknown",
        "formation_unknown",
        "needs_below_min",
        "scale_failing",
        "scaled",
        "decided",
        "scaling_too_rapid",
    ];
    assert_eq!(settings.notify[0].on, on);
    let policy = format!("{:?}", process.spec.measurements[0].policy);
    assert!(policy.starts_with("Consecutive { low: 0.0, high: 1500.5, fails: 2, passes: 8, increment: 2"), "{policy}");

    // The same from the environment, and from a Django settings file, means the same.
    let variables = [
        ("AUTOSCALE_HEROKU_APP_NAME", "shop"),
        ("AUTOSCALE_HEROKU_API_KEY", TOKEN),
        ("AUTOSCALE_HEARTBEAT_URL", "https://shop.example/autoscalebot/heartbeat/v1"),
        ("AUTOSCALE_MIN_DYNOS", r#"{"0:00": 1, "9:05": 3, "18:00": 1}"#),
        ("AUTOSCALE_MAX_DYNOS", "7"),
        ("AUTOSCALE_INCREMENT", "2"),
        ("AUTOSCALE_NUMBER_OF_FAILS_TO_SCALE_UP_AFTER", "2"),
        ("AUTOSCALE_NUMBER_OF_PASSES_TO_SCALE_DOWN_AFTER", "8"),
        ("AUTOSCALE_MIN_RESPONSE_TIME_IN_MS", "0"),
        ("AUTOSCALE_MAX_RESPONSE_TIME_IN_MS", "1500.5"),
        ("AUTOSCALE_HEARTBEAT_INTERVAL_IN_SECONDS", "60"),
        ("AUTOSCALE_TIME_ZONE", "America/Vancouver"),
        (
            "AUTOSCALE_NOTIFICATION_BACKENDS",
            r#"["autoscalebot.backends.notification.ConsoleBackend","autoscalebot.backends.notification.TestBackend","autoscalebot.backends.notification.LoggerBackend"]"#,
        ),
        ("AUTOSCALE_NOTIFY_IF_SCALE_DIFF_EXCEEDS_THRESHOLD", "10"),
        ("AUTOSCALE_NOTIFY_IF_SCALE_DIFF_EXCEEDS_PERIOD_IN_MINUTES", "30"),
        ("AUTOSCALE_NOTIFY_IF_NEEDS_EXCEED_MAX", "no"),
        ("AUTOSCALE_NOTIFY_IF_NEEDS_BELOW_MIN", "yes"),
        ("AUTOSCALE_NOTIFY_ON_SCALE_FAILS", "1"),
        ("AUTOSCALE_NOTIFY_ON_EVERY_SCALE", "TRUE"),
        ("AUTOSCALE_NOTIFY_ON_EVERY_PING", "true"),
    ];
    let environment = World::variables(&variables).environment().unwrap();
    assert!(environment.warnings.is_empty(), "{}", environment.warnings);
    assert_eq!(shape(&environment.settings), shape(&settings));
    let mut django = String::from("from base import *\nDEBUG = f\"{1}\"\nEMAIL_HOST = 5\n");
    for line in format!("{OLD}{good}").lines() {
        let name = line.split([' ', '.']).next().unwrap_or_default();
        let ours = name.len() > 4 && name != "TIME_ZONE" && name.chars().all(|c| c.is_ascii_uppercase() || c == '_');
        django += &format!("{}{line}\n", if ours { "AUTOSCALE_" } else { "" });
    }
    let django = world().python(&django).unwrap_or_else(|problems| panic!("{problems}\n{django}"));
    assert_eq!(shape(&django.settings), shape(&settings));
}

#[test]
fn a33_impossible_or_unknown_settings() {
    let rows = [
        (
            "MIN_DYNOS = 5\nMAX_DYNOS = 3",
            ":4: MIN_DYNOS: is 5 but MAX_DYNOS (line 5) is 3: lower it or raise MAX_DYNOS",
        ),
        (
            "MIN_DYNOS = {\"0:00\": 1,\n \"9:00\": 8}\nMAX_DYNOS = 6",
            ":5: MIN_DYNOS: is 8 from 9:00 but MAX_DYNOS (line 6) is 6: lower",
        ),
        ("MAX_DYNO = 5", ":4: MAX_DYNO: is not a setting: did you mean MAX_DYNOS?"),
        ("MAX_DYNOS = {\"25:00\": 2}", ":4: MAX_DYNOS: \"25:00\" is no time of day"),
        ("MAX_DYNOS = \"nine\"", ":4: MAX_DYNOS: is \"nine\", but must be a whole number"),
    ];
    for (text, want) in rows {
        let said = problems(text);
        assert!(said.contains(want), "{text}\n{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
    let said = problems("MIN_DYNO = 5\nMIN_DYNOS = {\"25:00\": 2}\nMAX_DYNOS = \"nine\"\nINCREMENT = -1");
    let lines: Vec<_> = said.lines().map(|line| line.split(": ").nth(1).unwrap_or_default()).collect();
    assert_eq!(lines, ["MIN_DYNO", "MIN_DYNOS", "MAX_DYNOS", "INCREMENT"], "{said}");
    // The environment says the same of the same.
    let environment = |pairs: &[(&str, &str)]| {
        let mut all = vec![
            ("AUTOSCALE_HEROKU_APP_NAME", "shop"),
            ("AUTOSCALE_HEROKU_API_KEY", TOKEN),
            ("AUTOSCALE_HEARTBEAT_URL", "https://shop.example/"),
        ];
        all.extend(pairs);
        World::variables(&all).environment().unwrap_err().to_string()
    };
    let said = environment(&[("AUTOSCALE_MIN_DYNOS", "{\"0:00\":1,\"9:00\":8}"), ("AUTOSCALE_MAX_DYNOS", "6")]);
    assert_eq!(
        said,
        "environment: AUTOSCALE_MIN_DYNOS: is 8 from 9:00 but AUTOSCALE_MAX_DYNOS is 6: lower it or raise AUTOSCALE_MAX_DYNOS"
    );
    let said = environment(&[("AUTOSCALE_MAX_DYNO", "9"), ("AUTOSCALE_MIN_DYNOS", "{\"25:00\": 1}")]);
    assert!(
        said.contains("environment: AUTOSCALE_MAX_DYNO: is not a setting: did you mean AUTOSCALE_MAX_DYNOS?"),
        "{said}"
    );
    assert!(said.contains("environment: AUTOSCALE_MIN_DYNOS: \"25:00\" is no time of day"), "{said}");
    let said = environment(&[("AUTOSCALE_MAX_DYNOS", "nine")]);
    assert!(said.contains("AUTOSCALE_MAX_DYNOS: is \"nine\", but"), "{said}");
    let said = environment(&[("AUTOSCALE_NOTIFY_ON_EVERY_PING", "maybe")]);
    assert!(said.contains("AUTOSCALE_NOTIFY_ON_EVERY_PING: is text, but must be True or False"), "{said}");
}

#[test]
fn bad_python() {
    let rows = [
        ("MAX_DYNOS = max(3, 4)", ":4: MAX_DYNOS: calls max, which is not run: write the value itself"),
        ("MAX_DYNOS = f\"{3}\"", ":4: MAX_DYNOS: is an f-string"),
        ("MAX_DYNOS = OTHER", ":4: MAX_DYNOS: uses the name OTHER, which this file has not assigned before"),
        ("if True:\n    MAX_DYNOS = 3", ":5: MAX_DYNOS: is assigned inside the block of line 4, which is not run"),
        (
            "try:\n    import x\nexcept ImportError:\n    for y in z:\n        A, MAX_DYNOS = 3",
            ":8: MAX_DYNOS: is assigned inside the block of line 4",
        ),
        ("MAX_DYNOS = os.environ['MOST']", ":4: MAX_DYNOS: reads the environment variable \"MOST\", which is not set"),
        ("MAX_DYNOS = int(\"x\")", ":4: MAX_DYNOS: int() is given a text"),
        ("MAX_DYNOS = {}\nMAX_DYNOS.update(a=1)", ":5: MAX_DYNOS: is changed by a call"),
        ("MAX_DYNOS = (", ":4: this is not Python"),
        ("print \"x\"", ":4: this is not Python"),
        ("MAX_DYNOS = {9: 5}", ":4: MAX_DYNOS: \"9\" is no time of day"),
        ("MAX_DYNOS = 5.0", ":4: MAX_DYNOS: is 5.0, but must be a whole number"),
        ("MAX_DYNOS = True", ":4: MAX_DYNOS: is true, but"),
        ("INCREMENT = \"1\"", ":4: INCREMENT: is text, but must be a whole number from 1 to 10000"),
        ("NUMBER_OF_FAILS_TO_SCALE_UP_AFTER = 0", "AFTER: is 0, but must be from 1 to 10000"),
        (
            "HEARTBEAT_INTERVAL_IN_SECONDS = -3",
            "HEARTBEAT_INTERVAL_IN_SECONDS: is -3, but must be a number at or above 0",
        ),
        ("HEARTBEAT_INTERVAL_IN_SECONDS = 0", "HEARTBEAT_INTERVAL_IN_SECONDS: is \"0s\", but must be from 100ms to 1d"),
        (
            "MIN_RESPONSE_TIME_IN_MS = 2000",
            ":4: MIN_RESPONSE_TIME_IN_MS: is 2000 but MAX_RESPONSE_TIME_IN_MS is 1000: lower it or raise MAX",
        ),
        ("HEARTBEAT_URL = \"/autoscalebot/\"", ":4: HEARTBEAT_URL: is a path only: an absolute URL is needed"),
        (
            "HEARTBEAT_URL = None",
            ": HEARTBEAT_URL: is not set, and its default in 2.1, /autoscalebot/heartbeat/v1, is a path only",
        ),
        ("HEARTBEAT_URL = \"shop.example\"", ":4: HEARTBEAT_URL: must be an absolute URL"),
        ("HEROKU_API_KEY = None", ":4: HEROKU_API_KEY: is missing: write the API key"),
        (
            "import os\nHEROKU_API_KEY = os.getenv('KEY')",
            ":5: HEROKU_API_KEY: the environment variable \"KEY\" is not set",
        ),
        ("HEROKU_APP_NAME = 5", ":4: HEROKU_APP_NAME: is 5, but must be text in quotes"),
        (
            "TIME_ZONE = 'Europe/Berlim'",
            ":4: TIME_ZONE: \"Europe/Berlim\" is no IANA time zone: did you mean Europe/Berlin?",
        ),
        ("\u{feff}MAX_DYNOS = 1.5", "this is not Python"),
        ("NOTIFY_ON_EVERY_PING = 'yes'", ":4: NOTIFY_ON_EVERY_PING: is text, but must be True or False"),
        (
            "NOTIFY_IF_SCALE_DIFF_EXCEEDS_THRESHOLD = 3",
            ":4: NOTIFY_IF_SCALE_DIFF_EXCEEDS_THRESHOLD: says nothing without NOTIFY_IF_SCALE_DIFF_EXCEEDS_PERIOD_IN_MINUTES",
        ),
        (
            "NOTIFICATION_BACKENDS = ['shop.Pager']",
            ":4: NOTIFICATION_BACKENDS: \"shop.Pager\" is not one of 2.1's own backends",
        ),
        (
            "NOTIFICATION_BACKENDS = ['autoscalebot.backends.notification.DjangoEmailBackend']",
            ":4: NOTIFICATION_BACKENDS: DjangoEmailBackend mails to ADMINS, which",
        ),
    ];
    for (text, want) in rows {
        let said = problems(text);
        assert!(said.contains(want), "{text}\n  said {said}\n  want {want}");
        assert!(said.starts_with("autoscale_settings.py") && !said.contains(TOKEN), "{said}");
    }
    let said = world().python("from base import *\n").unwrap_err().to_string();
    assert!(said.contains("HEROKU_APP_NAME: is missing: write the name of the app on Heroku, such as \"dancing-forest-1234\" in this file (line 1"), "{said}");
    let said = world().python("AUTOSCALE_MAX_DYNOS = 3\n").unwrap_err().to_string();
    assert!(
        said.contains("AUTOSCALE_HEROKU_API_KEY: is missing") && said.contains("AUTOSCALE_HEARTBEAT_URL: is not set"),
        "{said}"
    );
    assert_eq!(said.lines().count(), 3, "{said}");
    // A name of the user's own, and what can't be read in it, is nobody's business.
    assert_eq!(problems("SHOP = lambda: 1\nDYNOS = 3\ndef MAX_DYNOS(): pass\nMAX_DYNO = 3\nMAX_DYNOS = MAX_DYNO"), "");
    assert_eq!(problems("MAX_DYNOS = None\nMIN_DYNOS = 0"), "");
    // Line ends and the mark that some editors of Windows write.
    let text = format!("\u{feff}{OLD}MAX_DYNO = 5\n").replace('\n', "\r\n");
    assert!(world().python(&text).unwrap_err().to_string().contains(":4: MAX_DYNO:"), "{:?}", world().python(&text));
}

#[test]
fn mail_as_django_sends_it() {
    let text = format!(
        "NOTIFICATION_BACKENDS = ['autoscalebot.backends.notification.DjangoEmailBackend']\nADMINS = (('Ann', 'ann@shop.example'), 'bob@shop.example')\nEMAIL_HOST = 'mail.example'\nEMAIL_PORT = 587\nEMAIL_USE_TLS = True\nEMAIL_HOST_USER = 'me'\nEMAIL_HOST_PASSWORD = '{PASSWORD}'\nSERVER_EMAIL = 'bot@shop.example'\n"
    );
    let loaded = old(&text).unwrap();
    let values = &loaded.settings.notify[0].section.values;
    assert_eq!(values.texts("to"), ["ann@shop.example", "bob@shop.example"]);
    assert_eq!(
        (values.text("host"), values.whole("port"), values.text("security")),
        (Some("mail.example"), Some(587), Some("starttls"))
    );
    assert_eq!(values.secret("password").map(|s| s.expose()), Some(PASSWORD));
    let shown = format!("{loaded:?}");
    assert!(!shown.contains(PASSWORD) && !shown.contains(TOKEN), "{shown}");
    let said = problems(&text.replace("587", "True").replace("SERVER", "EMAIL_USE_SSL = True\nSERVER"));
    assert!(
        said.contains("EMAIL_PORT: is true") && said.contains("EMAIL_USE_SSL: and EMAIL_USE_TLS are both True"),
        "{said}"
    );
}

#[test]
fn a34_a_secret_in_a_wrong_place_is_not_shown() {
    let world = World::variables(&[("KEY", TOKEN)]);
    let start = format!(
        "import os\nHEROKU_APP_NAME = 'shop'\nHEARTBEAT_URL = 'https://me:{PASSWORD}@shop.example/'\nHEROKU_API_KEY = os.environ['KEY']\n"
    );
    for wrong in [
        "MAX_DYNOS",
        "MIN_DYNOS",
        "TIME_ZONE",
        "NOTIFICATION_BACKENDS",
        "INCREMENT",
        "HEARTBEAT_INTERVAL_IN_SECONDS",
        "NOTIFY_ON_EVERY_PING",
        "HEARTBEAT_URL",
    ] {
        for value in ["os.environ['KEY']", "[os.environ['KEY']]", "{os.environ['KEY']: 1}", "'x ' + os.environ['KEY']"]
        {
            let problems = world.python(&format!("{start}{wrong} = {value}\n")).unwrap_err();
            let shown = format!("{problems:?} {problems}");
            assert!(!shown.contains(TOKEN) && !shown.contains(PASSWORD), "{shown}");
        }
    }
    let loaded = world.python(&start).unwrap();
    assert!(!loaded.warnings.to_string().contains("HEROKU_API_KEY"), "{}", loaded.warnings);
    let values = &loaded.settings.apps[0].processes[0].measure[0].section.values;
    assert_eq!(values.secret("password").map(|s| s.expose()), Some(PASSWORD));
    assert_eq!(values.url("url").map(|url| url.as_str()), Some("https://shop.example/"));
    let shown = format!("{loaded:?} {}", loaded.warnings);
    assert!(!shown.contains(TOKEN) && !shown.contains(PASSWORD), "{shown}");
}

#[test]
fn no_short_text_makes_a_large_value_and_no_long_one_overflows() {
    let chain = format!("MAX_DYNOS = {}", vec!["1"; 60_000].join("+"));
    assert!(problems(&chain).contains("is nested too deeply"), "{}", problems(&chain));
    let deep = format!("MAX_DYNOS = {}1{}", "(".repeat(50_000), ")".repeat(50_000));
    let _ = problems(&deep);
    let _ = problems(&format!("MAX_DYNOS = {}", "[".repeat(100_000)));
    let _ = problems(&format!("MAX_DYNOS = {}1", "-".repeat(100_000)));
    let _ = problems(&format!("MAX_DYNOS = a{}", ".b".repeat(100_000)));
    let mut doubling = String::from("A = ['x']\n");
    for _ in 0..200 {
        doubling += "A = [A, A]\n";
    }
    assert!(problems(&format!("{doubling}MAX_DYNOS = A")).contains("too large"));
    assert!(problems("MAX_DYNOS = 'x' * 1000000000").contains("too long"));
    assert!(problems("MAX_DYNOS = 9 * 9999999999999999999").contains("do not go together"));
}
