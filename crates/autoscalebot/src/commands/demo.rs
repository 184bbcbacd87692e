//! `demo`: a sample app on this machine, real load, real scaling, in under a minute. Everything is the daemon's own: the
//! settings are read as any, the engine runs as ever, the dynos are processes.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use autoscalebot_core::{Event, EventKind, Reading, Record};
use autoscalebot_engine::{Engine, Mode, SystemClock};
use autoscalebot_platform::logs::LogSink;
use autoscalebot_server::Options;
use autoscalebot_settings::{Loaded, Outside};
use serde::Serialize;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use crate::cli::DemoArgs;
use crate::commands::run::stop_signal;
use crate::dashboard;
use crate::demo::load::{Load, LoadReport, Plan};
use crate::fault::Fault;
use crate::wiring::{self, AllKinds};

/// How long the sample app may take to come up.
const UP_WITHIN: Duration = Duration::from_secs(10);

/// What has happened so far: the records, by the time since the load began.
#[derive(Debug, Default)]
struct Told {
    began: Option<Instant>,
    records: Vec<(Duration, Arc<Record>)>,
}

type Shared = Arc<Mutex<Told>>;

fn lock(told: &Shared) -> std::sync::MutexGuard<'_, Told> {
    told.lock().unwrap_or_else(PoisonError::into_inner)
}

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
    let platforms = wiring::platforms(settings, &LogSink::default())?;
    let store = wiring::store(settings);
    let intake = Arc::default();
    let apps = wiring::apps(settings, &platforms, &store, &intake)?;
    let desk = wiring::desk(settings)?;
    let all = platforms.into_values().collect();
    let second = dashboard::second(&store);
    let engine = Engine::new(apps, all, Mode::Act, Arc::new(SystemClock), wiring::memory(store, settings), desk);
    let dashboard = bound.address();
    let _server = bound.serve(dashboard::setup(settings, &engine, second, &intake, false));
    let told = Shared::default();
    let follower = tokio::spawn(follow(engine.events(), Arc::clone(&told)));
    let stop = stop_signal()?;
    engine.start().await.map_err(Fault::failed)?;
    if let Err(fault) = up(listen).await {
        engine.run(std::future::ready(())).await;
        return Err(fault);
    }
    let load = Load::default();
    let plan = Plan::calm_surge_calm(args.length);
    lock(&told).began = Some(Instant::now());
    let show = Show { quiet: args.json, app: listen, dashboard, length: args.length };
    show.begin(args.no_open);
    let stopped = Mutex::new(false);
    let visits = async {
        tokio::select! {
            report = load.run(listen, &plan) => report,
            () = stop => {
                *stopped.lock().unwrap_or_else(PoisonError::into_inner) = true;
                load.so_far()
            }
        }
    };
    let report = Mutex::new(None);
    let until = async {
        let progress = show.progress(&load, &told);
        tokio::select! {
            visited = visits => *report.lock().unwrap_or_else(PoisonError::into_inner) = Some(visited),
            () = progress => {}
        }
    };
    engine.run(until).await;
    show.end();
    let _ = tokio::time::timeout(Duration::from_millis(200), follower).await;
    let report = report.into_inner().unwrap_or_else(PoisonError::into_inner).unwrap_or_else(|| load.so_far());
    let summary = summary(&report, &plan, &lock(&told));
    let mut out = std::io::stdout().lock();
    if args.json {
        serde_json::to_writer(&mut out, &summary).map_err(std::io::Error::from)?;
        writeln!(out)?;
    } else {
        write!(out, "{}", Text(&summary))?;
    }
    out.flush()?;
    let stopped = *stopped.lock().unwrap_or_else(PoisonError::into_inner);
    if !stopped && summary.requests.failed > 0 {
        return Err(Fault::failed(format!("{} requests failed", summary.requests.failed)));
    }
    Ok(())
}

/// A folder for the demo's Procfile, of this process alone.
fn scratch() -> Result<std::path::PathBuf, Fault> {
    let folder = std::env::temp_dir().join(format!("autoscalebot-demo-{}", std::process::id()));
    std::fs::create_dir_all(&folder).map_err(|error| Fault::failed(format!("{}: {error}", folder.display())))?;
    Ok(folder)
}

/// A free address for the sample app.
fn free() -> Result<SocketAddr, Fault> {
    let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
    bound.map_err(|error| Fault::failed(format!("no port is free: {error}")))
}

