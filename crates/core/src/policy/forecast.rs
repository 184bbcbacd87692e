//! `forecast`: a floor for the load that the seasons of day and week say is coming. Who learns them is outside the core (the
//! crate `autoscalebot-forecast`, from the store); what is expected comes with the observation and is in the record, beside how far
//! off such forecasts were lately, so any tick can be decided again.
//!
//! It never argues for fewer dynos, and holds none back but those that the coming load needs. Until enough is known it only
//! records; and where its forecasts are no better than the guess that nothing changes, it is off.

use std::sync::Arc;

use jiff::SignedDuration;

use crate::fields::{Description, Field, FieldError, FieldType, Values};
use crate::history::Window;
use crate::policy::{Adviser, Policy, PolicyInput, PolicyKind, Proposal, dynos_for, needed, positive, span};
use crate::{Phrase, Unit, Verdict};

/// The settings of the rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Forecast {
    /// The load that one dyno takes, above 0.
    pub target: f64,
    /// So many times the mean error of late are added to what is expected; at or above 0.
    pub margin: f64,
    /// Until so much is known, it only records.
    pub learn: SignedDuration,
    adviser: Adviser,
}

/// The entry in the list of policies.
pub const KIND: PolicyKind = PolicyKind {
    description: Description {
        name: "forecast",
        doc: "A floor for the load that the seasons of day and week say is coming; it raises, and never lowers.",
        fields: &[
            Field::required("target", FieldType::Level, "The load that one dyno takes.", "20"),
            Field::defaulting(
                "ahead",
                FieldType::Duration(60.0, 86_400.0),
                "\"20m\"",
                "How far ahead it looks: the highest load until then counts.",
            ),
            Field::defaulting(
                "margin",
                FieldType::Number(0.0, 10.0),
                "1",
                "So many times the mean error of its forecasts are added to what is expected.",
            ),
            Field::defaulting(
                "learn",
                FieldType::Duration(3.0 * 86_400.0, 28.0 * 86_400.0),
                "\"168h\"",
                "Until the store knows so much, it only records.",
            ),
        ],
        shorthand: &[],
    },
    build,
};

fn build(values: &Values, unit: Unit) -> Result<Arc<dyn Policy>, FieldError> {
    if !matches!(unit, Unit::RequestsPerSecond | Unit::Jobs | Unit::Count) {
        let message = format!(
            "is forecast, which needs a load such as requests in a second, but the measurement counts {}",
            unit.as_str()
        );
        return Err(FieldError::new("type", message));
    }
    Ok(Arc::new(Forecast {
        target: positive(values, "target")?,
        margin: needed(values, "margin")?,
        learn: span(values, "learn")?,
        adviser: Adviser::Seasons { ahead: span(values, "ahead")? },
    }))
}

impl Policy for Forecast {
    fn window(&self) -> Window {
        Window { samples: 1, span: SignedDuration::MAX }
    }

    fn verdict(&self, _value: f64) -> Verdict {
        Verdict::JustRight
    }

    fn keeps_evidence(&self) -> bool {
        true
    }

    fn propose(&self, input: &PolicyInput<'_>) -> Proposal {
        let Some(expected) = input.advice.and_then(|advice| advice.expected) else {
            return Proposal::floor(0, Phrase::new("nothing is foretold"));
        };
        let days = |span: SignedDuration| span.as_secs_f64() / 86_400.0;
        if expected.known_secs < self.learn.as_secs_f64() {
            let known = expected.known_secs / 86_400.0;
            let why = "{0} of {1} days are known, so {2} are only recorded as expected; off by {3} on average";
            return Proposal::floor(0, Phrase::with(why, [known, days(self.learn), expected.load, expected.error]));
        }
        if expected.error >= expected.error_of_none {
            let why = "off, as its forecasts miss by {0} on average, and the guess that nothing changes by {1}";
            return Proposal::floor(0, Phrase::with(why, [expected.error, expected.error_of_none]));
        }
        let dynos = dynos_for((expected.load + self.margin * expected.error) / self.target);
        let why = "{0} are expected, off by {1} on average (by {2} without seasons): {3} dynos at least";
        let numbers = [expected.load, expected.error, expected.error_of_none, f64::from(dynos)];
        Proposal::floor(dynos, Phrase::with(why, numbers))
    }

    fn adviser(&self) -> Option<&Adviser> {
        Some(&self.adviser)
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;
    use crate::history::{Evidence, History};
    use crate::policy::testing::{at, build as built, values};
    use crate::{Advice, Bounds, Detail, Expected};

    fn proposed(expected: Option<Expected>) -> Proposal {
        let rule = built(&KIND, Unit::RequestsPerSecond, &[("target", crate::fields::Value::Number(10.0))]).unwrap();
        let history = History::default();
        let advice = Advice { expected, ..Advice::default() };
        rule.propose(&PolicyInput {
            at: at(0),
            dynos: 3,
            bounds: Bounds { min: 0, max: 100 },
            ready: 3,
            evidence: Evidence::new(&history, None),
            detail: Detail::default(),
            zone: &TimeZone::UTC,
            advice: Some(&advice),
        })
    }

    #[test]
    fn worked_examples() {
        let week = 7.0 * 86_400.0;
        let expected =
            |load, error, error_of_none, known_secs| Some(Expected { load, error, error_of_none, known_secs });
        for (seen, dynos, says) in [
            (None, 0, "nothing is foretold"),
            (
                expected(95.0, 4.0, 9.0, week),
                10,
                "95 are expected, off by 4 on average (by 9 without seasons): 10 dynos",
            ),
            (expected(95.0, 5.1, 9.0, week), 11, "11 dynos at least"),
            (expected(95.0, 4.0, 9.0, week - 1.0), 0, "7 of 7 days are known, so 95 are only recorded"),
            (expected(95.0, 9.0, 9.0, week), 0, "off, as its forecasts miss by 9 on average"),
        ] {
            let proposal = proposed(seen);
            assert_eq!((proposal.desired, proposal.floor), (Some(dynos), true), "{says}");
            assert!(proposal.why.to_string().contains(says), "{}", proposal.why);
        }
    }

    #[test]
    fn a_time_is_no_load() {
        let given = values(KIND.description.fields, &[("target", crate::fields::Value::Number(10.0))]);
        assert_eq!((KIND.build)(&given, Unit::Milliseconds).unwrap_err().field, "type");
        assert!((KIND.build)(&given, Unit::Jobs).is_ok());
    }
}
