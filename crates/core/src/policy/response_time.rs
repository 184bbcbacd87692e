//! `response_time`: the fewest dynos that keep a percentile of the response time under its objective, by a queueing model of
//! the app ([`crate::queueing`]) that each reading fits anew.
//!
//! The load is what the source tells beside its number: the rate of requests times the mean time to serve one is the number
//! of servers that are busy. The model then says at once how many dynos that load needs, where a rule that looks at response
//! times alone has to grope dyno by dyno; and it says it before they rise, since a queue that is half full answers quickly.
//! More dynos are wanted for the load that a rise would lead to within `lead`, the time that a dyno needs to serve; fewer
//! only for the busiest minute of `lower_after`. Requests that will wait by the time that new dynos serve are work to be done
//! within a few seconds.
//!
//! How careful that has to be depends on the traffic. So the margins follow what was slow: the requests that may be slow
//! are a budget, as in site reliability engineering; while much of it was spent over the last hours, loads are planned with
//! more room, and while little was, with less. And how often the load jumps, within the time that a dyno needs to serve, past
//! the dynos for the load before it, is remembered: for jumps that come often enough, dynos are kept ready
//! ([`crate::jumps`]).
//!
//! The measured percentile keeps watch over the model: while it is above the objective nothing is removed, and where it stays
//! there although the model is content, dynos are added. Where the source tells no load, as a heartbeat does not, two of the
//! last three readings above the objective add a quarter, and a whole `lower_after` below half of it removes a fifth, which is
//! as many again.

mod kind;
mod line;
mod margins;
mod past;
mod service;

use jiff::SignedDuration;

use crate::history::{Point, Window};
use crate::learned::{Learned, Slot};
use crate::policy::{NOTHING_READ, Policy, PolicyInput, Proposal};
use crate::queueing::Model;
use crate::{Phrase, Unit, Verdict};

pub use kind::KIND;
use line::Load;
use margins::{HALF_LIFE, STAY};

/// The settings of the rule.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ResponseTime {
    /// The app and its objective.
    pub model: Model,
    /// So much more load than was measured is planned for, at or above 0: 0.1 is a tenth.
    pub headroom: f64,
    /// So much more load than was measured must fit before dynos are removed, beside the headroom; at or above 0.
    pub slack: f64,
    /// How long a new dyno takes until it serves: a rise is followed so far ahead.
    pub lead: SignedDuration,
    /// The highest load of so long counts for fewer dynos.
    pub lower_after: SignedDuration,
    /// Whether the service time that is told holds the wait inside the dyno, as that of router logs does.
    pub wait_included: bool,
    /// Whether the margins follow the share of slow requests.
    pub adapt: bool,
    /// What a value counts.
    pub unit: Unit,
}

/// A rise is seen over so long, or over the shorter time where it is steeper there.
const TREND: SignedDuration = SignedDuration::from_mins(3);
const SHORT_TREND: SignedDuration = SignedDuration::from_secs(45);
/// So many standard deviations of a slope may be chance, and so many of one reading.
const CHANCE: f64 = 2.0;
const CHANCE_OF_ONE: f64 = 3.0;
/// A mean service time may differ from that of a minute by chance, by so much at least.
const CLEARLY: f64 = 1.25;
/// So many requests of variation 1 tell as much about their mean service time as all those before them.
const ENOUGH: f64 = 100.0;
/// Requests that wait are work to be done within so many seconds, for which so many times the dynos of the load are worth it.
const DRAIN_SECS: f64 = 3.0;
const MOST_TO_DRAIN: f64 = 3.0;
/// At most so many times the dynos there are, in one tick: a reading that is far off is one that will be put right.
const MOST_AT_ONCE: u32 = 4;
/// Without a load: readings below this share of the objective are low.
const LOW: f64 = 0.5;

impl ResponseTime {
    /// Over how long the load of now is evened out: never longer than loads count for fewer dynos.
    fn short_trend(&self) -> SignedDuration {
        SHORT_TREND.min(self.lower_after)
    }

    /// How far back single readings are looked at.
    fn span(&self) -> SignedDuration {
        TREND.max(self.lead + SignedDuration::from_mins(2))
    }

