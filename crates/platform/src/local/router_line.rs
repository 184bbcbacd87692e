//! One line a request, in the format of Heroku's router (<https://devcenter.heroku.com/articles/http-routing#heroku-router-log-format>),
//! and its error codes (<https://devcenter.heroku.com/articles/error-codes>).
//!
//! `connect` is the time until the dyno took the connection, waiting for one that listens included, as Heroku's router counts
//! it; `service` the time from there to the last byte of the answer. Without a dyno both are empty: no sample, not 0.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::logs::LogSink;

/// What went wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    /// Every dyno has crashed.
    H10,
    /// Too many requests wait.
    H11,
    /// The first byte of the answer did not come in time.
    H12,
    /// The dyno closed the connection before it answered.
    H13,
    /// No dyno is wanted.
    H14,
    /// The answer is no HTTP.
    H17,
    /// The dyno closed the connection within its answer.
    H18,
    /// The dyno did not take the connection in time.
    H19,
    /// No dyno listened in time.
    H20,
    /// The dyno refused the connection.
    H21,
    /// The client left.
    H27,
}

impl Code {
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::H10 => ("H10", "App crashed"),
            Self::H11 => ("H11", "Backlog too deep"),
            Self::H12 => ("H12", "Request timeout"),
            Self::H13 => ("H13", "Connection closed without response"),
            Self::H14 => ("H14", "No web processes running"),
            Self::H17 => ("H17", "Poorly formatted HTTP response"),
            Self::H18 => ("H18", "Server Request Interrupted"),
            Self::H19 => ("H19", "Backend connection timeout"),
            Self::H20 => ("H20", "App boot timeout"),
            Self::H21 => ("H21", "Backend connection refused"),
            Self::H27 => ("H27", "Client Request Interrupted"),
        }
    }

    /// The start of the line: which side broke, and how bad it is.
    fn lead(self) -> &'static str {
        match self {
            Self::H18 => "sock=backend at=error",
            Self::H27 => "sock=client at=warning",
            _ => "at=error",
        }
    }
}

/// The line of one request, filled in as it goes. Dropped before it was finished, it says that the client left.
#[derive(Debug)]
pub(crate) struct Line {
    /// The request's part of the line: `method=… fwd="…"`.
    request: String,
    logs: LogSink,
    dyno: Option<Arc<str>>,
    connect: Option<Duration>,
    serving_since: Option<Instant>,
    bytes: u64,
    finished: bool,
}

impl Line {
    /// The line of a request that just came.
    pub(crate) fn new(logs: LogSink, method: &str, path: &str, host: &str, request_id: &str, fwd: &str) -> Self {
        let mut request = format!("method={method} path=");
        quote(&mut request, path);
        request.push_str(" host=");
        if host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".:-_[]".contains(&byte)) {
            request.push_str(host);
        } else {
            quote(&mut request, host);
        }
        // Only a sane id is kept, so it needs no quotes.
        let _ = write!(request, " request_id={request_id} fwd=");
        quote(&mut request, fwd);
        Self { request, logs, dyno: None, connect: None, serving_since: None, bytes: 0, finished: false }
    }

    /// The dyno that the request goes to; none: it waits for one.
    pub(crate) fn dyno(&mut self, name: Option<Arc<str>>) {
        self.dyno = name;
    }

    /// No dyno is wanted and the request waits for one: said at once, as whoever decides is to hear of it. The request's own line
    /// follows when its answer has ended.
    pub(crate) fn asleep(&self) {
        self.logs.send("heroku", "router", self.text(503, Some(Code::H14), None));
    }

    /// The dyno took the connection, this long after the request came.
    pub(crate) fn connected(&mut self, after: Duration) {
        self.connect = Some(after);
        self.serving_since = Some(Instant::now());
    }

    /// Counts bytes of the answer.
    pub(crate) fn add_bytes(&mut self, bytes: u64) {
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// Sends the line.
    pub(crate) fn finish(&mut self, status: u16, code: Option<Code>) {
        if self.finished {
            return;
        }
        self.finished = true;
        let text = self.text(status, code, self.serving_since.map(|since| since.elapsed()));
        self.logs.send("heroku", "router", text);
    }

    fn text(&self, status: u16, code: Option<Code>, service: Option<Duration>) -> String {
        let mut text = String::with_capacity(self.request.len() + 160);
        match code {
            None => text.push_str("at=info "),
            Some(code) => {
                let (name, description) = code.words();
                let _ = write!(text, "{} code={name} desc=\"{description}\" ", code.lead());
            }
        }
        let ms = |time: Option<Duration>| time.map_or_else(String::new, |time| format!("{}ms", time.as_millis()));
        // As Heroku's: no bytes where no dyno answered, or the client left before it did.
        let no_bytes = self.connect.is_none() || (code == Some(Code::H27) && self.bytes == 0);
        let bytes = if no_bytes { String::new() } else { self.bytes.to_string() };
        let _ = write!(
            text,
            "{} dyno={} connect={} service={} status={status} bytes={bytes} protocol=http",
            self.request,
            self.dyno.as_deref().unwrap_or_default(),
            ms(self.connect),
            ms(service),
        );
        text
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.finish(499, Some(Code::H27));
    }
}

