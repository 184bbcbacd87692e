//! How a kind of measurement, policy, gate, platform or notification says which settings it takes: one table of
//! [`Field`]s, from which the settings room reads, checks, explains and makes the schema. What comes out of the reading is
//! [`Values`], already of the right type and in range.
//!
//! No text is read here; that is the settings crate's work.

use std::collections::BTreeMap;
use std::fmt;

use jiff::SignedDuration;

use crate::{BoundTable, Secret, Unit, masked_url};

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum FieldType {
    /// Free text, not empty.
    Text,
    /// One of a few words.
    OneOf(&'static [&'static str]),
    /// One of a few words, each of which says what the measurement's numbers count.
    Counts(&'static [(&'static str, Unit)]),
    /// `true` or `false`.
    Flag,
    /// A whole number in this range, both ends included.
    Whole(i64, i64),
    /// A number in this range, both ends included.
    Number(f64, f64),
    /// Text with a unit, such as `"30s"` or `"1m 30s"`, in this range of seconds.
    Duration(f64, f64),
    /// A level of the measurement: a duration where the measurement is in time (kept in milliseconds), else a number.
    Level,
    /// An absolute URL with one of these schemes.
    Url(&'static [&'static str]),
    /// A secret: `{ env = "NAME" }`, `{ file = "path" }`, or a literal, which is warned about.
    Secret,
    /// A list of texts.
    Texts,
    /// A table of texts, such as HTTP headers.
    TextTable,
    /// A table of whole numbers at or above zero, such as `{ web = 1 }`.
    WholeTable,
    /// Dynos, fixed or by time of the week, as `min_dynos` has them.
    DynoTable,
    /// A path of a file or folder, relative to the settings file.
    Path,
}

/// One setting of a kind.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Field {
    /// The key in the settings file.
    pub name: &'static str,
    /// What it holds.
    pub kind: FieldType,
    /// Whether it must be given.
    pub required: bool,
    /// What holds when it is not given, as it would be written in TOML; `None` where "not given" is a meaning of its own.
    pub default: Option<&'static str>,
    /// One sentence for people.
    pub doc: &'static str,
    /// As it could be written in TOML.
    pub example: &'static str,
}

impl Field {
    /// A field that must be given.
    pub const fn required(name: &'static str, kind: FieldType, doc: &'static str, example: &'static str) -> Self {
        Self { name, kind, required: true, default: None, doc, example }
    }

    /// A field that may be left out, and then is absent.
    pub const fn optional(name: &'static str, kind: FieldType, doc: &'static str, example: &'static str) -> Self {
        Self { name, kind, required: false, default: None, doc, example }
    }

    /// A field that may be left out, and then holds `default` (as written in TOML).
    pub const fn defaulting(name: &'static str, kind: FieldType, default: &'static str, doc: &'static str) -> Self {
        Self { name, kind, required: false, default: Some(default), doc, example: default }
    }
}

/// A checked value.
#[derive(Clone, PartialEq)]
pub enum Value {
    /// Text, one of a few words, or a path (already resolved against the settings file).
    Text(String),
    /// A flag.
    Flag(bool),
    /// A whole number.
    Whole(i64),
    /// A number; for a level of time, in milliseconds.
    Number(f64),
    /// A duration.
    Duration(SignedDuration),
    /// A URL; show it with [`masked_url`], as it may hold a password.
    Url(url::Url),
    /// A secret.
    Secret(Secret),
    /// Texts.
    Texts(Vec<String>),
    /// A table of texts; they may be secret, so they are wrapped.
    TextTable(BTreeMap<String, Secret>),
    /// A table of whole numbers.
    WholeTable(BTreeMap<String, u32>),
    /// Dynos by time.
    DynoTable(BoundTable),
}

impl fmt::Debug for Value {
    /// As the value, with secrets and the passwords of URLs hidden.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => text.fmt(f),
            Self::Flag(flag) => flag.fmt(f),
            Self::Whole(number) => number.fmt(f),
            Self::Number(number) => number.fmt(f),
            Self::Duration(duration) => duration.fmt(f),
            Self::Url(url) => f.write_str(&masked_url(url)),
            Self::Secret(secret) => secret.fmt(f),
            Self::Texts(texts) => texts.fmt(f),
            Self::TextTable(table) => table.fmt(f),
            Self::WholeTable(table) => table.fmt(f),
            Self::DynoTable(table) => table.fmt(f),
        }
    }
}

/// The settings of one section, checked against its kind's fields, defaults filled in.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Values(BTreeMap<&'static str, Value>);

impl Values {
    /// Puts a value under its field's name.
    pub fn set(&mut self, name: &'static str, value: Value) {
        self.0.insert(name, value);
    }

    /// The value of a field, whatever its type.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// Text, one of a few words, or a path.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.get(name)? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A flag; false where it is absent.
    pub fn flag(&self, name: &str) -> bool {
        matches!(self.get(name), Some(Value::Flag(true)))
    }

