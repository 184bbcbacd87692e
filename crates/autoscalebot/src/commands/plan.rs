//! `plan`: the bounds in force at an instant, the rule behind them, and the changes to come.

use std::io::Write;

use autoscalebot_core::bounds::BoundsChange;
use autoscalebot_core::{BoundTables, Bounds, InForce, Spec};
use autoscalebot_settings::Settings;
use jiff::civil::DateTime;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::cli::PlanArgs;
use crate::fault::Fault;

#[derive(Debug, Serialize)]
struct Row<'a> {
    app: &'a str,
    process: &'a str,
    at: Timestamp,
    bounds: Bounds,
    rule: String,
    changes: Vec<ChangeRow>,
}

#[derive(Debug, Serialize)]
struct ChangeRow {
    at: Timestamp,
    bounds: Bounds,
}

/// Runs the command.
pub(crate) fn plan(settings: &Settings, args: &PlanArgs, now: Timestamp, out: &mut dyn Write) -> Result<(), Fault> {
    for (index, process) in settings.apps.iter().flat_map(|app| &app.processes).enumerate() {
        let spec = &process.spec;
        let at = instant(args.at.as_deref(), &spec.bounds, now)?;
        let in_force = spec.bounds.in_force(at);
        let changes = spec.bounds.changes(at, SignedDuration::from_hours(24 * i64::from(args.days)));
        let rule = format!("{}, {}", rule("min", in_force.min), rule("max", in_force.max));
        if args.json {
            let changes = changes.iter().map(|change| ChangeRow { at: change.at, bounds: change.bounds }).collect();
            let row = Row { app: &spec.app, process: &spec.process, at, bounds: in_force.bounds(), rule, changes };
            serde_json::to_writer(&mut *out, &row).map_err(std::io::Error::from)?;
            writeln!(out)?;
        } else {
            if index > 0 {
                writeln!(out)?;
            }
            text(spec, at, in_force.bounds(), &rule, &changes, args.days, out)?;
        }
    }
    Ok(())
}

fn text(
    spec: &Spec,
    at: Timestamp,
    bounds: Bounds,
    rule: &str,
    changes: &[BoundsChange],
    days: u16,
    out: &mut dyn Write,
) -> Result<(), Fault> {
    let zone = &spec.bounds.zone;
    let show = |at: Timestamp| at.to_zoned_datetime(zone.clone()).strftime("%a %Y-%m-%d %H:%M:%S %Z").to_string();
    writeln!(out, "{}/{} at {}: {} to {} dynos ({rule})", spec.app, spec.process, show(at), bounds.min, bounds.max)?;
    if changes.is_empty() {
        writeln!(out, "  no change in the {days} days that follow")?;
    }
    for change in changes {
        writeln!(out, "  {}: {} to {} dynos", show(change.at), change.bounds.min, change.bounds.max)?;
    }
    Ok(())
}

fn rule(name: &str, bound: InForce) -> String {
    match bound.since {
        Some(since) => format!("{name} {} since {since}", bound.dynos),
        None => format!("{name} {} always", bound.dynos),
    }
}

/// An instant from the command line: RFC 3339, or a date and time in the process's zone.
fn instant(text: Option<&str>, bounds: &BoundTables, now: Timestamp) -> Result<Timestamp, Fault> {
    let Some(text) = text else { return Ok(now) };
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at);
    }
    let local = text.parse::<DateTime>().ok().and_then(|local| bounds.zone.to_timestamp(local).ok());
    local.ok_or_else(|| {
        Fault::usage(format!(
            "--at {text}: give an instant such as 2026-11-01T05:30:00Z, or 2026-11-01T01:30 in the settings' zone"
        ))
    })
}
