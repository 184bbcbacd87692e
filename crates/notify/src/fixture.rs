//! An event to tell, for the tests of every channel, and what it is written on.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use autoscalebot_core::policy::Proposal;
use autoscalebot_core::record::Reason;
use autoscalebot_core::record::{GateNote, Measured};
use autoscalebot_core::{
    Action, BoundsInForce, Call, Condition, Detail, Dynos, Event, EventKind, Failure, InForce, Phrase, Reading, Record,
    Unit, Verdict,
};
use jiff::{SignedDuration, Timestamp};
use smallvec::smallvec;

/// Keeps what is written.
#[derive(Clone, Default)]
pub(crate) struct Paper(Arc<Mutex<Vec<u8>>>);

impl Paper {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An instant in the summer of 2012, and so many seconds later.
pub(crate) fn at(secs: i64) -> Timestamp {
    "2012-07-10T03:59:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_secs(secs)
}

/// A tick of shop/web with these conditions.
pub(crate) fn record(secs: i64, conditions: &[Condition]) -> Record {
    let bound = |dynos: Dynos| InForce { dynos, since: None };
    Record {
        at: at(secs),
        app: "shop".into(),
        process: "web".into(),
        before: Some(3),
        after: Some(4),
        bounds: BoundsInForce { min: bound(1), max: bound(5) },
        measured: smallvec![
            Measured {
                name: "heartbeat".into(),
                unit: Unit::Milliseconds,
                sampled_at: Some(at(secs)),
                reading: Reading::Value(1074.25),
                detail: Detail::default(),
                verdict: Verdict::TooHigh,
                point: None,
                proposal: Proposal::want(4, Phrase::with("{0} readings in a row were too high", [3.0])),
                shadow: false,
                advice: None,
            },
            Measured {
                name: "queue".into(),
                unit: Unit::Jobs,
                sampled_at: None,
                reading: Reading::Failed(Failure::Timeout),
                detail: Detail::default(),
                verdict: Verdict::Unknown,
                point: None,
                proposal: Proposal::unknown(Phrase::new("no reading")),
                shadow: false,
                advice: None,
            },
        ],
        verdict: Verdict::TooHigh,
        proposed: Some(4),
        desired: Some(4),
        action: Action::Set(4),
        call: Call::Ok,
        gates: smallvec![GateNote { gate: "cooldown", why: Phrase::with("{0} s are left", [20.0]) }],
        conditions: conditions.iter().copied().collect(),
        reason: Reason::Policy(0),
        dynos_error: None,
        call_error: None,
        pause: None,
        ready: None,
        released_at: None,
    }
}

/// An event of such a tick.
pub(crate) fn event(secs: i64, kind: EventKind, conditions: &[Condition]) -> Event {
    let record = Arc::new(record(secs, conditions));
    Event {
        at: record.at,
        app: Arc::clone(&record.app),
        process: Arc::clone(&record.process),
        dynos: record.after,
        kind,
        record,
    }
}

/// A scale from 3 to 4 dynos.
pub(crate) fn scaled(secs: i64) -> Event {
    event(secs, EventKind::Scaled { from: 3, to: 4 }, &[])
}
