//! Queueing theory: stationary waits of M/M/c, and mean waits of M/G/1, in closed form.
//!
//! What lives here is formulas of a queue that runs for ever at one rate; queues that change are in `events` and `fluid`.
//! Rates are per second, times are seconds. Sources: A. K. Erlang (1917) for the probability of waiting; the Pollaczek–
//! Khinchine formula for M/G/1 (Kleinrock, *Queueing Systems* I, 1975, 5.6); the tail of wait + service is the convolution of
//! an exponential service with the wait of M/M/c (an atom at 0 and an exponential of rate `c mu - lambda`). For several
//! servers and any service time the wait of M/M/c is stretched by `(1 + scv) / 2` (Lee and Longton, 1959): exact for one
//! server and in the limit of heavy traffic, within a few per cent of the mean elsewhere.

use autoscalebot_core::queueing::Routing;

/// A queue with Poisson arrivals, `servers` equal servers, exponential service, first come first served, no limit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mmc {
    /// Arrivals per second, 0 or more.
    pub lambda: f64,
    /// Requests that one busy server finishes in a second, above 0.
    pub mu: f64,
    /// Servers, 1 or more.
    pub servers: u32,
}

impl Mmc {
    /// The queue that a request meets with so many dynos of so many servers each: that of all of them, or one dyno's own.
    pub fn behind(routing: Routing, lambda: f64, mu: f64, servers_per_dyno: u32, dynos: u32) -> Self {
        match routing {
            Routing::Shared => Self { lambda, mu, servers: dynos.saturating_mul(servers_per_dyno) },
            // Arrivals that are dealt at random are Poisson processes again.
            Routing::Random => Self {
                lambda: lambda / f64::from(dynos.max(1)),
                mu,
                servers: if dynos > 0 { servers_per_dyno } else { 0 },
            },
        }
    }

    /// The load of each server, 0 or more; the queue is stable below 1.
    pub fn rho(self) -> f64 {
        self.lambda / (f64::from(self.servers) * self.mu)
    }

    /// Whether the queue has a stationary state.
    pub fn is_stable(self) -> bool {
        self.servers > 0 && self.rho() < 1.0
    }

    /// The probability that a request waits (Erlang C), 0 to 1; 1 where the queue is not stable.
    ///
    /// By the recursion of Erlang B, whose terms stay between 0 and 1 for any number of servers, where the sum of powers over
    /// factorials overflows from 170 servers on.
    ///
    /// ```
    /// use autoscalebot_simulate::theory::Mmc;
    /// assert!((Mmc { lambda: 15.0, mu: 10.0, servers: 2 }.p_wait() - 0.642857).abs() < 1e-6);
    /// ```
    pub fn p_wait(self) -> f64 {
        if !self.is_stable() {
            return 1.0;
        }
        let offered = self.lambda / self.mu;
        let mut blocked = 1.0;
        for n in 1..=self.servers {
            blocked = offered * blocked / (f64::from(n) + offered * blocked);
        }
        let rho = self.rho();
        blocked / (1.0 - rho * (1.0 - blocked))
    }

    /// The mean wait in seconds; infinite where the queue is not stable.
    pub fn mean_wait(self) -> f64 {
        if !self.is_stable() {
            return f64::INFINITY;
        }
        self.p_wait() / (f64::from(self.servers) * self.mu - self.lambda)
    }

    /// The probability that wait + service is longer than `secs`.
    pub fn tail(self, secs: f64) -> f64 {
        self.tail_given(self.p_wait(), secs)
    }

    fn tail_given(self, p_wait: f64, secs: f64) -> f64 {
        if !self.is_stable() {
            return 1.0;
        }
        let mu = self.mu;
        let drain = f64::from(self.servers) * mu - self.lambda;
        let served = (-mu * secs).exp();
        // Near drain = mu the difference quotient loses its digits; its limit is mu t e^(-mu t), and the relative error of
        // using the limit within 1e-6 is below 1e-6 (1 + mu t).
        let waited = if ((drain - mu) / mu).abs() < 1e-6 {
            served * (1.0 + mu * secs)
        } else {
            (drain * served - mu * (-drain * secs).exp()) / (drain - mu)
        };
        (1.0 - p_wait) * served + p_wait * waited
    }

