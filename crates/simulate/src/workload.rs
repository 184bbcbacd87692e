//! What is drawn at random: when requests come, how long the work on each takes, and the errors of measurements.
//!
//! Each of these has its own stream, from one seed: the same requests meet every policy, so that a difference between two
//! policies is theirs and not the dice's. The generator is xoshiro256++ (Blackman and Vigna, 2018).

use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, Exp1, Gamma, LogNormal, StandardNormal};
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::model::{Arrivals, Service, Shape};
use crate::trace::Trace;

/// The generator of one stream.
pub(crate) type Dice = Xoshiro256PlusPlus;

/// The streams of a seed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Stream {
    Arrivals = 1,
    Service = 2,
    Measurements = 3,
    Probes = 4,
    Search = 5,
    Routing = 6,
}

/// The dice of one stream of a seed.
pub(crate) fn dice(seed: u64, stream: Stream) -> Dice {
    // seed_from_u64 mixes by SplitMix64, so that neighbouring numbers give unrelated streams.
    Dice::seed_from_u64(seed.wrapping_mul(8).wrapping_add(stream as u64))
}

/// One request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Request {
    /// When it comes, in seconds since the start.
    pub(crate) at: f64,
    /// How long the work on it takes, in seconds.
    pub(crate) service: f64,
}

/// Draws service times.
#[derive(Debug, Clone)]
pub(crate) enum Work {
    Exponential(f64),
    Deterministic(f64),
    Gamma(Gamma<f64>),
    Lognormal(LogNormal<f64>),
}

impl Work {
    /// A distribution with the mean and the scv of `service`. Numbers that no such distribution has (see
    /// [`App::faults`](crate::model::App::faults)) fall back to the fixed mean.
    pub(crate) fn new(service: Service) -> Self {
        let mean = service.mean_secs;
        let drawn = match service.shape {
            Shape::Exponential => Some(Self::Exponential(mean)),
            Shape::Deterministic => None,
            Shape::Gamma { scv } => Gamma::new(1.0 / scv, mean * scv).ok().map(Self::Gamma),
            Shape::Lognormal { scv } => {
                let variance = (1.0 + scv).ln();
                LogNormal::new(mean.ln() - 0.5 * variance, variance.sqrt()).ok().map(Self::Lognormal)
            }
        };
        drawn.unwrap_or(Self::Deterministic(mean))
    }

    /// One service time in seconds.
    #[inline]
    pub(crate) fn draw(&self, dice: &mut Dice) -> f64 {
        match self {
            Self::Exponential(mean) => mean * dice.sample::<f64, _>(Exp1),
            Self::Deterministic(mean) => *mean,
            Self::Gamma(gamma) => gamma.sample(dice),
            Self::Lognormal(lognormal) => lognormal.sample(dice),
        }
    }
}

/// A factor of mean 1 whose logarithm has the standard deviation `noise`: an error that never makes a value negative.
pub(crate) fn error_factor(noise: f64, dice: &mut Dice) -> f64 {
    if noise <= 0.0 {
        return 1.0;
    }
    let sigma = (1.0 + noise * noise).ln().sqrt();
    (sigma * dice.sample::<f64, _>(StandardNormal) - 0.5 * sigma * sigma).exp()
}

/// The requests of a trace, in order of their coming.
#[derive(Debug)]
pub(crate) struct Workload<'a> {
    trace: &'a Trace,
    work: Work,
    mean_burst: f64,
    arrivals: Dice,
    services: Dice,
    /// The step that the clock is in.
    step: usize,
    at: f64,
    /// Requests of the burst that are still to come.
    left: u64,
}

impl<'a> Workload<'a> {
    pub(crate) fn new(trace: &'a Trace, service: Service, arrivals: Arrivals, seed: u64) -> Self {
        Self {
            trace,
            work: Work::new(service),
            mean_burst: match arrivals {
                Arrivals::Poisson => 1.0,
                Arrivals::Bursts { mean_size } => mean_size.max(1.0),
            },
            arrivals: dice(seed, Stream::Arrivals),
            services: dice(seed, Stream::Service),
            step: 0,
            at: 0.0,
            left: 0,
        }
    }

