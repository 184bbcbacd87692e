//! Writing: what a tick leaves behind, many ticks in one transaction.

use std::sync::Arc;

use autoscalebot_core::{Event, EventKind, Reading, Record, State};
use jiff::Timestamp;
use serde_json::json;

use crate::driver::Driver;
use crate::marks::{Last, Marks};
use crate::store::Inner;
use crate::{ProcessKey, StoreError, state};

/// Something to be written.
#[derive(Debug, Clone)]
pub enum Entry {
    /// The state of a process, and when it came to be.
    State(ProcessKey, Box<State>, Timestamp),
    /// The record of a tick; now and then with the state before it, from which it and those after it can be decided again.
    Record(Arc<Record>, Option<Box<State>>),
    /// Something that happened. `decided` and reminders are left out.
    Event(Event),
}

pub(crate) fn write(inner: &mut Inner, entries: &[Entry]) -> Result<(), StoreError> {
    for entry in entries {
        match entry {
            Entry::State(key, state, at) => state::save(&mut *inner.driver, key, state, *at)?,
            Entry::Record(record, state) => write_record(inner, record, state.as_deref())?,
            Entry::Event(event) => write_event(inner, event)?,
        }
    }
    Ok(())
}

fn write_record(inner: &mut Inner, record: &Record, state: Option<&State>) -> Result<(), StoreError> {
    let driver = &mut *inner.driver;
    let process = inner.ids.process(driver, &record.app, &record.process)?;
    if !inner.last.contains_key(&process)
        && let Some(last) = stored_last(driver, process)?
    {
        inner.last.insert(process, last);
    }
    let marks: Marks = Last::marks(inner.last.get(&process), record);
    let bounds = record.bounds.bounds();
    driver.execute(
        "INSERT INTO decision (process, at, marks, dynos, min, max, json, state) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        &[
            process.into(),
            record.at.as_microsecond().into(),
            marks.0.into(),
            record.after.map(i64::from).into(),
            i64::from(bounds.min).into(),
            i64::from(bounds.max).into(),
            serde_json::to_string(record)?.into(),
            state.map(serde_json::to_string).transpose()?.into(),
        ],
    )?;
    for measured in &record.measured {
        let Some(at) = measured.sampled_at else { continue };
        let series = inner.ids.series(driver, process, &measured.name, measured.unit.as_str())?;
        let value = match measured.reading {
            Reading::Value(value) => Some(value),
            Reading::Failed(_) => None,
        };
        // A sample that several ticks saw counts once.
        driver.execute(
            "INSERT INTO sample (series, at, value) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
            &[series.into(), at.as_microsecond().into(), value.into()],
        )?;
    }
    inner.last.insert(process, Last::of(record));
    Ok(())
}

/// The last record that an earlier run left.
fn stored_last(driver: &mut dyn Driver, process: i64) -> Result<Option<Last>, StoreError> {
    let rows = driver
        .query("SELECT json FROM decision WHERE process = $1 ORDER BY at DESC, id DESC LIMIT 1", &[process.into()])?;
    let Some(row) = rows.first() else { return Ok(None) };
    // One that this version cannot read is as good as none: the next is then kept as the first.
    Ok(serde_json::from_str(&row.text(0)?).ok().as_ref().map(Last::of_line))
}

fn write_event(inner: &mut Inner, event: &Event) -> Result<(), StoreError> {
    let (from, to, since) = match &event.kind {
        EventKind::Decided | EventKind::ConditionHolds(..) => return Ok(()),
        EventKind::Scaled { from, to } => (Some(*from), Some(*to), None),
        EventKind::ConditionEnded(_, since) => (None, None, Some(*since)),
        EventKind::ScaleFailed | EventKind::ConditionBegan(_) => (None, None, None),
    };
    let mut json = json!({
        "at": event.at, "app": &*event.app, "process": &*event.process,
        "event": event.kind.name(), "topic": event.kind.topic(), "dynos": event.dynos,
        "from": from, "to": to, "since": since, "text": event.to_string(),
    });
    if let Some(fields) = json.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
    let driver = &mut *inner.driver;
    let process = inner.ids.process(driver, &event.app, &event.process)?;
    driver.execute(
        "INSERT INTO event (process, at, name, topic, json) VALUES ($1, $2, $3, $4, $5)",
        &[
            process.into(),
            event.at.as_microsecond().into(),
            event.kind.name().into(),
            event.kind.topic().into(),
            json.to_string().into(),
        ],
    )?;
    Ok(())
}
