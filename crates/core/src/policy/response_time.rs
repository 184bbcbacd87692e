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

mod line;
mod margins;

use std::sync::Arc;

use jiff::SignedDuration;

use crate::fields::{Description, Field, FieldError, FieldType, Values};
use crate::history::{Point, Window};
use crate::learned::{Learned, MOST_SLOTS, Slot};
use crate::policy::{NOTHING_READ, Policy, PolicyInput, PolicyKind, Proposal, count, needed, positive, span};
use crate::queueing::{Model, Routing};
use crate::{Dynos, Phrase, Unit, Verdict};

use line::{Line, Load, by_chance};
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

/// The entry in the list of policies.
pub const KIND: PolicyKind = PolicyKind {
    description: Description {
        name: "response_time",
        doc: "The fewest dynos that keep a percentile of the response time under its objective, by a fitted queueing model.",
        fields: &[
            Field::required(
                "objective",
                FieldType::Duration(0.001, 3600.0),
                "The response time that the percentile may reach.",
                "\"500ms\"",
            ),
            Field::required(
                "at_once",
                FieldType::Whole(1, 10_000),
                "Requests that a dyno works on at once: its workers times their threads.",
                "5",
            ),
            Field::defaulting(
                "percentile",
                FieldType::Number(50.0, 99.99),
                "95",
                "So many requests of a hundred are to be within the objective.",
            ),
            Field::defaulting(
                "routing",
                FieldType::OneOf(&["shared", "random"]),
                "\"shared\"",
                "Whether requests wait in one queue for the first free dyno, or are dealt to dynos at random.",
            ),
            Field::defaulting(
                "variation",
                FieldType::Number(0.0, 1000.0),
                "1",
                "Variance over squared mean of the time to serve a request: 0 if all take equally long, 1 as exponential ones.",
            ),
            Field::defaulting(
                "headroom",
                FieldType::Number(0.0, 10.0),
                "0.08",
                "So much more load than was measured is planned for: 0.1 is a tenth.",
            ),
            Field::defaulting(
                "slack",
                FieldType::Number(0.0, 10.0),
                "0.03",
                "So much more still must fit before dynos are removed.",
            ),
            Field::defaulting(
                "lead",
                FieldType::Duration(0.0, 3600.0),
                "\"30s\"",
                "How long a new dyno takes until it serves: a rise is followed so far ahead.",
            ),
            Field::defaulting(
                "lower_after",
                FieldType::Duration(0.0, 86_400.0),
                "\"10m\"",
                "Dynos are removed down to the need of the highest load of so long.",
            ),
            Field::defaulting(
                "adapt",
                FieldType::Flag,
                "true",
                "Whether headroom and share follow the share of slow requests over the last hours, and dynos are kept for jumps.",
            ),
            Field::defaulting(
                "wait_included",
                FieldType::Flag,
                "false",
                "Whether the service time that is told holds the wait inside the dyno as well, as that of router logs does.",
            ),
        ],
        shorthand: &[],
    },
    build,
};

fn build(values: &Values, unit: Unit) -> Result<Arc<dyn Policy>, FieldError> {
    if !matches!(unit, Unit::Milliseconds | Unit::RequestsPerSecond) {
        let message =
            format!("is response_time, but the measurement counts {}: decide by target or queue", unit.as_str());
        return Err(FieldError::new("type", message));
    }
    let model = Model {
        at_once: count(values, "at_once")?,
        routing: if values.text("routing") == Some("random") { Routing::Random } else { Routing::Shared },
        variation: needed(values, "variation")?,
        objective_secs: span(values, "objective")?.as_secs_f64(),
        slow_share: 1.0 - positive(values, "percentile")? / 100.0,
    };
    Ok(Arc::new(ResponseTime {
        model,
        headroom: needed(values, "headroom")?,
        slack: needed(values, "slack")?,
        lead: span(values, "lead")?,
        lower_after: span(values, "lower_after")?,
        wait_included: values.flag("wait_included"),
        adapt: values.flag("adapt"),
        unit,
    }))
}

