//! `clock`: nothing but the time goes by. It is always there, and so is what decides by time alone: the policy `schedule`.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use autoscalebot_core::fields::{Description, FieldError, MeasurementKind, Values};
use autoscalebot_core::{Reading, Taken, Unit};

use crate::{Measure, MeasureContext, MeasureEntry};

/// The entry in the list of measurements.
pub const ENTRY: MeasureEntry = MeasureEntry {
    kind: MeasurementKind {
        description: Description {
            name: "clock",
            doc: "Nothing but the time, for what decides by time alone: the policy `schedule`.",
            fields: &[],
            shorthand: &[],
        },
        unit: Unit::Count,
        failures_mean_overload: false,
        told: false,
        default_every: "\"30s\"",
        check: |_, _| Ok(()),
    },
    build,
};

fn build(_values: &Values, _context: MeasureContext<'_>) -> Result<Arc<dyn Measure>, FieldError> {
    Ok(Arc::new(Clock))
}

#[derive(Debug)]
struct Clock;

#[async_trait]
impl Measure for Clock {
    async fn read(&self) -> Taken {
        Taken::from(Reading::Value(0.0))
    }

    fn budget(&self) -> Duration {
        Duration::from_secs(1)
    }
}
