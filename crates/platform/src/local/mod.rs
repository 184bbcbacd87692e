//! The `local` platform: a Procfile's process types as dynos on this machine, and an HTTP proxy in front of `web`.
//!
//! Here are its settings, its entry in the list of platforms and [`Local`], which joins the parts: `procfile` and `dotenv`
//! read files, `supervisor` keeps the wanted number of dynos, `dyno` is the life of one, `group` and [`keeper`] see to it
//! that none outlives the program, `routes` knows which dyno may serve, `proxy` and `forward` carry requests, and
//! `router_line` says what became of each. What to scale to is not decided here.

use std::sync::Arc;

use autoscalebot_core::fields::{Description, Field, FieldError, FieldType, PlatformKind, Values};

use crate::{Platform, PlatformContext, PlatformEntry};

/// This platform in the list of platforms.
pub const ENTRY: PlatformEntry = PlatformEntry {
    kind: PlatformKind {
        description: Description {
            name: "local",
            doc: "A Procfile's process types on this machine, with an HTTP proxy in front of `web`.",
            fields: FIELDS,
            shorthand: &["procfile"],
        },
        check,
    },
    build,
};

const FIELDS: &[Field] = &[
    Field::defaulting("procfile", FieldType::Path, "\"Procfile\"", "The Procfile; its dynos run in its folder."),
    Field::optional(
        "env_file",
        FieldType::Path,
        "Variables for every dyno; without it, `.env` beside the Procfile, if there is one.",
        "\".env\"",
    ),
    Field::defaulting(
        "listen",
        FieldType::Text,
        "\"127.0.0.1:5000\"",
        "Where the proxy in front of `web` listens, as address:port; port 0 is any free one.",
    ),
    Field::optional(
        "formation",
        FieldType::WholeTable,
        "How many dynos of each process type to start with; 1 of those that are not named.",
        "{ web = 1, worker = 0 }",
    ),
    Field::defaulting(
        "stop_grace",
        FieldType::Duration(0.0, 3600.0),
        "\"30s\"",
        "How long a dyno that is scaled away may finish its requests, and again how long it may take to end after SIGTERM.",
    ),
    Field::defaulting(
        "queue_limit",
        FieldType::Whole(0, 100_000),
        "100",
        "How many requests may wait while no dyno listens; more are answered 503 (H11).",
    ),
    Field::defaulting(
        "queue_timeout",
        FieldType::Duration(0.0, 3600.0),
        "\"30s\"",
        "How long a request may wait while no dyno listens, before it is answered 503 (H10 or H20).",
    ),
    Field::optional(
        "port_base",
        FieldType::Whole(1024, 65_000),
        "The first port for dynos: each takes the first free one from here up; without it, a free one between 20000 and 32767.",
        "6000",
    ),
];

fn check(_values: &Values) -> Result<(), FieldError> {
    Ok(())
}

fn build(_name: &str, _values: &Values, _context: &PlatformContext) -> Result<Arc<dyn Platform>, FieldError> {
    Err(FieldError::new("type", "not there yet"))
}