    /// The time that a share `quantile` (0 to 1, both excluded) of requests does not exceed, wait + service, in seconds;
    /// infinite where the queue is not stable.
    pub fn response_quantile(self, quantile: f64) -> f64 {
        if !self.is_stable() {
            return f64::INFINITY;
        }
        let p_wait = self.p_wait();
        quantile_of_tail(1.0 / self.mu, quantile, |secs| self.tail_given(p_wait, secs))
    }
}

/// The time at which a falling tail reaches `1 - quantile`, by bisection from a first guess above 0, in the guess's unit.
pub(crate) fn quantile_of_tail(guess: f64, quantile: f64, tail: impl Fn(f64) -> f64) -> f64 {
    let target = 1.0 - quantile;
    let (mut low, mut high) = (0.0, guess);
    // A tail falls by e at least each mean; 200 doublings reach any time a float can name.
    for _ in 0..200 {
        if tail(high) <= target {
            break;
        }
        low = high;
        high *= 2.0;
    }
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if tail(middle) > target {
            low = middle
        } else {
            high = middle
        }
        if high - low <= 1e-9 * high {
            break;
        }
    }
    0.5 * (low + high)
}

/// The mean wait of M/G/1 in seconds (Pollaczek–Khinchine): `scv` is the variance of the service time over the square of its
/// mean, 0 for M/D/1 and 1 for M/M/1; infinite where the queue is not stable.
pub fn mg1_mean_wait(lambda: f64, mu: f64, scv: f64) -> f64 {
    let rho = lambda / mu;
    if rho >= 1.0 { f64::INFINITY } else { lambda * (1.0 + scv) / (2.0 * mu * mu * (1.0 - rho)) }
}

/// The factor by which the waits of M/M/c are stretched for another service time: `(1 + scv) / 2`.
pub fn stretch(scv: f64) -> f64 {
    0.5 * (1.0 + scv)
}

/// The least dynos from `low` to `high` with which at most `slow_share` of the requests exceed `objective` seconds; `None` where
/// `high` is not enough. `queue` is the one that a request meets with so many dynos, of which each takes as much.
pub fn dynos_needed(queue: impl Fn(u32) -> Mmc, objective: f64, slow_share: f64, low: u32, high: u32) -> Option<u32> {
    let one = queue(1);
    // The tail falls with each server, so the first that is good enough is the least.
    let stable_from = one.rho().floor() as u32;
    (low.max(stable_from)..=high).find(|dynos| {
        let queue = queue(*dynos);
        *dynos > 0 && queue.servers > 0 && queue.tail(objective) <= slow_share || (one.lambda <= 0.0 && *dynos >= low)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_finite_and_ordered() {
        // 500 servers: powers over factorials would overflow.
        let many = Mmc { lambda: 4750.0, mu: 10.0, servers: 500 };
        assert!(many.p_wait() > 0.0 && many.p_wait() < 1.0);
        assert_eq!(Mmc { lambda: 10.0, mu: 10.0, servers: 1 }.mean_wait(), f64::INFINITY);
        assert_eq!(Mmc { lambda: 0.0, mu: 10.0, servers: 1 }.mean_wait(), 0.0);
        // drain == mu, where the formula has its limit: continuous to both sides.
        let at = |lambda| Mmc { lambda, mu: 10.0, servers: 2 }.tail(0.3);
        assert!((at(10.0) - at(10.001)).abs() < 1e-3 && (at(10.0) - at(9.999)).abs() < 1e-3);
    }

    #[test]
    fn the_least_number_of_dynos() {
        let needed = |lambda, routing, low| {
            dynos_needed(|dynos| Mmc::behind(routing, lambda, 10.0, 1, dynos), 0.5, 0.05, low, 40)
        };
        assert_eq!(needed(0.0, Routing::Shared, 1), Some(1));
        assert_eq!(needed(0.0, Routing::Shared, 0), Some(0));
        assert_eq!(needed(1e6, Routing::Shared, 1), None);
        // Each of its own: M/M/1 has a p95 of ln 20 / (10 - lambda) s, which is 0.5 s at 4 requests a second.
        assert_eq!(needed(40.0, Routing::Random, 1), Some(10));
        assert_eq!(needed(40.5, Routing::Random, 1), Some(11));
        let n = needed(95.0, Routing::Shared, 1).unwrap();
        assert!(Mmc { lambda: 95.0, mu: 10.0, servers: n }.response_quantile(0.95) <= 0.5);
        assert!(Mmc { lambda: 95.0, mu: 10.0, servers: n - 1 }.response_quantile(0.95) > 0.5);
    }
}
