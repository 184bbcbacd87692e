//! Which dyno of `web` takes the next request: the one with the fewest open requests among those that listen. Requests that
//! find none wait here, up to a number and a time. No byte of a request is seen here.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use autoscalebot_core::Dynos;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::router_line::Code;

/// From this many crashes in a row on, a request no longer waits for a dyno that is between two starts: the app is broken,
/// and the client hears so at once rather than after the whole queue time.
const HOPELESS_CRASHES: u32 = 3;

/// The dynos of `web`, and the requests that wait for one.
#[derive(Debug)]
pub(crate) struct Routes {
    table: Mutex<Table>,
    /// Told whenever a waiting request, or a dyno that waits for its last request, should look again.
    changed: Notify,
    queue_limit: usize,
    queue_timeout: Duration,
    /// Whether requests wait even where no dyno is wanted: they are why one will be.
    waits_at_zero: bool,
}

#[derive(Debug, Default)]
struct Table {
    wanted: Dynos,
    waiting: usize,
    next_id: u64,
    dynos: BTreeMap<u64, Entry>,
}

#[derive(Debug)]
struct Entry {
    name: Arc<str>,
    phase: Phase,
    open: usize,
    /// Requests begun; of two dynos with as many open ones, the one that had fewer takes the next.
    served: u64,
}

/// What a dyno is doing, as far as requests are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Started, and not listening yet.
    Starting,
    /// Listening here.
    Listening(SocketAddr),
    /// Ended by itself this many times in a row; to be started again.
    Crashed {
        /// How often in a row.
        times: u32,
        /// Whether the last time it did not listen in time.
        boot_timeout: bool,
    },
    /// To be stopped: it gets no new request.
    Retiring,
}

/// What stands at the moment a request looks for a dyno.
enum Look {
    Found(Ticket),
    Wait,
    Never(Code),
}

