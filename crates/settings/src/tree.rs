//! The tree that every kind of settings file becomes before it is checked: values with where they were set. TOML gives it as
//! written; the names of 2.1 are turned into the same shape, so there is one reader and one meaning.
//!
//! No type here has a `Debug`: a tree holds secrets before anything knows that they are.

use std::sync::Arc;

/// Where something was set.
#[derive(Clone, Default)]
pub(crate) struct Origin {
    /// The line in the file, from 1.
    pub(crate) line: Option<u32>,
    /// The name the user knows it by, where that is not its dotted path: a 2.1 name, or an environment variable.
    pub(crate) name: Option<Arc<str>>,
}

impl Origin {
    pub(crate) fn line(line: u32) -> Self {
        Self { line: Some(line), name: None }
    }

    pub(crate) fn named(&self, name: &str) -> Self {
        Self { line: self.line, name: Some(name.into()) }
    }
}

/// A value, and where it was set.
#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) item: Item,
    pub(crate) at: Origin,
    /// The environment variable that it is the value of, where a Python file says so.
    pub(crate) variable: Option<Arc<str>>,
}

/// What a value is.
#[derive(Clone, PartialEq)]
pub(crate) enum Item {
    Text(String),
    Whole(i64),
    /// A whole number beyond 64 bits.
    Huge,
    Number(f64),
    Flag(bool),
    Date,
    List(Vec<Node>),
    Table(Table),
    /// Python's `None`.
    Nothing,
    /// What can't be known without running code, and why.
    Unreadable(String),
}

impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        self.item == other.item
    }
}

/// Keys and values in the order of the text.
#[derive(Clone, Default, PartialEq)]
pub(crate) struct Table(pub(crate) Vec<(String, Node)>);

impl Table {
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        self.0.iter().find_map(|(k, node)| (k == key).then_some(node))
    }

    pub(crate) fn set(&mut self, key: &str, node: Node) {
        match self.0.iter_mut().find(|(k, _)| k == key) {
            Some((_, old)) => *old = node,
            None => self.0.push((key.into(), node)),
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Node)> {
        self.0.iter().map(|(key, node)| (key.as_str(), node))
    }
}

impl Node {
    pub(crate) fn new(item: Item, at: Origin) -> Self {
        Self { item, at, variable: None }
    }

    pub(crate) fn text(text: impl Into<String>, at: &Origin) -> Self {
        Self::new(Item::Text(text.into()), at.clone())
    }

    /// What it is, for a message: never its text.
    pub(crate) fn what(&self) -> String {
        match &self.item {
            Item::Text(text) if text.is_empty() => "an empty text".into(),
            Item::Text(_) => "text".into(),
            Item::Whole(number) => number.to_string(),
            Item::Huge => "a number beyond all limits".into(),
            Item::Number(number) => format!("{number:?}"),
            Item::Flag(flag) => flag.to_string(),
            Item::Date => "a date or time".into(),
            Item::List(_) => "a list".into(),
            Item::Table(_) => "a table".into(),
            Item::Nothing => "None".into(),
            Item::Unreadable(_) => "not readable".into(),
        }
    }
}

/// A key joined to a dotted path, quoted where TOML would quote it.
pub(crate) fn join(path: &str, key: &str) -> String {
    let bare = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    let short: String = key.chars().filter(|c| !c.is_control()).take(60).collect();
    let key = if bare { short } else { format!("\"{short}\"") };
    if path.is_empty() { key } else { format!("{path}.{key}") }
}
