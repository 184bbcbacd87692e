//! `python`: passes on what a function in Python wants. The function runs outside the core, before the tick; its answer is
//! in the [`Observation`](crate::Observation) and in the record, so any tick can be decided again without it.
//!
//! What guards every policy guards this one: gates may hold the answer back, and the bounds come last. Without an answer
//! the measurement counts as unknown: nothing is lowered on its word.

use std::sync::Arc;

use jiff::SignedDuration;

use crate::fields::{Description, Field, FieldError, FieldType, Values};
use crate::history::Window;
use crate::policy::{Adviser, Function, Policy, PolicyInput, PolicyKind, Proposal};
use crate::{Phrase, Unit, Verdict};

/// The settings of the policy.
#[derive(Debug, Clone, PartialEq)]
pub struct Python {
    adviser: Adviser,
    low: Option<f64>,
    high: Option<f64>,
    window: Window,
}

/// The entry in the list of policies.
pub const KIND: PolicyKind = PolicyKind {
    description: Description {
        name: "python",
        doc: "A function in Python, by its dotted path, says how many dynos it wants; gates and bounds hold for it too.",
        fields: &[
            Field::required(
                "policy",
                FieldType::Text,
                "The function: it takes what was seen, and returns the wanted dynos with a reason.",
                "\"shop.scaling.decide\"",
            ),
            Field::optional(
                "interpreter",
                FieldType::Text,
                "The Python to run it in, with the package `autoscalebot` installed; the one that `AUTOSCALEBOT_PYTHON` \
                 names unless set, else the one beside this program, else `python3`.",
                "\"/srv/shop/.venv/bin/python\"",
            ),
            Field::optional(
                "django_settings",
                FieldType::Text,
                "The settings module of a Django project to set up first; the one that `DJANGO_SETTINGS_MODULE` names \
                 unless set.",
                "\"shop.settings\"",
            ),
            Field::optional("path", FieldType::Path, "A folder to import from, before all others.", "\"src\""),
            Field::defaulting(
                "timeout",
                FieldType::Duration(0.01, 30.0),
                "\"5s\"",
                "The most that the function may take; without an answer nothing is lowered.",
            ),
            Field::optional("low", FieldType::Level, "A reading below this is shown as too low.", "\"200ms\""),
            Field::optional("high", FieldType::Level, "A reading above this is shown as too high.", "\"1s\""),
            Field::defaulting("samples", FieldType::Whole(1, 10_000), "60", "How many readings it sees at most."),
            Field::defaulting(
                "window",
                FieldType::Duration(0.0, 2_678_400.0),
                "\"1h\"",
                "The age of the oldest reading that it sees.",
            ),
        ],
        shorthand: &["policy"],
    },
    build,
};

fn build(values: &Values, _unit: Unit) -> Result<Arc<dyn Policy>, FieldError> {
    let text = |name: &str| values.text(name).map(str::to_owned);
    let policy = text("policy").unwrap_or_default();
    let name = |name: &str| {
        !name.is_empty()
            && !name.starts_with(|c: char| c.is_ascii_digit())
            && name.chars().all(|c| c.is_alphanumeric() || c == '_')
    };
    if !policy.contains('.') || !policy.split('.').all(name) {
        return Err(FieldError::new(
            "policy",
            "is no dotted path: write the module and the function, such as \"shop.scaling.decide\"",
        ));
    }
    let (low, high) = (values.number("low"), values.number("high"));
    if low.zip(high).is_some_and(|(low, high)| low > high) {
        return Err(FieldError::new("low", "is above high: lower it"));
    }
    let samples = values.whole("samples").and_then(|samples| usize::try_from(samples).ok()).unwrap_or(60);
    Ok(Arc::new(Python {
        adviser: Adviser::Function(Function {
            function: policy,
            interpreter: text("interpreter"),
            django_settings: text("django_settings"),
            path: text("path"),
            timeout: values.duration("timeout").unwrap_or(SignedDuration::from_secs(5)),
        }),
        low,
        high,
        window: Window { samples, span: values.duration("window").unwrap_or(SignedDuration::from_hours(1)) },
    }))
}

impl Policy for Python {
    fn window(&self) -> Window {
        self.window
    }

    fn verdict(&self, value: f64) -> Verdict {
        match (self.low, self.high) {
            (_, Some(high)) if value > high => Verdict::TooHigh,
            (Some(low), _) if value < low => Verdict::TooLow,
            _ => Verdict::JustRight,
        }
    }

    fn propose(&self, input: &PolicyInput<'_>) -> Proposal {
        match input.advice.map(|advice| advice.desired) {
            Some(Some(desired)) => {
                Proposal::want(desired, Phrase::with("the function wants {0} dynos", [desired.into()]))
            }
            Some(None) => Proposal::unknown(Phrase::new("the function wants no number of dynos")),
            None if input.evidence.newest_first().next().is_none() => {
                Proposal::want(input.dynos, Phrase::new("nothing was read since the last scale"))
            }
            None => Proposal::unknown(Phrase::new("the function was not asked")),
        }
    }

    fn adviser(&self) -> Option<&Adviser> {
        Some(&self.adviser)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields::Value;
    use crate::history::{Evidence, History, Point};
    use crate::{Advice, Bounds, Detail};

    fn python(more: &[(&'static str, Value)]) -> Result<Arc<dyn Policy>, FieldError> {
        let mut values = Values::default();
        values.set("policy", Value::Text("shop.scaling.decide".into()));
        for (name, value) in more {
            values.set(name, value.clone());
        }
        build(&values, Unit::Jobs)
    }

    #[test]
    fn the_answer_is_the_proposal_and_none_is_unknown() {
        let rows = [
            (Some((Some(7), "7 jobs wait")), Some(7), "the function wants 7 dynos"),
            (Some((Some(0), "")), Some(0), "the function wants 0 dynos"),
            (Some((None, "it raised")), None, "the function wants no number of dynos"),
            (None, None, "the function was not asked"),
        ];
        let policy = python(&[]).unwrap();
        let history = History::default();
        let point = Point {
            at: jiff::Timestamp::UNIX_EPOCH,
            verdict: Verdict::JustRight,
            value: Some(7.0),
            detail: Detail::default(),
            ready: None,
        };
        for (said, desired, why) in rows {
            let advice = said.map(|(desired, why)| Advice { desired, why: why.into(), expected: None });
            let proposal = policy.propose(&PolicyInput {
                at: jiff::Timestamp::UNIX_EPOCH,
                dynos: 2,
                bounds: Bounds { min: 1, max: 5 },
                ready: 2,
                evidence: Evidence::new(&history, Some(point)),
                detail: Detail::default(),
                zone: &jiff::tz::TimeZone::UTC,
                advice: advice.as_ref(),
            });
            assert_eq!((proposal.desired, proposal.why.to_string().as_str()), (desired, why));
        }
    }

    #[test]
    fn levels_are_for_show() {
        let both = python(&[("low", Value::Number(1.0)), ("high", Value::Number(5.0))]).unwrap();
        let verdicts = [0.0, 1.0, 5.0, 6.0].map(|value| both.verdict(value));
        assert_eq!(verdicts, [Verdict::TooLow, Verdict::JustRight, Verdict::JustRight, Verdict::TooHigh]);
        assert_eq!(python(&[]).unwrap().verdict(1e9), Verdict::JustRight);
        let crossed = python(&[("low", Value::Number(5.0)), ("high", Value::Number(1.0))]);
        assert_eq!(crossed.unwrap_err().field, "low");
        assert_eq!(python(&[("policy", Value::Text("decide".into()))]).unwrap_err().field, "policy");
    }
}
