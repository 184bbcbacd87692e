//! What a person sees while the demo runs: a line a second on standard error.

use std::io::{IsTerminal, Write};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::Duration;

use autoscalebot_core::Record;

use super::load::Load;
use super::told::Told;

/// What a person sees.
#[derive(Debug)]
pub(crate) struct Show {
    /// Nothing is shown.
    pub(crate) quiet: bool,
    /// Where the sample app is.
    pub(crate) app: SocketAddr,
    /// Where the dashboard is.
    pub(crate) dashboard: SocketAddr,
    /// How long it lasts.
    pub(crate) length: Duration,
}

impl Show {
    /// Says what is to be seen, and where.
    pub(crate) fn begin(&self, no_open: bool) {
        let Self { quiet, app, dashboard, length } = self;
        if *quiet {
            return;
        }
        let secs = length.as_secs();
        // Nobody reading standard error is no reason to stop.
        let _ = write!(
            std::io::stderr(),
            "a sample app runs on http://{app}/; for {secs} s it gets visitors: calm, a surge, calm\n\
             watch it on the dashboard: http://{dashboard}/\n\
             its router tells of every request, and there shall be just enough dynos for 95 % of them within 500 ms;\n\
             beside it the rule of 2.1 watches in the shadow: one heartbeat a second, 3 over 1 s for a dyno more\n\n"
        );
        if !no_open && std::io::stdout().is_terminal() {
            // Where there is no browser there is nothing to see, and the demo goes on.
            let _ = Command::new("xdg-open")
                .arg(format!("http://{dashboard}/"))
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn();
        }
    }

    /// Never ends: shows each second until it is dropped.
    pub(crate) async fn progress(&self, load: &Load, told: &Told) {
        let mut beat = tokio::time::interval(Duration::from_secs(1));
        let mut sent_before = 0;
        loop {
            beat.tick().await;
            if self.quiet {
                continue;
            }
            let now = load.elapsed();
            // Those who came, answered or not: in a surge most still wait.
            let sent = load.so_far().sent;
            let came = sent - std::mem::replace(&mut sent_before, sent);
            let said = told.newest().map(|record| said(&record)).unwrap_or_default();
            let _ = writeln!(std::io::stderr(), "{:>3} s  {came:>3} visitors/s{said}", now.as_secs());
        }
    }

    /// Leaves room for the summary.
    pub(crate) fn end(&self) {
        if !self.quiet {
            let _ = writeln!(std::io::stderr());
        }
    }
}

/// A decision in a line, with what the shadow wants where that is something else.
fn said(record: &Record) -> String {
    let dynos = record.after.map_or_else(|| "?".into(), |dynos| dynos.to_string());
    let shadow = record.measured.iter().find(|measured| measured.shadow);
    let other = shadow.and_then(|measured| measured.proposal.desired).filter(|wanted| Some(*wanted) != record.after);
    let other = other.map_or_else(String::new, |wanted| format!(" (2.1: {wanted})"));
    format!("  dynos {dynos}{other}  {}", record.sentence())
}