/// Between quotes, so that nothing a client sends can end them or begin a new line.
fn quote(into: &mut String, text: &str) {
    into.push('"');
    for letter in text.chars() {
        match letter {
            '"' => into.push_str("\\\""),
            '\\' => into.push_str("\\\\"),
            control if control.is_control() => into.push('?'),
            other => into.push(other),
        }
    }
    into.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(path: &str, host: &str) -> Line {
        Line::new(LogSink::default(), "GET", path, host, "00000000-0000-4000-8000-000000000001", "203.0.113.7")
    }

    #[test]
    fn as_heroku_writes_them() {
        let mut good = line("/x?y=1", "shop.example:5000");
        good.dyno(Some("web.1".into()));
        good.connected(Duration::from_micros(300));
        good.add_bytes(123);
        assert_eq!(
            good.text(200, None, Some(Duration::from_millis(12))),
            "at=info method=GET path=\"/x?y=1\" host=shop.example:5000 request_id=00000000-0000-4000-8000-000000000001 \
             fwd=\"203.0.113.7\" dyno=web.1 connect=0ms service=12ms status=200 bytes=123 protocol=http"
        );
        assert_eq!(
            line("/", "a").text(503, Some(Code::H14), None),
            "at=error code=H14 desc=\"No web processes running\" method=GET path=\"/\" host=a \
             request_id=00000000-0000-4000-8000-000000000001 fwd=\"203.0.113.7\" dyno= connect= service= status=503 bytes= \
             protocol=http"
        );
        let mut left = line("/", "a");
        left.dyno(Some("web.2".into()));
        left.connected(Duration::from_millis(1));
        let text = left.text(499, Some(Code::H27), Some(Duration::from_millis(1204)));
        assert!(
            text.starts_with("sock=client at=warning code=H27 desc=\"Client Request Interrupted\" method=GET"),
            "{text}"
        );
        assert!(text.ends_with("dyno=web.2 connect=1ms service=1204ms status=499 bytes= protocol=http"), "{text}");
    }

    #[test]
    fn a_client_cannot_write_fields_or_lines() {
        let text = line("/?a=\" service=1ms\\", "x y\"\n").text(503, Some(Code::H10), None);
        assert!(text.contains(r#"path="/?a=\" service=1ms\\" host="x y\"?" request_id="#), "{text}");
    }

    #[test]
    fn sent_once_and_never_lost() {
        let logs = LogSink::default();
        let mut lines = logs.subscribe();
        let mut finished = Line::new(logs.clone(), "GET", "/", "a", "id", "ip");
        finished.finish(200, None);
        drop(finished);
        assert!(lines.try_recv().unwrap().text.starts_with("at=info"));
        assert!(lines.try_recv().is_err());
        drop(Line::new(logs, "GET", "/", "a", "id", "ip"));
        assert!(lines.try_recv().unwrap().text.contains("code=H27"));
    }
}
