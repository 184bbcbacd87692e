//! The settings of autoscalebot 2.1, whether a Python file or the environment gives them: their names and defaults, and the
//! [`tree`](crate::tree) that means the same, in which each value keeps the name it was given under.
//!
//! Where 2.1 was wrong, this is right; what differs is in `DESIGN.md` and `docs/settings.md`. An empty value (`None`) is the
//! default; 0 is a number.

use std::collections::BTreeMap;

use crate::common::DAY;
use crate::duration;
use crate::reader::Reader;
use crate::tree::{Item, Node, Origin, Table};

mod email;
mod names;
mod notify;
mod platform;

pub(crate) use names::{DJANGO, OF_PACKAGE, PREFIX, SETTINGS, Takes, misspelt};

/// What a source of 2.1 settings gives: values by their names without prefix. Each node's origin has the name as given.
#[derive(Default)]
pub(crate) struct Given {
    pub(crate) names: BTreeMap<String, Node>,
    /// What to put before a name that is not given, so that a message names it as the user would write it.
    pub(crate) prefix: &'static str,
    /// What to add to a message that a required setting is missing.
    pub(crate) hint: String,
}

/// 2.1 tried the heartbeat below the app's own address; a program that may run anywhere needs the whole of it.
const OLD_HEARTBEAT_PATH: &str = "/autoscalebot/heartbeat/v1";

struct Translation<'r, 'a> {
    reader: &'r mut Reader<'a>,
    given: &'r Given,
}

/// The tree that means the same; the reader holds what is wrong.
pub(crate) fn translate(reader: &mut Reader<'_>, given: &Given) -> Table {
    Translation { reader, given }.tree()
}

/// In the place of what is missing, and told to be missing: the reader then says no more of it.
fn told() -> Node {
    Node::new(Item::Unreadable("told already".into()), Origin::default())
}

/// A table as a node.
fn table(entries: Vec<(&str, Node)>, at: &Origin) -> Node {
    Node::new(Item::Table(Table(entries.into_iter().map(|(key, node)| (key.to_owned(), node)).collect())), at.clone())
}

impl Translation<'_, '_> {
    fn tree(&mut self) -> Table {
        let top = Origin::default();
        let (kind, platform) = self.platform();
        let name = self.text("HEROKU_APP_NAME");
        let key = match name.as_ref().map(|node| &node.item) {
            Some(Item::Text(name)) => name.clone(),
            _ => {
                if name.is_none() && kind == platform::HEROKU {
                    self.missing("HEROKU_APP_NAME", "the name of the app on Heroku, such as \"dancing-forest-1234\"");
                }
                "app".into()
            }
        };

        let (topics, rapid) = self.topics();
        let mut process = Vec::new();
        for (old, new) in [("MIN_DYNOS", "min_dynos"), ("MAX_DYNOS", "max_dynos")] {
            process.extend(self.dynos(old).map(|node| (new, node)));
        }
        process.extend(rapid.map(|node| ("scaling_too_rapid", node)));
        let measure = self.measure();
        process.push(("measure", Node::new(Item::List(vec![measure]), top.clone())));

        let processes = table(vec![("web", table(process, &top))], &top);
        let app = vec![("platform", Node::text(&*kind, &top)), ("processes", processes)];
        let mut root = Vec::new();
        root.extend(self.text("TIME_ZONE").map(|node| ("time_zone", node)));
        root.push(("platforms", table(vec![(&*kind, platform)], &top)));
        root.push(("apps", table(vec![(key.as_str(), table(app, &top))], &top)));
        let notify = self.backends(&topics);
        if !notify.is_empty() {
            root.push(("notify", Node::new(Item::List(notify), top.clone())));
        }
        match table(root, &top).item {
            Item::Table(root) => root,
            _ => Table::default(),
        }
    }

