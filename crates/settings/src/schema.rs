//! `config schema`: a JSON Schema (draft 2020-12) of the TOML settings, made from the tables of fields that the settings are
//! read by. Editors complete and check with it. What it can't say, such as min above max, `check` says.

use autoscalebot_core::fields::{Description, Field, FieldType};
use autoscalebot_core::gate::GATES;
use autoscalebot_core::policy::POLICIES;
use serde_json::{Map, Value as Json, json};

use crate::assemble::topics;
use crate::common::{APP, BOUNDS, MEASURE, NOTIFY, PROCESS, RAPID, ROOT, SERVER, STORE, TLS};
use crate::tree::{Item, Node};
use crate::{Kinds, toml_tree};

const DURATION: &str = r"^\s*([0-9]+(\.[0-9]+)?\s*(d|h|min|m|s|ms)\s*)+$";
const TIME: &str = r"^\s*([A-Za-z]{3,9}(\s*[-,]\s*[A-Za-z]{3,9})*\s+)?([01]?[0-9]|2[0-4]):[0-5][0-9]\s*$";

/// The schema.
pub fn schema(kinds: Kinds<'_>) -> Json {
    let measure: Vec<_> = kinds.measurements.iter().map(|kind| measurement(&kind.description)).collect();
    let platform: Vec<_> = kinds.platforms.iter().map(|kind| typed(&kind.description, &[])).collect();
    let notify: Vec<_> = kinds.notifications.iter().map(|kind| notification(&kind.description)).collect();
    let mut process = properties(PROCESS);
    for (name, default, doc) in BOUNDS {
        process.insert((*name).into(), json!({ "$ref": "#/$defs/dynos", "description": doc, "default": default }));
    }
    let rapid = object(properties(RAPID), required(RAPID));
    process.insert("scaling_too_rapid".into(), rapid);
    process.insert("measure".into(), json!({ "type": "array", "items": { "oneOf": measure } }));
    for gate in GATES.iter().filter(|gate| !gate.description.fields.is_empty()) {
        process.insert(gate.description.name.into(), gate_schema(&gate.description));
    }
    let mut app = properties(APP);
    app.insert("processes".into(), named(object(process, vec![])));
    let mut root = properties(ROOT);
    root.insert("platforms".into(), named(json!({ "oneOf": platform })));
    root.insert("apps".into(), named(object(app, vec!["processes"])));
    root.insert("notify".into(), json!({ "type": "array", "items": { "oneOf": notify } }));
    let mut server = properties(SERVER);
    server.insert("tls".into(), object(properties(TLS), required(TLS)));
    root.insert("server".into(), object(server, required(SERVER)));
    root.insert("store".into(), store_schema());
    let mut schema = object(root, vec!["platforms", "apps"]);
    if let Json::Object(schema) = &mut schema {
        schema.insert("$schema".into(), "https://json-schema.org/draft/2020-12/schema".into());
        schema.insert("title".into(), "Settings of autoscalebot".into());
        schema.insert("$defs".into(), definitions());
    }
    schema
}

/// `[store]`: its URL may stand elsewhere, as one with a password should.
fn store_schema() -> Json {
    let mut store = properties(STORE);
    if let Some(Json::Object(url)) = store.get_mut("url") {
        url.remove("minLength");
        if let Some(text) = url.remove("type") {
            let text = json!({ "type": text, "pattern": "^(sqlite|postgres|postgresql):." });
            url.insert("anyOf".into(), json!([text, { "$ref": "#/$defs/elsewhere" }]));
        }
    }
    object(store, required(STORE))
}

fn definitions() -> Json {
    let count = json!({ "type": "integer", "minimum": 0 });
    json!({
        "duration": { "type": "string", "pattern": DURATION },
        "dynos": { "oneOf": [count, {
            "type": "object", "minProperties": 1,
            "propertyNames": { "pattern": TIME }, "additionalProperties": count,
        }] },
        "elsewhere": { "oneOf": [
            object(one("env", json!({ "type": "string" })), vec!["env"]),
            object(one("file", json!({ "type": "string" })), vec!["file"]),
        ] },
        "secret": { "oneOf": [
            object(one("env", json!({ "type": "string" })), vec!["env"]),
            object(one("file", json!({ "type": "string" })), vec!["file"]),
            { "type": "string", "description": "The secret itself; better one of the other forms." },
        ] },
    })
}

fn one(name: &str, schema: Json) -> Map<String, Json> {
    Map::from_iter([(name.to_owned(), schema)])
}

fn object(properties: Map<String, Json>, required: Vec<&str>) -> Json {
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
}

