//! What the seasons of a measurement say is coming, for the policy `forecast`: learned from the store once, and from each reading
//! after that. Reading and learning take a thread of their own, and no tick waits for them longer than for any other advice.

use std::sync::{Arc, Mutex, TryLockError};

use async_trait::async_trait;
use autoscalebot_core::{Advice, Question};
use autoscalebot_engine::Advise;
use autoscalebot_forecast::{BUCKET, LONGEST, Learner, Past};
use autoscalebot_store::{Place, ProcessKey, SampleQuery, Store, StoreError};
use jiff::{SignedDuration, Timestamp};

/// The store is asked again after this where it could not be read.
const AGAIN: SignedDuration = SignedDuration::from_mins(5);

/// The seasons of one measurement.
#[derive(Debug)]
pub(crate) struct Seasons(Arc<Known>);

#[derive(Debug)]
struct Known {
    store: Place,
    key: ProcessKey,
    measurement: String,
    ahead: SignedDuration,
    learning: Mutex<Learning>,
}

#[derive(Debug)]
struct Learning {
    learner: Learner,
    /// What came since the start, while the store has not been read.
    since: Vec<(Timestamp, f64)>,
    /// When the store was asked last without an answer; none: it was read, or not asked yet.
    asked: Option<Timestamp>,
    read: bool,
}

/// So many readings are held until the store is read.
const MOST_HELD: usize = 10_000;

impl Seasons {
    /// Nothing is read yet.
    pub(crate) fn new(store: Place, key: ProcessKey, measurement: &str, ahead: SignedDuration) -> Self {
        let learner = Learner::new(Past::default(), ahead);
        let learning = Mutex::new(Learning { learner, since: Vec::new(), asked: None, read: false });
        Self(Arc::new(Known { store, key, measurement: measurement.to_owned(), ahead, learning }))
    }
}

impl Known {
    /// The advice; none where another thread is learning.
    fn advise(&self, question: &Question, may_take_long: bool) -> Option<Advice> {
        let mut learning = match self.learning.try_lock() {
            Ok(learning) => learning,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return Some(nothing("the seasons are being learned")),
        };
        // The second time, on a thread that may wait, the reading is known already.
        let newest = question.samples.last().filter(|_| !may_take_long);
        if let Some((at, load)) = newest.and_then(|sample| Some((sample.at, sample.value?))) {
            learning.learner.see(at, load);
            if !learning.read && learning.since.len() < MOST_HELD {
                learning.since.push((at, load));
            }
        }
        let at = question.at;
        let ask = !learning.read && learning.asked.is_none_or(|asked| at.duration_since(asked) >= AGAIN);
        if (ask || learning.learner.is_due(at)) && !may_take_long {
            return None;
        }
        if ask {
            match self.stored(at) {
                Ok(past) => {
                    let since = std::mem::take(&mut learning.since);
                    learning.learner = Learner::new(Past::new(past.into_iter().chain(since)), self.ahead);
                    learning.read = true;
                }
                Err(error) => {
                    tracing::warn!(%error, process = self.key.process, "the past cannot be read: nothing is foretold from it");
                    learning.asked = Some(at);
                }
            }
        }
        if learning.learner.is_due(at) {
            learning.learner.learn(at);
        }
        Some(match learning.learner.expect(at) {
            Ok(expected) => Advice { expected: Some(expected), ..Advice::default() },
            Err(why) => nothing(why),
        })
    }

    /// The means of the past, from the store.
    fn stored(&self, at: Timestamp) -> Result<Vec<(Timestamp, f64)>, StoreError> {
        let store = Store::connect(&self.store)?;
        let from = at.checked_sub(LONGEST).unwrap_or(Timestamp::UNIX_EPOCH);
        let buckets = usize::try_from(LONGEST.as_secs() / BUCKET.as_secs()).unwrap_or(1);
        let measurement = Some(self.measurement.clone());
        let query = SampleQuery { key: self.key.clone(), measurement, from, to: at, buckets };
        let mut past = Vec::new();
        for series in store.samples(&query)? {
            // Of older times there may be hours: each stands for all that it covers.
            let parts = (series.width.as_secs() / BUCKET.as_secs()).max(1);
            for bucket in series.buckets.iter().filter(|bucket| bucket.count > 0) {
                past.extend((0..parts).filter_map(|part| {
                    let offset = SignedDuration::from_secs(part * BUCKET.as_secs());
                    Some((bucket.at.checked_add(offset).ok()?, bucket.mean))
                }));
            }
        }
        Ok(past)
    }
}

fn nothing(why: &str) -> Advice {
    Advice { why: why.into(), ..Advice::default() }
}

#[async_trait]
impl Advise for Seasons {
    async fn advise(&self, question: &Question) -> Advice {
        if let Some(advice) = self.0.advise(question, false) {
            return advice;
        }
        let (known, question) = (Arc::clone(&self.0), question.clone());
        let learned = tokio::task::spawn_blocking(move || known.advise(&question, true)).await;
        learned.ok().flatten().unwrap_or_else(|| nothing("the seasons are being learned"))
    }

    async fn probe(&self) -> Result<String, String> {
        Ok("learns from the store".to_owned())
    }
}
