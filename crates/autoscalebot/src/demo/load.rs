//! The visitors of the demo: requests sent at planned instants, whether or not earlier ones were answered, as visitors do
//! who do not know of each other. Every request is kept with its time and answer, so that percentiles are exact.
//!
//! A time counts from the planned instant, so that an overloaded machine that sends late does not look fast.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::body::Body;
use hyper::client::conn::http1;
use hyper::{Request, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep_until, timeout};

/// The most requests that a plan may have.
const REQUESTS_MAX: usize = 200_000;

/// The most requests open at one time; more are sent late.
const OPEN_MAX: usize = 4000;

/// How long a visitor waits. Longer than the router does, so that it is not the visitor who fails.
const PATIENCE: Duration = Duration::from_secs(40);

/// A spell of even load.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Phase {
    /// What it is called in the summary.
    pub(crate) name: &'static str,
    /// When it begins, from the start of the load.
    pub(crate) from: Duration,
    /// When it ends.
    pub(crate) to: Duration,
    /// Requests a second.
    pub(crate) rate: f64,
}

/// When requests are sent: spells one after the other.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Plan {
    /// In the order of time, without gaps.
    pub(crate) phases: Vec<Phase>,
}

impl Plan {
    /// In this time: a quiet spell, a surge that takes four of the sample app's dynos and more for what has piled up, and a
    /// quiet spell again.
    ///
    /// Of 45 s: 8 s with 10 requests a second, 18 s with 90, 19 s with 10. The last is long enough for two steps down.
    pub(crate) fn calm_surge_calm(length: Duration) -> Self {
        let mut from = Duration::ZERO;
        let phases =
            [("calm", 8.0, 10.0), ("surge", 18.0, 90.0), ("calm again", 19.0, 10.0)].map(|(name, share, rate)| {
                let to = from + length.mul_f64(share / 45.0);
                let phase = Phase { name, from, to, rate };
                from = to;
                phase
            });
        Self { phases: phases.into() }
    }

    /// The surge, or whichever spell has the highest rate.
    pub(crate) fn surge(&self) -> Option<&Phase> {
        self.phases.iter().max_by(|one, other| one.rate.total_cmp(&other.rate))
    }

    /// When to send, from the start of the load: evenly in each spell.
    fn instants(&self) -> Vec<Duration> {
        let of_phase = |phase: &Phase| {
            let from = phase.from;
            let length = phase.to.saturating_sub(from).as_secs_f64();
            let (rate, count) = (phase.rate, (length * phase.rate).round());
            let count = if count.is_finite() && count > 0.0 { count as usize } else { 0 };
            (0..count.min(REQUESTS_MAX)).map(move |number| from + Duration::from_secs_f64(number as f64 / rate))
        };
        self.phases.iter().flat_map(of_phase).take(REQUESTS_MAX).collect()
    }
}

/// One request that was answered, or failed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Visit {
    /// When it was to be sent, from the start of the load.
    pub(crate) sent_at: Duration,
    /// How long it took from then to the last byte.
    pub(crate) took: Duration,
    /// The status of a whole answer; none: there was none.
    pub(crate) status: Option<u16>,
}

impl Visit {
    /// Whether the visitor got what was asked for.
    pub(crate) fn is_good(&self) -> bool {
        self.status.is_some_and(|status| (200..300).contains(&status))
    }
}

/// A load that is being sent, for whoever shows it; clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Load {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    began: Option<Instant>,
    sent: usize,
    visits: Vec<Visit>,
}

impl Load {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long it has run.
    pub(crate) fn elapsed(&self) -> Duration {
        self.state().began.map_or(Duration::ZERO, |began| began.elapsed())
    }

    /// All that is known so far. A request that is still open is in `sent` and not in `visits`.
    pub(crate) fn so_far(&self) -> LoadReport {
        let state = self.state();
        LoadReport { sent: state.sent, visits: state.visits.clone() }
    }

