//! Stretches of time of which nothing is known.

use jiff::Timestamp;

use crate::commands::past;

/// A stretch of which nothing is known, in seconds of the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gap {
    pub(crate) from: i64,
    pub(crate) to: i64,
}

/// The gaps between what is known: pieces of `length` seconds that begin at ascending instants.
pub(crate) struct Gaps<I> {
    pieces: I,
    length: i64,
    allowed: i64,
    known_to: Option<i64>,
}

impl<I: Iterator<Item = i64>> Gaps<I> {
    /// Those longer than `allowed` seconds.
    pub(crate) fn new(pieces: I, length: i64, allowed: i64) -> Self {
        Self { pieces, length, allowed, known_to: None }
    }
}

impl<I: Iterator<Item = i64>> Iterator for Gaps<I> {
    type Item = Gap;

    fn next(&mut self) -> Option<Gap> {
        for from in self.pieces.by_ref() {
            let known_to = self.known_to.replace(from + self.length);
            if let Some(known_to) = known_to.filter(|known_to| from - known_to > self.allowed) {
                return Some(Gap { from: known_to, to: from });
            }
        }
        None
    }
}

/// The gaps in words: the first few, the number of the others, and the length to allow for all of them.
pub(crate) fn told(gaps: &[Gap]) -> (String, String) {
    const SHOWN: usize = 5;
    let at = |secs| Timestamp::from_second(secs).map_or_else(|_| secs.to_string(), |at| at.to_string());
    let one = |gap: &Gap| format!("from {} to {} ({})", at(gap.from), at(gap.to), past::length(gap.to - gap.from));
    let mut text = gaps.iter().take(SHOWN).map(one).collect::<Vec<_>>().join(", ");
    if gaps.len() > SHOWN {
        text.push_str(&format!(", and {} times more", gaps.len() - SHOWN));
    }
    let longest = gaps.iter().map(|gap| gap.to - gap.from).max().unwrap_or(0);
    (text, format!("{}m", longest.div_euclid(60) + 1))
}
