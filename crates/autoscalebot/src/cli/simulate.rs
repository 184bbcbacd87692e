//! The flags of `simulate`.

use std::path::PathBuf;
use std::time::Duration;

use autoscalebot_simulate::Shape;
use clap::{Args, ValueEnum};

use crate::simulate::model::{duration_or_none, shape, share, step};

#[derive(Debug, Args)]
pub(crate) struct SimulateArgs {
    /// Requests per step (CSV of unix_seconds,requests, or JSON lines), or a recording of router lines: a log drain's
    /// bodies, or what `heroku logs --tail` writes; gzip'd too; - is standard input. Without it, and with --since: the rates
    /// in the store of the settings
    #[arg(value_name = "TRAFFIC", required_unless_present = "since")]
    pub(crate) traffic: Option<PathBuf>,

    /// Only from this time on: RFC 3339, a date and time in the settings' zone, or a time before now, such as 7d
    #[arg(long, value_name = "TIME", visible_alias = "from")]
    pub(crate) since: Option<String>,

    /// Only until this time, in the same forms
    #[arg(long, value_name = "TIME", visible_alias = "to")]
    pub(crate) until: Option<String>,

    /// The length of a step of a recording or of the store's history; without it, 1 min, and less for a short recording
    #[arg(long, value_name = "DURATION", value_parser = step)]
    pub(crate) step: Option<u32>,

    /// How long a recording may be silent, or the store know no rate; more is a gap, which stops the simulation
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = duration_or_none)]
    pub(crate) gap: Duration,

    /// Multiply the requests of each step
    #[arg(long, value_name = "N", default_value_t = 1.0, allow_negative_numbers = true)]
    pub(crate) scale: f64,

    /// One of the policies that are built in, instead of the settings
    #[arg(long, value_name = "NAME", conflicts_with = "compare")]
    pub(crate) policy: Option<String>,

    /// Policies to compare with, by names that are built in; `all` for each of them
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    pub(crate) compare: Vec<String>,

    /// Only this app of the settings, and of their store
    #[arg(long, value_name = "NAME")]
    pub(crate) app: Option<String>,

    /// Only this process of the settings, and of a recording or the store
    #[arg(long, value_name = "NAME")]
    pub(crate) process: Option<String>,

    /// Search cheaper parameters on the first half of the traffic, and report on the other half
    #[arg(long, conflicts_with = "compare")]
    pub(crate) tune: bool,

    /// How many combinations of parameters a search may try
    #[arg(long, value_name = "N", default_value_t = 120, requires = "tune", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) budget: u32,

    /// The same seed gives the same requests
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,

    /// How requests are simulated; without it, exact up to 50 million of them
    #[arg(long, value_enum)]
    pub(crate) mode: Option<ModeName>,

    /// What a dyno costs in an hour
    #[arg(long, value_name = "X", default_value_t = 0.0)]
    pub(crate) price: f64,

    /// The fewest dynos of built-in policies; without it, as the settings say, else 1
    #[arg(long, value_name = "N")]
    pub(crate) min: Option<u32>,

    /// The most dynos of built-in policies; without it, as the settings say, else 40
    #[arg(long, value_name = "N")]
    pub(crate) max: Option<u32>,

    /// Write JSON
    #[arg(long)]
    pub(crate) json: bool,

    /// Write a page with plots, too
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,

    /// What must hold, such as 'slow_share < 1%, dyno_hours <= 500': for the settings' processes, or for the first policy
    #[arg(long = "assert", value_name = "WHAT")]
    pub(crate) assertions: Option<String>,

    #[command(flatten)]
    pub(crate) model: ModelArgs,
}

/// The model of the app and of its platform.
#[derive(Debug, Clone, Copy, Args)]
#[command(next_help_heading = "The app")]
pub(crate) struct ModelArgs {
    /// How long the work on one request takes, on average; without it, as a recording or the store tells, else 100ms
    #[arg(long, value_name = "DURATION", value_parser = super::duration)]
    pub(crate) service: Option<Duration>,

    /// How that varies: exponential, deterministic, lognormal:SCV or gamma:SCV (variance over squared mean); without it, as a
    /// recording tells, else exponential
    #[arg(long, value_name = "SHAPE", value_parser = shape)]
    pub(crate) shape: Option<Shape>,

    /// Requests that a dyno works on at once
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) servers: u32,

    /// How requests get to the dynos
    #[arg(long, value_name = "ROUTING", value_enum, default_value = "shared")]
    pub(crate) routing: RoutingName,

    /// Requests that come together, on average; without it, each comes by itself
    #[arg(long, value_name = "N")]
    pub(crate) burst: Option<f64>,

    /// Requests that may wait; more are refused
    #[arg(long, value_name = "N")]
    pub(crate) queue_limit: Option<u32>,

    /// A request without an answer by then has failed; 0s for never
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration_or_none)]
    pub(crate) timeout: Duration,

    /// From the start of a dyno to its first request
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration_or_none)]
    pub(crate) boot: Duration,

    /// How long a scaling call takes
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = duration_or_none)]
    pub(crate) call: Duration,

    /// How old measurements are; probes are always new
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = duration_or_none)]
    pub(crate) metric_delay: Duration,

    /// The relative error of measurements
    #[arg(long, value_name = "X", default_value_t = 0.0)]
    pub(crate) metric_noise: f64,

    /// A request is slow where wait and work together take longer
    #[arg(long, value_name = "DURATION", default_value = "500ms", value_parser = super::duration)]
    pub(crate) objective: Duration,

    /// The share of requests that may be slow: in each minute of the optimum, and over all in a search
    #[arg(long, value_name = "SHARE", default_value = "1%", value_parser = share)]
    pub(crate) slow_share: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RoutingName {
    /// All dynos take from one queue, or the router knows which of them are free
    Shared,
    /// Each request goes to a dyno at random, as on Heroku, and waits for that one
    Random,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ModeName {
    /// Each request of its own
    Exact,
    /// As a flow: approximate, and fast for years
    Fluid,
}