    fn load(&self, point: &Point) -> Option<Load> {
        let detail = &point.detail;
        let rate = match self.unit {
            Unit::RequestsPerSecond => detail.rate.or(point.value)?,
            _ => detail.rate?,
        };
        if rate <= 0.0 {
            return Some(Load { offered: 0.0, service_secs: 0.0, rate: 0.0, answered: 0.0 });
        }
        // Little: requests under way = rate × (wait + service).
        let by_little = || Some(detail.concurrency? / rate - detail.latency_ms? / 1000.0);
        let service_secs = detail.service_ms.map(|ms| ms / 1000.0).or_else(by_little).filter(|secs| *secs > 0.0)?;
        // While a queue grows, fewer are answered than come, which the time spent on them tells.
        let answered = detail.concurrency.filter(|_| self.wait_included).map_or(rate, |spent| spent / service_secs);
        Some(Load { offered: rate * service_secs, service_secs, rate, answered })
    }

    /// Whether a reading is slower than the objective; unknown for a rate.
    fn is_slow(&self, point: &Point) -> bool {
        match (point.value, self.unit) {
            (None, _) => true,
            (Some(value), Unit::Milliseconds) => value > self.model.objective_secs * 1000.0,
            _ => false,
        }
    }

    fn by_load(&self, input: &PolicyInput<'_>, newest: &Point, load: Load) -> Proposal {
        let dynos = input.dynos;
        let served = if self.wait_included { self.without_wait(input, load) } else { self.steady_service(input, load) };
        let margins = self.margins(input.evidence.learned(), served);
        let load = load.at(served);
        let past = self.past(input, newest, load);
        let planned = past.busy + past.rise;
        let planned = planned + self.draining(input, newest, load, &past).min(MOST_TO_DRAIN * planned);
        let wanted = margins.model.dynos(planned * (1.0 + margins.headroom), load.service_secs);
        let ready_for = |dynos: u32, price: f64| self.ready_for(input.evidence.learned(), dynos, price);
        let for_load = wanted;
        let wanted = ready_for(for_load, margins.price);
        let wanted = wanted.min(dynos.saturating_mul(MOST_AT_ONCE));
        let busy = load.offered;
        if wanted > dynos {
            if wanted > for_load {
                let why = Phrase::with(
                    "{0} servers are busy: {1} dynos are worth it for how the load jumps",
                    [busy, f64::from(wanted)],
                );
                return Proposal::want(wanted, why);
            }
            let why = Phrase::with(
                "{0} servers are busy, {1} soon: the objective needs {2} dynos",
                [busy, planned, f64::from(wanted)],
            );
            return Proposal::want(wanted, why);
        }
        // Where service alone is slower than the objective more often than may be, requests are slow however many dynos there
        // are: that is no reason to add any, nor to keep them.
        let in_reach = self.alone(load.service_secs) < self.model.slow_share;
        // The model is content, the requests are not: it is wrong about this app.
        if in_reach && past.slow_since.is_some_and(|since| since >= self.lead + SignedDuration::from_mins(1)) {
            let why = Phrase::with("slower than the objective although {0} dynos should do", [f64::from(wanted)]);
            return Proposal::want(dynos.saturating_add((dynos / 10).max(1)), why);
        }
        if past.serving < input.ready {
            let why = Phrase::with("dynos were just added: nothing is removed, {0} should do", [wanted.into()]);
            return Proposal::want(dynos, why);
        }
        if in_reach && past.slow_lately {
            let why =
                Phrase::with("slower than the objective: nothing is removed, {0} dynos should do", [wanted.into()]);
            return Proposal::want(dynos, why);
        }
        let seconds = self.lower_after.as_secs_f64();
        if !input.evidence.learned().covers(input.at, self.lower_after) {
            return Proposal::want(
                dynos,
                Phrase::with("{0} servers are busy, but for less than {1} s", [busy, seconds]),
            );
        }
        // That a reading is higher than those before it may be chance: no reason to add dynos, but one not to remove any.
        let highest = past.highest.max(planned).max(load.offered);
        let room = 1.0 + margins.headroom + self.slack;
        let lower = margins.model.dynos(highest * room, past.service_secs);
        let for_jumps = ready_for(lower, margins.price * STAY);
        if for_jumps > lower {
            let lower = for_jumps.min(dynos);
            let why = "{0} servers are busy, {1} at most in {3} s: {2} dynos are worth it for how the load jumps";
            return Proposal::want(lower, Phrase::with(why, [busy, highest, f64::from(lower), seconds]));
        }
        let lower = lower.min(dynos);
        let why = "{0} servers are busy, {1} at most in {3} s: the objective needs {2} dynos";
        Proposal::want(lower, Phrase::with(why, [busy, highest, f64::from(lower), seconds]))
    }

