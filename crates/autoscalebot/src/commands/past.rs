//! What the commands that look at the past share: instants as people give them, and which processes are meant.

use autoscalebot_settings::Settings;
use autoscalebot_store::{ProcessKey, Who};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Span, SpanRelativeTo, Timestamp};

use crate::cli::Which;
use crate::fault::Fault;

/// The zone of the settings, in which times are shown.
pub(crate) fn zone(settings: &Settings) -> TimeZone {
    TimeZone::get(&settings.time_zone).unwrap_or(TimeZone::UTC)
}

/// An instant as a person sees it on the clock.
pub(crate) fn local(at: Timestamp, zone: &TimeZone) -> String {
    zone.to_datetime(at).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// An instant from the command line: RFC 3339, a date and time in the settings' zone, or a time before now, as in `2h`.
pub(crate) fn moment(flag: &str, text: &str, zone: &TimeZone, now: Timestamp) -> Result<Timestamp, Fault> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at);
    }
    let local = text.parse::<DateTime>().ok().and_then(|local| zone.to_timestamp(local).ok());
    let ago = || {
        let span: Span = text.parse().ok()?;
        now.checked_sub(span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?).ok()
    };
    local.or_else(ago).ok_or_else(|| {
        Fault::usage(format!(
            "{flag} {text}: give an instant such as 2026-11-01T05:30:00Z, 2026-11-01T01:30 in the settings' zone, or 2h for \
             two hours ago"
        ))
    })
}

/// A length of time as a person would say it.
pub(crate) fn length(seconds: i64) -> String {
    match seconds.max(0) {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds @ 7200..172_800 => format!("{} h", seconds / 3600),
        seconds => format!("{} days", seconds / 86_400),
    }
}

/// The processes of the settings that are meant, in their order. A name that the settings do not have may still be in the
/// store, but is most likely misspelt.
pub(crate) fn keys(settings: &Settings, which: &Which) -> Result<Vec<ProcessKey>, Fault> {
    let all = settings
        .apps
        .iter()
        .flat_map(|app| app.processes.iter().map(|process| ProcessKey::new(&*app.key, &*process.spec.process)));
    let all: Vec<_> = all.collect();
    let fits = |key: &&ProcessKey| {
        which.app.as_ref().is_none_or(|app| *app == key.app)
            && which.process.as_ref().is_none_or(|process| *process == key.process)
    };
    let found: Vec<_> = all.iter().filter(fits).cloned().collect();
    if found.is_empty() {
        let names: Vec<_> = all.iter().map(|key| format!("{}/{}", key.app, key.process)).collect();
        return Err(Fault::usage(format!("no such process; the settings have {}", names.join(", "))));
    }
    Ok(found)
}

/// The one process that is meant.
pub(crate) fn one_key(settings: &Settings, which: &Which) -> Result<ProcessKey, Fault> {
    let mut found = keys(settings, which)?;
    match (found.pop(), found.is_empty()) {
        (Some(key), true) => Ok(key),
        (last, _) => {
            let names: Vec<_> = found.iter().chain(&last).map(|key| format!("{}/{}", key.app, key.process)).collect();
            Err(Fault::usage(format!("say which with --app and --process: {}", names.join(", "))))
        }
    }
}

/// The same for the store, which knows the names alone.
pub(crate) fn who(which: &Which) -> Who {
    Who { app: which.app.clone(), process: which.process.clone() }
}
