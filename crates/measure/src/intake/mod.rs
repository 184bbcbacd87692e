//! What is sent to us rather than asked for: log drains, reports of adapters inside apps, pushed samples. One [`Intake`] for
//! the whole program knows who may send what, by the token in the URL or header, and hands it to the measurements that wait
//! for it.
//!
//! The HTTP side is the server's: it gives [`Intake::accept`] a path, headers and a whole body, and sends back the [`Reply`].
//! How each sender writes is in the folder of its kind; windows, clocks and tokens are in the files beside this one.

pub mod logplex;

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;

/// What tells the time of receipt.
type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Everything that is sent to this program, and who waits for it.
pub struct Intake {
    clock: Clock,
}

impl Default for Intake {
    /// An intake on the system's clock.
    fn default() -> Self {
        Self::new(Timestamp::now)
    }
}

impl fmt::Debug for Intake {
    /// Without tokens.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Intake").finish_non_exhaustive()
    }
}

impl Intake {
    /// An intake on this clock.
    pub fn new(clock: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self { clock: Arc::new(clock) }
    }

    /// The instant of receipt.
    pub fn now(&self) -> Timestamp {
        (self.clock)()
    }
}

/// What to answer a sender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The type of the body.
    pub content_type: &'static str,
    /// The body.
    pub body: String,
}
