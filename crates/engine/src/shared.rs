//! What the loops of all apps share.

use std::sync::Arc;

use autoscalebot_core::Event;
use autoscalebot_notify::deliver::Desk;
use autoscalebot_store::ProcessKey;
use tokio::sync::{broadcast, watch};

use crate::board::Board;
use crate::clock::Clock;
use crate::memory::Memory;
use crate::plan::Mode;

/// What the loops of all apps share.
pub(crate) struct Shared {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) mode: Mode,
    pub(crate) memory: Memory,
    /// The process that tells for all how the store is: the one that ticks most often.
    pub(crate) teller: Option<ProcessKey>,
    pub(crate) desk: Desk,
    pub(crate) events: broadcast::Sender<Event>,
    pub(crate) board: Board,
    /// True once the program was told to stop.
    pub(crate) stop: watch::Receiver<bool>,
}
