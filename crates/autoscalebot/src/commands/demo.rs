//! `demo`: a sample app on this machine, real load, real scaling, in under a minute. Everything is the daemon's own: the
//! settings are read as any, the engine runs as ever, the dynos are processes.

use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use autoscalebot_core::Spec;
use autoscalebot_engine::{Engine, Mode, SystemClock};
use autoscalebot_measure::Intake;
use autoscalebot_platform::logs::LogSink;
use autoscalebot_server::Options;
use autoscalebot_settings::Settings;

use crate::cli::DemoArgs;
use crate::commands::run::stop_signal;
use crate::demo::load::{Load, LoadReport, Plan, visit};
use crate::demo::settings::{free, scratch, settings};
use crate::demo::show::Show;
use crate::demo::summary::{Summary, Text};
use crate::demo::told::Told;
use crate::fault::Fault;
use crate::{dashboard, feed, wiring};

/// How long the sample app may take to come up.
const UP_WITHIN: Duration = Duration::from_secs(10);

/// Runs the command.
pub(crate) async fn demo(args: &DemoArgs) -> Result<(), Fault> {
    let folder = scratch()?;
    let result = run(args, &folder).await;
    // What is left behind would only be a few small files; a failure to remove them is not worth an error.
    let _ = std::fs::remove_dir_all(&folder);
    result
}

async fn run(args: &DemoArgs, folder: &Path) -> Result<(), Fault> {
    let bound = dashboard::bind(Options::local(args.listen)).await?;
    let listen = free()?;
    let loaded = settings(folder, listen)?;
    let settings = &loaded.settings;
    let logs = LogSink::default();
    let platforms = wiring::platforms(settings, &logs)?;
    let store = wiring::store(settings);
    let intake = Arc::<Intake>::default();
    let apps = wiring::apps(settings, &platforms, &store, &intake)?;
    let desk = wiring::desk(settings)?;
    let all = platforms.into_values().collect();
    let second = dashboard::second(&store);
    let engine = Engine::new(apps, all, Mode::Act, Arc::new(SystemClock), wiring::memory(store, settings), desk);
    let show = Show { quiet: args.json, app: listen, dashboard: bound.address(), length: args.length };
    let _server = bound.serve(dashboard::setup(settings, &engine, second, &intake, false));
    let told = Told::default();
    let follower = tokio::spawn(told.clone().follow(engine.events()));
    let heard = tokio::spawn(feed::feed(logs.subscribe(), Arc::clone(&intake), feed::local_apps(settings)));
    let stop = stop_signal()?;
    engine.start().await.map_err(Fault::failed)?;
    if let Err(fault) = up(listen).await {
        engine.run(std::future::ready(())).await;
        return Err(fault);
    }
    let plan = Plan::calm_surge_calm(args.length);
    told.begin();
    let began = Instant::now();
    show.begin(args.no_open);
    let Visited { report, stopped } = visited(engine, &show, &plan, &told, stop).await;
    show.end();
    let _ = tokio::time::timeout(Duration::from_millis(200), follower).await;
    heard.abort();
    let summary = Summary::new(&report, &plan, spec(settings)?, &told.records(), began.elapsed().min(args.length));
    write(&summary, args.json)?;
    if !stopped && summary.requests.failed > 0 {
        return Err(Fault::failed(format!("{} requests failed", summary.requests.failed)));
    }
    Ok(())
}

/// What came of the visitors, and whether somebody ended the show before its time.
struct Visited {
    report: LoadReport,
    stopped: bool,
}

/// Runs the engine while visitors come.
async fn visited(engine: Engine, show: &Show, plan: &Plan, told: &Told, stop: impl Future<Output = ()>) -> Visited {
    let load = Load::default();
    let seen = Mutex::new(None);
    let until = async {
        let visited = tokio::select! {
            report = load.run(show.app, plan) => Visited { report, stopped: false },
            () = stop => Visited { report: load.so_far(), stopped: true },
            () = show.progress(&load, told) => return,
        };
        *seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(visited);
    };
    engine.run(until).await;
    let seen = seen.into_inner().unwrap_or_else(PoisonError::into_inner);
    seen.unwrap_or_else(|| Visited { report: load.so_far(), stopped: false })
}

/// Waits until the app answers through its proxy.
async fn up(listen: SocketAddr) -> Result<(), Fault> {
    let began = Instant::now();
    while began.elapsed() < UP_WITHIN {
        if visit(listen).await.is_some_and(|status| status == 200) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Err(Fault::failed("the sample app did not come up within 10 s"))
}

/// The one process of the demo.
fn spec(settings: &Settings) -> Result<&Spec, Fault> {
    let process = settings.apps.first().and_then(|app| app.processes.first());
    process.map(|process| &*process.spec).ok_or_else(|| Fault::failed("the demo has no process"))
}

fn write(summary: &Summary, json: bool) -> Result<(), Fault> {
    let mut out = std::io::stdout().lock();
    if json {
        serde_json::to_writer(&mut out, summary).map_err(std::io::Error::from)?;
        writeln!(out)?;
    } else {
        write!(out, "{}", Text(summary))?;
    }
    Ok(out.flush()?)
}
