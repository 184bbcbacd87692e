//! The part of `check --online` that is about measurements that are told rather than ask: whether the platform was told to send,
//! and whether anything arrives. What arrives only the running program knows, so it is asked; with `--wait`, where none runs,
//! this command takes what comes at the program's own address, until each sender was heard.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use autoscalebot_engine::{Engine, Mode, SystemClock};
use autoscalebot_measure::{Intake, ToldBy, Way};
use autoscalebot_notify::deliver::Desk;
use autoscalebot_platform::Platform;
use autoscalebot_server::Server;
use autoscalebot_settings::Settings;
use autoscalebot_store::{Place, Store};
use jiff::Timestamp;
use serde::Deserialize;
use tokio::time::Instant;

use crate::commands::check::{Report, count};
use crate::commands::measure::Named;
use crate::commands::past::length;
use crate::daemon::Daemon;
use crate::fault::Fault;
use crate::wiring::Platforms;
use crate::{dashboard, wiring};

/// How often the running program is asked while there is time to wait.
const ASK: Duration = Duration::from_millis(500);
/// How often it is said what is waited for.
const SAY: Duration = Duration::from_secs(5);
const SETS_UP: &str = "`autoscalebot drain-url` prints what is to be set at the sender";

/// What the running program says of its senders: `/api/v1/intake`.
#[derive(Debug, Deserialize)]
struct Heard {
    now: Timestamp,
    started: Timestamp,
    senders: Vec<Sender>,
}

#[derive(Debug, Deserialize)]
struct Sender {
    kind: String,
    app: String,
    processes: Vec<String>,
    last: Option<Timestamp>,
    counts: BTreeMap<String, u64>,
}

impl Sender {
    fn is_of(&self, named: &Named) -> bool {
        self.kind == named.kind && self.app == named.app && self.processes.contains(&named.process)
    }

    fn count(&self, name: &str) -> u64 {
        self.counts.get(name).copied().unwrap_or_default()
    }
}

/// A measurement that is told.
struct Told<'a> {
    named: &'a Named,
    by: ToldBy,
}

/// Tries all that are told.
pub(crate) async fn try_all(
    settings: &Settings,
    platforms: &Platforms,
    sources: &[Named],
    intake: &Arc<Intake>,
    wait: Option<Duration>,
    report: &mut Report,
) -> Result<(), Fault> {
    let told = |named| Some(Told { named, by: Named::told(named)? });
    let all: Vec<_> = sources.iter().filter_map(told).collect();
    if all.is_empty() {
        return Ok(());
    }
    try_drains(settings, platforms, &all, report).await?;
    let daemon = Daemon::of(&settings.server);
    let began = std::time::Instant::now();
    let heard = match wait {
        None => ask(&daemon).await,
        Some(wait) => waited(settings, &daemon, &all, intake, wait).await?,
    };
    for told in &all {
        let what = format!("{} arrives", told.named.full_name());
        let (ok, message) = match &heard {
            Ok(Some(heard)) => said(told, heard, wait.is_some()),
            Ok(None) => (None, format!("not running at {}: cannot tell", daemon.address())),
            Err(error) => (Some(false), error.clone()),
        };
        report.tell(&what, ok, &message, began.elapsed())?;
    }
    Ok(())
}

async fn ask(daemon: &Daemon) -> Result<Option<Heard>, String> {
    daemon.get("/api/v1/intake").await
}

/// What came, in words.
fn said(told: &Told<'_>, heard: &Heard, waited: bool) -> (Option<bool>, String) {
    let Some(sender) = heard.senders.iter().find(|sender| sender.is_of(told.named)) else {
        return (Some(false), "the running program has no such measurement: it runs with other settings".to_owned());
    };
    let ago = |at: Timestamp| heard.now.duration_since(at).as_secs();
    let Some(last) = sender.last else {
        if told.by.is_local() {
            return (None, "its platform is not running: cannot tell".to_owned());
        }
        let since = ago(heard.started);
        // A sender speaks when it has something to say, which may be a while after the start.
        let soon = !waited && since < i64::try_from(told.by.silent_after.as_secs()).unwrap_or(i64::MAX);
        let message = format!("nothing came yet, in {}: {SETS_UP}", length(since));
        return (if soon { None } else { Some(false) }, message);
    };
    let brought = match (sender.count("requests"), sender.count("lines")) {
        (0, lines) => several(lines, "line"),
        (requests, 0) => several(requests, "request"),
        (requests, lines) => format!("{} with {}", several(requests, "request"), several(lines, "line")),
    };
    let odd = match sender.count("odd") + sender.count("broken_frames") {
        0 => "all understood".to_owned(),
        odd => format!("{odd} not understood"),
    };
    let message = format!("{brought}, {odd}; the last {} ago", length(ago(last)));
    if u64::try_from(ago(last)).unwrap_or_default() > told.by.silent_after.as_secs() {
        let allowed = length(i64::try_from(told.by.silent_after.as_secs()).unwrap_or(i64::MAX));
        return (Some(false), format!("{message}, longer than silent_after ({allowed}): {SETS_UP}"));
    }
    (Some(true), message)
}