    /// The heartbeat with its rule.
    fn measure(&mut self) -> Node {
        let top = Origin::default();
        let mut measure = vec![("type", Node::text("heartbeat", &top))];
        match self.text("HEARTBEAT_URL") {
            None => {
                let name = self.named("HEARTBEAT_URL");
                let message = format!(
                    "is not set, and its default in 2.1, {OLD_HEARTBEAT_PATH}, is a path only: an absolute URL is needed, \
                     such as \"https://my-app.herokuapp.com{OLD_HEARTBEAT_PATH}\""
                );
                self.reader.problem(&top.named(&name), &name, message);
                measure.push(("url", told()));
            }
            Some(Node { item: Item::Text(text), at, .. }) if text.starts_with('/') => {
                let message = "is a path only: an absolute URL is needed, such as \
                               \"https://my-app.herokuapp.com/autoscalebot/heartbeat/v1\"";
                self.reader.problem(&at, "", message);
                measure.push(("url", told()));
            }
            Some(node) => measure.extend(without_password(node)),
        }
        let every = self.number("HEARTBEAT_INTERVAL_IN_SECONDS", 30.0);
        let low = self.number("MIN_RESPONSE_TIME_IN_MS", 200.0);
        let high = self.number("MAX_RESPONSE_TIME_IN_MS", 1000.0);
        if low.0 > high.0 {
            let other = self.named("MAX_RESPONSE_TIME_IN_MS");
            let message = format!("is {} but {other} is {}: lower it or raise {other}", low.0, high.0);
            self.reader.problem(&low.1, "", message);
        }
        let mut interval = every.0;
        if interval > 0.0 && interval < high.0 / 1e3 && high.0 / 1e3 <= DAY {
            // 2.1 waited this long after an answer, not from one request to the next.
            interval = high.0 / 1e3;
            let name = self.named("MAX_RESPONSE_TIME_IN_MS");
            let message = format!("is shorter than a response may take: the interval is that of {name} instead");
            self.reader.warning(&every.1, "", message);
        }
        // Only whole seconds are put in other units: dividing a fraction might change it.
        let seconds = |n: f64| if n.fract() == 0.0 { duration::write(n) } else { format!("{n}s") };
        let ms = |n: f64| if n % 1000.0 == 0.0 { duration::write(n / 1000.0) } else { format!("{n}ms") };
        measure.push(("every", Node::text(seconds(interval), &every.1)));
        measure.push(("timeout", Node::text(ms(high.0), &high.1)));
        measure.push(("reuse_connections", Node::new(Item::Flag(false), top.clone())));
        let mut decide = vec![
            ("type", Node::text("consecutive", &top)),
            ("low", if low.0 > high.0 { told() } else { Node::text(ms(low.0), &low.1) }),
            ("high", Node::text(ms(high.0), &high.1)),
        ];
        for (old, new) in [
            ("NUMBER_OF_FAILS_TO_SCALE_UP_AFTER", "fails"),
            ("NUMBER_OF_PASSES_TO_SCALE_DOWN_AFTER", "passes"),
            ("INCREMENT", "increment"),
        ] {
            decide.extend(self.get(old).map(|node| (new, node)));
        }
        // A step down to exactly 0 fails in 2.1; the runs recorded of it show that.
        decide.push(("refuse_zero", Node::new(Item::Flag(true), top.clone())));
        measure.push(("decide", table(decide, &top)));
        table(measure, &top)
    }

    /// A name as the user would write it.
    fn named(&self, name: &str) -> String {
        match self.given.names.get(name).and_then(|node| node.at.name.clone()) {
            Some(given) => given.to_string(),
            None if name == "TIME_ZONE" || DJANGO.contains(&name) => name.to_owned(),
            None => format!("{}{name}", self.given.prefix),
        }
    }

    fn missing(&mut self, name: &str, what: &str) {
        let (variable, at) = match self.given.names.get(name) {
            Some(node) if matches!(node.item, Item::Unreadable(_)) => return,
            Some(node) => (node.variable.clone(), node.at.clone()),
            None => (None, Origin::default()),
        };
        let why = match variable {
            Some(variable) => format!("the environment variable {variable} is not set"),
            None => "is missing".into(),
        };
        let name = self.named(name);
        let message = format!("{why}: write {what}{}", self.given.hint);
        self.reader.problem(&at, &name, message);
    }

