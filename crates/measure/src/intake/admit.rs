//! A request on its way in: whose it is, by its token and before its body is read; whether there is room for it; and what comes
//! of its body.
//!
//! | path | sender |
//! | --- | --- |
//! | `POST /drains/TOKEN` | Heroku's log drains |
//! | `POST /samples/TOKEN` | pushed samples |
//! | `POST /judoscale/TOKEN/v3/reports` | Judoscale's adapters; `//v3/reports` too, from a base URL that ends in `/` |
//! | `POST /dynoscale/TOKEN` | Dynoscale's agent |
//! | `POST /otlp/TOKEN/v1/traces`, `/v1/metrics`, `/v1/logs`; without TOKEN with `Authorization: Bearer` | OpenTelemetry |
//! | `POST /` with `HireFire-Token` | HireFire's packages |
//! | `POST /` with `Autoscale-Metric-Token` | Autoscale.app's agent |
//!
//! Senders give up or send again at any error, which helps nobody in an overload. So what there is no room for is left
//! unread, counted, and answered with a 2xx (but for OpenTelemetry, whose senders come again when they are told to); a 4xx is for a token that is not known, and for a body that cannot be one.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use reqwest::header::HeaderMap;

use super::counts::add;
use super::logplex::Batch;
use super::report::Report;
use super::source::{Sender, Source};
use super::{Intake, pour};
use crate::{autoscale_agent, dynoscale, hirefire, judoscale, otlp, push};

/// The most bytes of bodies under way at a time.
const ROOM: usize = 32 << 20;
/// The most of them that one sender may have, so that it takes no other's.
const SHARE: usize = ROOM / 2;
/// The shortest token that is looked at; the longest.
const TOKEN: std::ops::RangeInclusive<usize> = 1..=256;

/// What to answer a sender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The type of the body.
    pub content_type: &'static str,
    /// The body.
    pub body: Cow<'static, [u8]>,
    /// When the sender is to come again, in seconds.
    pub retry_after_secs: Option<u16>,
    /// How often HireFire's packages are to push from now on, in seconds.
    pub push_every_secs: Option<u16>,
}

impl Reply {
    const fn text(status: u16, body: &'static str) -> Self {
        Self::fixed(status, "text/plain; charset=utf-8", body)
    }

    const fn json(status: u16, body: &'static str) -> Self {
        Self::fixed(status, "application/json", body)
    }

    const fn fixed(status: u16, content_type: &'static str, body: &'static str) -> Self {
        Self {
            status,
            content_type,
            body: Cow::Borrowed(body.as_bytes()),
            retry_after_secs: None,
            push_every_secs: None,
        }
    }

    /// That the body is longer than [`Ticket::limit`].
    pub const TOO_LARGE: Self = Self::text(413, "the body is too large\n");
    /// That the body does not come.
    pub const TOO_SLOW: Self = Self::text(408, "the body came too slowly\n");
}

/// A request that may send its body. Room is kept for it until it is dropped.
pub struct Ticket {
    intake: Arc<Intake>,
    source: Arc<Source>,
    limit: usize,
    /// The id that a repeated request has too.
    id: Option<u64>,
    /// How telemetry is written.
    call: Option<otlp::Call>,
    room: Room,
}

/// Bytes that are kept free for a body.
struct Room {
    bytes: usize,
    intake: Arc<Intake>,
    source: Arc<Source>,
}

