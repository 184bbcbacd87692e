//! Settings of simulated processes: kinds of measurement that read a [`Meter`], and the way from settings to a
//! [`Contender`]. Real settings come this way, too: what each of their measurements would read is chosen by its unit.

use std::path::Path;

use autoscalebot_core::Unit;
use autoscalebot_core::fields::{Description, Field, FieldType, MeasurementKind, PlatformKind, Values};
use autoscalebot_settings::{Kinds, Measurement, Outside, Process, Settings};
use autoscalebot_simulate::{Contender, Meter};

use crate::fault::Fault;

/// The one platform of simulated settings.
const PLATFORM: PlatformKind = PlatformKind {
    description: Description { name: "model", doc: "The simulated platform.", fields: &[], shorthand: &[] },
    check: |_| Ok(()),
};

const WINDOW: Field =
    Field::defaulting("window", FieldType::Duration(1.0, 86_400.0), "\"60s\"", "Over how long it is counted.");

const TIMEOUT: Field =
    Field::defaulting("timeout", FieldType::Duration(0.001, 300.0), "\"10s\"", "The most that the probe may take.");

const PERCENTILE: Field =
    Field::defaulting("percentile", FieldType::Number(1.0, 99.99), "95", "So many of a hundred are not slower.");

const fn kind(
    name: &'static str,
    doc: &'static str,
    fields: &'static [Field],
    unit: Unit,
    default_every: &'static str,
) -> MeasurementKind {
    let description = Description { name, doc, fields, shorthand: &[] };
    let failures_mean_overload = matches!(unit, Unit::Milliseconds);
    MeasurementKind { description, unit, failures_mean_overload, told: false, default_every, check: |_, _| Ok(()) }
}

/// The measurements that a simulated process can have.
const MEASUREMENTS: &[MeasurementKind] = &[
    kind("probe", "The time of one request of our own.", &[TIMEOUT], Unit::Milliseconds, "\"30s\""),
    MeasurementKind {
        told: true,
        ..kind("lines", "A percentile as a router tells it.", &[PERCENTILE, WINDOW], Unit::Milliseconds, "\"30s\"")
    },
    kind("rate", "Requests that come in a second.", &[WINDOW], Unit::RequestsPerSecond, "\"15s\""),
    kind("concurrency", "Requests under way.", &[WINDOW], Unit::Count, "\"15s\""),
    kind("waiting", "Requests that wait.", &[], Unit::Jobs, "\"15s\""),
];

/// Reads settings of simulated processes; each becomes a contender of the process's name.
pub(crate) fn contenders(text: &str) -> Result<Vec<Contender>, String> {
    let nothing = || Vec::new();
    let variable = |_: &str| None;
    let read = |_: &Path| Err(std::io::ErrorKind::Unsupported.into());
    let outside = Outside { variable: &variable, variables: &nothing, read: &read, folder: Path::new("") };
    let kinds = Kinds { measurements: MEASUREMENTS, platforms: &[PLATFORM], notifications: &[] };
    let loaded = autoscalebot_settings::from_toml(text, Path::new("simulated"), kinds, &outside)
        .map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))?;
    let apps = &loaded.settings.apps;
    apps.iter().flat_map(|app| &app.processes).map(|process| contender(&process.spec.process, process)).collect()
}

/// The processes of real settings, all or those that are asked for.
pub(crate) fn of_settings(
    settings: &Settings,
    app: Option<&str>,
    wanted: Option<&str>,
) -> Result<Vec<Contender>, Fault> {
    let apps = || settings.apps.iter().filter(|each| app.is_none_or(|app| app == &*each.key));
    if let (Some(app), None) = (app, apps().next()) {
        return Err(Fault::usage(format!("--app {app}: the settings have no app of this name")));
    }
    let several_apps = apps().count() > 1;
    let mut all = Vec::new();
    for app in apps() {
        for process in &app.processes {
            if wanted.is_some_and(|wanted| wanted != &*process.spec.process) {
                continue;
            }
            let name = match several_apps {
                true => format!("{}/{}", app.key, process.spec.process),
                false => process.spec.process.to_string(),
            };
            all.push(contender(&name, process).map_err(Fault::usage)?);
        }
    }
    if let (Some(wanted), true) = (wanted, all.is_empty()) {
        return Err(Fault::usage(format!("--process {wanted}: the settings have no process of this name")));
    }
    Ok(all)
}

fn contender(name: &str, process: &Process) -> Result<Contender, String> {
    if process.measure.is_empty() {
        return Err(format!("{name}: it measures nothing, so there is nothing to simulate: give it a measurement"));
    }
    let mut meters = Vec::new();
    for (measurement, spec) in process.measure.iter().zip(&process.spec.measurements) {
        meters.push(meter(measurement, spec.unit).ok_or_else(|| {
            format!(
                "{name}: the measurement {} asks the app how many dynos it wants, which no model can tell: leave it out",
                spec.name
            )
        })?);
    }
    let told = process.measure.iter().any(|measurement| measurement.told);
    let every = process.measure.iter().map(|measurement| measurement.every.as_secs_f64()).fold(f64::MAX, f64::min);
    Ok(Contender { name: name.to_owned(), spec: (*process.spec).clone(), meters, every_secs: every, told })
}

/// What a measurement reads in the simulated world; `None` for one that nothing there can tell.
fn meter(measurement: &Measurement, unit: Unit) -> Option<Meter> {
    let values = &measurement.section.values;
    let window_secs = secs(values, "window").unwrap_or(60.0);
    let quantile = values.number("percentile").unwrap_or(95.0) / 100.0;
    Some(match (measurement.section.kind, unit) {
        ("heartbeat" | "probe", _) => Meter::Probe { budget_secs: secs(values, "timeout").unwrap_or(10.0) },
        ("lines" | "router", Unit::Milliseconds) => Meter::Lines { quantile, window_secs },
        (_, Unit::Milliseconds) => Meter::Percentile { quantile, window_secs },
        (_, Unit::RequestsPerSecond) => Meter::Rate { window_secs },
        (_, Unit::Count) => Meter::Concurrency { window_secs },
        (_, Unit::Jobs) => Meter::Waiting,
        (_, Unit::Dynos) => return None,
    })
}

fn secs(values: &Values, name: &str) -> Option<f64> {
    values.duration(name).map(|duration| duration.as_secs_f64())
}
