//! [`Routed`]: a queue of its own before each dyno, as behind a router that picks a dyno at random and knows nothing of its queue.
//!
//! What a dyno was given it works on, even where it is to stop: so when a request is given to one, its whole future is known.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use rand::RngExt;

use crate::events::Server;
use crate::fleet::Dyno;
use crate::workload::Dice;

/// One dyno's servers.
#[derive(Debug)]
struct Own {
    dyno: Dyno,
    servers: BinaryHeap<Server>,
}

/// An instant, to be ordered.
#[derive(Debug, Clone, Copy, PartialEq)]
struct At(f64);

impl Eq for At {}

impl PartialOrd for At {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for At {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

/// The queues of all dynos.
#[derive(Debug)]
pub(crate) struct Routed {
    /// The oldest first.
    dynos: Vec<Own>,
    dice: Dice,
    /// When those that wait will wait no longer, the soonest first.
    leave: BinaryHeap<Reverse<At>>,
    /// When they came and when they leave, in the order in which they came.
    came: VecDeque<(f64, f64)>,
}

impl Routed {
    pub(crate) fn new(dice: Dice) -> Self {
        Self { dynos: Vec::new(), dice, leave: BinaryHeap::new(), came: VecDeque::new() }
    }

    /// A dyno takes requests from its `ready_at` on.
    pub(crate) fn start(&mut self, dyno: Dyno, servers: u32) {
        let server = Server { free_at: dyno.ready_at, dyno: dyno.id, used: false };
        self.dynos.push(Own { dyno, servers: (0..servers).map(|_| server).collect() });
    }

    /// A dyno takes no more; gives when it has finished what it was given, `now` at the soonest.
    pub(crate) fn stop(&mut self, id: u32, now: f64) -> f64 {
        let Some(place) = self.dynos.iter().position(|own| own.dyno.id == id) else { return now };
        let own = self.dynos.remove(place);
        own.servers.iter().filter(|server| server.used).fold(now, |drained, server| drained.max(server.free_at))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.dynos.is_empty()
    }

    /// Picks the dyno for a request that comes at an instant: one that serves, at random; without any, the one that will first.
    /// Gives its place, and when its next server is free.
    pub(crate) fn pick(&mut self, at: f64) -> Option<(usize, f64)> {
        // Dynos become ready in the order in which they were started.
        let serving = self.dynos.partition_point(|own| own.dyno.ready_at <= at);
        let place = if serving > 0 { self.dice.random_range(0..serving) } else { 0 };
        let server = self.dynos.get(place)?.servers.peek()?;
        Some((place, server.free_at.max(at)))
    }

    /// The next server of the dyno at this place works until then.
    pub(crate) fn work(&mut self, place: usize, until: f64) {
        if let Some(mut server) = self.dynos.get_mut(place).and_then(|own| own.servers.peek_mut()) {
            server.free_at = until;
            server.used = true;
        }
    }

    /// A request that came at `at` waits until `leaves`.
    pub(crate) fn wait(&mut self, at: f64, leaves: f64) {
        if leaves > at {
            self.leave.push(Reverse(At(leaves)));
            self.came.push_back((at, leaves));
        }
    }

    /// How many wait at an instant; instants never go back.
    pub(crate) fn waiting(&mut self, now: f64) -> usize {
        while self.leave.peek().is_some_and(|Reverse(At(leaves))| *leaves <= now) {
            self.leave.pop();
        }
        self.leave.len()
    }

    /// When the oldest that waits at an instant came.
    pub(crate) fn oldest(&self, now: f64) -> Option<f64> {
        self.came.iter().find(|(_, leaves)| *leaves > now).map(|(came, _)| *came)
    }

    /// Forgets those that wait no longer.
    pub(crate) fn forget(&mut self, now: f64) {
        while self.came.front().is_some_and(|(_, leaves)| *leaves <= now) {
            self.came.pop_front();
        }
    }

    /// Servers at work at an instant.
    pub(crate) fn busy(&self, now: f64) -> usize {
        let servers = self.dynos.iter().flat_map(|own| &own.servers);
        servers.filter(|server| server.used && server.free_at > now).count()
    }
}
