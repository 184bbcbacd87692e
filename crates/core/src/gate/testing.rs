//! What the tests of gates share: one question to one gate.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::fields::{FieldError, Value};
use crate::gate::{Gate, GateInput, GateKind, Say};
use crate::{Bounds, Dynos, Observation, State};

/// An instant, so many seconds after another.
pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

/// The number that a gate leaves of a proposal.
pub(crate) fn ask(
    gate: &dyn Gate,
    at: Timestamp,
    (before, desired): (Dynos, Dynos),
    state: &State,
    seen: &Observation,
) -> Dynos {
    let (bounds, zone) = (Bounds { min: 1, max: 100 }, &TimeZone::UTC);
    match gate.ask(&GateInput { at, before, desired, bounds, state, seen, zone }) {
        Say::Pass => desired,
        Say::Instead(number, _) => number,
    }
}

/// A gate as the settings build it, with its defaults filled in.
pub(crate) fn build(
    kind: &GateKind,
    given: &[(&'static str, Value)],
) -> Result<Option<std::sync::Arc<dyn Gate>>, FieldError> {
    (kind.build)(&crate::policy::testing::values(kind.description.fields, given))
}
