//! The router's lines of apps on this machine, on their way from the local platform to the measurements that listen.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use autoscalebot_measure::Intake;
use autoscalebot_platform::logs::LogLine;
use autoscalebot_settings::Settings;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

/// How often an app that nobody visits is said to be alive: its router is in this program, and would tell.
const ALIVE: Duration = Duration::from_secs(10);

/// Hands on lines until there are no more.
pub(crate) async fn feed(mut lines: Receiver<LogLine>, intake: Arc<Intake>, apps: BTreeMap<String, Vec<String>>) {
    let mut alive = tokio::time::interval(ALIVE);
    loop {
        tokio::select! {
            line = lines.recv() => match line {
                Ok(line) => {
                    for app in apps.get(&*line.platform).into_iter().flatten() {
                        intake.log_line(app, line.at, line.source, &line.process, &line.text);
                    }
                }
                Err(RecvError::Lagged(missed)) => apps.values().flatten().for_each(|app| intake.lines_lost(app, missed)),
                Err(RecvError::Closed) => return,
            },
            _ = alive.tick() => apps.values().flatten().for_each(|app| intake.alive(app)),
        }
    }
}

/// The apps that the local platforms of the settings run, by platform.
pub(crate) fn local_apps(settings: &Settings) -> BTreeMap<String, Vec<String>> {
    let mut apps: BTreeMap<_, Vec<_>> = BTreeMap::new();
    let local = autoscalebot_platform::local::ENTRY.kind.description.name;
    for app in &settings.apps {
        if settings.platforms.iter().any(|(name, section)| *name == app.platform && section.kind == local) {
            apps.entry(app.platform.clone()).or_default().push(app.key.to_string());
        }
    }
    apps
}