fn several(number: u64, one: &str) -> String {
    count(usize::try_from(number).unwrap_or(usize::MAX), one)
}

/// Whether the apps have the log drains that were asked for.
async fn try_drains(
    settings: &Settings,
    platforms: &Platforms,
    all: &[Told<'_>],
    report: &mut Report,
) -> Result<(), Fault> {
    let mut tried = BTreeSet::new();
    for Told { named, by } in all {
        let app = settings.apps.iter().find(|app| *app.key == *named.app);
        let Some((app, platform)) = app.and_then(|app| Some((app, platforms.get(&app.platform)?))) else { continue };
        // Without an address only what follows it is compared.
        let public = settings.server.public_url.as_ref().map_or("", |url| url.as_str());
        let Some(pointing) = by.pointing(public) else { continue };
        for way in &pointing.ways {
            let Way::LogDrain(url) = way else { continue };
            if tried.insert((named.app.clone(), url.expose().to_owned())) {
                let began = std::time::Instant::now();
                let Some(found) = try_drain(platform.as_ref(), &app.name, url.expose(), public).await else { continue };
                let what = format!("{} drain", named.full_name());
                report.result(&what, &found, began.elapsed())?;
            }
        }
    }
    Ok(())
}

/// Whether an app has this log drain; `None`: its platform has none at all.
async fn try_drain(platform: &dyn Platform, app: &str, url: &str, public: &str) -> Option<Result<String, String>> {
    let drains = match platform.log_drains(app, Timestamp::now()).await {
        Ok(drains) => drains?,
        Err(error) => return Some(Err(error.to_string())),
    };
    let path = url.strip_prefix(public).unwrap_or(url);
    let fits = drains.iter().filter_map(|drain| drain.expose().strip_suffix(path));
    // What stands before the token may hold a password.
    let hosts: Vec<_> = fits.collect();
    Some(if hosts.contains(&public) {
        Ok(format!("{app} has the log drain to {public}"))
    } else if hosts.is_empty() {
        Err(format!("{app} has no log drain to this program: `autoscalebot drain-url` prints the command that adds it"))
    } else if public.is_empty() {
        Ok(format!(
            "{app} has a log drain with the token; server.public_url is not set, so where it leads is not compared"
        ))
    } else {
        Err(format!(
            "{app} has a log drain with the token that leads elsewhere than server.public_url, {public}: correct the one, or \
             the other by what `autoscalebot drain-url` prints"
        ))
    })
}

/// What came until each was heard or the time is over. Where no program runs, this one listens in its place.
async fn waited(
    settings: &Settings,
    daemon: &Daemon,
    all: &[Told<'_>],
    intake: &Arc<Intake>,
    wait: Duration,
) -> Result<Result<Option<Heard>, String>, Fault> {
    let _ears = match ask(daemon).await {
        Ok(None) => Some(Ears::open(settings, intake).await?),
        Ok(Some(_)) => None,
        Err(error) => return Ok(Err(error)),
    };
    let until = Instant::now() + wait;
    let mut say = tokio::time::interval(SAY);
    loop {
        let heard = ask(daemon).await;
        let silent: Vec<_> = match &heard {
            Ok(Some(heard)) => {
                let came = |told: &&Told<'_>| heard.senders.iter().any(|s| s.last.is_some() && s.is_of(told.named));
                all.iter().filter(|told| !told.by.is_local() && !came(told)).collect()
            }
            Ok(None) | Err(_) => all.iter().collect(),
        };
        let left = until.saturating_duration_since(Instant::now());
        if silent.is_empty() || left.is_zero() {
            return Ok(heard);
        }
        tokio::select! {
            () = tokio::time::sleep(ASK.min(left)) => {}
            _ = say.tick() => {
                let names: Vec<_> = silent.iter().map(|told| told.named.full_name()).collect();
                let left = length(left.as_secs_f64().round() as i64);
                // Nobody reading standard error is no reason not to wait.
                let _ = writeln!(std::io::stderr(), "waiting for {}, {left} more", names.join(", "));
            }
        }
    }
}

/// The way in, without anything that decides.
struct Ears {
    _server: Server,
    _engine: Engine,
}

impl Ears {
    async fn open(settings: &Settings, intake: &Arc<Intake>) -> Result<Self, Fault> {
        let bound = dashboard::bind(dashboard::options(settings)).await?;
        let store = Store::connect(&Place::Memory).map_err(Fault::failed)?;
        let second = dashboard::second(&store);
        let memory = wiring::memory(store, settings);
        let engine =
            Engine::new(Vec::new(), Vec::new(), Mode::DryRun, Arc::new(SystemClock), memory, Desk::open(Vec::new()));
        let server = bound.serve(dashboard::setup(settings, &engine, second, intake, true));
        Ok(Self { _server: server, _engine: engine })
    }
}
