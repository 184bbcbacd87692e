//! `exec`: what a command on this machine prints: one number, or one line of JSON.
//!
//! - The command is a list of words and runs as it is; no shell reads it, unless the list begins with one.
//! - It leads a process group of its own. When it ends, when its time is over, or when nobody waits for it any more, the whole
//!   group is killed, so that no reading leaves a process behind. One that moves itself to a new session gets away.
//! - Of its output a little is read, and what follows is an error rather than memory.
//!
//! The line of JSON: `{"value": 12, "busy": 2, "latency_ms": 1500}`, with any of the [`Detail`]'s names, or
//! `{"error": "why there is no number"}`.

use std::fmt;
use std::io;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use autoscalebot_core::fields::{Description, Field, FieldError, FieldType, MeasurementKind, Values};
use autoscalebot_core::{Detail, Failure, Reading, Secret, Taken, Unit};
use jiff::SignedDuration;
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;

use crate::budget::{FIVE_SECONDS, budget, within};
use crate::number::{number, text_number};
use crate::{Measure, MeasureContext, MeasureEntry, fields};

/// The entry in the list of measurements.
pub const ENTRY: MeasureEntry = MeasureEntry {
    kind: MeasurementKind {
        description: Description {
            name: "exec",
            doc: "What a command prints: a number, or one line of JSON.",
            fields: FIELDS,
            shorthand: &[],
        },
        unit: Unit::Count,
        failures_mean_overload: false,
        told: false,
        default_every: "\"30s\"",
        check: |values, every| settings(values, every).map(|_| ()),
    },
    build,
};

const FIELDS: &[Field] = &[
    Field::required(
        "command",
        FieldType::Texts,
        "The command and its arguments, each a text; no shell reads them.",
        "[\"bin/backlog\", \"--queue\", \"mail\"]",
    ),
    fields::UNIT,
    fields::FACTOR,
    Field::optional(
        "folder",
        FieldType::Path,
        "The folder to run it in; without it, that of the program.",
        "\"tools\"",
    ),
    Field::optional(
        "env",
        FieldType::TextTable,
        "Variables of its environment, beside those of the program; never shown.",
        "{ TOKEN = { env = \"BACKLOG_TOKEN\" } }",
    ),
    fields::TIMEOUT,
];

/// The most that is read of what the command prints, and of what it says on standard error.
const LARGEST: u64 = 64 * 1024;

/// How much of what it says on standard error a failure tells.
const TOLD: usize = 160;

/// Runs a command.
pub struct Exec {
    program: String,
    arguments: Vec<String>,
    folder: Option<String>,
    env: Vec<(String, Secret)>,
    factor: f64,
    budget: Duration,
}

impl fmt::Debug for Exec {
    /// Without the arguments, as people put tokens there.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exec").field("program", &self.program).field("budget", &self.budget).finish_non_exhaustive()
    }
}

fn settings(values: &Values, every: SignedDuration) -> Result<Exec, FieldError> {
    let [program, arguments @ ..] = values.texts("command") else {
        return Err(FieldError::new("command", "is empty: write the command and its arguments as a list of texts"));
    };
    let env = values.text_table("env").into_iter().flatten();
    let env: Vec<_> = env.map(|(name, value)| (name.clone(), value.clone())).collect();
    if let Some((name, _)) = env.iter().find(|(name, _)| name.is_empty() || name.contains(['=', '\0'])) {
        return Err(FieldError::new("env", format!("{name:?} is no name of a variable: correct it")));
    }
    Ok(Exec {
        program: program.clone(),
        arguments: arguments.to_vec(),
        folder: values.text("folder").map(str::to_owned),
        env,
        factor: fields::factor(values),
        budget: budget(values, every, FIVE_SECONDS)?,
    })
}

fn build(values: &Values, context: MeasureContext<'_>) -> Result<Arc<dyn Measure>, FieldError> {
    let every = SignedDuration::try_from(context.every).unwrap_or(SignedDuration::MAX);
    Ok(Arc::new(settings(values, every)?))
}

/// A process group that is killed when nobody wants it any more.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(pid) = self.0 {
            // It fails where none is left, which is what is wanted. A reaped leader's number goes to another process only
            // after the kernel has counted through all others, not within the instant until here.
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }
}

