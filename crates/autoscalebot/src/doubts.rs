//! What good settings can all the same never do: a sender that reaches nobody, lines that no platform writes, more calls than a
//! platform allows. [`DOUBTS`] is the one list; `check` prints what it finds, and `run` logs it at the start.
//!
//! What one line of the settings shows to be doubtful is the settings room's own warning; here is what shows only once
//! platforms, sources and server are known together. What a kind of source can never tell, it says itself
//! ([`Measure::doubt`](autoscalebot_measure::Measure::doubt)).

use std::collections::BTreeMap;
use std::net::IpAddr;

use autoscalebot_settings::{App, Settings};

use crate::commands::measure::Named;
use crate::feed::local_apps;
use crate::wiring::Platforms;

/// So much of a platform's calls a mend leaves to ticks; the rest is for scaling, and for the account's other tools.
const FOR_TICKS: f64 = 0.75;

/// What is known when the program starts.
struct Known<'a> {
    settings: &'a Settings,
    platforms: &'a Platforms,
    sources: &'a [Named],
}

/// One kind of doubt: each case of it is a sentence with its mend.
type Doubt = fn(&Known<'_>) -> Vec<String>;

const DOUBTS: &[Doubt] = &[blind, decided_by_nobody, elsewhere, in_the_clear, no_lines, out_of_reach, too_many_calls];

/// All that is doubtful in these settings.
pub(crate) fn doubts(settings: &Settings, platforms: &Platforms, sources: &[Named]) -> Vec<String> {
    let known = Known { settings, platforms, sources };
    DOUBTS.iter().flat_map(|doubt| doubt(&known)).collect()
}

impl Known<'_> {
    fn app(&self, named: &Named) -> Option<&App> {
        self.settings.apps.iter().find(|app| *app.key == *named.app)
    }

    /// Whether the app runs under this program's own local platform.
    fn is_local(&self, app: &str) -> bool {
        local_apps(self.settings).values().flatten().any(|local| local == app)
    }

    /// The sources that others send to over the network.
    fn sent(&self) -> impl Iterator<Item = &Named> {
        self.sources.iter().filter(|named| named.told().is_some_and(|told| !told.is_local()))
    }
}

/// What a source can never tell.
fn blind(known: &Known<'_>) -> Vec<String> {
    let doubt = |named: &Named| Some(format!("{}: {}", named.full_name(), named.source.measure.doubt()?));
    known.sources.iter().filter_map(doubt).collect()
}

/// A process all of whose measurements are shadows.
fn decided_by_nobody(known: &Known<'_>) -> Vec<String> {
    let processes = known.settings.apps.iter().flat_map(|app| app.processes.iter().map(move |process| (app, process)));
    let shadows = processes.filter(|(_, process)| {
        let measured = &process.spec.measurements;
        !measured.is_empty() && measured.iter().all(|measurement| measurement.shadow)
    });
    let say = |(app, process): (&App, &autoscalebot_settings::Process)| {
        format!(
            "{}/{}: all that is measured is a shadow, so only the bounds scale it: leave shadow = true out of one of them",
            app.key, process.spec.process
        )
    };
    shadows.map(say).collect()
}

/// A source on this machine, of an app that is not.
fn elsewhere(known: &Known<'_>) -> Vec<String> {
    let mut found = Vec::new();
    for app in &known.settings.apps {
        let section = known.settings.platforms.get(&app.platform);
        // A stand-in of a platform on this machine may well have its apps here, too.
        if known.is_local(&app.key)
            || section.and_then(|section| section.values.url("url")?.host_str()).is_some_and(is_here)
        {
            continue;
        }
        for process in &app.processes {
            for (measurement, spec) in process.measure.iter().zip(&process.spec.measurements) {
                let host = measurement.section.values.url("url").and_then(|url| url.host_str());
                if let Some(host) = host.filter(|host| is_here(host)) {
                    found.push(format!(
                        "{}/{} {}: url leads to {host}, this machine, where no dyno of platforms.{} runs: write the \
                         address that leads to the app, unless a tunnel does",
                        app.key, process.spec.process, spec.name, app.platform
                    ));
                }
            }
        }
    }
    found
}

