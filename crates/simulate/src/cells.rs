//! [`Cell`]: the response times of the stationary queue at one load, tabulated, for the fluid simulation.
//!
//! Exponential service is the formula of M/M/c. Other shapes are approximated: the probability of waiting is that of M/M/c, the
//! wait of those who wait is exponential with the mean stretched by `(1 + scv) / 2` (see `theory`), and the service is a sample
//! of the true distribution. Loads are rounded to 1/1024, which at a load of 0.95 is one per cent of the wait.

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::model::{App, Shape};
use crate::theory::{Mmc, quantile_of_tail, stretch};
use crate::workload::{Dice, Stream, Work, dice};

/// Loads are rounded to one part in so many.
const LOADS: f64 = 1024.0;
/// The stationary wait grows without limit towards a load of 1, where a real queue is never stationary within minutes; it is
/// taken no nearer than this, and from a load of 1 on the backlog is counted instead.
const HIGHEST_LOAD: f64 = 0.98;
/// The service times are stood for by so many equally probable ones.
const ATOMS: usize = 64;

/// The response times at one load.
#[derive(Debug)]
pub(crate) struct Cell {
    /// The mean wait in seconds.
    pub(crate) mean_wait: f64,
    /// The 95th percentile of wait + service in seconds.
    pub(crate) p95: f64,
    /// Times of wait + service in seconds, ascending, each with its share of the requests.
    pub(crate) points: Vec<(f64, f64)>,
    /// The share of requests above the objective.
    slow: f64,
    /// Requests of the whole run that had just these times, to be spread once at its end.
    requests: std::cell::Cell<f64>,
}

impl Cell {
    /// Counts requests that have just these times.
    pub(crate) fn count(&self, requests: f64) {
        self.requests.set(self.requests.get() + requests);
    }

    /// The share of requests that exceed the objective after a further wait.
    pub(crate) fn slow_after(&self, wait: f64, objective: f64) -> f64 {
        if wait <= 0.0 {
            return self.slow;
        }
        self.above(objective - wait)
    }

    /// The share of requests that take longer than `secs`, by the tabulated points.
    pub(crate) fn above(&self, secs: f64) -> f64 {
        self.points.iter().filter(|(at, _)| *at > secs).map(|(_, share)| share).sum()
    }

    /// The response time at a place between 0 and 1 of the distribution.
    pub(crate) fn at(&self, place: f64) -> f64 {
        let mut left = place;
        for (secs, share) in &self.points {
            left -= share;
            if left <= 0.0 {
                return *secs;
            }
        }
        self.points.last().map_or(0.0, |(secs, _)| *secs)
    }
}

/// The cells that were needed so far.
#[derive(Debug)]
pub(crate) struct Cells {
    mu: f64,
    shape: Shape,
    objective: f64,
    atoms: Vec<f64>,
    known: BTreeMap<(u32, u32), Rc<Cell>>,
    last: Option<((u32, u32), Rc<Cell>)>,
}

/// The share of requests of each tabulated point, from the fastest; finer where percentiles are asked for.
fn slices() -> impl Iterator<Item = f64> {
    let some = |count, share| std::iter::repeat_n(share, count);
    some(16, 0.05).chain(some(36, 0.005)).chain(some(20, 0.001))
}

impl Cells {
    pub(crate) fn new(app: &App) -> Self {
        let work = Work::new(app.service);
        // A fixed seed of their own: the atoms stand for the distribution, they are no part of the run's chance.
        let mut dice: Dice = dice(0, Stream::Service);
        let mut draws: Vec<f64> = (0..ATOMS * 256).map(|_| work.draw(&mut dice)).collect();
        draws.sort_unstable_by(f64::total_cmp);
        let atoms: Vec<f64> = draws.chunks(256).map(|chunk| chunk.iter().sum::<f64>() / chunk.len() as f64).collect();
        let mean = atoms.iter().sum::<f64>() / atoms.len() as f64;
        Self {
            mu: app.mu(),
            shape: app.service.shape,
            objective: app.objective_secs,
            atoms: atoms.into_iter().map(|atom| atom * app.service.mean_secs / mean).collect(),
            known: BTreeMap::new(),
            last: None,
        }
    }

    /// The cell of `lambda` requests a second on so many servers (1 or more).
    pub(crate) fn at(&mut self, lambda: f64, servers: u32) -> Rc<Cell> {
        let load = (lambda / (f64::from(servers) * self.mu)).min(HIGHEST_LOAD);
        let key = (servers, (load * LOADS).round() as u32);
        if let Some((last, cell)) = &self.last
            && *last == key
        {
            return Rc::clone(cell);
        }
        let cell = match self.known.get(&key) {
            Some(cell) => Rc::clone(cell),
            None => {
                let cell = Rc::new(self.make(f64::from(key.1) / LOADS, servers));
                self.known.insert(key, Rc::clone(&cell));
                cell
            }
        };
        self.last = Some((key, Rc::clone(&cell)));
        cell
    }

