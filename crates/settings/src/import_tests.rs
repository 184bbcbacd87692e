//! Imported settings mean the same; examples and starters are good; schema and reference know every key.

use std::path::Path;

use serde_json::Value as Json;

use crate::testing::{KINDS, OLD, PASSWORD, TOKEN, World, world};
use crate::{import_python, reference, schema, starter};

fn imported(world: &World, text: &str) -> String {
    world
        .outside(|outside| import_python(text, Path::new("autoscale_settings.py"), KINDS, outside))
        .unwrap_or_else(|problems| panic!("{problems}"))
        .toml
}

/// The settings without the places they come from.
fn meaning(loaded: &crate::Loaded) -> String {
    let secrets = loaded.settings.platforms.values().map(|p| p.values.secret("api_key").map(|s| s.expose().to_owned()));
    format!("{:?} {:?}", loaded.settings, secrets.collect::<Vec<_>>())
}

#[test]
fn imported_settings_mean_the_same() {
    let more = [
        String::new(),
        "MIN_DYNOS = {'0:00': 0, '9:5': 2}\nMAX_DYNOS = 9\nINCREMENT = 2\nTIME_ZONE = 'Europe/Berlin'\nMIN_RESPONSE_TIME_IN_MS = 0.1\nMAX_RESPONSE_TIME_IN_MS = 1234.5\nHEARTBEAT_INTERVAL_IN_SECONDS = 90.25\n".into(),
        "NOTIFY_IF_SCALE_DIFF_EXCEEDS_THRESHOLD = 3\nNOTIFY_IF_SCALE_DIFF_EXCEEDS_PERIOD_IN_MINUTES = 0.5\nNOTIFICATION_BACKENDS = ['autoscalebot.backends.notification.ConsoleBackend', 'autoscalebot.backends.notification.LoggerBackend']\n".into(),
        "HEROKU_APP_NAME = 'shop \"one\".two\\n'\n".into(),
        "HEARTBEAT_INTERVAL_IN_SECONDS = 1\nMAX_RESPONSE_TIME_IN_MS = 3000".into(),
        format!("HEARTBEAT_URL = 'https://me:{PASSWORD}@shop.example/beat'\n"),
        format!("NOTIFICATION_BACKENDS = ['autoscalebot.backends.notification.DjangoEmailBackend']\nADMINS = [('A', 'a@b.example')]\nEMAIL_HOST_USER = 'u'\nEMAIL_HOST_PASSWORD = '{PASSWORD}'\n"),
    ];
    let variables = [("HEROKU_API_KEY", TOKEN), ("HEARTBEAT_PASSWORD", PASSWORD), ("EMAIL_HOST_PASSWORD", PASSWORD)];
    let world = World::variables(&variables);
    for more in more {
        let text = format!("{OLD}{more}");
        let toml = imported(&world, &text);
        assert!(!toml.contains(TOKEN) && !toml.contains(PASSWORD), "{toml}");
        let new = world.toml(&toml).unwrap_or_else(|problems| panic!("{problems}\n{toml}"));
        assert!(new.warnings.is_empty(), "{}", new.warnings);
        assert_eq!(meaning(&new), meaning(&world.python(&text).unwrap()), "{toml}");
    }
}

#[test]
fn a_variable_stays_a_variable_and_need_not_be_set_to_import() {
    let text = OLD.replace("\"tok-EXAMPLE-1234\"", "os.environ['MY_KEY']");
    let toml = imported(&World::default(), &text);
    assert!(toml.contains("api_key = { env = \"MY_KEY\" }"), "{toml}");
    assert!(World::default().python(&text).unwrap_err().to_string().contains("variable \"MY_KEY\" is not set"));
    let toml = imported(&World::default(), &OLD.replace("\"tok-EXAMPLE-1234\"", "os.environ.get('MY_KEY')"));
    assert!(toml.contains("api_key = { env = \"MY_KEY\" }"), "{toml}");
}

