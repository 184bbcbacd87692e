//! The files of a local app: its Procfile and its `.env`. Opened here, read in `procfile` and `dotenv`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use autoscalebot_core::Dynos;

use super::Options;
use super::dotenv;
use super::procfile::Procfile;

/// The longest file that is read; a larger one is something else.
const SIZE_MAX: u64 = 1_000_000;

/// What the files say.
#[derive(Debug)]
pub(super) struct Files {
    pub(super) procfile: Procfile,
    pub(super) variables: BTreeMap<String, String>,
    /// The Procfile's folder.
    pub(super) folder: PathBuf,
}

impl Files {
    /// Reads both; a fault is a sentence that names the setting, the file and the line.
    pub(super) fn read(options: &Options) -> Result<Self, String> {
        let path = &options.procfile;
        let text = text(path).map_err(|why| format!("procfile: {} {why}", path.display()))?;
        let procfile = Procfile::parse(&text).map_err(|faults| {
            let faults: Vec<_> = faults.iter().map(ToString::to_string).collect();
            format!("procfile: {}: {}", path.display(), faults.join("; "))
        })?;
        if let Some(unknown) = options.formation.keys().find(|process| !procfile.commands.contains_key(*process)) {
            return Err(format!("formation: {} has no process type `{unknown}`", path.display()));
        }
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
            _ => PathBuf::from("."),
        };
        let variables = variables(options, &folder)?;
        Ok(Self { procfile, variables, folder })
    }

    /// The quantity of every process type to start with.
    pub(super) fn start_quantities(&self, options: &Options) -> BTreeMap<String, Dynos> {
        let quantity = |process: &String| options.formation.get(process).copied().unwrap_or(1);
        self.procfile.commands.keys().map(|process| (process.clone(), quantity(process))).collect()
    }
}

fn variables(options: &Options, folder: &Path) -> Result<BTreeMap<String, String>, String> {
    let path = match &options.env_file {
        Some(path) => path.clone(),
        None => {
            let beside = folder.join(".env");
            if !beside.exists() {
                return Ok(BTreeMap::new());
            }
            beside
        }
    };
    let text = text(&path).map_err(|why| format!("env_file: {} {why}", path.display()))?;
    dotenv::parse(&text).map_err(|fault| format!("env_file: {}: {fault}", path.display()))
}

fn text(path: &Path) -> Result<String, String> {
    let file = File::open(path).map_err(|error| format!("cannot be opened: {error}"))?;
    let mut text = String::new();
    file.take(SIZE_MAX + 1).read_to_string(&mut text).map_err(|error| format!("cannot be read: {error}"))?;
    if text.len() as u64 > SIZE_MAX { Err(format!("is longer than {SIZE_MAX} bytes")) } else { Ok(text) }
}
