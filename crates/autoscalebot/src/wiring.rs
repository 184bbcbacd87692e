//! From settings to running parts: looks each kind up in its room's list and builds it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::sync::Arc;
use std::time::Duration;

use autoscalebot_core::State;
use autoscalebot_core::fields::{FieldError, MeasurementKind, NotifyKind, PlatformKind, Value};
use autoscalebot_engine::{AppPlan, Memory, ProcessPlan, Source};
use autoscalebot_measure::{Intake, MEASUREMENTS, MeasureContext};
use autoscalebot_notify::CHANNELS;
use autoscalebot_notify::deliver::{Channel, Desk};
use autoscalebot_platform::logs::LogSink;
use autoscalebot_platform::{PLATFORMS, Platform, PlatformContext};
use autoscalebot_settings::{App, Kinds, Measurement, Process, Settings, StorePlace};
use autoscalebot_store::{Place, ProcessKey, Retention, Store};

use crate::advise::whom;
use crate::fault::Fault;
use crate::seasons::Seasons;

/// The kinds of every room, for the settings to check against.
pub(crate) struct AllKinds {
    measurements: Vec<MeasurementKind>,
    platforms: Vec<PlatformKind>,
    notifications: Vec<NotifyKind>,
}

impl AllKinds {
    pub(crate) fn new() -> Self {
        Self {
            measurements: MEASUREMENTS.iter().map(|entry| entry.kind).collect(),
            platforms: PLATFORMS.iter().map(|entry| entry.kind).collect(),
            notifications: CHANNELS.iter().map(|entry| entry.kind).collect(),
        }
    }

    pub(crate) fn kinds(&self) -> Kinds<'_> {
        Kinds { measurements: &self.measurements, platforms: &self.platforms, notifications: &self.notifications }
    }
}

/// The platforms of the settings, by their names there.
pub(crate) type Platforms = BTreeMap<String, Arc<dyn Platform>>;

/// Builds the platforms.
pub(crate) fn platforms(settings: &Settings, logs: &LogSink) -> Result<Platforms, Fault> {
    let mut all = Platforms::new();
    for (name, section) in &settings.platforms {
        // A platform that no app uses is not started.
        if !settings.apps.iter().any(|app| app.platform == *name) {
            continue;
        }
        let entry = PLATFORMS.iter().find(|entry| entry.kind.description.name == section.kind);
        let entry = entry.ok_or_else(|| unknown("platform", section.kind))?;
        let context = PlatformContext { logs: logs.of(name), keeper: keeper() };
        let built = (entry.build)(name, &section.values, &context);
        all.insert(name.clone(), built.map_err(|error| setting(&format!("platforms.{name}"), &error))?);
    }
    Ok(all)
}

/// This program as the process that ends the children of a supervisor that is gone.
fn keeper() -> Option<Vec<OsString>> {
    let program = std::env::current_exe().ok()?;
    Some(vec![program.into_os_string(), "keeper".into()])
}

/// Builds one source.
pub(crate) fn source(
    app: &App,
    process: &Process,
    index: usize,
    measurement: &Measurement,
    intake: &Arc<Intake>,
    store: &Place,
) -> Result<Source, Fault> {
    let entry = MEASUREMENTS.iter().find(|entry| entry.kind.description.name == measurement.section.kind);
    let entry = entry.ok_or_else(|| unknown("measurement", measurement.section.kind))?;
    let every = Duration::try_from(measurement.every).map_err(Fault::failed)?;
    let place = format!("apps.{}.processes.{}.measure[{index}]", app.key, process.spec.process);
    let context = MeasureContext { app: &app.key, process: &process.spec.process, every, intake };
    let measure = (entry.build)(&measurement.section.values, context).map_err(|error| setting(&place, &error))?;
    let spec = process.spec.measurements.get(index);
    let adviser = spec.and_then(|spec| Some((spec, spec.policy.adviser()?))).map(|(spec, adviser)| {
        let key = ProcessKey::new(&*app.key, &*process.spec.process);
        whom(adviser, |ahead| Seasons::new(store.clone(), key, &spec.name, ahead))
    });
    Ok(Source { measure, every, adviser })
}

