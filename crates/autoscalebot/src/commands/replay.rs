//! `replay`: recorded ticks in, decision records out. The same [`decide`] and [`settle`] as the daemon's.

mod figures;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, IsTerminal, Read, Write};
use std::path::Path;
use std::sync::Arc;

use autoscalebot_core::state::STATE_VERSION;
use autoscalebot_core::{
    Action, Advice, CallOutcome, Condition, Detail, Failure, Observation, Pause, Reading, Record, Sample, Spec, State,
    Taken, decide, settle,
};
use autoscalebot_settings::{Loaded, Settings, Source};
use autoscalebot_simulate::assert::{Assertion, parse_for};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::cli::ReplayArgs;
use crate::fault::Fault;
use crate::simulate::progress::Bar;
use figures::{FIGURES, Figures};

/// A tick line; a decision record reads as one, too. Keys that are not listed are left alone.
#[derive(Debug, Deserialize)]
pub(crate) struct TickLine {
    pub(crate) at: Timestamp,
    #[serde(default)]
    app: Option<String>,
    #[serde(default)]
    process: Option<String>,
    #[serde(default)]
    dynos: Option<DynosField>,
    #[serde(default)]
    dynos_error: Option<String>,
    #[serde(default)]
    measurements: Vec<MeasurementField>,
    #[serde(default)]
    scale_call: Option<ScaleCall>,
    #[serde(default)]
    pause: Option<Pause>,
    #[serde(default)]
    ready: Option<u32>,
    #[serde(default)]
    released_at: Option<Timestamp>,
    #[serde(default)]
    call: Option<String>,
    #[serde(default)]
    conditions: Vec<String>,
    /// The state before this tick, instead of the one that the line before it left.
    #[serde(default)]
    state: Option<Box<State>>,
    #[serde(default)]
    then: Option<Then>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum DynosField {
    Now(u32),
    Record { before: Option<u32>, after: Option<u32> },
}

#[derive(Debug, Deserialize)]
struct MeasurementField {
    name: String,
    #[serde(default)]
    value: Option<Value>,
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    sampled_at: Option<Timestamp>,
    #[serde(default)]
    detail: Detail,
    #[serde(default)]
    advice: Option<Advice>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ScaleCall {
    Ok,
    Fails,
}

/// What a tick should come to; what is left out is not compared.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Then {
    verdict: Option<String>,
    dynos: Option<u32>,
    call: Option<String>,
    desired: Option<u32>,
    conditions: Option<Vec<String>>,
}

/// One process being replayed.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) spec: Arc<Spec>,
    pub(crate) state: State,
    dynos: Option<u32>,
    last: Option<Timestamp>,
    figures: Figures,
}

