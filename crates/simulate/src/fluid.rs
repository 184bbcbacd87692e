//! [`Fluid`]: requests as a flow, for runs too long to look at each.
//!
//! While the servers keep up, a span of constant rate has the response times of the stationary queue (`cells`); once they do
//! not, a backlog grows and drains at the difference of the rates, and what comes waits for what lies before it. Approximate:
//! there is no chance in what happens, a queue is taken to settle at once after each change, and bursts are ignored. There is
//! chance in what is measured, as policies live with it: without it, those that follow each reading would cost a third less here.

use std::rc::Rc;

use autoscalebot_core::queueing::Routing;
use autoscalebot_core::{Dynos, Failure, Reading};
use rand::RngExt;

use crate::cells::{Cell, Cells};
use crate::chance::Chance;
use crate::fleet::{Fleet, FleetMinute};
use crate::minutes::{Minute, Times};
use crate::model::{App, Meter};
use crate::spread::Spread;
use crate::trace::Trace;
use crate::windows::{Load, Windows};
use crate::workload::{Dice, Stream, dice};
use crate::world::{World, windowed};

/// A backlog smaller than this is none.
const NO_REQUEST: f64 = 1e-6;
/// Where a backlog grows or drains, its wait is looked at so often.
const BACKLOG_SECS: f64 = 10.0;
/// What waits for servers of which there are none, and nobody gives up, counts with this time.
const ENDLESS_SECS: f64 = 3600.0;

/// Requests with one distribution of response times: a cell's, after a further wait.
#[derive(Debug)]
struct Part {
    requests: f64,
    cell: Rc<Cell>,
    wait: f64,
}

impl Part {
    /// Its response times, none longer than the time-out, each with its requests.
    fn each(&self, timeout: f64, mut each: impl FnMut(f64, f64)) {
        for (secs, share) in &self.cell.points {
            each((secs + self.wait).min(timeout), share * self.requests);
        }
    }
}

/// The minute that the clock is in.
#[derive(Debug, Default)]
struct Current {
    sums: Minute,
    worked: f64,
    wait_secs: f64,
    busy_secs: f64,
    under_way_secs: f64,
    parts: Vec<Part>,
}

/// The fluid world.
#[derive(Debug)]
pub(crate) struct Fluid<'a> {
    trace: &'a Trace,
    app: &'a App,
    now: f64,
    backlog: f64,
    fleet: Fleet,
    cells: Cells,
    windows: Windows,
    current: Current,
    closed: Vec<Minute>,
    responses: Spread<7>,
    mixed: Spread<7>,
    /// Seconds waited, and requests worked on.
    waits: (f64, f64),
    /// Whether anybody measures over a window.
    windowed: bool,
    chance: Chance,
    /// Requests that waited when that was last asked.
    queued: f64,
    dice: Dice,
}

impl<'a> Fluid<'a> {
    pub(crate) fn new(trace: &'a Trace, app: &'a App, meters: &[Meter], dynos: Dynos, seed: u64) -> Self {
        Self {
            trace,
            app,
            now: 0.0,
            backlog: 0.0,
            fleet: Fleet::new(dynos, app.boot_secs, trace.minutes()),
            cells: Cells::new(app),
            windows: Windows::new(meters, app.metric_delay_secs),
            current: Current::default(),
            closed: Vec::with_capacity(trace.minutes()),
            responses: Spread::new(),
            mixed: Spread::new(),
            waits: (0.0, 0.0),
            windowed: meters.iter().any(|meter| meter.window_secs().is_some()),
            chance: Chance::NONE,
            queued: 0.0,
            dice: dice(seed, Stream::Probes),
        }
    }

    fn servers(&self) -> u32 {
        self.fleet.serving_at(self.now).saturating_mul(self.app.servers_per_dyno)
    }

    fn rate(&self) -> f64 {
        let step = f64::from(self.trace.step_secs);
        self.trace.requests.get((self.now / step) as usize).map_or(0.0, |requests| requests / step)
    }

    /// The response times where the servers keep up: of the one queue, or of each dyno's own.
    fn cell(&mut self, lambda: f64, servers: u32) -> Rc<Cell> {
        match self.app.routing {
            Routing::Shared => self.cells.at(lambda, servers),
            Routing::Random => {
                let each = self.app.servers_per_dyno;
                self.cells.at(lambda / f64::from((servers / each).max(1)), each)
            }
        }
    }