fn settings(folder: &Path, listen: SocketAddr) -> Result<Loaded, Fault> {
    let program = std::env::current_exe()?;
    let program = program.to_string_lossy().replace('\'', r"'\''");
    std::fs::write(folder.join("Procfile"), format!("web: exec '{program}' sample-app\n"))?;
    let text = format!(
        r#"
[platforms.here]
type = "local"
procfile = "Procfile"
listen = "{listen}"

[apps.sample]
platform = "here"

[apps.sample.processes.web]
min_dynos = 1
max_dynos = 6

[[apps.sample.processes.web.measure]]
type = "heartbeat"
url = "http://{listen}/heartbeat/"
every = "1s"
timeout = "1s"
decide = {{ type = "consecutive", low = "80ms", high = "400ms", fails = 2, passes = 4, increment = 2 }}

[store]
url = "sqlite::memory:"
"#
    );
    let kinds = AllKinds::new();
    let file = folder.join("autoscalebot.toml");
    Ok(autoscalebot_settings::from_toml(&text, &file, kinds.kinds(), &Outside::real(folder))?)
}

/// Waits until the app answers through its proxy.
async fn up(listen: SocketAddr) -> Result<(), Fault> {
    let began = Instant::now();

    while began.elapsed() < UP_WITHIN {
        if crate::demo::load::visit(listen).await.is_some_and(|status| status == 200) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Err(Fault::failed("the sample app did not come up within 10 s"))
}

async fn follow(mut events: Receiver<Event>, told: Shared) {
    loop {
        match events.recv().await {
            Ok(event) if event.kind == EventKind::Decided => {
                let mut told = lock(&told);
                // Ticks before the load are no part of the show.
                if let Some(began) = told.began {
                    told.records.push((began.elapsed(), event.record));
                }
            }
            Ok(_) | Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return,
        }
    }
}

/// What a person sees while it runs: a line a second on standard error.
struct Show {
    quiet: bool,
    app: SocketAddr,
    dashboard: SocketAddr,
    length: Duration,
}

impl Show {
    fn begin(&self, no_open: bool) {
        let mut err = std::io::stderr();
        if !self.quiet {
            let secs = self.length.as_secs();
            let _ = writeln!(
                err,
                "a sample app runs on http://{}/; for {secs} s it gets visitors: calm, a surge, calm",
                self.app
            );
            let _ = writeln!(err, "watch it on the dashboard: http://{}/", self.dashboard);
            let _ = writeln!(err, "it beats once a second: 2 beats over 400 ms add dynos, 4 under 80 ms remove some\n");
        }
        if !no_open && !self.quiet && std::io::stdout().is_terminal() {
            // Where there is no browser there is nothing to see, and the demo goes on.
            let _ = std::process::Command::new("xdg-open")
                .arg(format!("http://{}/", self.dashboard))
                .stdin(std::process::Stdio::null())
                .stdout(std::process::Stdio::null())
                .stderr(std::process::Stdio::null())
                .spawn();
        }
    }

    /// Never ends: shows each second until it is dropped.
    async fn progress(&self, load: &Load, told: &Shared) {
        let mut beat = tokio::time::interval(Duration::from_secs(1));
        let mut sent_before = 0;
        loop {
            beat.tick().await;
            if self.quiet {
                continue;
            }
            let now = load.elapsed();
            // Those who came, answered or not: in a surge most still wait.
            let sent = load.so_far().sent;
            let came = sent - std::mem::replace(&mut sent_before, sent);
            let last = lock(told).records.last().map(|(_, record)| Arc::clone(record));
            let line = match &last {
                Some(record) => format!(
                    "{:>3} s  {came:>3} visitors/s  dynos {}  {}",
                    now.as_secs(),
                    record.after.map_or_else(|| "?".into(), |dynos| dynos.to_string()),
                    record.sentence()
                ),
                None => format!("{:>3} s  {came:>3} visitors/s", now.as_secs()),
            };
            let _ = writeln!(std::io::stderr(), "{line}");
        }
    }

    fn end(&self) {
        if !self.quiet {
            let _ = writeln!(std::io::stderr());
        }
    }
}

/// The summary, as `--json` writes it.
#[derive(Debug, Serialize)]
struct Summary {
    dynos: Dynos,
    requests: Requests,
    p95_ms: Percentiles,
    decisions: Vec<Decision>,
}

#[derive(Debug, Serialize)]
struct Dynos {
    start: Option<u32>,
    peak: Option<u32>,
    end: Option<u32>,
}

#[derive(Debug, Serialize)]
struct Requests {
    sent: usize,
    failed: usize,
}

/// The 95th percentile of what visitors waited, by when they came. Absent where nobody came or nothing scaled.
#[derive(Debug, Serialize)]
struct Percentiles {
    calm: Option<f64>,
    surge_before_scale: Option<f64>,
    surge_after_scale: Option<f64>,
    calm_again: Option<f64>,
}

#[derive(Debug, Serialize)]
struct Decision {
    second: f64,
    before: Option<u32>,
    after: Option<u32>,
    heartbeat_ms: Option<f64>,
    verdict: &'static str,
    reason: String,
}

fn summary(report: &LoadReport, plan: &Plan, told: &Told) -> Summary {
    let after = || told.records.iter().filter_map(|(_, record)| record.after);
    let start = told.records.first().and_then(|(_, record)| record.before);
    let surge = plan.surge().map(|surge| (surge.from, surge.to));
    // The surge has two halves: until the last step up inside it had time to take hold, and from then on.
    let grown = surge.and_then(|(from, to)| {
        let grew = |record: &Record| record.change().is_some_and(|(before, after)| after > before);
        told.records
            .iter()
            .filter(|(at, record)| *at >= from && *at < to && grew(record))
            .map(|(at, _)| *at)
            .next_back()
    });
    let p95 = |from, to| report.p95_ms(from, to);
    let settled = |at: Duration, to: Duration| at + (to.saturating_sub(at)) / 2;
    Summary {
        dynos: Dynos { start, peak: start.into_iter().chain(after()).max(), end: after().next_back() },
        requests: Requests { sent: report.sent, failed: report.failed() },
        p95_ms: Percentiles {
            calm: surge.and_then(|(from, _)| p95(Duration::ZERO, from)),
            surge_before_scale: surge.zip(grown).and_then(|((from, _), at)| p95(from, at)),
            surge_after_scale: surge.zip(grown).and_then(|((_, to), at)| p95(settled(at, to), to)),
            calm_again: surge.and_then(|(_, to)| p95(to, Duration::MAX)),
        },
        decisions: told.records.iter().map(|(at, record)| decision(*at, record)).collect(),
    }
}

fn decision(at: Duration, record: &Record) -> Decision {
    let heartbeat_ms = record.measured.first().and_then(|measured| match measured.reading {
        Reading::Value(value) => Some(value),
        Reading::Failed(_) => None,
    });
    Decision {
        second: (at.as_secs_f64() * 10.0).round() / 10.0,
        before: record.before,
        after: record.after,
        heartbeat_ms,
        verdict: record.verdict.as_str(),
        reason: record.sentence().to_string(),
    }
}

/// The summary for a person.
struct Text<'a>(&'a Summary);