    /// A whole number.
    pub fn whole(&self, name: &str) -> Option<i64> {
        match self.get(name)? {
            Value::Whole(number) => Some(*number),
            _ => None,
        }
    }

    /// A number, or a level.
    pub fn number(&self, name: &str) -> Option<f64> {
        match self.get(name)? {
            Value::Number(number) => Some(*number),
            _ => None,
        }
    }

    /// A duration.
    pub fn duration(&self, name: &str) -> Option<SignedDuration> {
        match self.get(name)? {
            Value::Duration(duration) => Some(*duration),
            _ => None,
        }
    }

    /// A URL.
    pub fn url(&self, name: &str) -> Option<&url::Url> {
        match self.get(name)? {
            Value::Url(url) => Some(url),
            _ => None,
        }
    }

    /// A secret.
    pub fn secret(&self, name: &str) -> Option<&Secret> {
        match self.get(name)? {
            Value::Secret(secret) => Some(secret),
            _ => None,
        }
    }

    /// Texts; none where the field is absent.
    pub fn texts(&self, name: &str) -> &[String] {
        match self.get(name) {
            Some(Value::Texts(texts)) => texts,
            _ => &[],
        }
    }

    /// A table of texts.
    pub fn text_table(&self, name: &str) -> Option<&BTreeMap<String, Secret>> {
        match self.get(name)? {
            Value::TextTable(table) => Some(table),
            _ => None,
        }
    }

    /// A table of whole numbers.
    pub fn whole_table(&self, name: &str) -> Option<&BTreeMap<String, u32>> {
        match self.get(name)? {
            Value::WholeTable(table) => Some(table),
            _ => None,
        }
    }
}

/// What building a thing from its settings found wrong: the field, and a sentence that says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct FieldError {
    /// The field to change.
    pub field: &'static str,
    /// What is wrong, and the mend.
    pub message: String,
}

impl FieldError {
    /// A fault of one field.
    pub fn new(field: &'static str, message: impl Into<String>) -> Self {
        Self { field, message: message.into() }
    }
}

/// What every kind in a registry says of itself.
#[derive(Debug, Clone, Copy)]
pub struct Description {
    /// The word in settings: `heartbeat`, `consecutive`, `heroku`, …
    pub name: &'static str,
    /// One sentence for people.
    pub doc: &'static str,
    /// The settings it takes.
    pub fields: &'static [Field],
    /// Which fields a bare value sets, where the settings allow `name = value` instead of a table; none: not allowed.
    pub shorthand: &'static [&'static str],
}

/// A kind of measurement as far as checking settings needs it; how it reads is the measure crate's work.
#[derive(Debug, Clone, Copy)]
pub struct MeasurementKind {
    /// Its name, sentence and fields (`every`, `name`, `max_age` and `decide` are read for all kinds and not listed).
    pub description: Description,
    /// What its numbers count, unless one of its fields says so ([`MeasurementKind::unit_of`]).
    pub unit: Unit,
    /// Whether a failure that looks like overload counts as too slow ([`Failure::looks_like_overload`](crate::Failure)).
    pub failures_mean_overload: bool,
    /// Whether senders tell it its numbers, so that a rise is acted upon at once ([`Peak`](crate::Peak)).
    pub told: bool,
    /// How often it is read unless `every` is set, as written in TOML.
    pub default_every: &'static str,
    /// Faults across fields, found when the settings are checked, with the interval as the second argument.
    pub check: fn(&Values, SignedDuration) -> Result<(), FieldError>,
}

impl MeasurementKind {
    /// What its numbers count with these settings: as a field of the type [`FieldType::Counts`] says, else always the same.
    pub fn unit_of(&self, values: &Values) -> Unit {
        let said = |field: &Field| match field.kind {
            FieldType::Counts(words) => {
                let word = values.text(field.name)?;
                words.iter().find(|(known, _)| *known == word).map(|(_, unit)| *unit)
            }
            _ => None,
        };
        self.description.fields.iter().find_map(said).unwrap_or(self.unit)
    }
}

/// A kind of platform as far as checking settings needs it.
#[derive(Debug, Clone, Copy)]
pub struct PlatformKind {
    /// Its name, sentence and fields (`type` is read for all kinds and not listed).
    pub description: Description,
    /// Faults across fields, found when the settings are checked.
    pub check: fn(&Values) -> Result<(), FieldError>,
}

/// A kind of notification as far as checking settings needs it.
#[derive(Debug, Clone, Copy)]
pub struct NotifyKind {
    /// Its name, sentence and fields (`type`, `on` and `remind` are read for all kinds and not listed).
    pub description: Description,
    /// Faults across fields, found when the settings are checked.
    pub check: fn(&Values) -> Result<(), FieldError>,
}
