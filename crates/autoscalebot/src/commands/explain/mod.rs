//! `explain`: one decision, told as a person would tell it: what was measured, what was proposed, what held it, what was done,
//! and what would have changed the outcome.

use std::io::Write;

use autoscalebot_settings::Settings;
use autoscalebot_store::line::{MeasuredLine, RecordLine};
use autoscalebot_store::{ProcessKey, Store, StoredRecord};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use crate::cli::ExplainArgs;
use crate::commands::past;
use crate::commands::status::short;
use crate::fault::Fault;
use crate::wiring;

mod again;
mod what_if;

use what_if::WhatIf;

/// Runs the command.
pub(crate) fn explain(
    settings: &Settings,
    args: &ExplainArgs,
    now: Timestamp,
    out: &mut dyn Write,
) -> Result<(), Fault> {
    let zone = past::zone(settings);
    let at = match &args.at {
        Some(text) => past::moment("--at", text, &zone, now)?,
        None => now,
    };
    let key = past::one_key(settings, &args.which)?;
    let store = wiring::stored(settings)?;
    let found = store.record_at(&key, at).map_err(Fault::failed)?;
    let Some(record) = found else {
        let (app, process) = (&key.app, &key.process);
        return Err(Fault::failed(format!(
            "{app}/{process}: nothing is recorded at or before {}",
            past::local(at, &zone)
        )));
    };
    let what_if = again::what_if(settings, &store, &key, &record)?;
    if args.json {
        let mut line: Value = serde_json::from_str(&record.json).map_err(Fault::failed)?;
        if let Some(fields) = line.as_object_mut() {
            let list: Vec<_> = what_if.iter().flatten().map(|what_if| json!(what_if)).collect();
            fields.insert("what_if".into(), what_if.as_ref().map_or(Value::Null, |_| Value::Array(list)));
        }
        serde_json::to_writer(&mut *out, &line).map_err(std::io::Error::from)?;
        writeln!(out)?;
        return Ok(());
    }
    let line = record.line().map_err(Fault::failed)?;
    tell(&store, &key, &record, &line, &zone, out)?;
    tell_what_if(&line, what_if.as_deref(), out)
}

fn tell(
    store: &Store,
    key: &ProcessKey,
    record: &StoredRecord,
    line: &RecordLine,
    zone: &TimeZone,
    out: &mut dyn Write,
) -> Result<(), Fault> {
    writeln!(out, "{}/{} at {}", key.app, key.process, past::local(line.at, zone))?;
    if record.at < store.latest().map_err(Fault::failed)?.iter().find(|r| r.key == *key).map_or(record.at, |r| r.at) {
        writeln!(out, "(a past decision; without --at, the newest is told)")?;
    }
    writeln!(out, "\n{}", sentence(line))?;
    writeln!(out, "\nMeasured")?;
    for measured in &line.measurements {
        writeln!(out, "  {}: {}", measured.name, reading(measured))?;
    }
    if line.measurements.is_empty() {
        writeln!(out, "  nothing")?;
    }
    writeln!(out, "  together: {}", line.verdict.replace('_', " "))?;
    writeln!(out, "\nProposed")?;
    for measured in line.measurements.iter().filter(|measured| !measured.shadow) {
        proposed(measured, out)?;
    }
    if line.measurements.iter().any(|measured| measured.shadow) {
        writeln!(out, "\nIn the shadow, which changed nothing")?;
        for measured in line.measurements.iter().filter(|measured| measured.shadow) {
            proposed(measured, out)?;
        }
    }
    writeln!(out, "\nHeld back")?;
    for gate in &line.gates {
        let said = line.gates_said.get(gate).map_or("", String::as_str);
        writeln!(out, "  {gate}: {said}")?;
    }
    if line.gates.is_empty() {
        writeln!(out, "  by no gate")?;
    }
    writeln!(out, "\nBounds\n  {} to {}{}", line.bounds.min, line.bounds.max, at_bound(line))?;
    writeln!(out, "\nDone\n  {}", done(line))?;
    if !line.conditions.is_empty() {
        writeln!(out, "\nConditions")?;
        for name in &line.conditions {
            let known = autoscalebot_core::Condition::ALL.iter().find(|condition| condition.as_str() == name);
            writeln!(out, "  {name}: {}", known.map_or("", |condition| condition.meaning()))?;
        }
    }
    Ok(())
}