    /// Sends the planned requests and waits for the last answer. Called once.
    pub(crate) async fn run(&self, target: SocketAddr, plan: &Plan) -> LoadReport {
        let began = Instant::now();
        self.state().began = Some(began);
        let room = Arc::new(Semaphore::new(OPEN_MAX));
        for sent_at in plan.instants() {
            sleep_until(began + sent_at).await;
            let Ok(permit) = Arc::clone(&room).acquire_owned().await else { break };
            self.state().sent += 1;
            let load = self.clone();
            tokio::spawn(async move {
                let status = timeout(PATIENCE, visit(target)).await.ok().flatten();
                let took = (began + sent_at).elapsed();
                load.state().visits.push(Visit { sent_at, took, status });
                drop(permit);
            });
        }
        // All permits are back when all are answered; each has a time limit.
        let _ = room.acquire_many(u32::try_from(OPEN_MAX).unwrap_or(u32::MAX)).await;
        self.so_far()
    }
}

/// What was sent and what came of it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct LoadReport {
    /// Requests sent.
    pub(crate) sent: usize,
    /// Those that have ended, in the order of their end.
    pub(crate) visits: Vec<Visit>,
}

impl LoadReport {
    /// How many have failed.
    pub(crate) fn failed(&self) -> usize {
        self.visits.iter().filter(|visit| !visit.is_good()).count()
    }

    /// The 95th percentile, in milliseconds, of the good requests that were sent between these times: the smallest time that
    /// 95 of 100 did not exceed. None where there was no request.
    pub(crate) fn p95_ms(&self, from: Duration, to: Duration) -> Option<f64> {
        let within = self.visits.iter().filter(|visit| visit.is_good() && (from..to).contains(&visit.sent_at));
        let mut times: Vec<Duration> = within.map(|visit| visit.took).collect();
        times.sort_unstable();
        let rank = (times.len() * 95).div_ceil(100);
        times.get(rank.checked_sub(1)?).map(|time| time.as_secs_f64() * 1e3)
    }
}

/// One request on a connection of its own; the status of a whole answer.
pub(crate) async fn visit(target: SocketAddr) -> Option<u16> {
    let stream = TcpStream::connect(target).await.ok()?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
    let request = Request::get("/").header(header::HOST, target.to_string()).body(String::new()).ok()?;
    let exchange = async {
        let mut response = sender.send_request(request).await.ok()?;
        let status = response.status().as_u16();
        while let Some(frame) = std::future::poll_fn(|cx| Pin::new(response.body_mut()).poll_frame(cx)).await {
            frame.ok()?;
        }
        Some(status)
    };
    let mut exchange = std::pin::pin!(exchange);
    tokio::select! {
        status = &mut exchange => status,
        // The connection may end first: what it brought is then read.
        _ = connection => exchange.await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plan_of_45_seconds() {
        let plan = Plan::calm_surge_calm(Duration::from_secs(45));
        let spells: Vec<_> = plan.phases.iter().map(|phase| (phase.from.as_secs(), phase.to.as_secs())).collect();
        assert_eq!(spells, [(0, 8), (8, 26), (26, 45)]);
        let instants = plan.instants();
        assert_eq!(instants.len(), 80 + 1620 + 190);
        assert!(instants.is_sorted());
        assert_eq!(plan.surge().map(|phase| phase.name), Some("surge"));
        assert!(Plan::calm_surge_calm(Duration::ZERO).instants().is_empty());
    }

    #[test]
    fn percentiles_are_exact() {
        let visit = |ms, status| Visit { sent_at: Duration::from_secs(1), took: Duration::from_millis(ms), status };
        let report = |visits: Vec<Visit>| LoadReport { sent: visits.len(), visits };
        let all = (Duration::ZERO, Duration::from_secs(2));
        let of = |report: &LoadReport| report.p95_ms(all.0, all.1);
        assert_eq!(of(&report(vec![])), None);
        assert_eq!(of(&report(vec![visit(7, Some(200))])), Some(7.0));
        let hundred = report((1..=100).rev().map(|ms| visit(ms, Some(200))).collect());
        assert_eq!(of(&hundred), Some(95.0));
        assert_eq!(hundred.p95_ms(Duration::from_secs(2), Duration::from_secs(3)), None);
        let failed = report(vec![visit(1, Some(503)), visit(1, None), visit(9, Some(204))]);
        assert_eq!((failed.failed(), of(&failed)), (2, Some(9.0)));
    }
}
