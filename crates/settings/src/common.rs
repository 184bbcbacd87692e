//! The settings that no kind brings along: the keys of the file itself, of an app, a process, a measurement and a
//! notification. They are tables of fields too, so that reader, schema and reference page tell the same.

use autoscalebot_core::fields::{Field, FieldType};

/// The longest interval and age that make sense, in seconds.
pub(crate) const DAY: f64 = 86_400.0;

/// Keys at the top of the file that hold no table.
pub(crate) const ROOT: &[Field] = &[Field::defaulting(
    "time_zone",
    FieldType::Text,
    "\"UTC\"",
    "The IANA zone whose clock the time tables follow; the zone data is built in.",
)];

/// Tables at the top of the file.
pub(crate) const ROOT_TABLES: &[&str] = &["platforms", "apps", "notify", "server", "store"];

/// Keys of an app; `processes` besides.
pub(crate) const APP: &[Field] = &[
    Field::optional(
        "platform",
        FieldType::Text,
        "The platform's name in these settings; may be left out where there is only one.",
        "\"heroku\"",
    ),
    Field::optional(
        "name",
        FieldType::Text,
        "The app's name on the platform; without it, the app's key.",
        "\"dancing-forest-1234\"",
    ),
];

/// Keys of a process; `measure`, the gates and the bounds besides.
pub(crate) const PROCESS: &[Field] = &[Field::defaulting(
    "zero",
    FieldType::OneOf(&["keep", "start"]),
    "\"keep\"",
    "What a quantity of 0 means that autoscalebot did not set, where min_dynos is above 0: keep it, as somebody stopped \
     the process by hand, or start it.",
)];

/// Bounds of a process, with their defaults: those of 2.1.
pub(crate) const BOUNDS: &[(&str, u32, &str)] = &[
    ("min_dynos", 1, "The fewest dynos: a number, or a table of numbers by time."),
    ("max_dynos", 3, "The most dynos: a number, or a table of numbers by time."),
];

/// Keys of `scaling_too_rapid`.
pub(crate) const RAPID: &[Field] = &[
    Field::required(
        "dynos",
        FieldType::Whole(0, 1_000_000),
        "More than so many dynos between the highest and the lowest quantity are too rapid.",
        "10",
    ),
    Field::required("within", FieldType::Duration(1.0, 30.0 * DAY), "Within this time.", "\"30m\""),
];

/// Keys of a measurement; `type`, `decide` and those of its kind besides.
pub(crate) const MEASURE: &[Field] = &[
    Field::optional(
        "name",
        FieldType::Text,
        "Its name in records, unique in the process; without it, the type.",
        "\"heartbeat\"",
    ),
    Field::optional(
        "every",
        FieldType::Duration(0.1, DAY),
        "How often it is read; without it, as often as its kind says.",
        "\"30s\"",
    ),
    Field::optional(
        "max_age",
        FieldType::Duration(0.1, 30.0 * DAY),
        "A sample older than this is unknown; without it, twice the interval and a minute.",
        "\"2m\"",
    ),
    Field::defaulting(
        "shadow",
        FieldType::Flag,
        "false",
        "Whether its policy only decides and records, and changes nothing.",
    ),
];

/// Keys of `[[notify]]`; `type` and those of its kind besides.
pub(crate) const NOTIFY: &[Field] = &[
    Field::optional(
        "on",
        FieldType::Texts,
        "What to tell of; without it, every condition except paused.",
        "[\"needs_above_max\", \"scale_failing\"]",
    ),
    Field::defaulting(
        "remind",
        FieldType::Text,
        "\"1h\"",
        "How often to remind of a condition that still holds: a duration, or \"never\".",
    ),
];

/// Keys of `[server]`.
pub(crate) const SERVER: &[Field] = &[
    Field::defaulting(
        "listen",
        FieldType::Text,
        "\"127.0.0.1:7878\"",
        "The address and port of dashboard and API. One that other machines reach needs a token.",
    ),
    Field::optional(
        "token",
        FieldType::Secret,
        "Who has it may read and change, by API and dashboard; 16 characters at least.",
        "{ env = \"AUTOSCALEBOT_TOKEN\" }",
    ),
    Field::optional(
        "read_token",
        FieldType::Secret,
        "Who has it may read and not change; for Prometheus and screens on a wall.",
        "{ env = \"AUTOSCALEBOT_READ_TOKEN\" }",
    ),
    Field::optional(
        "path_prefix",
        FieldType::Text,
        "The path under which a proxy shows the dashboard.",
        "\"/autoscalebot\"",
    ),
    Field::optional(
        "public_url",
        FieldType::Url(&["https", "http"]),
        "The address by which log drains and apps reach this program, for `drain-url`.",
        "\"https://scale.example\"",
    ),
];

/// Keys of `[server.tls]`.
pub(crate) const TLS: &[Field] = &[
    Field::required(
        "listen",
        FieldType::Text,
        "The address and port that take HTTPS, beside those of `[server]`; the same is answered there.",
        "\"0.0.0.0:8443\"",
    ),
    Field::required(
        "certificate",
        FieldType::Path,
        "A PEM file: the certificate, then those that signed it. Read again when it changes.",
        "\"certificate.pem\"",
    ),
    Field::required(
        "key",
        FieldType::Path,
        "A PEM file: the certificate's private key, not encrypted. Read again when it changes.",
        "\"key.pem\"",
    ),
];

/// Keys of `[store]`.
pub(crate) const STORE: &[Field] = &[
    Field::defaulting(
        "url",
        FieldType::Text,
        "\"sqlite:autoscalebot.db\"",
        "Where records and state are kept: an SQLite file, relative to the working folder; \"sqlite::memory:\" to keep nothing; or a PostgreSQL URL, which may stand elsewhere: `{ env = \"DATABASE_URL\" }`.",
    ),
    Field::defaulting(
        "records",
        FieldType::Duration(3600.0, 366.0 * DAY),
        "\"1d\"",
        "How long every decision record and every sample is kept.",
    ),
    Field::defaulting(
        "changes",
        FieldType::Duration(3600.0, 3660.0 * DAY),
        "\"90d\"",
        "How long decision records that differ from the one before them are kept, and events.",
    ),
    Field::defaulting(
        "minutes",
        FieldType::Duration(3600.0, 3660.0 * DAY),
        "\"30d\"",
        "How long percentiles of the samples are kept by the minute.",
    ),
    Field::defaulting(
        "hours",
        FieldType::Duration(3600.0, 3660.0 * DAY),
        "\"365d\"",
        "How long percentiles of the samples are kept by the hour.",
    ),
    Field::defaulting(
        "max_mb",
        FieldType::Whole(16, 1_000_000),
        "2048",
        "With more megabytes than this in an SQLite file, the oldest records go before their time.",
    ),
];
