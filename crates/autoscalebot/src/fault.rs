//! Why a command ends badly, and the one place that says so: with its exit code.

use std::process::ExitCode;

use autoscalebot_settings::Problems;

/// Why a command ends badly.
#[derive(Debug)]
pub(crate) enum Fault {
    /// Something failed at run time, or an assertion differs: exit code 1.
    Failed(String),
    /// Wrong usage: exit code 2.
    Usage(String),
    /// Wrong settings: exit code 2.
    Settings(Problems),
    /// The reader of standard output has gone, which is no fault of anybody.
    Gone,
}

impl Fault {
    /// A failure at run time.
    pub(crate) fn failed(message: impl ToString) -> Self {
        Self::Failed(message.to_string())
    }

    /// Wrong usage.
    pub(crate) fn usage(message: impl ToString) -> Self {
        Self::Usage(message.to_string())
    }

    /// Says why on standard error; the exit code.
    pub(crate) fn report(&self) -> ExitCode {
        match self {
            Self::Failed(message) => {
                eprintln!("error: {message}");
                ExitCode::FAILURE
            }
            Self::Usage(message) => {
                eprintln!("error: {message}");
                ExitCode::from(2)
            }
            Self::Settings(problems) => {
                for problem in problems.iter() {
                    eprintln!("{problem}");
                }
                let many = if problems.len() == 1 { "problem" } else { "problems" };
                eprintln!("error: {} {many} in the settings; nothing was started", problems.len());
                ExitCode::from(2)
            }
            Self::Gone => ExitCode::SUCCESS,
        }
    }
}

impl From<Problems> for Fault {
    fn from(problems: Problems) -> Self {
        Self::Settings(problems)
    }
}

impl From<std::io::Error> for Fault {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::BrokenPipe => Self::Gone,
            _ => Self::Failed(error.to_string()),
        }
    }
}
