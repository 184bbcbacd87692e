//! From histograms that count from their beginning on to what is new in them: the last point of each series is kept, and
//! taken from the next.
//!
//! - The first point of an instance says what was before it is known here, so it is no news, unless it begins no more than two
//!   minutes before its end: then its requests are new.
//! - A series that an instance begins later (another route, another status) began after the instance's point before.
//! - Where a count has fallen or the beginning has moved, the program has begun anew: all that the point holds is new.
//! - A point no newer than the last is one that came late or twice, and says nothing.

use std::collections::HashMap;

use super::read::{Point, Shape, ZERO};

/// The most series of a sender; more are left out, and counted.
const SERIES: usize = 4096;
/// An instance that was silent for so long is gone, in milliseconds.
const GONE_MS: i64 = 600_000;
/// A first point that covers no more than this is news.
const FRESH_MS: i64 = 120_000;

/// The last points of all series of a sender.
#[derive(Debug, Default)]
pub(crate) struct Series {
    instances: HashMap<u64, Instance>,
}

#[derive(Debug)]
struct Instance {
    heard_ms: i64,
    /// The end of its newest point, and of the one before.
    told_ms: i64,
    before_ms: Option<i64>,
    series: HashMap<u64, Last>,
}

#[derive(Debug)]
struct Last {
    start_ms: i64,
    end_ms: i64,
    shape: Shape,
    cells: Box<[(i32, u64)]>,
    sum_ms: Option<f64>,
}

/// What is new in a point: its cells, between two instants.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct News {
    pub(super) from_ms: i64,
    pub(super) to_ms: i64,
    pub(super) cells: Vec<(i32, u64)>,
    pub(super) sum_ms: Option<f64>,
}

/// What comes of a point.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Seen {
    /// This is new in it.
    News(News),
    /// It is where counting begins, or is known already.
    Nothing,
    /// There are too many series.
    TooMany,
}

impl Series {
    /// What is new in a point that came at `now_ms`.
    pub(super) fn news(&mut self, point: &Point<'_>, now_ms: i64) -> Seen {
        let what = &point.what;
        let all = |from_ms| News { from_ms, to_ms: what.end_ms, cells: point.cells.clone(), sum_ms: point.sum_ms };
        if !point.cumulative {
            return Seen::News(all(what.start_ms));
        }
        let full = self.instances.values().map(|instance| instance.series.len()).sum::<usize>() >= SERIES;
        if full {
            self.instances.retain(|_, instance| now_ms.saturating_sub(instance.heard_ms) < GONE_MS);
        }
        let new = || Instance { heard_ms: now_ms, told_ms: what.end_ms, before_ms: None, series: HashMap::new() };
        let instance = self.instances.entry(point.instance).or_insert_with(new);
        if now_ms.saturating_sub(instance.heard_ms) >= GONE_MS {
            *instance = new();
        }
        instance.heard_ms = now_ms;
        if what.end_ms > instance.told_ms {
            instance.before_ms = Some(instance.told_ms);
            instance.told_ms = what.end_ms;
        }
        let seen = match instance.series.get(&point.series) {
            Some(last) if what.end_ms <= last.end_ms => return Seen::Nothing,
            Some(last) if last.start_ms != what.start_ms => Seen::News(all(what.start_ms.max(last.end_ms))),
            Some(last) => Seen::News(last.rest(point).unwrap_or_else(|| all(last.end_ms))),
            None if full => return Seen::TooMany,
            None => match instance.before_ms {
                Some(before_ms) => Seen::News(all(what.start_ms.max(before_ms))),
                None if what.end_ms - what.start_ms <= FRESH_MS => Seen::News(all(what.start_ms)),
                None => Seen::Nothing,
            },
        };
        let cells = point.cells.clone().into_boxed_slice();
        let (start_ms, end_ms, shape, sum_ms) = (what.start_ms, what.end_ms, point.shape.clone(), point.sum_ms);
        instance.series.insert(point.series, Last { start_ms, end_ms, shape, cells, sum_ms });
        seen
    }
}

impl Last {
    /// What is in a later point and was not in this; none where the later one has less of anything: it began anew.
    fn rest(&self, point: &Point<'_>) -> Option<News> {
        let mine = match (&self.shape, &point.shape) {
            (mine, other) if mine == other => self.cells.to_vec(),
            // An exponential histogram halves its scale where its cells would be too many.
            (Shape::Exponential { scale: mine, .. }, Shape::Exponential { scale: other, .. }) if mine > other => {
                coarser(&self.cells, mine - other)
            }
            _ => return None,
        };
        let mut rest = Vec::with_capacity(point.cells.len());
        let mut mine = mine.into_iter().peekable();
        for &(cell, count) in &point.cells {
            // A cell of mine that is not there any more.
            if mine.peek().is_some_and(|(own, _)| *own < cell) {
                return None;
            }
            let before = mine.next_if(|(own, _)| *own == cell).map_or(0, |(_, before)| before);
            match count.checked_sub(before)? {
                0 => {}
                new => rest.push((cell, new)),
            }
        }
        let sum_ms = self.sum_ms.zip(point.sum_ms).map(|(before, now)| now - before).filter(|sum| *sum >= 0.0);
        let news = News { from_ms: self.end_ms, to_ms: point.what.end_ms, cells: rest, sum_ms };
        mine.next().is_none().then_some(news)
    }
}

