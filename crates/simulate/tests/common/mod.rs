//! What the simulator's tests share.
#![allow(dead_code, clippy::unwrap_used, reason = "each test file uses its part of this")]

use std::sync::Arc;

use autoscalebot_core::policy::consecutive::Consecutive;
use autoscalebot_core::{BoundTable, BoundTables};
use autoscalebot_simulate::{Contender, Meter, Scenario, Trace, rivals};
use jiff::Timestamp;
use jiff::tz::TimeZone;

pub(crate) fn bounds(min: u32, max: u32) -> BoundTables {
    BoundTables { min: BoundTable::Fixed(min), max: BoundTable::Fixed(max), zone: TimeZone::UTC }
}

/// 2.1's rule on a heartbeat each half minute.
pub(crate) fn consecutive(min: u32, max: u32) -> Contender {
    let rule = Consecutive { low: 200.0, high: 500.0, fails: 2, passes: 5, increment: 1, refuse_zero: false };
    rivals::contender("consecutive", bounds(min, max), Meter::Probe { budget_secs: 10.0 }, 30.0, Arc::new(rule))
}

/// A constant rate in requests per second, for so many requests.
pub(crate) fn constant(rate: f64, requests: f64) -> Trace {
    let minutes = (requests / (rate * 60.0)).ceil() as usize;
    Trace::new("constant", Timestamp::UNIX_EPOCH, 60, vec![rate * 60.0; minutes])
}

/// So many dynos of one server, for ever: no policy has a say.
pub(crate) fn fixed(dynos: u32) -> Contender {
    let mut contender = consecutive(dynos, dynos);
    contender.every_secs = 3600.0;
    contender
}

/// A constant rate on dynos of `mu` requests a second each, without time-outs.
pub(crate) fn queue(rate: f64, mu: f64, shape: autoscalebot_simulate::Shape, requests: f64) -> Scenario {
    let mut scenario = Scenario::new(constant(rate, requests));
    scenario.app.service = autoscalebot_simulate::Service { mean_secs: 1.0 / mu, shape };
    scenario.app.timeout_secs = None;
    scenario
}
