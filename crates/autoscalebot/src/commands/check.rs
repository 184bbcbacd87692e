//! `check`: every problem of the settings; with `--online`, every credential, URL and source, changing nothing.

use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use autoscalebot_core::Reading;
use autoscalebot_platform::logs::LogSink;
use autoscalebot_settings::{Loaded, Settings, StorePlace};
use autoscalebot_store::{Place, Store};
use jiff::Timestamp;
use serde::Serialize;

use crate::cli::CheckArgs;
use crate::commands::{arrivals, measure};
use crate::dashboard;
use crate::fault::Fault;
use crate::{doubts, wiring};

/// The longest that one try may take.
const TRY: Duration = Duration::from_secs(30);

#[derive(Debug, Serialize)]
struct Finding<'a> {
    what: &'a str,
    /// None: it cannot be told.
    ok: Option<bool>,
    message: &'a str,
    took_ms: f64,
}

/// Runs the command on settings that were read without a problem.
pub(crate) async fn check(loaded: &Loaded, args: &CheckArgs) -> Result<(), Fault> {
    let settings = &loaded.settings;
    // Building everything finds what the fields alone do not show.
    let platforms = wiring::platforms(settings, &LogSink::default())?;
    let channels = wiring::channels(settings)?;
    let intake = Arc::default();
    let sources = measure::sources(settings, &intake)?;
    dashboard::check(&dashboard::options(settings))?;
    if !args.json {
        let processes: usize = settings.apps.iter().map(|app| app.processes.len()).sum();
        println!("the settings are good: {}, {}", count(settings.apps.len(), "app"), count(processes, "process"));
    }
    for doubt in doubts::doubts(settings, &platforms, &sources) {
        writeln!(std::io::stderr(), "warning: {doubt}")?;
    }
    if !args.online {
        return Ok(());
    }
    let mut report = Report { json: args.json, bad: 0 };
    for app in &settings.apps {
        let Some(platform) = platforms.get(&app.platform) else { continue };
        let what = format!("platforms.{} for {}", app.platform, app.key);
        let probe = async { platform.probe(&app.name, Timestamp::now()).await.map_err(|error| error.to_string()) };
        report.try_one(&what, probe).await?;
    }
    for named in &sources {
        let what = named.full_name();
        let probe = async {
            match named.source.measure.read().await.reading {
                Reading::Value(value) => Ok(format!("{value:.1} {}", named.unit)),
                Reading::Failed(failure) => Err(failure.to_string()),
            }
        };
        if named.told().is_none() {
            report.try_one(&what, probe).await?;
        }
        if let Some(adviser) = &named.source.adviser {
            report.try_one(&format!("{what} decide"), adviser.probe()).await?;
        }
    }
    arrivals::try_all(settings, &platforms, &sources, &intake, args.wait, &mut report).await?;
    for channel in &channels {
        let probe = async { channel.notify.probe().await.map_err(|error| error.to_string()) };
        report.try_one(&format!("notify {}", channel.name), probe).await?;
    }
    try_store(settings, &mut report).await?;
    match report.bad {
        0 => Ok(()),
        bad => Err(Fault::failed(format!("{} failed", count(bad, "try")))),
    }
}

async fn try_store(settings: &Settings, report: &mut Report) -> Result<(), Fault> {
    let path = match &settings.store.place {
        StorePlace::Memory => return Ok(()),
        StorePlace::File(path) => path,
        StorePlace::Postgres(url) => {
            let url = url.clone();
            // Only connects: the tables are made by the daemon.
            let tried = tokio::task::spawn_blocking(move || Store::probe(&Place::Postgres(url)));
            let result = tried.await.map_err(Fault::failed)?;
            let result = result.map(|()| "PostgreSQL answers".to_owned()).map_err(|error| error.to_string());
            return report.try_one("store", std::future::ready(result)).await;
        }
    };
    // Opening would make the file; whether it could be made is all that is asked.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or_else(|| std::path::Path::new("."));
    let result = match std::fs::metadata(folder) {
        Ok(meta) if !meta.is_dir() => Err(format!("{} is no folder", folder.display())),
        Ok(meta) if meta.permissions().readonly() => Err(format!("{} cannot be written", folder.display())),
        Ok(_) => Ok(format!("{}", path.display())),
        Err(error) => Err(format!("{}: {error}", folder.display())),
    };
    report.try_one("store", std::future::ready(result)).await
}

/// What was found, written as it is found.
pub(crate) struct Report {
    json: bool,
    bad: usize,
}

impl Report {
    async fn try_one(&mut self, what: &str, probe: impl Future<Output = Result<String, String>>) -> Result<(), Fault> {
        let began = Instant::now();
        let result = tokio::time::timeout(TRY, probe).await.unwrap_or_else(|_| Err("no answer within 30 s".into()));
        self.result(what, &result, began.elapsed())
    }

    /// What came of a try.
    pub(crate) fn result(&mut self, what: &str, result: &Result<String, String>, took: Duration) -> Result<(), Fault> {
        match result {
            Ok(message) => self.tell(what, Some(true), message, took),
            Err(message) => self.tell(what, Some(false), message, took),
        }
    }

    /// What was found; `ok` is none where it cannot be told.
    pub(crate) fn tell(&mut self, what: &str, ok: Option<bool>, message: &str, took: Duration) -> Result<(), Fault> {
        let took_ms = took.as_secs_f64() * 1000.0;
        self.bad += usize::from(ok == Some(false));
        let mut out = std::io::stdout().lock();
        if self.json {
            serde_json::to_writer(&mut out, &Finding { what, ok, message, took_ms }).map_err(std::io::Error::from)?;
            writeln!(out)?;
        } else {
            let word = match ok {
                Some(true) => "ok",
                Some(false) => "FAILED",
                None => "?",
            };
            writeln!(out, "{word:6} {what}: {message} ({took_ms:.0} ms)")?;
        }
        Ok(())
    }
}

/// A number of things.
pub(crate) fn count(number: usize, one: &str) -> String {
    match (number, one) {
        (1, _) => format!("1 {one}"),
        (_, "process") => format!("{number} processes"),
        (_, "try") => format!("{number} tries"),
        _ => format!("{number} {one}s"),
    }
}