/// Cells of a scale that is `steps` lower: two become one at each step.
fn coarser(cells: &[(i32, u64)], steps: i32) -> Vec<(i32, u64)> {
    let mut all: Vec<(i32, u64)> = Vec::with_capacity(cells.len());
    for &(cell, count) in cells {
        let cell = if cell == ZERO { ZERO } else { cell >> steps.min(31) };
        match all.last_mut() {
            Some((last, sum)) if *last == cell => *sum = sum.saturating_add(count),
            _ => all.push((cell, count)),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::super::attributes::Attributes;
    use super::super::read::What;
    use super::*;

    fn point(series: u64, (start_ms, end_ms): (i64, i64), cells: &[(i32, u64)]) -> Point<'static> {
        Point {
            what: What { service: "shop", taps: 1, start_ms, end_ms },
            instance: 1,
            series,
            cumulative: true,
            shape: Shape::Bounds([100.0, 200.0].into()),
            cells: cells.to_vec(),
            sum_ms: Some(cells.iter().map(|(_, count)| *count as f64).sum()),
            range_ms: (None, None),
            outcome: Attributes::default().outcome(false),
        }
    }

    fn news(from_ms: i64, to_ms: i64, cells: &[(i32, u64)]) -> Seen {
        let sum_ms = Some(cells.iter().map(|(_, count)| *count as f64).sum());
        Seen::News(News { from_ms, to_ms, cells: cells.to_vec(), sum_ms })
    }

    const HOUR: i64 = 3_600_000;

    #[test]
    fn only_what_is_new_counts() {
        let mut all = Series::default();
        let start = 1_000;
        let mut at = start + HOUR;
        assert_eq!(all.news(&point(1, (start, at), &[(0, 500), (2, 9)]), at), Seen::Nothing, "of hours ago");
        assert_eq!(all.news(&point(2, (start, at), &[(0, 70)]), at), Seen::Nothing, "another of the same round");
        at += 60_000;
        let second = point(1, (start, at), &[(0, 510), (1, 2), (2, 9)]);
        assert_eq!(all.news(&second, at), news(at - 60_000, at, &[(0, 10), (1, 2)]));
        assert_eq!(all.news(&second, at), Seen::Nothing, "twice");
        assert_eq!(all.news(&point(3, (start, at), &[(1, 3)]), at), news(at - 60_000, at, &[(1, 3)]), "a new series");
        at += 60_000;
        let idle = all.news(&point(1, (start, at), &[(0, 510), (1, 2), (2, 9)]), at);
        assert_eq!(idle, news(at - 60_000, at, &[]), "no request is news, too");
        assert_eq!(all.news(&point(1, (start, at - 30_000), &[(0, 509)]), at), Seen::Nothing, "late");
    }

    #[test]
    fn a_program_that_began_anew_counts_from_there() {
        let mut all = Series::default();
        let at = HOUR;
        all.news(&point(1, (1, at), &[(0, 500)]), at);
        let restarted = point(1, (at + 30_000, at + 60_000), &[(0, 600)]);
        assert_eq!(all.news(&restarted, at), news(at + 30_000, at + 60_000, &[(0, 600)]), "by its beginning");
        let fallen = point(1, (at + 30_000, at + 120_000), &[(0, 20)]);
        assert_eq!(all.news(&fallen, at), news(at + 60_000, at + 120_000, &[(0, 20)]), "by its counts");
        let mut other = point(1, (at + 30_000, at + 180_000), &[(0, 21)]);
        other.shape = Shape::Bounds([50.0].into());
        assert_eq!(all.news(&other, at), news(at + 120_000, at + 180_000, &[(0, 21)]), "by its bounds");
        let mut young = point(1, (at, at + 60_000), &[(0, 4)]);
        young.instance = 2;
        assert_eq!(all.news(&young, at), news(at, at + 60_000, &[(0, 4)]), "an instance that has just begun");
    }

    #[test]
    fn an_exponential_histogram_may_become_coarser() {
        let mut all = Series::default();
        let shape = |scale| Shape::Exponential { scale, unit_ms: 1000.0 };
        let mut first = point(1, (1, HOUR), &[(ZERO, 1), (-3, 4), (-2, 1), (5, 2)]);
        first.shape = shape(3);
        all.news(&first, HOUR);
        let mut second = point(1, (1, HOUR + 1000), &[(ZERO, 1), (-2, 4), (-1, 3), (2, 2), (9, 1)]);
        second.shape = shape(2);
        let Seen::News(found) = all.news(&second, HOUR) else { panic!() };
        assert_eq!(found.cells, [(-1, 2), (9, 1)]);
    }

    #[test]
    fn what_is_kept_is_bounded_and_makes_room_for_what_lives() {
        let mut all = Series::default();
        for series in 0..SERIES as u64 {
            assert_ne!(all.news(&point(series, (1, HOUR), &[(0, 1)]), HOUR), Seen::TooMany);
        }
        assert_eq!(all.news(&point(u64::MAX, (1, HOUR), &[(0, 1)]), HOUR), Seen::TooMany);
        let mut other = point(1, (HOUR, HOUR + GONE_MS), &[(0, 1)]);
        other.instance = 2;
        all.news(&other, HOUR + GONE_MS);
        assert_eq!(all.instances.len(), 1, "who is gone makes room");
    }
}
