//! Settings that several kinds take, written once.

use autoscalebot_core::Unit;
use autoscalebot_core::fields::{Field, FieldType, Values};

/// What the number counts, for sources that can give any number.
pub(crate) const UNIT: Field = Field::defaulting(
    "unit",
    FieldType::Counts(&[
        ("count", Unit::Count),
        ("ms", Unit::Milliseconds),
        ("rps", Unit::RequestsPerSecond),
        ("jobs", Unit::Jobs),
        ("dynos", Unit::Dynos),
    ]),
    "\"count\"",
    "What the number counts; with `ms`, levels are durations, and `dynos` is a number of dynos that the source wishes for.",
);

/// A factor, for numbers in another unit.
pub(crate) const FACTOR: Field = Field::defaulting(
    "factor",
    FieldType::Number(1e-12, 1e12),
    "1",
    "What the number is multiplied with, such as 1000 for seconds where the unit is `ms`.",
);

/// The time limit.
pub(crate) const TIMEOUT: Field = Field::defaulting(
    "timeout",
    FieldType::Duration(0.001, 300.0),
    "\"5s\"",
    "The most that a reading may take; at most `every`.",
);

/// How old a reading may be by its own instant.
pub(crate) const LATE_AFTER: Field = Field::defaulting(
    "late_after",
    FieldType::Duration(1.0, 30.0 * 86_400.0),
    "\"2m\"",
    "A reading whose own instant is older than this is unknown; clocks may differ by as much.",
);

/// Headers.
pub(crate) const HEADERS: Field = Field::optional(
    "headers",
    FieldType::TextTable,
    "Headers to send; never shown.",
    "{ \"X-Api-Key\" = { env = \"METRICS_KEY\" } }",
);

/// A user name.
pub(crate) const USERNAME: Field =
    Field::optional("username", FieldType::Text, "The user name for basic authentication.", "\"monitor\"");

/// A password.
pub(crate) const PASSWORD: Field = Field::optional(
    "password",
    FieldType::Secret,
    "The password for basic authentication.",
    "{ env = \"METRICS_PASSWORD\" }",
);

/// A bearer token.
pub(crate) const TOKEN: Field = Field::optional(
    "token",
    FieldType::Secret,
    "A bearer token, sent as `Authorization`.",
    "{ env = \"METRICS_TOKEN\" }",
);

/// The factor of these settings.
pub(crate) fn factor(values: &Values) -> f64 {
    values.number("factor").unwrap_or(1.0)
}
