//! The command line: names, flags and help texts. What each command does is in its file in [`commands`](crate::commands).

mod replay;
mod simulate;

use std::path::PathBuf;

pub(crate) use replay::ReplayArgs;
pub(crate) use simulate::{ModeName, ModelArgs, RoutingName, SimulateArgs};

use clap::{Args, Parser, Subcommand, ValueEnum};
use jiff::Span;

/// Keeps the right number of dynos running for each process type of each app.
///
/// Measures (heartbeats, …), decides, scales (Heroku, this machine, …), and tells you why. Without a command it runs as a
/// daemon. Exit codes: 0 good, 1 failed at run time, 2 wrong usage or configuration.
#[derive(Debug, Parser)]
#[command(name = "autoscalebot", version, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) settings: SettingsArgs,

    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// Where the settings are; the same for every command.
#[derive(Debug, Clone, Args)]
pub(crate) struct SettingsArgs {
    /// The settings, in TOML. Without this and --settings: autoscalebot.toml here, then in the user's configuration folder,
    /// then the environment (AUTOSCALE_…)
    #[arg(long, value_name = "FILE", global = true, env = "AUTOSCALEBOT_CONFIG", conflicts_with = "settings")]
    pub(crate) config: Option<PathBuf>,

    /// The settings of autoscalebot 2.1: a Python module (autoscale_settings) or file. It is read; only one that computes
    /// its values is run, where this program came with Python. `-` is a JSON object of them on standard input
    #[arg(long, value_name = "MODULE_OR_FILE", global = true)]
    pub(crate) settings: Option<String>,

    /// What to log, as in `info` or `autoscalebot_engine=debug,warn`
    #[arg(long, value_name = "FILTER", global = true, env = "AUTOSCALEBOT_LOG", default_value = "info")]
    pub(crate) log: String,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the daemon (the default)
    Run(RunArgs),
    /// See it work in under a minute: a sample app on this machine, real load, real scaling
    Demo(DemoArgs),
    /// Write a commented settings file to start from
    Init(InitArgs),
    /// Turn the settings of autoscalebot 2.1 into TOML
    Import(ImportArgs),
    /// Read all settings and report every problem, with its line and mend
    Check(CheckArgs),
    /// Print what is to be set at log drains and apps so that they reach this program; it holds their tokens
    DrainUrl(DrainUrlArgs),
    /// Show the bounds in force, the rule behind them, and the next changes
    Plan(PlanArgs),
    /// Read the sources and show what they say
    Measure(MeasureArgs),
    /// Decide recorded ticks again: tick lines in, decision records out
    Replay(ReplayArgs),
    /// What policies would have done with recorded traffic: cost, slow requests, plots
    Simulate(Box<SimulateArgs>),
    /// Show how each process is now
    Status(StatusArgs),
    /// Show what was decided, for people, for programs, and for replay
    History(HistoryArgs),
    /// Tell one decision with its whole why, and what would have changed it
    Explain(ExplainArgs),
    /// Leave a process alone until it is resumed
    Pause(PauseArgs),
    /// End a pause
    Resume(ResumeArgs),
    /// About the settings themselves
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Write the completions of a shell to standard output
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Run the sample app of the demo on $PORT
    #[command(name = "sample-app", hide = true)]
    SampleApp,
    /// End the children of a supervisor that is gone
    #[command(name = "keeper", hide = true)]
    Keeper,
}

#[derive(Debug, Clone, Default, Args)]
pub(crate) struct RunArgs {
    /// Read and decide, and write nothing anywhere on the platform
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// One tick of everything, then the end
    #[arg(long)]
    pub(crate) once: bool,

    /// Write each decision record to standard output, one JSON line a tick
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// How long it runs
    #[arg(long = "for", value_name = "DURATION", default_value = "45s", value_parser = duration)]
    pub(crate) length: std::time::Duration,

    /// Write the summary as JSON
    #[arg(long)]
    pub(crate) json: bool,

    /// Do not open a browser on the dashboard
    #[arg(long)]
    pub(crate) no_open: bool,

    /// Where the dashboard is reached, on this machine; port 0 is any free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    pub(crate) listen: std::net::SocketAddr,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum StartPlatform {
    /// An app on Heroku
    Heroku,
    /// A Procfile on this machine
    Local,
}