impl Room {
    /// Keeps them free; none where there are no more, for all or for this sender.
    fn keep(bytes: usize, intake: &Arc<Intake>, source: &Arc<Source>) -> Option<Self> {
        let take = |under_way: &AtomicUsize| under_way.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        let (of_all, of_it) = (take(&intake.under_way), take(&source.under_way));
        let room = Self { bytes, intake: Arc::clone(intake), source: Arc::clone(source) };
        (of_all <= ROOM && of_it <= SHARE).then_some(room)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.intake.under_way.fetch_sub(self.bytes, Ordering::Relaxed);
        self.source.under_way.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl std::fmt::Debug for Ticket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ticket")
            .field("sender", &self.source.sender)
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

impl Intake {
    /// Whether a path is one of ours: then [`Intake::admit`] says more.
    pub fn is_for(method: &str, path: &str, headers: &HeaderMap) -> bool {
        method == "POST" && address(path, headers).is_some()
    }

    /// Looks at a request before its body is read. An error is what to answer, its body unread.
    pub fn admit(self: &Arc<Self>, method: &str, path: &str, headers: &HeaderMap) -> Result<Ticket, Reply> {
        let Some(Address { sender, token, signal }) = address(path, headers) else {
            return Err(Reply::text(404, "there is nothing here\n"));
        };
        if method != "POST" {
            return Err(Reply::text(405, "send it with POST\n"));
        }
        let refused = |reply: Reply| {
            add(&self.counters.refused, 1);
            reply
        };
        let call = signal.map(|signal| otlp::Call::of(signal, headers)).transpose().map_err(refused)?;
        let Some(source) = self.tokens.find(sender, token) else {
            let unknown = || Reply::text(403, "this token is not known: it is in no settings of this program\n");
            return Err(refused(call.map_or_else(unknown, otlp::Call::unknown)));
        };
        let limit = limit(sender);
        let length = header(headers, "content-length").and_then(|length| length.parse::<usize>().ok());
        if length.is_some_and(|length| length > limit) {
            return Err(refused(call.map_or(Reply::TOO_LARGE, otlp::Call::too_large)));
        }
        let Some(room) = Room::keep(length.unwrap_or(limit), self, &source) else {
            add(&source.counters.shed, 1);
            source.lose(self.now().as_millisecond());
            return Err(call.map_or_else(|| good(sender), otlp::Call::busy));
        };
        let id = header(headers, "logplex-frame-id").filter(|_| sender == Sender::Drain);
        let id = id.map(|id| self.id(id.as_bytes()));
        Ok(Ticket { intake: Arc::clone(self), source, limit, id, call, room })
    }
}

impl Ticket {
    /// The most bytes that its body may have.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// What to answer where the body is longer than its limit.
    pub fn too_large(&self) -> Reply {
        add(&self.source.counters.refused, 1);
        self.call.map_or(Reply::TOO_LARGE, otlp::Call::too_large)
    }

    /// What to answer where the body does not come. Telemetry may come again.
    pub fn too_slow(&self) -> Reply {
        add(&self.source.counters.refused, 1);
        self.call.map_or(Reply::TOO_SLOW, otlp::Call::busy)
    }

    /// Takes the body.
    pub fn accept(self, body: &[u8]) -> Reply {
        let (intake, source) = (&self.intake, &self.source);
        let counters = &source.counters;
        if body.len() > self.limit {
            return self.too_large();
        }
        let now_ms = intake.now().as_millisecond();
        let id = match source.sender {
            // These come again in parts, or may well be the same twice.
            Sender::HireFire | Sender::Dynoscale | Sender::Push | Sender::AutoscaleAgent => None,
            Sender::Drain => self.id,
            Sender::Judoscale | Sender::Otlp => Some(intake.id(body)),
        };
        if id.is_some_and(|id| source.state().repeated(id)) {
            source.hear(now_ms);
            add(&counters.repeated, 1);
            return self.call.map_or_else(|| good(source.sender), otlp::Call::good);
        }
        if let Some(call) = self.call {
            return otlp::take(call, body, source, now_ms, counters);
        }
        if source.sender == Sender::Drain {
            pour::batch(&Batch::read(body), source, now_ms, counters);
        } else {
            let Some(report) = report(source, body, now_ms) else {
                add(&counters.refused, 1);
                return Reply::text(400, "the body is not what this address takes\n");
            };
            pour::report(&report, source, now_ms, counters);
        }
        add(&counters.requests, 1);
        drop(self.room);
        let push_every_secs = (source.sender == Sender::HireFire).then(|| source.state().pace.pushed(now_ms));
        Reply { push_every_secs, ..good(source.sender) }
    }
}

/// Reads what of a body did not come before.
fn report<'a>(source: &Source, body: &'a [u8], now_ms: i64) -> Option<Report<'a>> {
    match source.sender {
        Sender::HireFire => {
            let mut report = read(Sender::HireFire, body)?;
            let (mut state, all) = (source.state(), report.told.len());
            let now_ms = now_ms.saturating_sub(state.skew.usual());
            state.lists.leave_new(&mut report.told, now_ms);
            add(&source.counters.repeated, u64::from(report.told.len() < all));
            Some(report)
        }
        Sender::Dynoscale => {
            // Read first: what is none of the agent's is not remembered.
            let report = read(Sender::Dynoscale, body)?;
            let new = source.state().bodies.new_of(body);
            if new.len() == body.len() {
                return Some(report);
            }
            add(&source.counters.repeated, 1);
            read(Sender::Dynoscale, new)
        }
        sender => read(sender, body),
    }
}

