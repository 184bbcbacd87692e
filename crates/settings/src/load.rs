//! From text or tree to [`Loaded`].

use std::path::Path;
use std::sync::Arc;

use crate::outside::Outside;
use crate::problem::{Problem, Problems};
use crate::reader::Reader;
use crate::tree::Table;
use crate::{Kinds, Settings, assemble, toml_tree};

/// Settings that are good, and what is worth a warning all the same.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The settings.
    pub settings: Settings,
    /// What may be wrong, by line.
    pub warnings: Problems,
}

/// Reads TOML text. `file` is its path as messages name it; paths in the settings start from its folder.
pub fn from_toml(text: &str, file: &Path, kinds: Kinds<'_>, outside: &Outside<'_>) -> Result<Loaded, Problems> {
    let name: Arc<str> = file.to_string_lossy().into();
    let (tree, broken) = toml_tree::parse(text, &name);
    let folder = outside.path(file.parent().unwrap_or(Path::new("")));
    let mut reader = Reader::new(kinds, outside, name, folder);
    if !broken.is_empty() {
        // What follows a syntax error may be read in the wrong section; to tell of it would mislead.
        return Err(Problems::scrubbed(broken, &reader.secrets));
    }
    finish(&mut reader, &tree)
}

/// Reads a tree, whatever it came from.
pub(crate) fn finish(reader: &mut Reader<'_>, tree: &Table) -> Result<Loaded, Problems> {
    let settings = assemble::settings(reader, tree);
    let problems = std::mem::take(&mut reader.problems);
    let warnings = Problems::scrubbed(std::mem::take(&mut reader.warnings), &reader.secrets);
    match settings {
        Some(settings) if problems.is_empty() => Ok(Loaded { settings, warnings }),
        _ if problems.is_empty() => {
            // Unreachable as far as is known, and still no reason to start with settings that are not whole.
            let file = Some(Arc::clone(&reader.file));
            Err(Problems::scrubbed(
                vec![Problem { file, line: None, setting: String::new(), message: "can't be read".into() }],
                &[],
            ))
        }
        _ => Err(Problems::scrubbed(problems, &reader.secrets)),
    }
}
