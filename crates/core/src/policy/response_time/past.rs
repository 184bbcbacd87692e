//! What the past says: how busy the servers were, how the load rises, what waits, and which dynos will serve.

use jiff::SignedDuration;

use super::line::{Line, Load};
use super::{CHANCE_OF_ONE, DRAIN_SECS, ResponseTime, TREND};
use crate::Dynos;
use crate::history::Point;
use crate::policy::PolicyInput;

/// What the past says.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Past {
    /// Servers that were busy in the busiest minute.
    pub(super) highest: f64,
    /// Servers that are busy now, free of what is chance in one reading.
    pub(super) busy: f64,
    /// The longest mean time to serve a request.
    pub(super) service_secs: f64,
    /// By how many busy servers the load rises within `lead`.
    pub(super) rise: f64,
    /// The dynos that serve: those that were there `lead` ago.
    pub(super) serving: Dynos,
    /// For how long all readings were slower than the objective, with as many dynos as now.
    pub(super) slow_since: Option<SignedDuration>,
    /// Whether any reading within `lead` was.
    pub(super) slow_lately: bool,
}

impl ResponseTime {
    /// The dynos that serve: no more than were there at any reading since `lead` ago.
    pub(super) fn serving(&self, input: &PolicyInput<'_>) -> Dynos {
        let ready = input.evidence.within(input.at, self.lead).filter_map(|point| point.ready);
        ready.fold(input.ready, Dynos::min)
    }

    /// What the readings and what was learned say about the past; `load` is the newest, with its wait taken out.
    pub(super) fn past(&self, input: &PolicyInput<'_>, newest: &Point, load: Load) -> Past {
        let served = load.service_secs;
        let (mut long, mut short, mut before) = (Line::default(), Line::default(), Line::default());
        let mut past = Past { slow_lately: self.is_slow(newest), serving: self.serving(input), ..Past::default() };
        let mut unbroken = true;
        for point in input.evidence.within(input.at, self.span()) {
            let age = input.at.duration_since(point.at);
            // As slow as this, with as many dynos as now, ever since when?
            let slow = self.is_slow(&point);
            unbroken &= slow && point.ready == Some(input.ready);
            if unbroken {
                past.slow_since = Some(age);
            }
            past.slow_lately |= slow && age < self.lead;
            let Some(then) = self.load(&point) else { continue };
            let then = then.at(served);
            if age < TREND {
                long.add(-age.as_secs_f64(), then.offered);
            }
            if age >= self.short_trend() && age < TREND {
                before.add(-age.as_secs_f64(), then.offered);
            }
            if age < self.short_trend() {
                short.add(-age.as_secs_f64(), then.offered);
                past.service_secs = past.service_secs.max(then.service_secs);
            }
        }
        // What a reading differs from the line by chance was seen before; a jump is no chance, and is believed at once.
        let spread = before.fit().1;
        past.highest = short.mean(load.offered);
        past.busy = past.highest.max(load.offered - CHANCE_OF_ONE * spread);
        for slot in input.evidence.learned().within(input.at, self.lower_after, self.slot_secs()) {
            past.highest = past.highest.max(if self.wait_included { slot.rate * served } else { slot.offered });
            let service_secs = match self.wait_included {
                true => served,
                false => self.weighed(slot.service_secs, slot.rate * self.minute_secs(), served),
            };
            past.service_secs = past.service_secs.max(service_secs);
        }
        let lead = self.lead.as_secs_f64();
        past.rise = long.rise(lead).max(short.clear_rise(lead, spread));
        past
    }

    /// The servers that do the work of the requests that will wait when dynos that were started now would serve, in time.
    pub(super) fn draining(&self, input: &PolicyInput<'_>, newest: &Point, load: Load, past: &Past) -> f64 {
        // Little's law, of those that come: what was answered by now is no part of the queue that is left.
        let under_way = newest.detail.concurrency.unwrap_or(0.0);
        let of_those = if load.answered > 0.0 { load.rate / load.answered } else { 1.0 };
        let waiting = (under_way * of_those - load.offered).max(0.0) * load.service_secs;
        let lead = self.lead.as_secs_f64();
        let servers = f64::from(past.serving) * f64::from(self.model.at_once.max(1));
        // Where the platform tells which dynos serve, those that are starting come later than was counted on.
        let most = waiting.max((past.busy - servers).max(0.0) * lead);
        let will_wait = waiting + past.busy * lead - self.done_within_lead(input);
        will_wait.clamp(0.0, most) / DRAIN_SECS
    }

    /// The work that the dynos there are can do until dynos started now would serve, in server-seconds: those that were started
    /// `lead` ago and later come one after the other.
    fn done_within_lead(&self, input: &PolicyInput<'_>) -> f64 {
        let lead = self.lead.as_secs_f64();
        let (mut done, mut until, mut dynos) = (0.0, 0.0, input.ready);
        for point in input.evidence.within(input.at, self.lead) {
            let age = input.at.duration_since(point.at).as_secs_f64().min(lead);
            done += f64::from(dynos) * (age - until);
            (until, dynos) = (age, point.ready.unwrap_or(dynos).min(input.ready));
        }
        (done + f64::from(dynos) * (lead - until)) * f64::from(self.model.at_once.max(1))
    }
}