    /// The end of the span from now in which nothing changes.
    fn edge(&self, until: f64) -> f64 {
        let next = |length: f64| ((self.now / length).floor() + 1.0) * length;
        let edges = [next(60.0), next(f64::from(self.trace.step_secs)), next(self.windows.bucket_secs())];
        let ready = self.fleet.next_ready(self.now).unwrap_or(f64::INFINITY);
        edges.into_iter().fold(until.min(ready), f64::min)
    }

    /// One span of constant rate and servers, or the first part of it; gives its end.
    fn flow(&mut self, until: f64) -> f64 {
        let (lambda, servers) = (self.rate(), self.servers());
        let capacity = f64::from(servers) * self.app.mu();
        if self.backlog <= NO_REQUEST && lambda < capacity {
            self.backlog = 0.0;
            self.steady(until, lambda, servers);
            return until;
        }
        if self.backlog <= NO_REQUEST && lambda <= 0.0 {
            return until;
        }
        let mut end = until.min(self.now + BACKLOG_SECS);
        if lambda < capacity {
            end = end.min(self.now + self.backlog / (capacity - lambda));
        }
        // A span too short for the clock to move would never end.
        let end = end.max(self.now + 1e-6).min(until.max(self.now + 1e-6));
        self.behind(end, lambda, servers, capacity);
        end
    }

    /// The servers keep up.
    fn steady(&mut self, end: f64, lambda: f64, servers: u32) {
        let secs = end - self.now;
        if lambda <= 0.0 || secs <= 0.0 {
            return;
        }
        let cell = self.cell(lambda, servers);
        let requests = lambda * secs;
        if self.windowed {
            self.chance = Chance::draw(&mut self.dice, requests, self.app.service.shape.scv());
        }
        let time = cell.mean_wait + self.app.service.mean_secs;
        self.note(end, (requests, requests, cell.mean_wait), lambda / self.app.mu(), lambda * time);
        self.part(requests, cell, 0.0);
        self.chance = Chance::NONE;
    }

    /// The servers have a backlog, or will have.
    fn behind(&mut self, end: f64, lambda: f64, servers: u32, capacity: f64) {
        let secs = end - self.now;
        let came = lambda * secs;
        let done = (capacity * secs).min(self.backlog + came);
        let before = self.backlog;
        let mut after = before + came - done;
        let mut gone = 0.0;
        if let Some(timeout) = self.app.timeout_secs {
            // What would have no answer in time gives up: the servers' work of that time, or, without servers, what came in it.
            let most = if servers > 0 { self.longest_wait(timeout) * capacity } else { timeout * lambda };
            gone = (after - most).max(0.0);
            after -= gone;
        }
        let full = self.app.queue_limit.map_or(0.0, |limit| (after - f64::from(limit)).clamp(0.0, came));
        after -= full;
        self.backlog = after;
        let middle = 0.5 * (before + after);
        let longest = self.app.timeout_secs.map_or(f64::INFINITY, |timeout| self.longest_wait(timeout));
        let wait = if servers > 0 { middle / capacity } else { self.wait_for_dynos(end) }.min(longest);
        let busy = done / self.app.mu() / secs;
        self.note(end, (came, done, wait), busy, middle + busy);
        let cell = self.cell(0.0, servers.max(1));
        // Those of the backlog that give up have been counted when they came, with the wait that they then had before them.
        let gone = gone.min(came - full);
        if gone > 0.0 {
            self.part(gone, Rc::clone(&cell), self.app.timeout_secs.unwrap_or(ENDLESS_SECS));
        }
        self.part(came - full - gone, cell, wait);
        let sums = &mut self.current.sums;
        sums.requests += full;
        sums.rejected += full;
        sums.slow += full;
    }

    /// The wait of requests at the edge of their time-out: one service time less, as those that wait longer mostly give up.
    fn longest_wait(&self, timeout: f64) -> f64 {
        (timeout - self.app.service.mean_secs).max(0.0)
    }

    fn wait_for_dynos(&self, at: f64) -> f64 {
        self.fleet.next_ready(at).map_or(ENDLESS_SECS, |ready| ready - at)
    }

    /// Adds a span to the windows and to the minute's means: requests that came, that were begun, and their wait.
    fn note(&mut self, end: f64, (came, begun, wait): (f64, f64, f64), busy: f64, under_way: f64) {
        let secs = end - self.now;
        let Chance { requests, service } = self.chance;
        self.windows.arrived(self.now, came * requests);
        self.windows.under_way(self.now, end, under_way * requests * service);
        self.windows.begun(self.now, self.app.service.mean_secs * service, wait, begun * requests);
        self.current.busy_secs += busy * secs;
        self.current.under_way_secs += under_way * secs;
    }