/// A table whose keys are names of the user's.
fn named(entry: Json) -> Json {
    json!({ "type": "object", "minProperties": 1, "additionalProperties": entry })
}

fn required(fields: &[Field]) -> Vec<&'static str> {
    fields.iter().filter(|field| field.required).map(|field| field.name).collect()
}

fn properties(fields: &[Field]) -> Map<String, Json> {
    fields.iter().map(|field| (field.name.to_owned(), field_schema(field))).collect()
}

/// A section with a `type`, its kind's fields, and others.
fn typed(description: &Description, others: &[Field]) -> Json {
    let mut all = one("type", json!({ "const": description.name, "description": description.doc }));
    all.extend(properties(others));
    all.extend(properties(description.fields));
    let mut needed = vec!["type"];
    needed.extend(required(others));
    needed.extend(required(description.fields));
    object(all, needed)
}

fn measurement(description: &Description) -> Json {
    let policies: Vec<_> = POLICIES.iter().map(|policy| typed(&policy.description, &[])).collect();
    let mut schema = typed(description, MEASURE);
    schema["properties"]["decide"] = json!({ "oneOf": policies });
    if let Some(required) = schema["required"].as_array_mut() {
        required.push("decide".into());
    }
    schema
}

fn notification(description: &Description) -> Json {
    let mut schema = typed(description, NOTIFY);
    schema["properties"]["on"]["items"] = json!({ "enum": topics() });
    schema["properties"]["remind"] = json!({
        "description": schema["properties"]["remind"]["description"],
        "default": "1h",
        "anyOf": [{ "$ref": "#/$defs/duration" }, { "const": "never" }],
    });
    schema
}

fn gate_schema(description: &Description) -> Json {
    let table = object(properties(description.fields), required(description.fields));
    let bare = description.fields.iter().find(|field| description.shorthand.contains(&field.name));
    match bare {
        Some(field) => {
            json!({ "description": description.doc, "oneOf": [type_schema(field.kind), table] })
        }
        None => table,
    }
}

fn field_schema(field: &Field) -> Json {
    let mut schema = type_schema(field.kind);
    if let Json::Object(schema) = &mut schema {
        schema.insert("description".into(), field.doc.into());
        let value = |text: &str| toml_tree::parse_value(text).map(|node| as_json(&node));
        if let Some(default) = field.default.and_then(value) {
            schema.insert("default".into(), default);
        }
        if let Some(example) = value(field.example) {
            schema.insert("examples".into(), json!([example]));
        }
    }
    schema
}

fn type_schema(kind: FieldType) -> Json {
    let duration = json!({ "$ref": "#/$defs/duration" });
    match kind {
        FieldType::Text | FieldType::Path => json!({ "type": "string", "minLength": 1 }),
        FieldType::OneOf(words) => json!({ "enum": words }),
        FieldType::Counts(words) => json!({ "enum": words.iter().map(|(word, _)| *word).collect::<Vec<_>>() }),
        FieldType::Flag => json!({ "type": "boolean" }),
        FieldType::Whole(least, most) => json!({ "type": "integer", "minimum": least, "maximum": most }),
        FieldType::Number(least, most) => json!({ "type": "number", "minimum": least, "maximum": most }),
        FieldType::Duration(..) => duration,
        FieldType::Level => json!({ "anyOf": [duration, { "type": "number", "minimum": 0 }] }),
        FieldType::Url(schemes) => {
            let text = json!({ "type": "string", "format": "uri", "pattern": format!("^({})://", schemes.join("|")) });
            json!({ "anyOf": [text, { "$ref": "#/$defs/elsewhere" }] })
        }
        FieldType::Secret => json!({ "$ref": "#/$defs/secret" }),
        FieldType::Texts => json!({ "type": "array", "items": { "type": "string", "minLength": 1 } }),
        FieldType::TextTable => json!({ "type": "object", "additionalProperties": { "$ref": "#/$defs/secret" } }),
        FieldType::DynoTable => json!({ "$ref": "#/$defs/dynos" }),
        FieldType::WholeTable => {
            json!({ "type": "object", "additionalProperties": { "type": "integer", "minimum": 0 } })
        }
    }
}

fn as_json(node: &Node) -> Json {
    match &node.item {
        Item::Text(text) => text.as_str().into(),
        Item::Whole(number) => (*number).into(),
        Item::Number(number) => (*number).into(),
        Item::Flag(flag) => (*flag).into(),
        Item::List(list) => list.iter().map(as_json).collect(),
        Item::Table(table) => Json::Object(table.iter().map(|(key, node)| (key.to_owned(), as_json(node))).collect()),
        Item::Huge | Item::Date | Item::Nothing | Item::Unreadable(_) => Json::Null,
    }
}
