//! Reading a `.env` file: variables for every dyno. The file's syntax is dotenvy's work; this program's own environment is
//! never changed, though `$NAME` inside the file may refer to it.
//!
//! Faults name the line but never show it: what stands there may be a secret.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::{self, Read};

use super::procfile::Fault;

/// The variables of a `.env` file; where a name comes twice, the last one holds.
pub(super) fn parse(text: &str) -> Result<BTreeMap<String, String>, Fault> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut variables = BTreeMap::new();
    let read = Cell::new(0);
    for item in dotenvy::Iter::new(LineByLine { rest: text.as_bytes(), read: &read }) {
        match item {
            Ok((name, value)) => {
                if value.contains('\0') || name.contains('\0') {
                    let message = "a zero byte cannot be part of a variable".to_owned();
                    return Err(Fault { line: read.get(), message });
                }
                variables.insert(name, value);
            }
            Err(dotenvy::Error::LineParse(entry, _)) => {
                // What was read last is the entry's end; it may have several lines.
                let line = (read.get() + 1).saturating_sub(entry.trim_end().lines().count().max(1));
                let message = "not `NAME=value`: put values with spaces or `#` between quotes".to_owned();
                return Err(Fault { line, message });
            }
            Err(_) => return Err(Fault { line: 0, message: "it cannot be read as text".to_owned() }),
        }
    }
    Ok(variables)
}

/// Gives a line at a time, so that it is known how far dotenvy has read: it does not tell where a fault stands.
struct LineByLine<'a> {
    rest: &'a [u8],
    /// Lines given.
    read: &'a Cell<usize>,
}

impl Read for LineByLine<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let line = self.rest.iter().position(|byte| *byte == b'\n').map_or(self.rest.len(), |end| end + 1);
        let (line, _) = self.rest.split_at(line.min(into.len()));
        let count = io::copy(&mut &*line, &mut &mut *into)? as usize;
        let (given, rest) = self.rest.split_at(count);
        self.rest = rest;
        if given.ends_with(b"\n") || (rest.is_empty() && count > 0) {
            self.read.set(self.read.get() + 1);
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_as_written() {
        let read = parse("\u{feff}# c\nA=1\r\nexport B='two words'\nC=\"x#y\" # z\nA=3\nEMPTY=\n").unwrap();
        let found: Vec<_> = read.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(found, [("A", "3"), ("B", "two words"), ("C", "x#y"), ("EMPTY", "")]);
    }

    #[test]
    fn a_fault_names_the_line_and_hides_it() {
        for (text, line) in
            [("A=1\n\nKEY=hunter two\n", 3), ("hunter\n", 1), ("A=1\nB=\"hunter\n", 2), ("A='1\n2'\nB=x hunter\n", 3)]
        {
            let fault = parse(text).unwrap_err();
            assert_eq!(fault.line, line, "{text:?}: {fault}");
            assert!(!fault.to_string().contains("hunter"), "{fault}");
        }
    }
    proptest::proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "(?s)[A-C=\"'#$\\\\{}: \r\n\0é_-]{0,60}") {
            match parse(&text) {
                Ok(read) => proptest::prop_assert!(read.len() <= text.lines().count()),
                Err(fault) => proptest::prop_assert!((1..=text.lines().count()).contains(&fault.line), "{fault}"),
            }
        }
    }
}