/// Runs the command.
pub(crate) fn replay(loaded: &Loaded, args: &ReplayArgs, out: &mut dyn Write) -> Result<(), Fault> {
    let settings = &loaded.settings;
    // 2.1's flags switch conditions off that hold all the same: its runs list only those that were asked for.
    let all_conditions = matches!(loaded.source, Source::Toml(_));
    let (trace, then) = (args.trace()?, args.then());
    let assertions = args.about_figures().map(|what| parse_for(FIGURES, what)).collect::<Result<Vec<_>, _>>();
    let assertions: Vec<_> = assertions.map_err(Fault::usage)?.into_iter().flatten().collect();
    let mut processes = processes(settings, args)?;
    let (from, size): (Box<dyn Read>, _) = if trace.as_os_str() == "-" {
        (Box::new(std::io::stdin().lock()), None)
    } else {
        let cannot = |error| Fault::usage(format!("{}: {error}", trace.display()));
        let file = std::fs::File::open(trace).map_err(cannot)?;
        let size = file.metadata().map_err(cannot)?.len();
        (Box::new(file), Some(size))
    };
    // On a terminal the records themselves show how far it is.
    let bar = (!std::io::stdout().is_terminal()).then(|| Bar::of_bytes(size));
    let from: Box<dyn Read> = match &bar {
        Some(bar) => Box::new(bar.reading(from)),
        None => from,
    };
    let from = BufReader::new(from);
    let mut records = 0_usize;
    for (number, line) in from.lines().enumerate() {
        let place = Place { file: trace, line: number + 1 };
        let line = line.map_err(|error| place.fault(error))?;
        if line.trim().is_empty() {
            continue;
        }
        let tick: TickLine = serde_json::from_str(&line).map_err(|error| place.fault(without_line(&error)))?;
        let Some(process) = pick(&mut processes, &tick, args, place)? else { continue };
        let record = process.tick(&tick, place)?;
        process.figures.add(&record);
        serde_json::to_writer(&mut *out, &record).map_err(std::io::Error::from)?;
        writeln!(out)?;
        records += 1;
        if then
            && let Some(then) = &tick.then
            && let Some(difference) = difference(then, &record, all_conditions)
        {
            out.flush()?;
            return Err(Fault::failed(format!(
                "{place} ({}): {difference}; the reason: {}",
                tick.at,
                record.sentence()
            )));
        }
    }
    out.flush()?;
    if records == 0 {
        return Err(Fault::usage(format!("{}: there is no tick to replay", trace.display())));
    }
    check(&processes, &assertions, trace)
}

/// Each assertion about each process that had a tick.
fn check(
    processes: &BTreeMap<(String, String), Process>,
    assertions: &[Assertion<Figures>],
    trace: &Path,
) -> Result<(), Fault> {
    let mut broken = Vec::new();
    for ((app, name), process) in processes.iter().filter(|(_, process)| process.last.is_some()) {
        let (name, trace) = (format!("{app}/{name}"), trace.display().to_string());
        let checked = assertions.iter().map(|assertion| assertion.check_of(&process.figures, &name, &trace));
        broken.extend(checked.filter_map(|checked| Some(checked.err()?.to_string())));
    }
    if broken.is_empty() { Ok(()) } else { Err(Fault::failed(broken.join("\n"))) }
}

fn processes(settings: &Settings, args: &ReplayArgs) -> Result<BTreeMap<(String, String), Process>, Fault> {
    let mut all = BTreeMap::new();
    for app in &settings.apps {
        for process in &app.processes {
            let spec = Arc::clone(&process.spec);
            if args.process.as_deref().is_some_and(|wanted| wanted != &*spec.process) {
                continue;
            }
            let key = (app.key.to_string(), spec.process.to_string());
            all.insert(key, Process { dynos: args.dynos, ..Process::new(spec, State::default()) });
        }
    }
    match (all.is_empty(), &args.process) {
        (true, Some(wanted)) => Err(Fault::usage(format!("--process {wanted}: the settings have no such process"))),
        _ => Ok(all),
    }
}

/// The process that a tick line is about; `None`: one that --process leaves out.
fn pick<'a>(
    processes: &'a mut BTreeMap<(String, String), Process>,
    tick: &TickLine,
    args: &ReplayArgs,
    place: Place<'_>,
) -> Result<Option<&'a mut Process>, Fault> {
    if let (Some(named), Some(wanted)) = (&tick.process, &args.process)
        && named != wanted
    {
        return Ok(None);
    }
    let names: Vec<String> = processes.keys().map(|(app, process)| format!("{app}/{process}")).collect();
    let mut fitting: Vec<_> = processes
        .iter_mut()
        .filter(|((app, process), _)| {
            tick.app.as_ref().is_none_or(|named| named == app)
                && tick.process.as_ref().is_none_or(|named| named == process)
        })
        .map(|(_, process)| process)
        .collect();
    match (fitting.pop(), fitting.is_empty()) {
        (Some(process), true) => Ok(Some(process)),
        (Some(_), false) => Err(place.fault(format!("name the \"process\": the settings have {}", names.join(", ")))),
        (None, _) => Err(place.fault(format!("no such process; the settings have {}", names.join(", ")))),
    }
}

