//! What came of the demo: for `--json` as it is, for a person as text. All of it is worked out from the visitors' times and the
//! decision records.

use std::fmt;
use std::time::Duration;

use autoscalebot_core::{Dynos, Reading, Record, Spec};
use serde::Serialize;

use super::load::{LoadReport, Plan};
use super::shadow::{self, dyno_minutes};
use super::told::Seen;

/// The summary, as `--json` writes it.
#[derive(Debug, Serialize)]
pub(crate) struct Summary {
    pub(crate) dynos: Quantities,
    pub(crate) requests: Requests,
    pub(crate) p95_ms: Percentiles,
    /// From the surge's first visitor; absent where no dyno was added.
    pub(crate) reacted_after_secs: Option<f64>,
    /// The same of the last one that was added in the surge.
    pub(crate) enough_after_secs: Option<f64>,
    pub(crate) dyno_minutes: f64,
    pub(crate) shadow: Shadow,
    pub(crate) decisions: Vec<Decision>,
}

/// The quantity over the show.
#[derive(Debug, Serialize)]
pub(crate) struct Quantities {
    start: Option<Dynos>,
    peak: Option<Dynos>,
    end: Option<Dynos>,
}

/// The visitors.
#[derive(Debug, Serialize)]
pub(crate) struct Requests {
    sent: usize,
    pub(crate) failed: usize,
}

/// The 95th percentile of what visitors waited, by when they came. Absent where nobody came or nothing scaled.
#[derive(Debug, Serialize)]
pub(crate) struct Percentiles {
    calm: Option<f64>,
    surge_before_scale: Option<f64>,
    surge_after_scale: Option<f64>,
    calm_again: Option<f64>,
}

/// What the rule of 2.1 would have done with the same readings; see [`shadow`].
#[derive(Debug, Serialize)]
pub(crate) struct Shadow {
    measurement: &'static str,
    rule: &'static str,
    dynos: Quantities,
    reacted_after_secs: Option<f64>,
    enough_after_secs: Option<f64>,
    dyno_minutes: f64,
    changes: Vec<Change>,
    caveat: &'static str,
}

#[derive(Debug, Serialize)]
struct Change {
    second: f64,
    before: Dynos,
    after: Dynos,
    reason: String,
}

/// One decision.
#[derive(Debug, Serialize)]
pub(crate) struct Decision {
    second: f64,
    before: Option<Dynos>,
    after: Option<Dynos>,
    router_ms: Option<f64>,
    heartbeat_ms: Option<f64>,
    /// What the shadow wants, of the dynos that there are.
    shadow_desired: Option<Dynos>,
    verdict: &'static str,
    reason: String,
}

const RULE: &str = "2.1's consecutive with its defaults (3 heartbeats over 1 s or 5 under 200 ms, one dyno at a time), beating each \
                    second instead of each 30 s";
const CAVEAT: &str = "the shadow saw what was measured on the dynos that ran: until ours added one, as its own would have been; from \
                      then on requests that more dynos had already made fast, so that its dyno-minutes are not what it would have \
                      cost alone";

impl Summary {
    /// The summary of the visitors and the records of a show that lasted so long.
    pub(crate) fn new(report: &LoadReport, plan: &Plan, spec: &Spec, records: &[Seen], lasted: Duration) -> Self {
        let start = records.first().and_then(|seen| seen.record.before);
        let surge = plan.surge().map(|surge| (surge.from, surge.to));
        let changes: Vec<_> =
            records.iter().filter_map(|seen| seen.record.change().map(|(from, to)| (seen.at, from, to))).collect();
        let grown = surge.and_then(|surge| ups(&changes, surge).next_back());
        let p95 = |from, to| report.p95_ms(from, to);
        // The surge has two halves: until the last step up inside it had time to take hold, and from then on.
        let settled = |at: Duration, to: Duration| at + (to.saturating_sub(at)) / 2;
        let ours = Course { start, surge, lasted, changes: &changes };
        Self {
            dynos: Quantities { end: records.iter().filter_map(|seen| seen.record.after).next_back(), ..ours.dynos() },
            requests: Requests { sent: report.sent, failed: report.failed() },
            p95_ms: Percentiles {
                calm: surge.and_then(|(from, _)| p95(Duration::ZERO, from)),
                surge_before_scale: surge.zip(grown).and_then(|((from, _), at)| p95(from, at)),
                surge_after_scale: surge.zip(grown).and_then(|((_, to), at)| p95(settled(at, to), to)),
                calm_again: surge.and_then(|(_, to)| p95(to, Duration::MAX)),
            },
            reacted_after_secs: ours.reacted(),
            enough_after_secs: ours.enough(),
            dyno_minutes: ours.dyno_minutes(),
            shadow: Shadow::new(&ours, shadow::changes(spec, records)),
            decisions: records.iter().map(|seen| decision(seen.at, &seen.record)).collect(),
        }
    }
}

/// How the quantity went: ours, or the shadow's.
struct Course<'a> {
    start: Option<Dynos>,
    surge: Option<(Duration, Duration)>,
    lasted: Duration,
    /// When, from, to.
    changes: &'a [(Duration, Dynos, Dynos)],
}

