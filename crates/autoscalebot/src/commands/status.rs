//! `status`: how each process is now, by the newest record in the store.

use std::io::Write;

use autoscalebot_settings::Settings;
use autoscalebot_store::line::RecordLine;
use autoscalebot_store::{ProcessKey, Store, StoredRecord};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use crate::cli::StatusArgs;
use crate::commands::past;
use crate::fault::Fault;
use crate::wiring;

/// A newest record older than this is worth a question: no interval is longer by default.
const OLD_SECS: i64 = 300;

struct Row {
    key: ProcessKey,
    newest: Option<(StoredRecord, RecordLine)>,
    change: Option<RecordLine>,
    paused: Option<autoscalebot_core::Pause>,
}

/// Runs the command.
pub(crate) fn status(settings: &Settings, args: &StatusArgs, now: Timestamp, out: &mut dyn Write) -> Result<(), Fault> {
    let keys = past::keys(settings, &args.which)?;
    let store = wiring::stored(settings)?;
    let rows = rows(&store, keys, now)?;
    for (index, row) in rows.iter().enumerate() {
        if args.json {
            serde_json::to_writer(&mut *out, &json(row)?).map_err(std::io::Error::from)?;
            writeln!(out)?;
        } else {
            if index > 0 {
                writeln!(out)?;
            }
            text(row, now, &past::zone(settings), out)?;
        }
    }
    Ok(())
}

fn rows(store: &Store, keys: Vec<ProcessKey>, now: Timestamp) -> Result<Vec<Row>, Fault> {
    let pauses = store.pauses(now).map_err(Fault::failed)?;
    let mut latest = store.latest().map_err(Fault::failed)?;
    let mut rows = Vec::new();
    for key in keys {
        let newest = latest.iter().position(|record| record.key == key).map(|at| latest.swap_remove(at));
        let newest =
            newest.map(|record| record.line().map(|line| (record, line))).transpose().map_err(Fault::failed)?;
        let change = store.last_change(&key).map_err(Fault::failed)?;
        let change = change.map(|record| record.line()).transpose().map_err(Fault::failed)?;
        let paused = pauses.iter().find(|(paused, _)| *paused == key).map(|(_, pause)| pause.clone());
        rows.push(Row { key, newest, change, paused });
    }
    Ok(rows)
}

fn json(row: &Row) -> Result<Value, Fault> {
    let mut all = json!({ "app": row.key.app, "process": row.key.process, "pause": row.paused });
    if let (Some((record, line)), Some(fields)) = (&row.newest, all.as_object_mut()) {
        let whole: Value = serde_json::from_str(&record.json).map_err(Fault::failed)?;
        fields.insert("at".into(), json!(line.at));
        fields.insert("dynos".into(), json!(line.dynos.after));
        for name in ["bounds", "verdict", "desired", "conditions", "measurements", "reason"] {
            fields.insert(name.into(), whole.get(name).cloned().unwrap_or_default());
        }
    }
    if let (Some(change), Some(fields)) = (&row.change, all.as_object_mut()) {
        let (from, to) = (change.dynos.before, change.dynos.after);
        let change = json!({ "at": change.at, "from": from, "to": to, "reason": change.reason });
        fields.insert("last_change".into(), change);
    }
    Ok(all)
}

fn text(row: &Row, now: Timestamp, zone: &TimeZone, out: &mut dyn Write) -> Result<(), Fault> {
    let ago = |at: Timestamp| past::length(now.duration_since(at).as_secs());
    write!(out, "{}/{}", row.key.app, row.key.process)?;
    let Some((_, line)) = &row.newest else {
        writeln!(out, ": nothing is recorded yet: is the daemon running with these settings?")?;
        return paused(row, zone, out);
    };
    let dynos = match line.dynos.after {
        Some(1) => "1 dyno".to_owned(),
        Some(dynos) => format!("{dynos} dynos"),
        None => "dynos unknown".to_owned(),
    };
    writeln!(out, ": {dynos} (min {}, max {}), {}", line.bounds.min, line.bounds.max, line.verdict)?;
    let question = match now.duration_since(line.at).as_secs() > OLD_SECS {
        true => ": is the daemon running?",
        false => "",
    };
    writeln!(out, "  last tick    {} ago{question}", ago(line.at))?;
    for measured in &line.measurements {
        let reading = match (measured.value, &measured.error) {
            (Some(value), _) => format!("{} {}", short(value), measured.unit),
            (None, Some(error)) => error.clone(),
            (None, None) => "unknown".to_owned(),
        };
        write!(out, "  {:<12} {reading}, {}", measured.name, measured.verdict)?;
        match measured.shadow {
            true => writeln!(out, "; in the shadow, where it would set {}", wanted(measured.desired))?,
            false => writeln!(out)?,
        }
    }
    writeln!(out, "  decision     {}", line.reason)?;
    if !line.conditions.is_empty() {
        writeln!(out, "  conditions   {}", line.conditions.join(", "))?;
    }
    match &row.change {
        Some(change) => {
            let (from, to) = (change.dynos.before.unwrap_or_default(), change.dynos.after.unwrap_or_default());
            writeln!(out, "  last change  {from} -> {to}, {} ago: {}", ago(change.at), change.reason)?;
        }
        None => writeln!(out, "  last change  none is recorded")?,
    }
    paused(row, zone, out)
}

fn paused(row: &Row, zone: &TimeZone, out: &mut dyn Write) -> Result<(), Fault> {
    let Some(pause) = &row.paused else { return Ok(()) };
    let until = match pause.until {
        Some(until) => format!("until {}", past::local(until, zone)),
        None => "until resumed".to_owned(),
    };
    match &pause.why {
        Some(why) => writeln!(out, "  paused       {until}: {why}")?,
        None => writeln!(out, "  paused       {until}")?,
    }
    Ok(())
}

/// What a shadow's policy wants.
fn wanted(desired: Option<u32>) -> String {
    desired.map_or_else(|| "nothing".to_owned(), |desired| desired.to_string())
}

/// A number with two decimals at most.
pub(crate) fn short(value: f64) -> String {
    format!("{}", (value * 100.0).round() / 100.0)
}
