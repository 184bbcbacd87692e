//! What an adapter inside an app reports, in one form for all of them. Each adapter's own form is read in the file of its kind.

use std::borrow::Cow;

use super::source::Of;

/// One report, read.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Report<'a> {
    /// The process type that it is about; none where it does not say, and then it is about any.
    pub(crate) process: Option<Cow<'a, str>>,
    /// What it tells.
    pub(crate) told: Vec<Told<'a>>,
    /// Entries that were not understood.
    pub(crate) odd: u64,
}

/// One thing that is told.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Told<'a> {
    /// A request waited this long before the app saw it. `request`: this is all that is told of the request.
    Waited { at_ms: i64, ms: f64, request: bool },
    /// The app took this long for a request.
    Served { at_ms: i64, ms: f64 },
    /// The newest number of this kind under a name: a queue, a process.
    Newest { of: Of, name: Cow<'a, str>, value: f64 },
}

impl Told<'_> {
    /// When it happened, by the app's clock.
    pub(crate) fn at_ms(&self) -> Option<i64> {
        match self {
            Self::Waited { at_ms, .. } | Self::Served { at_ms, .. } => Some(*at_ms),
            Self::Newest { .. } => None,
        }
    }
}

/// A wait or a service time as apps report it: never negative, and no longer than a day. What is beyond is a mistake of
/// units (Dynoscale's agent sends such where a proxy stamps microseconds).
pub(crate) fn plausible_ms(ms: f64) -> Option<f64> {
    (0.0..=86_400_000.0).contains(&ms).then_some(ms)
}

/// Seconds of the Unix epoch, as milliseconds; none for what is no time of this or the last centuries.
pub(crate) fn seconds(seconds: i64) -> Option<i64> {
    (0..=253_402_300_799).contains(&seconds).then(|| seconds * 1000)
}

/// The process type in a container's name: `web.1`, `web-1`. None: the name does not tell (a machine's id, nothing).
pub(crate) fn process_of(container: &str) -> Option<&str> {
    let (process, number) = container.rsplit_once(['.', '-'])?;
    let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    let numbered = !number.is_empty() && number.len() <= 4 && number.bytes().all(|byte| byte.is_ascii_digit());
    (numbered && !process.is_empty() && process.len() <= 30 && plain(process)).then_some(process)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_tell_their_process_type_or_nothing() {
        for (container, process) in [
            ("web.1", Some("web")),
            ("web-1", Some("web")),
            ("mail_worker.12", Some("mail_worker")),
            ("", None),
            ("srv-d1a2b3c4", None),
            ("3d8d9014", None),
            ("01234567-89ab-cdef-0123-456789abcdef", None),
            (".1", None),
        ] {
            assert_eq!(process_of(container), process, "{container:?}");
        }
    }
}