impl Process {
    /// A process before its first tick.
    pub(crate) fn new(spec: Arc<Spec>, state: State) -> Self {
        Self { spec, state, dynos: None, last: None, figures: Figures::default() }
    }

    /// Decides one tick again, and goes on from it.
    pub(crate) fn tick(&mut self, tick: &TickLine, place: Place<'_>) -> Result<Record, Fault> {
        if self.last.is_some_and(|last| tick.at < last) {
            return Err(place.fault("\"at\" is before the tick before it: sort the lines by time"));
        }
        self.last = Some(tick.at);
        if let Some(state) = tick.state.as_ref().filter(|state| state.version == STATE_VERSION) {
            self.state = State::clone(state);
        }
        let seen = self.seen(tick, place)?;
        let record = decide(&self.spec, &self.state, &seen);
        let outcome = record.without_call().unwrap_or_else(|| outcome(tick, &record));
        let record = record.conclude(&self.spec, &self.state, &outcome);
        self.state = settle(&self.spec, std::mem::take(&mut self.state), &record, &outcome);
        self.dynos = record.after.or(self.dynos);
        Ok(record)
    }

    /// What the line says was seen.
    pub(crate) fn seen(&self, tick: &TickLine, place: Place<'_>) -> Result<Observation, Fault> {
        Ok(Observation {
            at: tick.at,
            dynos: self.quantity(tick, place)?,
            samples: self.samples(tick, place)?,
            pause: tick.pause.clone(),
            ready: tick.ready,
            released_at: tick.released_at,
            store_failing: tick.conditions.iter().any(|name| name == Condition::StoreFailing.as_str()),
            advice: self.advice(tick),
        })
    }

    fn quantity(&self, tick: &TickLine, place: Place<'_>) -> Result<Result<u32, Failure>, Fault> {
        if let Some(error) = &tick.dynos_error {
            return Ok(Err(Failure::Other(error.as_str().into())));
        }
        let said = match tick.dynos {
            Some(DynosField::Now(now) | DynosField::Record { before: Some(now), .. }) => Some(now),
            Some(DynosField::Record { before: None, .. }) => return Ok(Err(Failure::Missing)),
            None => None,
        };
        match said.or(self.dynos) {
            Some(dynos) => Ok(Ok(dynos)),
            None => {
                Err(place
                    .fault("nothing says how many dynos run before the first tick: add \"dynos\", or give --dynos N"))
            }
        }
    }

    /// Advice as it was given then: nobody is asked again.
    fn advice(&self, tick: &TickLine) -> smallvec::SmallVec<[Option<Advice>; 1]> {
        let given = |name: &str| tick.measurements.iter().find(|measured| measured.name == name)?.advice.clone();
        self.spec.measurements.iter().map(|measurement| given(&measurement.name)).collect()
    }

    fn samples(&self, tick: &TickLine, place: Place<'_>) -> Result<smallvec::SmallVec<[Option<Sample>; 2]>, Fault> {
        let known = || self.spec.measurements.iter().map(|m| &*m.name).collect::<Vec<_>>().join(", ");
        for measured in &tick.measurements {
            if !self.spec.measurements.iter().any(|m| *m.name == *measured.name) {
                return Err(place.fault(format!(
                    "the settings have no measurement {:?}; they have: {}",
                    measured.name,
                    known()
                )));
            }
        }
        let sample = |name: &str| {
            let measured = tick.measurements.iter().find(|measured| measured.name == name)?;
            // A record says so where no sample was ever taken.
            if measured.sampled_at.is_none() && measured.error.as_deref() == Some("missing") {
                return None;
            }
            let taken = Taken { reading: reading(measured), detail: measured.detail };
            Some(Sample::new(measured.sampled_at.unwrap_or(tick.at), taken))
        };
        Ok(self.spec.measurements.iter().map(|measurement| sample(&measurement.name)).collect())
    }
}

