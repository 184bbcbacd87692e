//! Builders for processes, shared by the tests of the tick.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test file uses a part")]

use std::sync::Arc;

use autoscalebot_core::policy::consecutive::Consecutive;
use autoscalebot_core::{
    Action, BoundTable, BoundTables, CallOutcome, MeasurementSpec, Observation, Reading, Record, Sample, Spec, State,
    Unit, Zero, decide, settle,
};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

pub const RULE: Consecutive =
    Consecutive { low: 200.0, high: 1000.0, fails: 3, passes: 5, increment: 1, refuse_zero: false };

pub fn heartbeat(name: &str, rule: Consecutive) -> MeasurementSpec {
    MeasurementSpec {
        name: name.into(),
        unit: Unit::Milliseconds,
        max_age: SignedDuration::from_secs(120),
        failures_mean_overload: true,
        policy: Arc::new(rule),
        shadow: false,
    }
}

pub fn spec(min: u32, max: u32) -> Spec {
    Spec {
        app: "shop".into(),
        process: "web".into(),
        bounds: BoundTables { min: BoundTable::Fixed(min), max: BoundTable::Fixed(max), zone: TimeZone::UTC },
        measurements: vec![heartbeat("heartbeat", RULE)],
        gates: vec![Arc::new(autoscalebot_core::gate::pause::PauseGate)],
        zero: Zero::Keep,
        rapid: None,
    }
}

pub fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

/// A process that is ticked by hand: its state, its platform's quantity, and what its scaling calls come to.
pub struct Run {
    pub spec: Spec,
    pub state: State,
    pub dynos: u32,
    pub second: i64,
    pub fails: bool,
}

impl Run {
    pub fn new(spec: Spec, dynos: u32) -> Self {
        Self { spec, state: State::default(), dynos, second: 0, fails: false }
    }

    /// One tick, 30 s after the last, with one reading per measurement.
    pub fn tick(&mut self, readings: &[Reading]) -> Record {
        self.second += 30;
        let at = at(self.second);
        self.observe(Observation {
            at,
            dynos: Ok(self.dynos),
            samples: readings.iter().map(|reading| Some(Sample::new(at, reading.clone()))).collect(),
            pause: None,
            ..Observation::default()
        })
    }

    pub fn values(&mut self, value: f64, times: usize) -> Vec<Record> {
        (0..times).map(|_| self.tick(&[Reading::Value(value)])).collect()
    }

    pub fn observe(&mut self, seen: Observation) -> Record {
        let record = decide(&self.spec, &self.state, &seen);
        let outcome = record.without_call().unwrap_or_else(|| match record.action {
            Action::Set(quantity) if !self.fails => CallOutcome::Ok { quantity, limit: None },
            _ => CallOutcome::Failed { error: "the platform is away".into(), limit: None },
        });
        let record = record.conclude(&self.spec, &self.state, &outcome);
        self.state = settle(&self.spec, std::mem::take(&mut self.state), &record, &outcome);
        self.dynos = record.after.unwrap_or(self.dynos);
        record
    }
}
