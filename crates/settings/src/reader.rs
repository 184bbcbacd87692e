//! [`Reader`]: reads values of the tree by the [`Field`]s that describe them, and gathers every problem on the way. What a
//! section of the settings holds is in [`assemble`](crate::assemble) and [`process`](crate::process).

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use autoscalebot_core::fields::{Description, Field, FieldError, FieldType, Value, Values};
use autoscalebot_core::{Secret, Unit};
use jiff::SignedDuration;

use crate::outside::Outside;
use crate::problem::{Problem, choices, shown};
use crate::tree::{Item, Node, Origin, Table, join};
use crate::{Kinds, address, duration, times, toml_tree};

/// What is known while settings are read, and what was found wrong.
pub(crate) struct Reader<'a> {
    pub(crate) kinds: Kinds<'a>,
    pub(crate) outside: &'a Outside<'a>,
    /// The settings file as messages name it.
    pub(crate) file: Arc<str>,
    /// The folder that paths in the settings start from.
    pub(crate) folder: PathBuf,
    pub(crate) problems: Vec<Problem>,
    pub(crate) warnings: Vec<Problem>,
    /// Every secret seen, to be hidden should a message ever hold one.
    pub(crate) secrets: Vec<String>,
    /// Whether a program computed the values: a secret among them then stands in no file.
    pub(crate) computed: bool,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(kinds: Kinds<'a>, outside: &'a Outside<'a>, file: Arc<str>, folder: PathBuf) -> Self {
        Self {
            kinds,
            outside,
            file,
            folder,
            problems: Vec::new(),
            warnings: Vec::new(),
            secrets: Vec::new(),
            computed: false,
        }
    }

    fn make(&self, at: &Origin, path: &str, message: impl Into<String>) -> Problem {
        let setting = at.name.as_deref().unwrap_or(path).to_owned();
        Problem { file: Some(Arc::clone(&self.file)), line: at.line, setting, message: message.into() }
    }

    pub(crate) fn problem(&mut self, at: &Origin, path: &str, message: impl Into<String>) {
        let problem = self.make(at, path, message);
        self.problems.push(problem);
    }

    pub(crate) fn warning(&mut self, at: &Origin, path: &str, message: impl Into<String>) {
        let warning = self.make(at, path, message);
        self.warnings.push(warning);
    }

    pub(crate) fn hide(&mut self, secret: &str) {
        // A very short secret would also hide parts of ordinary words; no message holds a value of a secret anyway.
        if secret.len() >= 6 && !self.secrets.iter().any(|known| known == secret) {
            self.secrets.push(secret.into());
        }
    }

    /// A value that must be a table.
    pub(crate) fn table<'n>(&mut self, node: &'n Node, path: &str) -> Option<&'n Table> {
        match &node.item {
            Item::Table(table) => Some(table),
            _ => {
                self.problem(&node.at, path, format!("is {}, but must be a table: write [{path}]", node.what()));
                None
            }
        }
    }

    /// Says of each key that is not known which one may be meant.
    pub(crate) fn only_known(&mut self, table: &Table, path: &str, known: &[&str]) {
        for (key, node) in table.iter() {
            if !known.contains(&key) {
                let message = format!("is not a setting here: {}", choices(key, known));
                self.problem(&node.at, &join(path, key), message);
            }
        }
    }

    /// The value of a `type` key: one of the known kinds.
    pub(crate) fn kind<'k, K>(
        &mut self,
        table: &Table,
        at: &Origin,
        path: &str,
        kinds: &'k [K],
        name: impl Fn(&K) -> &'static str,
    ) -> Option<&'k K> {
        let names: Vec<_> = kinds.iter().map(&name).collect();
        let Some(node) = table.get("type") else {
            self.problem(
                at,
                &join(path, "type"),
                format!("is missing: write type = \"…\", one of {}", names.join(", ")),
            );
            return None;
        };
        let Item::Text(word) = &node.item else {
            let message = format!("is {}, but must be one of {}", node.what(), names.join(", "));
            self.problem(&node.at, &join(path, "type"), message);
            return None;
        };
        let found = kinds.iter().find(|kind| name(kind) == word);
        if found.is_none() {
            let message = format!("{} is not known: {}", shown(word), choices(word, &names));
            self.problem(&node.at, &join(path, "type"), message);
        }
        found
    }

    /// The values of a section, defaults filled in; `None` where one of them is wrong or missing.
    pub(crate) fn values(
        &mut self,
        description: &Description,
        table: &Table,
        at: &Origin,
        path: &str,
        unit: Option<Unit>,
    ) -> Option<Values> {
        let before = self.problems.len();
        let mut values = Values::default();
        let told = |field: &Field| table.get(field.name).is_some_and(|node| matches!(node.item, Item::Unreadable(_)));
        if description.fields.iter().any(told) {
            return None;
        }
        for field in description.fields {
            if let Some(value) = self.field(field, table, at, path, unit) {
                values.set(field.name, value);
            }
        }
        (self.problems.len() == before).then_some(values)
    }

    /// The value of one field of a table, or its default.
    pub(crate) fn field(
        &mut self,
        field: &Field,
        table: &Table,
        at: &Origin,
        path: &str,
        unit: Option<Unit>,
    ) -> Option<Value> {
        let path = join(path, field.name);
        if let Some(node) = table.get(field.name) {
            return self.value(field.kind, node, &path, unit, field.example);
        }
        if field.required {
            let message = format!("is missing: write {} = {}", field.name, field.example);
            self.problem(at, &path, message);
        }
        let default = toml_tree::parse_value(field.default?)?;
        self.value(field.kind, &default, &path, unit, field.example)
    }

    /// What building or checking a section found wrong, at the field it names.
    pub(crate) fn field_error(&mut self, error: &FieldError, table: &Table, at: &Origin, path: &str) {
        let at = table.get(error.field).map_or(at, |node| &node.at);
        self.problem(at, &join(path, error.field), error.message.clone());
    }

    /// A text that must be a duration in a range of seconds.
    pub(crate) fn duration(&mut self, node: &Node, path: &str, (least, most): (f64, f64)) -> Option<SignedDuration> {
        let message = match &node.item {
            Item::Text(text) => match duration::parse(text) {
                Some(found) if (least..=most).contains(&found.as_secs_f64()) => return Some(found),
                Some(_) => format!(
                    "is {}, but must be from {} to {}",
                    shown(text),
                    duration::write(least),
                    duration::write(most)
                ),
                None => format!(
                    "is {}, which is no duration: write one such as \"30s\", \"1m 30s\" or \"200ms\"",
                    shown(text)
                ),
            },
            Item::Whole(_) | Item::Number(_) => {
                let what = node.what();
                format!("is {what}, without a unit: write it as text with a unit, such as \"{what}s\"")
            }
            _ => format!("is {}, but must be a duration, such as \"30s\"", node.what()),
        };
        self.problem(&node.at, path, message);
        None
    }

    fn value(&mut self, kind: FieldType, node: &Node, path: &str, unit: Option<Unit>, example: &str) -> Option<Value> {
        let what = node.what();
        let message = match (kind, &node.item) {
            (FieldType::Secret, _) => return self.secret(node, path).map(Value::Secret),
            (FieldType::Duration(least, most), _) => {
                return self.duration(node, path, (least, most)).map(Value::Duration);
            }
            (FieldType::DynoTable, _) => {
                return times::read(self, node, path).map(|times| Value::DynoTable(times.table));
            }
            (FieldType::Level, _) => return self.level(node, path, unit).map(Value::Number),
            (FieldType::Text | FieldType::Path, Item::Text(text)) if text.trim().is_empty() => {
                format!("is empty: write it as text, such as {example}")
            }
            (FieldType::Text, Item::Text(text)) => return Some(Value::Text(text.clone())),
            (FieldType::Path, Item::Text(text)) => {
                return Some(Value::Text(self.folder.join(text).to_string_lossy().into_owned()));
            }
            (FieldType::Text, _) => format!("is {what}, but must be text in quotes, such as {example}"),
            (FieldType::Path, _) => format!("is {what}, but must be a path in quotes, such as {example}"),
            (FieldType::OneOf(words), Item::Text(text)) => {
                if words.contains(&text.as_str()) {
                    return Some(Value::Text(text.clone()));
                }
                format!("is {}: {}", shown(text), choices(text, words))
            }
            (FieldType::OneOf(words), _) => format!("is {what}, but must be one of {}", words.join(", ")),
            (FieldType::Counts(words), _) => {
                let words = words.iter().map(|(word, _)| *word).collect::<Vec<_>>();
                match &node.item {
                    Item::Text(text) if words.contains(&text.as_str()) => return Some(Value::Text(text.clone())),
                    Item::Text(text) => format!("is {}: {}", shown(text), choices(text, &words)),
                    _ => format!("is {what}, but must be one of {}", words.join(", ")),
                }
            }
            (FieldType::Flag, Item::Flag(flag)) => return Some(Value::Flag(*flag)),
            (FieldType::Flag, _) => format!("is {what}, but must be true or false, without quotes"),
            (FieldType::Whole(least, most), Item::Whole(number)) => {
                if (least..=most).contains(number) {
                    return Some(Value::Whole(*number));
                }
                format!("is {number}, but must be from {least} to {most}")
            }
            (FieldType::Whole(least, most), _) => {
                format!("is {what}, but must be a whole number from {least} to {most}, without quotes")
            }
            (FieldType::Number(least, most), Item::Whole(_) | Item::Number(_)) => {
                let number = as_number(node);
                if (least..=most).contains(&number) {
                    return Some(Value::Number(number));
                }
                format!("is {what}, but must be from {least} to {most}")
            }
            (FieldType::Number(least, most), _) => {
                format!("is {what}, but must be a number from {least} to {most}, without quotes")
            }
            (FieldType::Url(schemes), Item::Text(text)) => match self.url(text, schemes) {
                Ok(url) => return Some(url),
                Err(message) => message,
            },
            // A URL with a password in it is given in a variable as a rule: REDIS_URL, DATABASE_URL.
            (FieldType::Url(schemes), Item::Table(table)) => {
                let text = self.secret_elsewhere(table, node, path)?;
                match self.url(&text, schemes) {
                    Ok(url) => return Some(url),
                    Err(message) => message,
                }
            }
            (FieldType::Url(_), _) => format!("is {what}, but must be a URL in quotes, such as {example}"),
            (FieldType::Texts, Item::List(list)) => return self.texts(list, path).map(Value::Texts),
            (FieldType::Texts, _) => format!("is {what}, but must be a list of texts, such as {example}"),
            (FieldType::TextTable, Item::Table(table)) => return self.text_table(table, path).map(Value::TextTable),
            (FieldType::WholeTable, Item::Table(table)) => return self.whole_table(table, path).map(Value::WholeTable),
            (FieldType::TextTable | FieldType::WholeTable, _) => {
                format!("is {what}, but must be a table, such as {example}")
            }
        };
        self.problem(&node.at, path, message);
        None
    }

    /// A URL; its password will be shown nowhere.
    fn url(&mut self, text: &str, schemes: &[&str]) -> Result<Value, String> {
        let url = address::parse(text, schemes)?;
        if let Some(password) = url.password() {
            let password = password.to_owned();
            self.hide(&password);
        }
        Ok(Value::Url(url))
    }

    fn level(&mut self, node: &Node, path: &str, unit: Option<Unit>) -> Option<f64> {
        let unit = unit.unwrap_or(Unit::Count);
        if unit == Unit::Milliseconds {
            return self.duration(node, path, (0.0, 86_400.0)).map(|found| found.as_secs_f64() * 1e3);
        }
        let number = as_number(node);
        if number.is_finite() && number >= 0.0 {
            return Some(number);
        }
        let unit = unit.as_str();
        let message = format!("is {}, but must be a number at or above 0: this measurement counts {unit}", node.what());
        self.problem(&node.at, path, message);
        None
    }

    /// A secret, in any of its three forms.
    fn secret(&mut self, node: &Node, path: &str) -> Option<Secret> {
        let value = match &node.item {
            Item::Text(literal) => {
                let message = "the secret stands in the file, for all who can read it: \
                               better { env = \"NAME\" } or { file = \"…\" }";
                if !self.computed {
                    self.warning(&node.at, path, message);
                }
                literal.clone()
            }
            Item::Table(table) => self.secret_elsewhere(table, node, path)?,
            _ => {
                let message = format!(
                    "is {}, but must be a secret: write {{ env = \"NAME\" }} or {{ file = \"…\" }}",
                    node.what()
                );
                self.problem(&node.at, path, message);
                return None;
            }
        };
        self.hide(&value);
        let mend = if value.is_empty() {
            "is empty: give it a value"
        } else if value.chars().any(char::is_control) {
            "holds a line break or another control character: remove it"
        } else {
            return Some(Secret::new(value));
        };
        self.problem(&node.at, path, mend);
        None
    }

    pub(crate) fn secret_elsewhere(&mut self, table: &Table, node: &Node, path: &str) -> Option<String> {
        let message = match table.0.as_slice() {
            [(key, Node { item: Item::Text(name), .. })] if key == "env" => match self.outside.set_variable(name) {
                Some(value) => return Some(value),
                None => format!("the environment variable {} is not set: set it before starting", shown(name)),
            },
            [(key, Node { item: Item::Text(file), .. })] if key == "file" => {
                match (self.outside.read)(&self.folder.join(file)) {
                    Ok(text) => return Some(text.trim_end_matches(['\n', '\r']).to_owned()),
                    Err(error) => format!("the file {} can't be read: {}", shown(file), error.kind()),
                }
            }
            _ => "must be { env = \"NAME\" } or { file = \"…\" }, and nothing besides".into(),
        };
        self.problem(&node.at, path, message);
        None
    }

    pub(crate) fn texts(&mut self, list: &[Node], path: &str) -> Option<Vec<String>> {
        let mut texts = Vec::new();
        for node in list {
            match &node.item {
                Item::Text(text) if !text.trim().is_empty() => texts.push(text.clone()),
                _ => self.problem(&node.at, path, format!("holds {}, but must hold texts only", node.what())),
            }
        }
        (texts.len() == list.len()).then_some(texts)
    }

    fn text_table(&mut self, table: &Table, path: &str) -> Option<BTreeMap<String, Secret>> {
        let mut texts = BTreeMap::new();
        for (key, node) in table.iter() {
            let value = match &node.item {
                Item::Text(text) => Some(text.clone()),
                Item::Table(inner) => self.secret_elsewhere(inner, node, &join(path, key)),
                _ => {
                    let message = format!("is {}, but must be text, or {{ env = \"NAME\" }}", node.what());
                    self.problem(&node.at, &join(path, key), message);
                    None
                }
            };
            if let Some(value) = value {
                self.hide(&value);
                texts.insert(key.to_owned(), Secret::new(value));
            }
        }
        (texts.len() == table.0.len()).then_some(texts)
    }

    fn whole_table(&mut self, table: &Table, path: &str) -> Option<BTreeMap<String, u32>> {
        let mut numbers = BTreeMap::new();
        for (key, node) in table.iter() {
            match node.item {
                Item::Whole(number) if u32::try_from(number).is_ok() => {
                    numbers.insert(key.to_owned(), u32::try_from(number).unwrap_or_default());
                }
                _ => {
                    let message = format!("is {}, but must be a whole number at or above 0", node.what());
                    self.problem(&node.at, &join(path, key), message);
                }
            }
        }
        (numbers.len() == table.0.len()).then_some(numbers)
    }
}

fn as_number(node: &Node) -> f64 {
    match node.item {
        Item::Whole(number) => number as f64,
        Item::Number(number) => number,
        _ => f64::NAN,
    }
}
