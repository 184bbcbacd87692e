//! What was measured: a [`Sample`] is one reading of one measurement, with its instant; a [`Verdict`] says how it lies to
//! the wanted range.
//!
//! A reading that is not a finite number at or above zero is a [`Failure`] with a reason, never zero. Which failures mean
//! that the app itself is overloaded (and so count as too slow) is a property of the kind of measurement
//! ([`MeasurementSpec::failures_mean_overload`](crate::MeasurementSpec)): a heartbeat that times out is slow, a metrics
//! server that times out says nothing about the app.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A count of running copies of a process.
pub type Dynos = u32;

/// What a measurement's numbers count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Unit {
    /// Milliseconds, with fractions.
    #[serde(rename = "ms")]
    Milliseconds,
    /// Requests in one second.
    #[serde(rename = "rps")]
    RequestsPerSecond,
    /// Jobs waiting in a queue.
    #[serde(rename = "jobs")]
    Jobs,
    /// A wished number of dynos.
    #[serde(rename = "dynos")]
    Dynos,
    /// A number whose meaning only the source knows.
    #[serde(rename = "count")]
    Count,
}

impl Unit {
    /// The short name used in records: `ms`, `rps`, `jobs`, `dynos`, `count`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Milliseconds => "ms",
            Self::RequestsPerSecond => "rps",
            Self::Jobs => "jobs",
            Self::Dynos => "dynos",
            Self::Count => "count",
        }
    }
}

/// How a sample lies to the wanted range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Below the range: fewer dynos would do.
    TooLow,
    /// Inside the range.
    JustRight,
    /// Above the range: more dynos are needed.
    TooHigh,
    /// There is no usable reading.
    Unknown,
}

impl Verdict {
    /// The name used in records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TooLow => "too_low",
            Self::JustRight => "just_right",
            Self::TooHigh => "too_high",
            Self::Unknown => "unknown",
        }
    }
}

/// Why there is no value. The text form is what records and tick lines carry, and reads back to the same value.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Failure {
    /// The total time budget ran out: `timeout`.
    Timeout,
    /// An HTTP status that carries no reading: `status 503`.
    Status(u16),
    /// Nothing listens there: `refused`.
    Refused,
    /// The connection broke before the answer was whole: `closed`.
    Closed,
    /// The host name has no address: `name …`.
    Name(Box<str>),
    /// The TLS handshake failed: `tls …`.
    Tls(Box<str>),
    /// The newest reading is older than allowed, by its age in whole seconds: `late 90s`.
    Late(u32),
    /// Not a finite number at or above zero: `invalid NaN`.
    Invalid(Box<str>),
    /// The source answered, and had no reading: `empty`.
    Empty,
    /// No reading was taken: `missing`.
    Missing,
    /// Anything else, in words.
    Other(Box<str>),
}

impl Failure {
    /// Whether this failure is what an overloaded app looks like from outside: 5xx, time-outs, refused and broken
    /// connections. Redirects, 4xx, names and TLS mean a wrong setting instead, so nothing is known of the load.
    pub fn looks_like_overload(&self) -> bool {
        match self {
            Self::Timeout | Self::Refused | Self::Closed => true,
            Self::Status(status) => (500..600).contains(status),
            _ => false,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout => f.write_str("timeout"),
            Self::Status(status) => write!(f, "status {status}"),
            Self::Refused => f.write_str("refused"),
            Self::Closed => f.write_str("closed"),
            Self::Name(what) => write!(f, "name {what}"),
            Self::Tls(what) => write!(f, "tls {what}"),
            Self::Late(age_secs) => write!(f, "late {age_secs}s"),
            Self::Invalid(what) => write!(f, "invalid {what}"),
            Self::Empty => f.write_str("empty"),
            Self::Missing => f.write_str("missing"),
            Self::Other(what) => f.write_str(what),
        }
    }
}

