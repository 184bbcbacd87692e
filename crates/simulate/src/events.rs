//! [`Exact`]: every request of its own, in the order of events.
//!
//! First come first served on many servers needs no calendar of events: the next request to be worked on is the first that
//! waits, on the server that is free first (the recursion of Kiefer and Wolfowitz, 1955). A request is only given to a server
//! when the clock has reached the instant of its beginning, so that servers which come or go meanwhile count as they should.
//! Where each dyno has a queue of its own (`routed`), it is given to one as it comes.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, VecDeque};

use autoscalebot_core::queueing::Routing;
use autoscalebot_core::{Dynos, Failure, Reading};

use crate::fleet::{Dyno, Fleet, FleetMinute};
use crate::minutes::{Minute, Times};
use crate::model::{App, Meter};
use crate::pieces;
use crate::routed::Routed;
use crate::spread::Spread;
use crate::trace::Trace;
use crate::windows::{Load, Windows};
use crate::workload::{Dice, Request, Stream, Work, Workload, dice};
use crate::world::{World, windowed};

/// A server, ordered so that the heap's top is the one that is free first; of equals the oldest dyno's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Server {
    pub(crate) free_at: f64,
    pub(crate) dyno: u32,
    /// Whether it has worked yet; a server that boots is not free, but not at work either.
    pub(crate) used: bool,
}

impl Eq for Server {}

impl PartialOrd for Server {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Server {
    fn cmp(&self, other: &Self) -> Ordering {
        other.free_at.total_cmp(&self.free_at).then(other.dyno.cmp(&self.dyno))
    }
}

/// A minute some of whose requests may still wait.
#[derive(Debug, Default)]
struct Open {
    came: u64,
    known: u64,
    slow: u64,
    rejected: u64,
    timed_out: u64,
    worked: u64,
    wait_secs: f64,
    responses: Vec<f32>,
}

/// The exact world.
#[derive(Debug)]
pub(crate) struct Exact<'a> {
    app: &'a App,
    workload: Workload<'a>,
    next: Option<Request>,
    now: f64,
    waiting: VecDeque<Request>,
    servers: BinaryHeap<Server>,
    /// The servers instead of those, where each dyno has its own queue.
    routed: Option<Routed>,
    fleet: Fleet,
    windows: Windows,
    closed: Vec<Minute>,
    open: VecDeque<Open>,
    spare: Vec<Open>,
    /// Server-seconds of work and request-seconds under way, of each minute.
    busy: Vec<f64>,
    under_way: Vec<f64>,
    responses: Spread<7>,
    /// Seconds waited, and requests worked on.
    waits: (f64, f64),
    probe: (Work, Dice),
}

impl<'a> Exact<'a> {
    pub(crate) fn new(trace: &'a Trace, app: &'a App, meters: &[Meter], dynos: Dynos, seed: u64) -> Self {
        let minutes = trace.minutes();
        let mut workload = Workload::new(trace, app.service, app.arrivals, seed);
        let next = workload.next();
        let fleet = Fleet::new(dynos, app.boot_secs, minutes);
        let routed = (app.routing == Routing::Random).then(|| Routed::new(dice(seed, Stream::Routing)));
        let mut world = Self {
            app,
            workload,
            next,
            now: 0.0,
            waiting: VecDeque::new(),
            servers: BinaryHeap::new(),
            routed,
            fleet,
            windows: Windows::new(meters, app.metric_delay_secs),
            closed: Vec::with_capacity(minutes),
            open: VecDeque::new(),
            spare: Vec::new(),
            busy: vec![0.0; minutes],
            under_way: vec![0.0; minutes],
            responses: Spread::new(),
            waits: (0.0, 0.0),
            probe: (Work::new(app.service), dice(seed, Stream::Probes)),
        };
        for dyno in world.fleet.dynos().to_vec() {
            world.put_up(dyno);
        }
        world
    }

