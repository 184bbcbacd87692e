//! The tree to [`Settings`]: platforms, apps, notifications, server and store. A process is in
//! [`process`](crate::process).

use std::collections::{BTreeMap, BTreeSet};

use autoscalebot_core::Condition;
use autoscalebot_core::EventKind;
use autoscalebot_core::fields::{Field, Values};
use jiff::tz::{TimeZone, TimeZoneDatabase};

use crate::common::{APP, DAY, NOTIFY, ROOT, ROOT_TABLES};
use crate::problem::{choices, nearest, shown};
use crate::reader::Reader;
use crate::server::server;
use crate::store;
use crate::tree::{Item, Node, Origin, Table, join};
use crate::{App, Notification, Section, Settings};

/// The names of a table of fields.
pub(crate) fn names(fields: &[Field]) -> Vec<&'static str> {
    fields.iter().map(|field| field.name).collect()
}

/// Reads everything; the reader holds what is wrong. The result means something only where nothing is.
pub(crate) fn settings(reader: &mut Reader<'_>, root: &Table) -> Option<Settings> {
    let top = Origin::default();
    let mut known = names(ROOT);
    known.extend(ROOT_TABLES);
    reader.only_known(root, "", &known);

    let zone = zone(reader, root);
    let (platforms, broken) = platforms(reader, root);
    let mut used = BTreeSet::new();
    let mut apps = Vec::new();
    match root.get("apps") {
        Some(node) => {
            if let Some(table) = reader.table(node, "apps") {
                let defined: Vec<&str> = platforms.keys().chain(&broken).map(String::as_str).collect();
                for (key, node) in table.iter() {
                    apps.extend(app(reader, key, node, &defined, zone.as_ref(), &mut used));
                }
                if table.0.is_empty() {
                    reader.problem(&node.at, "apps", "holds no app: write [apps.NAME] for one");
                }
            }
        }
        None => reader.problem(&top, "apps", "no app is named: write [apps.NAME] for one, or run `autoscalebot init`"),
    }
    if let Some(Node { item: Item::Table(table), .. }) = root.get("platforms") {
        for (name, node) in table.iter().filter(|(name, _)| !used.contains(*name)) {
            reader.warning(&node.at, &join("platforms", name), "no app is on this platform");
        }
    }
    let notify = notifications(reader, root);
    let server = server(reader, root);
    let store = store::store(reader, root);
    let time_zone = zone?.iana_name()?.to_owned();
    Some(Settings { time_zone, platforms, apps, notify, server: server?, store: store? })
}

fn zone(reader: &mut Reader<'_>, root: &Table) -> Option<TimeZone> {
    let origin = root.get("time_zone").map_or_else(Origin::default, |node| node.at.clone());
    let values = plain(reader, ROOT, root, &Origin::default(), "")?;
    let name = values.text("time_zone")?;
    // The data inside the program, never that of the machine: it is the same everywhere, and it is there on a bare image.
    let zones = TimeZoneDatabase::bundled();
    if let Ok(zone) = zones.get(name) {
        return Some(zone);
    }
    let known: Vec<String> = zones.available().map(|zone| zone.as_str().to_owned()).collect();
    let mean = nearest(name, known.iter().map(String::as_str))
        .map_or_else(|| "write one such as Europe/Berlin or UTC".into(), |zone| format!("did you mean {zone}?"));
    reader.problem(&origin, "time_zone", format!("{} is no IANA time zone: {mean}", shown(name)));
    None
}

/// The values of a table of fields that belongs to no kind.
pub(crate) fn plain(
    reader: &mut Reader<'_>,
    fields: &'static [Field],
    table: &Table,
    at: &Origin,
    path: &str,
) -> Option<Values> {
    let description = autoscalebot_core::fields::Description { name: "", doc: "", fields, shorthand: &[] };
    reader.values(&description, table, at, path, None)
}

/// The platforms, and the names of those with faults: an app on one of them is not a second fault.
fn platforms(reader: &mut Reader<'_>, root: &Table) -> (BTreeMap<String, Section>, Vec<String>) {
    let (mut found, mut broken) = (BTreeMap::new(), Vec::new());
    let kinds = reader.kinds.platforms;
    let Some(node) = root.get("platforms") else {
        if root.get("apps").is_some() {
            let message = "no platform is named: write [platforms.NAME] with its type for one";
            reader.problem(&Origin::default(), "platforms", message);
        }
        return (found, broken);
    };
    let Some(table) = reader.table(node, "platforms") else { return (found, broken) };
    for (name, node) in table.iter() {
        let path = join("platforms", name);
        let section = reader.table(node, &path).and_then(|table| {
            let kind = reader.kind(table, &node.at, &path, kinds, |kind| kind.description.name)?;
            let mut known = vec!["type"];
            known.extend(names(kind.description.fields));
            reader.only_known(table, &path, &known);
            let values = reader.values(&kind.description, table, &node.at, &path, None)?;
            if let Err(error) = (kind.check)(&values) {
                reader.field_error(&error, table, &node.at, &path);
                return None;
            }
            Some(Section { kind: kind.description.name, values })
        });
        match section {
            Some(section) => drop(found.insert(name.to_owned(), section)),
            None => broken.push(name.to_owned()),
        }
    }
    (found, broken)
}

