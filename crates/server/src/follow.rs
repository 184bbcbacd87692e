//! Follows the engine's events: keeps them, counts them, and makes each into one message for all listeners of the stream.

use std::sync::Arc;

use autoscalebot_core::{Event, EventKind, Record};
use serde::Serialize;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use crate::api::processes::Row;
use crate::state::{Message, Shared};

/// An event as the API shows it, and the store keeps it.
#[derive(Debug, Serialize)]
pub(crate) struct EventShown<'a> {
    at: jiff::Timestamp,
    app: &'a str,
    process: &'a str,
    event: &'static str,
    topic: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<jiff::Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<u32>,
    dynos: Option<u32>,
    text: String,
}

impl<'a> EventShown<'a> {
    pub(crate) fn new(event: &'a Event) -> Self {
        let since = match &event.kind {
            EventKind::ConditionEnded(_, since) | EventKind::ConditionHolds(_, since) => Some(*since),
            _ => None,
        };
        let (from, to) = match event.kind {
            EventKind::Scaled { from, to } => (Some(from), Some(to)),
            _ => (None, None),
        };
        Self {
            at: event.at,
            app: &event.app,
            process: &event.process,
            event: event.kind.name(),
            topic: event.kind.topic(),
            since,
            from,
            to,
            dynos: event.dynos,
            text: event.to_string(),
        }
    }
}

/// What a tick sends to the listeners: the row of the overview, and the record.
#[derive(Serialize)]
struct Ticked<'a> {
    row: Row<'a>,
    record: &'a Record,
}

/// Follows until the engine is gone.
pub(crate) async fn follow(shared: Arc<Shared>, mut events: Receiver<Event>) {
    loop {
        match events.recv().await {
            Ok(event) => take(&shared, &event),
            Err(RecvError::Lagged(missed)) => {
                shared.counters.lost(missed);
                tracing::warn!(missed, "events were too many for the dashboard; some are left out");
            }
            Err(RecvError::Closed) => return,
        }
    }
}

fn take(shared: &Shared, event: &Event) {
    shared.counters.count(event);
    shared.past.ring.keep(event);
    if shared.stream.receiver_count() == 0 {
        return;
    }
    let data = if event.kind == EventKind::Decided {
        let key = autoscalebot_store::ProcessKey::new(&*event.app, &*event.process);
        let Some(known) = shared.processes.get(&key) else { return };
        let row = Row::new(shared, known, Some(&event.record), shared.clock.now());
        serde_json::to_string(&Ticked { row, record: &event.record })
    } else {
        serde_json::to_string(&EventShown::new(event))
    };
    let Ok(data) = data else { return };
    let message =
        Message { name: event.kind.name(), app: Arc::clone(&event.app), process: Arc::clone(&event.process), data };
    // Nobody listening any more is no fault.
    let _ = shared.stream.send(Arc::new(message));
}
