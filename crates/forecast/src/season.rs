//! The seasons of day and week: what remains of a past when its trend and its chance are taken away.

use augurs_core::{Fit, Predict};
use augurs_mstl::{MSTLModel, NaiveTrend};

use crate::{DAY_BUCKETS, Past, Unforeseen};

const DAY: usize = DAY_BUCKETS as usize;
const WEEK: usize = 7 * DAY;
/// A season is learned from so many of its lengths at least.
const LENGTHS: usize = 2;
/// Where more of the past than this is a gap, nothing is learned.
const MOST_GAPS: f64 = 0.3;

/// A load for each bucket of a week (or of a day, where less is known), around any level.
#[derive(Debug, Clone, PartialEq)]
pub struct Season {
    /// The bucket of `loads`' first, since 1970.
    first: i64,
    loads: Vec<f64>,
}

impl Season {
    /// Learns the day's season, and the week's where two weeks are there.
    pub(crate) fn learn(past: &Past) -> Result<Self, Unforeseen> {
        let length = past.means.len();
        let gaps = past.means.iter().filter(|mean| !mean.is_finite()).count();
        if length < LENGTHS * DAY || gaps as f64 > MOST_GAPS * length as f64 {
            return Err(Unforeseen::TooShort);
        }
        let mut periods = vec![DAY];
        if length >= LENGTHS * WEEK {
            periods.push(WEEK);
        }
        let period = periods.last().copied().unwrap_or(DAY);
        let filled = filled(&past.means);
        let model = MSTLModel::new(periods, NaiveTrend::new());
        let fitted = model.fit(&filled).map_err(|_| Unforeseen::NoSeason)?;
        let forecast = fitted.predict(period, None).map_err(|_| Unforeseen::NoSeason)?;
        let loads = forecast.point;
        if loads.len() != period || loads.iter().any(|load| !load.is_finite()) {
            return Err(Unforeseen::NoSeason);
        }
        Ok(Self { first: past.end(), loads })
    }

    /// The season at a bucket, past or to come.
    pub(crate) fn at(&self, bucket: i64) -> f64 {
        let length = i64::try_from(self.loads.len()).unwrap_or(1).max(1);
        let place = (bucket - self.first).rem_euclid(length);
        usize::try_from(place).ok().and_then(|place| self.loads.get(place)).copied().unwrap_or(0.0)
    }
}

/// Gaps filled by what was a day before, else by the last that was known: seasons need a number everywhere, and what is filled
/// is never told as known.
fn filled(means: &[f64]) -> Vec<f64> {
    let mut filled: Vec<f64> = Vec::with_capacity(means.len());
    let mut last = means.iter().copied().find(|mean| mean.is_finite()).unwrap_or(0.0);
    for (place, mean) in means.iter().enumerate() {
        let day_before = place.checked_sub(DAY).and_then(|then| filled.get(then)).copied();
        let load = if mean.is_finite() { *mean } else { day_before.unwrap_or(last) };
        last = load;
        filled.push(load);
    }
    filled
}