impl Exec {
    async fn run(&self) -> Result<Taken, Failure> {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.process_group(0).kill_on_drop(true);
        command.envs(self.env.iter().map(|(name, value)| (name, value.expose())));
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        let mut child = command.spawn().map_err(|error| self.not_run(&error))?;
        let leader = child.id().and_then(|id| i32::try_from(id).ok()).filter(|id| *id > 1).and_then(Pid::from_raw);
        let group = Group(leader);
        let (out, err) = (child.stdout.take(), child.stderr.take());
        let (out, err, status) = tokio::join!(limited(out), limited(err), child.wait());
        drop(group);
        let status = status.map_err(|error| self.not_run(&error))?;
        if !status.success() {
            return Err(Failure::Other(self.ended(status, &err.unwrap_or_default()).into()));
        }
        let out = out.map_err(|error| Failure::Other(format!("its output can't be read: {}", error.kind()).into()))?;
        if out.len() as u64 > LARGEST {
            return Err(Failure::Other(format!("it printed more than {LARGEST} bytes").into()));
        }
        reading(&out, self.factor)
    }

    fn not_run(&self, error: &io::Error) -> Failure {
        let Self { program, .. } = self;
        Failure::Other(format!("{program} can't be run: {}", error.kind()).into())
    }

    /// How it ended, with the last line that it said, and none of the secrets it was given.
    fn ended(&self, status: ExitStatus, err: &[u8]) -> String {
        let text = String::from_utf8_lossy(err);
        let mut said = text.trim_end().lines().next_back().unwrap_or_default().to_owned();
        for (_, secret) in self.env.iter().filter(|(_, secret)| !secret.expose().is_empty()) {
            said = said.replace(secret.expose(), "***");
        }
        let said: String = said.chars().map(|c| if c.is_control() { ' ' } else { c }).take(TOLD).collect();
        if said.is_empty() { format!("it ended with {status}") } else { format!("it ended with {status}: {said}") }
    }
}

/// What comes out, up to the limit and one byte, so that more can be told; the rest is read and thrown away, as the command
/// would wait for ever for a full pipe.
async fn limited(from: Option<impl AsyncRead + Unpin>) -> io::Result<Vec<u8>> {
    let Some(mut from) = from else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    (&mut from).take(LARGEST + 1).read_to_end(&mut found).await?;
    tokio::io::copy(&mut from, &mut tokio::io::sink()).await?;
    Ok(found)
}

/// The reading of what a command printed.
pub(crate) fn reading(out: &[u8], factor: f64) -> Result<Taken, Failure> {
    let text = std::str::from_utf8(out).map_err(|_| Failure::Invalid("bytes that are no text".into()))?;
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let line = lines.next().ok_or(Failure::Empty)?;
    if lines.next().is_some() {
        return Err(Failure::Other("it printed several lines, where one is wanted".into()));
    }
    let Ok(document) = serde_json::from_str::<Value>(line) else {
        return Ok(Reading::Value(number(&text_number(line)?.to_string().into(), factor)?).into());
    };
    let Some(object) = document.as_object() else {
        return Ok(Reading::Value(number(&document, factor)?).into());
    };
    if let Some(error) = object.get("error").and_then(Value::as_str) {
        let error: String = error.chars().filter(|c| !c.is_control()).take(TOLD).collect();
        return Err(Failure::Other(error.into()));
    }
    const KNOWN: [&str; 6] = ["value", "rate", "concurrency", "busy", "service_ms", "latency_ms"];
    if let Some(other) = object.keys().find(|key| !KNOWN.contains(&key.as_str())) {
        let other: String = other.chars().filter(|c| !c.is_control()).take(40).collect();
        return Err(Failure::Other(
            format!("its line holds \"{other}\", which is none of {}", KNOWN.join(", ")).into(),
        ));
    }
    let value = number(object.get("value").ok_or(Failure::Empty)?, factor)?;
    let detail =
        |name: &str| object.get(name).filter(|value| !value.is_null()).map(|value| number(value, 1.0)).transpose();
    let detail = Detail {
        rate: detail("rate")?,
        concurrency: detail("concurrency")?,
        busy: detail("busy")?,
        service_ms: detail("service_ms")?,
        latency_ms: detail("latency_ms")?,
    };
    Ok(Taken { reading: Reading::Value(value), detail })
}

#[async_trait]
impl Measure for Exec {
    async fn read(&self) -> Taken {
        within(self.budget, self.run()).await
    }

    fn budget(&self) -> Duration {
        self.budget
    }
}

#[cfg(test)]
mod tests;
