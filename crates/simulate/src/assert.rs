//! The language of `--assert`: figures of a [`Report`], or of anything else that has a list of them, compared with numbers,
//! for a user's own checks.
//!
//! ```text
//! slow_share < 1%, dyno_hours <= 500 and p95_secs < 500ms
//! ```
//!
//! A figure, a comparison, a number; several joined by commas or `and`, and all must hold. A number may carry the unit of its
//! figure: `%` for a share, `ms` or `s` for a time. [`FIGURES`] is the list, by the names of the JSON report.

use std::fmt;

use crate::outcome::Report;

/// What a figure counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A share from 0 to 1; `%` divides by 100.
    Share,
    /// Seconds; `ms` divides by 1000.
    Seconds,
    /// Anything else, without a unit.
    Number,
}

/// A figure of `T` that can be asserted.
#[derive(Debug)]
pub struct Figure<T> {
    /// Its name, as in the JSON report.
    pub name: &'static str,
    /// What it counts.
    pub kind: Kind,
    /// One sentence.
    pub doc: &'static str,
    /// Where it is found. What is no number makes every comparison but `!=` fail.
    pub read: fn(&T) -> f64,
}

const fn figure(name: &'static str, kind: Kind, doc: &'static str, read: fn(&Report) -> f64) -> Figure<Report> {
    Figure { name, kind, doc, read }
}

/// Every figure of a report, by name.
pub static FIGURES: &[Figure<Report>] = &[
    figure("beyond_bounds_minutes", Kind::Number, "Minutes whose need is above the maximum.", |r| {
        r.beyond_bounds_minutes as f64
    }),
    figure("changes", Kind::Number, "Minutes whose quantity differs from the minute before.", |r| r.changes as f64),
    figure("cost", Kind::Number, "Dyno-hours times the price.", |r| r.cost),
    figure("dyno_hours", Kind::Number, "Paid dyno-hours, booting and draining included.", |r| r.dyno_hours),
    figure("mean_wait_secs", Kind::Seconds, "Mean wait of the requests that were worked on.", |r| {
        r.times.mean_wait_secs
    }),
    figure("optimum_dyno_hours", Kind::Number, "Dyno-hours of the clairvoyant optimum.", |r| r.optimum_dyno_hours),
    figure("optimum_ratio", Kind::Number, "Dyno-hours over those of the clairvoyant optimum.", |r| r.optimum_ratio),
    figure("p50_secs", Kind::Seconds, "Median of wait + service.", |r| r.times.p50_secs),
    figure("p95_secs", Kind::Seconds, "95th percentile of wait + service.", |r| r.times.p95_secs),
    figure("p99_secs", Kind::Seconds, "99th percentile of wait + service.", |r| r.times.p99_secs),
    figure("rejected", Kind::Number, "Requests that found the queue full.", |r| r.rejected),
    figure("requests", Kind::Number, "Requests that came.", |r| r.requests),
    figure("reversals", Kind::Number, "Changes that turn back within 10 minutes.", |r| r.reversals as f64),
    figure("slow_share", Kind::Share, "Share of requests above the objective, rejected or timed out.", |r| {
        r.slow_share
    }),
    figure("timed_out", Kind::Number, "Requests that had no answer in time.", |r| r.timed_out),
    figure("worst_minute_p95_secs", Kind::Seconds, "Highest 95th percentile of a minute.", |r| r.worst_minute.p95_secs),
];

/// How a figure is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Below,
    AtMost,
    Above,
    AtLeast,
    Equal,
    Unequal,
}

/// In the order in which they are tried: `<=` before `<`.
const COMPARISONS: [(&str, Comparison); 6] = [
    ("<=", Comparison::AtMost),
    (">=", Comparison::AtLeast),
    ("==", Comparison::Equal),
    ("!=", Comparison::Unequal),
    ("<", Comparison::Below),
    (">", Comparison::Above),
];

impl Comparison {
    fn holds(self, left: f64, right: f64) -> bool {
        match self {
            Self::Below => left < right,
            Self::AtMost => left <= right,
            Self::Above => left > right,
            Self::AtLeast => left >= right,
            Self::Equal => left == right,
            Self::Unequal => left != right,
        }
    }

    fn as_str(self) -> &'static str {
        COMPARISONS.iter().find(|(_, comparison)| *comparison == self).map_or("", |(text, _)| text)
    }
}

/// One comparison that must hold for a `T`.
#[derive(Debug)]
pub struct Assertion<T: 'static> {
    figure: &'static Figure<T>,
    comparison: Comparison,
    number: f64,
}

impl<T> Assertion<T> {
    /// Whether it holds for what is called `name` on `trace`; `Err` says what was found instead.
    ///
    /// A figure that is no number (a ratio to an optimum of nothing) makes every comparison but `!=` fail.
    pub fn check_of(&self, of: &T, name: &str, trace: &str) -> Result<(), Broken> {
        let found = (self.figure.read)(of);
        if self.comparison.holds(found, self.number) {
            Ok(())
        } else {
            Err(Broken { name: name.to_owned(), trace: trace.to_owned(), assertion: self.to_string(), found })
        }
    }
}

impl Assertion<Report> {
    /// Whether it holds for a run; `Err` says what was found instead.
    pub fn check(&self, report: &Report) -> Result<(), Broken> {
        self.check_of(report, &report.name, &report.trace)
    }
}

impl<T> fmt::Display for Assertion<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.figure.name, self.comparison.as_str(), self.number)
    }
}

