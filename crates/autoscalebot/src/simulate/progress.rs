//! A bar on standard error, for work that takes long enough to wonder about.

use std::io::{IsTerminal, Read};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::time::Duration;

use autoscalebot_simulate::Progress;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Work that is over by then shows nothing.
const SHOWN_AFTER: Duration = Duration::from_secs(2);

/// The bar, shown only on a terminal.
pub(crate) struct Bar {
    bar: ProgressBar,
    /// Its end tells who waits to show the bar.
    _end: Sender<()>,
}

impl Bar {
    /// A bar of runs.
    pub(crate) fn new() -> Self {
        Self::with("{bar:40} {pos} of {len} runs, {eta} to go", None)
    }

    /// A bar of bytes that are read; of an unknown number, what was read alone.
    pub(crate) fn of_bytes(length: Option<u64>) -> Self {
        let known = length.is_some();
        Self::with(
            if known { "{bar:40} {bytes} of {total_bytes} read, {eta} to go" } else { "{spinner} {bytes} read" },
            length,
        )
    }

    fn with(template: &str, length: Option<u64>) -> Self {
        let bar = ProgressBar::with_draw_target(length, ProgressDrawTarget::hidden());
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        let (end, ended) = mpsc::channel();
        if std::io::stderr().is_terminal() {
            let bar = bar.clone();
            std::thread::spawn(move || {
                // One long run tells nothing until it is over.
                if ended.recv_timeout(SHOWN_AFTER) == Err(RecvTimeoutError::Timeout) {
                    bar.set_draw_target(ProgressDrawTarget::stderr());
                    bar.tick();
                }
            });
        }
        Self { bar, _end: end }
    }

    /// Is told of each run, from any thread.
    pub(crate) fn tell(&self, progress: Progress) {
        self.bar.set_length(progress.total as u64);
        self.bar.set_position(progress.done as u64);
    }

    /// Is told of whatever is read through it.
    pub(crate) fn reading<'a>(&self, from: impl Read + 'a) -> impl Read + 'a {
        self.bar.wrap_read(from)
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
