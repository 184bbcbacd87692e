//! Setting quantities: one batch call, and what happens when Heroku refuses it as a whole. What runs is read in `mod.rs`;
//! what fits under a limit is `limit.rs`.
//!
//! A batch with one bad change is refused as a whole, and after an error nothing is assumed to be set: the next tick reads
//! the formation anew. Whether Heroku sets part of a batch that it refuses with 422 is not documented; if it did, what goes
//! out again would set the same quantities once more, which changes nothing. So that one process does not hold back the
//! others, and above all not a lowering:
//! - a limit with a number: once again, with the raising changes cut to what fits; if that is refused too, the lowering ones
//!   alone;
//! - a limit without a number, an unknown process type (404) or any other 422 on several changes: once again, one by one;
//! - a change that was refused on its own is not sent again at each tick, but after a pause that grows.

use autoscalebot_core::Dynos;
use jiff::Timestamp;
use tokio::time::Instant;

use super::answer::{self, Refused};
use super::limit::{Fit, LimitOf, fit, raises};
use super::wait::GrowingPause;
use super::wire::Call;
use super::{Doing, Heroku, path_of, update};
use crate::{Change, Formation, PlatformError, Scaled};

/// A change of one process that was refused on its own, and is not tried again for a while.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// Which way it went.
    raising: bool,
    /// What was asked for.
    quantity: Dynos,
    pause: GrowingPause<Refused>,
}

impl Held {
    /// The refusal, if this change would meet it again: the same direction, and for a raise at least as many.
    fn holds(&self, change: &Change, raising: bool, now: Timestamp) -> Option<Refused> {
        let same = self.raising == raising && (!raising || change.quantity >= self.quantity);
        self.pause.holds(now).filter(|_| same)
    }
}

type Outcome = Result<Scaled, PlatformError>;

/// One scaling of one app.
#[derive(Debug)]
pub(super) struct Batch<'a> {
    heroku: &'a Heroku,
    app: &'a str,
    changes: &'a [Change],
    before: &'a Formation,
    now: Timestamp,
    started: Instant,
    /// In the order of the changes; none: not decided yet.
    outcomes: Vec<Option<Outcome>>,
}

/// One change as it is sent: its place in the batch, and the quantity.
#[derive(Debug, Clone, Copy)]
struct Sent {
    place: usize,
    quantity: Dynos,
    /// The room that it was cut to.
    limit: Option<Dynos>,
}

impl<'a> Batch<'a> {
    pub(super) fn new(
        heroku: &'a Heroku,
        app: &'a str,
        changes: &'a [Change],
        before: &'a Formation,
        now: Timestamp,
    ) -> Self {
        let outcomes = vec![None; changes.len()];
        Self { heroku, app, changes, before, now, started: Instant::now(), outcomes }
    }

