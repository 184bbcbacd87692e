//! The notification settings of 2.1: which backends, and what they are told of.

use super::{Translation, table};
use crate::tree::{Item, Node, Origin};

/// Where 2.1 keeps its backends.
const BACKENDS: &str = "autoscalebot.backends.notification.";

/// The variable that names the Python to run backends in; the Python package sets it.
const PYTHON: &str = "AUTOSCALEBOT_PYTHON";

/// A section for a backend that is Python's.
fn in_python(path: &str, interpreter: Option<&str>, place: &Origin) -> Vec<(&'static str, Node)> {
    let mut entries = vec![("type", Node::text("python", place)), ("backend", Node::text(path, place))];
    entries.extend(interpreter.map(|interpreter| ("interpreter", Node::text(interpreter, place))));
    entries
}

impl Translation<'_, '_> {
    /// The Python that the settings came from, or that stands ready.
    fn python(&self) -> Option<String> {
        self.reader.outside.set_variable(PYTHON)
    }

    /// Whether that Python has a Django project to set up.
    fn in_django(&self) -> bool {
        self.reader.outside.set_variable("DJANGO_SETTINGS_MODULE").is_some()
    }

    /// The topics to tell of, and `scaling_too_rapid`.
    pub(super) fn topics(&mut self) -> (Vec<&'static str>, Option<Node>) {
        // Without these two, a wrong URL or key would be silence; in 2.1 it was a crash.
        let mut topics = vec!["source_unknown", "formation_unknown"];
        for (name, default, topic) in [
            ("NOTIFY_IF_NEEDS_EXCEED_MAX", true, "needs_above_max"),
            ("NOTIFY_IF_NEEDS_BELOW_MIN", false, "needs_below_min"),
            ("NOTIFY_ON_SCALE_FAILS", false, "scale_failing"),
            ("NOTIFY_ON_EVERY_SCALE", false, "scaled"),
            ("NOTIFY_ON_EVERY_PING", false, "decided"),
        ] {
            if self.flag(name, default) {
                topics.push(topic);
            }
        }
        let rapid = self.rapid();
        if rapid.is_some() {
            topics.push("scaling_too_rapid");
        }
        (topics, rapid)
    }

    fn rapid(&mut self) -> Option<Node> {
        const THRESHOLD: &str = "NOTIFY_IF_SCALE_DIFF_EXCEEDS_THRESHOLD";
        const PERIOD: &str = "NOTIFY_IF_SCALE_DIFF_EXCEEDS_PERIOD_IN_MINUTES";
        let (threshold, period) = (self.get(THRESHOLD), self.get(PERIOD));
        let (one, other) = match (threshold, period) {
            (None, None) => return None,
            (Some(threshold), Some(period)) => {
                let at = threshold.at.clone();
                let (minutes, period_at) = self.number(PERIOD, 30.0);
                let within = match period.item {
                    Item::Whole(_) | Item::Number(_) => Node::text(format!("{minutes}m"), &period_at),
                    _ => return None,
                };
                return Some(table(vec![("dynos", threshold), ("within", within)], &at));
            }
            (Some(threshold), None) => (threshold, PERIOD),
            (None, Some(period)) => (period, THRESHOLD),
        };
        // What can't be read is told already.
        let broken = self.given.names.get(other).is_some_and(|node| matches!(node.item, Item::Unreadable(_)));
        if !broken {
            let message = format!("says nothing without {}: set both, or neither", self.named(other));
            self.reader.problem(&one.at, "", message);
        }
        None
    }

    /// One `[[notify]]` for each backend.
    pub(super) fn backends(&mut self, topics: &[&'static str]) -> Vec<Node> {
        const NAME: &str = "NOTIFICATION_BACKENDS";
        let Some(node) = self.get(NAME) else { return Vec::new() };
        let Item::List(list) = &node.item else {
            let message = format!("is {}, but must be a list of backends", node.what());
            self.reader.problem(&node.at, NAME, message);
            return Vec::new();
        };
        let at = Origin::default();
        let mut found = Vec::new();
        for backend in list {
            let place = Origin { line: backend.at.line.or(node.at.line), name: node.at.name.clone() };
            let Item::Text(path) = &backend.item else {
                let message = format!("holds {}, but must hold the paths of backends as texts", backend.what());
                self.reader.problem(&place, NAME, message);
                continue;
            };
            let class = path.strip_prefix(BACKENDS).map(|rest| rest.rsplit('.').next().unwrap_or(rest));
            let mut entries = vec![];
            let python = self.python();
            match class {
                // In a Django project these two mail and log as its own settings say, so Python runs them.
                Some("DjangoEmailBackend" | "LoggerBackend") if python.is_some() && self.in_django() => {
                    entries = in_python(path, python.as_deref(), &place);
                }
                Some("ConsoleBackend") => entries.push(("type", Node::text("console", &place))),
                Some("LoggerBackend") => entries.push(("type", Node::text("log", &place))),
                Some("TestBackend") => entries.push(("type", Node::text("test", &place))),
                Some("DjangoEmailBackend") => match self.email(&place) {
                    Some(email) => entries.extend(email),
                    None => continue,
                },
                _ if python.is_some() => entries = in_python(path, python.as_deref(), &place),
                _ => {
                    let shown = crate::problem::shown(path);
                    let message = format!(
                        "{shown} is not one of 2.1's own backends ({BACKENDS}ConsoleBackend, DjangoEmailBackend, \
                         LoggerBackend, TestBackend): a backend in Python needs the Python package, or {PYTHON} set to \
                         the path of a Python that has it"
                    );
                    self.reader.problem(&place, NAME, message);
                    continue;
                }
            }
            let on = topics.iter().map(|topic| Node::text(*topic, &at)).collect();
            entries.push(("on", Node::new(Item::List(on), at.clone())));
            found.push(table(entries, &place));
        }
        found
    }
}
