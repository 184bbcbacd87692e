//! How careful the rule is: by how much of the budget of slow requests was spent over the last hours.
//!
//! A share of the requests may be slower than the objective. Service alone makes some of them slow however many dynos there
//! are; what is left is the budget of the queue. As much care is taken as the budget asks for: with little of it left, loads
//! are planned with more room, and dynos are kept ready for jumps ([`crate::jumps`]) that are worth less. The numbers were
//! chosen with the five traces of `docs/policies/comparison.md` and ten made ones in sight; that page judges them on others,
//! too.

use jiff::SignedDuration;

use super::line::Load;
use super::{ENOUGH, ResponseTime};
use crate::history::Point;
use crate::learned::{Learned, MOST_SLOTS, Slot};
use crate::queueing::Model;

/// The share of slow requests that is aimed at, of that which may be: what is counted here is never all of it.
const AIM: f64 = 0.8;
/// Where service alone uses up what may be slow, the queue may still have so much of it.
const LEAST_BUDGET: f64 = 0.2;
/// Half of what is remembered of slow requests is forgotten in this time.
pub(super) const HALF_LIFE: SignedDuration = SignedDuration::from_hours(6);
/// So many seconds of traffic that spent its budget are taken for granted in the beginning.
const PRIOR_SECS: f64 = 7200.0;
/// So much more care for each budget that was spent beyond the first, up to the most.
const GAIN: f64 = 0.7;
const MOST_CARE: f64 = 2.5;
/// Most moments are better than the worst, for which the dynos are there: so the share to plan for at any moment is this
/// multiple of that which may be slow over all; a unit of care divides it, and adds to the headroom.
const MOMENT: f64 = 2.5;
const SHARE_BASE: f64 = 1.5;
const HEADROOM_STEP: f64 = 0.02;
const MOST_SHARE: f64 = 0.4;
/// So many server-minutes may be spent to spare the work of one from waiting, in a jump; a unit of care multiplies it.
const PRICE: f64 = 15.0;
const PRICE_BASE: f64 = 1.7;
/// Dynos that are ready for jumps stay until they are not worth it at so many times the price.
pub(super) const STAY: f64 = 2.0;

/// How careful to be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Margins {
    /// The model, with the share of slow requests to plan for at any moment.
    pub(super) model: Model,
    /// So much more load than is measured.
    pub(super) headroom: f64,
    /// What it is worth to be ready for jumps ([`Jumps::worth`](crate::jumps::Jumps::worth)); 0: nothing.
    pub(super) price: f64,
}

impl ResponseTime {
    /// The share of requests that are slower than the objective by their service alone.
    pub(super) fn alone(&self, service_secs: f64) -> f64 {
        if service_secs > 0.0 { (-self.model.objective_secs / service_secs).exp() } else { 0.0 }
    }

    /// What remains of the share that may be slow when service alone has had its part: the budget of the queue.
    fn budget(&self, alone: f64) -> f64 {
        let aim = AIM * self.model.slow_share;
        (aim - alone).max(aim * LEAST_BUDGET)
    }

    /// The margins, by how much of the budget was spent over the last hours.
    pub(super) fn margins(&self, learned: &Learned, service_secs: f64) -> Margins {
        if !self.adapt {
            return Margins { model: self.model, headroom: self.headroom, price: 0.0 };
        }
        let budget = self.budget(self.alone(service_secs));
        let spent = learned.slow_share(budget, PRIOR_SECS) / budget;
        let care = (GAIN * (spent - 1.0)).clamp(-1.0, MOST_CARE);
        let share = (MOMENT * self.model.slow_share * SHARE_BASE.powf(-care)).min(MOST_SHARE);
        Margins {
            model: Model { slow_share: share, ..self.model },
            headroom: (self.headroom + HEADROOM_STEP * care).max(0.0),
            price: PRICE * PRICE_BASE.powf(care),
        }
    }

