//! `measure`: what each source says, and how long it takes to say it.

use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use autoscalebot_core::{Failure, Reading};
use autoscalebot_engine::Source;
use autoscalebot_measure::{Intake, ToldBy};
use autoscalebot_settings::Settings;
use serde::Serialize;

use crate::cli::MeasureArgs;
use crate::commands::run::stop_signal;
use crate::fault::Fault;
use crate::wiring;

/// One source with its names.
pub(crate) struct Named {
    pub(crate) app: String,
    pub(crate) process: String,
    pub(crate) name: String,
    pub(crate) kind: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) source: Source,
}

impl Named {
    /// As people are shown it.
    pub(crate) fn full_name(&self) -> String {
        format!("{}/{} {}", self.app, self.process, self.name)
    }

    /// What it is told by, where it is told rather than asks.
    pub(crate) fn told(&self) -> Option<ToldBy> {
        self.source.measure.told()
    }
}

#[derive(Debug, Serialize)]
struct Row<'a> {
    app: &'a str,
    process: &'a str,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    unit: &'a str,
    /// Whether it is told rather than asks, so that nothing can come to this command.
    told: bool,
    took_ms: f64,
}

/// Every source of the settings; what is told is heard through the intake.
pub(crate) fn sources(settings: &Settings, intake: &Arc<Intake>) -> Result<Vec<Named>, Fault> {
    let mut all = Vec::new();
    for app in &settings.apps {
        for process in &app.processes {
            for (index, measurement) in process.measure.iter().enumerate() {
                let spec = process.spec.measurements.get(index);
                all.push(Named {
                    app: app.key.to_string(),
                    process: process.spec.process.to_string(),
                    name: spec.map(|spec| spec.name.to_string()).unwrap_or_default(),
                    kind: measurement.section.kind,
                    unit: spec.map(|spec| spec.unit.as_str()).unwrap_or_default(),
                    source: wiring::source(app, process, index, measurement, intake, &wiring::place(settings))?,
                });
            }
        }
    }
    Ok(all)
}

/// One reading, and how long it took.
pub(crate) async fn timed(named: &Named) -> (Reading, Duration) {
    let began = Instant::now();
    let taken = named.source.measure.read().await;
    (taken.reading, began.elapsed())
}

/// Runs the command: all sources side by side, each line as soon as it is there.
pub(crate) async fn measure(settings: &Settings, args: &MeasureArgs) -> Result<(), Fault> {
    let sources = sources(settings, &Arc::default())?;
    if sources.is_empty() {
        return Err(Fault::usage("nothing is measured: add a [[apps.….processes.….measure]] section"));
    }
    let mut tasks = tokio::task::JoinSet::new();
    let (json, once) = (args.json, args.once);
    for named in sources {
        tasks.spawn(async move {
            loop {
                let began = tokio::time::Instant::now();
                let told = named.told();
                let (reading, took) = match &told {
                    Some(by) => (Reading::Failed(Failure::Other(is_told(by).into())), Duration::ZERO),
                    None => timed(&named).await,
                };
                print(&named, &reading, took, json)?;
                if once || told.is_some() {
                    return Ok::<_, std::io::Error>(());
                }
                tokio::time::sleep_until(began + named.source.every).await;
            }
        });
    }
    let stop = stop_signal()?;
    tokio::pin!(stop);
    loop {
        tokio::select! {
            ended = tasks.join_next() => match ended {
                None => return Ok(()),
                Some(result) => result.map_err(Fault::failed)??,
            },
            () = &mut stop => return Ok(()),
        }
    }
}

/// Why a measurement that is told has no reading here.
fn is_told(by: &ToldBy) -> &'static str {
    match by.is_local() {
        true => "told, not asked: the running program's own platform tells it, and nothing comes to this command",
        false => {
            "told, not asked: its sender speaks to the running program, and nothing comes to this command; \
             `autoscalebot drain-url` prints what is to be set at the sender, `autoscalebot check --online` whether it arrives"
        }
    }
}

fn print(named: &Named, reading: &Reading, took: Duration, json: bool) -> std::io::Result<()> {
    let Named { app, process, name, unit, .. } = named;
    let told = named.told().is_some();
    let mut out = std::io::stdout().lock();
    let took_ms = took.as_secs_f64() * 1000.0;
    if json {
        let (value, error) = match reading {
            Reading::Value(value) => (Some(*value), None),
            Reading::Failed(failure) => (None, Some(failure.to_string())),
        };
        serde_json::to_writer(&mut out, &Row { app, process, name, value, error, unit, told, took_ms })?;
        return writeln!(out);
    }
    match reading {
        Reading::Value(value) => writeln!(out, "{app}/{process} {name}: {value:.3} {unit} (took {took_ms:.1} ms)"),
        Reading::Failed(failure) if told => writeln!(out, "{app}/{process} {name}: {failure}"),
        Reading::Failed(failure) => writeln!(out, "{app}/{process} {name}: unknown: {failure} (took {took_ms:.1} ms)"),
    }
}
