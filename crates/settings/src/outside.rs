//! [`Outside`]: what settings may ask of the world around them: environment variables and files. It comes in as a value, so
//! that a test needs no global state and everything past it is pure.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// The environment and the files, as settings see them.
#[derive(Clone, Copy)]
pub struct Outside<'a> {
    /// The value of an environment variable.
    pub variable: &'a (dyn Fn(&str) -> Option<String> + Sync),
    /// The names of the variables that are set, so that a misspelt one is found.
    pub variables: &'a (dyn Fn() -> Vec<String> + Sync),
    /// The text of a file.
    pub read: &'a (dyn Fn(&Path) -> io::Result<String> + Sync),
    /// The working folder.
    pub folder: &'a Path,
}

impl fmt::Debug for Outside<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outside").field("folder", &self.folder).finish_non_exhaustive()
    }
}

/// No settings or secret file is larger than this; the limit keeps a wrong path, such as a device, from filling the memory.
const LARGEST_FILE: u64 = 4 * 1024 * 1024;

/// An environment variable of this program.
pub fn variable(name: &str) -> Option<String> {
    // `var_os` is asked rather than `var` on a bad name: an empty name, or one with `=`, has no value and must not panic.
    if name.is_empty() || name.contains(['=', '\0']) {
        return None;
    }
    std::env::var(name).ok()
}

/// The names of this program's environment variables.
pub fn variables() -> Vec<String> {
    std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()).collect()
}

/// The text of a real file.
pub fn read(path: &Path) -> io::Result<String> {
    use io::Read as _;
    let mut text = String::new();
    std::fs::File::open(path)?.take(LARGEST_FILE + 1).read_to_string(&mut text)?;
    if text.len() as u64 > LARGEST_FILE {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "larger than 4 MiB"));
    }
    Ok(text)
}

impl<'a> Outside<'a> {
    /// The real environment and files, from this working folder.
    pub fn real(folder: &'a Path) -> Self {
        Self { variable: &variable, variables: &variables, read: &read, folder }
    }

    /// A variable that is set and not empty.
    pub(crate) fn set_variable(&self, name: &str) -> Option<String> {
        (self.variable)(name).filter(|value| !value.is_empty())
    }

    /// A path of the settings, against the working folder.
    pub(crate) fn path(&self, path: &Path) -> PathBuf {
        self.folder.join(path)
    }
}
