//! Which dynos serve. A formation's quantity is what is wanted; the list of dynos tells which of them are up, at the cost of
//! one more call for each look. So it is read only after a quantity rose, until all that are wanted are up, and for
//! [`WATCH`] at most. States are those of <https://devcenter.heroku.com/articles/platform-api-reference#dyno>.

use std::collections::BTreeMap;
use std::time::Duration;

use autoscalebot_core::Dynos;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use tokio::time::Instant;

use super::answer::Refused;
use super::wire::{Answer, Call};
use super::{Heroku, path_of};

/// Dynos that are not up by then have another trouble than starting: a dyno has 60 s to take its port, 180 s at most.
const WATCH: SignedDuration = SignedDuration::from_mins(10);

/// The longest that a look may take: a tick goes on without it.
const LOOK_BUDGET: Duration = Duration::from_secs(5);

/// What is remembered between ticks.
#[derive(Debug, Default)]
pub(super) struct Serving {
    /// The quantities of the last tick.
    before: BTreeMap<String, Dynos>,
    /// When a quantity was last seen to rise, while not all dynos were seen up since.
    rose: Option<Timestamp>,
}

impl Serving {
    /// Takes note of a tick's quantities: whether dynos may be starting.
    fn may_start(&mut self, quantities: &BTreeMap<String, Dynos>, now: Timestamp) -> bool {
        // Of a process that is new nothing is known: it may have run for years.
        let rises = |(process, quantity): (&String, &Dynos)| self.before.get(process).is_some_and(|was| quantity > was);
        if quantities.iter().any(rises) {
            self.rose = Some(now);
        }
        if self.before != *quantities {
            self.before.clone_from(quantities);
        }
        // A clock that was set back ends the watch as well.
        self.rose = self.rose.filter(|rose| *rose <= now && now.duration_since(*rose) < WATCH);
        self.rose.is_some()
    }
}

/// A dyno, as far as this program needs it.
#[derive(Debug, Deserialize)]
struct Dyno {
    #[serde(rename = "type")]
    process: String,
    state: String,
}

/// How many dynos of each process serve, of so many that are wanted.
fn up(answer: &Answer, quantities: &BTreeMap<String, Dynos>) -> Result<BTreeMap<String, Dynos>, Refused> {
    if answer.status == 206 && answer.next_range.is_some() {
        return Err(Refused::Broken("more dynos than one page holds".into()));
    }
    let dynos: Vec<Dyno> = serde_json::from_slice(&answer.body)
        .map_err(|_| Refused::Broken("a list of dynos that is not whole JSON".into()))?;
    let mut up: BTreeMap<String, Dynos> = quantities.keys().map(|process| (process.clone(), 0)).collect();
    // One that sleeps wakes for its first request.
    for dyno in dynos.iter().filter(|dyno| matches!(dyno.state.as_str(), "up" | "idle")) {
        if let Some(count) = up.get_mut(&dyno.process) {
            *count = count.saturating_add(1);
        }
    }
    // One that is being stopped may be in the list yet.
    for (process, count) in &mut up {
        *count = (*count).min(quantities.get(process).copied().unwrap_or(0));
    }
    Ok(up)
}

impl Heroku {
    /// How many dynos of each process serve, while some may be starting; empty where that is not known. Never an error, and
    /// never long: the formation is good without it.
    pub(super) async fn serving(
        &self,
        app: &str,
        quantities: &BTreeMap<String, Dynos>,
        now: Timestamp,
    ) -> BTreeMap<String, Dynos> {
        if !self.with_app(app, |state| state.serving.may_start(quantities, now)) {
            return BTreeMap::new();
        }
        match self.look(app, quantities, now).await {
            Ok(up) => {
                if up == *quantities {
                    self.with_app(app, |state| state.serving.rose = None);
                }
                up
            }
            Err(refused) => {
                tracing::debug!(app, ?refused, "which dynos serve is not known");
                BTreeMap::new()
            }
        }
    }

    async fn look(
        &self,
        app: &str,
        quantities: &BTreeMap<String, Dynos>,
        now: Timestamp,
    ) -> Result<BTreeMap<String, Dynos>, Refused> {
        let started = Instant::now();
        let path = ["apps", path_of(app)?[1], "dynos"];
        let call = Call { path: &path, ..Call::default() };
        let deadline = started + LOOK_BUDGET.min(self.call_budget);
        up(&self.call(&call, now, started, deadline).await?, quantities)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quantities(web: Dynos, worker: Dynos) -> BTreeMap<String, Dynos> {
        BTreeMap::from([("web".into(), web), ("worker".into(), worker)])
    }

    #[test]
    fn it_is_looked_at_after_a_rise_alone() {
        let at = |secs: i64| Timestamp::UNIX_EPOCH + SignedDuration::from_secs(secs);
        let mut serving = Serving::default();
        // What is there at the start, the same again, fewer, more, as many for 10 min, a clock set back.
        for (secs, web, worker, looks) in [
            (0, 3, 1, false),
            (30, 3, 1, false),
            (60, 1, 1, false),
            (90, 2, 1, true),
            (120, 2, 0, true),
            (689, 2, 0, true),
            (690, 2, 0, false),
            (700, 2, 1, true),
            (600, 2, 1, false),
        ] {
            assert_eq!(serving.may_start(&quantities(web, worker), at(secs)), looks, "{secs} s");
        }
    }

    #[test]
    fn what_is_up_serves() {
        let list = |states: &[(&str, &str)]| {
            let dynos: Vec<_> = states
                .iter()
                .map(|(kind, state)| serde_json::json!({"type": kind, "state": state, "name": "x"}))
                .collect();
            Answer { status: 200, body: serde_json::to_vec(&dynos).unwrap(), ..Answer::default() }
        };
        let states =
            [("web", "up"), ("web", "starting"), ("web", "crashed"), ("web", "down"), ("run", "up"), ("web", "new")];
        assert_eq!(up(&list(&states), &quantities(5, 1)), Ok(quantities(1, 0)));
        assert_eq!(up(&list(&[("web", "idle"), ("worker", "up")]), &quantities(1, 1)), Ok(quantities(1, 1)));
        assert_eq!(
            up(&list(&[("web", "up"), ("web", "up")]), &quantities(1, 0)),
            Ok(quantities(1, 0)),
            "one is stopping"
        );
        for (status, body) in [(200, "{}"), (200, "[{\"type\":\"web\"}]"), (200, "<html>"), (200, "")] {
            let answer = Answer { status, body: body.into(), ..Answer::default() };
            assert!(up(&answer, &quantities(1, 1)).is_err(), "{body}");
        }
        let page = Answer { status: 206, next_range: Some("id x..".into()), ..list(&[("web", "up")]) };
        assert!(up(&page, &quantities(1, 0)).is_err());
    }
}
