//! The past and the plan: records by pages, series for charts, events, and the changes of the bounds to come.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::api::processes::{Change, changes};
use crate::api::{Named, known};
use crate::past::{Past, Place, RANGES, RecordQuery, Rows, SeriesQuery};
use crate::problem::Problem;
use crate::reply;
use crate::state::Shared;

/// Records on a page, unless asked for more or fewer, and at most.
const PAGE: (usize, usize) = (50, 500);
/// Points of a series, unless asked for more or fewer, and at most.
const POINTS: (usize, usize) = (300, 2000);
/// The most days of a plan.
const DAYS: u16 = 366;

/// Asks for the past where it may block.
async fn ask<T: Send + 'static>(
    shared: &Arc<Shared>,
    question: impl FnOnce(&Past) -> Result<T, String> + Send + 'static,
) -> Result<T, Problem> {
    let past = Arc::clone(&shared.past);
    let unreadable =
        |error: String| Problem::new(StatusCode::SERVICE_UNAVAILABLE, format!("the past cannot be read now: {error}"));
    let answer = tokio::task::spawn_blocking(move || question(&past)).await;
    answer.map_err(|error| unreadable(error.to_string()))?.map_err(unreadable)
}

/// Where the page begins.
fn place(cursor: Option<String>) -> Result<Option<Place>, Problem> {
    cursor.map(|text| text.parse().map_err(Problem::bad_request)).transpose()
}

fn query<T>(query: Result<Query<T>, QueryRejection>) -> Result<T, Problem> {
    query.map(|Query(query)| query).map_err(|error| Problem::bad_request(error.body_text()))
}

/// What the history may be asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HistoryQuery {
    from: Option<Timestamp>,
    cursor: Option<String>,
    changes: Option<bool>,
    limit: Option<usize>,
}

#[derive(Serialize)]
struct History {
    records: Vec<Box<RawValue>>,
    /// Where the next page begins; null on the last.
    next: Option<String>,
}

/// Records of a process, newest first.
pub(crate) async fn history(
    State(shared): State<Arc<Shared>>,
    named: Named,
    asked: Result<Query<HistoryQuery>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let asked = query(asked)?;
    let key = known(&shared, &named)?.key();
    let limit = asked.limit.unwrap_or(PAGE.0).clamp(1, PAGE.1);
    let (from, cursor, changes) = (asked.from, place(asked.cursor)?, asked.changes.unwrap_or(false));
    let wanted = RecordQuery { key, from, cursor, changes, limit };
    let Rows { rows, next } = ask(&shared, move |past| past.records(&wanted)).await?;
    reply::json(&headers, &History { records: rows, next: next.map(|next| next.to_string()) })
}

/// What a series may be asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SeriesAsked {
    range: Option<String>,
    to: Option<Timestamp>,
    points: Option<usize>,
}

/// Dynos, bounds and measurements of a process over time.
pub(crate) async fn series(
    State(shared): State<Arc<Shared>>,
    named: Named,
    asked: Result<Query<SeriesAsked>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let asked = query(asked)?;
    let key = known(&shared, &named)?.key();
    let name = asked.range.as_deref().unwrap_or("1h");
    let Some((_, span)) = RANGES.iter().find(|(known, _)| *known == name) else {
        let names: Vec<_> = RANGES.iter().map(|(name, _)| *name).collect();
        return Err(Problem::bad_request(format!("range must be one of {}", names.join(", "))));
    };
    let to = asked.to.unwrap_or_else(|| shared.clock.now());
    let from = to.checked_sub(*span).unwrap_or(Timestamp::MIN);
    let points = asked.points.unwrap_or(POINTS.0).clamp(2, POINTS.1);
    let wanted = SeriesQuery { key, from, to, points };
    let series = ask(&shared, move |past| Ok(past.series(&wanted))).await?;
    reply::json(&headers, &series)
}

/// What the plan may be asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ScheduleQuery {
    days: Option<u16>,
}

#[derive(Serialize)]
struct Schedule<'a> {
    at: Timestamp,
    time_zone: Option<&'a str>,
    bounds: autoscalebot_core::Bounds,
    changes: Vec<Change>,
}

/// The bounds in force and their changes to come.
pub(crate) async fn schedule(
    State(shared): State<Arc<Shared>>,
    named: Named,
    asked: Result<Query<ScheduleQuery>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let days = query(asked)?.days.unwrap_or(7).min(DAYS);
    let known = known(&shared, &named)?;
    let at = shared.clock.now();
    let tables = &known.watched.spec.bounds;
    let changes = changes(known, at, SignedDuration::from_hours(24 * i64::from(days)));
    let bounds = tables.in_force(at).bounds();
    reply::json(&headers, &Schedule { at, time_zone: tables.zone.iana_name(), bounds, changes })
}

/// What the events may be asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EventsQuery {
    cursor: Option<String>,
    limit: Option<usize>,
}

#[derive(Serialize)]
struct Events {
    events: Vec<Box<RawValue>>,
    /// Where the next page begins; null on the last.
    next: Option<String>,
}

/// What happened lately, ticks aside, newest first.
pub(crate) async fn events(
    State(shared): State<Arc<Shared>>,
    asked: Result<Query<EventsQuery>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let asked = query(asked)?;
    let limit = asked.limit.unwrap_or(PAGE.0).clamp(1, PAGE.1);
    let cursor = place(asked.cursor)?;
    let Rows { rows, next } = ask(&shared, move |past| past.events(cursor, limit)).await?;
    reply::json(&headers, &Events { events: rows, next: next.map(|next| next.to_string()) })
}
