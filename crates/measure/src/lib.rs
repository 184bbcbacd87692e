//! What autoscalebot looks at: a file per kind of measurement, and [`MEASUREMENTS`], the one list of them.
//!
//! A kind turns its settings into a [`Measure`], which takes one reading within a time budget. How a reading is judged is
//! the policies' work, in the core; when it is taken is the engine's.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use autoscalebot_core::Taken;
use autoscalebot_core::fields::{FieldError, MeasurementKind, Values};

pub mod autoscale_agent;
mod budget;
pub mod bullmq;
pub mod celery;
pub mod clock;
pub mod delayed_job;
mod dial;
pub mod dynoscale;
pub mod exec;
mod fields;
pub mod good_job;
pub mod heartbeat;
pub mod hirefire;
mod http;
pub mod intake;
pub mod json;
pub mod judoscale;
mod number;
pub mod otlp;
#[cfg(test)]
mod payload_properties;
mod postgres;
pub mod procrastinate;
pub mod prometheus;
pub mod push;
pub mod que;
mod queue;
pub mod rabbitmq;
mod redis;
pub mod resque;
pub mod router;
pub mod rq;
pub mod sidekiq;
pub mod solid_queue;
pub mod sql;
mod tls;
mod told;

pub use intake::Intake;
pub use told::{Pointing, ToldBy, Way};

/// A source of numbers for one process.
#[async_trait]
pub trait Measure: Debug + Send + Sync {
    /// Takes one reading. It ends within [`Measure::budget`]; what can't be read is a failure with its reason, never zero.
    async fn read(&self) -> Taken;

    /// The longest that a reading may take, from the first byte out to the last byte in.
    fn budget(&self) -> Duration;

    /// Ends when there is something new to read, for a source that is told rather than asks: the engine then ticks at once
    /// instead of at the next interval. Most sources have no news of their own.
    async fn news(&self) {
        std::future::pending().await
    }

    /// What it can never tell, however well it works, and the mend: a sentence that goes on after its name, said by `check` and
    /// as the program starts.
    fn doubt(&self) -> Option<&'static str> {
        None
    }

    /// What it is told by, for a source that is told rather than asks.
    fn told(&self) -> Option<ToldBy> {
        None
    }
}

/// What a source is given besides its settings.
#[derive(Debug, Clone, Copy)]
pub struct MeasureContext<'a> {
    /// The app's name in the settings.
    pub app: &'a str,
    /// The process type.
    pub process: &'a str,
    /// How often it will be read.
    pub every: Duration,
    /// Where it hears what is sent to the program rather than asked for.
    pub intake: &'a Arc<Intake>,
}

/// A kind of measurement.
#[derive(Debug, Clone, Copy)]
pub struct MeasureEntry {
    /// What the settings need to know of it.
    pub kind: MeasurementKind,
    /// How one is made.
    pub build: Build,
}

/// Makes a measurement from settings that were checked against its fields; `every` is the interval it will be read at.
pub type Build = fn(values: &Values, context: MeasureContext<'_>) -> Result<Arc<dyn Measure>, FieldError>;

/// Every kind of measurement, by name.
pub const MEASUREMENTS: &[MeasureEntry] = &[
    autoscale_agent::ENTRY,
    bullmq::ENTRY,
    celery::ENTRY,
    clock::ENTRY,
    delayed_job::ENTRY,
    dynoscale::ENTRY,
    exec::ENTRY,
    good_job::ENTRY,
    heartbeat::ENTRY,
    hirefire::ENTRY,
    json::ENTRY,
    judoscale::ENTRY,
    otlp::ENTRY,
    procrastinate::ENTRY,
    prometheus::ENTRY,
    push::ENTRY,
    que::ENTRY,
    rabbitmq::ENTRY,
    resque::ENTRY,
    router::ENTRY,
    rq::ENTRY,
    sidekiq::ENTRY,
    solid_queue::ENTRY,
    sql::ENTRY,
];