/// Reads a body as its sender writes it; none where it is no such thing.
pub(crate) fn read(sender: Sender, body: &[u8]) -> Option<Report<'_>> {
    match sender {
        // These have forms of their own.
        Sender::Drain | Sender::Otlp => None,
        Sender::Push => push::read(body),
        Sender::Judoscale => judoscale::read(body),
        Sender::HireFire => hirefire::read(body),
        Sender::Dynoscale => dynoscale::read(body),
        Sender::AutoscaleAgent => autoscale_agent::read(body),
    }
}

/// Who sends, with which token, and of telemetry what.
struct Address<'a> {
    sender: Sender,
    token: &'a str,
    signal: Option<otlp::Signal>,
}

fn address<'a>(path: &'a str, headers: &'a HeaderMap) -> Option<Address<'a>> {
    let path = path.split('?').next()?;
    let mut signal = None;
    let (sender, token) = if path == "/" {
        match (header(headers, "hirefire-token"), header(headers, "autoscale-metric-token")) {
            (Some(token), _) => (Sender::HireFire, token),
            (None, Some(token)) => (Sender::AutoscaleAgent, token),
            (None, None) => return None,
        }
    } else {
        let (first, rest) = path.strip_prefix('/')?.split_once('/')?;
        match first {
            "drains" => (Sender::Drain, rest),
            "samples" => (Sender::Push, rest),
            "dynoscale" => (Sender::Dynoscale, rest),
            "otlp" => {
                let (what, token) = otlp::address(rest, headers)?;
                signal = Some(what);
                (Sender::Otlp, token)
            }
            "judoscale" => {
                let base = rest.strip_suffix("/v3/reports")?;
                (Sender::Judoscale, base.strip_suffix('/').unwrap_or(base))
            }
            _ => return None,
        }
    };
    (TOKEN.contains(&token.len()) && !token.contains('/')).then_some(Address { sender, token, signal })
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// The most bytes of a body. Heroku sends about 100 kB at a time, and Judoscale two numbers for each request of ten seconds.
const fn limit(sender: Sender) -> usize {
    match sender {
        Sender::Drain => 1 << 20,
        Sender::Judoscale => 4 << 20,
        Sender::HireFire | Sender::Dynoscale => 1 << 20,
        Sender::AutoscaleAgent => 64 << 10,
        Sender::Otlp => otlp::LIMIT,
        Sender::Push => 16 << 10,
    }
}

/// What each sender takes for a yes.
const fn good(sender: Sender) -> Reply {
    match sender {
        Sender::Drain => Reply::text(200, ""),
        Sender::Push | Sender::Judoscale | Sender::HireFire | Sender::AutoscaleAgent | Sender::Otlp => {
            Reply::json(200, "{}")
        }
        // In seconds; without it the agent reports twice a minute.
        Sender::Dynoscale => Reply::json(200, "{\"config\":{\"publish_frequency\":5}}"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::intake::fixtures::bodies;

    const SENDERS: [Sender; 5] =
        [Sender::Push, Sender::Judoscale, Sender::HireFire, Sender::Dynoscale, Sender::AutoscaleAgent];

    /// Recorded bodies with a few bytes changed, and bytes of any kind.
    fn body() -> impl Strategy<Value = Vec<u8>> {
        let files = ["judoscale", "judoscale-bullmq", "hirefire-resource-python", "dynoscale", "autoscale-agent"];
        let all: Vec<_> = files.iter().flat_map(|file| bodies(&format!("{file}.jsonl"))).collect();
        let changed = (proptest::sample::select(all), proptest::collection::vec((any::<usize>(), any::<u8>()), 0..6));
        let changed = changed.prop_map(|(mut body, changes)| {
            for (at, byte) in changes {
                let at = at % body.len();
                body[at] = byte;
            }
            body
        });
        prop_oneof![changed, proptest::collection::vec(any::<u8>(), 0..200)]
    }

    proptest! {
        #[test]
        fn report_properties(body in body()) {
            for sender in SENDERS {
                let Some(report) = read(sender, &body) else { continue };
                prop_assert!(report.told.len() <= 2 * body.len() + 1);
                for told in &report.told {
                    let number = match told {
                        crate::intake::Told::Waited { ms, .. } | crate::intake::Told::Served { ms, .. } => *ms,
                        crate::intake::Told::Newest { value, .. } => *value,
                    };
                    prop_assert!(number.is_finite() && number >= 0.0);
                }
            }
        }
    }
}