    pub(super) async fn run(mut self) -> Vec<Outcome> {
        let whole = self.not_held();
        if !whole.is_empty() {
            match self.patch(&whole).await {
                Ok(()) => {}
                Err(Refused::Limit { limit: Some(limit), of, said }) => self.at_limit(&whole, limit, of, said).await,
                Err(Refused::Limit { .. } | Refused::Missing(_) | Refused::Invalid(_)) if whole.len() > 1 => {
                    self.one_by_one(&whole).await;
                }
                Err(refused) => self.refuse(&whole, &refused),
            }
        }
        let missed = || Err(PlatformError::Unavailable("the change was not sent".into()));
        self.outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(missed)).collect()
    }

    /// The changes that are to be sent; the others meet a refusal that is still held against them.
    fn not_held(&mut self) -> Vec<Sent> {
        let mut sent = Vec::with_capacity(self.changes.len());
        for (place, change) in self.changes.iter().enumerate() {
            let raising = raises(change, self.before);
            let held = self.heroku.with_app(self.app, |state| {
                let own = || state.held.get(&change.process)?.holds(change, raising, self.now);
                state.writes.holds(self.now).or_else(own)
            });
            match held {
                Some(refused) => self.outcomes[place] = Some(Err(self.error(place, refused))),
                None => sent.push(Sent { place, quantity: change.quantity, limit: None }),
            }
        }
        sent
    }

    /// Once more at the limit that Heroku named.
    async fn at_limit(&mut self, whole: &[Sent], limit: Dynos, of: LimitOf, said: String) {
        let changes: Vec<Change> = whole.iter().map(|sent| self.changes[sent.place].clone()).collect();
        let fits = fit(&changes, self.before, limit, of);
        if fits.iter().all(|fit| *fit == Fit::Whole) {
            // The limit that was named would allow all of it: it says nothing about what is wrong.
            let refused = Refused::Limit { limit: None, of, said };
            return if whole.len() > 1 { self.one_by_one(whole).await } else { self.refuse(whole, &refused) };
        }
        let mut again = Vec::with_capacity(whole.len());
        for (sent, fit) in whole.iter().zip(fits) {
            match fit {
                Fit::Whole => again.push(*sent),
                Fit::Cut(room) => again.push(Sent { quantity: room, limit: Some(room), ..*sent }),
                Fit::Full(room) => {
                    let error =
                        PlatformError::OverLimit { limit: Some(room), message: self.limit_message(&said, room) };
                    self.outcomes[sent.place] = Some(Err(error));
                }
            }
        }
        if again.is_empty() {
            return;
        }
        match self.patch(&again).await {
            Ok(()) => {}
            Err(refused @ (Refused::Limit { .. } | Refused::Missing(_) | Refused::Invalid(_))) => {
                let (raising, lowering): (Vec<Sent>, Vec<Sent>) =
                    again.iter().partition(|sent| raises(&self.changes[sent.place], self.before));
                // A second limit is not followed: with each, less would be asked for, call after call.
                let refused = match refused {
                    Refused::Limit { of, said, .. } => Refused::Limit { limit: None, of, said },
                    other => other,
                };
                self.refuse(&raising, &refused);
                if !lowering.is_empty()
                    && let Err(refused) = self.patch(&lowering).await
                {
                    self.refuse(&lowering, &refused);
                }
            }
            Err(refused) => self.refuse(&again, &refused),
        }
    }

    /// Each change in a call of its own, lowering ones first: they make room.
    async fn one_by_one(&mut self, whole: &[Sent]) {
        let mut order = whole.to_vec();
        order.sort_by_key(|sent| raises(&self.changes[sent.place], self.before));
        for (index, sent) in order.iter().enumerate() {
            if let Err(refused) = self.patch(&[*sent]).await {
                self.refuse(&[*sent], &refused);
                let only_this = matches!(refused, Refused::Limit { .. } | Refused::Missing(_) | Refused::Invalid(_));
                if !only_this {
                    // The rest would meet the same: a refused key, a wait, a time budget that is used up.
                    self.refuse(&order[index + 1..], &refused);
                    return;
                }
            }
        }
    }

    /// Sends some of the changes in one call. When it is answered well, their outcomes are set.
    async fn patch(&mut self, sent: &[Sent]) -> Result<(), Refused> {
        let path = path_of(self.app)?;
        let updates: Vec<_> = sent.iter().map(|sent| update(&self.changes[sent.place], sent.quantity)).collect();
        let patch = serde_json::json!({ "updates": updates }).to_string();
        let call = Call { path: &path, patch: Some(patch), ..Call::default() };
        // Two calls' time for all the calls of a scaling together.
        let whole_budget = self.started + self.heroku.call_budget * 2;
        let deadline = (Instant::now() + self.heroku.call_budget).min(whole_budget);
        // Whatever comes of it, what was known of the formation may be over.
        self.heroku.with_app(self.app, |state| state.last = None);
        let answer = self.heroku.call(&call, self.now, self.started, deadline).await?;
        let entries = answer::entries(&answer)?;
        for sent in sent {
            let process = &self.changes[sent.place].process;
            let set = entries.iter().find(|entry| entry.process == *process).map(|entry| entry.quantity);
            let outcome = if set == Some(sent.quantity) {
                self.heroku.with_app(self.app, |state| state.held.remove(process));
                Ok(Scaled { quantity: sent.quantity, limit: sent.limit })
            } else {
                let set = set.map_or_else(|| "no quantity".to_owned(), |set| set.to_string());
                Err(PlatformError::Unavailable(format!(
                    "{process} of {:?} was to be set to {}, and the answer has {set} for it: it is read again at the next tick",
                    self.app, sent.quantity
                )))
            };
            self.outcomes[sent.place] = Some(outcome);
        }
        self.heroku.with_app(self.app, |state| state.writes.clear());
        Ok(())
    }

    /// Sets one refusal as the outcome of some changes, and remembers it where asking again at each tick would be no use.
    fn refuse(&mut self, sent: &[Sent], refused: &Refused) {
        for sent in sent {
            let change = &self.changes[sent.place];
            let raising = raises(change, self.before);
            let mut refused = refused.clone();
            if let Refused::Limit { limit: Some(limit), of, .. } = &refused {
                // Named for the change on its own, after the batch was refused.
                let room = match fit(std::slice::from_ref(change), self.before, *limit, *of).first() {
                    Some(Fit::Cut(room) | Fit::Full(room)) => Some(*room),
                    _ => None,
                };
                if let Refused::Limit { limit, .. } = &mut refused {
                    *limit = room;
                }
            }
            self.heroku.with_app(self.app, |state| match &refused {
                Refused::Access(_) => state.writes.refuse(refused.clone(), self.now),
                Refused::Limit { limit: None, .. } | Refused::Missing(_) | Refused::Invalid(_) => {
                    let held = state.held.entry(change.process.clone()).or_default();
                    if held.raising != raising {
                        held.pause.clear();
                    }
                    held.raising = raising;
                    held.quantity = change.quantity;
                    held.pause.refuse(refused.clone(), self.now);
                }
                _ => {}
            });
            self.outcomes[sent.place] = Some(Err(self.error(sent.place, refused)));
        }
    }

    /// A refusal of one change in words: of that process alone, so that the words are the same at the next tick.
    fn error(&self, place: usize, refused: Refused) -> PlatformError {
        self.heroku.error(self.app, Doing::Scale(&self.changes[place].process), refused)
    }

    fn limit_message(&self, said: &str, room: Dynos) -> String {
        format!("Heroku allows no more than the {room} dynos that are wanted now ({said})")
    }
}
