//! Where the traffic comes from: a table of requests per step, a recording of a log drain (`recording`), or the store's history
//! (`history`). What a recording tells of the app beside its traffic is the fit of the service time.

use std::fs::File;
use std::io::{Cursor, Read};
use std::path::Path;

use autoscalebot_simulate::Trace;
use flate2::read::MultiGzDecoder;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::gaps;
use super::progress::Bar;
use super::recording::{self, Form, Held, Range};
use super::tally::{Counted, Fit, NoTrace, Tally};
use crate::commands::past::length;
use crate::fault::Fault;

/// What is looked at to tell what a file is.
const HEAD: u64 = 1 << 16;
/// A table of more is no table of steps.
const LONGEST_TABLE: u64 = 256 << 20;

/// What is asked of the input.
#[derive(Debug, Clone)]
pub(crate) struct Asked<'a> {
    /// Multiplies the requests.
    pub(crate) scale: f64,
    /// The length of a step; without it, one that fits.
    pub(crate) step_secs: Option<u32>,
    /// The process of a recording.
    pub(crate) process: Option<&'a str>,
    /// The part that is wanted.
    pub(crate) from: Option<Timestamp>,
    pub(crate) to: Option<Timestamp>,
    /// How long nothing may be known.
    pub(crate) gap_secs: i64,
}

/// The traffic, and what is known of the app from where it comes.
#[derive(Debug)]
pub(crate) struct Input {
    pub(crate) trace: Trace,
    pub(crate) fit: Option<Fit>,
    /// What a person should know of it.
    pub(crate) notes: Vec<String>,
    /// The same for programs; none for a table, which is what it is.
    pub(crate) told: Option<Value>,
}

/// Reads a file, or `-` for standard input.
pub(crate) fn of_file(path: &Path, asked: &Asked<'_>) -> Result<Input, Fault> {
    let name = path.display().to_string();
    let cannot = |error: std::io::Error| {
        Fault::usage(format!("{name}: cannot be read ({error}): check the path and its rights"))
    };
    let (raw, size): (Box<dyn Read>, _) = if path.as_os_str() == "-" {
        (Box::new(std::io::stdin()), None)
    } else {
        let file = File::open(path).map_err(cannot)?;
        let size = file.metadata().map_err(cannot)?.len();
        (Box::new(file), Some(size))
    };
    let bar = Bar::of_bytes(size);
    let (head, from) = peek(bar.reading(raw)).map_err(cannot)?;
    let cut = |error: std::io::Error| Fault::usage(format!("{name}: cannot be read on ({error}): is it complete?"));
    let packed = head.starts_with(&[0x1f, 0x8b]);
    let (head, from) = if packed { peek(MultiGzDecoder::new(from)).map_err(cut)? } else { (head, from) };
    let mut input = match Form::of(&head) {
        form @ (Form::Csv | Form::JsonLines) => {
            if asked.step_secs.is_some() {
                return Err(Fault::usage(format!(
                    "{name}: is a table, whose steps are what they are: leave out --step, which is for recordings and \
                     the store's history"
                )));
            }
            let mut text = String::new();
            from.take(LONGEST_TABLE + 1).read_to_string(&mut text).map_err(cannot)?;
            if text.len() as u64 > LONGEST_TABLE {
                return Err(Fault::usage(format!("{name}: is longer than 256 MB, which is no table of steps")));
            }
            let trace = match form {
                Form::JsonLines => Trace::parse_jsonl(&name, &text, asked.scale),
                _ => Trace::parse_csv(&name, &text, asked.scale),
            };
            let trace = part(trace.map_err(Fault::usage)?, asked)?;
            Input { trace, fit: None, notes: Vec::new(), told: None }
        }
        form => {
            let range = Range {
                from_ms: asked.from.map_or(i64::MIN, Timestamp::as_millisecond),
                to_ms: asked.to.map_or(i64::MAX, Timestamp::as_millisecond),
            };
            let mut tally = Tally::new(asked.step_secs);
            let held = recording::read(from, form, range, &mut tally).map_err(cut)?;
            recorded(&name, &held, tally, asked)?
        }
    };
    if let Some(stem) = path.file_stem().filter(|_| size.is_some()) {
        input.trace.name = stem.to_string_lossy().into_owned();
    }
    Ok(input)
}

/// The beginning, and a reader of all.
fn peek<'a>(mut from: impl Read + 'a) -> std::io::Result<(Vec<u8>, Box<dyn Read + 'a>)> {
    let mut head = Vec::new();
    from.by_ref().take(HEAD).read_to_end(&mut head)?;
    Ok((head.clone(), Box::new(Cursor::new(head).chain(from))))
}