impl Course<'_> {
    fn dynos(&self) -> Quantities {
        let after = || self.changes.iter().map(|(_, _, to)| *to);
        let peak = self.start.into_iter().chain(after()).max();
        Quantities { start: self.start, peak, end: after().next_back().or(self.start) }
    }

    fn reacted(&self) -> Option<f64> {
        let surge = self.surge?;
        ups(self.changes, surge).next().map(|at| tenths(at.saturating_sub(surge.0)))
    }

    fn enough(&self) -> Option<f64> {
        let surge = self.surge?;
        ups(self.changes, surge).next_back().map(|at| tenths(at.saturating_sub(surge.0)))
    }

    fn dyno_minutes(&self) -> f64 {
        let changes = self.changes.iter().map(|(at, _, to)| (*at, *to));
        (dyno_minutes(self.start.unwrap_or_default(), changes, self.lasted) * 100.0).round() / 100.0
    }
}

/// When dynos were added within the surge.
fn ups(
    changes: &[(Duration, Dynos, Dynos)],
    (from, to): (Duration, Duration),
) -> impl DoubleEndedIterator<Item = Duration> {
    let within = move |at: Duration| at >= from && at < to;
    changes.iter().filter(move |(at, before, after)| within(*at) && after > before).map(|(at, ..)| *at)
}

impl Shadow {
    fn new(ours: &Course<'_>, changes: Vec<shadow::Change>) -> Self {
        let plain: Vec<_> = changes.iter().map(|change| (change.at, change.from, change.to)).collect();
        let its = Course { changes: &plain, ..*ours };
        let told = changes.into_iter().map(|change| Change {
            second: tenths(change.at),
            before: change.from,
            after: change.to,
            reason: change.reason,
        });
        Self {
            measurement: "heartbeat",
            rule: RULE,
            dynos: its.dynos(),
            reacted_after_secs: its.reacted(),
            enough_after_secs: its.enough(),
            dyno_minutes: its.dyno_minutes(),
            changes: told.collect(),
            caveat: CAVEAT,
        }
    }
}

fn tenths(time: Duration) -> f64 {
    (time.as_secs_f64() * 10.0).round() / 10.0
}

fn decision(at: Duration, record: &Record) -> Decision {
    let number = |shadow: bool| {
        let measured = record.measured.iter().find(|measured| measured.shadow == shadow)?;
        match measured.reading {
            Reading::Value(value) => Some(value),
            Reading::Failed(_) => None,
        }
    };
    let shadow = record.measured.iter().find(|measured| measured.shadow);
    Decision {
        second: tenths(at),
        before: record.before,
        after: record.after,
        router_ms: number(false),
        heartbeat_ms: number(true),
        shadow_desired: shadow.and_then(|measured| measured.proposal.desired),
        verdict: record.verdict.as_str(),
        reason: record.sentence().to_string(),
    }
}

/// The summary for a person.
pub(crate) struct Text<'a>(pub(crate) &'a Summary);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Summary { dynos, requests, p95_ms, shadow, decisions, .. } = self.0;
        let ms = |value: Option<f64>| value.map_or_else(|| "none".into(), |ms| format!("{ms:.0} ms"));
        writeln!(f, "dynos      {}", Over(dynos))?;
        writeln!(f, "requests   {} sent, {} failed", requests.sent, requests.failed)?;
        writeln!(f, "95 % waited less than")?;
        writeln!(f, "           {:>8}  in the calm", ms(p95_ms.calm))?;
        writeln!(f, "           {:>8}  in the surge, before there were enough dynos", ms(p95_ms.surge_before_scale))?;
        writeln!(f, "           {:>8}  in the surge, after", ms(p95_ms.surge_after_scale))?;
        writeln!(f, "           {:>8}  in the calm after it", ms(p95_ms.calm_again))?;
        writeln!(f, "changes")?;
        for Decision { second, before, after, reason, .. } in decisions.iter().filter(|one| one.before != one.after) {
            writeln!(f, "  {second:>5.1} s   {} → {}  {reason}", count(*before), count(*after))?;
        }
        writeln!(f, "\nbeside it, in the shadow: {}", shadow.rule)?;
        let Summary { reacted_after_secs, enough_after_secs, dyno_minutes, .. } = *self.0;
        writeln!(f, "  ours     {}", Reaction(reacted_after_secs, enough_after_secs, dyno_minutes, dynos))?;
        let Shadow { reacted_after_secs, enough_after_secs, dyno_minutes, .. } = *shadow;
        writeln!(f, "  2.1      {}", Reaction(reacted_after_secs, enough_after_secs, dyno_minutes, &shadow.dynos))?;
        writeln!(f, "  ({})", shadow.caveat)?;
        writeln!(f, "\nnext: `autoscalebot init` writes settings for your own app")
    }
}

fn count(dynos: Option<Dynos>) -> String {
    dynos.map_or_else(|| "?".into(), |dynos| dynos.to_string())
}

struct Over<'a>(&'a Quantities);

impl fmt::Display for Over<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Quantities { start, peak, end } = self.0;
        write!(f, "{} at the start, {} at the peak, {} at the end", count(*start), count(*peak), count(*end))
    }
}

struct Reaction<'a>(Option<f64>, Option<f64>, f64, &'a Quantities);

impl fmt::Display for Reaction<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0, self.1) {
            (Some(first), Some(last)) => {
                write!(f, "the first dyno more {first:.1} s into the surge, the last {last:.1} s; ")?;
            }
            _ => write!(f, "no dyno more in the surge; ")?,
        }
        write!(f, "{:.1} dyno-minutes, {} at the peak", self.2, count(self.3.peak))
    }
}
