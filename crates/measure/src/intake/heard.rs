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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use autoscalebot_core::Secret;
    use autoscalebot_core::fields::{Value, Values};
    use reqwest::header::HeaderMap;

    use crate::intake::Intake;
    use crate::{MeasureContext, MeasureEntry};

    #[test]
    fn each_sender_is_told_apart_and_the_program_counts_them_all() {
        let now = "2026-11-25T12:00:00Z".parse().unwrap();
        let intake = Arc::new(Intake::new(move || now));
        let listen = |entry: MeasureEntry, process: &'static str, token: &str| {
            let mut values = Values::default();
            values.set("token", Value::Secret(Secret::new(token)));
            let context = MeasureContext { app: "shop", process, every: Duration::from_secs(10), intake: &intake };
            (entry.build)(&values, context).unwrap()
        };
        let listeners = [
            listen(crate::push::ENTRY, "worker", "tok-EXAMPLE-1234"),
            listen(crate::judoscale::ENTRY, "web", "tok-EXAMPLE-5678"),
            listen(crate::judoscale::ENTRY, "worker", "tok-EXAMPLE-5678"),
        ];
        let sent = |path: &str, body: &[u8]| {
            intake.admit("POST", path, &HeaderMap::new()).map(|ticket| ticket.accept(body).status)
        };
        assert_eq!(sent("/samples/tok-EXAMPLE-1234", b"{\"value\": 3, \"busy\": \"x\"}"), Ok(200));
        assert!(sent("/samples/tok-EXAMPLE-0000", b"{}").is_err());
        let mut heard = intake.heard();
        heard.sort_by_key(|heard| heard.kind);
        let [judoscale, push] = &heard[..] else { panic!("{heard:?}") };
        assert_eq!((judoscale.app.as_str(), &judoscale.processes[..]), ("shop", &["web".into(), "worker".into()][..]));
        assert_eq!((judoscale.last, judoscale.counts.requests), (None, 0));
        assert_eq!((push.app.as_str(), &push.processes[..]), ("shop", &["worker".into()][..]));
        assert_eq!((push.since, push.last), (Some(now), Some(now)));
        assert_eq!((push.counts.requests, push.counts.odd, push.counts.refused), (1, 1, 0));
        let all = intake.counts();
        assert_eq!((all.requests, all.odd, all.refused), (1, 1, 1));
        drop(listeners);
        assert_eq!(intake.heard(), [], "nobody listens any more");
    }
}
