//! How long requests wait: the M/M/c queue, and its stretch to other service times by Allen and Cunneen. Used by the policy
//! `response_time`; the simulator has formulas of its own, so that the two check each other.
//!
//! With `a` = offered load (arrivals in a second × mean service in seconds: servers that are busy on average) and `c` servers,
//! the chance to wait is Erlang's C = B c / (c − a (1 − B)), where 1 / B = Σ c! / ((c − j)! aʲ) is summed from its largest
//! term on, so that a thousand servers cost no more than the spread around `a`. The time T of wait and service is longer
//! than t with P = (1 − C) e^(−μt) + C (h e^(−μt) − μ e^(−ht)) / (h − μ), h = (c − a) μ.

use serde::Serialize;

/// Above so many busy servers, a margin of one per cent covers any wait: the square root of the load is less than that.
const LARGE: f64 = 100_000.0;

/// How requests get to the dynos.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Routing {
    /// All dynos take from one queue, or the router knows which of them are free.
    Shared,
    /// Each request goes to a dyno at random, as on Heroku: each has its own queue.
    Random,
}

/// An app as its queue sees it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Model {
    /// Requests that a dyno works on at once, at least 1.
    pub at_once: u32,
    /// How requests get to the dynos.
    pub routing: Routing,
    /// Variance over squared mean of the service times, at or above 0; 1 is exponential.
    pub variation: f64,
    /// The objective in seconds, above 0.
    pub objective_secs: f64,
    /// The share of requests that may be slower, between 0 and 1.
    pub slow_share: f64,
}

impl Model {
    /// The fewest dynos, at least 1, with which no more requests are slower than may be, at this offered load of requests that
    /// take `service_secs` on average. Where the service alone is slower more often, a tenth above that counts as reached.
    ///
    /// ```
    /// use autoscalebot_core::queueing::{Model, Routing};
    /// let model = Model { at_once: 1, routing: Routing::Shared, variation: 1.0, objective_secs: 0.5, slow_share: 0.05 };
    /// // 70 requests a second of 0.1 s each: with 8 dynos the p95 is 0.43 s, with 7 the queue grows for ever.
    /// assert_eq!(model.dynos(7.0, 0.1), 8);
    /// ```
    pub fn dynos(&self, offered: f64, service_secs: f64) -> u32 {
        let servers = f64::from(self.at_once.max(1));
        if !(offered > 0.0 && service_secs > 0.0) {
            return 1;
        }
        if offered > LARGE {
            return (offered * 1.01 / servers).ceil() as u32;
        }
        let alone = (-self.objective_secs / service_secs).exp();
        let allowed = self.slow_share.max(alone * 1.1);
        let first = (offered / servers).floor() as u32 + 1;
        match self.routing {
            Routing::Shared => self.shared(offered, service_secs, alone, allowed, first),
            Routing::Random => self.random(offered, service_secs, alone, allowed, first),
        }
    }

    /// The share of requests that are slower than the objective with so many dynos; all, where they cannot keep up.
    pub fn slower_with(&self, dynos: u32, offered: f64, service_secs: f64) -> f64 {
        let mut servers = f64::from(dynos) * f64::from(self.at_once.max(1));
        let mut offered = offered;
        if self.routing == Routing::Random {
            (servers, offered) = (f64::from(self.at_once.max(1)), offered / f64::from(dynos.max(1)));
        }
        if !(offered > 0.0 && service_secs > 0.0) {
            return 0.0;
        }
        if offered >= servers {
            return 1.0;
        }
        let alone = (-self.objective_secs / service_secs).exp();
        self.slower(servers, offered, service_secs, alone, erlang_b(servers, offered))
    }

    /// The mean service time behind a mean time in the dyno, wait and service together, of requests that come at `rate` to so
    /// many dynos. Where they wait little, that is nearly the whole; near saturation, it is what the dynos can do.
    pub fn service_secs(&self, rate: f64, within_secs: f64, dynos: u32) -> f64 {
        let servers = f64::from(dynos.max(1)) * f64::from(self.at_once.max(1));
        let wait = |service: f64| self.mean_wait(rate * service, service, servers, f64::from(dynos.max(1)));
        let (mut low, mut high) = (0.0, within_secs.min(servers / rate));
        if !(rate > 0.0 && within_secs > 0.0) || high == within_secs && wait(within_secs) < 0.01 * within_secs {
            return within_secs;
        }
        for _ in 0..10 {
            let middle = (low + high) / 2.0;
            if middle + wait(middle) > within_secs { high = middle } else { low = middle }
        }
        high
    }

