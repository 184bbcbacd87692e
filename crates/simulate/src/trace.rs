//! [`Trace`]: requests per step of time, as read from CSV or JSON lines. What the requests do once they arrive is in `model`.
//!
//! CSV: `#` comments, then `unix_seconds,requests`, one row a step. JSON lines: `{"at":"2026-01-01T00:00:00Z","requests":12}`.
//! Steps are of one length and without gaps: a missing row is not a row of zero requests, so it is an error, not a guess.
//! A row is a sum: bursts inside it are lost.

use std::fmt;
use std::path::Path;

use jiff::Timestamp;
use serde::Deserialize;

/// Requests per step.
#[derive(Debug, Clone, PartialEq)]
pub struct Trace {
    /// Its name, for reports: the file's name.
    pub name: String,
    /// When the first step begins.
    pub start: Timestamp,
    /// The length of a step in seconds, 1 or more.
    pub step_secs: u32,
    /// Requests in each step, already multiplied by the scale; finite, 0 or more.
    pub requests: Vec<f64>,
}

/// What is wrong with a trace: every bad line of it, up to a limit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", Lines(.0))]
pub struct TraceError(Vec<String>);

impl TraceError {
    /// One message for each fault: file, line, what is wrong, what to do.
    pub fn messages(&self) -> &[String] {
        &self.0
    }
}

struct Lines<'a>(&'a [String]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, line) in self.0.iter().enumerate() {
            if n > 0 {
                f.write_str("\n")?;
            }
            f.write_str(line)?;
        }
        Ok(())
    }
}

/// After so many faults the rest is not worth a reader's time.
const MOST_FAULTS: usize = 20;
/// A row of more than this is a wrong column, not traffic.
const MOST_REQUESTS: f64 = 1e12;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonRow {
    at: Timestamp,
    requests: f64,
}

impl Trace {
    /// A trace made in memory, its counts as they are.
    pub fn new(name: impl Into<String>, start: Timestamp, step_secs: u32, requests: Vec<f64>) -> Self {
        Self { name: name.into(), start, step_secs: step_secs.max(1), requests }
    }

    /// Reads a file: JSON lines where its name ends in `.jsonl` or `.ndjson`, else CSV. `scale` multiplies the counts.
    pub fn read(path: &Path, scale: f64) -> Result<Self, TraceError> {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| {
            TraceError(vec![format!("{name}: cannot be read ({error}): check the path and its rights")])
        })?;
        let json = path.extension().is_some_and(|ext| ext == "jsonl" || ext == "ndjson");
        let mut trace =
            if json { Self::parse_jsonl(&name, &text, scale)? } else { Self::parse_csv(&name, &text, scale)? };
        if let Some(stem) = path.file_stem() {
            trace.name = stem.to_string_lossy().into_owned();
        }
        Ok(trace)
    }

    /// Reads CSV text; `name` is how errors call the file.
    pub fn parse_csv(name: &str, text: &str, scale: f64) -> Result<Self, TraceError> {
        let mut rows = Rows::new(name);
        let mut header = false;
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if !header && line.split(',').map(str::trim).eq(["unix_seconds", "requests"]) {
                header = true;
                continue;
            }
            header = true;
            rows.add(number + 1, csv_row(line));
        }
        rows.finish(scale)
    }

    /// Reads JSON lines; `name` is how errors call the file.
    pub fn parse_jsonl(name: &str, text: &str, scale: f64) -> Result<Self, TraceError> {
        let mut rows = Rows::new(name);
        for (number, line) in text.lines().enumerate() {
            if line.trim().is_empty() {
                continue;
            }
            let row =
                serde_json::from_str::<JsonRow>(line).map(|row| (row.at.as_second(), row.requests)).map_err(|error| {
                    format!("is not a row ({error}): write {{\"at\":\"2026-01-01T00:00:00Z\",\"requests\":12}}")
                });
            rows.add(number + 1, row);
        }
        rows.finish(scale)
    }

    /// The length of the trace in seconds.
    pub fn secs(&self) -> f64 {
        self.requests.len() as f64 * f64::from(self.step_secs)
    }

    /// Whole minutes that the trace touches.
    pub fn minutes(&self) -> usize {
        (self.secs() / 60.0).ceil() as usize
    }

    /// All requests.
    pub fn total(&self) -> f64 {
        self.requests.iter().sum()
    }

    /// The mean rate of each minute, in requests per second: a longer step is spread evenly over its minutes, shorter ones
    /// are added up.
    pub fn minute_rates(&self) -> Vec<f64> {
        let step = f64::from(self.step_secs);
        let mut rates = vec![0.0; self.minutes()];
        for (index, requests) in self.requests.iter().enumerate() {
            let begin = index as f64 * step;
            crate::pieces::each(begin, begin + step, 60.0, |minute, secs| {
                if let Some(rate) = rates.get_mut(minute) {
                    *rate += requests * (secs / step) / 60.0;
                }
            });
        }
        rates
    }

    /// The first part of the trace, `share` of it (0 to 1), and the rest: what is tuned on the one is reported on the other.
    pub fn split(&self, share: f64) -> (Self, Self) {
        let at = ((self.requests.len() as f64 * share.clamp(0.0, 1.0)).round() as usize).min(self.requests.len());
        let (first, second) = self.requests.split_at(at);
        let later = jiff::SignedDuration::from_secs(at as i64 * i64::from(self.step_secs));
        let part = |name: &str, start, requests: &[f64]| Self {
            name: format!("{} ({name})", self.name),
            start,
            step_secs: self.step_secs,
            requests: requests.to_vec(),
        };
        (
            part("first part", self.start, first),
            part("second part", self.start.checked_add(later).unwrap_or(self.start), second),
        )
    }
}

