//! From histograms that count from their beginning on to what is new in them: the last point of each series is kept, and
//! taken from the next.
//!
//! - The first point of a program says what was before it is known here, so it is no news, unless it covers two minutes at most
//!   or began after the sender was first heard: then its requests are new.
//! - A series that a program begins later (another route, another status) began after the program's point before.
//! - A program that begins anew says so by a new beginning, and is another one. Where a count has fallen and the beginning has
//!   not moved, several programs call themselves the same; of that nothing is news.
//! - A point no newer than the last is one that came late or twice, and says nothing.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::read::{Point, Shape, ZERO};

/// The most series of a sender; more are left out, and counted. Each takes some 200 bytes.
const SERIES: usize = 16_384;
/// A program that was silent for so long is gone, in milliseconds.
const GONE_MS: i64 = 600_000;
/// A first point that covers no more than this is news.
const FRESH_MS: i64 = 120_000;

/// The last points of all series of a sender.
#[derive(Debug, Default)]
pub(crate) struct Series {
    writers: HashMap<u64, Writer>,
    /// How many series they have together.
    held: usize,
    /// When the sender was first heard.
    since_ms: Option<i64>,
}

/// A program that counts.
#[derive(Debug)]
struct Writer {
    heard_ms: i64,
    /// The end of its newest point, and of the one before.
    told_ms: i64,
    before_ms: Option<i64>,
    series: HashMap<u64, Last>,
}

#[derive(Debug)]
struct Last {
    end_ms: i64,
    form: Form,
    cells: Box<[(i32, u64)]>,
    sum_ms: Option<f64>,
}

/// The shape of a point, as far as it must be known again.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Form {
    /// A hash of the bounds.
    Bounds(u64),
    /// The scale.
    Exponential(i32),
}

impl Form {
    fn of(shape: &Shape) -> Self {
        match shape {
            Shape::Bounds(bounds) => {
                let mut hasher = DefaultHasher::new();
                bounds.iter().for_each(|bound| bound.to_bits().hash(&mut hasher));
                Self::Bounds(hasher.finish())
            }
            Shape::Exponential { scale, .. } => Self::Exponential(*scale),
        }
    }
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
        let since_ms = *self.since_ms.get_or_insert(now_ms);
        if self.held >= SERIES {
            self.writers.retain(|_, writer| now_ms.saturating_sub(writer.heard_ms) < GONE_MS);
            self.held = self.writers.values().map(|writer| writer.series.len()).sum();
        }
        let full = self.held >= SERIES;
        if full && !self.writers.contains_key(&point.writer) {
            return Seen::TooMany;
        }
        let new = || Writer { heard_ms: now_ms, told_ms: what.end_ms, before_ms: None, series: HashMap::new() };
        let writer = self.writers.entry(point.writer).or_insert_with(new);
        writer.heard_ms = now_ms;
        if what.end_ms > writer.told_ms {
            writer.before_ms = Some(writer.told_ms);
            writer.told_ms = what.end_ms;
        }
        let young = what.start_ms >= since_ms || what.end_ms - what.start_ms <= FRESH_MS;
        let seen = match (writer.series.get(&point.series), writer.before_ms) {
            (Some(last), _) if what.end_ms <= last.end_ms => return Seen::Nothing,
            (Some(last), _) => last.rest(point).map_or(Seen::Nothing, Seen::News),
            (None, _) if full => return Seen::TooMany,
            (None, Some(before_ms)) => Seen::News(all(what.start_ms.max(before_ms))),
            (None, None) if young => Seen::News(all(what.start_ms)),
            (None, None) => Seen::Nothing,
        };
        let cells = point.cells.clone().into_boxed_slice();
        let last = Last { end_ms: what.end_ms, form: Form::of(&point.shape), cells, sum_ms: point.sum_ms };
        self.held += usize::from(writer.series.insert(point.series, last).is_none());
        seen
    }
}

impl Last {
    /// What is in a later point and was not in this; none where the later one has less of anything.
    fn rest(&self, point: &Point<'_>) -> Option<News> {
        let mine = match (self.form, Form::of(&point.shape)) {
            (mine, other) if mine == other => self.cells.to_vec(),
            // An exponential histogram halves its scale where its cells would be too many.
            (Form::Exponential(mine), Form::Exponential(other)) if mine > other => coarser(&self.cells, mine - other),
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
            writer: start_ms as u64,
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
        let restarted = point(1, (at + 30_000, at + 600_000), &[(0, 600)]);
        assert_eq!(all.news(&restarted, at), news(at + 30_000, at + 600_000, &[(0, 600)]), "begun since");
        let young = point(1, (at - 10_000, at + 60_000), &[(0, 4)]);
        assert_eq!(all.news(&young, at), news(at - 10_000, at + 60_000, &[(0, 4)]), "begun just before");
        let mut other = point(1, (1, at + 60_000), &[(0, 501)]);
        other.shape = Shape::Bounds([50.0].into());
        assert_eq!(all.news(&other, at), Seen::Nothing, "other bounds");
    }

    #[test]
    fn several_programs_of_one_resource_are_kept_apart() {
        let mut all = Series::default();
        let (mut at, starts) = (HOUR, [1_000, 2_000, 3_000]);
        for round in 0..3_u64 {
            for start in starts {
                let seen = all.news(&point(1, (start, at), &[(0, start as u64 + round * 10)]), at);
                let wanted = if round == 0 { Seen::Nothing } else { news(at - 60_000, at, &[(0, 10)]) };
                assert_eq!(seen, wanted);
                at += 100;
            }
            at += 60_000 - 300;
        }
        // Those that were forked with their counting begun cannot be told apart; they are not all counted again and again.
        all.news(&point(1, (4_000, at), &[(0, 900)]), at);
        assert_eq!(all.news(&point(1, (4_000, at + 1), &[(0, 800)]), at), Seen::Nothing);
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
        for writer in [1, 2, 3] {
            assert_eq!(all.news(&point(u64::MAX, (writer, HOUR), &[(0, 1)]), HOUR), Seen::TooMany);
        }
        assert_eq!(all.writers.len(), 1);
        let other = point(1, (HOUR, HOUR + GONE_MS), &[(0, 1)]);
        all.news(&other, HOUR + GONE_MS);
        assert_eq!((all.writers.len(), all.held), (1, 1), "who is gone makes room");
    }
}