/// What the past says.
#[derive(Debug, Clone, Copy, Default)]
struct Past {
    /// Servers that were busy in the busiest minute.
    highest: f64,
    /// Servers that are busy now, free of what is chance in one reading.
    busy: f64,
    /// The longest mean time to serve a request.
    service_secs: f64,
    /// By how many busy servers the load rises within `lead`.
    rise: f64,
    /// The dynos that serve: those that were there `lead` ago.
    serving: Dynos,
    /// For how long all readings were slower than the objective, with as many dynos as now.
    slow_since: Option<SignedDuration>,
    /// Whether any reading within `lead` was.
    slow_lately: bool,
}

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

    /// The service time, where what is told holds the wait: the median of what lay behind the last minutes.
    /// In an overload no more can be told than what the dynos that serve can do, which is
    /// too long while some of them still boot.
    fn without_wait(&self, input: &PolicyInput<'_>, load: Load) -> f64 {
        let learned = input.evidence.learned();
        let mut all = [0.0; MOST_SLOTS as usize];
        let (mut count, mut requests) = (0, 0.0);
        let slots = learned.within(input.at, self.lower_after, self.slot_secs());
        for (slot, place) in slots.filter(|slot| slot.service_secs > 0.0).zip(&mut all) {
            *place = slot.service_secs;
            count += 1;
            requests += slot.rate * self.minute_secs();
        }
        let median = match all.get_mut(..count) {
            Some(known) if count > 0 => *known.select_nth_unstable_by(count / 2, f64::total_cmp).1,
            _ => return self.first_without_wait(input, load),
        };
        self.weighed(median, requests, learned.mean_service_secs().unwrap_or(median))
    }

    /// The same before a minute is over.
    fn first_without_wait(&self, input: &PolicyInput<'_>, load: Load) -> f64 {
        let (mut spent, mut answered, mut readings) = (0.0, 0.0, 0.0);
        for point in input.evidence.within(input.at, self.short_trend()) {
            let Some(then) = self.load(&point) else { continue };
            spent += then.answered * then.service_secs;
            answered += then.answered;
            readings += 1.0;
        }
        if answered <= 0.0 {
            return load.service_secs;
        }
        self.model.service_secs(answered / readings, spent / answered, self.serving(input))
    }

    /// A minute, whose `offered` is the time spent on what was answered, with the wait taken out of its times, where it is in them.
    fn behind_wait(&self, minute: Slot, ready: Dynos) -> Slot {
        if !self.wait_included || ready == 0 || minute.service_secs <= 0.0 {
            return Slot { offered: minute.rate * minute.service_secs, ..minute };
        }
        let answered = minute.offered / minute.service_secs;
        let service_secs = self.model.service_secs(answered, minute.service_secs, ready);
        Slot { offered: minute.rate * service_secs, service_secs, ..minute }
    }

    /// The dynos that serve: no more than were there at any reading since `lead` ago.
    fn serving(&self, input: &PolicyInput<'_>) -> Dynos {
        let ready = input.evidence.within(input.at, self.lead).filter_map(|point| point.ready);
        ready.fold(input.ready, Dynos::min)
    }

    /// The mean service time: that of the last minute, as far as it is of enough requests to tell, else that of `lower_after`.
    /// One reading that is longer than chance makes it stands for itself.
    fn steady_service(&self, input: &PolicyInput<'_>, load: Load) -> f64 {
        let (mut work, mut rate, mut readings, mut secs) = (0.0, 0.0, 0.0, 0.0_f64);
        for point in input.evidence.within(input.at, self.short_trend()) {
            let Some(then) = self.load(&point) else { continue };
            work += then.offered;
            rate += then.rate;
            readings += 1.0;
            secs = secs.max(input.at.duration_since(point.at).as_secs_f64());
        }
        if rate <= 0.0 {
            return load.service_secs;
        }
        let each_secs = secs / f64::max(readings - 1.0, 1.0);
        let (mut work_before, mut rate_before) = (0.0, 0.0);
        for slot in input.evidence.learned().within(input.at, self.lower_after, self.slot_secs()) {
            work_before += slot.rate * slot.service_secs;
            rate_before += slot.rate;
        }
        let of_late = work / rate;
        let before = if rate_before > 0.0 { work_before / rate_before } else { of_late };
        let mean = self.weighed(of_late, rate * each_secs, before);
        let by_chance = by_chance(self.model.variation / (load.rate * each_secs).max(f64::MIN_POSITIVE));
        if load.service_secs > by_chance.max(CLEARLY) * mean { load.service_secs } else { mean }
    }

    /// A mean service time of so many requests, drawn to that of a longer time the more, the fewer they are.
    fn weighed(&self, secs: f64, requests: f64, longer: f64) -> f64 {
        let enough = ENOUGH * self.model.variation;
        if requests + enough > 0.0 { (secs * requests + longer * enough) / (requests + enough) } else { secs }
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

    /// The servers that do the work of the requests that will wait when dynos that were started now would serve, in time.
    fn draining(&self, input: &PolicyInput<'_>, newest: &Point, load: Load, past: &Past) -> f64 {
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

    /// The dynos, so many or more, that are worth keeping for jumps.
    fn ready_for(&self, learned: &Learned, dynos: u32, price: f64) -> u32 {
        if price <= 0.0 {
            return dynos;
        }
        let at_once = f64::from(self.model.at_once.max(1));
        dynos.max((learned.jumps.worth(f64::from(dynos) * at_once, price) / at_once) as u32)
    }

    /// What the readings and what was learned say about the past; `load` is the newest, with its wait taken out.
    fn past(&self, input: &PolicyInput<'_>, newest: &Point, load: Load) -> Past {
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
