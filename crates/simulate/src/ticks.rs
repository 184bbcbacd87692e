//! [`Ticks`]: when the simulated program ticks: at its interval, and before its time where a measurement is told of a rise, as
//! the engine does.

use autoscalebot_core::{Peak, Reading, Sample};

use crate::model::Meter;
use crate::run::Contender;
use crate::world::World;

/// How often a measurement that is told looks for news, in seconds: five times as rarely as the engine lets it, and as often as
/// windows have anything new.
const LOOK_SECS: f64 = 1.0;

/// The instants of ticks, in seconds since the start.
#[derive(Debug)]
pub(crate) struct Ticks {
    every_secs: f64,
    /// The last instant that began a row of regular ticks, and how many of the row are over.
    begin: f64,
    over: u64,
    /// Before this a call is under way, and ticks never stack.
    free_at: f64,
    last: f64,
    /// The measurements that are told, by their place; none where nothing is told.
    told: Vec<(usize, Meter, Option<Peak>)>,
}

impl Ticks {
    pub(crate) fn new(contender: &Contender) -> Self {
        let meters = contender.meters.iter().copied().enumerate();
        let told = meters.filter(|(_, meter)| contender.told && meter.counts_answers());
        Self {
            every_secs: contender.every_secs,
            begin: 0.0,
            over: 0,
            free_at: 0.0,
            last: 0.0,
            told: told.map(|(place, meter)| (place, meter, None)).collect(),
        }
    }

    /// The next tick; lets the world's time pass as far as it has to look for news.
    pub(crate) fn next(&mut self, world: &mut impl World) -> f64 {
        let regular = loop {
            self.over += 1;
            let at = self.begin + self.over as f64 * self.every_secs;
            if at >= self.free_at {
                break at;
            }
        };
        self.last = self.news(world, regular).unwrap_or(regular);
        if self.last < regular {
            (self.begin, self.over) = (self.last, 0);
        }
        self.last
    }

    fn news(&self, world: &mut impl World, before: f64) -> Option<f64> {
        if self.told.is_empty() {
            return None;
        }
        let mut at = (self.last + LOOK_SECS).max(self.free_at);
        while at < before {
            world.advance(at);
            if self.told.iter().any(|(_, meter, peak)| self.is_news(world.read(*meter), *peak, at)) {
                return Some(at);
            }
            at += LOOK_SECS;
        }
        None
    }

    fn is_news(&self, reading: Reading, peak: Option<Peak>, at: f64) -> bool {
        let Reading::Value(value) = reading else { return false };
        peak.is_none_or(|peak| peak.is_news(value, millis(at), millis(self.every_secs)))
    }

    /// What the tick saw, and when its call was over, if it made one.
    pub(crate) fn acted(&mut self, samples: &[Option<Sample>], free_at: Option<f64>) {
        self.free_at = free_at.unwrap_or(self.free_at);
        let (now_ms, every_ms) = (millis(self.last), millis(self.every_secs));
        for (place, _, peak) in &mut self.told {
            *peak = match samples.get(*place).and_then(Option::as_ref).map(|sample| &sample.reading) {
                Some(Reading::Value(value)) => Some(Peak::after(*peak, *value, now_ms, every_ms)),
                _ => None,
            };
        }
    }
}

fn millis(secs: f64) -> i64 {
    (secs * 1000.0).round() as i64
}