    /// The servers of a dyno that was started.
    fn put_up(&mut self, dyno: Dyno) {
        let servers = self.app.servers_per_dyno;
        match &mut self.routed {
            Some(routed) => routed.start(dyno, servers),
            None => {
                let server = Server { free_at: dyno.ready_at, dyno: dyno.id, used: false };
                self.servers.extend((0..servers).map(|_| server));
            }
        }
    }

    /// The open minute in which a request came.
    #[inline]
    fn minute(&mut self, at: f64) -> &mut Open {
        let place = ((at / 60.0) as usize).saturating_sub(self.closed.len());
        while self.open.len() <= place {
            self.open.push_back(self.spare.pop().unwrap_or_default());
        }
        &mut self.open[place]
    }

    /// Gives waiting requests to servers, as far as their work begins no later than `until`.
    fn serve_waiting(&mut self, until: f64) {
        while let Some(request) = self.waiting.front().copied() {
            let starts = self.servers.peek().map_or(f64::INFINITY, |server| server.free_at.max(request.at));
            let gives_up = self.app.timeout_secs.map_or(f64::INFINITY, |timeout| request.at + timeout);
            if gives_up < starts {
                if gives_up > until {
                    break;
                }
                self.give_up(request, gives_up);
            } else if starts <= until && starts.is_finite() {
                self.work(request, starts);
            } else {
                break;
            }
            self.waiting.pop_front();
        }
    }

    /// The first free server works on a request from `starts` on.
    #[inline]
    fn work(&mut self, request: Request, starts: f64) {
        if let Some(mut server) = self.servers.peek_mut() {
            server.free_at = starts + request.service;
            server.used = true;
        }
        self.served(request, starts);
    }

    /// Accounts for a request that is worked on from `starts` on.
    #[inline]
    fn served(&mut self, request: Request, starts: f64) {
        let ends = starts + request.service;
        let wait = starts - request.at;
        let timeout = self.app.timeout_secs.unwrap_or(f64::INFINITY);
        let response = (ends - request.at).min(timeout);
        let timed_out = ends - request.at > timeout;
        let slow = timed_out || response > self.app.objective_secs;
        let minute = self.minute(request.at);
        minute.known += 1;
        minute.worked += 1;
        minute.wait_secs += wait;
        minute.slow += u64::from(slow);
        minute.timed_out += u64::from(timed_out);
        minute.responses.push(response as f32);
        self.responses.add(response, 1.0);
        self.waits.0 += wait;
        self.waits.1 += 1.0;
        spread(&mut self.busy, starts, ends);
        spread(&mut self.under_way, request.at, ends);
        self.windows.under_way(request.at, ends, 1.0);
        self.windows.begun(starts, request.service, wait, 1.0);
        self.windows.answered(request.at + response, response, 1.0);
    }

    /// A request leaves the queue without having been worked on.
    fn give_up(&mut self, request: Request, at: f64) {
        let response = at - request.at;
        let minute = self.minute(request.at);
        minute.known += 1;
        minute.slow += 1;
        minute.timed_out += 1;
        minute.responses.push(response as f32);
        self.responses.add(response, 1.0);
        spread(&mut self.under_way, request.at, at);
        self.windows.under_way(request.at, at, 1.0);
        self.windows.answered(at, response, 1.0);
    }

    /// A request comes.
    #[inline]
    fn admit(&mut self, request: Request) {
        self.windows.arrived(request.at, 1.0);
        self.minute(request.at).came += 1;
        if self.routed.is_some() {
            return self.route(request);
        }
        let free = self.servers.peek().is_some_and(|server| server.free_at <= request.at);
        if free && self.waiting.is_empty() {
            self.work(request, request.at);
        } else if self.app.queue_limit.is_some_and(|limit| self.waiting.len() >= limit as usize) {
            self.reject(request);
        } else {
            self.waiting.push_back(request);
        }
    }

    fn reject(&mut self, request: Request) {
        let minute = self.minute(request.at);
        minute.known += 1;
        minute.slow += 1;
        minute.rejected += 1;
    }

