//! A bar on standard error, for work that takes long enough to wonder about.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use autoscalebot_simulate::Progress;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Work that is over by then shows nothing.
const SHOWN_AFTER: Duration = Duration::from_secs(2);

/// The bar, shown only on a terminal.
pub(crate) struct Bar {
    bar: ProgressBar,
    began: Instant,
}

impl Bar {
    pub(crate) fn new() -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos} of {len} runs, {eta} to go") {
            bar.set_style(style);
        }
        Self { bar, began: Instant::now() }
    }

    /// Is told of each run, from any thread.
    pub(crate) fn tell(&self, progress: Progress) {
        if self.bar.is_hidden() && self.began.elapsed() >= SHOWN_AFTER && std::io::stderr().is_terminal() {
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        self.bar.set_length(progress.total as u64);
        self.bar.set_position(progress.done as u64);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
