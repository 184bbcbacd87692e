//! One process of an app: its bounds, its measurements with their policies, its gates.

use std::collections::BTreeSet;
use std::sync::Arc;

use autoscalebot_core::bounds::Reached;
use autoscalebot_core::fields::{FieldType, MeasurementKind, Value, Values};
use autoscalebot_core::gate::{GATES, Gate, GateKind};
use autoscalebot_core::policy::{POLICIES, Policy};
use autoscalebot_core::{BoundTable, BoundTables, MeasurementSpec, MinuteOfWeek, Rapid, Spec, Unit, Zero};
use jiff::SignedDuration;
use jiff::tz::TimeZone;

use crate::assemble::{names, plain};
use crate::common::{BOUNDS, DAY, MEASURE, PROCESS, RAPID};
use crate::problem::shown;
use crate::reader::Reader;
use crate::times::{self, Times};
use crate::tree::{Item, Node, Origin, Table, join};
use crate::{Measurement, Process, Section, duration, toml_tree};

/// Reads a process; `None` where something is wrong with it.
pub(crate) fn read(
    reader: &mut Reader<'_>,
    (app, process): (&str, &str),
    node: &Node,
    path: &str,
    zone: Option<&TimeZone>,
) -> Option<Process> {
    let before = reader.problems.len();
    let table = reader.table(node, path)?;
    let mut known = names(PROCESS);
    known.extend(BOUNDS.iter().map(|(name, ..)| *name));
    known.extend(["measure", "scaling_too_rapid"]);
    known.extend(GATES.iter().filter(|gate| !gate.description.fields.is_empty()).map(|gate| gate.description.name));
    reader.only_known(table, path, &known);

    let bounds = bounds(reader, table, node, path, zone);
    let values = plain(reader, PROCESS, table, &node.at, path);
    let zero = match values.as_ref().and_then(|values| values.text("zero")) {
        Some("start") => Zero::Start,
        _ => Zero::Keep,
    };
    let gates = GATES.iter().filter_map(|kind| gate(reader, kind, table, node, path)).collect();
    let rapid = table.get("scaling_too_rapid").and_then(|node| {
        let path = join(path, "scaling_too_rapid");
        let table = reader.table(node, &path)?;
        reader.only_known(table, &path, &names(RAPID));
        let values = plain(reader, RAPID, table, &node.at, &path)?;
        Some(Rapid { dynos: u32::try_from(values.whole("dynos")?).ok()?, within: values.duration("within")? })
    });
    let (measurements, measure) = measurements(reader, table, node, path);
    if reader.problems.len() != before {
        return None;
    }
    let bounds = bounds?;
    if !measurements.is_empty()
        && measurements.iter().all(|m: &MeasurementSpec| m.shadow || m.policy.is_blind_at_zero())
        && can_be_zero(&bounds.min)
    {
        let message = "may be 0, where nothing that is measured would start a dyno again: raise it to 1, or measure a queue as well";
        reader.warning(table.get("min_dynos").map_or(&node.at, |node| &node.at), &join(path, "min_dynos"), message);
    }
    let spec = Spec { app: app.into(), process: process.into(), bounds, measurements, gates, zero, rapid };
    Some(Process { spec: Arc::new(spec), measure })
}

fn can_be_zero(min: &BoundTable) -> bool {
    match min {
        BoundTable::Fixed(dynos) => *dynos == 0,
        table => table.changes().any(|minute| table.in_force(Reached::at(minute)).dynos == 0),
    }
}

/// One bound as read, with what a message about it needs.
struct Bound<'n> {
    table: BoundTable,
    /// The key and the place of each entry.
    entries: Vec<(MinuteOfWeek, &'n str, &'n Origin)>,
    /// `None`: its default.
    node: Option<&'n Node>,
    name: String,
}

fn bounds(
    reader: &mut Reader<'_>,
    table: &Table,
    node: &Node,
    path: &str,
    zone: Option<&TimeZone>,
) -> Option<BoundTables> {
    let mut read =
        BOUNDS.iter().map(|(name, default, _)| bound(reader, name, *default, table, path)).collect::<Vec<_>>();
    let (max, min) = (read.pop()??, read.pop()??);
    let tables =
        BoundTables { min: min.table.clone(), max: max.table.clone(), zone: zone.cloned().unwrap_or(TimeZone::UTC) };
    let Some((minute, values)) = tables.crossing() else { return Some(tables) };

    // Told where min is set, or max where min is only its default; at the entry that is in force then.
    let (min_key, min_at) = min.in_force(minute);
    let (max_key, max_at) = max.in_force(minute);
    let (setting, at) = match (min_at, max_at) {
        (Some(at), _) => (&min.name, at),
        (None, Some(at)) => (&max.name, at),
        (None, None) => (&min.name, &node.at),
    };
    let line =
        |at: Option<&Origin>| at.and_then(|at| at.line).map(|line| format!(" (line {line})")).unwrap_or_default();
    let from = |key: Option<&str>| key.map(|key| format!(" from {key}")).unwrap_or_default();
    let message = if setting == &min.name {
        let default = if max.node.is_none() { ", its default" } else { "" };
        format!(
            "is {}{} but {}{} is {}{}{default}: lower it or raise {}",
            values.min,
            from(min_key),
            max.short(),
            line(max_at),
            values.max,
            from(max_key),
            max.short()
        )
    } else {
        format!(
            "is {}{} but {} is {}, its default: raise it or lower {}",
            values.max,
            from(max_key),
            min.short(),
            values.min,
            min.short()
        )
    };
    let at = Origin { line: at.line, name: None };
    reader.problem(&at, setting, message);
    None
}

