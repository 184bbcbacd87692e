//! `response_time`: the fewest dynos that keep a percentile of the response time under its objective, by a queueing model of
//! the app ([`crate::queueing`]) that each reading fits anew.
//!
//! The load is what the source tells beside its number: the rate of requests times the mean time to serve one is the number
//! of servers that are busy. The model then says at once how many dynos that load needs, where a rule that looks at response
//! times alone has to grope dyno by dyno; and it says it before they rise, since a queue that is half full answers quickly.
//! More dynos are wanted for the load that a rise would lead to within `lead`, the time that a dyno needs to serve; fewer
//! only for the highest load of `lower_after`. Requests that wait already are work to be done within 15 s.
//!
//! The measured percentile keeps watch over the model: while it is above the objective nothing is removed, and where it stays
//! there although the model is content, dynos are added. Where the source tells no load, as a heartbeat does not, two of the
//! last three readings above the objective add a quarter, and a whole `lower_after` below half of it removes one.

use std::sync::Arc;

use jiff::SignedDuration;

use crate::fields::{Description, Field, FieldError, FieldType, Values};
use crate::history::{Point, Window};
use crate::policy::{NOTHING_READ, Policy, PolicyInput, PolicyKind, Proposal, count, needed, positive, span};
use crate::queueing::{Model, Routing};
use crate::{Dynos, Phrase, Unit, Verdict};

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
    /// What a value counts.
    pub unit: Unit,
}

/// A rise is seen over so long.
const TREND: SignedDuration = SignedDuration::from_mins(3);
/// Requests that wait are work to be done within so many seconds.
const DRAIN_SECS: f64 = 15.0;
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
                "0.1",
                "So much more load than was measured is planned for: 0.1 is a tenth.",
            ),
            Field::defaulting(
                "slack",
                FieldType::Number(0.0, 10.0),
                "0.02",
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
        unit,
    }))
}

/// The load behind one reading.
#[derive(Debug, Clone, Copy)]
struct Load {
    /// Servers that are busy on average.
    offered: f64,
    /// The mean time to serve a request; 0 where none came.
    service_secs: f64,
    /// Requests in a second.
    rate: f64,
}

impl Load {
    /// The same requests, each of which takes so long.
    fn at(self, service_secs: f64) -> Self {
        Self { offered: self.rate * service_secs, service_secs, ..self }
    }
}

/// A line through the loads of late, by least squares.
#[derive(Debug, Clone, Copy, Default)]
struct Line {
    n: f64,
    x: f64,
    y: f64,
    xx: f64,
    xy: f64,
    yy: f64,
}

impl Line {
    fn add(&mut self, x: f64, y: f64) {
        self.n += 1.0;
        self.x += x;
        self.y += y;
        self.xx += x * x;
        self.xy += x * y;
        self.yy += y * y;
    }

    /// By how much the load rises within `secs`, less what may be chance: the spread around the line.
    fn rise(self, secs: f64) -> f64 {
        if self.n < 3.0 {
            return 0.0;
        }
        let (sxx, sxy) = (self.xx - self.x * self.x / self.n, self.xy - self.x * self.y / self.n);
        let syy = self.yy - self.y * self.y / self.n;
        if sxx <= 0.0 {
            return 0.0;
        }
        let slope = sxy / sxx;
        let spread = ((syy - slope * sxy) / self.n).max(0.0).sqrt();
        (slope * secs - spread).max(0.0)
    }
}

impl ResponseTime {
    fn load(&self, point: &Point) -> Option<Load> {
        let detail = &point.detail;
        let rate = match self.unit {
            Unit::RequestsPerSecond => detail.rate.or(point.value)?,
            _ => detail.rate?,
        };
        if rate <= 0.0 {
            return Some(Load { offered: 0.0, service_secs: 0.0, rate: 0.0 });
        }
        // Little: requests under way = rate × (wait + service).
        let by_little = || Some(detail.concurrency? / rate - detail.latency_ms? / 1000.0);
        let service_secs = detail.service_ms.map(|ms| ms / 1000.0).or_else(by_little).filter(|secs| *secs > 0.0)?;
        Some(Load { offered: rate * service_secs, service_secs, rate })
    }