    /// Each time of the requests that were [counted](Cell::count), with their number.
    pub(crate) fn counted(&self) -> impl Iterator<Item = (f64, f64)> {
        self.known.values().flat_map(|cell| {
            let requests = cell.requests.get();
            cell.points.iter().map(move |(secs, share)| (*secs, share * requests))
        })
    }

    fn make(&self, load: f64, servers: u32) -> Cell {
        let queue = Mmc { lambda: load * f64::from(servers) * self.mu, mu: self.mu, servers };
        let p_wait = queue.p_wait();
        let mean_wait = queue.mean_wait() * stretch(self.shape.scv());
        let rate = p_wait / mean_wait.max(1e-12);
        let tail = |secs: f64| match self.shape {
            Shape::Exponential => queue.tail(secs),
            _ => {
                let waits = |over: f64| if over < 0.0 { 1.0 } else { p_wait * (-rate * over).exp() };
                self.atoms.iter().map(|atom| waits(secs - atom)).sum::<f64>() / self.atoms.len() as f64
            }
        };
        let mut place = 0.0;
        let table = Table::new(1.0 / self.mu, tail);
        let points = slices().map(|share| {
            let middle = place + 0.5 * share;
            place += share;
            (table.time(1.0 - middle), share)
        });
        let points = points.collect();
        Cell {
            mean_wait,
            p95: quantile_of_tail(1.0 / self.mu, 0.95, tail),
            points,
            slow: tail(self.objective),
            requests: 0.0.into(),
        }
    }
}

/// A tail on a grid of times, to be read backwards.
struct Table(Vec<(f64, f64)>);

impl Table {
    /// From 1/64 to 16384 means, eight an octave.
    fn new(mean: f64, tail: impl Fn(f64) -> f64) -> Self {
        Self((0..160).map(|n| mean * (f64::from(n) / 8.0 - 6.0).exp2()).map(|secs| (secs, tail(secs))).collect())
    }

    /// The time at which the tail is `share`: straight in its logarithm between two grid times, as tails are.
    fn time(&self, share: f64) -> f64 {
        let after = self.0.partition_point(|(_, tail)| *tail > share);
        let (low, high) = match (after.checked_sub(1).and_then(|before| self.0.get(before)), self.0.get(after)) {
            (Some(low), Some(high)) => (*low, *high),
            (None, Some(high)) => ((0.0, 1.0), *high),
            (low, None) => return low.map_or(0.0, |(secs, _)| *secs),
        };
        let depth = |tail: f64| tail.max(1e-12).ln();
        let whole = depth(low.1) - depth(high.1);
        let part = if whole > 0.0 { (depth(low.1) - depth(share)) / whole } else { 1.0 };
        low.0 + (high.0 - low.0) * part.clamp(0.0, 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Service;

    #[test]
    fn a_cell_is_the_formula() {
        let mut cells = Cells::new(&App::default());
        let cell = cells.at(95.0, 12);
        let queue = Mmc { lambda: 95.0, mu: 10.0, servers: 12 };
        assert!((cell.p95 / queue.response_quantile(0.95) - 1.0).abs() < 0.01);
        assert!((cell.mean_wait / queue.mean_wait() - 1.0).abs() < 0.02);
        assert!((cell.at(0.95) / cell.p95 - 1.0).abs() < 0.02);
        assert!((cell.points.iter().map(|(_, share)| share).sum::<f64>() - 1.0).abs() < 1e-9);
        let mean: f64 = cell.points.iter().map(|(secs, share)| secs * share).sum();
        assert!((mean / (queue.mean_wait() + 0.1) - 1.0).abs() < 0.02, "{mean}");
        assert!(Rc::ptr_eq(&cells.at(95.0, 12), &cell));
    }

    #[test]
    fn fixed_service_waits_half_as_long() {
        let fixed = App { service: Service { mean_secs: 0.1, shape: Shape::Deterministic }, ..App::default() };
        let (a, b) = (Cells::new(&fixed).at(8.0, 1), Cells::new(&App::default()).at(8.0, 1));
        assert!((a.mean_wait / b.mean_wait - 0.5).abs() < 1e-9);
        assert!(a.points.iter().all(|(secs, _)| *secs > 0.09));
    }
}
