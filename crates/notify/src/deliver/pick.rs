//! Which events a channel is told, and when it is reminded. No clock: the time of a reminder comes from the ticks, so
//! virtual time works as real time does.
//!
//! Reminders are due at whole intervals since the condition began: told at 10:00 with an hour between, they come with the
//! first tick at or after 11:00, 12:00, …, and a restart at 11:30 changes nothing of it.

use std::collections::HashMap;
use std::sync::Arc;

use autoscalebot_core::{Condition, Event, EventKind};
use jiff::{SignedDuration, Timestamp};

/// The choice of one channel.
#[derive(Debug)]
pub(super) struct Picker {
    on: Vec<String>,
    remind: Option<SignedDuration>,
    /// The conditions that hold and are in `on`, for each process; only kept where `remind` is set.
    open: HashMap<(Arc<str>, Arc<str>), Vec<Open>>,
}

#[derive(Debug)]
struct Open {
    condition: Condition,
    began: Timestamp,
    /// Whole intervals since it began, when a tick last looked; `None`: none looked yet.
    intervals: Option<i128>,
}

impl Picker {
    pub(super) fn new(on: &[String], remind: Option<SignedDuration>) -> Self {
        Self { on: on.to_vec(), remind: remind.filter(SignedDuration::is_positive), open: HashMap::new() }
    }

    /// Conditions that were open before the program started.
    pub(super) fn resume(&mut self, app: &Arc<str>, process: &Arc<str>, open: &[(Condition, Timestamp)]) {
        if self.remind.is_none() {
            return;
        }
        let open: Vec<_> = open
            .iter()
            .filter(|(condition, _)| self.wants(condition.as_str()))
            .map(|&(condition, began)| Open { condition, began, intervals: None })
            .collect();
        if !open.is_empty() {
            self.open.insert((Arc::clone(app), Arc::clone(process)), open);
        }
    }

    /// What to tell because of this event, in order.
    pub(super) fn pick(&mut self, event: &Event) -> Vec<Event> {
        let mut picked = Vec::new();
        if self.wants(event.kind.topic()) {
            picked.push(event.clone());
        }
        // Every tick is decided before its conditions begin or end, so its record alone says what to remind of.
        if let (EventKind::Decided, Some(remind)) = (&event.kind, self.remind) {
            self.remind(event, remind, &mut picked);
        }
        picked
    }

    fn wants(&self, topic: &str) -> bool {
        self.on.iter().any(|wanted| wanted == topic)
    }

    /// A tick: conditions that hold, and of which another interval has passed, are told again.
    ///
    /// One that is seen here for the first time began in this very tick (its own event follows).
    fn remind(&mut self, event: &Event, remind: SignedDuration, picked: &mut Vec<Event>) {
        let holding = &event.record.conditions;
        let key = (Arc::clone(&event.app), Arc::clone(&event.process));
        if holding.is_empty() {
            self.open.remove(&key);
            return;
        }
        let wanted: Vec<Condition> = holding.iter().copied().filter(|held| self.wants(held.as_str())).collect();
        if wanted.is_empty() {
            self.open.remove(&key);
            return;
        }
        let open = self.open.entry(key).or_default();
        open.retain(|open| wanted.contains(&open.condition));
        for condition in wanted {
            let Some(open) = open.iter_mut().find(|open| open.condition == condition) else {
                open.push(Open { condition, began: event.at, intervals: Some(0) });
                continue;
            };
            let now = event.at.duration_since(open.began).as_nanos() / remind.as_nanos();
            if open.intervals.is_some_and(|before| now > before) {
                picked.push(Event { kind: EventKind::ConditionHolds(condition, open.began), ..event.clone() });
            }
            // A clock that was set back repeats no reminder.
            open.intervals = Some(open.intervals.map_or(now, |before| before.max(now)));
        }
    }
}
