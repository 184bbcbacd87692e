//! Where settings come from: a TOML file, a Python file of 2.1, or the environment; and the way from there to [`Loaded`].
//!
//! [`load`] finds and reads the file; [`from_toml`], [`from_python`] and [`from_environment`] are pure.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use autoscalebot_core::Secret;

use crate::legacy::{self, DJANGO, Given, OF_PACKAGE, PREFIX, SETTINGS};
use crate::outside::Outside;
use crate::problem::{Problem, Problems};
use crate::reader::Reader;
use crate::tree::{Node, Origin, Table};
use crate::{Kinds, Settings, assemble, environment, python, toml_tree};

/// Settings that are good, and what is worth a warning all the same.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The settings.
    pub settings: Settings,
    /// Where they come from.
    pub source: Source,
    /// What may be wrong, by line.
    pub warnings: Problems,
}

/// Where settings come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A TOML file.
    Toml(PathBuf),
    /// A Python settings file of 2.1.
    Python(PathBuf),
    /// A JSON object of 2.1's settings, from a running Python; see [`from_json`](crate::from_json). It holds secrets.
    Json(Secret),
    /// The environment, with 2.1's names and the prefix `AUTOSCALE_`.
    Environment,
}

impl Source {
    /// What `--settings` names: a file where it ends in `.py`, else a module, looked for from the working folder.
    pub fn python(module_or_file: &str) -> Self {
        if module_or_file.ends_with(".py") {
            return Self::Python(module_or_file.into());
        }
        Self::Python(format!("{}.py", module_or_file.replace('.', "/")).into())
    }

    /// Where settings are when the command line does not say: `autoscalebot.toml` in the working folder, then in the user's
    /// configuration folder, then the environment.
    pub fn find(outside: &Outside<'_>) -> Result<Self, Problems> {
        let name = Path::new("autoscalebot.toml");
        let config = outside
            .set_variable("XDG_CONFIG_HOME")
            .map(PathBuf::from)
            .or_else(|| outside.set_variable("HOME").map(|home| Path::new(&home).join(".config")));
        let places = [Some(name.to_owned()), config.map(|config| config.join("autoscalebot").join(name))];
        for place in places.into_iter().flatten() {
            // A file that is there and can't be read is an error, not a reason to look elsewhere.
            match (outside.read)(&outside.path(&place)) {
                Err(error)
                    if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => {}
                _ => return Ok(Self::Toml(place)),
            }
        }
        if environment::is_set(outside) {
            return Ok(Self::Environment);
        }
        Err(Problems::one(
            None,
            "",
            "no settings were found: there is no autoscalebot.toml here or in the configuration folder, and no AUTOSCALE_ \
             variable in the environment. Write one with `autoscalebot init`, see it work with `autoscalebot demo`, or name \
             a file with --config or --settings",
        ))
    }
}

/// Reads settings from where they are.
pub fn load(source: &Source, kinds: Kinds<'_>, outside: &Outside<'_>) -> Result<Loaded, Problems> {
    match source {
        Source::Toml(path) => from_toml(&text(path, "--config", outside)?, path, kinds, outside),
        Source::Python(path) => from_python(&text(path, "--settings", outside)?, path, kinds, outside),
        Source::Json(text) => crate::json::from_json(text.expose(), kinds, outside),
        Source::Environment => from_environment(kinds, outside),
    }
}

pub(crate) fn text(path: &Path, option: &str, outside: &Outside<'_>) -> Result<String, Problems> {
    (outside.read)(&outside.path(path)).map_err(|error| {
        let why = match error.kind() {
            std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
            std::io::ErrorKind::InvalidData => "it is not UTF-8 text".to_owned(),
            kind => kind.to_string(),
        };
        let file: Arc<str> = path.to_string_lossy().into();
        Problems::one(Some(file), option, format!("the settings file can't be read: {why}"))
    })
}

pub(crate) fn reader<'a>(path: &Path, kinds: Kinds<'a>, outside: &'a Outside<'a>) -> Reader<'a> {
    let folder = outside.path(path.parent().unwrap_or(Path::new("")));
    Reader::new(kinds, outside, path.to_string_lossy().into(), folder)
}

/// Reads TOML text. `path` is as messages name it; paths in the settings start from its folder.
pub fn from_toml(text: &str, path: &Path, kinds: Kinds<'_>, outside: &Outside<'_>) -> Result<Loaded, Problems> {
    let mut reader = reader(path, kinds, outside);
    let (tree, broken) = toml_tree::parse(text, &reader.file);
    if !broken.is_empty() {
        // What follows a syntax error may be read in the wrong section; to tell of it would mislead.
        return Err(Problems::scrubbed(broken, &reader.secrets));
    }
    finish(&mut reader, &tree, Source::Toml(path.to_owned()))
}

