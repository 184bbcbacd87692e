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

#[cfg(test)]
mod tests {
    use autoscalebot_core::Condition;

    use super::*;
    use crate::fixture::{Paper, at, event, scaled};

    #[tokio::test]
    async fn each_event_is_a_line_with_its_fields_and_level() {
        let paper = Paper::default();
        let sink = paper.clone();
        let subscriber =
            tracing_subscriber::fmt().without_time().with_ansi(false).with_writer(move || sink.clone()).finish();
        let guard = tracing::subscriber::set_default(subscriber);
        Log.send(&scaled(0)).await.unwrap();
        let held = Condition::Paused;
        Log.send(&event(0, EventKind::ConditionBegan(held), &[held])).await.unwrap();
        Log.send(&event(60, EventKind::ConditionEnded(held, at(0)), &[])).await.unwrap();
        drop(guard);
        let text = paper.text();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(
            lines[0].trim_start(),
            "INFO autoscalebot::notify: shop/web: scaled from 3 to 4 dynos: heartbeat: 3 readings in a row were too high \
             at=2012-07-10T03:59:00Z app=shop process=web dynos=4 event=\"scaled\" topic=\"scaled\""
        );
        assert!(
            lines[1].trim_start().starts_with("WARN autoscalebot::notify: shop/web: the process is paused by hand")
        );
        assert!(lines[2].trim_start().starts_with("INFO autoscalebot::notify: shop/web: ended after 1 min"));
    }
}