/// Builds the apps, each process going on from what the store knows of it.
pub(crate) fn apps(
    settings: &Settings,
    platforms: &Platforms,
    store: &Store,
    intake: &Arc<Intake>,
) -> Result<Vec<AppPlan>, Fault> {
    let mut plans = Vec::new();
    for app in &settings.apps {
        let platform = platforms.get(&app.platform).ok_or_else(|| unknown("platform", &app.platform))?;
        let mut processes = Vec::new();
        for process in &app.processes {
            let sources = process.measure.iter().enumerate();
            let sources = sources
                .map(|(index, m)| source(app, process, index, m, intake, store.place()))
                .collect::<Result<_, _>>()?;
            let mut state = restored(store, &ProcessKey::new(&*app.key, &*process.spec.process));
            state.keep_only(&process.spec);
            processes.push(ProcessPlan { spec: Arc::clone(&process.spec), sources, state });
        }
        plans.push(AppPlan {
            key: Arc::clone(&app.key),
            name: app.name.clone(),
            platform: Arc::clone(platform),
            processes,
        });
    }
    Ok(plans)
}

/// The state that a process goes on from. A store that cannot be read is logged, and scaling goes on without it.
fn restored(store: &Store, key: &ProcessKey) -> State {
    match store.state(key) {
        Ok(state) => state.unwrap_or_default().after_restart(),
        Err(error) => {
            tracing::warn!(%error, app = key.app, process = key.process, "the stored state cannot be read: it begins anew");
            State::default()
        }
    }
}

/// Where the settings keep the store.
pub(crate) fn place(settings: &Settings) -> Place {
    match &settings.store.place {
        StorePlace::Memory => Place::Memory,
        StorePlace::File(path) => Place::File(path.clone()),
        StorePlace::Postgres(url) => Place::Postgres(url.clone()),
    }
}

/// Opens the store. One that cannot be opened is logged and tried again while the program runs; scaling goes on.
pub(crate) fn store(settings: &Settings) -> Store {
    let place = place(settings);
    Store::connect(&place).unwrap_or_else(|error| {
        tracing::warn!(%error, "the store cannot be opened: scaling begins without what it knows, and it is tried again");
        Store::later(&place)
    })
}

/// Opens the store for a command, whose user is told why it cannot be.
pub(crate) fn open_store(settings: &Settings) -> Result<Store, Fault> {
    let place = place(settings);
    Store::connect(&place).map_err(|error| match &place {
        Place::File(path) => Fault::failed(format!("{}: {error}", path.display())),
        Place::Memory | Place::Postgres(_) => Fault::failed(error),
    })
}

/// Opens the store for a command that only reads: where there is none, none is made.
pub(crate) fn stored(settings: &Settings) -> Result<Store, Fault> {
    match place(settings) {
        Place::File(path) if !path.exists() => {
            let path = path.display();
            Err(Fault::failed(format!("there is no store {path} yet: has the daemon run in this folder?")))
        }
        Place::Memory => Err(Fault::usage("store.url keeps nothing, so there is nothing to read: set it to a file")),
        Place::File(_) | Place::Postgres(_) => open_store(settings),
    }
}

/// The store's thread.
pub(crate) fn memory(store: Store, settings: &Settings) -> Memory {
    let kept = &settings.store;
    let retention = Retention {
        records: kept.records,
        changes: kept.changes,
        minutes: kept.minutes,
        hours: kept.hours,
        max_bytes: kept.max_mb.saturating_mul(1_000_000),
    };
    Memory::with(store, retention)
}

/// Keeps the console's notifications off standard output, which is for results that a program reads.
pub(crate) fn console_to_stderr(settings: &mut Settings) {
    let console = autoscalebot_notify::console::ENTRY.kind.description.name;
    for notification in settings.notify.iter_mut().filter(|notification| notification.section.kind == console) {
        let stderr = Value::Text(autoscalebot_notify::console::STDERR.into());
        notification.section.values.set(autoscalebot_notify::console::TO, stderr);
    }
}

/// Builds the channels, by kind and number.
pub(crate) fn channels(settings: &Settings) -> Result<Vec<Channel>, Fault> {
    let mut all = Vec::new();
    for (index, notification) in settings.notify.iter().enumerate() {
        let kind = notification.section.kind;
        let entry = CHANNELS.iter().find(|entry| entry.kind.description.name == kind);
        let entry = entry.ok_or_else(|| unknown("notification", kind))?;
        let notify = (entry.build)(&notification.section.values);
        let notify = notify.map_err(|error| setting(&format!("notify[{index}]"), &error))?;
        let name = format!("{kind}[{index}]");
        all.push(Channel { name, notify, on: notification.on.clone(), remind: notification.remind });
    }
    Ok(all)
}

/// Opens the channels; needs a runtime.
pub(crate) fn desk(settings: &Settings) -> Result<Desk, Fault> {
    Ok(Desk::open(channels(settings)?))
}

fn unknown(what: &str, name: &str) -> Fault {
    Fault::failed(format!("there is no {what} {name:?} in this program"))
}

fn setting(place: &str, error: &FieldError) -> Fault {
    Fault::usage(format!("{place}.{error}"))
}
