//! TOML text to the [`tree`](crate::tree), with the line of each key. Syntax errors are told by the parser's own words but
//! without the line's text, which may hold a secret.

use std::sync::Arc;

use toml::de::{DeTable, DeValue};

use crate::problem::Problem;
use crate::tree::{Item, Node, Origin, Table};

/// Byte offsets to lines.
pub(crate) struct Lines(Vec<usize>);

impl Lines {
    pub(crate) fn new(text: &str) -> Self {
        Self(text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at).collect())
    }

    /// The line, from 1, of a byte.
    pub(crate) fn at(&self, offset: usize) -> u32 {
        u32::try_from(self.0.partition_point(|end| *end < offset)).unwrap_or(u32::MAX).saturating_add(1)
    }
}

/// Reads a whole file. What could be read comes beside the syntax errors.
pub(crate) fn parse(text: &str, file: &Arc<str>) -> (Table, Vec<Problem>) {
    let lines = Lines::new(text);
    let (table, errors) = DeTable::parse_recoverable(text);
    let problems = errors
        .iter()
        .map(|error| Problem {
            file: Some(Arc::clone(file)),
            line: error.span().map(|span| lines.at(span.start)),
            setting: String::new(),
            message: format!("this is not TOML: {}", error.message()),
        })
        .collect();
    (table_of(table.get_ref(), &lines), problems)
}

/// Reads one value, such as a default in a table of fields.
pub(crate) fn parse_value(text: &str) -> Option<Node> {
    let value = DeValue::parse(text).ok()?;
    Some(node_of(value.get_ref(), &Lines(Vec::new()), 0))
}

fn table_of(table: &DeTable<'_>, lines: &Lines) -> Table {
    let mut entries: Vec<_> = table.iter().collect();
    // The parser keeps keys by name; people wrote them in another order, which is the order of apps and processes.
    entries.sort_by_key(|(key, _)| key.span().start);
    Table(
        entries
            .into_iter()
            .map(|(key, value)| (key.get_ref().to_string(), node_of(value.get_ref(), lines, key.span().start)))
            .collect(),
    )
}

/// A value is said to be where its key is: for a table that a header opens, that is the header.
fn node_of(value: &DeValue<'_>, lines: &Lines, start: usize) -> Node {
    let item = match value {
        DeValue::String(text) => Item::Text(text.to_string()),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Item::Whole(number),
            Err(_) => Item::Huge,
        },
        DeValue::Float(number) => Item::Number(number.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(flag) => Item::Flag(*flag),
        DeValue::Datetime(_) => Item::Date,
        DeValue::Array(list) => {
            Item::List(list.iter().map(|entry| node_of(entry.get_ref(), lines, entry.span().start)).collect())
        }
        DeValue::Table(table) => Item::Table(table_of(table, lines)),
    };
    Node::new(item, Origin::line(lines.at(start)))
}
