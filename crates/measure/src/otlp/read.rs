//! What a body tells, in one form for spans and histograms.

use super::attributes::Filter;
use super::wire::Broken;
use super::{Call, Signal, json, points, spans};

/// What a body tells.
#[derive(Debug, Default)]
pub(crate) struct Told<'a> {
    /// Requests one by one, from spans.
    pub(crate) requests: Vec<Request<'a>>,
    /// Requests by the dozen, from histograms.
    pub(crate) points: Vec<Point<'a>>,
    /// How many cells these have together.
    pub(super) cells: usize,
    /// Which measurements hear by it that their process is alive: a bit for each filter.
    pub(crate) alive: u64,
    /// Spans and points that should tell of requests, and were not understood.
    pub(crate) rejected: u64,
    /// Spans and metrics that tell of no request.
    pub(crate) left_out: u64,
}

/// What a span or point is about.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct What<'a> {
    /// The `service.name`.
    pub(crate) service: &'a str,
    /// Who wants it: a bit for each filter.
    pub(crate) taps: u64,
    /// From when, in milliseconds of the Unix epoch.
    pub(crate) start_ms: i64,
    /// Until when.
    pub(crate) end_ms: i64,
}

/// A request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Request<'a> {
    pub(crate) what: What<'a>,
    /// How long it took, where that says something of the load.
    pub(crate) ms: Option<f64>,
    /// Whether it failed.
    pub(crate) error: bool,
    /// For how many it stands.
    pub(crate) count: u64,
}

/// A point of a histogram: how many requests took how long, between two instants.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Point<'a> {
    pub(crate) what: What<'a>,
    /// The resource, the metric, and where its counting began: several programs may share a resource, such as the workers of a
    /// web server in one dyno.
    pub(crate) writer: u64,
    /// The attributes of the point.
    pub(crate) series: u64,
    /// Whether it counts from its beginning on, again and again.
    pub(crate) cumulative: bool,
    pub(crate) shape: Shape,
    /// How many in each cell of the shape, empty ones left out, in order.
    pub(crate) cells: Vec<(i32, u64)>,
    /// All times added up, in milliseconds.
    pub(crate) sum_ms: Option<f64>,
    /// The least and the most of them.
    pub(crate) range_ms: (Option<f64>, Option<f64>),
    /// The outcome of its requests.
    pub(super) outcome: super::attributes::Outcome<'a>,
}

/// How the cells of a histogram lie.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Shape {
    /// Between these bounds, in milliseconds; one cell more than bounds.
    Bounds(Box<[f64]>),
    /// Cell `i` from `bⁱ` to `bⁱ⁺¹` times this unit in milliseconds, where `b` is 2 to the power of 2 to the power of minus the
    /// scale; the lowest number there is stands for zero.
    Exponential {
        /// The scale.
        scale: i32,
        /// Milliseconds of one.
        unit_ms: f64,
    },
}

/// The cell of an exponential histogram that holds zero.
pub(super) const ZERO: i32 = i32::MIN;

/// Reads a body. Whether it is JSON or not, what comes out borrows from `kept`.
pub(super) fn read<'a>(
    call: Call,
    body: &'a [u8],
    kept: &'a mut Vec<u8>,
    filters: &[Filter],
) -> Result<Told<'a>, Broken> {
    let body = match (call.json, call.signal) {
        (true, Signal::Traces) => {
            *kept = json::traces(body)?;
            kept
        }
        (true, Signal::Metrics) => {
            *kept = json::metrics(body)?;
            kept
        }
        _ => body,
    };
    let mut told = Told::default();
    match call.signal {
        Signal::Traces => spans::read(body, filters, &mut told)?,
        Signal::Metrics => points::read(body, filters, &mut told)?,
        Signal::Logs => {}
    }
    Ok(told)
}

/// Nanoseconds of the Unix epoch, as milliseconds; none for zero, which stands for "not given".
pub(super) fn milliseconds(nanos: u64) -> Option<i64> {
    (nanos != 0).then_some((nanos / 1_000_000) as i64)
}
