//! What the tests of gates share: one question to one gate.

use std::sync::LazyLock;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::fields::{FieldError, Value};
use crate::gate::{Activity, Gate, GateInput, GateKind, Say};
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
    match gate.ask(&GateInput { seen, ..input(at, (before, desired), state) }) {
        Say::Pass => desired,
        Say::Instead(number, _) => number,
    }
}

/// A question to a gate, with nothing seen.
pub(crate) fn input(at: Timestamp, (before, desired): (Dynos, Dynos), state: &State) -> GateInput<'_> {
    static NOTHING: LazyLock<Observation> = LazyLock::new(Observation::default);
    static ZONE: TimeZone = TimeZone::UTC;
    let (bounds, zone) = (Bounds { min: 1, max: 100 }, &ZONE);
    GateInput { at, before, desired, bounds, state, seen: &NOTHING, zone, activity: Activity::Unknown }
}

/// A gate as the settings build it, with its defaults filled in.
pub(crate) fn build(
    kind: &GateKind,
    given: &[(&'static str, Value)],
) -> Result<Option<std::sync::Arc<dyn Gate>>, FieldError> {
    (kind.build)(&crate::policy::testing::values(kind.description.fields, given))
}