#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// Where the app runs; without it, local where there is a Procfile and no git remote to Heroku
    #[arg(long, value_enum)]
    pub(crate) platform: Option<StartPlatform>,

    /// The file to write
    #[arg(long, value_name = "FILE", default_value = "autoscalebot.toml")]
    pub(crate) output: PathBuf,

    /// Replace the file if it exists
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// The Python settings file or module
    #[arg(value_name = "OLD_SETTINGS")]
    pub(crate) old: String,

    /// The file to write, instead of standard output
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,

    /// Replace the file if it exists
    #[arg(long, requires = "output")]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// Also try every credential, URL and source, changing nothing
    #[arg(long)]
    pub(crate) online: bool,

    /// Wait so long for the first word of each sender of measurements; where no daemon runs, listen in its place
    #[arg(long, value_name = "DURATION", value_parser = duration, requires = "online")]
    pub(crate) wait: Option<std::time::Duration>,

    /// One JSON line a finding
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DrainUrlArgs {
    #[command(flatten)]
    pub(crate) which: Which,

    /// The address by which they reach this program, instead of server.public_url
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,

    /// One JSON line a sender
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    /// The instant to look at: RFC 3339, or a date and time in the settings' zone
    #[arg(long, value_name = "TIME")]
    pub(crate) at: Option<String>,

    /// How many days of changes to show
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = clap::value_parser!(u16).range(0..=3660))]
    pub(crate) days: u16,

    /// One JSON line a process
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct MeasureArgs {
    /// One reading of every source, then the end
    #[arg(long)]
    pub(crate) once: bool,

    /// One JSON line a reading
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Which {
    /// The app; not needed where the settings have one
    #[arg(long)]
    pub(crate) app: Option<String>,

    /// The process; without it, all of the app's
    #[arg(long)]
    pub(crate) process: Option<String>,
}

/// The processes that are looked at: all, where neither is given.
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    pub(crate) which: Which,

    /// One JSON line a process
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct HistoryArgs {
    #[command(flatten)]
    pub(crate) which: Which,

    /// The oldest: RFC 3339, a date and time in the settings' zone, or a time before now, such as 2h
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,

    /// The instant before which all lie, in the same forms
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<String>,

    /// Only decisions that differ from the one before them: dynos, bounds, gates or conditions
    #[arg(long)]
    pub(crate) changes: bool,

    /// Only decisions in which this condition holds; may be given several times
    #[arg(long, value_name = "NAME", value_parser = condition)]
    pub(crate) condition: Vec<String>,

    /// At most so many, the newest; without it 100, and for --replay-format all
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<usize>,

    /// The decision records, one JSON line each
    #[arg(long, conflicts_with_all = ["csv", "replay_format"])]
    pub(crate) json: bool,

    /// A table for spreadsheets
    #[arg(long, conflicts_with = "replay_format")]
    pub(crate) csv: bool,

    /// Tick lines for `autoscalebot replay --assert -`
    #[arg(long, conflicts_with_all = ["changes", "condition"])]
    pub(crate) replay_format: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    #[command(flatten)]
    pub(crate) which: Which,

    /// The decision in force at this time; without it, the newest
    #[arg(long, value_name = "TIME")]
    pub(crate) at: Option<String>,

    /// The decision record as JSON, with `what_if`
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct PauseArgs {
    #[command(flatten)]
    pub(crate) which: Which,

    /// How long; without it, until resumed
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    pub(crate) length: Option<std::time::Duration>,

    /// Why, for whoever looks at it later
    #[arg(long)]
    pub(crate) why: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ResumeArgs {
    #[command(flatten)]
    pub(crate) which: Which,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Write the JSON schema of the settings to standard output
    Schema,
}

/// The name of a condition.
fn condition(text: &str) -> Result<String, String> {
    let names: Vec<_> = autoscalebot_core::Condition::ALL.iter().map(|condition| condition.as_str()).collect();
    match names.contains(&text) {
        true => Ok(text.to_owned()),
        false => Err(format!("there is no such condition; there are {}", names.join(", "))),
    }
}

/// A duration as in `45s` or `1h 30m`, above zero.
fn duration(text: &str) -> Result<std::time::Duration, String> {
    let wrong = || "give a duration above zero with its unit, such as 45s or 2h".to_owned();
    let span: Span = text.parse().map_err(|_| wrong())?;
    let duration = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).map_err(|_| wrong())?;
    std::time::Duration::try_from(duration).ok().filter(|duration| !duration.is_zero()).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn durations_have_a_unit() {
        assert_eq!(duration("45s"), Ok(std::time::Duration::from_secs(45)));
        assert_eq!(duration("1h 30m"), Ok(std::time::Duration::from_secs(5400)));
        assert_eq!(duration("2d"), Ok(std::time::Duration::from_secs(172_800)));
        for bad in ["45", "", "-1s", "0s", "soon"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