fn csv_row(line: &str) -> Result<(i64, f64), String> {
    let mut fields = line.split(',').map(str::trim);
    let (Some(at), Some(requests), None) = (fields.next(), fields.next(), fields.next()) else {
        return Err(format!("has {} columns: write unix_seconds,requests", line.split(',').count()));
    };
    let at =
        at.parse().map_err(|_| format!("{at:?} is no whole number of seconds since 1970: write it as 1704067200"))?;
    let requests =
        requests.parse().map_err(|_| format!("{requests:?} is no number of requests: write a count, as 12"))?;
    Ok((at, requests))
}

/// Rows as they come, with the faults among them.
struct Rows<'a> {
    name: &'a str,
    start: Option<i64>,
    last: i64,
    step: Option<i64>,
    requests: Vec<f64>,
    faults: Vec<String>,
    more: usize,
}

impl<'a> Rows<'a> {
    fn new(name: &'a str) -> Self {
        Self { name, start: None, last: 0, step: None, requests: Vec::new(), faults: Vec::new(), more: 0 }
    }

    fn fault(&mut self, line: usize, what: &str) {
        if self.faults.len() < MOST_FAULTS {
            self.faults.push(format!("{}:{line}: {what}", self.name));
        } else {
            self.more += 1;
        }
    }

    fn add(&mut self, line: usize, row: Result<(i64, f64), String>) {
        let (at, requests) = match row {
            Ok(row) => row,
            Err(what) => return self.fault(line, &what),
        };
        if !(0.0..=MOST_REQUESTS).contains(&requests) {
            self.fault(
                line,
                &format!("{requests} requests cannot be: give a count from 0 to 1e12, or leave out the step's file"),
            );
        }
        match (self.start, self.step) {
            (None, _) => self.start = Some(at),
            (Some(_), None) if at > self.last && at - self.last <= 86_400 => self.step = Some(at - self.last),
            (Some(_), None) => {
                let last = self.last;
                self.fault(line, &format!("the step from {last} to {at} is not 1 s to 1 day: order the rows by time"));
            }
            (Some(_), Some(step)) if at - self.last == step => {}
            (Some(_), Some(step)) => {
                let (last, due) = (self.last, self.last + step);
                self.fault(
                    line,
                    &format!("the row after {last} is {at}, but the step is {step} s: give a row for {due} (0 requests is a number)"),
                );
            }
        }
        self.last = at;
        self.requests.push(requests);
    }

