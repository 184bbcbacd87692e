//! stub
use autoscalebot_core::Unit;
use autoscalebot_core::fields::{Description, Field, FieldError, FieldType, MeasurementKind};

use crate::MeasureEntry;

/// The entry in the list of measurements.
pub const ENTRY: MeasureEntry = MeasureEntry {
    kind: MeasurementKind {
        description: Description {
            name: "heartbeat",
            doc: "The time that an HTTP request to the app takes.",
            fields: &[Field::required(
                "url",
                FieldType::Url(&["http", "https"]),
                "What to request.",
                "\"https://shop.example/\"",
            )],
            shorthand: &[],
        },
        unit: Unit::Milliseconds,
        failures_mean_overload: true,
        default_every: "30s",
        check: |_, _| Ok(()),
    },
    build: |_, _| Err(FieldError::new("url", "not yet")),
};
