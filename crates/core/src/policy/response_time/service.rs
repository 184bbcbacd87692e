//! How long it takes to serve a request, without the wait and without what is chance.

use super::line::{Load, by_chance};
use super::{CLEARLY, ENOUGH, ResponseTime};
use crate::Dynos;
use crate::learned::{MOST_SLOTS, Slot};
use crate::policy::PolicyInput;

impl ResponseTime {
    /// The service time, where what is told holds the wait: the median of what lay behind the last minutes, drawn to that of
    /// hours as far as it is of few requests. In an overload no more can be told than what the dynos that serve can do, which
    /// is too long while some of them still boot.
    pub(super) fn without_wait(&self, input: &PolicyInput<'_>, load: Load) -> f64 {
        let learned = input.evidence.learned();
        let mut all = [0.0; MOST_SLOTS as usize];
        let (mut count, mut requests) = (0, 0.0);
        let slots = learned.within(input.at, self.lower_after, self.slot_secs());
        for (slot, place) in slots.filter(|slot| slot.service_secs > 0.0).zip(&mut all) {
            *place = slot.service_secs;
            count += 1;
            requests += slot.rate * self.minute_secs();
        }
        let median = match all.get_mut(..count) {
            Some(known) if count > 0 => *known.select_nth_unstable_by(count / 2, f64::total_cmp).1,
            _ => return self.first_without_wait(input, load),
        };
        self.weighed(median, requests, learned.mean_service_secs().unwrap_or(median))
    }

    /// The same before a minute is over.
    fn first_without_wait(&self, input: &PolicyInput<'_>, load: Load) -> f64 {
        let (mut spent, mut answered, mut readings) = (0.0, 0.0, 0.0);
        for point in input.evidence.within(input.at, self.short_trend()) {
            let Some(then) = self.load(&point) else { continue };
            spent += then.answered * then.service_secs;
            answered += then.answered;
            readings += 1.0;
        }
        if answered <= 0.0 {
            return load.service_secs;
        }
        self.model.service_secs(answered / readings, spent / answered, self.serving(input))
    }

    /// A minute, whose `offered` is the time spent on what was answered, with the wait taken out of its times, where it is in them.
    pub(super) fn behind_wait(&self, minute: Slot, ready: Dynos) -> Slot {
        if !self.wait_included || ready == 0 || minute.service_secs <= 0.0 {
            return Slot { offered: minute.rate * minute.service_secs, ..minute };
        }
        let answered = minute.offered / minute.service_secs;
        let service_secs = self.model.service_secs(answered, minute.service_secs, ready);
        Slot { offered: minute.rate * service_secs, service_secs, ..minute }
    }

    /// The mean service time: that of the last minute, as far as it is of enough requests to tell, else that of `lower_after`.
    /// One reading that is longer than chance makes it stands for itself.
    pub(super) fn steady_service(&self, input: &PolicyInput<'_>, load: Load) -> f64 {
        let (mut work, mut rate, mut readings, mut secs) = (0.0, 0.0, 0.0, 0.0_f64);
        for point in input.evidence.within(input.at, self.short_trend()) {
            let Some(then) = self.load(&point) else { continue };
            work += then.offered;
            rate += then.rate;
            readings += 1.0;
            secs = secs.max(input.at.duration_since(point.at).as_secs_f64());
        }
        if rate <= 0.0 {
            return load.service_secs;
        }
        let each_secs = secs / f64::max(readings - 1.0, 1.0);
        let (mut work_before, mut rate_before) = (0.0, 0.0);
        for slot in input.evidence.learned().within(input.at, self.lower_after, self.slot_secs()) {
            work_before += slot.rate * slot.service_secs;
            rate_before += slot.rate;
        }
        let of_late = work / rate;
        let before = if rate_before > 0.0 { work_before / rate_before } else { of_late };
        let mean = self.weighed(of_late, rate * each_secs, before);
        let by_chance = by_chance(self.model.variation / (load.rate * each_secs).max(f64::MIN_POSITIVE));
        if load.service_secs > by_chance.max(CLEARLY) * mean { load.service_secs } else { mean }
    }

    /// A mean service time of so many requests, drawn to that of a longer time the more, the fewer they are.
    pub(super) fn weighed(&self, secs: f64, requests: f64, longer: f64) -> f64 {
        let enough = ENOUGH * self.model.variation;
        if requests + enough > 0.0 { (secs * requests + longer * enough) / (requests + enough) } else { secs }
    }
}
