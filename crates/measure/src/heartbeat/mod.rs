//! `heartbeat`: the time that an HTTP request to the app takes, from before the connection to the last byte of the answer.
//!
//! - Only a 2xx answer that came whole within the budget is a value. Its body is read to the end and thrown away piece by
//!   piece, so a body of any size costs time (the budget bounds it), and no memory.
//! - 2.1 opened a connection for each heartbeat; so does `reuse_connections = false`. With it, the time of a new connection
//!   and its TLS handshake is not in the value, except in the first.
//! - Which failures count as too slow is said once, in the core
//!   ([`Failure::looks_like_overload`](autoscalebot_core::Failure::looks_like_overload)).
//!
//! Clients, trust and the meaning of errors are in `http`; when to read is the engine's.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use autoscalebot_core::fields::{Description, Field, FieldError, FieldType, MeasurementKind, Values};
use autoscalebot_core::{Failure, Reading, Taken, Unit};
use jiff::SignedDuration;
use reqwest::header::HeaderMap;
use reqwest::{Client, Method, Request};

use crate::budget::budget;
use crate::{Measure, MeasureContext, MeasureEntry, http};

/// The entry in the list of measurements.
pub const ENTRY: MeasureEntry = MeasureEntry {
    kind: MeasurementKind {
        description: Description {
            name: "heartbeat",
            doc: "The time that an HTTP request to the app takes; a time-out, a refused connection or a 5xx counts as too slow.",
            fields: FIELDS,
            shorthand: &["url"],
        },
        unit: Unit::Milliseconds,
        failures_mean_overload: true,
        told: false,
        default_every: "\"30s\"",
        check: |values, every| settings(values, every).map(|_| ()),
    },
    build,
};

const FIELDS: &[Field] = &[
    Field::required(
        "url",
        FieldType::Url(&["http", "https"]),
        "What to request; redirects are not followed.",
        "\"https://shop.example/autoscalebot/heartbeat/\"",
    ),
    Field::defaulting(
        "timeout",
        FieldType::Duration(0.001, 300.0),
        "\"10s\"",
        "The most that a heartbeat may take, from the connection to the last byte; at most `every`.",
    ),
    Field::defaulting(
        "reuse_connections",
        FieldType::Flag,
        "true",
        "Keep the connection for the next heartbeat; `false` opens a new one each time, as 2.1 did, and counts its time.",
    ),
    Field::optional("headers", FieldType::TextTable, "Headers to send; never shown.", "{ \"X-Heartbeat\" = \"1\" }"),
    Field::optional("username", FieldType::Text, "The user name for basic authentication.", "\"monitor\""),
    Field::optional(
        "password",
        FieldType::Secret,
        "The password for basic authentication.",
        "{ env = \"HEARTBEAT_PASSWORD\" }",
    ),
];

/// The default of `timeout`. It gives way to a shorter `every`; a longer one that somebody wrote is an error.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// Requests a URL and takes the time.
pub struct Heartbeat {
    client: Client,
    request: Request,
    budget: Duration,
    reuse: bool,
    /// Whether the last heartbeat left a connection behind that the next one may find dead.
    kept: AtomicBool,
}

impl fmt::Debug for Heartbeat {
    /// Without what may hold a secret: query, user and headers.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut url = self.request.url().clone();
        url.set_query(None);
        url.set_fragment(None);
        f.debug_struct("Heartbeat")
            .field("url", &url.as_str())
            .field("budget", &self.budget)
            .field("reuse", &self.reuse)
            .finish_non_exhaustive()
    }
}

/// What the settings say, checked.
struct Settings {
    url: url::Url,
    budget: Duration,
    headers: HeaderMap,
    login: http::Login,
}

fn settings(values: &Values, every: SignedDuration) -> Result<Settings, FieldError> {
    let url = values.url("url").ok_or_else(|| FieldError::new("url", "is needed"))?.clone();
    let headers = http::headers(values)?;
    let login = http::login(values, &url, &headers)?;
    Ok(Settings { url, budget: budget(values, every, DEFAULT_TIMEOUT)?, headers, login })
}

fn build(values: &Values, context: MeasureContext<'_>) -> Result<Arc<dyn Measure>, FieldError> {
    let every = SignedDuration::try_from(context.every).unwrap_or(SignedDuration::MAX);
    let settings = settings(values, every)?;
    let reuse = values.flag("reuse_connections");
    let client =
        http::client(settings.url.scheme() == "https", reuse).map_err(|message| FieldError::new("url", message))?;
    Ok(Arc::new(Heartbeat::new(client, settings, reuse)?))
}

impl Heartbeat {
    fn new(client: Client, settings: Settings, reuse: bool) -> Result<Self, FieldError> {
        let mut request = client.request(Method::GET, settings.url).headers(settings.headers);
        if let Some((user, password)) = settings.login {
            request = request.basic_auth(user, password);
        }
        // The client's own error holds the URL, which may hold a token.
        let request = request.build().map_err(|_| FieldError::new("url", "cannot be requested: correct it"))?;
        Ok(Self { client, request, budget: settings.budget, reuse, kept: AtomicBool::new(false) })
    }

    /// One request: the milliseconds it took, or why there is no value.
    async fn beat(&self) -> Result<f64, Failure> {
        // A request without a body is always copied; there is no other.
        let request = self.request.try_clone().ok_or(Failure::Missing)?;
        let started = Instant::now();
        let mut response = self.client.execute(request).await.map_err(|error| http::failure(&error))?;
        let status = response.status();
        if !status.is_success() {
            return Err(Failure::Status(status.as_u16()));
        }
        while response.chunk().await.map_err(|error| http::failure(&error))?.is_some() {}
        Ok(started.elapsed().as_secs_f64() * 1000.0)
    }

    /// A heartbeat, and a second one at once where the first fell on a kept connection that the server was just closing.
    /// Without it, a server that closes idle connections at about the heartbeat's interval would now and then seem too slow.
    async fn beat_again_if_stale(&self) -> Result<f64, Failure> {
        let kept = self.reuse && self.kept.swap(false, Ordering::Relaxed);
        let result = match self.beat().await {
            Err(Failure::Closed) if kept => self.beat().await,
            result => result,
        };
        self.kept.store(result.is_ok(), Ordering::Relaxed);
        result
    }
}

#[async_trait]
impl Measure for Heartbeat {
    async fn read(&self) -> Taken {
        let reading = match tokio::time::timeout(self.budget, self.beat_again_if_stale()).await {
            Ok(Ok(value_ms)) => Reading::number(value_ms),
            Ok(Err(failure)) => Reading::Failed(failure),
            Err(_) => Reading::Failed(Failure::Timeout),
        };
        reading.into()
    }

    fn budget(&self) -> Duration {
        self.budget
    }
}

#[cfg(test)]
mod server;
#[cfg(test)]
mod tests;
