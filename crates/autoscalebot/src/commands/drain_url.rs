//! `drain-url`: what is to be set at each sender of measurements so that it finds this program: log drains, variables, requests.
//!
//! What it prints holds tokens, which is what it is for; so it prints to standard output alone, and no other command does.

use std::io::Write;
use std::sync::Arc;

use autoscalebot_core::Secret;
use autoscalebot_measure::{Pointing, Way};
use autoscalebot_platform::logs::LogSink;
use autoscalebot_platform::{Platform, PointTo, shell_word};
use autoscalebot_settings::{PublicUrl, Settings};
use serde_json::{Map, Value, json};

use crate::cli::DrainUrlArgs;
use crate::commands::measure::{self, Named};
use crate::commands::past;
use crate::fault::Fault;
use crate::wiring;

/// One sender: measurements with the same token of the same kind share it.
struct Sender<'a> {
    app: &'a str,
    processes: Vec<&'a str>,
    kind: &'static str,
    /// None: the local platform of this program tells it.
    pointing: Option<Pointing>,
    platform: &'a dyn Platform,
    /// The app's name there.
    name: &'a str,
}

/// Runs the command.
pub(crate) fn drain_url(settings: &Settings, args: &DrainUrlArgs) -> Result<(), Fault> {
    let wanted = past::keys(settings, &args.which)?;
    let platforms = wiring::platforms(settings, &LogSink::default())?;
    let sources = measure::sources(settings, &Arc::default())?;
    let (mut senders, mut in_the_clear): (Vec<Sender<'_>>, _) = (Vec::new(), false);
    for named in
        sources.iter().filter(|named| wanted.iter().any(|key| key.app == named.app && key.process == named.process))
    {
        let Some(told) = named.told() else { continue };
        let app = settings.apps.iter().find(|app| *app.key == *named.app);
        let Some((app, platform)) = app.and_then(|app| Some((app, platforms.get(&app.platform)?))) else { continue };
        let pointing = match told.is_local() {
            true => None,
            false => {
                let address = address(settings, args)?;
                in_the_clear |= address.is_in_the_clear();
                told.pointing(address.as_str())
            }
        };
        let Named { app: key, process, kind, .. } = named;
        match senders.iter_mut().find(|known| known.app == key && known.kind == *kind && known.pointing == pointing) {
            Some(known) if known.processes.contains(&process.as_str()) => {}
            Some(known) => known.processes.push(process),
            None => senders.push(Sender {
                app: key,
                processes: vec![process],
                kind,
                pointing,
                platform: platform.as_ref(),
                name: &app.name,
            }),
        }
    }
    if senders.is_empty() {
        return Err(Fault::usage(
            "nothing is sent to this program: none of these measurements is told, such as router, judoscale or push",
        ));
    }
    write(&senders, args, in_the_clear)
}

/// The address by which senders reach this program.
fn address(settings: &Settings, args: &DrainUrlArgs) -> Result<PublicUrl, Fault> {
    // What is wrong with it is said without it: there may be a password in it.
    let given =
        args.url.as_deref().map(str::parse).transpose().map_err(|error| Fault::usage(format!("--url {error}")))?;
    given.or_else(|| settings.server.public_url.clone()).ok_or_else(|| {
        Fault::usage(
            "server.public_url is not set: set it to the address by which senders reach this program, as in \
             public_url = \"https://scale.example\" below [server], or give --url https://scale.example",
        )
    })
}

fn write(senders: &[Sender<'_>], args: &DrainUrlArgs, in_the_clear: bool) -> Result<(), Fault> {
    let mut err = std::io::stderr();
    if senders.iter().any(|sender| sender.pointing.is_some()) {
        // Nobody reading standard error is no reason to print less.
        let _ = writeln!(err, "warning: this holds secrets: whoever has a token can send numbers that are scaled by");
        if in_the_clear {
            let _ = writeln!(err, "warning: by http everybody on the way can read the tokens: use https");
        }
    }
    let mut out = std::io::stdout().lock();
    for (index, sender) in senders.iter().enumerate() {
        if args.json {
            serde_json::to_writer(&mut out, &sender.json()).map_err(std::io::Error::from)?;
            writeln!(out)?;
            continue;
        }
        if index > 0 {
            writeln!(out)?;
        }
        sender.text(&mut out)?;
    }
    Ok(out.flush()?)
}

impl Sender<'_> {
    fn text(&self, out: &mut dyn Write) -> Result<(), Fault> {
        let Self { app, processes, kind, .. } = self;
        writeln!(out, "# {app}/{} {kind}", processes.join(", "))?;
        let Some(Pointing { ways, note, .. }) = &self.pointing else {
            writeln!(out, "# the platform of this program tells it: nothing is to be set")?;
            return Ok(());
        };
        if let Some(note) = note {
            writeln!(out, "# {note}")?;
        }
        for (index, way) in ways.iter().enumerate() {
            if index > 0 {
                writeln!(out, "# or")?;
            }
            self.way_text(way, out)?;
        }
        Ok(())
    }

    fn way_text(&self, way: &Way, out: &mut dyn Write) -> Result<(), Fault> {
        if let Some(command) = self.command(way) {
            writeln!(out, "{command}")?;
            return Ok(());
        }
        match way {
            Way::LogDrain(url) => writeln!(out, "# send its router's lines to\n{}", url.expose())?,
            Way::TelemetryDrain(url) => writeln!(out, "# send its telemetry to\n{}", url.expose())?,
            Way::Token(token) => writeln!(out, "# with the token\n{}", token.expose())?,
            Way::Command(command) => writeln!(out, "{}", command.expose())?,
            Way::Variables(all) => {
                for (name, value) in all {
                    writeln!(out, "{name}={}", shell_word(value.expose()))?;
                }
            }
        }
        Ok(())
    }

    fn json(&self) -> Value {
        let ways: Vec<_> = self.pointing.iter().flat_map(|pointing| &pointing.ways).map(|way| self.way(way)).collect();
        let note = self.pointing.as_ref().and_then(|pointing| pointing.note);
        json!({
            "app": self.app, "processes": self.processes, "kind": self.kind, "local": self.pointing.is_none(), "ways": ways, "note": note,
        })
    }

    fn way(&self, way: &Way) -> Value {
        let mut shown =
            Map::from_iter([("what".to_owned(), json!(way.name())), ("command".to_owned(), json!(self.command(way)))]);
        match way {
            Way::LogDrain(url) | Way::TelemetryDrain(url) => shown.insert("url".into(), json!(url.expose())),
            Way::Token(token) => shown.insert("token".into(), json!(token.expose())),
            Way::Variables(all) => {
                let all: Map<_, _> =
                    all.iter().map(|(name, value)| ((*name).to_owned(), json!(value.expose()))).collect();
                shown.insert("variables".into(), Value::Object(all))
            }
            Way::Command(_) => None,
        };
        Value::Object(shown)
    }

    /// The whole command, where the platform has one.
    fn command(&self, way: &Way) -> Option<String> {
        let pointing = |to: PointTo<'_>| self.platform.pointing(self.name, to);
        match way {
            Way::LogDrain(url) => pointing(PointTo::LogDrain(url.expose())),
            Way::TelemetryDrain(url) => pointing(PointTo::TelemetryDrain(url.expose())),
            Way::Variables(all) => pointing(PointTo::Variables(&exposed(all))),
            Way::Command(command) => Some(command.expose().to_owned()),
            Way::Token(_) => None,
        }
    }
}

fn exposed<'a>(all: &'a [(&'static str, Secret)]) -> Vec<(&'a str, &'a str)> {
    all.iter().map(|(name, value)| (*name, value.expose())).collect()
}
