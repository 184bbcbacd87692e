//! `import`: 2.1's settings as TOML text that means the same, and `init`: settings to start from.
//!
//! No secret is written: where 2.1's file held one, the TOML names an environment variable, and a comment says to set it.

use std::fmt::Write as _;

use crate::load::{Loaded, Source, environment_reader, finish, python_tree, reader, text};
use crate::outside::Outside;
use crate::problem::Problems;
use crate::tree::{Item, Node, Table, join};
use crate::{Kinds, environment, legacy};

/// TOML text made from settings of 2.1.
#[derive(Debug, Clone)]
pub struct Imported {
    /// The text.
    pub toml: String,
    /// What is worth a look, from the old settings.
    pub warnings: Problems,
}

/// Reads settings of 2.1, checks them as [`load`](crate::load) would, and writes the TOML that means the same. A variable
/// that holds a secret need not be set for this.
pub fn import(source: &Source, kinds: Kinds<'_>, outside: &Outside<'_>) -> Result<Imported, Problems> {
    match source {
        Source::Toml(path) => Err(Problems::one(
            Some(path.to_string_lossy().into()),
            "",
            "this is TOML already: import reads a Python settings file of 2.1",
        )),
        Source::Python(path) => import_python(&text(path, "import", outside)?, path, kinds, outside),
        Source::Json(text) => {
            let (mut reader, tree) = crate::json::read(text.expose(), kinds, outside)?;
            let from = reader.file.clone();
            let loaded = finish(&mut reader, &tree, source.clone())?;
            Ok(written(&tree, &from, loaded))
        }
        Source::Environment => {
            let mut reader = environment_reader(kinds, outside);
            let given = environment::read(&mut reader);
            let tree = legacy::translate(&mut reader, &given);
            let loaded = finish(&mut reader, &tree, Source::Environment)?;
            Ok(written(&tree, "AUTOSCALE_ variables", loaded))
        }
    }
}

/// [`import`] of the text of a Python file; pure.
pub fn import_python(
    text: &str,
    path: &std::path::Path,
    kinds: Kinds<'_>,
    outside: &Outside<'_>,
) -> Result<Imported, Problems> {
    // Past the Python text, only secrets are looked up, and their values are not needed here.
    let mut asking = reader(path, kinds, outside);
    let tree = python_tree(text, &mut asking)?;
    let variable = |name: &str| Some(outside.set_variable(name).unwrap_or_else(|| "not-set-while-importing".into()));
    let lenient = Outside { variable: &variable, ..*outside };
    let mut reader = reader(path, kinds, &lenient);
    reader.problems = std::mem::take(&mut asking.problems);
    reader.warnings = std::mem::take(&mut asking.warnings);
    reader.secrets = std::mem::take(&mut asking.secrets);
    let loaded = finish(&mut reader, &tree, Source::Python(path.to_owned()))?;
    Ok(written(&tree, &path.to_string_lossy(), loaded))
}

fn written(tree: &Table, from: &str, loaded: Loaded) -> Imported {
    let from: String = from.chars().filter(|c| !c.is_control()).collect();
    let mut toml = format!(
        "# Settings of autoscalebot, made by `autoscalebot import` from {from} of 2.1; they decide alike.\n\
         # docs/settings.md has every setting.\n"
    );
    section(&mut toml, "", tree);
    Imported { toml, warnings: loaded.warnings }
}

/// The variable that takes the place of a secret, by its key and the section it is in.
fn secret_variable(path: &str, key: &str) -> Option<&'static str> {
    match key {
        "api_key" => Some("HEROKU_API_KEY"),
        "password" if path.starts_with("notify") => Some("EMAIL_HOST_PASSWORD"),
        "password" => Some("HEARTBEAT_PASSWORD"),
        _ => None,
    }
}

/// What a key is for, above it.
fn comment(key: &str) -> Option<&'static str> {
    Some(match key {
        "time_zone" => "Whose clock the tables of min_dynos and max_dynos follow.",
        "reuse_connections" => "As 2.1: a new connection for each heartbeat, and its time counts.",
        "timeout" => "The most that a heartbeat may take in all; more is too slow.",
        "decide" => "refuse_zero: a step down to exactly 0 dynos fails, as in 2.1, instead of going to the minimum.",
        "scaling_too_rapid" => "Tells when the number of dynos moves by more than this within the time.",
        _ => return None,
    })
}

/// Tables whose entries are sections of their own.
const SECTIONS: &[&str] = &["platforms", "apps", "processes"];

fn section(out: &mut String, path: &str, table: &Table) {
    for (key, node) in table.iter() {
        let inner = SECTIONS.contains(&key) || matches!(key, "measure" | "notify");
        if inner {
            continue;
        }
        if let Some(comment) = comment(key) {
            let _ = writeln!(out, "# {comment}");
        }
        let mut value = inline(node);
        if let (Some(variable), Item::Text(_)) = (secret_variable(path, key), &node.item) {
            let _ = writeln!(out, "# The secret itself is not written here: set this variable to it.");
            value = format!("{{ env = {} }}", quoted(variable));
        }
        let _ = writeln!(out, "{} = {value}", join("", key));
    }
    for (key, node) in table.iter() {
        let path = join(path, key);
        match &node.item {
            Item::Table(inner) if SECTIONS.contains(&key) => {
                for (name, node) in inner.iter() {
                    let Item::Table(table) = &node.item else { continue };
                    let path = format!("{path}.{}", key_text(name));
                    let _ = writeln!(out, "\n[{path}]");
                    section(out, &path, table);
                }
            }
            Item::List(list) if matches!(key, "measure" | "notify") => {
                for node in list {
                    let Item::Table(table) = &node.item else { continue };
                    let _ = writeln!(out, "\n[[{path}]]");
                    section(out, &path, table);
                }
            }
            _ => {}
        }
    }
}

/// A key as TOML has it.
fn key_text(key: &str) -> String {
    let bare = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if bare { key.to_owned() } else { quoted(key) }
}

fn inline(node: &Node) -> String {
    match &node.item {
        Item::Text(text) => quoted(text),
        Item::Whole(number) => number.to_string(),
        Item::Number(number) => format!("{number:?}"),
        Item::Flag(flag) => flag.to_string(),
        Item::List(list) => format!("[{}]", list.iter().map(inline).collect::<Vec<_>>().join(", ")),
        Item::Table(table) => {
            let entries: Vec<_> =
                table.iter().map(|(key, node)| format!("{} = {}", key_text(key), inline(node))).collect();
            format!("{{ {} }}", entries.join(", "))
        }
        // None of these passes the checks before.
        Item::Huge | Item::Date | Item::Nothing | Item::Unreadable(_) => quoted(""),
    }
}

/// A text as TOML's basic string.
fn quoted(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => {
                let _ = write!(out, "\\U{:08X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// The platforms that [`starter`] has settings for.
pub const STARTERS: &[&str] = &["heroku", "local"];

/// Settings to start from, with comments, for one of [`STARTERS`].
pub fn starter(platform: &str) -> Option<&'static str> {
    match platform {
        "heroku" => Some(include_str!("../../../examples/heroku.toml")),
        "local" => Some(include_str!("../../../examples/local.toml")),
        _ => None,
    }
}
