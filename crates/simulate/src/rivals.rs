//! Rules of others that are not policies of ours, to compare with.
//!
//! Heroku's own autoscaling of web dynos is documented (devcenter.heroku.com/articles/autoscaling, December 2024) as far as
//! this: it uses data from the past hour to calculate the fewest dynos that reach the wanted p95 response time at the current
//! throughput; one dyno comes or goes at a time, at least a minute apart; it scales down less aggressively than up. How it
//! calculates is not said, so here are two readings: [`HerokuThreshold`] compares the p95 of the past hour with the wanted one,
//! [`HerokuFitted`] is told the true service time and calculates with M/M/c, which is more than Heroku can know. "Less
//! aggressively" is taken as five minutes in a row; that number is ours.

use std::sync::Arc;

use autoscalebot_core::history::Window;
use autoscalebot_core::policy::{Policy, PolicyInput, Proposal};
use autoscalebot_core::queueing::Routing;
use autoscalebot_core::{BoundTables, Dynos, MeasurementSpec, Phrase, Spec, Verdict, Zero};
use jiff::SignedDuration;

use crate::model::{App, Meter};
use crate::run::Contender;
use crate::theory::{Mmc, dynos_needed};

/// Minutes in a row before Heroku's rule, as read here, takes a dyno away.
const MINUTES_TO_LOWER: usize = 5;

/// One dyno a minute by the p95 of the past hour.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HerokuThreshold {
    /// The wanted p95 in milliseconds, above 0.
    pub p95_ms: f64,
    /// A dyno goes where the p95 is below so much of the wanted one, 0 to 1.
    pub lower_below: f64,
}

impl Policy for HerokuThreshold {
    fn window(&self) -> Window {
        Window { samples: MINUTES_TO_LOWER, span: SignedDuration::MAX }
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
        if input.evidence.run_of(Verdict::TooHigh) > 0 {
            let why = Phrase::with("the p95 of the past hour is above {0} ms", [self.p95_ms]);
            return Proposal::want(dynos.saturating_add(1), why);
        }
        if input.evidence.run_of(Verdict::TooLow) >= MINUTES_TO_LOWER {
            let why = Phrase::with("the p95 of the past hour stays below {0} ms", [self.p95_ms * self.lower_below]);
            return Proposal::want(dynos.saturating_sub(1), why);
        }
        Proposal::want(dynos, Phrase::new("the p95 of the past hour is as wanted"))
    }
}

/// One dyno a minute towards the fewest that M/M/c needs for the wanted p95 at the rate of the last minute.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HerokuFitted {
    /// Requests that one busy server finishes in a second, above 0.
    pub mu: f64,
    /// Requests that a dyno works on at once, 1 or more.
    pub servers_per_dyno: u32,
    /// How requests get to the dynos.
    pub routing: Routing,
    /// The wanted p95 in seconds.
    pub p95_secs: f64,
}

impl HerokuFitted {
    fn needed(&self, rate: f64, max: Dynos) -> Dynos {
        let queue = |dynos| Mmc::behind(self.routing, rate, self.mu, self.servers_per_dyno, dynos);
        dynos_needed(queue, self.p95_secs, 0.05, 0, max).unwrap_or(max)
    }
}

impl Policy for HerokuFitted {
    fn window(&self) -> Window {
        Window { samples: MINUTES_TO_LOWER, span: SignedDuration::MAX }
    }

    fn verdict(&self, _rate: f64) -> Verdict {
        // A rate is neither good nor bad without the dynos that meet it.
        Verdict::JustRight
    }

    fn propose(&self, input: &PolicyInput<'_>) -> Proposal {
        let dynos = input.dynos;
        let needed = |rate: f64| self.needed(rate, input.bounds.max);
        let mut highest = None;
        let mut samples = 0;
        for (n, rate) in
            input.evidence.newest_first().filter_map(|point| point.value).take(MINUTES_TO_LOWER).enumerate()
        {
            let needed = needed(rate);
            if n == 0 && needed > dynos {
                let why = Phrase::with("{0} dynos are needed at {1} requests a second", [f64::from(needed), rate]);
                return Proposal::want(dynos.saturating_add(1), why);
            }
            highest = highest.max(Some(needed));
            samples = n + 1;
        }
        match highest {
            Some(needed) if samples >= MINUTES_TO_LOWER && needed < dynos => Proposal::want(
                dynos.saturating_sub(1),
                Phrase::with("{0} dynos were enough for {1} minutes", [f64::from(needed), samples as f64]),
            ),
            _ => Proposal::want(dynos, Phrase::new("as many dynos are needed as there are")),
        }
    }
}

/// Heroku's rule as a threshold: a tick each minute on the p95 of the past hour, the objective as the wanted p95.
pub fn heroku(objective_secs: f64, bounds: BoundTables) -> Contender {
    let policy = HerokuThreshold { p95_ms: objective_secs * 1000.0, lower_below: 0.75 };
    contender("heroku", bounds, Meter::Percentile { quantile: 0.95, window_secs: 3600.0 }, 60.0, Arc::new(policy))
}

/// Heroku's rule read kindly: the fewest dynos by a model that knows the app.
pub fn heroku_fitted(app: &App, bounds: BoundTables) -> Contender {
    let (mu, p95_secs) = (app.mu(), app.objective_secs);
    let policy = HerokuFitted { mu, servers_per_dyno: app.servers_per_dyno, routing: app.routing, p95_secs };
    contender("heroku-fitted", bounds, Meter::Rate { window_secs: 60.0 }, 60.0, Arc::new(policy))
}

/// A contender with one measurement and no gate.
pub fn contender(name: &str, bounds: BoundTables, meter: Meter, every_secs: f64, policy: Arc<dyn Policy>) -> Contender {
    let measurement = MeasurementSpec {
        name: "simulated".into(),
        unit: meter.unit(),
        max_age: SignedDuration::from_mins(10),
        failures_mean_overload: matches!(meter, Meter::Probe { .. }),
        policy,
        shadow: false,
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
    Contender { name: name.to_owned(), spec, meters: vec![meter], every_secs, told: false }
}