/// Reads the text of a Python settings file of 2.1, or of a Django settings file with the prefix, without running it.
pub fn from_python(text: &str, path: &Path, kinds: Kinds<'_>, outside: &Outside<'_>) -> Result<Loaded, Problems> {
    let mut reader = reader(path, kinds, outside);
    let tree = python_tree(text, &mut reader)?;
    finish(&mut reader, &tree, Source::Python(path.to_owned()))
}

/// Reads the environment, with 2.1's names and the prefix `AUTOSCALE_`.
pub fn from_environment(kinds: Kinds<'_>, outside: &Outside<'_>) -> Result<Loaded, Problems> {
    let mut reader = environment_reader(kinds, outside);
    let given = environment::read(&mut reader);
    let tree = legacy::translate(&mut reader, &given);
    finish(&mut reader, &tree, Source::Environment)
}

pub(crate) fn environment_reader<'a>(kinds: Kinds<'a>, outside: &'a Outside<'a>) -> Reader<'a> {
    Reader::new(kinds, outside, environment::SOURCE.into(), outside.folder.to_owned())
}

/// The tree of a Python file; the reader holds what is wrong with it besides its syntax.
pub(crate) fn python_tree(text: &str, reader: &mut Reader<'_>) -> Result<Table, Problems> {
    let module = python::read(text, &reader.file, reader.outside).map_err(|broken| Problems::scrubbed(broken, &[]))?;
    let given = given(&module.names, &module.used, reader);
    let hint = module.star_import.map(|line| format!(" in this file (line {line} imports names that are not read)"));
    let given = Given { hint: hint.unwrap_or_default(), ..given };
    hide_variables(&given, reader);
    Ok(legacy::translate(reader, &given))
}

/// The names that are settings of 2.1, with the prefix where any has it. Names in `used` are helpers of other values.
pub(crate) fn given(names: &BTreeMap<String, Node>, used: &BTreeSet<String>, reader: &mut Reader<'_>) -> Given {
    let django = names.keys().any(|name| name.starts_with(PREFIX));
    let prefix = if django { PREFIX } else { "" };
    for (name, node) in names {
        let known = |name: &str| SETTINGS.iter().any(|setting| setting.name == name) || DJANGO.contains(&name);
        let Some(bare) = name.strip_prefix(prefix).filter(|bare| !known(bare)) else { continue };
        let Some(near) = legacy::misspelt(bare) else {
            if django && !OF_PACKAGE.contains(&bare) {
                reader.warning(&node.at, name, "is no setting of 2.1, and is not read");
            }
            continue;
        };
        let message = format!("is not a setting: did you mean {prefix}{near}?");
        // A name that another value was made from is a helper of the user's own.
        if used.contains(name) {
            reader.warning(&node.at, name, message);
        } else {
            reader.problem(&node.at, name, message);
        }
    }
    let own = names.iter().filter_map(|(name, node)| Some((name.strip_prefix(prefix)?.to_owned(), node.clone())));
    let mut given = Given { names: own.collect(), prefix, hint: String::new() };
    if django {
        // Django's own settings have no prefix; one with the prefix goes first.
        for name in DJANGO.iter().copied().chain(["TIME_ZONE"]) {
            if let (false, Some(node)) = (given.names.contains_key(name), names.get(name)) {
                given.names.insert(name.to_owned(), node.clone());
            }
        }
    }
    given
}

/// What a Python file reads from the environment may be anything, in any setting: no message shows it.
fn hide_variables(given: &Given, reader: &mut Reader<'_>) {
    for node in given.names.values() {
        if let Node { item: crate::tree::Item::Text(text), variable: Some(_), .. } = node {
            reader.hide(text);
        }
    }
}

/// Reads a tree, whatever it came from.
pub(crate) fn finish(reader: &mut Reader<'_>, tree: &Table, source: Source) -> Result<Loaded, Problems> {
    let settings = assemble::settings(reader, tree);
    if settings.is_none() && reader.problems.is_empty() {
        // Unreachable as far as is known, and still no reason to start with settings that are not whole.
        reader.problem(&Origin::default(), "", "the settings can't be read");
    }
    let problems: Vec<Problem> = std::mem::take(&mut reader.problems);
    let warnings = Problems::scrubbed(std::mem::take(&mut reader.warnings), &reader.secrets);
    match settings {
        Some(settings) if problems.is_empty() => Ok(Loaded { settings, source, warnings }),
        _ => Err(Problems::scrubbed(problems, &reader.secrets)),
    }
}
