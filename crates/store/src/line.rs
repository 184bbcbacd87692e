//! A decision record read back from its JSON: what was stored, by its fields. New fields may appear in a record at any time;
//! those that are not named here are left alone.

use std::collections::BTreeMap;

use autoscalebot_core::{Detail, Pause};
use jiff::Timestamp;
use serde::Deserialize;

/// A decision record's fields; `docs/records.md` says what each means.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[allow(missing_docs, reason = "each is the record's key of the same name")]
pub struct RecordLine {
    pub at: Timestamp,
    pub app: String,
    pub process: String,
    pub dynos: BeforeAfter,
    pub bounds: Range,
    #[serde(default)]
    pub measurements: Vec<MeasuredLine>,
    pub verdict: String,
    pub desired: Option<u32>,
    pub call: String,
    #[serde(default)]
    pub gates: Vec<String>,
    #[serde(default)]
    pub gates_said: BTreeMap<String, String>,
    #[serde(default)]
    pub conditions: Vec<String>,
    #[serde(default)]
    pub dynos_error: Option<String>,
    #[serde(default)]
    pub pause: Option<Pause>,
    #[serde(default)]
    pub ready: Option<u32>,
    #[serde(default)]
    pub released_at: Option<Timestamp>,
    pub reason: String,
}

/// The quantity before and after a tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[allow(missing_docs, reason = "each is the record's key of the same name")]
pub struct BeforeAfter {
    pub before: Option<u32>,
    pub after: Option<u32>,
}

/// The bounds in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[allow(missing_docs, reason = "each is the record's key of the same name")]
pub struct Range {
    pub min: u32,
    pub max: u32,
}

/// One measurement of a record.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[allow(missing_docs, reason = "each is the record's key of the same name")]
pub struct MeasuredLine {
    pub name: String,
    #[serde(default)]
    pub value: Option<f64>,
    #[serde(default)]
    pub error: Option<String>,
    #[serde(default)]
    pub unit: String,
    #[serde(default)]
    pub verdict: String,
    #[serde(default)]
    pub sampled_at: Option<Timestamp>,
    #[serde(default)]
    pub detail: Detail,
    #[serde(default)]
    pub desired: Option<u32>,
    #[serde(default)]
    pub why: String,
    #[serde(default)]
    pub shadow: bool,
}