/// An assertion that does not hold.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{name} on {trace}: {assertion} does not hold, it is {found}")]
pub struct Broken {
    /// The contender.
    pub name: String,
    /// The trace.
    pub trace: String,
    /// The assertion.
    pub assertion: String,
    /// What the figure is.
    pub found: f64,
}

/// An assertion that cannot be read: what is wrong, and what to write.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the assertion {text:?} {what}")]
pub struct AssertError {
    /// The part that cannot be read.
    pub text: String,
    /// What is wrong with it.
    pub what: String,
}

/// Reads assertions about a [`Report`], joined by commas or `and`; there is at least one.
pub fn parse(text: &str) -> Result<Vec<Assertion<Report>>, AssertError> {
    parse_for(FIGURES, text)
}

/// Reads assertions about other figures.
pub fn parse_for<T>(figures: &'static [Figure<T>], text: &str) -> Result<Vec<Assertion<T>>, AssertError> {
    let parts = text.split(',').flat_map(|part| part.split(" and ")).map(str::trim);
    parts.map(|part| parse_one(figures, part)).collect()
}

/// Whether a text compares something, and so is an assertion and no name of a file.
pub fn compares(text: &str) -> bool {
    text.contains(SIGNS)
}

/// What a comparison begins with.
const SIGNS: [char; 4] = ['<', '>', '=', '!'];

fn parse_one<T>(figures: &'static [Figure<T>], text: &str) -> Result<Assertion<T>, AssertError> {
    let fault = |what: String| AssertError { text: text.to_owned(), what };
    if text.is_empty() {
        return Err(fault("is empty: write a figure, a comparison and a number, as slow_share < 1%".to_owned()));
    }
    let found = text.find(SIGNS).and_then(|at| {
        let (comparison, rest) = COMPARISONS
            .iter()
            .find_map(|(sign, comparison)| Some((*comparison, text.get(at..)?.strip_prefix(sign)?)))?;
        Some((text.get(..at)?.trim(), comparison, rest.trim()))
    });
    let Some((name, comparison, number)) = found else {
        return Err(fault("has no comparison: write one of < <= > >= == != between a figure and a number".to_owned()));
    };
    let Some(figure) = figures.iter().find(|figure| figure.name == name) else {
        let names: Vec<_> = figures.iter().map(|figure| figure.name).collect();
        return Err(fault(format!("names no figure ({name:?}): write one of {}", names.join(", "))));
    };
    let number = read_number(number, figure.kind).map_err(fault)?;
    Ok(Assertion { figure, comparison, number })
}

fn read_number(text: &str, kind: Kind) -> Result<f64, String> {
    let units: &[(&str, f64)] = match kind {
        Kind::Share => &[("%", 100.0)],
        Kind::Seconds => &[("ms", 1000.0), ("s", 1.0)],
        Kind::Number => &[],
    };
    let (digits, over) =
        units.iter().find_map(|(unit, over)| Some((text.strip_suffix(unit)?.trim(), *over))).unwrap_or((text, 1.0));
    match digits.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(number / over),
        _ => {
            let example = match kind {
                Kind::Share => "0.01 or 1%",
                Kind::Seconds => "0.5, 500ms or 0.5s",
                Kind::Number => "12",
            };
            Err(format!("compares with {text:?}, which is no number of this figure: write it as {example}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        let rows = [
            ("slow_share < 0.01", "slow_share < 0.01"),
            ("slow_share<1%", "slow_share < 0.01"),
            ("p95_secs <= 500ms", "p95_secs <= 0.5"),
            ("p95_secs >= 2s", "p95_secs >= 2"),
            ("changes == 12", "changes == 12"),
            ("cost != 1e3", "cost != 1000"),
            ("dyno_hours>4.5", "dyno_hours > 4.5"),
        ];
        for (text, want) in rows {
            let read = parse(text).unwrap();
            assert_eq!(read.iter().map(ToString::to_string).collect::<Vec<_>>(), [want]);
        }
        let three = parse("slow_share < 1%, changes < 9 and reversals <= 2").unwrap();
        assert_eq!(three.len(), 3);
    }

    #[test]
    fn errors_say_what_to_write() {
        let rows = [
            ("", "is empty"),
            ("slow_share < 1%,", "is empty"),
            ("slow_share", "has no comparison"),
            ("slow_share = 1", "has no comparison"),
            ("slowness < 1", "names no figure (\"slowness\"): write one of beyond_bounds_minutes, changes"),
            ("< 1", "names no figure (\"\")"),
            ("slow_share < one", "write it as 0.01 or 1%"),
            ("p95_secs < 5%", "write it as 0.5, 500ms or 0.5s"),
            ("changes < 5ms", "write it as 12"),
            ("changes < nan", "write it as 12"),
        ];
        for (text, want) in rows {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(want), "{text}: {error}");
        }
    }

    #[test]
    fn figures_are_in_order_and_comparisons_compare() {
        assert!(FIGURES.windows(2).all(|pair| pair[0].name < pair[1].name));
        let rows = [("<=", 1.0, true), (">=", 1.0, true), ("<", 1.0, false), (">", 1.0, false), ("==", 1.0, true)];
        for (sign, left, holds) in rows {
            let (_, comparison) = COMPARISONS.iter().find(|(text, _)| *text == sign).unwrap();
            assert_eq!(comparison.holds(left, 1.0), holds, "{sign}");
            assert!(!comparison.holds(f64::NAN, 1.0));
        }
    }
}
