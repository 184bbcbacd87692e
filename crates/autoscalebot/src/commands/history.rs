//! `history`: what was decided, from the store: for people, for programs, and for `replay`.

use std::io::Write;

use autoscalebot_settings::Settings;
use autoscalebot_store::line::RecordLine;
use autoscalebot_store::{Filter, Page, Store, StoredRecord};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use crate::cli::HistoryArgs;
use crate::commands::past;
use crate::commands::status::short;
use crate::fault::Fault;
use crate::wiring;

/// Records that are read at a time.
const PAGE: usize = 1_000;
/// Records that are shown where nothing says how many.
const SHOWN: usize = 100;

/// Runs the command.
pub(crate) fn history(
    settings: &Settings,
    args: &HistoryArgs,
    now: Timestamp,
    out: &mut dyn Write,
) -> Result<(), Fault> {
    past::keys(settings, &args.which)?;
    let zone = past::zone(settings);
    let moment =
        |flag, text: &Option<String>| text.as_deref().map(|text| past::moment(flag, text, &zone, now)).transpose();
    let page = Page {
        from: moment("--since", &args.since)?,
        to: moment("--until", &args.until)?,
        limit: PAGE,
        ..Page::default()
    };
    if let (Some(from), Some(to)) = (page.from, page.to)
        && from >= to
    {
        return Err(Fault::usage("--since is not before --until: nothing lies between"));
    }
    let filter =
        Filter { who: past::who(&args.which), page, changes_only: args.changes, conditions: args.condition.clone() };
    let store = wiring::stored(settings)?;
    let mut form = Form::new(args, zone);
    if form == Form::Csv {
        writeln!(out, "{CSV}")?;
    }
    // All of them in their order, or the newest, turned around.
    let limit = args.limit.or((!args.replay_format).then_some(SHOWN));
    let shown = match limit {
        None => all(&store, filter, |record| form.write(record, out))?,
        Some(limit) => {
            let newest = newest(&store, filter, limit)?;
            for record in newest.iter().rev() {
                form.write(record, out)?;
            }
            newest.len()
        }
    };
    if shown == 0 && matches!(form, Form::Text(_)) {
        writeln!(out, "nothing is recorded of this")?;
    }
    Ok(())
}

fn all(
    store: &Store,
    mut filter: Filter,
    mut each: impl FnMut(&StoredRecord) -> Result<(), Fault>,
) -> Result<usize, Fault> {
    let mut count = 0;
    loop {
        let records = store.history_onward(&filter).map_err(Fault::failed)?;
        for record in &records {
            each(record)?;
        }
        count += records.len();
        match records.last() {
            Some(last) => filter.page.before = Some(last.cursor),
            None => return Ok(count),
        }
    }
}

fn newest(store: &Store, mut filter: Filter, limit: usize) -> Result<Vec<StoredRecord>, Fault> {
    let mut all = Vec::new();
    while all.len() < limit {
        filter.page.limit = PAGE.min(limit - all.len());
        let records = store.history(&filter).map_err(Fault::failed)?;
        let Some(last) = records.last() else { break };
        filter.page.before = Some(last.cursor);
        all.extend(records);
    }
    Ok(all)
}

/// How a record is written.
#[derive(Debug, Clone, PartialEq)]
enum Form {
    Text(TimeZone),
    Json,
    Csv,
    Replay,
}

const CSV: &str = "at,app,process,before,after,min,max,measurements,verdict,desired,call,gates,conditions,reason";

impl Form {
    fn new(args: &HistoryArgs, zone: TimeZone) -> Self {
        match args {
            HistoryArgs { replay_format: true, .. } => Self::Replay,
            HistoryArgs { json: true, .. } => Self::Json,
            HistoryArgs { csv: true, .. } => Self::Csv,
            _ => Self::Text(zone),
        }
    }

    fn write(&mut self, record: &StoredRecord, out: &mut dyn Write) -> Result<(), Fault> {
        match self {
            Self::Json => writeln!(out, "{}", record.json)?,
            Self::Csv => writeln!(out, "{}", csv(&record.line().map_err(Fault::failed)?))?,
            Self::Replay => writeln!(out, "{}", tick_line(record)?)?,
            Self::Text(zone) => text(&record.line().map_err(Fault::failed)?, zone, out)?,
        }
        Ok(())
    }
}

fn number(dynos: Option<u32>) -> String {
    dynos.map_or_else(|| "?".to_owned(), |dynos| dynos.to_string())
}

fn text(line: &RecordLine, zone: &TimeZone, out: &mut dyn Write) -> Result<(), Fault> {
    let (before, after) = (line.dynos.before, line.dynos.after);
    let dynos = match before == after {
        true => number(after),
        false => format!("{} -> {}", number(before), number(after)),
    };
    let name = format!("{}/{}", line.app, line.process);
    write!(out, "{}  {name:<14} {dynos:<8} {:<10} {}", past::local(line.at, zone), line.verdict, line.reason)?;
    if !line.conditions.is_empty() {
        write!(out, " [{}]", line.conditions.join(", "))?;
    }
    writeln!(out)?;
    Ok(())
}

fn csv(line: &RecordLine) -> String {
    let maybe = |dynos: Option<u32>| dynos.map(|dynos| dynos.to_string()).unwrap_or_default();
    let measured = line.measurements.iter().map(|measured| match (measured.value, &measured.error) {
        (Some(value), _) => format!("{}={}", measured.name, short(value)),
        (None, error) => format!("{}={}", measured.name, error.as_deref().unwrap_or("unknown")),
    });
    let fields = [
        line.at.to_string(),
        line.app.clone(),
        line.process.clone(),
        maybe(line.dynos.before),
        maybe(line.dynos.after),
        line.bounds.min.to_string(),
        line.bounds.max.to_string(),
        measured.collect::<Vec<_>>().join(" "),
        line.verdict.clone(),
        maybe(line.desired),
        line.call.clone(),
        line.gates.join(" "),
        line.conditions.join(" "),
        line.reason.clone(),
    ];
    fields.map(|field| quoted(&field)).join(",")
}

/// A field of CSV. One that a spreadsheet would take for a formula begins with an apostrophe.
fn quoted(field: &str) -> String {
    let formula = field.starts_with(['=', '+', '-', '@']);
    let field = if formula { format!("'{field}") } else { field.to_owned() };
    match field.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", field.replace('"', "\"\"")),
        false => field,
    }
}

/// The record as a tick line that `replay --assert` compares with what it decides, with the state where one is kept.
fn tick_line(record: &StoredRecord) -> Result<String, Fault> {
    let mut line: Value = serde_json::from_str(&record.json).map_err(Fault::failed)?;
    let Some(fields) = line.as_object_mut() else { return Err(Fault::failed("a record in the store is no object")) };
    let then = json!({
        "verdict": fields.get("verdict"), "dynos": fields.get("dynos").and_then(|dynos| dynos.get("after")),
        "call": fields.get("call"), "desired": fields.get("desired"), "conditions": fields.get("conditions"),
    });
    fields.insert("then".into(), then);
    if record.state_before().is_some()
        && let Some(state) = &record.state
    {
        fields.insert("state".into(), serde_json::from_str(state).map_err(Fault::failed)?);
    }
    serde_json::to_string(&line).map_err(Fault::failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_that_would_break_a_table_are_quoted() {
        for (field, wanted) in
            [("plain", "plain"), ("a,b", "\"a,b\""), ("say \"x\"", "\"say \"\"x\"\"\""), ("=1+1", "'=1+1"), ("", "")]
        {
            assert_eq!(quoted(field), wanted);
        }
    }
}
