//! `quiet_hours`: in these hours, by the clock of the process's zone, no dyno is removed (or added). The bounds hold all the
//! same: what must be, is done at any hour.

use std::sync::Arc;

use crate::Phrase;
use crate::fields::{Description, Field, FieldError, FieldType};
use crate::gate::{Gate, GateInput, GateKind, Holds, Say};

const WEEK: u16 = 7 * 24 * 60;
const DAY: u16 = 24 * 60;
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// The rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuietHours {
    /// Beginnings in minutes of the week from Monday 0:00, and lengths in minutes.
    hours: Vec<(u16, u16)>,
    hold: Holds,
}

/// The entry in the list of gates.
pub const KIND: GateKind = GateKind {
    description: Description {
        name: "quiet_hours",
        doc: "In these hours, by the clock of the zone, no dyno is removed, or none added.",
        fields: &[
            Field::optional(
                "hours",
                FieldType::Texts,
                "The hours: \"22:00-6:00\" each day, \"Mon-Fri 8:00-18:00\", \"Sat,Sun 0:00-24:00\"; the days are those on which they begin.",
                "[\"Mon-Fri 8:00-18:00\"]",
            ),
            Field::defaulting("hold", FieldType::OneOf(Holds::WORDS), "\"down\"", "Which changes are held."),
        ],
        shorthand: &["hours"],
    },
    build: |values| {
        let mut hours = Vec::new();
        for text in values.texts("hours") {
            let found = parse(text).ok_or_else(|| {
                let message = format!("\"{text}\" is no time: write \"22:00-6:00\", with days where needed, such as \"Mon-Fri 8:00-18:00\"");
                FieldError::new("hours", message)
            })?;
            hours.extend(found);
        }
        let hold = Holds::from_word(values.text("hold"));
        Ok((!hours.is_empty()).then(|| Arc::new(QuietHours { hours, hold }) as Arc<dyn Gate>))
    },
};

fn parse(text: &str) -> Option<Vec<(u16, u16)>> {
    let text = text.trim().to_ascii_lowercase();
    let (days, times) = text.rsplit_once(char::is_whitespace).unwrap_or(("", &text));
    let (from, to) = times.split_once('-')?;
    let (from, to) = (minute(from)?, minute(to)?);
    if from == to || from == DAY {
        return None;
    }
    let length = if to > from { to - from } else { to + DAY - from };
    let mut found = Vec::new();
    for part in days.split(',') {
        let (first, last) = match part.trim().split_once('-') {
            _ if days.trim().is_empty() => (0, 6),
            Some((first, last)) => (day(first)?, day(last)?),
            None => (day(part)?, day(part)?),
        };
        let count = (last + 7 - first) % 7;
        found.extend((0..=count).map(|n| ((first + n) % 7 * DAY + from, length)));
    }
    Some(found)
}

fn minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let digits = |text: &str| (1..=2).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    let (hour, minute): (u16, u16) =
        (digits(hour).then(|| hour.parse().ok())??, digits(minute).then(|| minute.parse().ok())??);
    let all = hour * 60 + minute;
    (minute < 60 && all <= DAY).then_some(all)
}

fn day(text: &str) -> Option<u16> {
    let text = text.trim();
    let known = DAYS.iter().position(|day| text.starts_with(day))?;
    let whole = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
    whole.get(known)?.starts_with(text).then(|| u16::try_from(known).ok())?
}

impl Gate for QuietHours {
    fn name(&self) -> &'static str {
        KIND.description.name
    }

    fn ask(&self, input: &GateInput<'_>) -> Say {
        if !self.hold.holds(input.before, input.desired) {
            return Say::Pass;
        }
        let local = input.zone.to_datetime(input.at);
        let day = u16::try_from(local.weekday().to_monday_zero_offset()).unwrap_or(0);
        let now =
            day * DAY + u16::try_from(local.hour()).unwrap_or(0) * 60 + u16::try_from(local.minute()).unwrap_or(0);
        if !self.hours.iter().any(|(from, length)| (now + WEEK - from) % WEEK < *length) {
            return Say::Pass;
        }
        Say::Instead(input.before, Phrase::new("quiet_hours: the number of dynos stays in these hours"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields::Value;
    use crate::gate::testing::{ask, build};
    use crate::{Observation, State};

    fn rule(hours: &[&str], hold: &str) -> Result<Option<Arc<dyn Gate>>, FieldError> {
        let hours = hours.iter().map(|text| (*text).to_owned()).collect();
        build(&KIND, &[("hours", Value::Texts(hours)), ("hold", Value::Text(hold.into()))])
    }

    #[test]
    fn worked_examples() {
        let (state, seen) = (State::default(), Observation::default());
        // 2026-05-04 is a Monday.
        for (hours, at, quiet) in [
            ("22:00-6:00", "2026-05-04T21:59:59Z", false),
            ("22:00-6:00", "2026-05-04T22:00:00Z", true),
            ("22:00-6:00", "2026-05-05T05:59:59Z", true),
            ("22:00-6:00", "2026-05-05T06:00:00Z", false),
            ("Sun 22:00-6:00", "2026-05-04T05:00:00Z", true), // over the end of the week
            ("Sun 22:00-6:00", "2026-05-05T05:00:00Z", false),
            ("Mon-Fri 8:00-18:00", "2026-05-08T12:00:00Z", true),
            ("Mon-Fri 8:00-18:00", "2026-05-09T12:00:00Z", false),
            ("sat,Sunday 0:00-24:00", "2026-05-09T23:59:00Z", true),
            ("Fri - Mon 0:00-24:00", "2026-05-05T00:00:00Z", false),
        ] {
            let rule = rule(&[hours], "down");
            let Ok(Some(rule)) = rule else {
                assert_eq!(hours, "Fri - Mon 0:00-24:00", "{rule:?}");
                continue;
            };
            let left = if quiet { 5 } else { 1 };
            assert_eq!(ask(&*rule, at.parse().unwrap(), (5, 1), &state, &seen), left, "{hours} {at}");
            assert_eq!(ask(&*rule, at.parse().unwrap(), (5, 9), &state, &seen), 9, "{hours} {at}");
        }
        assert!(rule(&[], "both").unwrap().is_none());
        for bad in ["", "8:00", "8:00-8:00", "25:00-1:00", "8-9", "Xyz 8:00-9:00", "Mo 8:00-9:00", "24:00-1:00"] {
            assert!(rule(&[bad], "both").is_err(), "{bad}");
        }
    }
}
