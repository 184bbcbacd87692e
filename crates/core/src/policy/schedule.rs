//! `schedule`: dynos by time of the week, and at dated events. What is measured plays no part, so it is measured by `clock`.
//!
//! Beside other measurements it is a floor that gates see: the highest proposal wins, so the others may want more. Alone it sets
//! the number. The tables are those of the bounds, with their rules for the days on which the clock is moved
//! ([`crate::bounds`]).

use std::sync::Arc;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::bounds::local_reached;
use crate::fields::{Description, Field, FieldError, FieldType, Value, Values};
use crate::history::Window;
use crate::policy::{Policy, PolicyInput, PolicyKind, Proposal};
use crate::{BoundTable, Dynos, Phrase, Unit, Verdict};

/// The settings of the rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    /// By time of the week.
    pub dynos: BoundTable,
    /// What is higher for a time.
    pub events: Vec<Dated>,
}

/// Dynos from one local time to another; the end is no part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dated {
    /// Its beginning, by the clock of the process's zone.
    pub from: DateTime,
    /// Its end.
    pub to: DateTime,
    /// The dynos.
    pub dynos: Dynos,
}

/// The entry in the list of policies.
pub const KIND: PolicyKind = PolicyKind {
    description: Description {
        name: "schedule",
        doc: "Dynos by time of the week and at dated events; beside other measurements, a floor.",
        fields: &[
            Field::required(
                "dynos",
                FieldType::DynoTable,
                "The dynos by time, as `min_dynos` has them.",
                "{ \"Mon-Fri 8:00\" = 4, \"Mon-Fri 18:00\" = 1 }",
            ),
            Field::optional(
                "events",
                FieldType::Texts,
                "What is higher at a date, by the clock of `time_zone`: from, to, and the dynos.",
                "[\"2026-11-27 6:00 to 2026-11-28 0:00: 12\"]",
            ),
        ],
        shorthand: &[],
    },
    build,
};

fn build(values: &Values, _unit: Unit) -> Result<Arc<dyn Policy>, FieldError> {
    let Some(Value::DynoTable(dynos)) = values.get("dynos") else {
        return Err(FieldError::new("dynos", "is needed"));
    };
    let events = values.texts("events").iter().map(|text| {
        dated(text).ok_or_else(|| {
            FieldError::new(
                "events",
                format!("holds {text:?}, which is no event: write \"2026-11-27 6:00 to 2026-11-28 0:00: 12\""),
            )
        })
    });
    Ok(Arc::new(Schedule { dynos: dynos.clone(), events: events.collect::<Result<_, _>>()? }))
}

/// An event as it is written; none where it is no such thing, or ends before it begins.
fn dated(text: &str) -> Option<Dated> {
    let (times, dynos) = text.rsplit_once(": ")?;
    let (from, to) = times.split_once(" to ")?;
    let event = Dated { from: local(from)?, to: local(to)?, dynos: dynos.trim().parse().ok()? };
    (event.from < event.to).then_some(event)
}

fn local(text: &str) -> Option<DateTime> {
    DateTime::strptime("%Y-%m-%d %H:%M", text.trim()).ok()
}

impl Dated {
    fn holds(&self, zone: &TimeZone, at: Timestamp) -> bool {
        let reached = |local: DateTime| {
            // Inside the hour that is skipped: the first instant after it; inside the one that comes twice: the first.
            zone.to_ambiguous_timestamp(local).compatible().is_ok_and(|instant| instant <= at)
        };
        reached(self.from) && !reached(self.to)
    }
}

impl Policy for Schedule {
    fn window(&self) -> Window {
        Window { samples: 0, span: SignedDuration::ZERO }
    }

    fn verdict(&self, _value: f64) -> Verdict {
        Verdict::JustRight
    }

    fn keeps_evidence(&self) -> bool {
        true
    }

