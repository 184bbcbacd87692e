//! Heroku's log drains, read: framing, the head of each message, router lines, runtime metrics and notices of loss. Pure:
//! bytes in, a [`Batch`] out; nothing here knows the time, a token or a measurement.

mod frames;
mod message;
mod metrics;
mod router;

pub use frames::{Frames, Torn};
pub use message::{Message, parse_time};
pub use metrics::RuntimeMetrics;
pub use router::{Request, RouterLine};

/// One request, as a router line told it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hit<'a> {
    /// When the line was written, by the router's clock, in milliseconds of the Unix epoch.
    pub at_ms: i64,
    /// The process type.
    pub process: &'a [u8],
    /// What it means for the load.
    pub request: Request,
}

/// What one body of a drain held.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Batch<'a> {
    /// The requests, in the order of their lines.
    pub hits: Vec<Hit<'a>>,
    /// Runtime metrics, by dyno.
    pub metrics: Vec<(&'a [u8], RuntimeMetrics)>,
    /// Messages of any kind.
    pub messages: u64,
    /// Frames that are no message, and router lines that are none.
    pub odd: u64,
    /// Lines that the sender says were lost before they came here: a sign of loss, not a number of requests.
    pub lost: u64,
    /// What was no frame.
    pub torn: Torn,
}

impl<'a> Batch<'a> {
    /// Reads a body.
    pub fn read(body: &'a [u8]) -> Self {
        // Router lines have about 280 bytes.
        let mut batch = Self { hits: Vec::with_capacity(body.len() / 256), ..Self::default() };
        let mut frames = Frames::new(body);
        for frame in frames.by_ref() {
            batch.frame(frame);
        }
        batch.torn = frames.torn();
        batch
    }

    #[inline]
    fn frame(&mut self, frame: &'a [u8]) {
        let Some(message) = Message::parse(frame) else {
            self.odd += 1;
            return;
        };
        self.messages += 1;
        if message.app != b"heroku" {
            return;
        }
        match message.process {
            b"router" => match message.at_ms() {
                Some(at_ms) => self.router(at_ms, message.text),
                None => self.odd += 1,
            },
            b"logplex" => self.lost = self.lost.saturating_add(lost(message.text).unwrap_or(0)),
            dyno => self.metrics.extend(RuntimeMetrics::parse(message.text).map(|metrics| (dyno, metrics))),
        }
    }

    /// Takes a router line without its head, as the local platform has it.
    #[inline]
    pub fn router(&mut self, at_ms: i64, text: &'a [u8]) {
        let line = RouterLine::parse(text);
        if !line.is_one() {
            self.odd += 1;
            return;
        }
        if let Some(request) = line.request() {
            self.hits.push(Hit { at_ms, process: line.process(), request });
        }
    }
}

/// The most lines that one notice is believed: the counter of them must never come round to zero.
const MOST_LOST: u64 = 1_000_000_000;

/// How many lines a notice says are gone: `Error L10 (output buffer overflow): 491 messages dropped since …`, or
/// `Error L10 (drain backlog): 3 lines lost.`
pub fn lost(text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?.strip_prefix("Error L10")?;
    let (_, after) = text.split_once("): ")?;
    after.split(' ').next()?.parse::<u64>().ok().map(|lines| lines.min(MOST_LOST))
}

#[cfg(test)]
mod tests;