impl Bound<'_> {
    /// The last part of its name.
    fn short(&self) -> &str {
        self.name.rsplit('.').next().unwrap_or(&self.name)
    }

    /// The key of the entry in force, and where it is set; no place for a default.
    fn in_force(&self, minute: MinuteOfWeek) -> (Option<&str>, Option<&Origin>) {
        let since = self.table.in_force(Reached::at(minute)).since;
        let entry = since.and_then(|since| self.entries.iter().find(|(minute, ..)| *minute == since.entry));
        match entry {
            Some((_, key, at)) => (Some(key), Some(at)),
            None => (None, self.node.map(|node| &node.at)),
        }
    }
}

fn bound<'n>(reader: &mut Reader<'_>, name: &str, default: u32, table: &'n Table, path: &str) -> Option<Bound<'n>> {
    let path = join(path, name);
    let Some(node) = table.get(name) else {
        return Some(Bound { table: BoundTable::Fixed(default), entries: Vec::new(), node: None, name: path });
    };
    let name = node.at.name.as_deref().unwrap_or(&path).to_owned();
    let Times { table, entries } = times::read(reader, node, &path)?;
    Some(Bound { table, entries, node: Some(node), name })
}

fn gate(reader: &mut Reader<'_>, kind: &GateKind, table: &Table, node: &Node, path: &str) -> Option<Arc<dyn Gate>> {
    let description = &kind.description;
    let path = join(path, description.name);
    // Without the section, its defaults hold; a gate with a field that must be given is then left out.
    let mut written = Table::default();
    let mut at = &node.at;
    match table.get(description.name).filter(|_| !description.fields.is_empty()) {
        None if description.fields.iter().any(|field| field.required) => return None,
        None => {}
        Some(Node { item: Item::Table(inner), at: inner_at, .. }) => {
            reader.only_known(inner, &path, &names(description.fields));
            (written, at) = (inner.clone(), inner_at);
        }
        Some(bare) if description.shorthand.is_empty() => {
            reader.table(bare, &path)?;
        }
        Some(bare) => {
            at = &bare.at;
            // Read once under the section's own name, so that one fault is told once.
            let field = description.fields.iter().find(|field| description.shorthand.contains(&field.name))?;
            let mut alone = Table::default();
            alone.set(description.name, bare.clone());
            let as_named = autoscalebot_core::fields::Field { name: description.name, ..*field };
            let section = path.strip_suffix(&format!(".{}", description.name)).unwrap_or(&path).to_owned();
            reader.field(&as_named, &alone, at, &section, None)?;
            for name in description.shorthand {
                written.set(name, bare.clone());
            }
        }
    }
    let values = reader.values(description, &written, at, &path, None)?;
    match (kind.build)(&values) {
        Ok(gate) => gate,
        Err(error) => {
            reader.field_error(&error, &written, at, &path);
            None
        }
    }
}

fn measurements(
    reader: &mut Reader<'_>,
    table: &Table,
    node: &Node,
    path: &str,
) -> (Vec<MeasurementSpec>, Vec<Measurement>) {
    let path = join(path, "measure");
    // By the clock alone is a way to scale; more often it is a section that was forgotten.
    let nothing =
        "nothing is measured: only the bounds are kept. To measure, write [[measure]] under the process, with a type";
    let Some(list) = table.get("measure") else {
        reader.warning(&node.at, &path, nothing);
        return Default::default();
    };
    let Item::List(items) = &list.item else {
        let message = format!("is {}, but must be a list of tables: write [[{path}]]", list.what());
        reader.problem(&list.at, &path, message);
        return Default::default();
    };
    if items.is_empty() {
        reader.warning(&list.at, &path, nothing);
    }
    let several = items.len() > 1;
    let mut taken = BTreeSet::new();
    items
        .iter()
        .enumerate()
        .filter_map(|(n, node)| {
            let path = if several { format!("{path}[{}]", n + 1) } else { path.clone() };
            measurement(reader, node, &path, &mut taken)
        })
        .unzip()
}