impl Routes {
    pub(crate) fn new(queue_limit: usize, queue_timeout: Duration, waits_at_zero: bool) -> Arc<Self> {
        Arc::new(Self { table: Mutex::default(), changed: Notify::new(), queue_limit, queue_timeout, waits_at_zero })
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes how many dynos are wanted; with 0, requests are refused at once, unless they are to wait.
    pub(crate) fn want(&self, quantity: Dynos) {
        self.table().wanted = quantity;
        self.changed.notify_waiters();
    }

    /// Adds a dyno, which is starting. It leaves when the place is dropped.
    pub(crate) fn enter(self: &Arc<Self>, name: Arc<str>) -> Place {
        let mut table = self.table();
        let id = table.next_id;
        table.next_id += 1;
        table.dynos.insert(id, Entry { name, phase: Phase::Starting, open: 0, served: 0 });
        Place { routes: Arc::clone(self), id }
    }

    /// A dyno for a request, waiting for one where none listens; or the code to refuse it with. `asleep` is called where it is
    /// the first to wait and no dyno is wanted.
    pub(crate) async fn take(self: &Arc<Self>, asleep: impl FnOnce()) -> Result<Ticket, Code> {
        let deadline = Instant::now() + self.queue_timeout;
        let (mut queued, mut asleep) = (None, Some(asleep));
        loop {
            let mut changed = pin!(self.changed.notified());
            // From here on a change is not missed, though it be between the look and the wait.
            changed.as_mut().enable();
            match self.look(None) {
                Look::Found(ticket) => return Ok(ticket),
                Look::Never(code) => return Err(code),
                Look::Wait => {}
            }
            if queued.is_none() {
                let (place, first) = self.queue().ok_or(Code::H11)?;
                queued = Some(place);
                if let Some(asleep) = asleep.take().filter(|_| first) {
                    asleep();
                }
            }
            if timeout_at(deadline, changed).await.is_err() {
                return Err(self.why_none());
            }
        }
    }

    /// Another dyno than this one, if one listens now.
    pub(crate) fn take_other(self: &Arc<Self>, than: &Ticket) -> Option<Ticket> {
        match self.look(Some(than.id)) {
            Look::Found(ticket) => Some(ticket),
            Look::Wait | Look::Never(_) => None,
        }
    }

    fn look(self: &Arc<Self>, except: Option<u64>) -> Look {
        let mut table = self.table();
        if table.wanted == 0 {
            return if self.waits_at_zero { Look::Wait } else { Look::Never(Code::H14) };
        }
        let least = table
            .dynos
            .iter_mut()
            .filter(|(id, _)| Some(**id) != except)
            .filter_map(|(id, entry)| match entry.phase {
                Phase::Listening(address) => Some((*id, address, entry)),
                _ => None,
            })
            .min_by_key(|(_, _, entry)| (entry.open, entry.served));
        if let Some((id, address, entry)) = least {
            entry.open += 1;
            entry.served += 1;
            let dyno = Arc::clone(&entry.name);
            return Look::Found(Ticket { routes: Arc::clone(self), id, dyno, address });
        }
        let mut left = table.dynos.values().filter(|entry| entry.phase != Phase::Retiring).peekable();
        let hopeless = |entry: &Entry| matches!(entry.phase, Phase::Crashed { times, .. } if times >= HOPELESS_CRASHES);
        if left.peek().is_some() && left.all(hopeless) {
            drop(table);
            return Look::Never(self.why_none());
        }
        Look::Wait
    }

    /// Why no dyno listens, in Heroku's codes.
    fn why_none(&self) -> Code {
        let table = self.table();
        if table.wanted == 0 {
            return Code::H14;
        }
        let phases = || table.dynos.values().map(|entry| entry.phase).filter(|phase| *phase != Phase::Retiring);
        if phases().any(|phase| matches!(phase, Phase::Crashed { boot_timeout: false, .. }))
            && phases().all(|phase| matches!(phase, Phase::Crashed { .. }))
        {
            Code::H10
        } else {
            Code::H20
        }
    }

    /// A place in the queue, unless it is full, and whether it is the first of those that wait while no dyno is wanted.
    fn queue(self: &Arc<Self>) -> Option<(Queued, bool)> {
        let mut table = self.table();
        if table.waiting >= self.queue_limit {
            return None;
        }
        table.waiting += 1;
        Some((Queued(Arc::clone(self)), table.waiting == 1 && table.wanted == 0))
    }

    /// How many dynos listen.
    pub(crate) fn listening(&self) -> usize {
        self.table().dynos.values().filter(|dyno| matches!(dyno.phase, Phase::Listening(_))).count()
    }

    /// The open requests of each dyno, by name.
    pub(crate) fn open(&self) -> BTreeMap<Arc<str>, usize> {
        self.table().dynos.values().map(|entry| (Arc::clone(&entry.name), entry.open)).collect()
    }
}

/// A request that waits; counted as long as this lives, so that a client that leaves makes room.
#[derive(Debug)]
struct Queued(Arc<Routes>);

impl Drop for Queued {
    fn drop(&mut self) {
        let mut table = self.0.table();
        table.waiting = table.waiting.saturating_sub(1);
    }
}

/// A dyno's place among the routes.
#[derive(Debug)]
pub(crate) struct Place {
    routes: Arc<Routes>,
    id: u64,
}

impl Place {
    /// Says what the dyno is doing now.
    pub(crate) fn set(&self, phase: Phase) {
        if let Some(entry) = self.routes.table().dynos.get_mut(&self.id) {
            entry.phase = phase;
        }
        self.routes.changed.notify_waiters();
    }