    fn finish(mut self, scale: f64) -> Result<Trace, TraceError> {
        if !(scale.is_finite() && scale > 0.0) {
            self.faults.push(format!("the scale {scale} of {} is no number above 0: leave it out for 1", self.name));
        }
        if self.requests.is_empty() && self.faults.is_empty() {
            self.faults.push(format!("{}: has no rows: give one row a step, unix_seconds,requests", self.name));
        }
        let start = Timestamp::from_second(self.start.unwrap_or_default());
        if start.is_err() {
            self.faults
                .push(format!("{}: its first instant is out of range: give seconds, not milliseconds", self.name));
        }
        if self.more > 0 {
            self.faults.push(format!("{}: and {} more faults", self.name, self.more));
        }
        match start {
            Ok(start) if self.faults.is_empty() => Ok(Trace {
                name: self.name.to_owned(),
                start,
                step_secs: self.step.and_then(|step| u32::try_from(step).ok()).unwrap_or(60),
                requests: self.requests.into_iter().map(|requests| requests * scale).collect(),
            }),
            _ => Err(TraceError(self.faults)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_formats_read_the_same() {
        let csv = "# a note\nunix_seconds,requests\n60,1\n120,0\n180,7\n";
        let json = "{\"at\":\"1970-01-01T00:01:00Z\",\"requests\":1}\n\n{\"at\":\"1970-01-01T00:02:00Z\",\"requests\":0}\n\
                    {\"at\":\"1970-01-01T00:03:00Z\",\"requests\":7}";
        let trace = Trace::parse_csv("t", csv, 2.0).unwrap();
        assert_eq!(trace, Trace::parse_jsonl("t", json, 2.0).unwrap());
        assert_eq!((trace.step_secs, trace.requests.as_slice()), (60, &[2.0, 0.0, 14.0][..]));
        assert_eq!(trace.minute_rates(), [2.0 / 60.0, 0.0, 14.0 / 60.0]);
    }

    #[test]
    fn every_bad_line_is_named_with_its_mend() {
        let text = "60,1\n120,x\n180,-1\n240\n420,2\n";
        let error = Trace::parse_csv("t.csv", text, 1.0).unwrap_err();
        let messages = error.messages();
        assert!(messages[0].starts_with("t.csv:2: \"x\" is no number"), "{error}");
        assert!(messages[1].starts_with("t.csv:3: -1 requests"), "{error}");
        assert!(messages[2].starts_with("t.csv:4: has 1 columns"), "{error}");
        assert!(messages[3].starts_with("t.csv:5: the row after 180 is 420, but the step is 120 s"), "{error}");
        for (text, what) in
            [("", "no rows"), ("# x\n", "no rows"), ("5,1\n5,1\n", "order the rows"), ("9,nan\n", "cannot be")]
        {
            let error = Trace::parse_csv("t", text, 1.0).unwrap_err().to_string();
            assert!(error.contains(what), "{error}");
        }
        assert!(Trace::parse_csv("t", "5,1\n", 0.0).is_err());
        let json = Trace::parse_jsonl("t", "{\"at\":\"1970-01-01T00:02:00Z\",\"request\":0}", 1.0).unwrap_err();
        assert!(json.to_string().starts_with("t:1: is not a row"), "{json}");
    }

    #[test]
    fn longer_and_shorter_steps_become_minutes() {
        let start = Timestamp::UNIX_EPOCH;
        let rates = Trace::new("t", start, 300, vec![300.0, 600.0]).minute_rates();
        assert_eq!(rates.len(), 10);
        assert!(rates.iter().zip([1.0, 1.0, 1.0, 1.0, 1.0, 2.0, 2.0]).all(|(a, b)| (a - b).abs() < 1e-12));
        assert_eq!(Trace::new("t", start, 30, vec![60.0, 0.0, 30.0]).minute_rates(), [1.0, 0.5]);
        let (first, second) = Trace::new("t", start, 60, vec![1.0, 2.0, 3.0, 4.0]).split(0.5);
        assert_eq!((first.requests, second.requests), (vec![1.0, 2.0], vec![3.0, 4.0]));
        assert_eq!(second.start.as_second(), 120);
    }
}
