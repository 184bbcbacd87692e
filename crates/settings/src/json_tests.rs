//! Settings as a running Python hands them over, and backends that are Python's.

use std::path::Path;

use crate::testing::{KINDS, World, world};
use crate::{Loaded, Problems, is_literal};

const LEAST: &str = r#""source":"shop.settings","TIME_ZONE":"America/Vancouver","AUTOSCALE_HEROKU_APP_NAME":"shop",
    "AUTOSCALE_HEROKU_API_KEY":"tok-EXAMPLE-1234","AUTOSCALE_HEARTBEAT_URL":"https://shop.example/autoscalebot/heartbeat/""#;

fn json(world: &World, more: &str) -> Result<Loaded, Problems> {
    let text = format!("{{{LEAST}{more}}}");
    world.outside(|outside| crate::from_json(&text, KINDS, outside))
}

fn problems(more: &str) -> String {
    json(&World::default(), more).err().map(|problems| problems.to_string()).unwrap_or_default()
}

#[test]
fn a_django_project_needs_three_settings_and_a_secret_in_it_stands_in_no_file() {
    let loaded = json(&World::default(), "").unwrap();
    assert_eq!(loaded.settings.time_zone, "America/Vancouver");
    assert_eq!(loaded.settings.platforms["heroku"].values.secret("api_key").unwrap().expose(), "tok-EXAMPLE-1234");
    assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
}

#[test]
fn tables_and_null_are_as_in_python() {
    let loaded =
        json(&World::default(), r#","AUTOSCALE_MAX_DYNOS":{"0:00":2,"9:5":5},"AUTOSCALE_MIN_DYNOS":null"#).unwrap();
    let bounds =
        loaded.settings.apps[0].processes[0].spec.bounds.in_force("2012-07-10T18:00:00Z".parse().unwrap()).bounds();
    assert_eq!((bounds.min, bounds.max), (1, 5));
}

#[test]
fn a_problem_names_the_project_and_the_setting() {
    assert_eq!(
        problems(r#","AUTOSCALE_MIN_DYNO":2"#),
        "shop.settings: AUTOSCALE_MIN_DYNO: is not a setting: did you mean AUTOSCALE_MIN_DYNOS?"
    );
    let found = problems(r#","AUTOSCALE_PLATFORM":{"type":"local","procfil":"Procfile"}"#);
    assert!(found.starts_with("shop.settings: AUTOSCALE_PLATFORM.procfil: is not a setting here: "), "{found}");
    let found = problems(r#","AUTOSCALE_PLATFORM":"nowhere""#);
    assert!(found.starts_with("shop.settings: AUTOSCALE_PLATFORM: \"nowhere\" is not known: "), "{found}");
    assert!(problems(r#","AUTOSCALE_PLATFORM":3"#).contains("AUTOSCALE_PLATFORM: is 3, but must be"));
}

#[test]
fn text_that_is_no_object_is_refused_and_not_quoted() {
    for text in ["", "[]", "{\"AUTOSCALE_HEROKU_API_KEY\": tok-EXAMPLE-1234}"] {
        let found = World::default().outside(|outside| crate::from_json(text, KINDS, outside)).unwrap_err().to_string();
        assert_eq!(found, "standard input: is no JSON object of settings");
    }
}

#[test]
fn the_local_platform_needs_neither_a_name_nor_a_key() {
    let text = r#"{"AUTOSCALE_PLATFORM":{"type":"local","procfile":"/srv/Procfile"},"AUTOSCALE_HEARTBEAT_URL":"http://127.0.0.1/"}"#;
    let loaded = World::default().outside(|outside| crate::from_json(text, KINDS, outside)).unwrap();
    assert_eq!(loaded.settings.apps[0].platform, "local");
    assert_eq!(loaded.settings.platforms["local"].values.text("procfile"), Some("/srv/Procfile"));
    let loaded = world().python("PLATFORM = 'local'\nHEARTBEAT_URL = 'http://127.0.0.1/'\n").unwrap();
    assert_eq!(loaded.settings.platforms["local"].kind, "local");
}

#[test]
fn backends_of_ones_own_run_in_the_python_that_is_known() {
    let more = r#","AUTOSCALE_NOTIFICATION_BACKENDS":["shop.notify.Pager","autoscalebot.backends.notification.ConsoleBackend"]"#;
    assert!(problems(more).contains("needs the Python package, or AUTOSCALEBOT_PYTHON set"), "{}", problems(more));
    let python = World::variables(&[("AUTOSCALEBOT_PYTHON", "/venv/bin/python")]);
    let notify = json(&python, more).unwrap().settings.notify;
    assert_eq!(notify[0].section.kind, "python");
    assert_eq!(notify[0].section.values.text("backend"), Some("shop.notify.Pager"));
    assert_eq!(notify[0].section.values.text("interpreter"), Some("/venv/bin/python"));
    assert_eq!(notify[1].section.kind, "console");
}

#[test]
fn mail_and_log_of_a_django_project_are_its_own() {
    let more = r#","AUTOSCALE_NOTIFICATION_BACKENDS":["autoscalebot.backends.notification.DjangoEmailBackend",
        "autoscalebot.backends.notification.LoggerBackend"]"#;
    let django =
        World::variables(&[("AUTOSCALEBOT_PYTHON", "/venv/bin/python"), ("DJANGO_SETTINGS_MODULE", "shop.settings")]);
    let kinds: Vec<_> = json(&django, more).unwrap().settings.notify.iter().map(|n| n.section.kind).collect();
    assert_eq!(kinds, ["python", "python"]);
}

#[test]
fn only_what_python_has_to_compute_is_run() {
    let literal = |text: &str| {
        let world = world().file("/srv/s.py", text);
        world.outside(|outside| is_literal(Path::new("s.py"), outside))
    };
    assert!(literal("HEROKU_APP_NAME = 'shop'\nMAX_DYNOS = {'0:00': 2}\n"));
    assert!(literal("import json\nOTHER = json.loads('3')\nMAX_DYNOS = 3\n"));
    assert!(literal("ADMINS = f()\nAUTOSCALE_MAX_DYNOS = 3\n"), "Django's own come from Django");
    assert!(!literal("MAX_DYNOS = {'0:00': int(open('x').read())}\n"));
    assert!(!literal("from base import *\nMAX_DYNOS = 3\n"));
    assert!(!literal("print 'python 2'\n"));
    assert!(!world().outside(|outside| is_literal(Path::new("elsewhere.py"), outside)));
}