    /// The service time, where what is told holds the wait: that behind the shortest of late, when dynos were idle most.
    fn without_wait(&self, input: &PolicyInput<'_>) -> Option<f64> {
        let mut shortest: Option<(Load, Dynos)> = None;
        for point in input.evidence.within(input.at, self.lower_after.max(TREND)) {
            let Some(load) = self.load(&point).filter(|load| load.rate > 0.0) else { continue };
            if shortest.is_none_or(|(known, _)| load.service_secs < known.service_secs) {
                shortest = Some((load, point.ready.unwrap_or(input.ready)));
            }
        }
        let (load, ready) = shortest?;
        Some(self.model.service_secs(load.rate, load.service_secs, ready))
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
        let served = if self.wait_included { self.without_wait(input) } else { None };
        let load = served.map_or(load, |secs| load.at(secs));
        let (mut highest, mut service_secs, mut line) = (0.0_f64, load.service_secs, Line::default());
        let (mut slow_since, mut slow_lately) = (None, self.is_slow(newest));
        let mut unbroken = true;
        for point in input.evidence.within(input.at, self.lower_after.max(TREND)) {
            let age = input.at.duration_since(point.at);
            // As slow as this, with as many dynos as now, ever since when?
            let slow = self.is_slow(&point);
            unbroken &= slow && point.ready == Some(input.ready);
            if unbroken {
                slow_since = Some(age);
            }
            slow_lately |= slow && age < self.lead;
            let Some(then) = self.load(&point) else { continue };
            let then = served.map_or(then, |secs| then.at(secs));
            if age < TREND {
                line.add(-age.as_secs_f64(), then.offered);
            }
            if age < self.lower_after {
                highest = highest.max(then.offered);
                service_secs = service_secs.max(then.service_secs);
            }
        }
        let waiting = (newest.detail.concurrency.unwrap_or(0.0) - load.offered).max(0.0);
        let backlog = waiting * load.service_secs / DRAIN_SECS;
        let planned = load.offered + backlog + line.rise(self.lead.as_secs_f64());
        let wanted = self.model.dynos(planned * (1.0 + self.headroom), load.service_secs);
        // No more than twice as many at once: a number that is far off is one that will be put right.
        let wanted = wanted.min(dynos.saturating_mul(2));
        let busy = load.offered;
        if wanted > dynos {
            let why = Phrase::with(
                "{0} servers are busy, {1} soon: the objective needs {2} dynos",
                [busy, planned, f64::from(wanted)],
            );
            return Proposal::want(wanted, why);
        }
        // Where service alone is slower than the objective more often than may be, requests are slow however many dynos there
        // are: that is no reason to add any, nor to keep them.
        let alone = (-self.model.objective_secs / load.service_secs).exp();
        let in_reach = alone < self.model.slow_share;
        // The model is content, the requests are not: it is wrong about this app.
        if in_reach && slow_since.is_some_and(|since| since >= self.lead + SignedDuration::from_mins(1)) {
            let why = Phrase::with("slower than the objective although {0} dynos should do", [f64::from(wanted)]);
            return Proposal::want(dynos.saturating_add((dynos / 10).max(1)), why);
        }
        if in_reach && slow_lately {
            let why =
                Phrase::with("slower than the objective: nothing is removed, {0} dynos should do", [wanted.into()]);
            return Proposal::want(dynos, why);
        }
        if !input.evidence.covers(input.at, self.lower_after, self.window()) {
            let seconds = self.lower_after.as_secs_f64();
            return Proposal::want(
                dynos,
                Phrase::with("{0} servers are busy, but for less than {1} s", [busy, seconds]),
            );
        }
        let highest = highest.max(planned);
        let lower = self.model.dynos(highest * (1.0 + self.headroom + self.slack), service_secs).min(dynos);
        let numbers = [busy, highest, f64::from(lower)];
        Proposal::want(lower, Phrase::with("{0} servers are busy, {1} at most: the objective needs {2} dynos", numbers))
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
                Proposal::want(dynos.saturating_sub(1).max(1), why)
            }
            _ => {
                Proposal::want(dynos, Phrase::with("neither slow nor below {0} for {1} s", [objective * LOW, seconds]))
            }
        }
    }
}

impl Policy for ResponseTime {
    fn window(&self) -> Window {
        // A little longer, so that a whole one lies behind the samples that are kept: each of ten thousand processes has them.
        let longest = self.lower_after.max(TREND);
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
#[path = "response_time_tests.rs"]
mod tests;
