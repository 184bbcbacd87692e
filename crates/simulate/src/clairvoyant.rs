//! The clairvoyant optimum: the cheapest schedule of dynos that meets the objective in every minute, by one who knows the
//! whole trace. No policy can be expected to reach it; how near one comes is a measure of it.
//!
//! `need[t]` is the least number with which the stationary queue at minute t's rate meets the objective; a dyno that is paid
//! from minute t serves from t + boot, and the newest stops first, so a schedule `a` serves `min(a[t-b..=t])`, and
//! `a[t] >= r[t] = max(need[t..=t+b])` is the same as meeting every need. The cheapest `a` with steps of at most `inc` is found
//! backwards: `V[t](a) = a + min V[t+1](a')` over `|a' - a| <= inc`, plus a fee where `a'` differs. Without a fee it is the
//! envelope `max over v of (r[v] - inc |v - t|)`, which is below every other schedule in every minute.
//!
//! It is a lower bound only for this stationary model: what waits at the end of a minute is not carried into the next.

use autoscalebot_core::queueing::Routing;

use crate::theory::{Mmc, dynos_needed};

/// What the schedule must keep to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Terms {
    /// Requests that one busy server finishes in a second, above 0.
    pub mu: f64,
    /// Requests that a dyno works on at once, 1 or more.
    pub servers_per_dyno: u32,
    /// How requests get to the dynos.
    pub routing: Routing,
    /// Seconds of wait + service that are still good.
    pub objective_secs: f64,
    /// The share of a minute's requests that may be slower, 0 to 1: 0.05 for an objective at p95.
    pub slow_share: f64,
    /// Whole minutes from paying for a dyno to its serving.
    pub boot_minutes: u32,
    /// The most dynos that come or go from one minute to the next, 1 or more.
    pub most_per_minute: u32,
    /// What a change costs beside the dynos, in dyno-minutes, 0 or more.
    pub change_fee: f64,
}

impl Terms {
    fn queue(&self, rate: f64, dynos: u32) -> Mmc {
        Mmc::behind(self.routing, rate, self.mu, self.servers_per_dyno, dynos)
    }
}

/// The fewest and the most dynos of one minute.
pub type Range = (u32, u32);

/// The optimum.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    /// Dynos paid in each minute.
    pub dynos: Vec<u32>,
    /// Dynos that serve in each minute.
    pub serving: Vec<u32>,
    /// Dynos needed in each minute, inside its range.
    pub need: Vec<u32>,
    /// Minutes whose need is above the most that is allowed.
    pub broken: Vec<usize>,
}

/// The figures of a schedule under the stationary model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figures {
    /// Paid dyno-hours.
    pub dyno_hours: f64,
    /// Dyno-hours of holding the peak need all the time.
    pub static_dyno_hours: f64,
    /// The most dynos paid at once.
    pub max_dynos: u32,
    /// Minutes in which the quantity differs from the minute before.
    pub changes: usize,
    /// The share of requests that exceed the objective.
    pub slow_share: f64,
    /// The minute with the highest p95, from 0, and that p95 in seconds.
    pub worst: (usize, f64),
}

/// The optimum for the rates of each minute (requests per second), each minute with its own range.
pub fn optimum(rates: &[f64], range: impl Fn(usize) -> Range, terms: &Terms) -> Schedule {
    let mut broken = Vec::new();
    // Rates come again and again (counts are whole), and so do their needs.
    let mut known = std::collections::HashMap::new();
    let need: Vec<u32> = rates
        .iter()
        .enumerate()
        .map(|(minute, rate)| {
            let (low, high) = range(minute);
            let need = *known.entry((rate.to_bits(), low, high)).or_insert_with(|| {
                dynos_needed(|dynos| terms.queue(*rate, dynos), terms.objective_secs, terms.slow_share, low, high)
            });
            need.unwrap_or_else(|| {
                broken.push(minute);
                high
            })
        })
        .collect();
    let required = highest_ahead(&need, terms.boot_minutes as usize);
    let dynos =
        if terms.change_fee > 0.0 { programme(&required, terms) } else { envelope(&required, terms.most_per_minute) };
    let serving = serving(&dynos, terms.boot_minutes as usize);
    Schedule { dynos, serving, need, broken }
}

/// For each minute the highest of it and the next `ahead`.
fn highest_ahead(need: &[u32], ahead: usize) -> Vec<u32> {
    (0..need.len())
        .map(|t| need[t..need.len().min(t.saturating_add(ahead).saturating_add(1))].iter().copied().max().unwrap_or(0))
        .collect()
}

/// The dynos of each minute that were paid long enough to serve: the fewest of it and the `boot` minutes before.
fn serving(dynos: &[u32], boot: usize) -> Vec<u32> {
    (0..dynos.len()).map(|t| dynos[t.saturating_sub(boot)..=t].iter().copied().min().unwrap_or(0)).collect()
}