    /// Waits until no request is open on it.
    pub(crate) async fn idle(&self) {
        loop {
            let mut changed = pin!(self.routes.changed.notified());
            changed.as_mut().enable();
            if self.routes.table().dynos.get(&self.id).is_none_or(|entry| entry.open == 0) {
                return;
            }
            changed.await;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.routes.table().dynos.remove(&self.id);
        self.routes.changed.notify_waiters();
    }
}

/// A request's hold on a dyno: it counts as open there as long as this lives.
#[derive(Debug)]
pub(crate) struct Ticket {
    routes: Arc<Routes>,
    id: u64,
    /// The dyno's name.
    pub(crate) dyno: Arc<str>,
    /// Where it listens.
    pub(crate) address: SocketAddr,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let idle = match self.routes.table().dynos.get_mut(&self.id) {
            Some(entry) => {
                entry.open = entry.open.saturating_sub(1);
                entry.open == 0 && entry.phase == Phase::Retiring
            }
            None => false,
        };
        if idle {
            self.routes.changed.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(port: u16) -> Phase {
        Phase::Listening(SocketAddr::from(([127, 0, 0, 1], port)))
    }

    fn routes(limit: usize) -> Arc<Routes> {
        let routes = Routes::new(limit, Duration::from_secs(30), false);
        routes.want(2);
        routes
    }

    #[tokio::test]
    async fn least_open_first_then_least_served() {
        let routes = routes(10);
        let (one, two) = (routes.enter("web.1".into()), routes.enter("web.2".into()));
        one.set(at(1));
        two.set(at(2));
        let a = routes.take(|| {}).await.unwrap();
        let b = routes.take(|| {}).await.unwrap();
        assert_ne!(a.dyno, b.dyno);
        let freed = Arc::clone(&b.dyno);
        drop(b);
        assert_eq!(routes.take(|| {}).await.unwrap().dyno, freed, "the idle one");
        drop(a);
        // Both idle; web.1 has had one request, web.2 two (or the other way round): the one with fewer takes it.
        let next = routes.take(|| {}).await.unwrap();
        assert_ne!(next.dyno, freed);
        assert!(routes.take_other(&next).is_some_and(|other| other.dyno == freed));
    }

    #[tokio::test(start_paused = true)]
    async fn waits_for_a_dyno_to_listen() {
        let routes = routes(1);
        let place = routes.enter("web.1".into());
        let waiting = tokio::spawn({
            let routes = Arc::clone(&routes);
            async move { routes.take(|| {}).await.map(|ticket| ticket.address.port()) }
        });
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(routes.take(|| {}).await.unwrap_err(), Code::H11, "the queue is full");
        place.set(at(7));
        assert_eq!(waiting.await.unwrap().unwrap(), 7);
    }

    #[tokio::test(start_paused = true)]
    async fn refusals_name_the_cause() {
        let routes = routes(10);
        let place = routes.enter("web.1".into());
        assert_eq!(routes.take(|| {}).await.unwrap_err(), Code::H20, "still starting after the queue time");
        place.set(Phase::Crashed { times: 1, boot_timeout: false });
        let began = Instant::now();
        assert_eq!(routes.take(|| {}).await.unwrap_err(), Code::H10);
        assert!(began.elapsed() >= Duration::from_secs(30), "the first crashes are waited out");
        place.set(Phase::Crashed { times: 3, boot_timeout: false });
        let began = Instant::now();
        assert_eq!(routes.take(|| {}).await.unwrap_err(), Code::H10);
        place.set(Phase::Crashed { times: 3, boot_timeout: true });
        assert_eq!(routes.take(|| {}).await.unwrap_err(), Code::H20);
        routes.want(0);
        assert_eq!(routes.take(|| {}).await.unwrap_err(), Code::H14);
        assert!(began.elapsed() < Duration::from_millis(10), "the rest at once");
    }

    #[tokio::test(start_paused = true)]
    async fn a_retiring_dyno_gets_nothing_and_waits_for_its_last_request() {
        let routes = routes(10);
        let place = routes.enter("web.1".into());
        place.set(at(1));
        let ticket = routes.take(|| {}).await.unwrap();
        place.set(Phase::Retiring);
        assert!(tokio::time::timeout(Duration::from_secs(5), place.idle()).await.is_err());
        assert_eq!(routes.take(|| {}).await.unwrap_err(), Code::H20);
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(1)).await;
            drop(ticket);
        });
        tokio::time::timeout(Duration::from_secs(2), place.idle()).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_leaves_the_queue_makes_room() {
        let routes = routes(1);
        let left = tokio::time::timeout(Duration::from_secs(1), routes.take(|| {})).await;
        assert!(left.is_err());
        assert_eq!(routes.take(|| {}).await.unwrap_err(), Code::H20, "queued, not H11");
    }

    #[tokio::test(start_paused = true)]
    async fn where_requests_wait_at_zero_the_first_says_so_and_all_are_served_later() {
        let routes = Routes::new(2, Duration::from_secs(30), true);
        let said = Arc::new(std::sync::atomic::AtomicU32::new(0));
        let take = || {
            let (routes, said) = (Arc::clone(&routes), Arc::clone(&said));
            tokio::spawn(async move {
                routes
                    .take(|| {
                        said.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    })
                    .await
                    .map(|_| ())
            })
        };
        let (one, two) = (take(), take());
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(take().await.unwrap(), Err(Code::H11), "the queue is full");
        assert_eq!(said.load(std::sync::atomic::Ordering::Relaxed), 1);
        routes.want(1);
        let place = routes.enter("web.1".into());
        place.set(at(1));
        assert_eq!((one.await.unwrap(), two.await.unwrap()), (Ok(()), Ok(())));
        drop(place);
        routes.want(0);
        let began = Instant::now();
        assert_eq!(take().await.unwrap(), Err(Code::H14), "nobody woke it");
        assert!(began.elapsed() >= Duration::from_secs(30));
    }
}
