//! What the tests of policies share: evidence from a list of readings, and one proposal from it.

use std::sync::Arc;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::fields::{FieldError, Value, Values};
use crate::history::{Evidence, History, Point};
use crate::policy::{Policy, PolicyInput, PolicyKind, Proposal};
use crate::{Bounds, Detail, Dynos, Unit, Verdict};

/// An instant, so many seconds after another.
pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

/// One reading: its second, its value (`None`: a failure that counts as too slow), and its detail.
pub(crate) type Read = (i64, Option<f64>, Detail);

/// What the policy proposes at the instant of the last reading, with `ready` of `dynos` serving all along.
pub(crate) fn propose(policy: &dyn Policy, dynos: Dynos, ready: Dynos, reads: &[Read]) -> Proposal {
    propose_after(policy, dynos, &reads.iter().map(|read| (*read, ready)).collect::<Vec<_>>())
}

/// The same, where other numbers of dynos served at each reading.
pub(crate) fn propose_after(policy: &dyn Policy, dynos: Dynos, reads: &[(Read, Dynos)]) -> Proposal {
    let mut history = History::default();
    let mut newest = None;
    for (n, ((s, value, detail), ready)) in reads.iter().enumerate() {
        let verdict = value.map_or(Verdict::TooHigh, |value| policy.verdict_at(value, dynos));
        let point = Point { at: at(*s), verdict, value: *value, detail: *detail, ready: Some(*ready) };
        if n + 1 == reads.len() {
            newest = Some(point);
        } else {
            history.add(at(*s), Some(point), policy);
        }
    }
    policy.propose(&PolicyInput {
        at: newest.map_or_else(|| at(0), |point| point.at),
        dynos,
        bounds: Bounds { min: 0, max: 100 },
        ready: newest.and_then(|point| point.ready).unwrap_or(dynos),
        evidence: Evidence::new(&history, newest),
        detail: newest.map(|point| point.detail).unwrap_or_default(),
        zone: &TimeZone::UTC,
        advice: None,
    })
}

/// What the policy proposes at this instant in a zone, with one dyno and one reading.
pub(crate) fn propose_in(zone: &TimeZone, policy: &dyn Policy, at: Timestamp) -> Proposal {
    let history = History::default();
    let detail = Detail::default();
    let point = Point { at, verdict: policy.verdict(0.0), value: Some(0.0), detail, ready: Some(1) };
    policy.propose(&PolicyInput {
        at,
        dynos: 1,
        bounds: Bounds { min: 0, max: 100 },
        ready: 1,
        evidence: Evidence::new(&history, Some(point)),
        detail,
        zone,
        advice: None,
    })
}

/// Readings of these values, `every` seconds apart, without detail.
pub(crate) fn reads(every: i64, values: &[f64]) -> Vec<Read> {
    values.iter().enumerate().map(|(n, v)| (n as i64 * every, Some(*v), Detail::default())).collect()
}

/// A policy as the settings build it, with its defaults filled in from their TOML.
pub(crate) fn build(
    kind: &PolicyKind,
    unit: Unit,
    given: &[(&'static str, Value)],
) -> Result<Arc<dyn Policy>, FieldError> {
    (kind.build)(&values(kind.description.fields, given), unit)
}

/// Settings with their defaults filled in.
pub(crate) fn values(fields: &[crate::fields::Field], given: &[(&'static str, Value)]) -> Values {
    use crate::fields::FieldType;
    let mut values = Values::default();
    for field in fields {
        let Some(default) = field.default else { continue };
        let bare = default.trim_matches('"');
        let value = match field.kind {
            FieldType::Flag => Value::Flag(bare == "true"),
            FieldType::Whole(..) => Value::Whole(bare.parse().unwrap()),
            FieldType::Number(..) | FieldType::Level => Value::Number(bare.parse().unwrap()),
            FieldType::Duration(..) => Value::Duration(bare.parse::<SignedDuration>().unwrap()),
            FieldType::Texts => Value::Texts(Vec::new()),
            _ => Value::Text(bare.into()),
        };
        values.set(field.name, value);
    }
    for (name, value) in given {
        values.set(name, value.clone());
    }
    values
}
