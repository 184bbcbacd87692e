//! [`Fleet`]: the dynos of the simulated process: which are paid, which serve, and for how long each minute.
//!
//! The newest stops first. A dyno is paid from its start, boots, and then serves; one that stops takes no new request at once
//! and is paid until it has finished what it had begun (draining).

use crate::pieces;

/// One dyno that is not stopping.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Dyno {
    /// Never used twice.
    pub(crate) id: u32,
    /// When it takes its first request.
    pub(crate) ready_at: f64,
}

/// The dynos, oldest first, and the accounts of each minute.
#[derive(Debug)]
pub(crate) struct Fleet {
    dynos: Vec<Dyno>,
    started: u32,
    boot_secs: f64,
    accrued_to: f64,
    /// Dyno-seconds paid in each minute.
    paid: Vec<f64>,
    /// Dyno-seconds of dynos that serve in each minute.
    serving: Vec<f64>,
    /// The quantity at each minute's end.
    at_end: Vec<u32>,
}

/// One minute's account.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct FleetMinute {
    /// Dynos paid, the mean over the minute.
    pub(crate) paid: f64,
    /// Dynos serving, the mean over the minute.
    pub(crate) serving: f64,
    /// The quantity at its end; a change at the very edge belongs to the next minute.
    pub(crate) dynos: u32,
}

fn add(accounts: &mut [f64], begin: f64, end: f64, times: f64) {
    pieces::each(begin, end, 60.0, |minute, secs| {
        // What drains after the end of the trace is nobody's minute.
        if let Some(account) = accounts.get_mut(minute) {
            *account += secs * times;
        }
    });
}

impl Fleet {
    /// `dynos` that serve from the start, accounts for so many minutes.
    pub(crate) fn new(dynos: u32, boot_secs: f64, minutes: usize) -> Self {
        Self {
            dynos: (0..dynos).map(|id| Dyno { id, ready_at: 0.0 }).collect(),
            started: dynos,
            boot_secs,
            accrued_to: 0.0,
            paid: vec![0.0; minutes],
            serving: vec![0.0; minutes],
            at_end: vec![dynos; minutes],
        }
    }

    pub(crate) fn dynos(&self) -> &[Dyno] {
        &self.dynos
    }

    pub(crate) fn quantity(&self) -> u32 {
        self.dynos.len() as u32
    }

    /// Dynos that serve at an instant.
    pub(crate) fn serving_at(&self, at: f64) -> u32 {
        self.dynos.iter().filter(|dyno| dyno.ready_at <= at).count() as u32
    }

    /// When the next dyno after `at` is ready.
    pub(crate) fn next_ready(&self, at: f64) -> Option<f64> {
        self.dynos.iter().map(|dyno| dyno.ready_at).filter(|ready| *ready > at).min_by(f64::total_cmp)
    }

    /// Brings the accounts up to an instant; to be called before each change.
    pub(crate) fn accrue(&mut self, until: f64) {
        let from = self.accrued_to;
        if until <= from {
            return;
        }
        self.accrued_to = until;
        add(&mut self.paid, from, until, self.dynos.len() as f64);
        for minute in (from / 60.0) as usize..(until / 60.0) as usize {
            if let Some(at_end) = self.at_end.get_mut(minute) {
                *at_end = self.dynos.len() as u32;
            }
        }
        let ready = self.serving_at(from);
        add(&mut self.serving, from, until, f64::from(ready));
        for dyno in self.dynos.iter().filter(|dyno| dyno.ready_at > from) {
            add(&mut self.serving, dyno.ready_at, until, 1.0);
        }
    }

    /// Starts one dyno now.
    pub(crate) fn start(&mut self, now: f64) -> Dyno {
        self.accrue(now);
        let dyno = Dyno { id: self.started, ready_at: now + self.boot_secs };
        self.started += 1;
        self.dynos.push(dyno);
        dyno
    }

    /// Stops the newest dyno now; `drained_at` is when it has finished what it had begun.
    pub(crate) fn stop_newest(&mut self, now: f64, drained_at: impl FnOnce(Dyno) -> f64) {
        self.accrue(now);
        if let Some(dyno) = self.dynos.pop() {
            add(&mut self.paid, now, drained_at(dyno), 1.0);
        }
    }

    /// The account of one minute.
    pub(crate) fn minute(&self, minute: usize) -> FleetMinute {
        let mean = |accounts: &[f64]| accounts.get(minute).copied().unwrap_or(0.0) / 60.0;
        let dynos = self.at_end.get(minute).copied().unwrap_or(0);
        FleetMinute { paid: mean(&self.paid), serving: mean(&self.serving), dynos }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn booting_and_draining_are_paid() {
        let mut fleet = Fleet::new(1, 30.0, 3);
        fleet.accrue(60.0);
        let dyno = fleet.start(60.0);
        assert_eq!((dyno.ready_at, fleet.next_ready(60.0)), (90.0, Some(90.0)));
        fleet.accrue(100.0);
        fleet.stop_newest(120.0, |_| 126.0);
        fleet.accrue(180.0);
        let minute = |paid, serving, dynos| FleetMinute { paid, serving, dynos };
        assert_eq!(fleet.minute(0), minute(1.0, 1.0, 1));
        assert_eq!(fleet.minute(1), minute(2.0, 1.5, 2));
        assert_eq!(fleet.minute(2), minute(1.1, 1.0, 1));
    }
}
