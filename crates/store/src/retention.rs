//! [`Retention`]: how long what is kept.

use jiff::SignedDuration;

/// How long what is kept. What is older goes, a little at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Every decision record, and every sample as it was taken.
    pub records: SignedDuration,
    /// Decision records that differ from the one before them (see [`crate::marks`]), and events.
    pub changes: SignedDuration,
    /// Percentiles by the minute.
    pub minutes: SignedDuration,
    /// Percentiles by the hour.
    pub hours: SignedDuration,
    /// When more bytes than this hold something, the oldest records go before their time. SQLite alone: a database server's
    /// sizes follow what it deletes only later.
    pub max_bytes: u64,
}

impl Default for Retention {
    fn default() -> Self {
        let days = |days: i64| SignedDuration::from_hours(24 * days);
        Self {
            records: days(1),
            changes: days(90),
            minutes: days(30),
            hours: days(365),
            max_bytes: 2 * 1024 * 1024 * 1024,
        }
    }
}