    fn propose(&self, input: &PolicyInput<'_>) -> Proposal {
        let in_force = self.dynos.in_force(local_reached(input.zone, input.at)).dynos;
        let holding = self.events.iter().filter(|event| event.holds(input.zone, input.at));
        match holding.map(|event| event.dynos).max() {
            Some(dynos) if dynos > in_force => {
                Proposal::want(dynos, Phrase::with("an event wants {0} dynos", [dynos.into()]))
            }
            _ => Proposal::want(in_force, Phrase::with("the schedule wants {0} dynos", [in_force.into()])),
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::Weekday;

    use super::*;
    use crate::bounds::MinuteOfWeek;
    use crate::policy::testing::{propose_in, values};

    fn rule(zone: &str, entries: &[(Weekday, u8, u8, Dynos)], events: &[&str]) -> (TimeZone, Schedule) {
        let entries = entries.iter().map(|(day, h, m, dynos)| (MinuteOfWeek::new(*day, *h, *m).unwrap(), *dynos));
        let dynos = BoundTable::by_time(entries.collect(), false).unwrap();
        let events = events.iter().map(|text| dated(text).unwrap()).collect();
        (TimeZone::get(zone).unwrap(), Schedule { dynos, events })
    }

    fn wanted((zone, rule): &(TimeZone, Schedule), at: &str) -> Option<Dynos> {
        propose_in(zone, rule, at.parse().unwrap()).desired
    }

    #[test]
    fn by_the_week() {
        use Weekday::{Friday, Monday};
        let week = rule("America/Vancouver", &[(Monday, 8, 0, 4), (Friday, 18, 0, 1)], &[]);
        for (at, dynos) in [
            // Monday 2026-06-01: 8:00 there is 15:00 UTC.
            ("2026-06-01T14:59:59Z", 1),
            ("2026-06-01T15:00:00Z", 4),
            ("2026-06-06T00:59:59Z", 4),
            ("2026-06-06T01:00:00Z", 1),
        ] {
            assert_eq!(wanted(&week, at), Some(dynos), "{at}");
        }
    }

    /// Cases A01 and A02 for a schedule: it follows the tables of the bounds.
    #[test]
    fn a01_a02_on_the_days_on_which_the_clock_is_moved() {
        use Weekday::Sunday;
        let spring = rule("Europe/Berlin", &[(Sunday, 0, 0, 1), (Sunday, 2, 30, 6)], &[]);
        assert_eq!(wanted(&spring, "2027-03-28T00:59:59Z"), Some(1));
        assert_eq!(wanted(&spring, "2027-03-28T01:00:00Z"), Some(6));
        let autumn = rule("America/New_York", &[(Sunday, 0, 0, 1), (Sunday, 1, 30, 6)], &[]);
        for (at, dynos) in [("05:29", 1), ("05:30", 6), ("06:00", 6), ("06:30", 6)] {
            assert_eq!(wanted(&autumn, &format!("2026-11-01T{at}:00Z")), Some(dynos), "{at}");
        }
    }

    #[test]
    fn events_are_higher_for_their_time() {
        use Weekday::Monday;
        let events = ["2026-11-27 6:00 to 2026-11-28 0:00: 12", "2026-11-27 8:00 to 2026-11-27 9:00: 2"];
        let sale = rule("Europe/Berlin", &[(Monday, 0, 0, 3)], &events);
        for (at, dynos) in [
            ("2026-11-27T04:59:59Z", 3),
            ("2026-11-27T05:00:00Z", 12),
            ("2026-11-27T07:30:00Z", 12),
            ("2026-11-27T22:59:59Z", 12),
            ("2026-11-27T23:00:00Z", 3),
        ] {
            assert_eq!(wanted(&sale, at), Some(dynos), "{at}");
        }
        // An event that begins in the hour that is skipped, and one that ends in the hour that comes twice.
        let spring = rule("Europe/Berlin", &[(Monday, 0, 0, 1)], &["2027-03-28 2:30 to 2027-03-28 5:00: 9"]);
        assert_eq!(wanted(&spring, "2027-03-28T00:59:59Z"), Some(1));
        assert_eq!(wanted(&spring, "2027-03-28T01:30:00Z"), Some(9));
        assert_eq!(wanted(&spring, "2027-03-28T03:00:00Z"), Some(1));
    }

    #[test]
    fn what_is_no_event() {
        for text in [
            "",
            "2026-11-27 6:00: 12",
            "2026-11-28 6:00 to 2026-11-27 6:00: 12",
            "2026-02-30 6:00 to 2026-03-01 6:00: 1",
            "2026-11-27 6:00 to 2026-11-28 0:00: many",
            "2026-11-27 6:00 to 2026-11-28 0:00 12",
        ] {
            assert_eq!(dated(text), None, "{text}");
        }
        let mut given = values(KIND.description.fields, &[("dynos", Value::DynoTable(BoundTable::Fixed(2)))]);
        assert!((KIND.build)(&given, Unit::Count).is_ok());
        given.set("events", Value::Texts(vec!["soon".to_owned()]));
        assert_eq!((KIND.build)(&given, Unit::Count).unwrap_err().field, "events");
    }
}