#[test]
fn examples_and_starters_are_good() {
    for name in crate::STARTERS {
        let text = starter(name).unwrap();
        // The real kinds have more settings than those of these tests.
        let text = text.replace("listen = \"127.0.0.1:5000\"\n", "");
        let loaded = world().toml(&text).unwrap_or_else(|problems| panic!("{problems}"));
        assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
    }
    let python = include_str!("../../../examples/autoscale_settings.py");
    let loaded = world().python(python).unwrap_or_else(|problems| panic!("{problems}"));
    assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
    assert!(starter("fly").is_none());
}

/// Follows keys of settings through the schema, as far as these settings go.
fn covered(schema: &Json, root: &Json, value: &toml::Value, path: &str) {
    let schema = match schema["$ref"].as_str() {
        Some(reference) => root.pointer(reference.trim_start_matches('#')).unwrap_or_else(|| panic!("{reference}")),
        None => schema,
    };
    if let Some(choices) = schema["oneOf"].as_array().or(schema["anyOf"].as_array()) {
        let fits = |choice: &&Json| match value.get("type") {
            Some(kind) => choice["properties"]["type"]["const"].as_str() == kind.as_str(),
            None => match value {
                toml::Value::Table(table) => {
                    table.keys().all(|key| {
                        choice["properties"].get(key).is_some() || choice["additionalProperties"].is_object()
                    }) && choice["type"] == "object"
                }
                _ => choice["type"] != "object",
            },
        };
        let choice = choices.iter().find(fits).unwrap_or_else(|| panic!("no choice fits {path}"));
        return covered(choice, root, value, path);
    }
    match value {
        toml::Value::Table(table) => {
            for (key, value) in table {
                let path = format!("{path}.{key}");
                let inner = schema["properties"].get(key).unwrap_or(&schema["additionalProperties"]);
                assert!(inner.is_object(), "{path} is not in the schema");
                covered(inner, root, value, &path);
            }
            for key in schema["required"].as_array().into_iter().flatten().filter_map(Json::as_str) {
                assert!(table.contains_key(key), "{path} has no {key}");
            }
        }
        toml::Value::Array(list) => list.iter().for_each(|value| covered(&schema["items"], root, value, path)),
        toml::Value::Integer(_) => assert!(matches!(schema["type"].as_str(), Some("integer" | "number")), "{path}"),
        toml::Value::Boolean(_) => assert_eq!(schema["type"], "boolean", "{path}"),
        _ => {}
    }
}

#[test]
fn the_schema_knows_every_key() {
    let schema = schema(KINDS);
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    for text in [crate::testing::GOOD, starter("heroku").unwrap(), &imported(&world(), OLD)] {
        covered(&schema, &schema, &toml::from_str(text).unwrap(), "");
    }
    let heartbeat = &schema["properties"]["apps"]["additionalProperties"]["properties"]["processes"]["additionalProperties"]
        ["properties"]["measure"]["items"]["oneOf"][0];
    assert_eq!(heartbeat["properties"]["timeout"]["default"], "10s");
    assert_eq!(heartbeat["properties"]["headers"]["examples"][0]["Accept"], "text/html");
    assert!(heartbeat["required"].as_array().unwrap().contains(&"url".into()));
}

#[test]
fn the_reference_names_every_field() {
    let page = reference(KINDS);
    let fields = KINDS.measurements.iter().flat_map(|kind| kind.description.fields);
    let fields = fields.chain(KINDS.platforms.iter().flat_map(|kind| kind.description.fields));
    let fields = fields.chain(KINDS.notifications.iter().flat_map(|kind| kind.description.fields));
    for field in fields {
        assert!(page.contains(&format!("| `{}` | ", field.name)) && page.contains(field.doc), "{}", field.name);
    }
    for word in
        ["min_dynos", "cooldown", "consecutive", "needs_above_max", "scale_failed", "NOTIFY_ON_EVERY_PING", "max_age"]
    {
        assert!(page.contains(&format!("`{word}`")), "{word}");
    }
    assert!(!page.contains("\n\n\n"));
}