    /// Requests that come now and are answered.
    fn part(&mut self, requests: f64, cell: Rc<Cell>, wait: f64) {
        if requests <= 0.0 {
            return;
        }
        let timeout = self.app.timeout_secs.unwrap_or(f64::INFINITY);
        if self.windows.count_answers() {
            for (secs, share) in &cell.points {
                let response = (secs * self.chance.service + wait).min(timeout);
                self.windows.answered(self.now + response, response, requests * share * self.chance.requests);
            }
        }
        let sums = &mut self.current.sums;
        sums.requests += requests;
        let timed_out = match self.app.timeout_secs {
            Some(timeout) if wait > 0.0 => cell.above(timeout - wait),
            _ => 0.0,
        };
        sums.timed_out += requests * timed_out;
        sums.slow += requests * cell.slow_after(wait, self.app.objective_secs).max(timed_out);
        if wait < timeout {
            self.current.worked += requests;
            self.current.wait_secs += requests * (cell.mean_wait + wait);
        }
        match self.current.parts.last_mut() {
            Some(last) if Rc::ptr_eq(&last.cell, &cell) && last.wait == wait => last.requests += requests,
            _ => self.current.parts.push(Part { requests, cell, wait }),
        }
    }

    fn close_minute(&mut self) {
        let index = self.closed.len();
        let timeout = self.app.timeout_secs.unwrap_or(f64::INFINITY);
        let current = &mut self.current;
        for part in &current.parts {
            if part.wait > 0.0 {
                part.each(timeout, |secs, requests| self.responses.add(secs, requests));
            } else {
                part.cell.count(part.requests);
            }
        }
        let p95 = match current.parts.as_slice() {
            [] => 0.0,
            [only] => (only.cell.p95 + only.wait).min(timeout),
            parts => {
                self.mixed.clear();
                for part in parts {
                    part.each(timeout, |secs, requests| self.mixed.add(secs, requests));
                }
                self.mixed.quantile(0.95).unwrap_or(0.0)
            }
        };
        self.waits.0 += current.wait_secs;
        self.waits.1 += current.worked;
        let FleetMinute { paid, serving, dynos } = self.fleet.minute(index);
        let servers = serving * f64::from(self.app.servers_per_dyno);
        self.closed.push(Minute {
            p95_secs: p95,
            mean_wait_secs: if current.worked > 0.0 { current.wait_secs / current.worked } else { 0.0 },
            concurrency: current.under_way_secs / 60.0,
            utilisation: if servers > 0.0 { (current.busy_secs / 60.0 / servers).min(1.0) } else { 0.0 },
            paid,
            serving,
            dynos,
            ..current.sums
        });
        let mut parts = std::mem::take(&mut current.parts);
        parts.clear();
        *current = Current { parts, ..Current::default() };
    }

    /// Requests that wait now: the backlog, or what the queue of servers that keep up is at some instant, which is n with the
    /// probability C (1 − rho) rho^n, where C is that of waiting.
    fn waiting(&mut self) -> f64 {
        let (lambda, servers) = (self.rate(), self.servers());
        let capacity = f64::from(servers) * self.app.mu();
        if self.backlog > NO_REQUEST || lambda <= 0.0 || lambda >= capacity {
            return self.backlog;
        }
        let rho = lambda / capacity;
        let queues = match self.app.routing {
            Routing::Shared => 1,
            Routing::Random => servers / self.app.servers_per_dyno,
        };
        let lambda = lambda / f64::from(queues.max(1));
        let wait = lambda * self.cells.at(lambda, servers / queues.max(1)).mean_wait * (1.0 - rho) / rho;
        let mut waiting = |_| {
            let place = self.dice.random::<f64>();
            if place >= wait { 0.0 } else { ((place / wait).max(f64::MIN_POSITIVE).ln() / rho.ln()).floor() }
        };
        (0..queues).map(&mut waiting).sum()
    }

