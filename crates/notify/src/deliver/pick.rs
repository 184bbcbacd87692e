//! Which events a channel is told, and when it is reminded. No clock: the time of a reminder comes from the ticks, so
//! virtual time works as real time does.

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
    /// When the channel heard of it last.
    told: Timestamp,
}

impl Picker {
    pub(super) fn new(on: &[String], remind: Option<SignedDuration>) -> Self {
        Self { on: on.to_vec(), remind: remind.filter(SignedDuration::is_positive), open: HashMap::new() }
    }

    /// What to tell because of this event, in order.
    pub(super) fn pick(&mut self, event: &Event) -> Vec<Event> {
        let mut picked = Vec::new();
        if self.wants(event.kind.topic()) {
            picked.push(event.clone());
        }
        let Some(remind) = self.remind else { return picked };
        match event.kind {
            EventKind::Decided => self.remind(event, remind, &mut picked),
            EventKind::ConditionBegan(condition) if self.wants(condition.as_str()) => {
                let open = self.open.entry(key(event)).or_default();
                open.retain(|open| open.condition != condition);
                open.push(Open { condition, began: event.at, told: event.at });
            }
            _ => {}
        }
        picked
    }

    fn wants(&self, topic: &str) -> bool {
        self.on.iter().any(|wanted| wanted == topic)
    }

    /// A tick: conditions that hold and were told of long enough ago are told again.
    ///
    /// A condition that is open here for the first time began in this very tick (its own event follows), or it was open
    /// when the program started: then it was told by the run before, and is due one interval from now.
    fn remind(&mut self, event: &Event, remind: SignedDuration, picked: &mut Vec<Event>) {
        let holding = &event.record.conditions;
        let key = key(event);
        if holding.is_empty() && !self.open.contains_key(&key) {
            return;
        }
        let wanted: Vec<Condition> = holding.iter().copied().filter(|held| self.wants(held.as_str())).collect();
        let open = self.open.entry(key.clone()).or_default();
        open.retain(|open| wanted.contains(&open.condition));
        for condition in wanted {
            match open.iter_mut().find(|open| open.condition == condition) {
                None => open.push(Open { condition, began: event.at, told: event.at }),
                Some(open) if event.at.duration_since(open.told) >= remind => {
                    open.told = event.at;
                    picked.push(Event { kind: EventKind::ConditionHolds(condition, open.began), ..event.clone() });
                }
                Some(_) => {}
            }
        }
        if open.is_empty() {
            self.open.remove(&key);
        }
    }
}

fn key(event: &Event) -> (Arc<str>, Arc<str>) {
    (Arc::clone(&event.app), Arc::clone(&event.process))
}