    /// The servers that are there for a load, as the margins are when nothing is known: those by which a minute is judged a
    /// jump do not depend on what was learned.
    fn servers_for(&self, offered: f64, service_secs: f64, headroom: f64) -> f64 {
        let model = Model { slow_share: (MOMENT * self.model.slow_share).min(MOST_SHARE), ..self.model };
        let dynos = model.dynos(offered * (1.0 + headroom), service_secs);
        f64::from(dynos) * f64::from(self.model.at_once.max(1))
    }

    /// Counts a minute that is over as one that the dynos of those before it were enough for, or as a jump: had it begun so
    /// late that `lead` was over by then, they would have been there in time.
    pub(super) fn learn_jump(&self, learned: &mut Learned, minute: Slot) {
        let slot_secs = self.slot_secs();
        let late = (self.lead.as_secs_f64() / 60.0).ceil().max(1.0) as i64;
        let Ok(until) = minute.from.checked_sub(SignedDuration::from_mins(late - 1)) else { return };
        let (mut rate, mut offered, mut served) = (-1.0_f64, 0.0_f64, minute.service_secs);
        for slot in learned.within(until, self.lower_after, slot_secs) {
            if slot.from.as_second() + slot_secs <= until.as_second() {
                rate = rate.max(slot.rate);
                offered = offered.max(slot.offered);
                served = served.min(slot.service_secs);
            }
        }
        if rate < 0.0 {
            return;
        }
        // The wait that is in the time told is at its longest in a jump: what is longer than before is that.
        let (before, busy) =
            if self.wait_included { (rate * served, minute.rate * served) } else { (offered, minute.offered) };
        let before = self.servers_for(before, served, self.headroom);
        learned.jumps.add(before, busy, self.servers_for(busy, served, 0.0));
    }

    /// The length of a slot, so that all of `lower_after` fits: whole minutes, or seconds where loads of less than a minute count.
    pub(super) fn slot_secs(&self) -> i64 {
        let longest = self.lower_after.as_secs_f64() + 60.0;
        let unit = if self.lower_after < SignedDuration::from_mins(1) { 1 } else { 60 };
        ((longest / unit as f64 / (MOST_SLOTS - 1) as f64).ceil() as i64).max(1) * unit
    }

    /// What slots are made of: minutes, or less where slots are shorter.
    pub(super) fn minute_secs(&self) -> f64 {
        self.slot_secs().min(60) as f64
    }

    /// Counts the requests behind a reading, and those of them that the queue made slow. The mean time of few requests is long
    /// by chance as often as by a queue: they are put together with those before them until they are enough to tell.
    pub(super) fn count_slow(&self, learned: &mut Learned, load: Load, within: Option<f64>, point: &Point) {
        let requests = learned.count(point.at, load.rate, HALF_LIFE);
        let slow = match within {
            Some(within) => {
                let enough = learned.pool(requests, within, ENOUGH * self.model.variation);
                enough.map_or(0.0, |(requests, within)| requests * self.slow_by_queue(load, Some(within), point))
            }
            None => requests * self.slow_by_queue(load, None, point),
        };
        learned.count_slow(slow);
    }

    /// The share of requests that the queue made slow. By the mean time of their answers `within` seconds, wait and all, spread as
    /// in a single queue (exponentially, which is more than several servers make slow); else by what the model says of so
    /// many dynos.
    fn slow_by_queue(&self, load: Load, within: Option<f64>, point: &Point) -> f64 {
        if load.service_secs <= 0.0 {
            return 0.0;
        }
        let alone = self.alone(load.service_secs);
        let share = match (within, point.ready) {
            (Some(within), _) => {
                if within > load.service_secs {
                    self.alone(within)
                } else {
                    alone
                }
            }
            (None, Some(ready)) => self.model.slower_with(ready, load.offered, load.service_secs),
            (None, None) => alone,
        };
        (share - alone).clamp(0.0, 1.0)
    }
}
