//! What autoscalebot scales: a file or folder per platform, and [`PLATFORMS`], the one list of them.
//!
//! A platform tells how many dynos of each process are wanted ([`Platform::formation`]) and sets that ([`Platform::scale`]).
//! It decides nothing: what to set comes from the core, when to ask from the engine.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use autoscalebot_core::fields::{FieldError, PlatformKind, Values};
use autoscalebot_core::{Dynos, Failure, Secret};
use jiff::Timestamp;

pub mod heroku;
pub mod local;
pub mod logs;
mod pointing;

pub use pointing::{PointTo, shell_word};

/// Where apps run and where scaling calls go. Every call ends within a total time budget of 30 s or less.
#[async_trait]
pub trait Platform: Debug + Send + Sync {
    /// Brings up what must run before the first tick; most platforms have nothing to do.
    async fn start(&self) -> Result<(), PlatformError> {
        Ok(())
    }

    /// The wanted quantity of each process type of an app, in one read. `now` is the instant of the tick, for waits that a
    /// platform asked for.
    async fn formation(&self, app: &str, now: Timestamp) -> Result<Formation, PlatformError>;

    /// When the newest release of an app was made; `None` where the platform does not tell. Asked only for processes whose
    /// settings need it.
    async fn released_at(&self, _app: &str, _now: Timestamp) -> Result<Option<Timestamp>, PlatformError> {
        Ok(None)
    }

    /// Sets quantities of one app, as one batch where the platform has that. The answers are in the order of `changes`.
    /// Never called without changes. `before` is the formation that the changes were decided on.
    async fn scale(
        &self,
        app: &str,
        changes: &[Change],
        before: &Formation,
        now: Timestamp,
    ) -> Vec<Result<Scaled, PlatformError>>;

    /// Tries credentials and names without changing anything, for `check --online`: a sentence of what was found.
    async fn probe(&self, app: &str, now: Timestamp) -> Result<String, PlatformError> {
        let formation = self.formation(app, now).await?;
        Ok(format!("{app}: {formation}"))
    }

    /// How many calls in a minute the platform allows an account in the long run; `None`: as many as one likes.
    fn calls_a_minute(&self) -> Option<u32> {
        None
    }

    /// The command by which a user points something of an app at this program; `None`: the platform has no such thing.
    fn pointing(&self, _app: &str, _to: PointTo<'_>) -> Option<String> {
        None
    }

    /// The URLs of the log drains that an app has, for `check --online`; `None`: the platform has no log drains.
    async fn log_drains(&self, _app: &str, _now: Timestamp) -> Result<Option<Vec<Secret>>, PlatformError> {
        Ok(None)
    }

    /// Ends what [`Platform::start`] brought up; nothing of it is left running. Takes less than 2 s.
    async fn stop(&self) {}
}

/// The wanted quantities of an app's process types.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Formation {
    /// By process type.
    pub quantities: BTreeMap<String, Dynos>,
    /// How many of them serve now, by process type, where the platform tells; of the others all are taken to.
    pub ready: BTreeMap<String, Dynos>,
}

impl std::fmt::Display for Formation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, (process, quantity)) in self.quantities.iter().enumerate() {
            let space = if index == 0 { "" } else { " " };
            write!(f, "{space}{process}={quantity}")?;
        }
        Ok(())
    }
}

/// A wanted change of one process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The process type.
    pub process: String,
    /// The quantity to set.
    pub quantity: Dynos,
}

/// What a platform set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scaled {
    /// The quantity now wanted of the platform; less than asked for where it has a limit.
    pub quantity: Dynos,
    /// The limit that the platform named, if it did.
    pub limit: Option<Dynos>,
}

/// Why a platform could not answer. Texts are for people, name the setting to change where one is wrong, and hold no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlatformError {
    /// A setting is wrong: credentials, the app's name, the process type. Trying again without a change is no use.
    #[error("{0}")]
    Misconfigured(String),
    /// The platform allows no more dynos; nothing was changed.
    #[error("{message}")]
    OverLimit {
        /// The most dynos of this process, where the platform said so.
        limit: Option<Dynos>,
        /// What the platform said.
        message: String,
    },
    /// Too many calls: nothing is sent to this account before then.
    #[error("the platform's rate limit is reached: nothing is sent before {0}")]
    RateLimited(Timestamp),
    /// It may work again by itself: 5xx, conflicts, answers that make no sense, broken connections.
    #[error("{0}")]
    Unavailable(String),
    /// No whole answer within the time budget.
    #[error("no whole answer within {0} s")]
    Timeout(u64),
}

impl PlatformError {
    /// The same as a record shows it.
    pub fn as_failure(&self) -> Failure {
        match self {
            Self::Timeout(_) => Failure::Timeout,
            other => Failure::Other(other.to_string().into()),
        }
    }
}

/// What a platform is given besides its settings.
#[derive(Debug, Clone)]
pub struct PlatformContext {
    /// Where the log lines of the app go, for a platform that produces them itself.
    pub logs: logs::LogSink,
    /// The command of a process that outlives this program just long enough to end its children, for a platform that has
    /// children: this program itself with a hidden subcommand.
    pub keeper: Option<Vec<std::ffi::OsString>>,
}

/// Makes a platform from settings that were checked against its fields; `name` is its name in the settings, for messages.
pub type BuildPlatform =
    fn(name: &str, values: &Values, context: &PlatformContext) -> Result<Arc<dyn Platform>, FieldError>;

/// A kind of platform.
#[derive(Debug, Clone, Copy)]
pub struct PlatformEntry {
    /// What the settings need to know of it.
    pub kind: PlatformKind,
    /// Makes one.
    pub build: BuildPlatform,
}

/// Every kind of platform, by name.
pub const PLATFORMS: &[PlatformEntry] = &[heroku::ENTRY, local::ENTRY];
