//! Records of the core itself, made in virtual time; and a PostgreSQL server of the tests' own.

#![allow(dead_code, unreachable_pub, reason = "each test file uses a part")]

use std::sync::Arc;

use autoscalebot_core::policy::consecutive::Consecutive;
use autoscalebot_core::{
    Action, BoundTable, BoundTables, CallOutcome, Event, Failure, MeasurementSpec, Observation, Reading, Record,
    Sample, Spec, State, Unit, Zero, decide, events, settle,
};
use autoscalebot_store::Entry;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

pub mod month;
pub mod postgres;

pub fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_699_999_200 + second).unwrap()
}

pub fn spec(app: &str, process: &str) -> Arc<Spec> {
    Arc::new(Spec {
        app: app.into(),
        process: process.into(),
        bounds: BoundTables { min: BoundTable::Fixed(1), max: BoundTable::Fixed(6), zone: TimeZone::UTC },
        measurements: vec![MeasurementSpec {
            name: "heartbeat".into(),
            unit: Unit::Milliseconds,
            max_age: SignedDuration::from_secs(90),
            failures_mean_overload: true,
            shadow: false,
            policy: Arc::new(Consecutive {
                low: 200.0,
                high: 1000.0,
                fails: 3,
                passes: 5,
                increment: 1,
                refuse_zero: false,
            }),
        }],
        gates: Vec::new(),
        zero: Zero::default(),
        rapid: None,
    })
}

/// A process that ticks in virtual time.
pub struct Ticker {
    pub spec: Arc<Spec>,
    pub state: State,
    pub dynos: u32,
}

impl Ticker {
    pub fn new(spec: Arc<Spec>) -> Self {
        Self { spec, state: State::default(), dynos: 2 }
    }

    /// One tick with this reading, in milliseconds; `None`: an unknown one.
    pub fn tick(&mut self, at: Timestamp, value: Option<f64>) -> (Arc<Record>, Vec<Event>) {
        let reading = value.map_or(Reading::Failed(Failure::Status(404)), Reading::number);
        let seen = Observation {
            at,
            dynos: Ok(self.dynos),
            samples: [Some(Sample::new(at, reading))].into_iter().collect(),
            ..Observation::default()
        };
        let record = decide(&self.spec, &self.state, &seen);
        let outcome = match record.action {
            Action::Set(quantity) => CallOutcome::Ok { quantity, limit: None },
            Action::None | Action::Refuse(_) => CallOutcome::None,
        };
        let record = Arc::new(record.conclude(&self.spec, &self.state, &outcome));
        let happened = events(&self.state, &record);
        self.state = settle(&self.spec, std::mem::take(&mut self.state), &record, &outcome);
        self.dynos = record.after.unwrap_or(self.dynos);
        (record, happened)
    }

    /// The same, as what the store is given.
    pub fn entries(&mut self, at: Timestamp, value: Option<f64>) -> Vec<Entry> {
        let hourly = at.as_second() % 3600 == 0;
        let before = hourly.then(|| Box::new(self.state.clone()));
        let (record, happened) = self.tick(at, value);
        std::iter::once(Entry::Record(record, before)).chain(happened.into_iter().map(Entry::Event)).collect()
    }
}

/// A day of an app's response time in milliseconds: quiet at night, a surge at noon.
pub fn day(second: i64) -> f64 {
    let part = (second % 86_400) as f64 / 86_400.0;
    let noise = ((second / 7 * 2_654_435_761) % 1000) as f64 / 1000.0;
    150.0 + 900.0 * (-((part - 0.5) * 12.0).powi(2)).exp() + 200.0 * noise
}
