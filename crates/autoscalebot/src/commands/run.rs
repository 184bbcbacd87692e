//! `run`: the daemon, until SIGTERM or Ctrl-C.

use std::io::Write;
use std::sync::Arc;

use autoscalebot_core::{Call, Event, EventKind};
use autoscalebot_engine::{Engine, Mode, SystemClock};
use autoscalebot_measure::Intake;
use autoscalebot_platform::logs::LogSink;
use autoscalebot_settings::Settings;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use crate::cli::RunArgs;
use crate::commands::measure;
use crate::fault::Fault;
use crate::{dashboard, doubts, feed, wiring};

/// Runs the command.
pub(crate) async fn run(settings: &Settings, args: &RunArgs) -> Result<(), Fault> {
    let logs = LogSink::default();
    let platforms = wiring::platforms(settings, &logs)?;
    let store = wiring::store(settings);
    let intake = Arc::<Intake>::default();
    let apps = wiring::apps(settings, &platforms, &store, &intake)?;
    for doubt in doubts::doubts(settings, &platforms, &measure::sources(settings, &Arc::default())?) {
        tracing::warn!("{doubt}");
    }
    let second = dashboard::second(&store);
    let mode = if args.dry_run { Mode::DryRun } else { Mode::Act };
    let engine = Engine::new(
        apps,
        platforms.into_values().collect(),
        mode,
        Arc::new(SystemClock),
        wiring::memory(store, settings),
        wiring::desk(settings)?,
    );
    let _dashboard = match args.once {
        true => None,
        false => Some(dashboard::start(dashboard::setup(settings, &engine, second, &intake, args.dry_run))?),
    };
    let stop = stop_signal()?;
    // The log lines of dynos and of the router go to the log's side, standard error.
    let lines = tokio::spawn(print_lines(logs.subscribe()));
    let heard = tokio::spawn(feed::feed(logs.subscribe(), Arc::clone(&intake), feed::local_apps(settings)));
    let events = tokio::spawn(follow(engine.events(), args.json && !args.once));
    let started = tokio::select! {
        started = engine.start() => started.map_err(Fault::failed),
        () = stop_signal()? => Err(Fault::Gone),
    };
    if let Err(fault) = started {
        engine.run(std::future::ready(())).await;
        return Err(fault);
    }
    let result = if args.once {
        once(engine, args.json).await
    } else {
        tracing::info!(apps = settings.apps.len(), dry_run = args.dry_run, "running");
        engine.run(stop).await;
        tracing::info!("stopped");
        Ok(())
    };
    // Both end by themselves once the engine is gone; what they still hold is worth a moment.
    let _ = tokio::time::timeout(std::time::Duration::from_millis(100), events).await;
    lines.abort();
    heard.abort();
    result
}

async fn once(engine: Engine, json: bool) -> Result<(), Fault> {
    let records = engine.once().await;
    let mut out = std::io::stdout().lock();
    let mut bad = 0;
    for record in &records {
        if json {
            serde_json::to_writer(&mut out, record.as_ref()).map_err(std::io::Error::from)?;
            writeln!(out)?;
        } else {
            writeln!(out, "{}/{}: {}", record.app, record.process, record.sentence())?;
        }
        if record.call == Call::Failed || record.before.is_none() {
            bad += 1;
        }
    }
    out.flush()?;
    match bad {
        0 => Ok(()),
        _ => Err(Fault::failed(format!("{bad} of {} processes could not be read or scaled", records.len()))),
    }
}

/// Ends at SIGTERM or Ctrl-C. The handlers are in place when this returns.
pub(crate) fn stop_signal() -> Result<impl Future<Output = ()>, Fault> {
    let mut term = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Logs what happens, and with `json` writes each record to standard output.
async fn follow(mut events: Receiver<Event>, json: bool) {
    loop {
        match events.recv().await {
            Ok(event) => show(&event, json),
            Err(RecvError::Lagged(missed)) => {
                tracing::warn!(missed, "events were too many for the log; some are left out")
            }
            Err(RecvError::Closed) => return,
        }
    }
}

fn show(event: &Event, json: bool) {
    let (app, process) = (&*event.app, &*event.process);
    let why = event.record.sentence();
    match &event.kind {
        EventKind::Decided => {
            if json && let Ok(line) = serde_json::to_string(event.record.as_ref()) {
                // A reader that has gone is no reason to stop scaling.
                let _ = writeln!(std::io::stdout(), "{line}");
            }
            if event.record.call == Call::DryRun {
                tracing::info!(app, process, %why, "dry run");
            } else {
                tracing::debug!(app, process, verdict = event.record.verdict.as_str(), dynos = event.dynos, %why, "decided");
            }
        }
        EventKind::Scaled { from, to } => tracing::info!(app, process, from, to, %why, "scaled"),
        EventKind::ScaleFailed => tracing::warn!(app, process, %why, "could not scale"),
        EventKind::ConditionBegan(condition) => tracing::warn!(app, process, %condition, %why, "condition began"),
        EventKind::ConditionEnded(condition, _) => tracing::info!(app, process, %condition, "condition ended"),
        EventKind::ConditionHolds(..) => {}
    }
}

async fn print_lines(mut lines: Receiver<autoscalebot_platform::logs::LogLine>) {
    loop {
        match lines.recv().await {
            Ok(line) => {
                // Nobody reading standard error is no reason to stop.
                let _ = writeln!(std::io::stderr(), "{line}");
            }
            Err(RecvError::Lagged(missed)) => tracing::warn!(missed, "log lines were too many; some are left out"),
            Err(RecvError::Closed) => return,
        }
    }
}
