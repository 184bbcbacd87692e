//! [`World`]: the simulated app as a run sees it. Two stand behind it: `events`, exact to each request, and `fluid`.

use autoscalebot_core::{Detail, Dynos, Failure, Reading};

use crate::minutes::{Minute, Times};
use crate::model::Meter;
use crate::windows::{Load, Windows};

/// A simulated app. Instants are seconds since the start of the trace, and never go back.
pub(crate) trait World {
    /// Lets time pass.
    fn advance(&mut self, until: f64);

    /// Sets the quantity now.
    fn set(&mut self, dynos: Dynos);

    /// The quantity on the platform.
    fn quantity(&self) -> Dynos;

    /// Dynos that serve now.
    fn serving(&self) -> Dynos;

    /// Servers at work now.
    fn busy(&self) -> f64;

    /// How long the oldest request that waits has waited, in seconds; 0 where none does.
    fn oldest_wait(&self) -> f64;

    /// What a meter reads now, free of error.
    fn read(&mut self, meter: Meter) -> Reading;

    /// The averages behind a reading now, over a window in seconds.
    fn load(&mut self, window_secs: f64) -> Load;

    /// The same of what was answered, where the time to serve holds the wait.
    fn answered(&mut self, window_secs: f64) -> Load;

    /// What a source tells beside a meter's number. A probe knows nothing more; a queue knows its jobs; logs know the rest.
    fn detail(&mut self, meter: Meter) -> Detail {
        let Some(window_secs) = meter.window_secs() else { return Detail::default() };
        let load = if let Meter::Lines { .. } = meter { self.answered(window_secs) } else { self.load(window_secs) };
        let ms = |secs: f64| secs * 1000.0;
        let service_ms = load.service_secs.map(ms);
        match meter {
            Meter::Waiting => Detail {
                rate: Some(load.rate),
                concurrency: None,
                busy: Some(self.busy()),
                service_ms,
                latency_ms: Some(ms(self.oldest_wait())),
            },
            // Requests that are being served need no dyno kept for them: a dyno that stops finishes them first.
            _ => Detail {
                rate: Some(load.rate),
                concurrency: Some(load.concurrency),
                busy: None,
                service_ms,
                latency_ms: load.wait_secs.map(ms),
            },
        }
    }

    /// Serves what is left, takes no more, and gives the accounts.
    fn finish(self) -> (Vec<Minute>, Times);
}

/// The reading of a meter over a window. A window without a whole bucket is empty, not zero, and so is a percentile of nothing
/// where nobody says that nothing came.
pub(crate) fn windowed(meter: Meter, windows: &mut Windows, load: Load, now: f64) -> Reading {
    let value = match meter {
        Meter::Percentile { quantile, window_secs } => {
            windows.percentile(now, window_secs, quantile).map(|secs| secs * 1000.0)
        }
        // A router that has no request to tell of is idle, and says so.
        Meter::Lines { quantile, window_secs } => windows
            .has_any(now, window_secs)
            .then(|| windows.percentile(now, window_secs, quantile).unwrap_or(0.0) * 1000.0),
        Meter::Rate { window_secs } => windows.has_any(now, window_secs).then_some(load.rate),
        Meter::Concurrency { window_secs } => windows.has_any(now, window_secs).then_some(load.concurrency),
        Meter::Probe { .. } | Meter::Waiting => None,
    };
    value.map_or(Reading::Failed(Failure::Empty), Reading::Value)
}
