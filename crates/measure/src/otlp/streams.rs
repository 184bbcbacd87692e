//! What a measurement keeps of the telemetry of its process: for each service that tells of it, a window of spans and one of
//! histograms, so that nothing is ever counted twice.
//!
//! - Spans and histograms of one service tell of the same requests. Times are taken from spans where there are any, as they are
//!   exact; numbers of requests from histograms where there are any, as samplers leave no request out of them.
//! - Several services may tell of one request: Heroku's router, and the app behind it. The one that tells of the most requests
//!   counts, and of two that tell of as many the slower, as the router's time holds the app's.
//! - A histogram tells of the time up to its end, and of nothing after it. So it is looked at as of then: rates as of the
//!   instance that is the farthest behind, as beyond that not all is told; times as of the one that is ahead.

use std::collections::HashMap;

use super::attributes::Filter;
use super::read::{Point, Request, Shape, ZERO};
use super::series::News;
use crate::intake::window::{Hit, Summary, Window};

/// The most services of a process.
const SERVICES: usize = 8;
/// The most instances of a service that tells histograms.
const INSTANCES: usize = 512;
/// An interval that is not told twice, at least, in milliseconds.
const GRACE_MS: i64 = 5_000;
/// How long ago a histogram may have told last: twice as long as exporters wait unless told otherwise.
const PAST_MS: i64 = 120_000;
/// Steps of a window of histograms, which know no finer times; and the shortest of them, in milliseconds.
const STEPS: i64 = 12;
const SHORTEST_STEP: i64 = 1_000;
/// Into how many parts of one value each a cell between two bounds is divided.
const PARTS: u64 = 8;
/// The most requests of a cell that are new at a time; more are a mistake.
const MOST: u64 = 1_000_000_000;
/// The longest request, in milliseconds: a day.
const LONGEST_MS: f64 = 86_400_000.0;

/// What a measurement keeps.
pub(crate) struct Streams {
    pub(crate) filter: Filter,
    window_ms: i64,
    services: Vec<Service>,
    /// When something of its process came last.
    alive_ms: Option<i64>,
}

struct Service {
    name: Box<str>,
    heard_ms: i64,
    /// The earliest instant it tells of.
    from_ms: i64,
    spans: Window,
    window_ms: i64,
    histograms: Option<Histograms>,
}

struct Histograms {
    from_ms: i64,
    window: Window,
    /// Whether silence is what an idle app would send.
    delta: bool,
    /// Until when each instance has told, and how much it tells at a time.
    instances: HashMap<u64, (i64, i64)>,
}

/// What is known of a process.
pub(crate) enum Known {
    /// Nothing has come.
    Nothing,
    /// Telemetry comes, and no request was in it yet.
    NoRequest,
    /// Nothing has come for so many milliseconds.
    Late(i64),
    /// This, with the age of samples that came too late, if any did.
    Summary(Box<Summary>, Option<i64>),
}

impl Streams {
    /// With a window of this length in milliseconds.
    pub(crate) fn new(filter: Filter, window_ms: i64) -> Self {
        Self { filter, window_ms, services: Vec::new(), alive_ms: None }
    }

    /// Something of the process came.
    pub(super) fn alive(&mut self, now_ms: i64) {
        self.alive_ms = self.alive_ms.max(Some(now_ms));
    }

    /// A request; false: it is older than the window.
    pub(super) fn request(&mut self, request: &Request<'_>, correction: i64, now_ms: i64) -> bool {
        let from_ms = request.what.start_ms.saturating_add(correction);
        let service = self.service(request.what.service, from_ms, now_ms);
        let hit = Hit { value: request.ms, service_ms: request.ms, error: request.error, request: true };
        service.spans.add_many(request.what.end_ms.saturating_add(correction), now_ms, hit, request.count)
    }

