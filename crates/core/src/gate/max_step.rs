//! `max_step`: so many dynos more or fewer within a time, as a count or a share; the scaling policies of Kubernetes
//! (<https://kubernetes.io/docs/concepts/workloads/autoscaling/horizontal-pod-autoscale/>, "Scaling policies").
//!
//! The limit is counted from the number of dynos at the beginning of the time: the changes made within it are taken back
//! first. Shares are rounded in favour of a change: ceil on the way up, floor on the way down.

use std::sync::Arc;

use jiff::SignedDuration;

use crate::fields::{Description, Field, FieldError, FieldType};
use crate::gate::{Gate, GateInput, GateKind, Say};
use crate::{Dynos, Phrase};

/// How far at once.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Most {
    /// So many dynos.
    Count(u32),
    /// So much of the dynos there are: 0.5 is half.
    Share(f64),
}

/// The rule.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MaxStep {
    /// The most to add.
    pub up: Option<Most>,
    /// The most to remove.
    pub down: Option<Most>,
    /// Within this time, above zero.
    pub per: SignedDuration,
}

/// The entry in the list of gates.
pub const KIND: GateKind = GateKind {
    description: Description {
        name: "max_step",
        doc: "So many dynos more or fewer within a time, as a count or a share.",
        fields: &[
            Field::optional(
                "up",
                FieldType::Text,
                "The most dynos to add: \"4\", or \"100%\" of those there are.",
                "\"100%\"",
            ),
            Field::optional("down", FieldType::Text, "The most dynos to remove: \"1\", or \"50%\".", "\"1\""),
            Field::defaulting("per", FieldType::Duration(0.1, 86_400.0), "\"1m\"", "Within this time."),
        ],
        shorthand: &[],
    },
    build: |values| {
        let up = values.text("up").map(|text| most("up", text)).transpose()?;
        let down = values.text("down").map(|text| most("down", text)).transpose()?;
        let per = values.duration("per").unwrap_or(SignedDuration::from_mins(1));
        Ok((up.is_some() || down.is_some()).then(|| Arc::new(MaxStep { up, down, per }) as Arc<dyn Gate>))
    },
};

fn most(field: &'static str, text: &str) -> Result<Most, FieldError> {
    let fault = || {
        FieldError::new(
            field,
            format!("is \"{text}\": write a count above 0, such as \"4\", or a share, such as \"50%\""),
        )
    };
    match text.trim().strip_suffix('%') {
        Some(percent) => match percent.trim().parse::<f64>() {
            Ok(percent) if percent > 0.0 && percent <= 100_000.0 => Ok(Most::Share(percent / 100.0)),
            _ => Err(fault()),
        },
        None => match text.trim().parse() {
            Ok(count) if count > 0 => Ok(Most::Count(count)),
            _ => Err(fault()),
        },
    }
}

impl MaxStep {
    /// The number of dynos when the time began.
    fn began_with(&self, input: &GateInput<'_>) -> Dynos {
        let within = input.state.scales.iter().filter(|scale| input.at.duration_since(scale.at) < self.per);
        let change: i64 = within.map(|scale| i64::from(scale.to) - i64::from(scale.from)).sum();
        Dynos::try_from(i64::from(input.before).saturating_sub(change).max(0)).unwrap_or(Dynos::MAX)
    }
}

impl Gate for MaxStep {
    fn name(&self) -> &'static str {
        KIND.description.name
    }

    fn ask(&self, input: &GateInput<'_>) -> Say {
        let (before, desired) = (input.before, input.desired);
        let (most, up) = if desired > before { (self.up, true) } else { (self.down, false) };
        let Some(most) = most else { return Say::Pass };
        let began = self.began_with(input);
        let from = f64::from(began);
        let limit = match (most, up) {
            // From none, a share of it is none: at least one.
            (Most::Count(count), true) => began.saturating_add(count),
            (Most::Share(share), true) => crate::policy::dynos_for(from * (1.0 + share)).max(1),
            (Most::Count(count), false) => began.saturating_sub(count),
            (Most::Share(share), false) => (from * (1.0 - share) + 1e-9).floor().max(0.0) as Dynos,
        };
        if (up && desired <= limit) || (!up && desired >= limit) {
            return Say::Pass;
        }
        let allowed = if up { limit.max(before) } else { limit.min(before) };
        let why = "max_step: {0} dynos are wanted, {1} are as far as it goes within {2} s";
        Say::Instead(allowed, Phrase::with(why, [desired.into(), allowed.into(), self.per.as_secs_f64()]))
    }

    fn looks_back(&self) -> SignedDuration {
        self.per
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::testing::{ask, at, build};
    use crate::state::Scale;
    use crate::{Observation, State};

    /// Kubernetes' own example: 80 dynos, at most a tenth within a minute: 72, then 7 of 72 (64.8 is 64), and so on.
    #[test]
    fn worked_examples() {
        let tenth =
            MaxStep { up: Some(Most::Share(1.0)), down: Some(Most::Share(0.1)), per: SignedDuration::from_mins(1) };
        let four = MaxStep { up: Some(Most::Count(4)), down: Some(Most::Count(4)), ..tenth };
        let seen = Observation::default();
        for (rule, before, desired, left) in [
            (tenth, 80, 10, 72),
            (tenth, 72, 10, 64),
            (tenth, 3, 10, 6),
            (tenth, 3, 5, 5),
            (tenth, 0, 5, 1),
            (tenth, 1, 0, 0),
            (four, 3, 10, 7),
            (four, 10, 3, 6),
            (four, 2, 0, 0),
        ] {
            assert_eq!(ask(&rule, at(0), (before, desired), &State::default(), &seen), left, "{before} {desired}");
        }
        // What was added within the minute counts: 3 of 4 dynos, from 5.
        let mut state = State::default();
        state.scales.push_back(Scale { at: at(0), from: 5, to: 8 });
        assert_eq!(ask(&four, at(59), (8, 20), &state, &seen), 9);
        assert_eq!(ask(&four, at(60), (8, 20), &state, &seen), 12);
        state.scales.push_back(Scale { at: at(30), from: 8, to: 9 });
        assert_eq!(ask(&four, at(59), (9, 20), &state, &seen), 9);
    }

    #[test]
    fn settings() {
        let text = |text: &str| crate::fields::Value::Text(text.into());
        assert!(build(&KIND, &[]).unwrap().is_none());
        assert!(build(&KIND, &[("up", text("50 %"))]).unwrap().is_some());
        for bad in ["0", "-1", "x", "%", "0%", "1.5"] {
            assert!(build(&KIND, &[("down", text(bad))]).unwrap_err().message.contains("a count above 0"), "{bad}");
        }
    }
}
