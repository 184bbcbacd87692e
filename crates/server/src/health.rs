//! `/healthz`: the program is alive. `/readyz`: every process ticks on time. Neither tells anything else, as neither needs a
//! token.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::state::Shared;

/// Alive.
pub(crate) async fn alive() -> Response {
    ([(header::CACHE_CONTROL, "no-store")], "ok\n").into_response()
}

/// Ticking on time: no process's newest record is older than three intervals and a minute.
pub(crate) async fn ready(State(shared): State<Arc<Shared>>) -> Response {
    let now = shared.clock.now();
    let late = shared.processes.values().filter(|known| shared.is_late(known, shared.newest(known).as_deref(), now));
    let (processes, late) = (shared.processes.len(), late.count());
    let status = if late == 0 { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let headers = [(header::CACHE_CONTROL, "no-store"), (header::CONTENT_TYPE, "application/json")];
    (status, headers, json!({ "ready": late == 0, "processes": processes, "late": late }).to_string()).into_response()
}