    /// The mean wait in seconds, by Allen and Cunneen; infinite where the servers cannot keep up.
    fn mean_wait(&self, offered: f64, service_secs: f64, servers: f64, dynos: f64) -> f64 {
        let (servers, offered) = match self.routing {
            Routing::Shared => (servers, offered),
            Routing::Random => (servers / dynos, offered / dynos),
        };
        if offered >= servers {
            return f64::INFINITY;
        }
        let blocked = erlang_b(servers, offered);
        let waits = servers * blocked / (servers - offered * (1.0 - blocked));
        waits * service_secs / (servers - offered) * (1.0 + self.variation) / 2.0
    }

    fn shared(&self, offered: f64, service_secs: f64, alone: f64, allowed: f64, first: u32) -> u32 {
        let mut dynos = first;
        let mut servers = dynos.saturating_mul(self.at_once.max(1));
        let mut blocked = erlang_b(f64::from(servers), offered);
        // The share that waits falls faster than any power: a few times the square root of the load is enough.
        for _ in 0..10_000 {
            if self.slower(f64::from(servers), offered, service_secs, alone, blocked) <= allowed {
                break;
            }
            dynos += 1;
            for _ in 0..self.at_once.max(1) {
                servers += 1;
                blocked = offered * blocked / (f64::from(servers) + offered * blocked);
            }
        }
        dynos
    }

    /// Each dyno is a queue of its own with its share of the load.
    fn random(&self, offered: f64, service_secs: f64, alone: f64, allowed: f64, first: u32) -> u32 {
        let servers = f64::from(self.at_once.max(1));
        let enough = |dynos: u32| {
            let share = offered / f64::from(dynos);
            let blocked = erlang_b(servers, share);
            self.slower(servers, share, service_secs, alone, blocked) <= allowed
        };
        let (mut low, mut high) = (first, first);
        while !enough(high) {
            low = high.saturating_add(1);
            high = high.saturating_mul(2);
            if high == u32::MAX {
                break;
            }
        }
        while low < high {
            let middle = low + (high - low) / 2;
            if enough(middle) { high = middle } else { low = middle + 1 }
        }
        low
    }

    /// The share of requests that are slower than the objective.
    fn slower(&self, servers: f64, offered: f64, service_secs: f64, alone: f64, blocked: f64) -> f64 {
        let waits = servers * blocked / (servers - offered * (1.0 - blocked));
        let mu = 1.0 / service_secs;
        let h = (servers - offered) * mu * 2.0 / (1.0 + self.variation.max(0.0));
        if (h - mu).abs() < 1e-6 * mu {
            return alone + waits * mu * self.objective_secs * alone;
        }
        let late = (h * alone - mu * (-h * self.objective_secs).exp()) / (h - mu);
        (1.0 - waits) * alone + waits * late
    }
}

/// The share of requests that find all servers busy and would be turned away, by Erlang's B formula.
fn erlang_b(servers: f64, offered: f64) -> f64 {
    let (mut term, mut sum) = (1.0_f64, 1.0_f64);
    let per = 1.0 / offered;
    let mut left = servers;
    while left > 0.0 {
        term *= left * per;
        sum += term;
        if !sum.is_finite() {
            return 0.0;
        }
        left -= 1.0;
        // Past its largest term, the sum falls ever faster.
        if left < offered && term < sum * 1e-12 {
            break;
        }
    }
    1.0 / sum
}

/// Halves of a window with fewer requests tell nothing of how a queue grows.
const FEW: f64 = 10.0;
/// The most that the time of answers is taken to grow in a second, in seconds.
const FASTEST_GROWTH: f64 = 0.9;

