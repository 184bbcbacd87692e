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
        Self::usual(text).unwrap_or_else(|| Self::any(text))
    }

    /// A line in any order.
    fn any(text: &'a [u8]) -> Self {
        let mut line = Self::default();
        let mut rest = text;
        while let Some((key, value, after)) = pair(rest) {
            line.take(key, value);
            rest = after;
        }
        line
    }

    /// A line of a good request in the order that the router writes, taken apart in one go; none where anything is otherwise,
    /// and then the long way decides. Nine lines of ten are such (`the_short_way_and_the_long_agree`).
    #[inline]
    fn usual(text: &'a [u8]) -> Option<Self> {
        let mut line = Self { at: b"info", ..Self::default() };
        let after_method;
        (line.method, after_method) = upto_space(text.strip_prefix(b"at=info method=")?)?;
        let rest = after_method.strip_prefix(b"path=\"")?;
        let end = memchr2(b'"', b'\\', rest)?;
        line.path = &rest[..end];
        let rest = rest[end..].strip_prefix(b"\" host=")?;
        let after_host;
        (line.host, after_host) = upto_space(rest)?;
        let rest = after_host.strip_prefix(b"request_id=")?;
        // A UUID as a rule.
        let after_id;
        (line.request_id, after_id) = match rest.get(36) {
            Some(b' ') if !plain_space(&rest[..36]) => (&rest[..36], &rest[37..]),
            _ => upto_space(rest)?,
        };
        let rest = after_id.strip_prefix(b"fwd=\"")?;
        let end = memchr(b'"', rest.get(..64).unwrap_or(rest))?;
        line.fwd = &rest[..end];
        if line.host.first() == Some(&b'"') || memchr(b'\\', line.fwd).is_some() {
            return None;
        }
        let rest = rest[end..].strip_prefix(b"\" dyno=")?;
        let after_dyno;
        (line.dyno, after_dyno) = upto_space(rest)?;
        let (connect, rest) = digits(after_dyno.strip_prefix(b"connect=")?)?;
        let (service, rest) = digits(rest.strip_prefix(b"ms service=")?)?;
        let (status, rest) = digits(rest.strip_prefix(b"ms status=")?)?;
        let (bytes, rest) = digits(rest.strip_prefix(b" bytes=")?)?;
        let rest = rest.strip_prefix(b" protocol=")?;
        let end = rest.iter().position(|byte| *byte == b' ').unwrap_or(rest.len());
        line.protocol = &rest[..end];
        // What follows must be what is known to be of no interest.
        if !matches!(
            &rest[end..],
            b"" | b" tls=true tls_version=tls1.3" | b" tls=true tls_version=tls1.2" | b" tls=false tls_version=unknown"
        ) {
            return None;
        }
        let quoted =
            [line.method, line.dyno, line.protocol, line.request_id].iter().any(|value| value.first() == Some(&b'"'));
        line.connect_ms = Some(connect as f64);
        line.service_ms = Some(service as f64);
        line.status = u16::try_from(status).ok();
        line.bytes = Some(bytes);
        (!quoted).then_some(line)
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

/// Up to the next space, which must be within 64 bytes, and what follows it.
#[inline]
fn upto_space(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr(b' ', text.get(..64).unwrap_or(text))?;
    Some((&text[..end], &text[end + 1..]))
}

/// Whether there is a space; in steps that the compiler makes wide.
#[inline]
fn plain_space(text: &[u8]) -> bool {
    text.iter().fold(false, |found, byte| found | (*byte == b' '))
}

/// One to twelve digits as a number, and what follows them.
#[inline]
fn digits(text: &[u8]) -> Option<(u64, &[u8])> {
    let mut number = 0;
    for (at, byte) in text.iter().enumerate().take(13) {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return (at > 0).then_some((number, &text[at..]));
        }
        number = number * 10 + u64::from(digit);
    }
    // The line ends with it, or it is no such number.
    ((1..=12).contains(&text.len())).then_some((number, &text[text.len()..]))
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn word() -> impl Strategy<Value = String> {
        prop_oneof![
            Just(String::new()),
            "[a-z0-9.]{1,12}",
            "[ -~]{0,12}",
            "[0-9]{0,14}(ms)?",
            Just("\"q q\"".to_owned())
        ]
    }

    proptest! {
        #[test]
        fn the_short_way_and_the_long_agree(words in proptest::collection::vec(word(), 11), drop in 0_usize..16, tail in 0_usize..4) {
            let keys = ["method=", "path=\"", "host=", "request_id=", "fwd=\"", "dyno=", "connect=", "service=", "status=", "bytes=", "protocol="];
            let sane = ["GET", "/a?b=c\"", "x.example", "00000000-0000-4000-8000-000000000001", "1.2.3.4\"", "web.1", "1ms", "20ms", "200", "7", "http1.1"];
            let mut text = "at=info".to_owned();
            for (index, key) in keys.iter().enumerate() {
                // One part at a time is odd, or none.
                let value = if index == drop { words[index].as_str() } else { sane[index] };
                text.push_str(&format!(" {key}{value}"));
            }
            text.push_str(["", " tls=true tls_version=tls1.3", " tls=true", " service=1ms"][tail]);
            prop_assert_eq!(RouterLine::parse(text.as_bytes()), RouterLine::any(text.as_bytes()));
            if drop >= 11 && tail < 2 {
                prop_assert!(RouterLine::usual(text.as_bytes()).is_some());
            }
        }
    }
}
