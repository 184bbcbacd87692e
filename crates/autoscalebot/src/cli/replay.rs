//! The flags of `replay`.

use std::path::{Path, PathBuf};

use clap::{ArgAction, Args};

use crate::fault::Fault;

/// What a bare `--assert` stands for.
const THEN: &str = "then";

#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// Tick lines (JSON); - is standard input
    #[arg(value_name = "TRACE")]
    trace: Option<PathBuf>,

    /// The quantity before the first tick, where its line does not say
    #[arg(long, value_name = "N")]
    pub(crate) dynos: Option<u32>,

    /// Only this process; needed where the settings have several and the lines do not name theirs
    #[arg(long, value_name = "NAME")]
    pub(crate) process: Option<String>,

    /// What must hold at the end of each process, such as 'changes <= 4, slow_share < 1%'. Without WHAT (or with `then`):
    /// compare each record with the line's "then", and fail at the first difference. May be given twice
    #[arg(long = "assert", value_name = "WHAT", num_args = 0..=1, default_missing_value = THEN, action = ArgAction::Append)]
    asserts: Vec<String>,
}

impl ReplayArgs {
    /// The trace. `--assert TRACE` asserts nothing about figures: what follows the flag compares nothing, and is the trace.
    pub(crate) fn trace(&self) -> Result<&Path, Fault> {
        match (&self.trace, self.swallowed()) {
            (Some(trace), _) => Ok(trace),
            (None, Some(trace)) => Ok(Path::new(trace)),
            (None, None) => Err(Fault::usage("replay reads tick lines: name their file, or - for standard input")),
        }
    }

    /// Whether records are compared with their line's `then`.
    pub(crate) fn then(&self) -> bool {
        self.asserts.iter().any(|what| what == THEN) || self.swallowed().is_some()
    }

    /// What is said about figures, by the language of [`autoscalebot_simulate::assert`].
    pub(crate) fn about_figures(&self) -> impl Iterator<Item = &str> {
        let swallowed = self.swallowed();
        self.asserts.iter().map(String::as_str).filter(move |what| *what != THEN && Some(*what) != swallowed)
    }

    fn swallowed(&self) -> Option<&str> {
        let names_a_file = |what: &&String| *what != THEN && !autoscalebot_simulate::assert::compares(what);
        let found = self.asserts.iter().find(names_a_file).filter(|_| self.trace.is_none());
        found.map(String::as_str)
    }
}