impl FromStr for Failure {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
        Ok(match (word, rest) {
            ("timeout", "") => Self::Timeout,
            ("refused", "") => Self::Refused,
            ("closed", "") => Self::Closed,
            ("empty", "") => Self::Empty,
            ("missing", "") => Self::Missing,
            ("status", status) => status.parse().map_or_else(|_| Self::Other(text.into()), Self::Status),
            ("late", age) => {
                age.strip_suffix('s').and_then(|n| n.parse().ok()).map_or_else(|| Self::Other(text.into()), Self::Late)
            }
            ("name", what) => Self::Name(what.into()),
            ("tls", what) => Self::Tls(what.into()),
            ("invalid", what) => Self::Invalid(what.into()),
            _ => Self::Other(text.into()),
        })
    }
}

/// A value, or why there is none.
#[derive(Debug, Clone, PartialEq)]
pub enum Reading {
    /// A finite number at or above zero, in the measurement's unit.
    Value(f64),
    /// No value.
    Failed(Failure),
}

impl Reading {
    /// A reading from a number that came from outside: NaN, infinite and negative numbers are failures, never zero.
    ///
    /// ```
    /// use autoscalebot_core::Reading;
    /// assert_eq!(Reading::number(0.25), Reading::Value(0.25));
    /// assert!(matches!(Reading::number(f64::NAN), Reading::Failed(_)));
    /// assert!(matches!(Reading::number(-1.0), Reading::Failed(_)));
    /// ```
    pub fn number(value: f64) -> Self {
        if value.is_finite() && value >= 0.0 {
            Self::Value(value)
        } else {
            Self::Failed(Failure::Invalid(format!("{value}").into()))
        }
    }
}

/// What a source tells beside its number, for the policies and gates that use it. What is absent is not known, never zero.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Detail {
    /// Requests or jobs that arrive in one second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
    /// Requests or jobs under way at a time, on average.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<f64>,
    /// Jobs being worked on now: dynos that must not be stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub busy: Option<f64>,
    /// Mean time to serve one request or job, in milliseconds, without its wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_ms: Option<f64>,
    /// Age of the oldest job that is due, or wait of requests before they are served, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<f64>,
}

impl Detail {
    /// Whether nothing is told.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A reading with its detail, as a source gives it.
#[derive(Debug, Clone, PartialEq)]
pub struct Taken {
    /// The value, or why there is none.
    pub reading: Reading,
    /// What else the source tells.
    pub detail: Detail,
}

impl From<Reading> for Taken {
    fn from(reading: Reading) -> Self {
        Self { reading, detail: Detail::default() }
    }
}

/// One reading of one measurement.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// When it was received, by this machine's clock: a source's own clock may be wrong.
    pub at: Timestamp,
    /// The value, or why there is none.
    pub reading: Reading,
    /// What else the source told.
    pub detail: Detail,
}

impl Sample {
    /// A sample taken at `at`.
    pub fn new(at: Timestamp, taken: impl Into<Taken>) -> Self {
        let Taken { reading, detail } = taken.into();
        Self { at, reading, detail }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_read_back_to_themselves() {
        let all = [
            Failure::Timeout,
            Failure::Status(503),
            Failure::Refused,
            Failure::Closed,
            Failure::Name("no such host".into()),
            Failure::Tls("certificate expired".into()),
            Failure::Late(90),
            Failure::Invalid("NaN".into()),
            Failure::Empty,
            Failure::Missing,
            Failure::Other("the moon is in the way".into()),
        ];
        for failure in all {
            assert_eq!(failure.to_string().parse::<Failure>(), Ok(failure));
        }
    }

    #[test]
    fn only_what_an_overloaded_app_does_looks_like_overload() {
        for text in ["timeout", "status 500", "status 503", "status 599", "refused", "closed"] {
            assert!(text.parse::<Failure>().unwrap().looks_like_overload(), "{text}");
        }
        for text in [
            "status 301",
            "status 404",
            "status 401",
            "name x",
            "tls x",
            "late 9s",
            "invalid NaN",
            "empty",
            "missing",
            "x",
        ] {
            assert!(!text.parse::<Failure>().unwrap().looks_like_overload(), "{text}");
        }
    }

    #[test]
    fn numbers_from_outside_are_never_taken_for_zero() {
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.1] {
            assert!(matches!(Reading::number(bad), Reading::Failed(Failure::Invalid(_))), "{bad}");
        }
        assert_eq!(Reading::number(0.0), Reading::Value(0.0));
    }
}
