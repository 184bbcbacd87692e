//! One line of Heroku's router (<https://devcenter.heroku.com/articles/http-routing#heroku-router-log-format>): `key=value`
//! in any order, values quoted where needed, unknown keys passed over.
//!
//! The path holds whatever a client sent, so the line is taken apart from its beginning, quotes and all; nothing is searched
//! for. Where a key stands twice the last holds, as the router writes its own after what came from the client.

use memchr::{memchr, memchr2};

/// A router line, each value as it stands, without its quotes; empty where there is none.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct RouterLine<'a> {
    /// `info`, `warning` or `error`.
    pub at: &'a [u8],
    /// The error's code, such as `H12`.
    pub code: &'a [u8],
    /// The error in words.
    pub desc: &'a [u8],
    /// Which side broke: `client` or `backend`.
    pub sock: &'a [u8],
    /// The request's method.
    pub method: &'a [u8],
    /// The path with its query.
    pub path: &'a [u8],
    /// The host name asked for.
    pub host: &'a [u8],
    /// The request's id.
    pub request_id: &'a [u8],
    /// The client's addresses.
    pub fwd: &'a [u8],
    /// The dyno that served it, such as `web.1`.
    pub dyno: &'a [u8],
    /// `http`, `https`, `http1.1`, …
    pub protocol: &'a [u8],
    /// Milliseconds until the dyno took the connection.
    pub connect_ms: Option<f64>,
    /// Milliseconds from there to the last byte.
    pub service_ms: Option<f64>,
    /// The HTTP status.
    pub status: Option<u16>,
    /// Bytes of the answer.
    pub bytes: Option<u64>,
}

/// What a line means for the load.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Request {
    /// The time to serve it, where the line tells one that says something of the load.
    pub service_ms: Option<f64>,
    /// The time until the dyno took the connection, likewise.
    pub connect_ms: Option<f64>,
    /// Whether the router or the app failed.
    pub error: bool,
}

/// What an error that means "too slow" counts as at least, in milliseconds: the router's own time limit.
const SLOW_MS: f64 = 30_000.0;

impl<'a> RouterLine<'a> {
    /// Takes a line apart. Anything can be given to it; what it does not understand is left out.
    #[inline]
    pub fn parse(text: &'a [u8]) -> Self {
        let mut line = Self::default();
        let mut rest = text;
        while let Some((key, value, after)) = pair(rest) {
            line.take(key, value);
            rest = after;
        }
        line
    }

    #[inline]
    fn take(&mut self, key: &[u8], value: &'a [u8]) {
        match key {
            b"at" => self.at = value,
            b"code" => self.code = value,
            b"desc" => self.desc = value,
            b"sock" => self.sock = value,
            b"method" => self.method = value,
            b"path" => self.path = value,
            b"host" => self.host = value,
            b"request_id" => self.request_id = value,
            b"fwd" => self.fwd = value,
            b"dyno" => self.dyno = value,
            b"protocol" => self.protocol = value,
            b"connect" => self.connect_ms = milliseconds(value),
            b"service" => self.service_ms = milliseconds(value),
            b"status" => self.status = whole(value).and_then(|status| u16::try_from(status).ok()),
            b"bytes" => self.bytes = whole(value),
            _ => {}
        }
    }

    /// Whether this is a router line at all: each has `at`, and a status unless it failed early.
    pub fn is_one(&self) -> bool {
        !self.at.is_empty() && (self.status.is_some() || !self.code.is_empty())
    }

    /// What it means for the load; none for what is no request to count: the end of a websocket, whose `service` is its life.
    pub fn request(&self) -> Option<Request> {
        if self.status == Some(101) {
            return None;
        }
        let error = !self.code.is_empty() || self.at == b"error" || self.status.is_some_and(|status| status >= 500);
        let (service_ms, connect_ms) = match self.code {
            // The router gave up, or the dyno closed without an answer: however soon that was, it is no fast answer.
            b"H12" | b"H13" => (Some(self.service_ms.map_or(SLOW_MS, |ms| ms.max(SLOW_MS))), self.connect_ms),
            // The client left (H27), or the answer is none of the app's (maintenance, blocked, limits of the platform).
            b"H27" | b"H80" | b"H81" | b"H82" | b"H99" => (None, None),
            _ => (self.service_ms, self.connect_ms),
        };
        Some(Request { service_ms, connect_ms, error })
    }

    /// The process type that served it, or should have: without a dyno, `web`, the only one that the router sends to.
    pub fn process(&self) -> &'a [u8] {
        match memchr(b'.', self.dyno) {
            Some(dot) => &self.dyno[..dot],
            None if self.dyno.is_empty() => b"web",
            None => self.dyno,
        }
    }
}

/// The next `key=value`, the value without quotes, and what follows. A word without `=` is passed over.
#[inline]
fn pair(mut text: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    loop {
        while let [b' ', after @ ..] = text {
            text = after;
        }
        // Keys are short: a plain walk beats a search.
        let stop = text.iter().position(|byte| matches!(byte, b'=' | b' '))?;
        if text[stop] == b' ' {
            text = &text[stop + 1..];
            continue;
        }
        let (key, value) = (&text[..stop], &text[stop + 1..]);
        if let [b'"', quoted @ ..] = value {
            let end = closing_quote(quoted).unwrap_or(quoted.len());
            return Some((key, &quoted[..end], quoted.get(end + 1..).unwrap_or_default()));
        }
        let end = value.iter().position(|byte| *byte == b' ').unwrap_or(value.len());
        return Some((key, &value[..end], &value[end..]));
    }
}

/// Where the quote closes that opened just before; a backslash takes the meaning from what follows it.
#[inline]
fn closing_quote(text: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        let at = from + memchr2(b'"', b'\\', text.get(from..)?)?;
        if text[at] == b'"' {
            return Some(at);
        }
        from = at + 2;
    }
}

/// Reads `18ms`; nothing where there is no number.
#[inline]
fn milliseconds(value: &[u8]) -> Option<f64> {
    let number = value.strip_suffix(b"ms")?;
    match whole(number) {
        Some(ms) => Some(ms as f64),
        None => {
            let ms: f64 = std::str::from_utf8(number).ok()?.parse().ok()?;
            (ms.is_finite() && ms >= 0.0).then_some(ms)
        }
    }
}

/// Reads digits, at most twelve of them.
#[inline]
fn whole(value: &[u8]) -> Option<u64> {
    if value.is_empty() || value.len() > 12 {
        return None;
    }
    let mut number = 0;
    for byte in value {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number = number * 10 + u64::from(digit);
    }
    Some(number)
}
