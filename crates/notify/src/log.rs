//! `log`: each event as a line of the program's own log, with its fields.

use std::sync::Arc;

use async_trait::async_trait;
use autoscalebot_core::fields::{Description, NotifyKind};
use autoscalebot_core::{Event, EventKind};

use crate::{Notify, NotifyEntry, NotifyError};

/// The target of these log lines, for filters.
pub const TARGET: &str = "autoscalebot::notify";

/// The entry in the list of channels.
pub const ENTRY: NotifyEntry = NotifyEntry {
    kind: NotifyKind {
        description: Description {
            name: "log",
            doc: "Each event as a line of the log, on standard error.",
            fields: &[],
            shorthand: &[],
        },
        check: |_| Ok(()),
    },
    build: |_| Ok(Arc::new(Log)),
};

/// Tells the log.
#[derive(Debug, Clone, Copy)]
pub struct Log;

#[async_trait]
impl Notify for Log {
    async fn send(&self, event: &Event) -> Result<(), NotifyError> {
        // The level of an event has to be known when the program is built, hence two of the same.
        macro_rules! tell {
            ($level:expr) => {
                tracing::event!(
                    target: TARGET,
                    $level,
                    at = %event.at,
                    app = %event.app,
                    process = %event.process,
                    dynos = event.dynos,
                    event = event.kind.name(),
                    topic = event.kind.topic(),
                    "{}",
                    crate::one_line(&event.to_string()),
                )
            };
        }
        match event.kind {
            EventKind::ScaleFailed | EventKind::ConditionBegan(_) | EventKind::ConditionHolds(..) => {
                tell!(tracing::Level::WARN);
            }
            EventKind::Decided | EventKind::Scaled { .. } | EventKind::ConditionEnded(..) => {
                tell!(tracing::Level::INFO);
            }
        }
        Ok(())
    }
}
