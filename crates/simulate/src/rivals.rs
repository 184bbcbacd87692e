//! Rules of others that are not policies of ours, to compare with.
//!
//! [`HerokuWeb`]: Heroku's own autoscaling of web dynos, by its documentation (devcenter.heroku.com/articles/scaling,
//! "Autoscaling"): it looks at the p95 response time of the past hour, compares it with the wanted one, and adds or removes one
//! dyno at a time; at most one change a minute. How much below the wanted time it removes is not documented: here a setting.

use std::sync::Arc;

use autoscalebot_core::history::Window;
use autoscalebot_core::policy::{Policy, PolicyInput, Proposal};
use autoscalebot_core::{BoundTables, MeasurementSpec, Phrase, Spec, Verdict, Zero};
use jiff::SignedDuration;

use crate::model::Meter;
use crate::run::Contender;

/// One dyno a minute by the p95 of the past hour.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HerokuWeb {
    /// The wanted p95 in milliseconds, above 0.
    pub p95_ms: f64,
    /// A dyno is removed where the p95 is below so much of the wanted one, 0 to 1.
    pub lower_below: f64,
}

impl Policy for HerokuWeb {
    fn window(&self) -> Window {
        Window { samples: 1, span: SignedDuration::MAX }
    }

    fn verdict(&self, value: f64) -> Verdict {
        if value > self.p95_ms {
            Verdict::TooHigh
        } else if value < self.p95_ms * self.lower_below {
            Verdict::TooLow
        } else {
            Verdict::JustRight
        }
    }

    fn propose(&self, input: &PolicyInput<'_>) -> Proposal {
        let dynos = input.dynos;
        match input.evidence.newest_first().next().map(|point| point.verdict) {
            Some(Verdict::TooHigh) => Proposal::want(
                dynos.saturating_add(1),
                Phrase::with("the p95 of the past hour is above {0} ms", [self.p95_ms]),
            ),
            Some(Verdict::TooLow) => Proposal::want(
                dynos.saturating_sub(1),
                Phrase::with("the p95 of the past hour is below {0} ms", [self.p95_ms * self.lower_below]),
            ),
            _ => Proposal::want(dynos, Phrase::new("the p95 of the past hour is as wanted")),
        }
    }
}

/// Heroku's rule as a contender: a tick each minute on the p95 of the past hour, with the objective as the wanted p95.
pub fn heroku(objective_secs: f64, bounds: BoundTables) -> Contender {
    let policy = HerokuWeb { p95_ms: objective_secs * 1000.0, lower_below: 0.75 };
    contender("heroku", bounds, Meter::Percentile { quantile: 0.95, window_secs: 3600.0 }, 60.0, Arc::new(policy))
}

/// A contender with one measurement and no gate.
pub fn contender(name: &str, bounds: BoundTables, meter: Meter, every_secs: f64, policy: Arc<dyn Policy>) -> Contender {
    let measurement = MeasurementSpec {
        name: "simulated".into(),
        unit: meter.unit(),
        max_age: SignedDuration::from_mins(10),
        failures_mean_overload: matches!(meter, Meter::Probe { .. }),
        policy,
    };
    let spec = Spec {
        app: "simulated".into(),
        process: "web".into(),
        bounds,
        measurements: vec![measurement],
        gates: Vec::new(),
        zero: Zero::Keep,
        rapid: None,
    };
    Contender { name: name.to_owned(), spec, meters: vec![meter], every_secs }
}