    /// The answer to a request of our own that comes now, drawn from what requests meet now.
    fn probe(&mut self, budget_secs: f64) -> Reading {
        let servers = self.servers();
        if servers == 0 {
            return Reading::Failed(Failure::Status(503));
        }
        let capacity = f64::from(servers) * self.app.mu();
        let lambda = if self.backlog > NO_REQUEST { 0.0 } else { self.rate() };
        let place = self.dice.random::<f64>();
        let response = self.cell(lambda, servers).at(place) + self.backlog / capacity;
        if response > budget_secs {
            Reading::Failed(Failure::Timeout)
        } else if self.app.timeout_secs.is_some_and(|timeout| response > timeout) {
            Reading::Failed(Failure::Status(503))
        } else {
            Reading::Value(response * 1000.0)
        }
    }
}

impl World for Fluid<'_> {
    fn advance(&mut self, until: f64) {
        while self.now < until {
            let edge = self.edge(until);
            let end = self.flow(edge).max(self.now);
            self.now = end;
            self.fleet.accrue(end);
            if (self.closed.len() + 1) as f64 * 60.0 <= end {
                self.close_minute();
            }
        }
        self.windows.forget(until);
    }

    fn set(&mut self, dynos: Dynos) {
        while self.fleet.quantity() < dynos {
            self.fleet.start(self.now);
        }
        while self.fleet.quantity() > dynos {
            // What a dyno had begun takes one more service time, as exponential work has no memory.
            let drained_at = self.now + self.app.service.mean_secs;
            let now = self.now;
            self.fleet.stop_newest(now, |dyno| if dyno.ready_at <= now { drained_at } else { now });
        }
    }

    fn quantity(&self) -> Dynos {
        self.fleet.quantity()
    }

    fn serving(&self) -> Dynos {
        self.fleet.serving_at(self.now)
    }

    fn busy(&self) -> f64 {
        let servers = f64::from(self.servers());
        if self.backlog > NO_REQUEST { servers } else { servers.min(self.rate() / self.app.mu()) }
    }

    fn oldest_wait(&self) -> f64 {
        let capacity = f64::from(self.servers()) * self.app.mu();
        if capacity > 0.0 { self.queued / capacity } else { 0.0 }
    }

    fn read(&mut self, meter: Meter) -> Reading {
        match meter {
            Meter::Probe { budget_secs } => self.probe(budget_secs),
            Meter::Waiting => {
                self.queued = self.waiting();
                Reading::Value(self.queued)
            }
            Meter::Rate { window_secs }
            | Meter::Concurrency { window_secs }
            | Meter::Percentile { window_secs, .. }
            | Meter::Lines { window_secs, .. } => {
                let load = self.load(window_secs);
                windowed(meter, &mut self.windows, load, self.now)
            }
        }
    }

    fn load(&mut self, window_secs: f64) -> Load {
        self.windows.load(self.now, window_secs)
    }

    fn answered(&mut self, window_secs: f64) -> Load {
        self.windows.answered_load(self.now, window_secs)
    }

    fn finish(mut self) -> (Vec<Minute>, Times) {
        while self.closed.len() < self.trace.minutes() {
            let end = (self.closed.len() + 1) as f64 * 60.0;
            self.advance(end);
        }
        let timeout = self.app.timeout_secs.unwrap_or(f64::INFINITY);
        for (secs, requests) in self.cells.counted() {
            self.responses.add(secs.min(timeout), requests);
        }
        let quantile = |quantile| self.responses.quantile(quantile).unwrap_or(0.0);
        let times = Times {
            p50_secs: quantile(0.5),
            p95_secs: quantile(0.95),
            p99_secs: quantile(0.99),
            mean_wait_secs: if self.waits.1 > 0.0 { self.waits.0 / self.waits.1 } else { 0.0 },
        };
        (self.closed, times)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// M/M/8 at 70 requests of 0.1 s in a second: a mean wait of 0.0635316 s, 63.5316 % of which wait.
    #[test]
    fn what_waits_is_the_queue_of_servers_that_keep_up() {
        let (trace, app) = (Trace::new("steady", jiff::Timestamp::UNIX_EPOCH, 60, vec![4200.0; 2]), App::default());
        let mut world = Fluid::new(&trace, &app, &[Meter::Waiting], 8, 1);
        world.advance(30.0);
        let read: Vec<_> = (0..100_000).map(|_| world.waiting()).collect();
        let mean = read.iter().sum::<f64>() / 100_000.0;
        assert!((mean / (70.0 * 0.0635316) - 1.0).abs() < 0.03, "{mean}");
        let any = read.iter().filter(|waiting| **waiting >= 1.0).count() as f64 / 100_000.0;
        assert!((any / (0.635316 * 0.875) - 1.0).abs() < 0.02, "{any}");
    }
}