/// The steps of a table that are asked for: those that lie within whole.
fn part(mut trace: Trace, asked: &Asked<'_>) -> Result<Trace, Fault> {
    let (start, step) = (trace.start.as_second(), i64::from(trace.step_secs));
    let end = start + step * trace.requests.len() as i64;
    let from = asked.from.map_or(start, |from| from.as_second()).clamp(start, end);
    let to = asked.to.map_or(end, |to| to.as_second()).clamp(from, end);
    let first = (from - start + step - 1).div_euclid(step);
    let last = (to - start).div_euclid(step);
    if last <= first {
        return Err(Fault::usage(format!(
            "{}: no whole step lies between --since and --until; the steps are from {} to {}",
            trace.name,
            trace.start,
            Timestamp::from_second(end).unwrap_or(trace.start)
        )));
    }
    trace.requests = trace.requests[first as usize..last as usize].to_vec();
    trace.start = trace.start.checked_add(SignedDuration::from_secs(first * step)).unwrap_or(trace.start);
    Ok(trace)
}

/// The trace of a count. `name` is how errors call where it comes from.
fn recorded(name: &str, held: &Held, tally: Tally, asked: &Asked<'_>) -> Result<Input, Fault> {
    let others = tally.others;
    let counted = tally
        .counted(asked.process, asked.gap_secs, held.beyond)
        .map_err(|why| Fault::usage(format!("{name}: {}", no_trace(&why, held, asked))))?;
    let mut notes = Vec::new();
    let requests: f64 = counted.requests.iter().sum();
    notes.push(format!(
        "{name}: {} lines, {requests} requests of {} in steps of {}",
        held.lines,
        counted.process,
        length(i64::from(counted.step_secs))
    ));
    if held.odd + others > 0 || held.garbage_bytes > 0 {
        notes.push(format!(
            "{} lines and {} bytes between lines were not understood, and are left out",
            held.odd + others,
            held.garbage_bytes
        ));
    }
    if held.lost > 0 {
        notes.push(format!(
            "Heroku says that {} lines were lost before they were recorded: there were more requests than are counted",
            held.lost
        ));
    }
    let told = json!({
        "kind": "recording",
        "process": counted.process,
        "step_secs": counted.step_secs,
        "lines": held.lines,
        "not_understood": held.odd + others,
        "garbage_bytes": held.garbage_bytes,
        "lost": held.lost,
        "service": counted.fit,
    });
    finish(name, counted, notes, told, asked.scale)
}

/// The trace of what was counted.
pub(super) fn finish(
    name: &str,
    counted: Counted,
    notes: Vec<String>,
    told: Value,
    scale: f64,
) -> Result<Input, Fault> {
    if !(scale.is_finite() && scale > 0.0) {
        return Err(Fault::usage(format!("the scale {scale} of {name} is no number above 0: leave it out for 1")));
    }
    let start = Timestamp::from_second(counted.start).map_err(Fault::usage)?;
    let requests = counted.requests.into_iter().map(|requests| requests * scale).collect();
    let trace = Trace::new(name, start, counted.step_secs, requests);
    Ok(Input { trace, fit: counted.fit, notes, told: Some(told) })
}

fn no_trace(why: &NoTrace, held: &Held, asked: &Asked<'_>) -> String {
    match why {
        NoTrace::Empty if held.lines == 0 && (held.beyond.0 || held.beyond.1) => {
            "nothing of it lies between --since and --until".to_owned()
        }
        NoTrace::Empty => format!(
            "no request is in its {} lines: record the router's, by `heroku logs --tail` without --source and --dyno-name, or \
             of a log drain",
            held.lines
        ),
        NoTrace::Several(processes) => {
            let named: Vec<_> = processes.iter().map(|(name, count)| format!("{name} ({count} requests)")).collect();
            format!("there are several processes in it: name one with --process: {}", named.join(", "))
        }
        NoTrace::Other(names) => format!(
            "no request of {} is in it: name with --process one of {}",
            asked.process.unwrap_or_default(),
            names.join(", ")
        ),
        NoTrace::Gaps(found) => {
            let (told, enough) = gaps::told(found);
            format!(
                "nothing was recorded {told}: nobody knows what came then, and it is not zero. Take a part without it by \
                 --since and --until; or, where nothing was asked of the app for so long, say --gap {enough}. With \
                 `heroku labs:enable log-runtime-metrics` a recording tells that it is alive"
            )
        }
        NoTrace::TooLong { secs, step } => format!(
            "{} in steps of {} are too many steps: give a longer --step, or a part by --since and --until",
            length(*secs),
            length(*step)
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_table_are_whole_steps() {
        let at = |secs| Some(Timestamp::from_second(secs).unwrap());
        let asked = |from, to| Asked { scale: 1.0, step_secs: None, process: None, from, to, gap_secs: 300 };
        let trace = || Trace::new("t", at(600).unwrap(), 60, vec![1.0, 2.0, 3.0, 4.0]);
        let cut = |from, to| part(trace(), &asked(from, to)).map(|trace| (trace.start.as_second(), trace.requests));
        assert_eq!(cut(None, None).unwrap(), (600, vec![1.0, 2.0, 3.0, 4.0]));
        assert_eq!(cut(at(601), at(839)).unwrap(), (660, vec![2.0, 3.0]));
        assert_eq!(cut(at(0), at(9999)).unwrap().1.len(), 4);
        for (from, to) in [(at(840), None), (None, at(600)), (at(601), at(659)), (at(700), at(650))] {
            assert!(cut(from, to).is_err(), "{from:?} {to:?}");
        }
    }
}