fn proposed(measured: &MeasuredLine, out: &mut dyn Write) -> std::io::Result<()> {
    let wanted = measured.desired.map_or_else(|| "nothing".to_owned(), dynos);
    writeln!(out, "  {}: {wanted}: {}", measured.name, measured.why)
}

fn tell_what_if(line: &RecordLine, what_if: Option<&[WhatIf]>, out: &mut dyn Write) -> Result<(), Fault> {
    writeln!(out, "\nWhat would have changed it")?;
    match what_if {
        None => writeln!(out, "  that cannot be worked out: the records before it are no longer kept")?,
        Some([]) if line.dynos.before.is_none() => writeln!(out, "  only a platform that says how many dynos run")?,
        Some([]) => writeln!(out, "  nothing that lies near: neither a gate nor a bound nor a few readings more")?,
        Some(all) => {
            for what_if in all {
                writeln!(out, "  {what_if}")?;
            }
        }
    }
    Ok(())
}

fn reading(measured: &MeasuredLine) -> String {
    let verdict = measured.verdict.replace('_', " ");
    match (measured.value, &measured.error) {
        (Some(value), _) => format!("{} {}, which is {verdict}", short(value), measured.unit),
        (None, Some(error)) if measured.verdict == "unknown" => format!("unknown ({error})"),
        (None, Some(error)) => format!("no number ({error}), which counts as {verdict}"),
        (None, None) => "unknown".to_owned(),
    }
}

fn at_bound(line: &RecordLine) -> &'static str {
    let holds = |name: &str| line.conditions.iter().any(|condition| condition == name);
    match line.dynos.before {
        _ if holds("needs_above_max") => ": the maximum keeps it from more",
        _ if holds("needs_below_min") => ": the minimum keeps it from fewer",
        Some(before) if before < line.bounds.min => ": it was below the minimum",
        Some(before) if before > line.bounds.max => ": it was above the maximum",
        _ => "",
    }
}

fn done(line: &RecordLine) -> String {
    let (before, after) = (line.dynos.before, line.dynos.after);
    match (line.call.as_str(), before, after) {
        ("ok", Some(before), Some(after)) => format!("{} became {after}", dynos(before)),
        ("failed", Some(before), _) => match line.desired {
            Some(desired) => format!("the call that sets {desired} failed, and {} stayed", dynos(before)),
            None => format!("the call failed, and {} stayed", dynos(before)),
        },
        ("dry_run", Some(before), _) => match line.desired {
            Some(desired) => format!("nothing, in a dry run: {} would have become {desired}", dynos(before)),
            None => "nothing, in a dry run".to_owned(),
        },
        (_, Some(before), _) => format!("nothing: {} stayed", dynos(before)),
        (_, None, _) => match &line.dynos_error {
            Some(error) => format!("nothing: the platform did not say how many dynos run ({error})"),
            None => "nothing: the platform did not say how many dynos run".to_owned(),
        },
    }
}

/// A count of dynos.
fn dynos(count: u32) -> String {
    match count {
        1 => "1 dyno".to_owned(),
        count => format!("{count} dynos"),
    }
}

/// The reason with its first letter large, unless that is a measurement's name, and its full stop.
fn sentence(line: &RecordLine) -> String {
    let mut letters = line.reason.chars();
    match letters.next() {
        Some(first) if !line.measurements.iter().any(|measured| line.reason.starts_with(&measured.name)) => {
            format!("{}{}.", first.to_uppercase(), letters.as_str())
        }
        _ => format!("{}.", line.reason),
    }
}
