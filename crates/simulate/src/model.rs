//! [`App`]: the modelled app and platform, as numbers. How requests flow through it is in `events` (exact) and `fluid`
//! (approximate); what it draws at random is in `workload`.
//!
//! One queue in front of all dynos, first come first served, as behind a router that knows which dyno is free; or a queue of its
//! own before each dyno, as behind Heroku's router, which picks a dyno at random and so makes requests wait more
//! (devcenter.heroku.com/articles/http-routing).

use autoscalebot_core::Unit;
use autoscalebot_core::queueing::Routing;
use serde::Serialize;

/// The app, the platform and how they are seen. Times are seconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct App {
    /// Requests that a dyno works on at once, 1 or more.
    pub servers_per_dyno: u32,
    /// How requests get to the dynos.
    pub routing: Routing,
    /// How long the work on a request takes.
    pub service: Service,
    /// How requests come within a step of the trace.
    pub arrivals: Arrivals,
    /// The most requests that wait; one that comes when so many wait is rejected at once. `None`: no limit.
    pub queue_limit: Option<u32>,
    /// A request that has no answer after so long has failed: it leaves the queue, but a server that has begun it works on
    /// to the end, as behind Heroku's router (H12 after 30 s). `None`: callers wait for ever.
    pub timeout_secs: Option<f64>,
    /// From the platform's starting a dyno to its first request.
    pub boot_secs: f64,
    /// From a decision to the quantity being set.
    pub call_secs: f64,
    /// Whether the platform says which dynos serve, and which still boot.
    pub ready_known: bool,
    /// How old the newest requests are that a measurement counts; a probe of our own has none.
    pub metric_delay_secs: f64,
    /// The relative standard deviation of the error of measurements, 0 or more.
    pub metric_noise: f64,
    /// Wait + service of a request that is still good.
    pub objective_secs: f64,
    /// The share of a minute's requests that may be slower in the optimum we compare with, 0 to 1.
    pub slow_share: f64,
}

/// How long the work on one request takes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Service {
    /// The mean in seconds, above 0.
    pub mean_secs: f64,
    /// How it varies.
    pub shape: Shape,
}

/// The distribution of service times. `scv` is the variance over the square of the mean, above 0.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Shape {
    /// Exponential (scv 1): the one with closed formulas.
    Exponential,
    /// Always the mean (scv 0).
    Deterministic,
    /// Gamma: between the two for an scv below 1, heavier above.
    Gamma {
        /// Variance over squared mean.
        scv: f64,
    },
    /// Lognormal: a long tail, as web requests have.
    Lognormal {
        /// Variance over squared mean.
        scv: f64,
    },
}

impl Shape {
    /// Variance over squared mean.
    pub fn scv(self) -> f64 {
        match self {
            Self::Exponential => 1.0,
            Self::Deterministic => 0.0,
            Self::Gamma { scv } | Self::Lognormal { scv } => scv,
        }
    }
}

/// How requests come within a step of the trace, whose count is taken as the mean.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Arrivals {
    /// One by one, independent of each other.
    Poisson,
    /// In bursts that come independently, all requests of a burst at once; the size is geometric.
    Bursts {
        /// The mean size, 1 or more.
        mean_size: f64,
    },
}

impl Default for App {
    /// One request at a time per dyno, 0.1 s each, answers within 0.5 s at p95, dynos that boot in 30 s, router time-out 30 s.
    fn default() -> Self {
        Self {
            servers_per_dyno: 1,
            routing: Routing::Shared,
            service: Service { mean_secs: 0.1, shape: Shape::Exponential },
            arrivals: Arrivals::Poisson,
            queue_limit: None,
            timeout_secs: Some(30.0),
            boot_secs: 30.0,
            call_secs: 1.0,
            ready_known: false,
            metric_delay_secs: 0.0,
            metric_noise: 0.0,
            objective_secs: 0.5,
            slow_share: 0.05,
        }
    }
}

impl App {
    /// Requests that one busy server finishes in a second.
    pub fn mu(&self) -> f64 {
        1.0 / self.service.mean_secs
    }