/// The least schedule above `required` whose steps are at most `step`.
fn envelope(required: &[u32], step: u32) -> Vec<u32> {
    let mut dynos = required.to_vec();
    for t in 1..dynos.len() {
        dynos[t] = dynos[t].max(dynos[t - 1].saturating_sub(step));
    }
    for t in (1..dynos.len()).rev() {
        dynos[t - 1] = dynos[t - 1].max(dynos[t].saturating_sub(step));
    }
    dynos
}

/// The dynamic programme, backwards; of equally cheap schedules the one that stays, else the lowest.
fn programme(required: &[u32], terms: &Terms) -> Vec<u32> {
    let Some(peak) = required.iter().copied().max() else { return Vec::new() };
    let least = required.iter().copied().min().unwrap_or(0);
    // More than the peak is never worth paying.
    let levels = (peak - least) as usize + 1;
    let step = (terms.most_per_minute as usize).clamp(1, levels);
    let mut value = vec![0.0_f64; levels];
    let mut before = vec![0.0_f64; levels];
    let mut choices = vec![0_u32; levels * required.len()];
    for t in (0..required.len()).rev() {
        std::mem::swap(&mut value, &mut before);
        for level in 0..levels {
            let dynos = least + level as u32;
            if dynos < required[t] {
                value[level] = f64::INFINITY;
                continue;
            }
            let mut best = (before[level], level);
            let low = level.saturating_sub(step);
            for (next, after) in before.iter().enumerate().take(level + step + 1).skip(low) {
                let cost = after + if next == level { 0.0 } else { terms.change_fee };
                if cost < best.0 {
                    best = (cost, next);
                }
            }
            value[level] = f64::from(dynos) + best.0;
            choices[t * levels + level] = best.1 as u32;
        }
    }
    let start = (0..levels).fold(0, |best, level| if value[level] < value[best] { level } else { best });
    let mut level = start;
    (0..required.len())
        .map(|t| {
            let now = level;
            level = choices[t * levels + level] as usize;
            least + now as u32
        })
        .collect()
}

impl Schedule {
    /// Paid dyno-hours.
    pub fn dyno_hours(&self) -> f64 {
        self.dynos.iter().map(|dynos| f64::from(*dynos)).sum::<f64>() / 60.0
    }

    /// The figures under the stationary model, for the same rates and terms.
    pub fn figures(&self, rates: &[f64], terms: &Terms) -> Figures {
        let (mut slow, mut all, mut worst) = (0.0, 0.0, (0, 0.0));
        for (minute, (rate, serving)) in rates.iter().zip(&self.serving).enumerate() {
            let queue = terms.queue(*rate, *serving);
            all += rate;
            slow += rate * queue.tail(terms.objective_secs);
            let p95 = if *rate > 0.0 { queue.response_quantile(0.95) } else { 0.0 };
            if p95 > worst.1 {
                worst = (minute, p95);
            }
        }
        let peak = self.need.iter().copied().max().unwrap_or(0);
        Figures {
            dyno_hours: self.dyno_hours(),
            static_dyno_hours: f64::from(peak) * self.need.len() as f64 / 60.0,
            max_dynos: self.dynos.iter().copied().max().unwrap_or(0),
            changes: self.dynos.windows(2).filter(|pair| pair[0] != pair[1]).count(),
            slow_share: if all > 0.0 { slow / all } else { 0.0 },
            worst,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(inc: u32, fee: f64) -> Terms {
        Terms {
            mu: 10.0,
            servers_per_dyno: 1,
            routing: Routing::Shared,
            objective_secs: 0.5,
            slow_share: 0.05,
            boot_minutes: 1,
            most_per_minute: inc,
            change_fee: fee,
        }
    }

    #[test]
    fn programme_and_envelope_agree_without_a_fee() {
        // Plain pseudo-random needs; the programme is asked with a fee of 0.
        let mut seed = 7_u64;
        let need: Vec<u32> = (0..500)
            .map(|_| {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (seed >> 60) as u32
            })
            .collect();
        for inc in [1, 2, 5, 100] {
            assert_eq!(programme(&need, &terms(inc, 0.0)), envelope(&need, inc), "{inc}");
        }
    }

    #[test]
    fn a_fee_makes_changes_rarer_and_hours_more() {
        let rates: Vec<f64> = (0..200).map(|t| if t % 10 < 5 { 5.0 } else { 50.0 }).collect();
        let free = optimum(&rates, |_| (1, 40), &terms(5, 0.0));
        let dear = optimum(&rates, |_| (1, 40), &terms(5, 100.0));
        let changes = |s: &Schedule| s.dynos.windows(2).filter(|pair| pair[0] != pair[1]).count();
        assert!(changes(&dear) < changes(&free));
        assert!(dear.dyno_hours() > free.dyno_hours());
        assert!(dear.serving.iter().zip(&dear.need).all(|(serves, need)| serves >= need));
    }

    #[test]
    fn a_need_above_the_most_is_named() {
        let schedule = optimum(&[5.0, 500.0, 5.0], |_| (1, 3), &terms(5, 0.0));
        assert_eq!((schedule.broken.as_slice(), schedule.need[1]), (&[1][..], 3));
        assert_eq!(optimum(&[], |_| (1, 3), &terms(1, 1.0)).dynos, Vec::<u32>::new());
    }
}
