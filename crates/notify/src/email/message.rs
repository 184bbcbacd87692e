//! What a mail says: a subject that fits a list of mails, the sentence, and the facts of the tick's record as plain text.

use std::collections::hash_map::DefaultHasher;
use std::fmt::Write;
use std::hash::{Hash, Hasher};

use autoscalebot_core::{Event, EventKind, Reading, Record};
use lettre::Message;
use lettre::message::Mailbox;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};

use crate::one_line;

/// The longest subject.
const LONGEST_SUBJECT: usize = 200;

/// The mail for an event. It comes out the same each time, its id included, so a mail that was sent twice because the
/// server's "yes" got lost is recognised as one.
pub(super) fn compose(event: &Event, from: &Mailbox, to: &[Mailbox]) -> Result<Message, lettre::error::Error> {
    let mut builder = Message::builder()
        .from(from.clone())
        .subject(subject(event))
        .message_id(Some(id(event, from)))
        .header(ContentType::TEXT_PLAIN)
        // Keeps holiday replies away (RFC 3834).
        .raw_header(HeaderValue::new(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".into()));
    for to in to {
        builder = builder.to(to.clone());
    }
    builder.body(body(event))
}

fn id(event: &Event, from: &Mailbox) -> String {
    let mut hasher = DefaultHasher::new();
    (&event.app, &event.process, event.kind.name(), event.kind.topic()).hash(&mut hasher);
    format!("<{}.{:016x}@{}>", event.at.as_millisecond(), hasher.finish(), from.email.domain())
}

/// On one line, whatever the names hold: a line break in a subject would be a header of somebody's choice.
pub(super) fn subject(event: &Event) -> String {
    let what = match &event.kind {
        EventKind::Decided => format!("decided: {}", event.record.verdict.as_str()),
        EventKind::Scaled { from, to } => {
            format!("scaled from {from} to {to} {}", if *to == 1 { "dyno" } else { "dynos" })
        }
        EventKind::ScaleFailed => "could not scale".to_owned(),
        EventKind::ConditionBegan(condition) => condition.meaning().to_owned(),
        EventKind::ConditionEnded(condition, _) => format!("ended: {}", condition.meaning()),
        EventKind::ConditionHolds(condition, _) => format!("still: {}", condition.meaning()),
    };
    let subject = one_line(&format!("[autoscalebot] {}/{}: {what}", event.app, event.process));
    subject.chars().take(LONGEST_SUBJECT).collect()
}

fn body(event: &Event) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write_body(&mut text, event);
    text
}

fn write_body(out: &mut String, event: &Event) -> std::fmt::Result {
    let record = &*event.record;
    writeln!(out, "{}\n", one_line(&event.to_string()))?;
    writeln!(out, "time:       {:.0}", event.at)?;
    writeln!(out, "process:    {}", one_line(&format!("{}/{}", event.app, event.process)))?;
    writeln!(out, "dynos:      {}", dynos(record))?;
    let bounds = record.bounds.bounds();
    writeln!(out, "bounds:     {} to {}", bounds.min, bounds.max)?;
    if !record.measured.is_empty() {
        writeln!(out, "\nmeasurements:")?;
        for measured in &record.measured {
            let reading = match &measured.reading {
                Reading::Value(value) => format!("{:.2} {}", value, measured.unit.as_str()),
                Reading::Failed(failure) => failure.to_string(),
            };
            let line =
                format!("{}: {reading}, {}: {}", measured.name, measured.verdict.as_str(), measured.proposal.why);
            writeln!(out, "- {}", one_line(&line))?;
        }
    }
    if !record.gates.is_empty() {
        writeln!(out, "\ngates that spoke:")?;
        for note in &record.gates {
            writeln!(out, "- {}: {}", note.gate, note.why)?;
        }
    }
    if !record.conditions.is_empty() {
        writeln!(out, "\nconditions that hold:")?;
        for condition in &record.conditions {
            writeln!(out, "- {condition}: {}", condition.meaning())?;
        }
    }
    Ok(())
}

fn dynos(record: &Record) -> String {
    match (record.before, record.after) {
        (Some(before), Some(after)) if before != after => format!("{before} before, {after} after"),
        (_, Some(after)) => after.to_string(),
        (Some(before), None) => before.to_string(),
        (None, None) => "unknown".to_owned(),
    }
}