    /// What is new in a histogram; false: it is older than the window.
    pub(super) fn news(&mut self, point: &Point<'_>, news: &News, correction: i64, now_ms: i64) -> bool {
        let (from_ms, to_ms) =
            (news.from_ms.saturating_add(correction), news.to_ms.saturating_add(correction).min(now_ms));
        let window_ms = self.window_ms;
        let service = self.service(point.what.service, from_ms, now_ms);
        let new = || Histograms {
            from_ms,
            window: Window::with_past(window_ms, (window_ms / STEPS).max(SHORTEST_STEP), PAST_MS),
            delta: false,
            instances: HashMap::new(),
        };
        let histograms = service.histograms.get_or_insert_with(new);
        histograms.from_ms = histograms.from_ms.min(from_ms);
        histograms.delta = !point.cumulative;
        histograms.told(point.writer, to_ms, to_ms.saturating_sub(from_ms));
        let requests = news.cells.iter().fold(0_u64, |all, (_, count)| all.saturating_add(*count));
        let mean_ms = news.sum_ms.map(|sum| sum / requests.max(1) as f64).filter(|mean| *mean <= LONGEST_MS);
        let mut known = news.cells.is_empty();
        each_value(point, &news.cells, |ms, count| {
            // The point was made of an outcome that counts.
            let Some((value, error)) = point.outcome.counts_as(Some(ms)) else { return };
            let hit = Hit { value, service_ms: value.and(mean_ms.or(value)), error, request: true };
            known |= histograms.window.spread((from_ms, to_ms), now_ms, hit, count);
        });
        known
    }

    fn service(&mut self, name: &str, from_ms: i64, now_ms: i64) -> &mut Service {
        let at = self.services.iter().position(|service| &*service.name == name).unwrap_or_else(|| {
            if self.services.len() == SERVICES {
                let oldest = (0..SERVICES).min_by_key(|at| self.services[*at].heard_ms).unwrap_or_default();
                self.services.swap_remove(oldest);
            }
            let spans = Window::new(self.window_ms);
            self.services.push(Service {
                name: name.into(),
                heard_ms: now_ms,
                from_ms,
                window_ms: self.window_ms,
                spans,
                histograms: None,
            });
            self.services.len() - 1
        });
        let service = &mut self.services[at];
        service.heard_ms = now_ms;
        service.from_ms = service.from_ms.min(from_ms);
        service
    }

    /// What is known at an instant, where after `silent_ms` without a word nothing is.
    pub(crate) fn known(&self, now_ms: i64, silent_ms: i64) -> Known {
        let Some(alive_ms) = self.alive_ms else { return Known::Nothing };
        if now_ms.saturating_sub(alive_ms) > silent_ms {
            return Known::Late(now_ms.saturating_sub(alive_ms));
        }
        let mut best: Option<Summary> = None;
        let (mut late, mut stale): (Option<i64>, Option<i64>) = (None, None);
        for service in &self.services {
            match service.summary(now_ms, silent_ms) {
                Ok(summary) => {
                    let load = |summary: &Summary| (summary.requests, summary.service_ms.unwrap_or_default());
                    if best.as_ref().is_none_or(|best| load(best) < load(&summary)) {
                        best = Some(summary);
                    }
                    stale = stale.max(service.spans.stale(now_ms));
                }
                Err(age) => late = Some(late.map_or(age, |late| late.min(age))),
            }
        }
        match (best, late) {
            (Some(summary), _) => Known::Summary(Box::new(summary), stale),
            (None, Some(age)) => Known::Late(age),
            (None, None) => Known::NoRequest,
        }
    }
}