    /// When the next burst comes. The gap of a Poisson process has no memory, so a gap that leaves its step is drawn anew
    /// from the step's end, at the next rate: exact for a rate that changes at the edges.
    #[inline]
    fn next_instant(&mut self) -> Option<f64> {
        let step_secs = f64::from(self.trace.step_secs);
        loop {
            let requests = *self.trace.requests.get(self.step)?;
            let edge = (self.step + 1) as f64 * step_secs;
            if requests > 0.0 {
                let gap = self.arrivals.sample::<f64, _>(Exp1) * step_secs * self.mean_burst / requests;
                if self.at + gap < edge {
                    self.at += gap;
                    return Some(self.at);
                }
            }
            self.at = edge;
            self.step += 1;
        }
    }

    fn burst_size(&mut self) -> u64 {
        if self.mean_burst <= 1.0 {
            return 1;
        }
        // Geometric from 1 by inversion: 1 + floor(ln u / ln(1 - 1/mean)).
        let u: f64 = 1.0 - self.arrivals.random::<f64>();
        1 + (u.ln() / (1.0 - 1.0 / self.mean_burst).ln()).min(1e9) as u64
    }
}

impl Iterator for Workload<'_> {
    type Item = Request;

    #[inline]
    fn next(&mut self) -> Option<Request> {
        if self.left == 0 {
            self.next_instant()?;
            self.left = self.burst_size();
        }
        self.left -= 1;
        Some(Request { at: self.at, service: self.work.draw(&mut self.services) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_and_variances_are_as_asked() {
        for shape in [
            Shape::Exponential,
            Shape::Deterministic,
            Shape::Gamma { scv: 0.5 },
            Shape::Gamma { scv: 4.0 },
            Shape::Lognormal { scv: 2.0 },
        ] {
            let work = Work::new(Service { mean_secs: 0.2, shape });
            let mut dice = dice(1, Stream::Service);
            let draws: Vec<f64> = (0..400_000).map(|_| work.draw(&mut dice)).collect();
            let mean = draws.iter().sum::<f64>() / draws.len() as f64;
            let variance = draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / draws.len() as f64;
            assert!((mean / 0.2 - 1.0).abs() < 0.01, "{shape:?} {mean}");
            assert!((variance / 0.04 - shape.scv()).abs() < 0.06 * shape.scv().max(0.1), "{shape:?} {variance}");
        }
    }

    #[test]
    fn requests_follow_the_trace_alone_or_in_bursts() {
        let trace = Trace::new("t", jiff::Timestamp::UNIX_EPOCH, 60, vec![60_000.0, 0.0, 120_000.0]);
        let service = Service { mean_secs: 0.1, shape: Shape::Exponential };
        for arrivals in [Arrivals::Poisson, Arrivals::Bursts { mean_size: 5.0 }] {
            let mut counts = [0_f64; 3];
            let mut last = 0.0;
            for request in Workload::new(&trace, service, arrivals, 3) {
                assert!(request.at >= last);
                last = request.at;
                counts[(request.at / 60.0) as usize] += 1.0;
            }
            assert_eq!(counts[1], 0.0);
            assert!((counts[0] / 60_000.0 - 1.0).abs() < 0.03, "{arrivals:?} {counts:?}");
            assert!((counts[2] / 120_000.0 - 1.0).abs() < 0.03, "{arrivals:?} {counts:?}");
        }
    }

    #[test]
    fn errors_have_mean_one() {
        let mut dice = dice(1, Stream::Measurements);
        let mean = (0..100_000).map(|_| error_factor(0.3, &mut dice)).sum::<f64>() / 100_000.0;
        assert!((mean - 1.0).abs() < 0.01, "{mean}");
        assert_eq!(error_factor(0.0, &mut dice), 1.0);
    }
}
