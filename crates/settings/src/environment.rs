//! Settings in the environment only: 2.1's names with the prefix `AUTOSCALE_`; numbers and flags as words, tables and lists as
//! JSON.

use std::sync::Arc;

use crate::legacy::{DJANGO, Given, OF_PACKAGE, PREFIX, SETTINGS, Takes, misspelt};
use crate::outside::Outside;
use crate::reader::Reader;
use crate::tree::{Item, Node, Origin, Table};

/// How messages name this source.
pub(crate) const SOURCE: &str = "environment";

/// What the Django names take.
fn django_takes(name: &str) -> Takes {
    match name {
        "EMAIL_PORT" => Takes::Number,
        "EMAIL_USE_TLS" | "EMAIL_USE_SSL" => Takes::Flag,
        "ADMINS" => Takes::List,
        _ => Takes::Text,
    }
}

/// Whether any setting is there.
pub(crate) fn is_set(outside: &Outside<'_>) -> bool {
    SETTINGS.iter().any(|setting| outside.set_variable(&format!("{PREFIX}{}", setting.name)).is_some())
}

/// Reads what is set; an empty variable counts as not set.
pub(crate) fn read(reader: &mut Reader<'_>) -> Given {
    let outside = reader.outside;
    let mut given = Given { prefix: PREFIX, ..Given::default() };
    let known = SETTINGS.iter().map(|setting| (setting.name, setting.takes));
    for (name, takes) in known.chain(DJANGO.iter().map(|name| (*name, django_takes(name)))) {
        let variable = format!("{PREFIX}{name}");
        let Some(text) = outside.set_variable(&variable) else { continue };
        let at = Origin::default().named(&variable);
        let mut node = Node::new(value(&text, takes, &at), at);
        // A secret is then said to come from this variable, and not to stand in a file.
        node.variable = Some(Arc::from(variable));
        given.names.insert(name.to_owned(), node);
    }
    let mut names = (outside.variables)();
    names.sort_unstable();
    for name in names {
        let Some(bare) = name.strip_prefix(PREFIX) else { continue };
        if SETTINGS.iter().any(|setting| setting.name == bare) || DJANGO.contains(&bare) || OF_PACKAGE.contains(&bare) {
            continue;
        }
        let at = Origin::default().named(&name);
        match misspelt(bare) {
            Some(near) => reader.problem(&at, "", format!("is not a setting: did you mean {PREFIX}{near}?")),
            None => reader.warning(&at, "", "is no setting of 2.1, and is not read"),
        }
    }
    given
}

fn value(text: &str, takes: Takes, at: &Origin) -> Item {
    let word = text.trim();
    match takes {
        Takes::Text => Item::Text(text.to_owned()),
        Takes::Flag => match word.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" => Item::Flag(true),
            "false" | "0" | "no" => Item::Flag(false),
            "none" => Item::Nothing,
            _ => Item::Text(text.to_owned()),
        },
        _ if word.eq_ignore_ascii_case("none") => Item::Nothing,
        Takes::Number | Takes::Dynos | Takes::List | Takes::Section => {
            match serde_json::from_str::<serde_json::Value>(word) {
                Ok(json) => item(json, at),
                Err(_) => Item::Text(text.to_owned()),
            }
        }
    }
}

/// A JSON value as an item of the tree; all of it is set at the same place.
pub(crate) fn item(json: serde_json::Value, at: &Origin) -> Item {
    use serde_json::Value as Json;
    let node = |json| Node::new(item(json, at), at.clone());
    match json {
        Json::Null => Item::Nothing,
        Json::Bool(flag) => Item::Flag(flag),
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => Item::Whole(whole),
            (None, Some(number)) => Item::Number(number),
            (None, None) => Item::Huge,
        },
        Json::String(text) => Item::Text(text),
        Json::Array(list) => Item::List(list.into_iter().map(node).collect()),
        Json::Object(table) => Item::Table(Table(table.into_iter().map(|(key, json)| (key, node(json))).collect())),
    }
}
