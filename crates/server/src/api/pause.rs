//! Pause and resume: the only changes that the server takes.

use std::sync::Arc;

use autoscalebot_core::Pause;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use jiff::{SignedDuration, Span};
use serde::{Deserialize, Serialize};

use crate::api::{Named, known};
use crate::pauses::Pauses;
use crate::problem::Problem;
use crate::reply;
use crate::state::Shared;

/// The longest reason, in characters.
const WHY: usize = 500;
/// The longest pause with an end.
const LONGEST: SignedDuration = SignedDuration::from_hours(366 * 24);

/// What a pause may say.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    /// How long, such as `2h`; without it, until resumed.
    #[serde(rename = "for")]
    length: Option<String>,
    /// Why, for whoever looks at it later.
    why: Option<String>,
}

#[derive(Serialize)]
struct Paused<'a> {
    app: &'a str,
    process: &'a str,
    pause: Pause,
}

#[derive(Serialize)]
struct Resumed<'a> {
    app: &'a str,
    process: &'a str,
    /// Whether it was paused.
    was_paused: bool,
}

/// Pauses a process.
pub(crate) async fn pause(
    State(shared): State<Arc<Shared>>,
    named: Named,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let known = known(&shared, &named)?;
    let asked = asked(&headers, &body)?;
    let why = asked.why.map(|why| why.trim().to_owned()).filter(|why| !why.is_empty());
    if why.as_ref().is_some_and(|why| why.chars().count() > WHY || why.chars().any(char::is_control)) {
        return Err(Problem::bad_request(format!("why: at most {WHY} characters, on one line")));
    }
    let until = match asked.length {
        None => None,
        Some(text) => Some(shared.clock.now().checked_add(duration(&text)?).map_err(|_| bad_duration())?),
    };
    let pause = Pause { until, why };
    let (key, kept) = (known.key(), pause.clone());
    write(&shared, move |pauses| pauses.pause(&key, &kept)).await?;
    tracing::info!(app = known.app(), process = known.process(), why = pause.why, "paused through the API");
    reply::json(&HeaderMap::new(), &Paused { app: known.app(), process: known.process(), pause })
}

/// Ends a pause.
pub(crate) async fn resume(State(shared): State<Arc<Shared>>, named: Named) -> Result<Response, Problem> {
    let known = known(&shared, &named)?;
    let key = known.key();
    let was_paused = write(&shared, move |pauses| pauses.resume(&key)).await?;
    tracing::info!(app = known.app(), process = known.process(), was_paused, "resumed through the API");
    reply::json(&HeaderMap::new(), &Resumed { app: known.app(), process: known.process(), was_paused })
}

async fn write<T: Send + 'static>(
    shared: &Arc<Shared>,
    change: impl FnOnce(&Pauses) -> Result<T, String> + Send + 'static,
) -> Result<T, Problem> {
    let pauses = Arc::clone(&shared.pauses);
    let failed = |error: String| Problem::new(StatusCode::SERVICE_UNAVAILABLE, format!("nothing is changed: {error}"));
    let done = tokio::task::spawn_blocking(move || change(&pauses)).await;
    done.map_err(|error| failed(error.to_string()))?.map_err(failed)
}

fn asked(headers: &HeaderMap, body: &Bytes) -> Result<Asked, Problem> {
    if body.is_empty() {
        return Ok(Asked::default());
    }
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if kind.split(';').next().is_none_or(|kind| !kind.trim().eq_ignore_ascii_case("application/json")) {
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "the body must be application/json"));
    }
    serde_json::from_slice(body).map_err(|error| Problem::bad_request(format!("the body is wrong: {error}")))
}

fn bad_duration() -> Problem {
    Problem::bad_request("for: give a duration above zero and up to a year with its unit, such as 30m or 2h")
}

fn duration(text: &str) -> Result<SignedDuration, Problem> {
    let span: Span = text.parse().map_err(|_| bad_duration())?;
    let duration = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).map_err(|_| bad_duration())?;
    if duration > SignedDuration::ZERO && duration <= LONGEST { Ok(duration) } else { Err(bad_duration()) }
}
