//! `budget`: dyno-hours or money for a calendar month, in the process's zone. When it is used up, what gives way is the
//! number of dynos: down to the minimum, or no further up, as set. The minimum holds all the same.
//!
//! What counts is the quantity between ticks, from the first tick with this gate on; it is kept over a restart. A pause of
//! ticks longer than a day counts nothing, since nobody knows what ran.

use std::sync::Arc;

use crate::Phrase;
use crate::fields::{Description, Field, FieldError, FieldType};
use crate::gate::{Gate, GateInput, GateKind, Say};

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

impl Gate for Budget {
    fn name(&self) -> &'static str {
        KIND.description.name
    }

    fn ask(&self, input: &GateInput<'_>) -> Say {
        let Some(month) = input.state.month else { return Say::Pass };
        let date = input.zone.to_datetime(input.at).date();
        if (month.year, month.month) != (date.year(), date.month()) || month.dyno_secs < self.hours * 3600.0 {
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields::Value;
    use crate::gate::testing::{ask, build};
    use crate::state::Month;
    use crate::{Observation, State};

    #[test]
    fn worked_examples() {
        let min = Budget { hours: 100.0, to_min: true };
        let hold = Budget { to_min: false, ..min };
        let spent = |hours: f64| State {
            month: Some(Month {
                year: 2026,
                month: 5,
                dyno_secs: hours * 3600.0,
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
