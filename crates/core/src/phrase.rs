//! A sentence with its numbers, kept apart until someone reads it: building one allocates nothing, so a tick that changes
//! nothing costs nothing, and the numbers stay numbers for programs.

use std::fmt;

use serde::{Serialize, Serializer};

/// A fixed sentence with up to four numbers at `{0}` … `{3}`.
///
/// ```
/// use autoscalebot_core::Phrase;
/// let phrase = Phrase::with("{0} of {1} readings in a row were too high", [2.0, 3.0]);
/// assert_eq!(phrase.to_string(), "2 of 3 readings in a row were too high");
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Phrase {
    template: &'static str,
    numbers: [f64; 4],
}

impl Phrase {
    /// A sentence without numbers.
    pub const fn new(template: &'static str) -> Self {
        Self { template, numbers: [0.0; 4] }
    }

    /// A sentence with numbers.
    pub fn with<const N: usize>(template: &'static str, given: [f64; N]) -> Self {
        const { assert!(N <= 4) };
        let mut numbers = [0.0; 4];
        numbers[..N].copy_from_slice(&given);
        Self { template, numbers }
    }
}

impl fmt::Display for Phrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.template;
        while let Some(open) = rest.find('{') {
            f.write_str(&rest[..open])?;
            let after = &rest[open + 1..];
            let slot = after.split_once('}').and_then(|(slot, tail)| Some((slot.parse::<usize>().ok()?, tail)));
            match slot.and_then(|(index, tail)| Some((self.numbers.get(index)?, tail))) {
                Some((number, tail)) => {
                    // Two decimals at most: 1074.0 reads as "1074", 1074.256 as "1074.26".
                    let rounded = (number * 100.0).round() / 100.0;
                    write!(f, "{rounded}")?;
                    rest = tail;
                }
                None => {
                    f.write_str("{")?;
                    rest = after;
                }
            }
        }
        f.write_str(rest)
    }
}

impl Serialize for Phrase {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
