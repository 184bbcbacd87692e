//! The log: text on a terminal, JSON lines elsewhere, on standard error.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::fault::Fault;

/// Starts the log with a filter such as `info` or `autoscalebot_engine=debug,warn`.
pub(crate) fn start(filter: &str) -> Result<(), Fault> {
    let filter = EnvFilter::try_new(filter).map_err(|error| Fault::usage(format!("--log {filter}: {error}")))?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = if std::io::stderr().is_terminal() {
        let colour = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        log.with_ansi(colour).try_init()
    } else {
        log.json().flatten_event(true).try_init()
    };
    started.map_err(Fault::failed)
}
