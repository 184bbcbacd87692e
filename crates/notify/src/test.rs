//! `test`: events kept in memory, for tests of settings and of programs that embed this one. Nobody is told.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use autoscalebot_core::Event;
use autoscalebot_core::fields::{Description, Field, FieldType, NotifyKind, Values};

use crate::{Notify, NotifyEntry, NotifyError};

/// The entry in the list of channels.
pub const ENTRY: NotifyEntry = NotifyEntry {
    kind: NotifyKind {
        description: Description {
            name: "test",
            doc: "Keeps the events in memory and tells nobody.",
            fields: &[Field::defaulting(
                "keep",
                FieldType::Whole(1, 100_000),
                "1000",
                "How many events are kept; the oldest go first.",
            )],
            shorthand: &[],
        },
        check: |_| Ok(()),
    },
    build: |values| Ok(Arc::new(Kept::new(keep(values)))),
};

fn keep(values: &Values) -> usize {
    values.whole("keep").and_then(|keep| usize::try_from(keep).ok()).unwrap_or(1000)
}

/// Events kept in memory. Clones share them, so a test keeps one and gives the other to a
/// [`Channel`](crate::deliver::Channel).
#[derive(Debug, Clone)]
pub struct Kept {
    events: Arc<Mutex<VecDeque<Event>>>,
    keep: usize,
}

impl Kept {
    /// Keeps the last `keep` events.
    pub fn new(keep: usize) -> Self {
        Self { events: Arc::default(), keep }
    }

    /// What was told, oldest first.
    pub fn events(&self) -> Vec<Event> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

#[async_trait]
impl Notify for Kept {
    async fn send(&self, event: &Event) -> Result<(), NotifyError> {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        if events.len() >= self.keep {
            events.pop_front();
        }
        events.push_back(event.clone());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{at, scaled};

    #[tokio::test]
    async fn the_oldest_goes_first() {
        let kept = Kept::new(2);
        for secs in 0..3 {
            kept.send(&scaled(secs)).await.unwrap();
        }
        let times: Vec<_> = kept.events().iter().map(|event| event.at).collect();
        assert_eq!(times, [at(1), at(2)]);
    }
}
