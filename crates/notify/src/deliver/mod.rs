//! Delivery: the [`Desk`] takes each event of the stream, picks for each channel what it asked for (`pick`), and a task per
//! channel tells it, in order, with a time limit, retries and an end to them (`line`).
//!
//! [`Desk::offer`] never waits: what a channel has not been told yet lies in its own bounded queue. So a channel that is slow
//! or dead delays neither the tick that made the event nor another channel, and it is never switched off: the next event is
//! tried as the first was.
//!
//! How a channel talks is in its own file beside this folder; what happened is decided in the core.

mod line;
mod pick;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use autoscalebot_core::{Condition, Event};
use jiff::{SignedDuration, Timestamp};
use tokio::task::JoinSet;

pub use line::Health;
use line::Line;
use pick::Picker;

use crate::Notify;

/// A channel with what it wants to hear.
#[derive(Debug, Clone)]
pub struct Channel {
    /// Its name in logs and in [`Health`].
    pub name: String,
    /// Whom to tell.
    pub notify: Arc<dyn Notify>,
    /// The topics to tell ([`EventKind::topic`](autoscalebot_core::EventKind::topic)).
    pub on: Vec<String>,
    /// How often to repeat a condition while it holds; `None`: never.
    pub remind: Option<SignedDuration>,
}

/// All channels, each with its queue and its task.
#[derive(Debug)]
pub struct Desk {
    counters: Vec<Counter>,
    tasks: Mutex<JoinSet<()>>,
}

#[derive(Debug)]
struct Counter {
    picker: Mutex<Picker>,
    line: Arc<Line>,
}

impl Desk {
    /// Starts a task per channel. Must be called inside a tokio runtime.
    pub fn open(channels: Vec<Channel>) -> Self {
        let mut tasks = JoinSet::new();
        let counters = channels
            .into_iter()
            .map(|channel| {
                let picker = Mutex::new(Picker::new(&channel.on, channel.remind));
                let line = Arc::new(Line::new(channel.name));
                tasks.spawn(Arc::clone(&line).run(channel.notify));
                Counter { picker, line }
            })
            .collect();
        Self { counters, tasks: Mutex::new(tasks) }
    }

    /// Hands an event to every channel that asked for it. Never waits: a full queue gives up its oldest event.
    ///
    /// Every event of the stream belongs here, [`Decided`](autoscalebot_core::EventKind::Decided) included: reminders are made
    /// from it, on the ticks' own time.
    pub fn offer(&self, event: &Event) {
        for counter in &self.counters {
            let picked = counter.picker.lock().unwrap_or_else(PoisonError::into_inner).pick(event);
            for event in picked {
                counter.line.push(event);
            }
        }
    }

    /// Tells the reminders which conditions of a process are open as the program starts, and since when. They were told by
    /// the run before; without this, "since" is the first tick.
    pub fn resume(&self, app: &Arc<str>, process: &Arc<str>, open: &[(Condition, Timestamp)]) {
        for counter in &self.counters {
            counter.picker.lock().unwrap_or_else(PoisonError::into_inner).resume(app, process, open);
        }
    }

    /// Tells what is waiting, for at most `grace`, then gives up on the rest. Nothing offered later is told.
    pub async fn close(&self, grace: Duration) {
        let mut tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        for counter in &self.counters {
            counter.line.close();
        }
        let all = async { while tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(grace, all).await.is_err() {
            tasks.shutdown().await;
        }
        for counter in &self.counters {
            counter.line.report_untold();
        }
    }

    /// How each channel does, in the order of the settings.
    pub fn health(&self) -> Vec<Health> {
        self.counters.iter().map(|counter| counter.line.health()).collect()
    }
}

#[cfg(test)]
mod tests;
