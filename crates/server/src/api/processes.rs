//! The present: every process in a row, and one with its whole newest record.

use std::sync::Arc;

use autoscalebot_core::{Bounds, Pause, Reading, Record};
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::access::{Means, Right};
use crate::api::{Named, known};
use crate::problem::Problem;
use crate::range::Range;
use crate::reply;
use crate::state::{Attention, Known, Shared, Trouble};

/// Processes on a page, unless asked for more or fewer, and at most.
const PAGE: (usize, usize) = (200, 2000);
/// How far ahead the detail of a process looks for changes of its bounds.
const AHEAD: SignedDuration = SignedDuration::from_hours(7 * 24);

/// One process in the overview.
#[derive(Debug, Serialize)]
pub(crate) struct Row<'a> {
    app: &'a str,
    process: &'a str,
    platform: &'a str,
    attention: Attention,
    late: bool,
    /// The instant of the newest record; null before the first tick.
    at: Option<Timestamp>,
    dynos: Option<u32>,
    desired: Option<u32>,
    bounds: Bounds,
    verdict: Option<&'static str>,
    measurements: Vec<Reads<'a>>,
    conditions: Vec<&'static str>,
    pause: Option<Pause>,
    reason: Option<String>,
}

/// One measurement in the overview.
#[derive(Debug, Serialize)]
struct Reads<'a> {
    name: &'a str,
    unit: &'static str,
    value: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// How the newest sample lies to the wanted range; null before the first tick. A timeout may well be too high.
    verdict: Option<&'static str>,
    range: Range,
    /// What its policy wants; null where that is unknown, and before the first tick.
    desired: Option<u32>,
    /// Whether that is only recorded.
    shadow: bool,
}

impl<'a> Row<'a> {
    pub(crate) fn new(shared: &Shared, known: &'a Known, newest: Option<&Record>, now: Timestamp) -> Self {
        let spec = &known.watched.spec;
        let late = shared.is_late(known, newest, now);
        let measurements = spec.measurements.iter().zip(&known.ranges).enumerate().map(|(index, (m, range))| {
            let measured = newest.and_then(|record| record.measured.get(index));
            let verdict = measured.map(|measured| measured.verdict.as_str());
            let (value, error) = match measured.map(|measured| &measured.reading) {
                Some(Reading::Value(value)) => (Some(*value), None),
                Some(Reading::Failed(failure)) => (None, Some(failure.to_string())),
                None => (None, None),
            };
            let desired = measured.and_then(|measured| measured.proposal.desired);
            let (name, unit) = (&*m.name, m.unit.as_str());
            Reads { name, unit, value, error, verdict, range: *range, desired, shadow: m.shadow }
        });
        Self {
            app: known.app(),
            process: known.process(),
            platform: &known.watched.platform,
            attention: Attention::of(newest, late),
            late,
            at: newest.map(|record| record.at),
            dynos: newest.and_then(|record| record.after),
            desired: newest.and_then(|record| record.desired),
            bounds: newest.map_or_else(|| spec.bounds.in_force(now), |record| record.bounds).bounds(),
            verdict: newest.map(|record| record.verdict.as_str()),
            measurements: measurements.collect(),
            conditions: newest.map(|r| r.conditions.iter().map(|c| c.as_str()).collect()).unwrap_or_default(),
            pause: shared.pauses.in_force().get(&known.key()).cloned(),
            reason: newest.map(|record| record.sentence().to_string()),
        }
    }
}

/// What the list may be asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    search: Option<String>,
    attention: Option<bool>,
    limit: Option<usize>,
    cursor: Option<usize>,
}

#[derive(Serialize)]
struct List<'a> {
    now: Timestamp,
    dry_run: bool,
    may_change: bool,
    /// Whether this comes from a sign-in, which can be ended.
    signed_in: bool,
    /// Why nothing is kept, where that is so; scaling goes on.
    store_trouble: Option<Trouble>,
    total: usize,
    processes: Vec<Row<'a>>,
    /// Where the next page begins; null on the last.
    next: Option<usize>,
}

/// Every process, what needs attention first.
pub(crate) async fn list(
    State(shared): State<Arc<Shared>>,
    query: Result<Query<ListQuery>, axum::extract::rejection::QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let Query(query) = query.map_err(|error| Problem::bad_request(error.body_text()))?;
    let now = shared.clock.now();
    let search = query.search.unwrap_or_default().to_lowercase();
    let found = |known: &&Known| {
        search.split_whitespace().all(|word| {
            known.app().to_lowercase().contains(word)
                || known.process().to_lowercase().contains(word)
                || known.watched.platform.to_lowercase().contains(word)
        })
    };
    let mut rows: Vec<_> = shared
        .processes
        .values()
        .filter(found)
        .map(|known| (shared.newest(known), known))
        .map(|(newest, known)| Row::new(&shared, known, newest.as_deref(), now))
        .filter(|row| query.attention != Some(true) || row.attention > Attention::None)
        .collect();
    // Stable: within the same need they stay by app and process.
    rows.sort_by_key(|row| std::cmp::Reverse(row.attention));
    let total = rows.len();
    let (start, limit) = (query.cursor.unwrap_or(0).min(total), query.limit.unwrap_or(PAGE.0).clamp(1, PAGE.1));
    let end = total.min(start + limit);
    let processes = rows.drain(start..end).collect();
    let (right, means) = shared.access.of(&headers);
    let (may_change, signed_in) = (right == Right::Change, means == Means::Ambient && !shared.access.is_open());
    let next = (end < total).then_some(end);
    let (dry_run, store_trouble) = (shared.dry_run, shared.store_trouble());
    reply::json(&headers, &List { now, dry_run, may_change, signed_in, store_trouble, total, processes, next })
}

#[derive(Serialize)]
struct Detail<'a> {
    now: Timestamp,
    dry_run: bool,
    may_change: bool,
    #[serde(flatten)]
    row: Row<'a>,
    every_secs: f64,
    time_zone: Option<&'a str>,
    conditions_mean: Vec<&'static str>,
    next_changes: Vec<Change>,
    record: Option<Arc<Record>>,
}

/// A change of the bounds to come.
#[derive(Debug, Serialize)]
pub(crate) struct Change {
    at: Timestamp,
    bounds: Bounds,
}

/// The changes of a process's bounds to come.
pub(crate) fn changes(known: &Known, now: Timestamp, span: SignedDuration) -> Vec<Change> {
    let changes = known.watched.spec.bounds.changes(now, span);
    changes.into_iter().map(|change| Change { at: change.at, bounds: change.bounds }).collect()
}

/// One process.
pub(crate) async fn one(
    State(shared): State<Arc<Shared>>,
    named: Named,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let known = known(&shared, &named)?;
    let now = shared.clock.now();
    let record = shared.newest(known);
    let mut next_changes = changes(known, now, AHEAD);
    next_changes.truncate(8);
    let detail = Detail {
        now,
        dry_run: shared.dry_run,
        may_change: shared.access.of(&headers).0 == Right::Change,
        row: Row::new(&shared, known, record.as_deref(), now),
        every_secs: known.watched.every.as_secs_f64(),
        time_zone: known.watched.spec.bounds.zone.iana_name(),
        conditions_mean: record.iter().flat_map(|r| &r.conditions).map(|c| c.meaning()).collect(),
        next_changes,
        record,
    };
    reply::json(&headers, &detail)
}
