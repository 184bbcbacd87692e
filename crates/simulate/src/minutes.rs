//! [`Minute`]: what one simulated minute came to.

use serde::Serialize;

/// One minute. Requests belong to the minute in which they came, whenever they were answered. Counts may have fractions
/// where the simulation is fluid.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Minute {
    /// Requests that came.
    pub requests: f64,
    /// Of these, the ones that were not good: slower than the objective, rejected or timed out.
    pub slow: f64,
    /// Of these, the ones that found the queue full.
    pub rejected: f64,
    /// Of these, the ones that had no answer in time.
    pub timed_out: f64,
    /// The 95th percentile of wait + service in seconds, over all but the rejected; a request that timed out counts with
    /// its time-out. 0 where no request came.
    pub p95_secs: f64,
    /// The mean wait in seconds of the requests that were worked on.
    pub mean_wait_secs: f64,
    /// Requests under way at once, waiting or being worked on: the mean over the minute.
    pub concurrency: f64,
    /// The share of the serving servers' time that was work, 0 to 1.
    pub utilisation: f64,
    /// Dynos paid, booting and draining included: the mean over the minute.
    pub paid: f64,
    /// Dynos that serve: the mean over the minute.
    pub serving: f64,
    /// The quantity set on the platform at the minute's end.
    pub dynos: u32,
}

/// Sums over a whole run, beside its minutes.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Times {
    /// Median of wait + service in seconds.
    pub p50_secs: f64,
    /// 95th percentile.
    pub p95_secs: f64,
    /// 99th percentile.
    pub p99_secs: f64,
    /// Mean wait of the requests that were worked on.
    pub mean_wait_secs: f64,
}
