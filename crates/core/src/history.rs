//! The evidence a policy decides on: the samples of one measurement since the last scale, newest last, bounded by the
//! policy's [`Window`].

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::learned::Learned;
use crate::policy::Policy;
use crate::{Detail, Dynos, Verdict};

/// One counted sample.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// When it was received.
    pub at: Timestamp,
    /// How it lay to the wanted range; never `unknown`, as an unknown sample is no evidence.
    pub verdict: Verdict,
    /// The value; none for a failure that counts as too slow.
    pub value: Option<f64>,
    /// What else the source told.
    #[serde(default)]
    pub detail: Detail,
    /// Dynos that served then, where that was known.
    #[serde(default)]
    pub ready: Option<Dynos>,
}

/// How much evidence a policy needs to keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// At most so many samples.
    pub samples: usize,
    /// None older than this.
    pub span: SignedDuration,
}

/// The samples of one measurement that count.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    points: VecDeque<Point>,
    /// The instant of the newest sample seen, counted or not: a sample is never counted twice.
    seen: Option<Timestamp>,
    /// What the policy learned from all of them so far.
    #[serde(default)]
    learned: Learned,
}

impl History {
    /// No samples.
    pub(crate) const EMPTY: Self = Self { points: VecDeque::new(), seen: None, learned: Learned::EMPTY };

    /// Whether a sample of this instant has not been seen yet.
    pub fn is_new(&self, at: Timestamp) -> bool {
        self.seen.is_none_or(|seen| at > seen)
    }

    /// Notes that a sample of this instant was seen, and counts it where it is evidence; the policy learns from it.
    pub(crate) fn add(&mut self, at: Timestamp, point: Option<Point>, policy: &dyn Policy) {
        let window = policy.window();
        self.seen = self.seen.max(Some(at));
        if let Some(point) = point {
            policy.learn(&mut self.learned, &point);
            self.points.push_back(point);
        }
        while self.points.len() > window.samples
            || self.points.front().is_some_and(|oldest| at.duration_since(oldest.at) > window.span)
        {
            self.points.pop_front();
        }
    }

    /// Forgets the evidence; what was seen stays seen, and what was learned stays learned.
    pub(crate) fn clear(&mut self) {
        self.points.clear();
    }

    /// Forgets what is to be seen anew after a restart.
    pub(crate) fn restart(&mut self) {
        self.points.clear();
        self.learned.restart();
    }

    /// How many samples count.
    pub fn len(&self) -> usize {
        self.points.len()
    }

    /// Whether no sample counts.
    pub fn is_empty(&self) -> bool {
        self.points.is_empty()
    }
}

/// The history together with the sample of this tick.
#[derive(Debug, Clone, Copy)]
pub struct Evidence<'a> {
    past: &'a History,
    new: Option<Point>,
}

impl<'a> Evidence<'a> {
    /// The history as it stands, and the new sample where there is one that counts.
    pub fn new(past: &'a History, new: Option<Point>) -> Self {
        Self { past, new }
    }

    /// What the policy learned from all samples before the newest.
    pub fn learned(&self) -> &'a Learned {
        &self.past.learned
    }

    /// Newest first.
    pub fn newest_first(&self) -> impl Iterator<Item = Point> + 'a {
        self.new.into_iter().chain(self.past.points.iter().rev().copied())
    }

    /// The newest sample.
    pub fn newest(&self) -> Option<Point> {
        self.new.or_else(|| self.past.points.back().copied())
    }

    /// The samples of the last `span` before `at`, newest first; one that is exactly so old is not among them.
    pub fn within(&self, at: Timestamp, span: SignedDuration) -> impl Iterator<Item = Point> + 'a {
        self.newest_first().take_while(move |point| at.duration_since(point.at) < span)
    }

    /// Whether the samples reach back so far: until they do, nothing is lowered on their word. Where so many samples are kept
    /// as `window` allows, they reach as far as they ever will.
    pub fn covers(&self, at: Timestamp, span: SignedDuration, window: Window) -> bool {
        let oldest = self.past.points.front().or(self.new.as_ref());
        oldest.is_some_and(|oldest| at.duration_since(oldest.at) >= span)
            || self.past.len() + usize::from(self.new.is_some()) >= window.samples
    }

    /// How many of the newest samples in a row have this verdict.
    pub fn run_of(&self, verdict: Verdict) -> usize {
        self.newest_first().take_while(|point| point.verdict == verdict).count()
    }
}
