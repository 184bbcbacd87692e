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
}

/// A person said to leave a process alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// Until when; `None`: until resumed.
    pub until: Option<Timestamp>,
    /// What the person said.
    pub why: Option<String>,
}
