//! `app`: the app says how many dynos it wants. The value is the number itself; gates and bounds hold for it as for any other.

use std::sync::Arc;

use jiff::SignedDuration;

use crate::fields::{Description, FieldError, Values};
use crate::history::Window;
use crate::policy::{NOTHING_READ, Policy, PolicyInput, PolicyKind, Proposal, dynos_for};
use crate::{Dynos, Phrase, Unit, Verdict};

/// The rule; it has no settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct App;

/// The entry in the list of policies.
pub const KIND: PolicyKind = PolicyKind {
    description: Description {
        name: "app",
        doc: "The app says how many dynos it wants: the value is that number.",
        fields: &[],
        shorthand: &[],
    },
    build,
};

fn build(_values: &Values, unit: Unit) -> Result<Arc<dyn Policy>, FieldError> {
    match unit {
        Unit::Dynos | Unit::Count => Ok(Arc::new(App)),
        unit => Err(FieldError::new(
            "type",
            format!(
                "is app, which takes the value for a number of dynos, but the measurement counts {}: decide by target",
                unit.as_str()
            ),
        )),
    }
}

impl Policy for App {
    fn window(&self) -> Window {
        Window { samples: 1, span: SignedDuration::MAX }
    }

    fn verdict(&self, _value: f64) -> Verdict {
        Verdict::JustRight
    }

    fn verdict_at(&self, value: f64, dynos: Dynos) -> Verdict {
        match dynos_for(value).cmp(&dynos) {
            std::cmp::Ordering::Less => Verdict::TooLow,
            std::cmp::Ordering::Equal => Verdict::JustRight,
            std::cmp::Ordering::Greater => Verdict::TooHigh,
        }
    }

    fn keeps_evidence(&self) -> bool {
        true
    }

    fn propose(&self, input: &PolicyInput<'_>) -> Proposal {
        match input.evidence.newest().map(|point| point.value) {
            Some(Some(value)) => Proposal::want(dynos_for(value), Phrase::with("the app wants {0} dynos", [value])),
            // A wish is no load: an app too busy to say one has said none.
            Some(None) => Proposal::unknown(Phrase::new("the app did not say how many dynos it wants")),
            None => Proposal::want(input.dynos, NOTHING_READ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::testing::{build, propose, reads};

    #[test]
    fn worked_examples() {
        for (said, dynos) in [(0.0, 0), (3.0, 3), (2.1, 3), (2.000_000_000_1, 2), (4e12, u32::MAX)] {
            assert_eq!(propose(&App, 5, 5, &reads(1, &[9.0, said])).desired, Some(dynos), "{said}");
        }
        assert_eq!(propose(&App, 5, 5, &[]).desired, Some(5));
        assert_eq!(propose(&App, 5, 5, &[(0, None, Default::default())]).desired, None);
        assert_eq!(
            [4.0, 5.0, 6.0].map(|v| App.verdict_at(v, 5)),
            [Verdict::TooLow, Verdict::JustRight, Verdict::TooHigh]
        );
        assert!(build(&KIND, Unit::Dynos, &[]).is_ok());
        assert_eq!(build(&KIND, Unit::Jobs, &[]).unwrap_err().field, "type");
    }
}
