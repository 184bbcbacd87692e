//! `budget`: dyno-hours or money for a calendar month, in the process's zone. When it is used up, what gives way is the
//! number of dynos: down to the minimum, or no further up, as set. The minimum holds all the same.
//!
//! What counts is the quantity between ticks, from the first tick with this gate on; it is kept over a restart. A pause of
//! ticks longer than a day counts nothing, since nobody knows what ran.
//!
//! Two conditions go with it: `budget_spent`, and before it `budget_short`, where the pace of the month so far leads past the
//! budget before the month ends.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::condition::Condition;
use crate::fields::{Description, Field, FieldError, FieldType};
use crate::gate::{Gate, GateInput, GateKind, Say};
use crate::state::Month;
use crate::{Phrase, State};

/// So much of the month must be counted before its pace says something: a day has its busy and its idle hours.
const PACE_AFTER_SECS: f64 = 86_400.0;
/// A pace that led past the budget does so until it leads to less than this share of it: days end cheaper than they begin, and
/// nobody is to be told every evening.
const SHORT_UNTIL: f64 = 0.95;

/// The rule.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Budget {
    /// Dyno-hours in a month, above 0.
    pub hours: f64,
    /// Whether dynos are removed when they are used up; otherwise none is added.
    pub to_min: bool,
}

/// The entry in the list of gates.
pub const KIND: GateKind = GateKind {
    description: Description {
        name: "budget",
        doc: "Dyno-hours, or money, for a calendar month; when it is used up, the minimum is what runs.",
        fields: &[
            Field::optional("hours", FieldType::Number(0.0, 1e9), "Dyno-hours in a month.", "2000"),
            Field::optional("money", FieldType::Number(0.0, 1e9), "Money in a month; with price.", "250"),
            Field::optional(
                "price",
                FieldType::Number(0.0, 1e6),
                "What a dyno costs in an hour, in the same money.",
                "0.0347",
            ),
            Field::defaulting(
                "then",
                FieldType::OneOf(&["min", "hold"]),
                "\"min\"",
                "When it is used up: go down to the minimum, or add no more dynos.",
            ),
        ],
        shorthand: &["hours"],
    },
    build: |values| {
        let bought = match (values.number("money"), values.number("price")) {
            (None, None) => None,
            (Some(money), Some(price)) if price > 0.0 => Some(money / price),
            (_, Some(_)) if values.number("money").is_some() => {
                return Err(FieldError::new("price", "must be above 0"));
            }
            (Some(_), _) => return Err(FieldError::new("money", "says how much only with price: set it, too")),
            (None, _) => return Err(FieldError::new("price", "is for money: set it, too, or leave both out")),
        };
        let hours = match (values.number("hours"), bought) {
            (Some(hours), Some(bought)) => Some(hours.min(bought)),
            (hours, bought) => hours.or(bought),
        };
        let to_min = values.text("then") != Some("hold");
        Ok(hours.map(|hours| Arc::new(Budget { hours, to_min }) as Arc<dyn Gate>))
    },
};

impl Budget {
    /// What the month that `at` lies in has used, where it was counted.
    fn month(at: Timestamp, state: &State, zone: &TimeZone) -> Option<Month> {
        let date = zone.to_datetime(at).date();
        state.month.filter(|month| (month.year, month.month) == (date.year(), date.month()))
    }

    fn is_spent(&self, month: &Month) -> bool {
        month.dyno_secs >= self.hours * 3600.0
    }

    /// The share of the budget that is used at the end of the month, if the rest of it goes on as it went so far; `None`: too
    /// little is counted to tell.
    fn projected(&self, month: &Month, at: Timestamp, zone: &TimeZone) -> Option<f64> {
        let counted = month.counted_secs.filter(|secs| *secs >= PACE_AFTER_SECS)?;
        let date = zone.to_datetime(at).date();
        let end = zone.to_timestamp(date.last_of_month().tomorrow().ok()?.at(0, 0, 0, 0)).ok()?;
        let left = end.duration_since(at).as_secs_f64().max(0.0);
        Some((month.dyno_secs + month.dyno_secs / counted * left) / (self.hours * 3600.0))
    }
}