/// What the line says came of the scaling call of this tick.
fn outcome(tick: &TickLine, record: &Record) -> CallOutcome {
    let Action::Set(quantity) = record.action else { return CallOutcome::None };
    if tick.scale_call == Some(ScaleCall::Fails) || tick.call.as_deref() == Some("failed") {
        let holds = |condition: Condition| tick.conditions.iter().any(|name| name == condition.as_str());
        // A refusal that names a limit is no failing of the call; what runs is the most that is known to be allowed.
        let limited = holds(Condition::LimitedByPlatform) && !holds(Condition::ScaleFailing);
        return CallOutcome::Failed { error: "as recorded".into(), limit: record.before.filter(|_| limited) };
    }
    match tick.dynos {
        _ if tick.call.as_deref() == Some("dry_run") => CallOutcome::DryRun,
        // The platform set less than was wanted: that is its limit.
        Some(DynosField::Record { after: Some(after), .. })
            if tick.call.as_deref() == Some("ok") && after < quantity =>
        {
            CallOutcome::Ok { quantity: after, limit: Some(after) }
        }
        _ => CallOutcome::Ok { quantity, limit: None },
    }
}

/// What a tick line's measurement says: a number, a number as text, or why there is none.
fn reading(measured: &MeasurementField) -> Reading {
    match (&measured.value, &measured.error) {
        (None | Some(Value::Null), Some(error)) => match error.parse() {
            Ok(failure) => Reading::Failed(failure),
        },
        (None | Some(Value::Null), None) => Reading::Failed(Failure::Missing),
        (Some(value), _) => {
            let number = value.as_f64().or_else(|| value.as_str().and_then(|text| text.trim().parse().ok()));
            number.map_or_else(|| Reading::Failed(Failure::Invalid(value.to_string().into())), Reading::number)
        }
    }
}

fn difference(then: &Then, record: &Record, all_conditions: bool) -> Option<String> {
    let call = serde_json::to_value(record.call).ok()?;
    let got = [
        ("verdict", then.verdict.as_deref(), record.verdict.as_str()),
        ("call", then.call.as_deref(), call.as_str().unwrap_or_default()),
    ];
    for (name, wanted, got) in got {
        if let Some(wanted) = wanted.filter(|wanted| *wanted != got) {
            return Some(format!("{name} is {got}, not {wanted}"));
        }
    }
    let show = |dynos: Option<u32>| dynos.map_or_else(|| "unknown".to_owned(), |dynos| dynos.to_string());
    for (name, wanted, got) in [("dynos", then.dynos, record.after), ("desired", then.desired, record.desired)] {
        if wanted.is_some() && wanted != got {
            return Some(format!("{name} is {}, not {}", show(got), show(wanted)));
        }
    }
    let wanted = then.conditions.as_ref()?;
    let got: Vec<_> = record.conditions.iter().map(|condition| condition.as_str()).collect();
    let missing = wanted.iter().any(|condition| !got.contains(&condition.as_str()));
    let unasked = all_conditions && got.iter().any(|condition| !wanted.iter().any(|wanted| wanted == condition));
    (missing || unasked).then(|| format!("conditions are {got:?}, not {wanted:?}"))
}

/// A line of the trace, for messages.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) file: &'a Path,
    pub(crate) line: usize,
}

impl Place<'_> {
    fn fault(self, message: impl std::fmt::Display) -> Fault {
        Fault::usage(format!("{self}: {message}"))
    }
}

impl std::fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.line)
    }
}

/// A JSON error's message; each line is a document of its own, so its "at line 1" would mislead.
fn without_line(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.split_once(" at line ") {
        Some((message, _)) => format!("{message} (column {})", error.column()),
        None => text,
    }
}