fn app(
    reader: &mut Reader<'_>,
    key: &str,
    node: &Node,
    platforms: &[&str],
    zone: Option<&TimeZone>,
    used: &mut BTreeSet<String>,
) -> Option<App> {
    let path = join("apps", key);
    let table = reader.table(node, &path)?;
    let mut known = names(APP);
    known.push("processes");
    reader.only_known(table, &path, &known);
    let values = plain(reader, APP, table, &node.at, &path);
    let named = values.as_ref().and_then(|values| values.text("platform"));
    let platform = match (named, platforms) {
        (Some(name), _) if platforms.contains(&name) => Some(name.to_owned()),
        (Some(name), _) => {
            let at = table.get("platform").map_or(&node.at, |node| &node.at).clone();
            let message = format!("{} is not among the platforms: {}", shown(name), choices(name, platforms));
            reader.problem(&at, &join(&path, "platform"), message);
            None
        }
        (None, [only]) => Some((*only).to_owned()),
        // No platform at all is said once, above.
        (None, []) => None,
        (None, _) => {
            if table.get("platform").is_none() {
                let message = format!("is missing: write platform = \"…\", one of {}", platforms.join(", "));
                reader.problem(&node.at, &join(&path, "platform"), message);
            }
            None
        }
    };
    used.extend(platform.clone());
    let mut processes = Vec::new();
    let path = join(&path, "processes");
    match table.get("processes") {
        None => reader.problem(&node.at, &path, "holds no process: write one, such as [apps.shop.processes.web]"),
        Some(node) => {
            if let Some(table) = reader.table(node, &path) {
                if table.0.is_empty() {
                    reader.problem(&node.at, &path, "holds no process: write one, such as [apps.shop.processes.web]");
                }
                for (name, node) in table.iter() {
                    processes.extend(crate::process::read(reader, (key, name), node, &join(&path, name), zone));
                }
            }
        }
    }
    let name = values.as_ref().and_then(|values| values.text("name")).unwrap_or(key).to_owned();
    Some(App { key: key.into(), platform: platform?, name, processes })
}

/// Every topic that `on` may name.
pub(crate) fn topics() -> Vec<&'static str> {
    Condition::ALL.iter().map(|condition| condition.as_str()).chain(EventKind::NAMES.iter().copied()).collect()
}

fn notifications(reader: &mut Reader<'_>, root: &Table) -> Vec<Notification> {
    let Some(node) = root.get("notify") else { return Vec::new() };
    let Item::List(list) = &node.item else {
        let message = format!("is {}, but must be a list of tables: write [[notify]]", node.what());
        reader.problem(&node.at, "notify", message);
        return Vec::new();
    };
    let several = list.len() > 1;
    let path = |n: usize| if several { format!("notify[{}]", n + 1) } else { "notify".into() };
    list.iter().enumerate().filter_map(|(n, node)| notification(reader, node, &path(n))).collect()
}

fn notification(reader: &mut Reader<'_>, node: &Node, path: &str) -> Option<Notification> {
    let table = reader.table(node, path)?;
    let kinds = reader.kinds.notifications;
    let before = reader.problems.len();
    let on = match table.get("on") {
        None => Condition::ALL.iter().filter(|c| **c != Condition::Paused).map(|c| c.as_str().to_owned()).collect(),
        Some(node) => {
            let Node { item: Item::List(list), .. } = node else {
                let message = format!("is {}, but must be a list, such as [\"needs_above_max\"]", node.what());
                reader.problem(&node.at, &join(path, "on"), message);
                return None;
            };
            let known = topics();
            let on = reader.texts(list, &join(path, "on"))?;
            for (topic, node) in on.iter().zip(list).filter(|(topic, _)| !known.contains(&topic.as_str())) {
                let message = format!("{} is nothing to tell of: {}", shown(topic), choices(topic, &known));
                reader.problem(&node.at, &join(path, "on"), message);
            }
            on
        }
    };
    let remind = match table.get("remind") {
        Some(Node { item: Item::Text(word), .. }) if word == "never" => None,
        Some(node) => reader.duration(node, &join(path, "remind"), (1.0, 30.0 * DAY)),
        None => Some(jiff::SignedDuration::from_hours(1)),
    };
    let kind = reader.kind(table, &node.at, path, kinds, |kind| kind.description.name)?;
    let mut known = names(NOTIFY);
    known.push("type");
    known.extend(names(kind.description.fields));
    reader.only_known(table, path, &known);
    let values = reader.values(&kind.description, table, &node.at, path, None)?;
    if let Err(error) = (kind.check)(&values) {
        reader.field_error(&error, table, &node.at, path);
    }
    let section = Section { kind: kind.description.name, values };
    (reader.problems.len() == before).then_some(Notification { section, on, remind })
}

/// A table of the top that may be left out, with tables in it that are read elsewhere.
pub(crate) fn optional_table(
    reader: &mut Reader<'_>,
    root: &Table,
    name: &str,
    fields: &'static [Field],
    tables: &[&'static str],
) -> Option<(Values, Origin)> {
    let empty = Node::new(Item::Table(Table::default()), Origin::default());
    let node = root.get(name).unwrap_or(&empty);
    let table = reader.table(node, name)?;
    reader.only_known(table, name, &[names(fields).as_slice(), tables].concat());
    let values = plain(reader, fields, table, &node.at, name)?;
    let at = fields.first().and_then(|field| table.get(field.name)).map_or(&node.at, |node| &node.at);
    Some((values, at.clone()))
}
