//! `pause` and `resume`: a person's word, through the store that the daemon reads.

use std::io::Write;

use autoscalebot_core::Pause;
use autoscalebot_settings::{Settings, StorePlace};
use autoscalebot_store::{ProcessKey, Store};
use jiff::Timestamp;

use crate::cli::{PauseArgs, ResumeArgs, Which};
use crate::fault::Fault;
use crate::wiring;

/// Pauses processes.
pub(crate) fn pause(settings: &Settings, args: &PauseArgs, now: Timestamp, out: &mut dyn Write) -> Result<(), Fault> {
    let keys = keys(settings, &args.which)?;
    let store = open(settings)?;
    let until = match args.length {
        None => None,
        Some(length) => Some(now.checked_add(length).map_err(|_| Fault::usage("--for: that is too long"))?),
    };
    let pause = Pause { until, why: args.why.clone() };
    for key in keys {
        store.pause(&key, &pause).map_err(Fault::failed)?;
        match until {
            Some(until) => writeln!(out, "{}/{} is paused until {until}", key.app, key.process)?,
            None => writeln!(out, "{}/{} is paused until resumed", key.app, key.process)?,
        }
    }
    Ok(())
}

/// Ends pauses.
pub(crate) fn resume(settings: &Settings, args: &ResumeArgs, out: &mut dyn Write) -> Result<(), Fault> {
    let keys = keys(settings, &args.which)?;
    let store = open(settings)?;
    for key in keys {
        let paused = store.resume(&key).map_err(Fault::failed)?;
        let said = if paused { "is resumed" } else { "was not paused" };
        writeln!(out, "{}/{} {said}", key.app, key.process)?;
    }
    Ok(())
}

fn open(settings: &Settings) -> Result<Store, Fault> {
    match &settings.store.place {
        StorePlace::Memory => Err(Fault::usage(
            "store.url keeps nothing, so a running daemon would never see the pause: set it to a file",
        )),
        StorePlace::File(_) | StorePlace::Postgres(_) => wiring::open_store(settings),
    }
}

fn keys(settings: &Settings, which: &Which) -> Result<Vec<ProcessKey>, Fault> {
    let apps: Vec<_> = settings.apps.iter().map(|app| &*app.key).collect();
    let app = match (&which.app, apps.as_slice()) {
        (Some(wanted), _) => settings.apps.iter().find(|app| *app.key == **wanted),
        (None, [_]) => settings.apps.first(),
        (None, _) => return Err(Fault::usage(format!("say which with --app: the settings have {}", apps.join(", ")))),
    };
    let app = app.ok_or_else(|| Fault::usage(format!("--app: no such app; the settings have {}", apps.join(", "))))?;
    let processes: Vec<_> = app.processes.iter().map(|process| &*process.spec.process).collect();
    let wanted: Vec<_> = match &which.process {
        None => processes.clone(),
        Some(wanted) => processes.iter().copied().filter(|process| process == wanted).collect(),
    };
    if wanted.is_empty() {
        return Err(Fault::usage(format!("--process: no such process; {} has {}", app.key, processes.join(", "))));
    }
    Ok(wanted.into_iter().map(|process| ProcessKey::new(&*app.key, process)).collect())
}