impl Gate for Budget {
    fn name(&self) -> &'static str {
        KIND.description.name
    }

    fn ask(&self, input: &GateInput<'_>) -> Say {
        if !Self::month(input.at, input.state, input.zone).is_some_and(|month| self.is_spent(&month)) {
            return Say::Pass;
        }
        let floor = input.bounds.min;
        let most = if self.to_min { floor } else { input.before.max(floor) };
        if input.desired <= most {
            return Say::Pass;
        }
        let why = "budget: the {0} dyno-hours of this month are used up: {1} dynos, no more";
        Say::Instead(most, Phrase::with(why, [self.hours, most.into()]))
    }

    fn asks_always(&self) -> bool {
        self.to_min
    }

    fn counts_hours(&self) -> bool {
        true
    }

    fn condition(&self, at: Timestamp, state: &State, zone: &TimeZone) -> Option<Condition> {
        let month = Self::month(at, state, zone)?;
        if self.is_spent(&month) {
            return Some(Condition::BudgetSpent);
        }
        let told = state.conditions.iter().any(|(open, _)| *open == Condition::BudgetShort);
        let enough = if told { SHORT_UNTIL } else { 1.0 };
        self.projected(&month, at, zone).filter(|share| *share > enough).map(|_| Condition::BudgetShort)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Observation;
    use crate::fields::Value;
    use crate::gate::testing::{ask, build};

    #[test]
    fn worked_examples() {
        let min = Budget { hours: 100.0, to_min: true };
        let hold = Budget { to_min: false, ..min };
        let spent = |hours: f64| State {
            month: Some(Month {
                year: 2026,
                month: 5,
                dyno_secs: hours * 3600.0,
                counted_secs: None,
                counted_at: "2026-05-31T23:00:00Z".parse().unwrap(),
            }),
            ..State::default()
        };
        for (rule, hours, at, desired, left) in [
            (min, 99.9, "2026-05-31T23:59:00Z", 9, 9),
            (min, 100.0, "2026-05-31T23:59:00Z", 9, 1),
            (min, 100.0, "2026-05-31T23:59:00Z", 5, 1), // nothing is proposed, and still
            (min, 100.0, "2026-06-01T00:00:00Z", 9, 9),
            (hold, 100.0, "2026-05-31T23:59:00Z", 9, 5),
            (hold, 100.0, "2026-05-31T23:59:00Z", 4, 4),
        ] {
            let seen = Observation::default();
            assert_eq!(ask(&rule, at.parse().unwrap(), (5, desired), &spent(hours), &seen), left, "{hours} {at}");
        }
    }

    #[test]
    fn what_is_said_before_and_after_it_is_spent() {
        use Condition::{BudgetShort as Short, BudgetSpent as Spent};
        let rule = Budget { hours: 720.0, to_min: true };
        // April 2026 has 720 hours: one dyno all month is the budget. Of the days so far, so many dynos ran on average.
        for (at, days, dynos, told, said) in [
            ("2026-04-01T23:59:00Z", Some(0.99), 9.0, false, None), // less than a day is no pace
            ("2026-04-11T00:00:00Z", Some(10.0), 1.0, false, None),
            ("2026-04-11T00:00:00Z", Some(10.0), 1.01, false, Some(Short)),
            ("2026-04-11T00:00:00Z", Some(10.0), 0.96, true, Some(Short)), // told, and not yet well below it
            ("2026-04-11T00:00:00Z", Some(10.0), 0.94, true, None),
            ("2026-04-11T00:00:00Z", Some(10.0), 3.0, true, Some(Spent)), // 3 dynos for 10 days are 720 hours
            ("2026-04-30T23:00:00Z", Some(29.9), 1.002, false, Some(Short)),
            // Counted from the 9th on: 2 of 30 days at 9 dynos use 432 hours, and 20 more days would use 4320.
            ("2026-04-11T00:00:00Z", Some(2.0), 9.0, false, Some(Short)),
            ("2026-04-11T00:00:00Z", Some(2.0), 1.2, false, None), // 57.6 and 576 hours
            ("2026-04-11T00:00:00Z", None, 9.0, false, None),
            ("2026-05-01T00:00:00Z", Some(29.0), 9.0, true, None), // another month
        ] {
            let at: Timestamp = at.parse().unwrap();
            let secs = days.unwrap_or(3.0) * 86_400.0;
            let month = Month {
                year: 2026,
                month: 4,
                dyno_secs: dynos * secs,
                counted_secs: days.map(|_| secs),
                counted_at: at,
            };
            let conditions = told.then_some((Short, at)).into_iter().collect();
            let state = State { month: Some(month), conditions, ..State::default() };
            assert_eq!(rule.condition(at, &state, &TimeZone::UTC), said, "{at} {days:?} {dynos} {told}");
        }
    }

    #[test]
    fn settings() {
        let number = |name, value| (name, Value::Number(value));
        assert!(build(&KIND, &[]).unwrap().is_none());
        assert!(build(&KIND, &[number("hours", 10.0)]).unwrap().is_some());
        let money = build(&KIND, &[number("money", 250.0), number("price", 0.5)]).unwrap().unwrap();
        assert!(format!("{money:?}").contains("500"), "{money:?}");
        for (given, field) in [
            (vec![number("money", 1.0)], "money"),
            (vec![number("price", 1.0)], "price"),
            (vec![number("money", 1.0), number("price", 0.0)], "price"),
        ] {
            assert_eq!(build(&KIND, &given).unwrap_err().field, field);
        }
    }
}