    /// Everything that is wrong with the numbers, each with its mend.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut expect = |good: bool, name: &str, value: f64, range: &str| {
            if !good {
                faults.push(format!("{name} is {value}: give {range}"));
            }
        };
        let positive = |value: f64| value.is_finite() && value > 0.0;
        let natural = |value: f64| (0.0..=86_400.0).contains(&value);
        expect(
            (1..=10_000).contains(&self.servers_per_dyno),
            "servers_per_dyno",
            self.servers_per_dyno.into(),
            "1 to 10000",
        );
        expect(positive(self.service.mean_secs), "service.mean_secs", self.service.mean_secs, "seconds above 0");
        if let Shape::Gamma { scv } | Shape::Lognormal { scv } = self.service.shape {
            expect(positive(scv) && scv <= 1000.0, "service.scv", scv, "a number above 0 and at most 1000");
        }
        if let Arrivals::Bursts { mean_size } = self.arrivals {
            expect((1.0..=1e6).contains(&mean_size), "arrivals.mean_size", mean_size, "1 to 1000000");
        }
        if let Some(timeout) = self.timeout_secs {
            expect(positive(timeout), "timeout_secs", timeout, "seconds above 0, or leave it out");
        }
        expect(natural(self.boot_secs), "boot_secs", self.boot_secs, "seconds from 0 to a day");
        expect(natural(self.call_secs), "call_secs", self.call_secs, "seconds from 0 to a day");
        expect(natural(self.metric_delay_secs), "metric_delay_secs", self.metric_delay_secs, "seconds from 0 to a day");
        expect((0.0..=10.0).contains(&self.metric_noise), "metric_noise", self.metric_noise, "0 to 10");
        expect(positive(self.objective_secs), "objective_secs", self.objective_secs, "seconds above 0");
        expect(
            self.slow_share > 0.0 && self.slow_share < 1.0,
            "slow_share",
            self.slow_share,
            "a share between 0 and 1",
        );
        faults
    }
}

/// What a measurement reads in the simulated world; its value has the meter's [unit](Meter::unit).
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Meter {
    /// The response time of one request of our own, as of a heartbeat. It puts no load on the app.
    Probe {
        /// After so many seconds the probe has timed out.
        budget_secs: f64,
    },
    /// A percentile of the response times of what was answered within a window.
    Percentile {
        /// The share that is not slower, between 0 and 1.
        quantile: f64,
        /// The window's length in seconds, 1 or more.
        window_secs: f64,
    },
    /// The same percentile as a router tells it, in a line for each request that is answered: what is told beside it is of
    /// those that were answered, too, and the wait is in the time to serve them.
    Lines {
        /// The share that is not slower, between 0 and 1.
        quantile: f64,
        /// The window's length in seconds, 1 or more.
        window_secs: f64,
    },
    /// Requests that came in a second, over a window.
    Rate {
        /// The window's length in seconds, 1 or more.
        window_secs: f64,
    },
    /// Requests under way at once, waiting or being worked on: the mean over a window.
    Concurrency {
        /// The window's length in seconds, 1 or more.
        window_secs: f64,
    },
    /// Requests that wait now.
    Waiting,
}

impl Meter {
    /// What its numbers count.
    pub fn unit(self) -> Unit {
        match self {
            Self::Probe { .. } | Self::Percentile { .. } | Self::Lines { .. } => Unit::Milliseconds,
            Self::Rate { .. } => Unit::RequestsPerSecond,
            Self::Concurrency { .. } => Unit::Count,
            Self::Waiting => Unit::Jobs,
        }
    }

    /// Whether it counts what is answered.
    pub(crate) fn counts_answers(self) -> bool {
        matches!(self, Self::Percentile { .. } | Self::Lines { .. })
    }

    /// The length in seconds of its window, or of the averages that are told beside its number; `None` for a probe, which
    /// knows nothing else.
    pub fn window_secs(self) -> Option<f64> {
        match self {
            Self::Probe { .. } => None,
            Self::Waiting => Some(60.0),
            Self::Percentile { window_secs, .. }
            | Self::Lines { window_secs, .. }
            | Self::Rate { window_secs }
            | Self::Concurrency { window_secs } => Some(window_secs.max(1.0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_name_the_number_and_the_mend() {
        assert_eq!(App::default().faults(), Vec::<String>::new());
        let bad = App {
            servers_per_dyno: 0,
            service: Service { mean_secs: f64::NAN, shape: Shape::Gamma { scv: -1.0 } },
            arrivals: Arrivals::Bursts { mean_size: 0.5 },
            timeout_secs: Some(0.0),
            boot_secs: -1.0,
            slow_share: 1.0,
            ..App::default()
        };
        let faults = bad.faults();
        assert_eq!(faults.len(), 7, "{faults:?}");
        assert_eq!(faults[0], "servers_per_dyno is 0: give 1 to 10000");
    }
}