/// Whether the host of a URL is this machine.
fn is_here(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.to_canonical().is_loopback())
}

/// A sender that speaks TLS alone, pointed at an address without.
fn in_the_clear(known: &Known<'_>) -> Vec<String> {
    let Some(url) = known.settings.server.public_url.as_ref().filter(|url| url.is_in_the_clear()) else {
        return Vec::new();
    };
    let only = known.sent().filter(|named| {
        let pointing = named.told().and_then(|told| told.pointing(url.as_str()));
        pointing.is_some_and(|pointing| pointing.https_only)
    });
    let say = |named: &Named| {
        format!(
            "{}: its sender speaks https alone, and server.public_url is {url}: give it a certificate, by a proxy in front \
             or [server.tls], and write https",
            named.full_name()
        )
    };
    only.map(say).collect()
}

/// Lines of the local platform, where the app runs elsewhere.
fn no_lines(known: &Known<'_>) -> Vec<String> {
    let local = known.sources.iter().filter(|named| named.told().is_some_and(|told| told.is_local()));
    let say = |named: &Named| {
        let platform = known.app(named).map_or("", |app| &app.platform);
        format!(
            "{}: without a token it hears this program's own local platform alone, and the app is on platforms.{platform}: \
             set token = {{ env = \"NAME\" }} and point the sender here with `autoscalebot drain-url`",
            named.full_name()
        )
    };
    local.filter(|named| !known.is_local(&named.app)).map(say).collect()
}

/// A sender elsewhere, and a server that only this machine reaches.
fn out_of_reach(known: &Known<'_>) -> Vec<String> {
    let server = &known.settings.server;
    let mut listens = std::iter::once(server.listen).chain(server.tls.as_ref().map(|tls| tls.listen));
    if server.public_url.is_some() || !listens.all(|listen| listen.ip().to_canonical().is_loopback()) {
        return Vec::new();
    }
    let say = |named: &Named| {
        format!(
            "{}: it is sent to this program, which listens on {} alone, where nothing outside this machine reaches it: set \
             server.listen (with server.token) or put a proxy in front, and set server.public_url to the address that leads \
             here",
            named.full_name(),
            server.listen
        )
    };
    known.sent().filter(|named| !known.is_local(&named.app)).map(say).collect()
}

/// More calls in a minute than a platform allows an account.
fn too_many_calls(known: &Known<'_>) -> Vec<String> {
    /// Apps, calls of a tick of all of them, and calls in a minute.
    #[derive(Default)]
    struct Calls {
        apps: usize,
        a_round: f64,
        a_minute: f64,
    }
    let mut calls: BTreeMap<&str, Calls> = BTreeMap::new();
    for app in &known.settings.apps {
        let every = app.processes.iter().flat_map(|process| &process.measure).map(|m| m.every.as_secs_f64());
        let shortest = every.fold(f64::INFINITY, f64::min);
        let mut gates = app.processes.iter().flat_map(|process| &process.spec.gates);
        // One read of the formation, and where a gate asks for it one of the newest release.
        let reads = if gates.any(|gate| gate.needs_release()) { 2.0 } else { 1.0 };
        let sum = calls.entry(&app.platform).or_default();
        sum.apps += 1;
        sum.a_round += reads;
        sum.a_minute += reads * 60.0 / shortest;
    }
    let say = |(name, calls): (&str, Calls)| {
        let most = known.platforms.get(name)?.calls_a_minute()?;
        let (limit, Calls { apps, a_round, a_minute }) = (f64::from(most), calls);
        let every = (a_round * 60.0 / (limit * FOR_TICKS)).ceil();
        (a_minute > limit).then(|| {
            format!(
                "platforms.{name}: the ticks of {apps} {} make {a_minute:.0} calls in a minute, and the platform allows an \
                 account {most}: measure less often (every = \"{every}s\" for all of them fits), or give some of the apps a \
                 platform with the key of another account",
                if apps == 1 { "app" } else { "apps" }
            )
        })
    };
    calls.into_iter().filter_map(say).collect()
}
