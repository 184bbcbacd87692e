//! What came from one sender, for whoever asks whether anything arrives.

use jiff::Timestamp;

use super::counts::Counts;
use super::source::{Sender, Source};
use crate::{autoscale_agent, dynoscale, hirefire, judoscale, otlp, push, router};

/// A sender, and what came from it since the start of the program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// The kind of the measurements that listen.
    pub kind: &'static str,
    /// The app.
    pub app: String,
    /// The processes that listen, by name.
    pub processes: Vec<String>,
    /// When something came first; none: never.
    pub since: Option<Timestamp>,
    /// When something came last.
    pub last: Option<Timestamp>,
    /// How much.
    pub counts: Counts,
}

impl Heard {
    pub(crate) fn of(source: &Source) -> Self {
        let mut processes: Vec<_> = source.taps().iter().map(|tap| tap.process.to_string()).collect();
        processes.sort();
        processes.dedup();
        let owner = &*source.owner;
        // Of a process alone: its owner is APP/PROCESS.
        let app = processes.first().and_then(|process| owner.strip_suffix(&**process)?.strip_suffix('/'));
        let at = |ms: Option<i64>| ms.and_then(|ms| Timestamp::from_millisecond(ms).ok());
        Self {
            kind: kind(source.sender),
            app: app.unwrap_or(owner).to_owned(),
            processes,
            since: at(source.heard().map(|_| source.since())),
            last: at(source.heard()),
            counts: source.counters.read(),
        }
    }
}

/// The kind of measurement that listens to such a sender.
fn kind(sender: Sender) -> &'static str {
    let entry = match sender {
        Sender::Drain => router::ENTRY,
        Sender::Push => push::ENTRY,
        Sender::Judoscale => judoscale::ENTRY,
        Sender::HireFire => hirefire::ENTRY,
        Sender::Dynoscale => dynoscale::ENTRY,
        Sender::AutoscaleAgent => autoscale_agent::ENTRY,
        Sender::Otlp => otlp::ENTRY,
    };
    entry.kind.description.name
}
