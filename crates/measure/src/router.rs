//! `router`: what the router says of every request, from the app's log drain (Heroku) or from the local platform's own lines:
//! the percentile of a time over a sliding window, with the rate, the concurrency and the mean service time beside it.
//!
//! How lines are read is in `intake::logplex`, when there is no value in `intake::listen`.

use std::sync::Arc;

use autoscalebot_core::fields::{Field, FieldError, FieldType, Values};

use crate::intake::settings::{PERCENTILE, SILENT_AFTER, WINDOW, listen};
use crate::intake::{Of, Sender};
use crate::told::{self, Pointing, To, Way};
use crate::{Measure, MeasureContext, MeasureEntry};

/// The entry in the list of measurements.
pub const ENTRY: MeasureEntry = told::entry(
    "router",
    "A percentile of the times of all requests, from the router's log lines: a log drain, or the local platform.",
    FIELDS,
    build,
);

const FIELDS: &[Field] = &[
    Field::optional(
        "token",
        FieldType::Secret,
        "The secret in the drain's URL, `/drains/TOKEN`: 8 to 256 letters, digits, `-`, `_`, `.` or `~`; without it, the local platform's lines.",
        "{ env = \"DRAIN_TOKEN\" }",
    ),
    PERCENTILE,
    WINDOW,
    Field::defaulting(
        "of",
        FieldType::OneOf(&["service", "connect", "total"]),
        "\"service\"",
        "Which time: until the answer was whole, until the dyno took the connection, or both together.",
    ),
    SILENT_AFTER,
];

fn build(values: &Values, context: MeasureContext<'_>) -> Result<Arc<dyn Measure>, FieldError> {
    let of = match values.text("of") {
        Some("connect") => Of::Connect,
        Some("total") => Of::Total,
        _ => Of::Service,
    };
    listen(values, context, Sender::Drain, of, true, point)
}

fn point(to: To<'_>) -> Pointing {
    Pointing::by(Way::LogDrain(to.url("/drains/TOKEN")))
}
