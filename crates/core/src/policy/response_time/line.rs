//! The load behind a reading, and a line through the loads of late.

use super::CHANCE;

/// The load behind one reading.
#[derive(Debug, Clone, Copy)]
pub(super) struct Load {
    /// Servers that are busy on average.
    pub(super) offered: f64,
    /// The mean time to serve a request; 0 where none came.
    pub(super) service_secs: f64,
    /// Requests that come in a second.
    pub(super) rate: f64,
    /// Requests that are answered in a second.
    pub(super) answered: f64,
}

impl Load {
    /// The same requests, each of which takes so long.
    pub(super) fn at(self, service_secs: f64) -> Self {
        Self { offered: self.rate * service_secs, service_secs, ..self }
    }
}

/// Something like one mean in 30,000 is that many times as long by chance, where the mean of a reading's n requests varies by
/// `share` = variation / n: four standard deviations, and what is added as means of few are skewed (the first terms of Cornish
/// and Fisher's expansion, 1938, for the skewness 2 √share of gamma-distributed means).
pub(super) fn by_chance(share: f64) -> f64 {
    const DEVIATIONS: f64 = 4.0;
    1.0 + DEVIATIONS * share.sqrt() + (DEVIATIONS * DEVIATIONS - 1.0) / 3.0 * share
}

/// A line through the loads of late, by least squares.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Line {
    n: f64,
    x: f64,
    y: f64,
    xx: f64,
    xy: f64,
    yy: f64,
}

impl Line {
    pub(super) fn add(&mut self, x: f64, y: f64) {
        self.n += 1.0;
        self.x += x;
        self.y += y;
        self.xx += x * x;
        self.xy += x * y;
        self.yy += y * y;
    }

    /// How fast the load rises, in servers a second, and the spread of the readings around the line.
    pub(super) fn fit(self) -> (f64, f64) {
        let (sxx, sxy) = (self.xx - self.x * self.x / self.n, self.xy - self.x * self.y / self.n);
        if self.n < 4.0 || sxx <= 0.0 {
            return (0.0, 0.0);
        }
        let slope = sxy / sxx;
        let syy = self.yy - self.y * self.y / self.n;
        (slope, ((syy - slope * sxy) / self.n).max(0.0).sqrt())
    }

    /// By how much the load rises within `secs`, less what may be chance: the spread around the line.
    pub(super) fn rise(self, secs: f64) -> f64 {
        let (slope, spread) = self.fit();
        (slope * secs - spread).max(0.0)
    }

    /// The same for few readings, whose own spread says little: `spread` is that of a longer time before. Less two standard
    /// errors of the slope, beside the spread.
    pub(super) fn clear_rise(self, secs: f64, spread: f64) -> f64 {
        let (slope, own) = self.fit();
        let sxx = self.xx - self.x * self.x / self.n.max(1.0);
        let error = if sxx > 0.0 { spread / sxx.sqrt() } else { 0.0 };
        ((slope - CHANCE * error) * secs - own).max(0.0)
    }

    /// The mean; `or` where there is nothing.
    pub(super) fn mean(self, or: f64) -> f64 {
        if self.n > 0.0 { self.y / self.n } else { or }
    }
}
