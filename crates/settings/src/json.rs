//! Settings that a running Python computed, as one JSON object of 2.1's names; and whether a Python file can do without.
//!
//! The names are those of a Python settings file, with or without the prefix; one name in small letters, `source`, says how
//! messages name where the settings come from.

use std::collections::{BTreeMap, BTreeSet};

use autoscalebot_core::Secret;

use crate::legacy::{self, DJANGO, PREFIX, SETTINGS};
use crate::load::{Loaded, Source, finish, given, text};
use crate::outside::Outside;
use crate::problem::Problems;
use crate::reader::Reader;
use crate::tree::{Item, Node, Origin, Table};
use crate::{Kinds, environment, python};

/// How messages name the source where the object does not say.
const SOURCE: &str = "standard input";

/// Reads a JSON object of 2.1's settings, such as `manage.py run_autoscalebot` writes. Relative paths start from the working
/// folder.
pub fn from_json(text: &str, kinds: Kinds<'_>, outside: &Outside<'_>) -> Result<Loaded, Problems> {
    let (mut reader, tree) = read(text, kinds, outside)?;
    finish(&mut reader, &tree, Source::Json(Secret::new(text)))
}

/// The tree, and the reader that holds what is wrong with it.
pub(crate) fn read<'a>(
    text: &str,
    kinds: Kinds<'a>,
    outside: &'a Outside<'a>,
) -> Result<(Reader<'a>, Table), Problems> {
    // What serde_json says of bad text may quote it, and it is full of secrets.
    let Ok(serde_json::Value::Object(object)) = serde_json::from_str(text) else {
        return Err(Problems::one(Some(SOURCE.into()), "", "is no JSON object of settings"));
    };
    let source = object.get("source").and_then(|source| source.as_str());
    let source: String = source.unwrap_or(SOURCE).chars().filter(|c| !c.is_control()).collect();
    let mut reader = Reader::new(kinds, outside, source.into(), outside.folder.to_owned());
    reader.computed = true;
    let mut names = BTreeMap::new();
    for (name, value) in object.into_iter().filter(|(name, _)| name != "source") {
        let at = Origin::default().named(&name);
        names.insert(name, Node::new(environment::item(value, &at), at));
    }
    let given = given(&names, &BTreeSet::new(), &mut reader);
    let tree = legacy::translate(&mut reader, &given);
    Ok((reader, tree))
}

/// Whether every setting of a Python file can be known without running it. A file that is not there, or no Python that
/// this program reads, is for Python to look at.
pub fn is_literal(path: &std::path::Path, outside: &Outside<'_>) -> bool {
    let Ok(text) = text(path, "--settings", outside) else { return false };
    let Ok(module) = python::read(&text, &path.to_string_lossy().into(), outside) else { return false };
    let setting = |name: &str| {
        let name = name.strip_prefix(PREFIX).unwrap_or(name);
        SETTINGS.iter().any(|setting| setting.name == name) || DJANGO.contains(&name)
    };
    let needed = |name: &str| !module.names.keys().any(|name| name.starts_with(PREFIX)) || name.starts_with(PREFIX);
    let settings = module.names.iter().filter(|(name, _)| setting(name) && needed(name));
    module.star_import.is_none() && settings.into_iter().all(|(_, node)| readable(node))
}

fn readable(node: &Node) -> bool {
    match &node.item {
        Item::Unreadable(_) => false,
        Item::List(list) => list.iter().all(readable),
        Item::Table(table) => table.iter().all(|(_, node)| readable(node)),
        _ => true,
    }
}
