//! Server-sent events: `decided` with the row and the record of each tick, and every other event by its own name.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::Deserialize;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use crate::problem::Problem;
use crate::state::{Message, Shared};

/// A comment comes so often when nothing happens, so that proxies keep the connection and a reader that is gone is noticed.
const BEAT: Duration = Duration::from_secs(10);

/// Which events are wanted.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StreamQuery {
    app: Option<String>,
    process: Option<String>,
}

struct Listening {
    messages: Receiver<Arc<Message>>,
    wanted: StreamQuery,
    begun: bool,
    _place: OwnedSemaphorePermit,
}

/// What happens from now on, until the reader goes.
pub(crate) async fn events(
    State(shared): State<Arc<Shared>>,
    wanted: Result<Query<StreamQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(wanted) = wanted.map_err(|error| Problem::bad_request(error.body_text()))?;
    let place = Arc::clone(&shared.listeners).try_acquire_owned().map_err(|_| {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too many listen already; close another dashboard")
    })?;
    let listening = Listening { messages: shared.stream.subscribe(), wanted, begun: false, _place: place };
    let body = Body::from_stream(stream::unfold(listening, |mut listening| async move {
        let next = next(&mut listening).await?;
        Some((Ok::<_, Infallible>(next), listening))
    }));
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        // nginx would hold the events back.
        (header::HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ];
    Ok((headers, body).into_response())
}

async fn next(listening: &mut Listening) -> Option<Bytes> {
    if !listening.begun {
        listening.begun = true;
        return Some(Bytes::from_static(b"retry: 2000\n\n"));
    }
    loop {
        match tokio::time::timeout(BEAT, listening.messages.recv()).await {
            Ok(Ok(message)) => {
                let StreamQuery { app, process } = &listening.wanted;
                let wanted = app.as_ref().is_none_or(|app| **app == *message.app)
                    && process.as_ref().is_none_or(|process| **process == *message.process);
                if wanted {
                    return Some(format!("event: {}\ndata: {}\n\n", message.name, message.data).into());
                }
            }
            // The reader asks for all anew.
            Ok(Err(RecvError::Lagged(_))) => return Some(Bytes::from_static(b"event: lagged\ndata: {}\n\n")),
            Ok(Err(RecvError::Closed)) => return None,
            Err(_) => return Some(Bytes::from_static(b":\n\n")),
        }
    }
}