impl Service {
    /// What it told of, as of `now_ms`; or for how long it has told nothing.
    fn summary(&self, now_ms: i64, silent_ms: i64) -> Result<Summary, i64> {
        let spans = self.spans.summary(now_ms, self.from_ms);
        let Some(histograms) = &self.histograms else { return Ok(spans) };
        match histograms.until(now_ms, silent_ms) {
            Ok((first, last)) => {
                // The step that holds `first` may hold what others told of after it.
                let whole = histograms.window.whole_until(first);
                let as_of = if whole - histograms.from_ms >= self.window_ms / 2 { whole } else { first };
                let counts = histograms.window.summary(as_of, histograms.from_ms);
                let times = if spans.is_empty() { histograms.window.summary(last, histograms.from_ms) } else { spans };
                Ok(if times.is_empty() { counts } else { counts.with_times_of(times) })
            }
            Err(age) if spans.requests == 0 => Err(age),
            Err(_) => Ok(spans),
        }
    }
}

impl Histograms {
    fn told(&mut self, instance: u64, until_ms: i64, interval_ms: i64) {
        if self.instances.len() >= INSTANCES && !self.instances.contains_key(&instance) {
            let oldest = self.instances.iter().min_by_key(|(_, (until, _))| *until).map(|(id, _)| *id);
            oldest.and_then(|oldest| self.instances.remove(&oldest));
        }
        let known = self.instances.entry(instance).or_insert((until_ms, interval_ms));
        if until_ms > known.0 {
            *known = (until_ms, interval_ms);
        }
    }

    /// Until when all instances that are alive have told, and until when any has; or for how long none has.
    fn until(&self, now_ms: i64, silent_ms: i64) -> Result<(i64, i64), i64> {
        let due = |interval_ms: i64| interval_ms.saturating_mul(2).saturating_add(GRACE_MS);
        let newest = self.instances.values().max().copied().unwrap_or_default();
        let age = now_ms.saturating_sub(newest.0);
        if self.delta && age > due(newest.1) {
            // Nothing happened, or the process would not be alive.
            return Ok((now_ms, now_ms));
        }
        if age > silent_ms.min(PAST_MS) {
            return Err(age);
        }
        let alive = self.instances.values().filter(|(until, interval)| newest.0 - until <= due(*interval));
        let first = alive.map(|(until, _)| *until).min().unwrap_or(newest.0);
        Ok((first.max(now_ms - PAST_MS), newest.0))
    }
}

/// Each value that the cells of a point stand for, and how often.
///
/// Between two bounds nothing is known but the number, so the values are taken as even between them (as Prometheus does);
/// beyond the last bound as the bound itself, or up to the greatest value where that is told for the same time. Cells of an
/// exponential histogram are narrow: the middle.
fn each_value(point: &Point<'_>, cells: &[(i32, u64)], mut take: impl FnMut(f64, u64)) {
    let (least, most) = point.range_ms;
    let mut take = |ms: f64, count: u64| {
        if count > 0 && ms >= 0.0 {
            take(ms.min(LONGEST_MS), count);
        }
    };
    for &(cell, count) in cells {
        let count = count.min(MOST);
        match &point.shape {
            Shape::Bounds(bounds) => {
                let at = usize::try_from(cell).unwrap_or_default();
                let low = at.checked_sub(1).and_then(|below| bounds.get(below)).copied().unwrap_or_default();
                let beyond = most.filter(|_| !point.cumulative || bounds.is_empty()).unwrap_or(low);
                let high = bounds.get(at).copied().unwrap_or(beyond);
                // What is told of all of them narrows the first cell and the last.
                let low = least.filter(|least| *least < high).map_or(low, |least| low.max(least)).max(0.0);
                let high = most.filter(|most| *most > low).map_or(high, |most| high.min(most)).max(low);
                for part in 0..PARTS {
                    let share = count * (part + 1) / PARTS - count * part / PARTS;
                    take(low + (high - low) * (part as f64 + 0.5) / PARTS as f64, share);
                }
            }
            Shape::Exponential { .. } if cell == ZERO => take(0.0, count),
            Shape::Exponential { scale, unit_ms } => {
                let middle = ((f64::from(cell) + 0.5) * f64::from(-scale).exp2()).exp2();
                take(middle * unit_ms, count);
            }
        }
    }
}