    /// A value that was given and can be read; `None`, the Python value, stands for the default.
    fn get(&mut self, name: &str) -> Option<Node> {
        let node = self.given.names.get(name)?;
        match &node.item {
            Item::Nothing => None,
            Item::Unreadable(why) => {
                let message = format!("{why}: write the value itself, or os.environ[\"NAME\"]");
                self.reader.problem(&node.at, name, message);
                None
            }
            _ => Some(node.clone()),
        }
    }

    fn text(&mut self, name: &str) -> Option<Node> {
        let node = self.get(name)?;
        match &node.item {
            Item::Text(_) => {}
            _ => {
                let message = format!("is {}, but must be text in quotes", node.what());
                self.reader.problem(&node.at, name, message);
            }
        }
        Some(node)
    }

    /// A secret: where it comes from, if that is the environment, whether it is set or not.
    fn secret(&mut self, name: &str) -> Option<Node> {
        let node = match self.given.names.get(name) {
            Some(node) if node.variable.is_some() && !matches!(node.item, Item::List(_) | Item::Table(_)) => {
                node.clone()
            }
            _ => self.text(name)?,
        };
        let Some(variable) = &node.variable else { return Some(node) };
        let source = Node::text(&**variable, &node.at);
        Some(table(vec![("env", source)], &node.at))
    }

    fn flag(&mut self, name: &str, default: bool) -> bool {
        match self.get(name) {
            Some(Node { item: Item::Flag(flag), .. }) => flag,
            // Python takes numbers for flags, and 2.1 did.
            Some(Node { item: Item::Whole(number @ (0 | 1)), .. }) => number == 1,
            Some(node) => {
                let message = format!("is {}, but must be True or False", node.what());
                self.reader.problem(&node.at, name, message);
                default
            }
            None => default,
        }
    }

    /// A number at or above zero, and where it was set.
    fn number(&mut self, name: &str, default: f64) -> (f64, Origin) {
        let Some(node) = self.get(name) else { return (default, Origin::default().named(&self.named(name))) };
        let number = match node.item {
            Item::Whole(number) => number as f64,
            Item::Number(number) => number,
            _ => f64::NAN,
        };
        if number.is_finite() && number >= 0.0 {
            return (number, node.at);
        }
        let message = format!("is {}, but must be a number at or above 0, without quotes", node.what());
        self.reader.problem(&node.at, name, message);
        (default, node.at)
    }

    /// A bound, whose table's keys need no second digit of the minute in 2.1: `"9:5"` is five past nine.
    fn dynos(&mut self, name: &str) -> Option<Node> {
        let mut node = self.get(name)?;
        if let Item::Table(times) = &mut node.item {
            for (key, entry) in &mut times.0 {
                if let Some((hour, minute)) = key.split_once(':')
                    && minute.len() == 1
                {
                    *key = format!("{hour}:0{minute}");
                }
                entry.at.name.clone_from(&node.at.name);
                if let Item::Unreadable(why) = &entry.item {
                    self.reader.problem(&entry.at, name, why.clone());
                    return None;
                }
            }
        }
        Some(node)
    }
}

/// A URL with its password apart, where it may stay a secret.
fn without_password(node: Node) -> Vec<(&'static str, Node)> {
    let Item::Text(text) = &node.item else { return vec![("url", node)] };
    let Ok(mut url) = url::Url::parse(text) else { return vec![("url", node)] };
    let Some(password) = url.password().map(decoded) else { return vec![("url", node)] };
    let name = decoded(url.username());
    if url.set_password(None).is_err() || url.set_username("").is_err() {
        return vec![("url", node)];
    }
    let at = &node.at;
    vec![
        ("url", Node::text(url.as_str(), at)),
        ("username", Node::text(name, at)),
        ("password", Node::text(password, at)),
    ]
}

/// Percent-encoding undone.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let hex = || {
            let mut two = rest.clone();
            let digit = |byte: u8| char::from(byte).to_digit(16);
            Some(digit(two.next()?)? * 16 + digit(two.next()?)?)
        };
        match (byte, if byte == b'%' { hex() } else { None }) {
            (_, Some(value)) => {
                bytes.push(u8::try_from(value).unwrap_or(b'%'));
                rest.nth(1);
            }
            (byte, None) => bytes.push(byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