impl std::fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Summary { dynos, requests, p95_ms, decisions } = self.0;
        let count = |dynos: Option<u32>| dynos.map_or_else(|| "?".into(), |dynos| dynos.to_string());
        let ms = |value: Option<f64>| value.map_or_else(|| "none".into(), |ms| format!("{ms:.0} ms"));
        writeln!(
            f,
            "dynos      {} at the start, {} at the peak, {} at the end",
            count(dynos.start),
            count(dynos.peak),
            count(dynos.end)
        )?;
        writeln!(f, "requests   {} sent, {} failed", requests.sent, requests.failed)?;
        writeln!(f, "95 % waited less than")?;
        writeln!(f, "           {:>8}  in the calm", ms(p95_ms.calm))?;
        writeln!(f, "           {:>8}  in the surge, before there were enough dynos", ms(p95_ms.surge_before_scale))?;
        writeln!(f, "           {:>8}  in the surge, after", ms(p95_ms.surge_after_scale))?;
        writeln!(f, "           {:>8}  in the calm after it", ms(p95_ms.calm_again))?;
        writeln!(f, "changes")?;
        let mut by_step: BTreeMap<u64, &Decision> = BTreeMap::new();
        for decision in decisions.iter().filter(|decision| decision.before != decision.after) {
            by_step.insert((decision.second * 10.0) as u64, decision);
        }
        for decision in by_step.values() {
            let Decision { second, before, after, reason, .. } = decision;
            writeln!(f, "  {second:>5.1} s   {} → {}  {reason}", count(*before), count(*after))?;
        }
        writeln!(f, "\nnext: `autoscalebot init` writes settings for your own app")
    }
}
