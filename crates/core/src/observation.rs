//! [`Observation`]: what the engine saw for one tick of one process.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::{Dynos, Failure, Sample};

/// What was seen for one tick of one process.
#[derive(Debug, Clone, PartialEq)]
pub struct Observation {
    /// The one instant of the tick.
    pub at: Timestamp,
    /// The quantity on the platform, or why it could not be read.
    pub dynos: Result<Dynos, Failure>,
    /// The newest sample of each measurement, in the order of the [`Spec`](crate::Spec)'s; `None`: none was ever taken.
    pub samples: SmallVec<[Option<Sample>; 2]>,
    /// A pause by hand.
    pub pause: Option<Pause>,
    /// Dynos that serve now; `None`: not known, and then all of them are taken to.
    pub ready: Option<Dynos>,
    /// When the newest release of the app was made; `None`: not known, or not asked for.
    pub released_at: Option<Timestamp>,
    /// Whether the store has not been writable for a while, where this process tells it for all.
    pub store_failing: bool,
    /// What somebody outside the core advises for each measurement, in the order of the samples; short or empty where nobody
    /// was asked.
    pub advice: SmallVec<[Option<Advice>; 1]>,
}

impl Default for Observation {
    /// Nothing was seen.
    fn default() -> Self {
        Self {
            at: Timestamp::UNIX_EPOCH,
            dynos: Err(Failure::Missing),
            samples: SmallVec::new(),
            pause: None,
            ready: None,
            released_at: None,
            store_failing: false,
            advice: SmallVec::new(),
        }
    }
}

/// A wanted number of dynos from outside the core, such as a function in Python; it is recorded, so that the tick can be
/// decided again.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Advice {
    /// The wanted number; `None`: unknown.
    pub desired: Option<Dynos>,
    /// Why.
    pub why: Box<str>,
    /// The load that is expected, from one who foretells loads rather than wanting dynos.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<Expected>,
}

/// A load that is expected, and what such forecasts were worth lately; all in the measurement's unit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Expected {
    /// The highest load until the time that was asked for.
    pub load: f64,
    /// The mean distance of such forecasts from what came.
    pub error: f64,
    /// The same of the guess that the load stays as it is.
    pub error_of_none: f64,
    /// Of how many seconds anything is known.
    pub known_secs: f64,
}

/// A person said to leave a process alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// Until when; `None`: until resumed.
    pub until: Option<Timestamp>,
    /// What the person said.
    pub why: Option<String>,
}
