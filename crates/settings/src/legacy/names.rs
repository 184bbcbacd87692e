//! The names of 2.1 and what each takes.

use crate::problem::nearest;

/// What stands before every name in a Django settings file and in the environment.
pub(crate) const PREFIX: &str = "AUTOSCALE_";

/// What a setting takes, for reading it from the environment and for the reference page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Takes {
    /// Text as it is.
    Text,
    /// A number.
    Number,
    /// `True` or `False`.
    Flag,
    /// A number of dynos, or a table of them.
    Dynos,
    /// A list.
    List,
    /// A word, or a table.
    Section,
}

/// One setting of 2.1.
pub(crate) struct Setting {
    pub(crate) name: &'static str,
    pub(crate) takes: Takes,
    /// As Python writes it; empty: required.
    pub(crate) default: &'static str,
    /// What it is in TOML.
    pub(crate) now: &'static str,
}

const fn setting(name: &'static str, takes: Takes, default: &'static str, now: &'static str) -> Setting {
    Setting { name, takes, default, now }
}

/// Every setting of 2.1, and those that have come since under names like its own.
pub(crate) const SETTINGS: &[Setting] = &[
    setting("HEROKU_APP_NAME", Takes::Text, "", "`[apps.NAME]`"),
    setting("HEROKU_API_KEY", Takes::Text, "", "`api_key` of the platform"),
    setting("HEARTBEAT_URL", Takes::Text, "", "`url` of the heartbeat; an absolute URL, unlike in 2.1"),
    setting("HEARTBEAT_INTERVAL_IN_SECONDS", Takes::Number, "30", "`every` of the heartbeat"),
    setting("MAX_RESPONSE_TIME_IN_MS", Takes::Number, "1000", "`high` of `decide`, and `timeout` of the heartbeat"),
    setting("MIN_RESPONSE_TIME_IN_MS", Takes::Number, "200", "`low` of `decide`"),
    setting("NUMBER_OF_FAILS_TO_SCALE_UP_AFTER", Takes::Number, "3", "`fails` of `decide`"),
    setting("NUMBER_OF_PASSES_TO_SCALE_DOWN_AFTER", Takes::Number, "5", "`passes` of `decide`"),
    setting("MAX_DYNOS", Takes::Dynos, "3", "`max_dynos`"),
    setting("MIN_DYNOS", Takes::Dynos, "1", "`min_dynos`"),
    setting("INCREMENT", Takes::Number, "1", "`increment` of `decide`"),
    setting(
        "PLATFORM",
        Takes::Section,
        "\"heroku\"",
        "`[platforms.NAME]`, as a dictionary or its `type` alone; not in 2.1",
    ),
    setting("TIME_ZONE", Takes::Text, "\"UTC\"", "`time_zone`"),
    setting("NOTIFICATION_BACKENDS", Takes::List, "[]", "`[[notify]]`, one for each"),
    setting("NOTIFY_IF_SCALE_DIFF_EXCEEDS_THRESHOLD", Takes::Number, "None", "`dynos` of `scaling_too_rapid`"),
    setting("NOTIFY_IF_SCALE_DIFF_EXCEEDS_PERIOD_IN_MINUTES", Takes::Number, "None", "`within` of `scaling_too_rapid`"),
    setting("NOTIFY_IF_NEEDS_EXCEED_MAX", Takes::Flag, "True", "`needs_above_max` in `on`"),
    setting("NOTIFY_IF_NEEDS_BELOW_MIN", Takes::Flag, "False", "`needs_below_min` in `on`"),
    setting("NOTIFY_ON_SCALE_FAILS", Takes::Flag, "False", "`scale_failing` in `on`"),
    setting("NOTIFY_ON_EVERY_SCALE", Takes::Flag, "False", "`scaled` in `on`"),
    setting("NOTIFY_ON_EVERY_PING", Takes::Flag, "False", "`decided` in `on`"),
];

/// Django's own settings that e-mail needs; they have no prefix in a Django settings file.
pub(crate) const DJANGO: &[&str] = &[
    "EMAIL_HOST",
    "EMAIL_PORT",
    "EMAIL_HOST_USER",
    "EMAIL_HOST_PASSWORD",
    "EMAIL_USE_TLS",
    "EMAIL_USE_SSL",
    "SERVER_EMAIL",
    "ADMINS",
];

/// Names that the Python package reads itself.
pub(crate) const OF_PACKAGE: &[&str] = &["HEARTBEAT_PARTS", "SITE_URL"];

/// The setting that an unknown name is most likely meant to be: one or two slips away, no more, as other names are the
/// user's own.
pub(crate) fn misspelt(name: &str) -> Option<&'static str> {
    let near = nearest(name, SETTINGS.iter().map(|setting| setting.name))?;
    let slips = strsim::damerau_levenshtein(name, near);
    (name.len() >= 6 && slips <= 2).then_some(near)
}