    /// The dynos, so many or more, that are worth keeping for jumps.
    fn ready_for(&self, learned: &Learned, dynos: u32, price: f64) -> u32 {
        if price <= 0.0 {
            return dynos;
        }
        let at_once = f64::from(self.model.at_once.max(1));
        dynos.max((learned.jumps.worth(f64::from(dynos) * at_once, price) / at_once) as u32)
    }

    fn by_readings(&self, input: &PolicyInput<'_>) -> Proposal {
        let dynos = input.dynos;
        // Only those taken with as many dynos as now: the others tell of another app.
        let here = || input.evidence.newest_first().take_while(|point| point.ready == Some(input.ready));
        let slow = here().take(3).filter(|point| self.is_slow(point)).count();
        let objective = self.model.objective_secs * 1000.0;
        if slow >= 2 {
            let why = Phrase::with("{0} of the last 3 readings are above {1}", [slow as f64, objective]);
            return Proposal::want(dynos.saturating_add((dynos / 4).max(1)), why);
        }
        let low = here().take_while(|point| point.value.is_some_and(|value| value < objective * LOW)).last();
        let seconds = self.lower_after.as_secs_f64();
        match low.map(|point| input.at.duration_since(point.at)) {
            Some(age) if age >= self.lower_after => {
                let why = Phrase::with("all readings of {0} s are below {1}", [seconds, objective * LOW]);
                Proposal::want(dynos.saturating_sub((dynos / 5).max(1)).max(1), why)
            }
            _ => {
                Proposal::want(dynos, Phrase::with("neither slow nor below {0} for {1} s", [objective * LOW, seconds]))
            }
        }
    }
}

impl Policy for ResponseTime {
    fn window(&self) -> Window {
        // Without a load beside the readings, they must reach back as far as dynos are kept.
        let longest = self.lower_after.max(self.span());
        Window { samples: 10_000, span: longest + longest / 4 + SignedDuration::from_mins(2) }
    }

    fn verdict(&self, value: f64) -> Verdict {
        let objective = self.model.objective_secs * 1000.0;
        match self.unit {
            Unit::Milliseconds if value > objective => Verdict::TooHigh,
            Unit::Milliseconds if value < objective * LOW => Verdict::TooLow,
            _ => Verdict::JustRight,
        }
    }

    fn keeps_evidence(&self) -> bool {
        true
    }

    fn learn(&self, learned: &mut Learned, point: &Point) {
        let Some(load) = self.load(point) else { return };
        let within = load.service_secs;
        let (served, told) = match self.wait_included {
            true => (learned.newest_service_secs().unwrap_or(within), Some(within)),
            false => (within, point.detail.concurrency.filter(|_| load.rate > 0.0).map(|all| all / load.rate)),
        };
        self.count_slow(learned, load.at(served), told, point);
        let slot = Slot { from: point.at, rate: load.rate, offered: load.answered * within, service_secs: within };
        let slot_secs = self.slot_secs();
        let behind = |slot: Slot| self.behind_wait(slot, point.ready.unwrap_or(0));
        let minute = learned.keep(slot, slot_secs, self.wait_included, behind);
        let Some(minute) = minute else { return };
        if minute.service_secs > 0.0 {
            learned.serve(minute.from, minute.rate * self.minute_secs(), minute.service_secs, HALF_LIFE);
        }
        if self.adapt && slot_secs >= 60 {
            self.learn_jump(learned, minute);
        }
    }

    fn propose(&self, input: &PolicyInput<'_>) -> Proposal {
        let dynos = input.dynos;
        let Some(newest) = input.evidence.newest() else { return Proposal::want(dynos, NOTHING_READ) };
        if dynos == 0 {
            // The proposal is a number of dynos that serve: with none, nobody measures.
            return Proposal::want(1, Phrase::new("no dyno serves"));
        }
        match self.load(&newest) {
            Some(load) => self.by_load(input, &newest, load),
            None if self.unit == Unit::Milliseconds => self.by_readings(input),
            None => Proposal::unknown(Phrase::new("the source does not tell how long a request takes to serve")),
        }
    }
}

#[cfg(test)]
mod tests;