fn measurement(
    reader: &mut Reader<'_>,
    node: &Node,
    path: &str,
    taken: &mut BTreeSet<String>,
) -> Option<(MeasurementSpec, Measurement)> {
    let table = reader.table(node, path)?;
    let kinds = reader.kinds.measurements;
    let kind = reader.kind(table, &node.at, path, kinds, |kind| kind.description.name);
    let Some(kind) = kind else {
        policy(reader, table, node, path, None);
        return None;
    };
    let mut known = vec!["type", "decide"];
    known.extend(names(MEASURE));
    known.extend(names(kind.description.fields));
    reader.only_known(table, path, &known);
    let common = plain(reader, MEASURE, table, &node.at, path);
    let values = reader.values(&kind.description, table, &node.at, path, Some(kind.unit));
    let unit = values.as_ref().map_or_else(|| kind.unit_of(&said(kind, table)), |values| kind.unit_of(values));
    let policy = policy(reader, table, node, path, Some(unit));
    if let (Some(values), Some((decided, _))) = (&values, &policy) {
        another_percentile(reader, table, node, path, (values, decided));
    }
    let common = common?;

    let name = common.text("name").unwrap_or(kind.description.name).to_owned();
    if !taken.insert(name.clone()) {
        let at = table.get("name").map_or(&node.at, |node| &node.at).clone();
        let message = format!("{} is the name of another measurement of this process: give each its own", shown(&name));
        reader.problem(&at, &join(path, "name"), message);
    }
    let every = match common.duration("every") {
        Some(every) => every,
        None => {
            // A kind whose own default can't be read must not make its measurement vanish in silence.
            let Some(default) = toml_tree::parse_value(kind.default_every) else {
                let message = format!("has no default that can be read ({}): write it", kind.default_every);
                reader.problem(&node.at, &join(path, "every"), message);
                return None;
            };
            reader.duration(&default, &join(path, "every"), (0.1, DAY))?
        }
    };
    let max_age = match common.duration("max_age") {
        Some(age) if age < every => {
            let at = table.get("max_age").map_or(&node.at, |node| &node.at).clone();
            let every = duration::write(every.as_secs_f64());
            let message = format!("is shorter than every, {every}, so that every sample would be too old: raise it");
            reader.problem(&at, &join(path, "max_age"), message);
            return None;
        }
        Some(age) => age,
        None => every * 2 + SignedDuration::from_secs(60),
    };
    let values = values?;
    if let Err(error) = (kind.check)(&values, every) {
        reader.field_error(&error, table, &node.at, path);
    }
    let spec = MeasurementSpec {
        name: name.as_str().into(),
        unit,
        max_age,
        failures_mean_overload: kind.failures_mean_overload,
        policy: policy?.1,
        shadow: common.flag("shadow"),
    };
    let section = Section { kind: kind.description.name, values };
    Some((spec, Measurement { section, every, told: kind.told }))
}

/// Warns of a percentile that is higher than the one it is to decide by: it may be above the objective while all is well.
fn another_percentile(
    reader: &mut Reader<'_>,
    table: &Table,
    node: &Node,
    path: &str,
    (read, decided): (&Values, &Values),
) {
    const NAME: &str = "percentile";
    let (Some(read), Some(decided)) = (read.number(NAME), decided.number(NAME)) else { return };
    if read > decided {
        let at = table.get(NAME).map_or(&node.at, |node| &node.at).clone();
        let message = format!(
            "is {read}, but decide keeps percentile {decided} under its objective: a reading may be above it while all is well, \
             and adds dynos; write the same percentile in both"
        );
        reader.warning(&at, &join(path, NAME), message);
    }
}

/// What a section says of its unit, though the rest of it can't be read: levels in that unit are then no faults of their own.
fn said(kind: &MeasurementKind, table: &Table) -> Values {
    let mut values = Values::default();
    for field in kind.description.fields.iter().filter(|field| matches!(field.kind, FieldType::Counts(_))) {
        if let Some(Node { item: Item::Text(text), .. }) = table.get(field.name) {
            values.set(field.name, Value::Text(text.clone()));
        }
    }
    values
}

fn policy(
    reader: &mut Reader<'_>,
    table: &Table,
    node: &Node,
    path: &str,
    unit: Option<Unit>,
) -> Option<(Values, Arc<dyn Policy>)> {
    let path = join(path, "decide");
    let Some(decide) = table.get("decide") else {
        let kinds = POLICIES.iter().map(|kind| kind.description.name).collect::<Vec<_>>().join(", ");
        reader.problem(&node.at, &path, format!("is missing: write decide = {{ type = \"…\", … }}, one of {kinds}"));
        return None;
    };
    let table = reader.table(decide, &path)?;
    let kind = reader.kind(table, &decide.at, &path, POLICIES, |kind| kind.description.name)?;
    let mut known = vec!["type"];
    known.extend(names(kind.description.fields));
    reader.only_known(table, &path, &known);
    // Without a known kind of measurement there is no unit to read levels in; its own fault is told already.
    let unit = unit?;
    let values = reader.values(&kind.description, table, &decide.at, &path, Some(unit))?;
    match (kind.build)(&values, unit) {
        Ok(policy) => Some((values, policy)),
        Err(error) => {
            reader.field_error(&error, table, &decide.at, &path);
            None
        }
    }
}
