//! Log lines of an app that a platform produces itself: what its dynos print, what happens to them, and one router line a
//! request, in the words and format of Heroku's log stream.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::broadcast;

/// One line of an app's log stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// The platform's name in the settings.
    pub platform: Arc<str>,
    /// When it was received.
    pub at: Timestamp,
    /// Who says it: `heroku` for the platform, `app` for what dynos print.
    pub source: &'static str,
    /// `router`, or the dyno (`web.1`).
    pub process: Arc<str>,
    /// The text, without its line end.
    pub text: Arc<str>,
}

impl fmt::Display for LogLine {
    /// As Heroku's `logs` command shows it: `2026-05-04T08:24:25+00:00 heroku[router]: at=info …`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.at.strftime("%Y-%m-%dT%H:%M:%S%.6f+00:00");
        write!(f, "{at} {}[{}]: {}", self.source, self.process, self.text)
    }
}

/// Where log lines go: any number of readers, each of which loses the oldest lines when it is too slow. Sending never waits.
#[derive(Debug, Clone)]
pub struct LogSink {
    lines: broadcast::Sender<LogLine>,
    platform: Arc<str>,
}

impl Default for LogSink {
    fn default() -> Self {
        Self { lines: broadcast::channel(4096).0, platform: "".into() }
    }
}

impl LogSink {
    /// The same for one platform, whose name its lines carry.
    pub fn of(&self, platform: &str) -> Self {
        Self { lines: self.lines.clone(), platform: platform.into() }
    }

    /// Sends a line to whoever reads.
    pub fn send(&self, source: &'static str, process: impl Into<Arc<str>>, text: impl Into<Arc<str>>) {
        let platform = Arc::clone(&self.platform);
        let line = LogLine { platform, at: Timestamp::now(), source, process: process.into(), text: text.into() };
        // Nobody reading is no fault.
        let _ = self.lines.send(line);
    }

    /// Reads the lines sent from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<LogLine> {
        self.lines.subscribe()
    }
}