    /// A request goes to a dyno's own queue; without any dyno it waits for one to be started.
    fn route(&mut self, request: Request) {
        let Some(routed) = &mut self.routed else { return };
        let Some((place, starts)) = routed.pick(request.at) else { return self.waiting.push_back(request) };
        let waits = starts > request.at;
        if waits && self.app.queue_limit.is_some_and(|limit| routed.waiting(request.at) >= limit as usize) {
            return self.reject(request);
        }
        let gives_up = self.app.timeout_secs.map_or(f64::INFINITY, |timeout| request.at + timeout);
        routed.wait(request.at, starts.min(gives_up));
        if gives_up < starts {
            self.give_up(request, gives_up);
        } else {
            routed.work(place, starts + request.service);
            self.served(request, starts);
        }
    }

    /// Closes the minutes that are over and of whose requests all is known.
    fn close_minutes(&mut self, now: f64) {
        while self.closed.len() < self.busy.len() && (self.closed.len() + 1) as f64 * 60.0 <= now {
            let index = self.closed.len();
            let mut open = match self.open.pop_front() {
                Some(open) if open.known < open.came => {
                    self.open.push_front(open);
                    break;
                }
                open => open.unwrap_or_default(),
            };
            self.closed.push(self.account(index, &mut open));
            let Open { mut responses, .. } = open;
            responses.clear();
            self.spare.push(Open { responses, ..Open::default() });
        }
    }

    fn account(&self, index: usize, open: &mut Open) -> Minute {
        let FleetMinute { paid, serving, dynos } = self.fleet.minute(index);
        let servers = serving * f64::from(self.app.servers_per_dyno);
        let busy = self.busy[index] / 60.0;
        Minute {
            requests: open.came as f64,
            slow: open.slow as f64,
            rejected: open.rejected as f64,
            timed_out: open.timed_out as f64,
            p95_secs: nearest_rank(&mut open.responses, 0.95),
            mean_wait_secs: if open.worked > 0 { open.wait_secs / open.worked as f64 } else { 0.0 },
            concurrency: self.under_way[index] / 60.0,
            // A dyno that drains works without serving.
            utilisation: if servers > 0.0 { (busy / servers).min(1.0) } else { 0.0 },
            paid,
            serving,
            dynos,
        }
    }

    /// Requests that wait now, in all queues.
    fn waiting_now(&mut self) -> usize {
        let routed = self.routed.as_mut().map_or(0, |routed| routed.waiting(self.now));
        self.waiting.len() + routed
    }

    /// The answer to a request of our own that comes now; it takes no server's time.
    fn probe(&mut self, budget_secs: f64) -> Reading {
        let waiting = self.waiting_now();
        let full = self.app.queue_limit.is_some_and(|limit| limit > 0 && waiting >= limit as usize);
        if self.routed.as_ref().map_or(self.servers.is_empty(), Routed::is_empty) || full {
            return Reading::Failed(Failure::Status(503));
        }
        let (work, dice) = &mut self.probe;
        let service = work.draw(dice);
        let response = self.wait_now() + service;
        if response > budget_secs {
            Reading::Failed(Failure::Timeout)
        } else if self.app.timeout_secs.is_some_and(|timeout| response > timeout) {
            Reading::Failed(Failure::Status(503))
        } else {
            Reading::Value(response * 1000.0)
        }
    }

    /// The wait of a request that would come now, were the servers to stay as they are.
    fn wait_now(&mut self) -> f64 {
        if let Some(routed) = &mut self.routed {
            return routed.pick(self.now).map_or(f64::INFINITY, |(_, starts)| starts - self.now);
        }
        let mut servers = self.servers.clone();
        for request in &self.waiting {
            if let Some(mut server) = servers.peek_mut() {
                let starts = server.free_at.max(self.now);
                if self.app.timeout_secs.is_none_or(|timeout| starts <= request.at + timeout) {
                    server.free_at = starts + request.service;
                }
            }
        }
        servers.peek().map_or(f64::INFINITY, |server| (server.free_at - self.now).max(0.0))
    }
}

