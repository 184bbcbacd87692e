//! How careful the rule is: by how much of the budget of slow requests was spent over the last hours.
//!
//! A share of the requests may be slower than the objective. Service alone makes some of them slow however many dynos there
//! are; what is left is the budget of the queue. As much care is taken as the budget asks for: traffic that jumps gets more
//! room and keeps its dynos for longer, and traffic that moves slowly pays for none of that. The numbers were chosen with the
//! five traces of `docs/policies/comparison.md` and ten made ones in sight; that page judges them on others, too.

use jiff::SignedDuration;

use super::ResponseTime;
use super::line::Load;
use crate::history::Point;
use crate::learned::{Learned, MOST_SLOTS};
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
pub(super) const MOST_CARE: f64 = 2.5;
/// Most moments are better than the worst, for which the dynos are there: so the share to plan for at any moment is this
/// multiple of that which may be slow over all; a unit of care divides it, lengthens the hold, and adds to the headroom.
const MOMENT: f64 = 3.0;
const SHARE_BASE: f64 = 2.0;
pub(super) const HOLD_BASE: f64 = 1.5;
const HEADROOM_STEP: f64 = 0.05;
const MOST_SHARE: f64 = 0.4;

/// How careful to be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Margins {
    /// The model, with the share of slow requests to plan for at any moment.
    pub(super) model: Model,
    /// So much more load than is measured.
    pub(super) headroom: f64,
    /// How long dynos are kept for a load.
    pub(super) hold: SignedDuration,
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
            return Margins { model: self.model, headroom: self.headroom, hold: self.lower_after };
        }
        let budget = self.budget(self.alone(service_secs));
        let spent = learned.slow_share(budget, PRIOR_SECS) / budget;
        let care = (GAIN * (spent - 1.0)).clamp(-1.0, MOST_CARE);
        let share = (MOMENT * self.model.slow_share * SHARE_BASE.powf(-care)).min(MOST_SHARE);
        Margins {
            model: Model { slow_share: share, ..self.model },
            headroom: (self.headroom + HEADROOM_STEP * care).max(0.0),
            hold: self.hold(care),
        }
    }

    pub(super) fn hold(&self, care: f64) -> SignedDuration {
        // Never longer than what slots hold.
        let most = self.slot_secs() * (MOST_SLOTS - 1);
        SignedDuration::from_secs(((self.lower_after.as_secs_f64() * HOLD_BASE.powf(care)) as i64).min(most))
    }

    /// The length of a slot, so that the longest hold fits: whole minutes, or seconds where loads of less than a minute count.
    pub(super) fn slot_secs(&self) -> i64 {
        let longest = self.lower_after.as_secs_f64() * HOLD_BASE.powf(MOST_CARE) + 60.0;
        let unit = if self.lower_after < SignedDuration::from_mins(1) { 1 } else { 60 };
        ((longest / unit as f64 / (MOST_SLOTS - 1) as f64).ceil() as i64).max(1) * unit
    }

    /// The share of requests behind a reading that the queue made slow. Where the requests under way are told, their mean time
    /// by Little's law, spread as in a single queue (exponentially, which is more than several servers make slow); else what
    /// the model says of so many dynos.
    pub(super) fn slow_by_queue(&self, load: Load, point: &Point) -> f64 {
        if load.service_secs <= 0.0 {
            return 0.0;
        }
        let alone = self.alone(load.service_secs);
        let share = match (point.detail.concurrency, point.ready) {
            (Some(under_way), _) => {
                let within = under_way / load.rate;
                if within > load.service_secs { self.alone(within) } else { alone }
            }
            (None, Some(ready)) => self.model.slower_with(ready, load.offered, load.service_secs),
            (None, None) => alone,
        };
        (share - alone).clamp(0.0, 1.0)
    }
}
