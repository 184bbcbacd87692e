//! [`Chance`]: what a measurement of few requests differs from the truth by, for the fluid simulation, which has means alone.

use rand::RngExt;
use rand_distr::{Poisson, StandardNormal};

use crate::workload::Dice;

/// The mean service time of few requests is no less than this part of that of many.
const LEAST_SERVICE: f64 = 0.05;

/// What the requests of a span differ from their mean by: so many times as many, that take so many times as long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Chance {
    /// So many times as many requests.
    pub(crate) requests: f64,
    /// That take so many times as long to serve.
    pub(crate) service: f64,
}

impl Chance {
    /// None of it.
    pub(crate) const NONE: Self = Self { requests: 1.0, service: 1.0 };

    /// Arrivals are a Poisson process; the mean of n service times varies by their variation / n.
    pub(crate) fn draw(dice: &mut Dice, requests: f64, scv: f64) -> Self {
        let Ok(poisson) = Poisson::new(requests) else { return Self::NONE };
        let came: f64 = dice.sample(poisson);
        let deviation = (scv / came.max(1.0)).sqrt();
        let service = 1.0 + deviation * dice.sample::<f64, _>(StandardNormal);
        Self { requests: came / requests, service: service.max(LEAST_SERVICE) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::{Stream, dice};

    /// The moments of a Poisson process, and of the mean of as many service times.
    #[test]
    fn few_requests_vary_as_they_should() {
        let mut dice = dice(7, Stream::Probes);
        for (requests, scv) in [(20.0, 1.0), (400.0, 0.0), (400.0, 4.0)] {
            let draws: Vec<_> = (0..20_000).map(|_| Chance::draw(&mut dice, requests, scv)).collect();
            let moments = |of: fn(&Chance) -> f64| {
                let mean = draws.iter().map(of).sum::<f64>() / draws.len() as f64;
                (mean, draws.iter().map(|draw| (of(draw) - mean).powi(2)).sum::<f64>() / draws.len() as f64)
            };
            let (mean, variance) = moments(|draw| draw.requests);
            assert!((mean - 1.0).abs() < 0.01 && (variance * requests - 1.0).abs() < 0.05, "{mean} {variance}");
            let (mean, variance) = moments(|draw| draw.service);
            assert!(
                (mean - 1.0).abs() < 0.01 && (variance * requests - scv).abs() < 0.1 * scv + 1e-9,
                "{mean} {variance}"
            );
        }
        assert_eq!(Chance::draw(&mut dice, 0.0, 1.0).requests, 1.0);
    }
}