fn spread(accounts: &mut [f64], begin: f64, end: f64) {
    pieces::each(begin, end, 60.0, |minute, secs| {
        if let Some(account) = accounts.get_mut(minute) {
            *account += secs;
        }
    });
}

/// The least value that a share `quantile` of all does not exceed; 0 where there is none.
fn nearest_rank(values: &mut [f32], quantile: f64) -> f64 {
    if values.is_empty() {
        return 0.0;
    }
    let rank = ((quantile * values.len() as f64).ceil() as usize).clamp(1, values.len());
    let (_, value, _) = values.select_nth_unstable_by(rank - 1, f32::total_cmp);
    f64::from(*value)
}

impl World for Exact<'_> {
    fn advance(&mut self, until: f64) {
        while let Some(request) = self.next.filter(|request| request.at < until) {
            if !self.waiting.is_empty() {
                self.serve_waiting(request.at);
            }
            self.admit(request);
            self.next = self.workload.next();
        }
        self.serve_waiting(until);
        self.now = until;
        self.fleet.accrue(until);
        self.windows.forget(until);
        if let Some(routed) = &mut self.routed {
            routed.forget(until);
        }
        self.close_minutes(until);
    }

    fn set(&mut self, dynos: Dynos) {
        while self.fleet.quantity() < dynos {
            let dyno = self.fleet.start(self.now);
            self.put_up(dyno);
        }
        if self.routed.as_ref().is_some_and(|routed| !routed.is_empty()) {
            for request in std::mem::take(&mut self.waiting) {
                self.route(request);
            }
        }
        while self.fleet.quantity() > dynos {
            let (now, servers, routed) = (self.now, &mut self.servers, &mut self.routed);
            self.fleet.stop_newest(now, |dyno| {
                if let Some(routed) = routed {
                    return routed.stop(dyno.id, now);
                }
                let mut drained_at = now;
                servers.retain(|server| {
                    if server.dyno == dyno.id && server.used {
                        drained_at = drained_at.max(server.free_at);
                    }
                    server.dyno != dyno.id
                });
                drained_at
            });
        }
    }

    fn quantity(&self) -> Dynos {
        self.fleet.quantity()
    }

    fn serving(&self) -> Dynos {
        self.fleet.serving_at(self.now)
    }

    fn busy(&self) -> f64 {
        let at_work = |server: &&Server| server.used && server.free_at > self.now;
        self.routed.as_ref().map_or_else(|| self.servers.iter().filter(at_work).count(), |routed| routed.busy(self.now))
            as f64
    }

    fn oldest_wait(&self) -> f64 {
        let waiting = self.waiting.front().map(|request| request.at);
        let oldest = waiting.or_else(|| self.routed.as_ref()?.oldest(self.now));
        oldest.map_or(0.0, |came| self.now - came)
    }

    fn read(&mut self, meter: Meter) -> Reading {
        match meter {
            Meter::Probe { budget_secs } => self.probe(budget_secs),
            Meter::Waiting => Reading::Value(self.waiting_now() as f64),
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
        let mut load = self.windows.load(self.now, window_secs);
        // What still waits is in no bucket yet.
        let (begin, end) = self.windows.span(self.now, window_secs);
        if end > begin {
            let waited: f64 = self.waiting.iter().map(|request| (end - request.at.max(begin)).max(0.0)).sum();
            load.concurrency += waited / (end - begin);
        }
        load
    }

    fn answered(&mut self, window_secs: f64) -> Load {
        self.windows.answered_load(self.now, window_secs)
    }

    fn finish(mut self) -> (Vec<Minute>, Times) {
        self.serve_waiting(f64::INFINITY);
        while let Some(request) = self.waiting.pop_front() {
            self.give_up(request, self.now.max(request.at));
        }
        self.close_minutes(f64::INFINITY);
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
