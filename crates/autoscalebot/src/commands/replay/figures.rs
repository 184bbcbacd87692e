//! What a replay comes to, process by process: the figures that `--assert` compares. They bear the names of `simulate`'s where
//! they count the same.

use autoscalebot_core::{Record, Verdict};
use autoscalebot_simulate::assert::{Figure, Kind};
use autoscalebot_simulate::outcome::REVERSAL_MINUTES;
use jiff::{SignedDuration, Timestamp};

/// What was counted over the ticks of one process.
#[derive(Debug, Clone, Default)]
pub(super) struct Figures {
    ticks: u64,
    unknown: u64,
    readings: u64,
    slow: u64,
    changes: u64,
    reversals: u64,
    dyno_secs: f64,
    fewest: Option<u32>,
    most: Option<u32>,
    last: Option<(Timestamp, Option<u32>)>,
    changed: Option<(Timestamp, bool)>,
    sampled: Vec<Option<Timestamp>>,
}

const fn figure(name: &'static str, kind: Kind, doc: &'static str, read: fn(&Figures) -> f64) -> Figure<Figures> {
    Figure { name, kind, doc, read }
}

/// Every figure of a replay, by name. A share of nothing is no number.
pub(super) static FIGURES: &[Figure<Figures>] = &[
    figure("changes", Kind::Number, "Ticks that changed the quantity.", |f| f.changes as f64),
    figure(
        "dyno_hours",
        Kind::Number,
        "Dyno-hours from the first tick to the last, by the quantity after each.",
        |f| f.dyno_secs / 3600.0,
    ),
    figure("max_dynos", Kind::Number, "The highest quantity after a tick.", |f| f.most.map_or(f64::NAN, f64::from)),
    figure("min_dynos", Kind::Number, "The lowest quantity after a tick.", |f| f.fewest.map_or(f64::NAN, f64::from)),
    figure("reversals", Kind::Number, "Changes that turn back within 10 minutes.", |f| f.reversals as f64),
    figure("slow_share", Kind::Share, "Share of readings above the wanted range, of those that are known.", |f| {
        f.slow as f64 / f.readings as f64
    }),
    figure("ticks", Kind::Number, "Ticks that were decided.", |f| f.ticks as f64),
    figure("unknown_share", Kind::Share, "Share of ticks whose verdict is unknown.", |f| {
        f.unknown as f64 / f.ticks as f64
    }),
];

impl Figures {
    /// Counts a tick.
    pub(super) fn add(&mut self, record: &Record) {
        self.ticks += 1;
        self.unknown += u64::from(record.verdict == Verdict::Unknown);
        self.sampled.resize(record.measured.len(), None);
        for (measured, seen) in record.measured.iter().zip(&mut self.sampled) {
            // A sample that several ticks saw counts once.
            if measured.verdict == Verdict::Unknown || (measured.sampled_at.is_some() && measured.sampled_at == *seen) {
                continue;
            }
            *seen = measured.sampled_at;
            self.readings += 1;
            self.slow += u64::from(measured.verdict == Verdict::TooHigh);
        }
        // A quantity that could not be read is taken as it was.
        let after = record.after.or(self.last.and_then(|(_, dynos)| dynos));
        if let Some((at, Some(dynos))) = self.last {
            self.dyno_secs += f64::from(dynos) * record.at.duration_since(at).as_secs_f64();
        }
        self.last = Some((record.at, after));
        let Some(after) = after else { return };
        self.fewest = Some(self.fewest.map_or(after, |fewest| fewest.min(after)));
        self.most = Some(self.most.map_or(after, |most| most.max(after)));
        if let Some(before) = record.before.filter(|before| *before != after) {
            let up = after > before;
            let soon = SignedDuration::from_mins(REVERSAL_MINUTES as i64);
            self.changes += 1;
            let turned = self.changed.is_some_and(|(at, was)| was != up && record.at.duration_since(at) <= soon);
            self.reversals += u64::from(turned);
            self.changed = Some((record.at, up));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_in_order_and_nothing_is_no_number() {
        assert!(FIGURES.windows(2).all(|pair| pair[0].name < pair[1].name));
        let none = Figures::default();
        let nan: Vec<_> = FIGURES.iter().filter(|f| (f.read)(&none).is_nan()).map(|f| f.name).collect();
        assert_eq!(nan, ["max_dynos", "min_dynos", "slow_share", "unknown_share"]);
    }
}
