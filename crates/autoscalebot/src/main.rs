//! The binary: reads the command line and the settings, wires the rooms together, and ends with an exit code.
//!
//! Results go to standard output, logs and messages to standard error. What is decided is the core's work, when is the
//! engine's; nothing of either is here.

mod advise;
mod cli;
mod commands;
mod daemon;
mod dashboard;
mod demo;
mod doubts;
mod fault;
mod feed;
mod log;
mod python;
mod seasons;
mod simulate;
mod wiring;

use std::io::Write;
use std::process::ExitCode;

use autoscalebot_settings::{Loaded, Outside, Source};
use clap::{CommandFactory, Parser};
use jiff::Timestamp;

use crate::cli::{Cli, Command, ConfigCommand, RunArgs, SettingsArgs};
use crate::fault::Fault;
use crate::wiring::AllKinds;

/// Threads for the tasks; none of them computes for long.
const WORKERS: usize = 2;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match command(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => fault.report(),
    }
}

fn command(cli: Cli) -> Result<(), Fault> {
    let mut out = std::io::stdout().lock();
    let args = &cli.settings;
    match cli.command.unwrap_or(Command::Run(RunArgs::default())) {
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "autoscalebot", &mut out);
            Ok(())
        }
        Command::Keeper => {
            drop(out);
            autoscalebot_platform::local::keeper::run(std::io::stdin().lock());
            Ok(())
        }
        Command::SampleApp => block_on(demo::sample_app::serve_on_port_of_environment(), out),
        Command::Config(ConfigCommand::Schema) => commands::write::schema(&mut out),
        Command::Init(init) => commands::write::init(&init, &mut out),
        Command::Import(import) => commands::write::import(&import, &mut out),
        Command::Plan(plan) => commands::plan::plan(&load(args)?.settings, &plan, Timestamp::now(), &mut out),
        Command::Replay(replay) => {
            let mut out = std::io::BufWriter::new(out);
            commands::replay::replay(&load(args)?, &replay, &mut out)
        }
        Command::Simulate(simulate) => {
            // A policy by its name needs no settings, but for their store, and without any there are the names.
            let alone = simulate.policy.is_some() && simulate.traffic.is_some();
            let settings = if alone { None } else { load_what_is_there(args)? };
            commands::simulate::simulate(settings.as_ref(), &simulate, &mut out)
        }
        Command::Status(status) => commands::status::status(&load(args)?.settings, &status, Timestamp::now(), &mut out),
        Command::History(history) => {
            let mut out = std::io::BufWriter::new(out);
            commands::history::history(&load(args)?.settings, &history, Timestamp::now(), &mut out)?;
            Ok(out.flush()?)
        }
        Command::Explain(explain) => {
            commands::explain::explain(&load(args)?.settings, &explain, Timestamp::now(), &mut out)
        }
        Command::Pause(pause) => commands::pause::pause(&load(args)?.settings, &pause, Timestamp::now(), &mut out),
        Command::Resume(resume) => commands::pause::resume(&load(args)?.settings, &resume, &mut out),
        Command::Check(check) => {
            let loaded = load(args)?;
            block_on(commands::check::check(&loaded, &check), out)
        }
        Command::DrainUrl(drain_url) => {
            let loaded = load(args)?;
            block_on(async { commands::drain_url::drain_url(&loaded.settings, &drain_url) }, out)
        }
        Command::Measure(measure) => {
            let loaded = load(args)?;
            block_on(commands::measure::measure(&loaded.settings, &measure), out)
        }
        Command::Run(run) => {
            let mut loaded = load(args)?;
            if run.json {
                wiring::console_to_stderr(&mut loaded.settings);
            }
            log::start(&args.log)?;
            block_on(commands::run::run(&loaded.settings, &run), out)
        }
        Command::Demo(demo) => {
            log::start(if args.log == "info" { "warn" } else { &args.log })?;
            block_on(commands::demo::demo(&demo), out)
        }
    }
}

/// Runs a command that needs tasks. The lock on standard output is given up first: those commands print from several.
fn block_on(command: impl Future<Output = Result<(), Fault>>, out: std::io::StdoutLock<'static>) -> Result<(), Fault> {
    drop(out);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(WORKERS).enable_all().build()?;
    let result = runtime.block_on(command);
    // A name look-up that hangs blocks a thread for longer than a stop may take.
    runtime.shutdown_timeout(std::time::Duration::from_millis(100));
    result
}

/// Reads the settings that the command line points at; warnings go to standard error.
fn load(args: &SettingsArgs) -> Result<Loaded, Fault> {
    let folder = std::env::current_dir()?;
    let outside = Outside { variable: &python::variable, ..Outside::real(&folder) };
    let source = match (&args.config, &args.settings) {
        (Some(file), _) => Source::Toml(file.clone()),
        (None, Some(settings)) => python::source(settings, &outside)?,
        (None, None) => Source::find(&outside)?,
    };
    let kinds = AllKinds::new();
    let loaded = autoscalebot_settings::load(&source, kinds.kinds(), &outside)?;
    for warning in loaded.warnings.iter() {
        writeln!(std::io::stderr(), "warning: {warning}")?;
    }
    Ok(loaded)
}

/// The same, where it is good to have none.
fn load_what_is_there(args: &SettingsArgs) -> Result<Option<Loaded>, Fault> {
    let folder = std::env::current_dir()?;
    let asked_for = args.config.is_some() || args.settings.is_some();
    if !asked_for && Source::find(&Outside::real(&folder)).is_err() {
        return Ok(None);
    }
    load(args).map(Some)
}
