//! What came from whoever sends measurements to this program, by sender: whether anything arrives at all.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use jiff::Timestamp;
use serde::Serialize;

use crate::problem::Problem;
use crate::reply;
use crate::state::Shared;

#[derive(Serialize)]
struct Senders {
    now: Timestamp,
    /// Since when all is counted.
    started: Timestamp,
    senders: Vec<Sender>,
}

/// One sender, without its token.
#[derive(Serialize)]
struct Sender {
    kind: &'static str,
    app: String,
    processes: Vec<String>,
    since: Option<Timestamp>,
    last: Option<Timestamp>,
    counts: BTreeMap<&'static str, u64>,
}

/// Every sender that a measurement listens to.
pub(crate) async fn senders(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Result<Response, Problem> {
    let mut senders: Vec<_> = shared
        .intake
        .heard()
        .into_iter()
        .map(|heard| Sender {
            kind: heard.kind,
            app: heard.app,
            processes: heard.processes,
            since: heard.since,
            last: heard.last,
            counts: heard.counts.list().into_iter().map(|(name, _, count)| (name, count)).collect(),
        })
        .collect();
    senders.sort_by(|one, other| (&one.app, one.kind, &one.processes).cmp(&(&other.app, other.kind, &other.processes)));
    reply::json(&headers, &Senders { now: shared.clock.now(), started: shared.started, senders })
}