/// Requests that come in a second, where it is only known when they are answered: while a queue grows, more come than are
/// answered, and fewer while it is worked off. First come, first served, a request that is answered `t` later than another one and took `d` longer came `t − d`
/// later; so what is answered within `t` had come within `t − d`. How the times grow is told by the shortest of each half of a
/// window, as all others have reasons of their own to be long.
///
/// `answered` requests in a second, over a window whose halves begin `apart_secs` apart; `early` and `late`: the requests of each
/// half, and the shortest time of them in seconds.
pub fn arrivals(answered: f64, early: (f64, f64), late: (f64, f64), apart_secs: f64) -> f64 {
    let ((early_requests, early_secs), (late_requests, late_secs)) = (early, late);
    if early_requests < FEW || late_requests < FEW || apart_secs <= 0.0 {
        return answered;
    }
    let growth = (late_secs - early_secs) / apart_secs;
    answered / (1.0 - growth.min(FASTEST_GROWTH))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reference figures of M/M/c: (arrivals, served in a second by one server, servers, share that waits, p95 of wait and
    /// service).
    const REFERENCE: &[(f64, f64, f64, f64, f64)] = &[
        (0.5, 1.0, 1.0, 0.5, 5.99146),
        (9.5, 10.0, 1.0, 0.95, 5.99146),
        (15.0, 10.0, 2.0, 0.642857, 0.647658),
        (36.0, 10.0, 4.0, 0.787753, 0.816552),
        (90.0, 10.0, 10.0, 0.668732, 0.436087),
        (450.0, 10.0, 50.0, 0.363864, 0.308280),
        (40.0, 4.0, 12.0, 0.449388, 0.839001),
    ];

    #[test]
    fn agrees_with_reference_figures() {
        for &(rate, mu, servers, waits, p95) in REFERENCE {
            let offered = rate / mu;
            let blocked = erlang_b(servers, offered);
            let got = servers * blocked / (servers - offered * (1.0 - blocked));
            assert!((got - waits).abs() < 1e-5, "{rate} {mu} {servers}: {got}");
            let model =
                Model { at_once: 1, routing: Routing::Shared, variation: 1.0, objective_secs: p95, slow_share: 0.05 };
            let slower = model.slower(servers, offered, 1.0 / mu, (-p95 * mu).exp(), blocked);
            assert!((slower - 0.05).abs() < 1e-5, "{rate} {mu} {servers}: {slower}");
        }
    }

    /// Mean waits of the same queues: 8 servers at 70 requests a second wait 0.0635 s on top of 0.1.
    #[test]
    fn the_service_behind_a_time_in_the_dyno() {
        let model =
            Model { at_once: 1, routing: Routing::Shared, variation: 1.0, objective_secs: 0.5, slow_share: 0.05 };
        for (rate, dynos, wait) in [(70.0, 8, 0.063_531_6), (30.0, 4, 0.050_943_4), (70.0, 40, 0.0)] {
            let service = model.service_secs(rate, 0.1 + wait, dynos);
            assert!((service - 0.1).abs() < 0.001, "{rate} {dynos}: {service}");
        }
        // In an overload, 3 s tell no more than that all 8 are busy.
        let service = model.service_secs(70.0, 3.0, 8);
        assert!((0.11..0.115).contains(&service), "{service}");
        assert_eq!(model.service_secs(0.0, 3.0, 8), 3.0);
    }

    #[test]
    fn what_came_is_told_by_how_the_times_of_answers_grow() {
        // Answered in a second; requests and shortest time of the halves of 4 s, the second 2 s after the first; came in a second.
        for (answered, early, late, came) in [
            (30.0, (60.0, 0.1), (60.0, 0.1), 30.0),
            (30.0, (60.0, 1.0), (60.0, 2.0), 60.0), // half a second more in each second
            (30.0, (60.0, 1.0), (60.0, 9.0), 300.0), // no more than that
            (120.0, (240.0, 15.0), (240.0, 5.0), 20.0), // worked off
            (1.0, (2.0, 0.1), (2.0, 1.9), 1.0),     // too few to tell
            (0.0, (0.0, 0.0), (0.0, 0.0), 0.0),
        ] {
            let got = arrivals(answered, early, late, 2.0);
            assert!((got - came).abs() < 1e-9 * came.max(1.0), "{answered} {early:?} {late:?}: {got}");
        }
    }

    #[test]
    fn more_load_never_needs_fewer() {
        for routing in [Routing::Shared, Routing::Random] {
            for at_once in [1, 5] {
                for variation in [0.0, 1.0, 4.0] {
                    let model = Model { at_once, routing, variation, objective_secs: 0.5, slow_share: 0.05 };
                    let mut last = 0;
                    for step in 0..4000 {
                        let offered = 1.004_f64.powi(step) * 0.01;
                        let dynos = model.dynos(offered, 0.1);
                        assert!(dynos >= last, "{offered}: {dynos} after {last}");
                        assert!(f64::from(dynos * at_once) > offered);
                        last = dynos;
                    }
                }
            }
        }
    }

    #[test]
    fn an_objective_that_the_service_alone_breaks_asks_for_no_fleet() {
        let model =
            Model { at_once: 1, routing: Routing::Shared, variation: 1.0, objective_secs: 0.1, slow_share: 0.05 };
        let dynos = model.dynos(10.0, 0.1);
        assert!((11..=16).contains(&dynos), "{dynos}");
        assert_eq!(model.dynos(0.0, 0.1), 1);
        assert_eq!(model.dynos(f64::MAX, 0.1), u32::MAX);
    }
}
