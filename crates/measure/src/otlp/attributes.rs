//! The attributes of a resource and of a span or point in it: which process they speak of, what came of the request, and who
//! listens.
//!
//! Names are those of OpenTelemetry's HTTP conventions (<https://opentelemetry.io/docs/specs/semconv/http/http-spans/>), stable
//! and older, and of Heroku's reference
//! (<https://devcenter.heroku.com/articles/heroku-opentelemetry-signals-and-attributes-reference>).

use std::hash::{DefaultHasher, Hash, Hasher};

use super::wire::{Broken, Field, Fields};
use crate::intake::logplex::RouterLine;
use crate::intake::process_of;

/// The most attributes that are remembered of a resource and a span together; those of the conventions are a dozen.
const KEPT: usize = 64;
/// Where Heroku says which dyno it is about: `heroku.dyno.name`, or another that begins with this and holds a dyno's name.
const DYNO: &str = "heroku.dyno";

/// What of the telemetry a measurement wants.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    /// The process type.
    pub(crate) process: Box<str>,
    /// The only `service.name` that counts; none: any.
    pub(crate) service: Option<Box<str>>,
    /// The attribute that says the process type or the dyno; none: Heroku's.
    pub(crate) attribute: Option<Box<str>>,
}

/// The value of an attribute, as far as any is looked at.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Any<'a> {
    Text(&'a str),
    Whole(u64),
}

/// Attributes: those of a resource, and those of what is looked at in it.
#[derive(Debug, Default)]
pub(super) struct Attributes<'a> {
    kept: Vec<(&'a str, Any<'a>)>,
    /// How many of them are the resource's.
    resource: usize,
    /// A hash of all, in whatever order they came; of the resource's, and of the others.
    ids: (u64, u64),
}

/// What came of a request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Outcome<'a> {
    /// The HTTP status.
    status: Option<u16>,
    /// Heroku's code of the error, such as `H12`; empty: none.
    code: &'a str,
    /// Whether the instrumentation calls it an error.
    failed: bool,
    /// Whether the router answered without a dyno.
    unserved: bool,
}

impl<'a> Attributes<'a> {
    /// Those of a resource, from its message.
    pub(super) fn of_resource(resource: &'a [u8], filters: &[Filter]) -> Result<Self, Broken> {
        let mut all = Self::default();
        for field in Fields(resource) {
            if let (1, attribute) = field? {
                all.add(attribute.bytes()?, filters)?;
            }
        }
        all.resource = all.kept.len();
        all.ids = (all.ids.1, 0);
        Ok(all)
    }

    /// Forgets those of the last span or point.
    pub(super) fn only_resource(&mut self) {
        self.kept.truncate(self.resource);
        self.ids.1 = 0;
    }

    /// Takes one in, from its message.
    pub(super) fn add(&mut self, key_value: &'a [u8], filters: &[Filter]) -> Result<(), Broken> {
        let (mut key, mut value) = ("", None);
        for field in Fields(key_value) {
            match field? {
                (1, text) => key = text.text()?,
                (2, any) => value = any_value(any.bytes()?)?,
                _ => {}
            }
        }
        let mut hasher = DefaultHasher::new();
        key_value.hash(&mut hasher);
        self.ids.1 = self.ids.1.wrapping_add(hasher.finish());
        let known = ["http.", "url.", "heroku.", "service."].iter().any(|start| key.starts_with(start))
            || key == "error.type"
            || filters.iter().any(|filter| filter.attribute.as_deref() == Some(key));
        if let Some(value) = value.filter(|_| known && self.kept.len() < KEPT) {
            self.kept.push((key, value));
        }
        Ok(())
    }

    /// A number for the resource, and one for the rest.
    pub(super) fn ids(&self) -> (u64, u64) {
        self.ids
    }

    /// What is nearest to the span stands last.
    fn get(&self, key: &str) -> Option<Any<'a>> {
        self.kept.iter().rev().find(|(known, _)| *known == key).map(|(_, value)| *value)
    }

    fn text(&self, key: &str) -> Option<&'a str> {
        match self.get(key)? {
            Any::Text(text) => Some(text),
            Any::Whole(_) => None,
        }
    }

    /// The service's name; empty where there is none.
    pub(super) fn service(&self) -> &'a str {
        self.text("service.name").unwrap_or_default()
    }

    /// Whether it is about HTTP.
    pub(super) fn is_http(&self) -> bool {
        self.kept.iter().any(|(key, _)| key.starts_with("http.") || key.starts_with("url."))
    }

    fn is_heroku(&self) -> bool {
        self.kept.iter().any(|(key, _)| key.starts_with("heroku."))
    }

    /// The process type that Heroku names; none: it does not say.
    fn process(&self) -> Option<&'a str> {
        let named = |(key, value): &(&str, Any<'a>)| match value {
            Any::Text(dyno) if key.starts_with(DYNO) => process_type(dyno),
            _ => None,
        };
        let by_name = self.kept.iter().rev().find_map(named);
        // Elsewhere an instance's id may be anything, and look like a dyno's name.
        let instance = || self.text("service.instance.id").filter(|_| self.is_heroku()).and_then(process_type);
        by_name.or_else(instance)
    }

    /// What came of the request; `failed`: the span says so.
    pub(super) fn outcome(&self, failed: bool) -> Outcome<'a> {
        let status = match self.get("http.response.status_code").or_else(|| self.get("http.status_code")) {
            Some(Any::Whole(status)) => u16::try_from(status).ok(),
            Some(Any::Text(status)) => status.parse().ok(),
            None => None,
        };
        let told = self.kept.iter().filter(|(key, _)| *key == "error.type" || key.starts_with("heroku."));
        let code = |(_, value): &(&str, Any<'a>)| match value {
            Any::Text(text) if is_code(text) => Some(*text),
            _ => None,
        };
        let code = told.clone().find_map(code).unwrap_or_default();
        let failed = failed || status.is_none() && self.text("error.type").is_some();
        let by_router = !code.is_empty() || self.is_heroku() && status.is_some_and(|status| status >= 500);
        let unserved = by_router && self.process().is_none();
        Outcome { status, code, failed, unserved }
    }

    /// Which of these want it, a bit for each of the first 64.
    pub(super) fn wanted(&self, filters: &[Filter], outcome: Option<&Outcome<'_>>) -> u64 {
        let process = self.process().or_else(|| {
            // The router sends to one process type, `web`, whether or not a dyno took the request.
            outcome.is_some_and(|outcome| outcome.unserved || !outcome.code.is_empty()).then_some("web")
        });
        let wants = |filter: &Filter| {
            let service = filter.service.as_deref().is_none_or(|service| service == self.service());
            let process = match &filter.attribute {
                Some(attribute) => self.text(attribute).map(|value| process_type(value).unwrap_or(value)),
                None => Some(process.unwrap_or(&filter.process)),
            };
            service && process == Some(&filter.process)
        };
        filters.iter().take(64).enumerate().filter(|(_, filter)| wants(filter)).fold(0, |all, (at, _)| all | 1 << at)
    }
}

impl Outcome<'_> {
    /// What a request that took `ms` counts as: its time, where that says something of the load, and whether it failed. None:
    /// it is no request to count. The rules are those of the router's lines ([`RouterLine::request`]).
    pub(super) fn counts_as(&self, ms: Option<f64>) -> Option<(Option<f64>, bool)> {
        let service_ms = ms.filter(|_| !self.unserved);
        let line = RouterLine { code: self.code.as_bytes(), status: self.status, service_ms, ..RouterLine::default() };
        let request = line.request()?;
        Some((request.service_ms, request.error || self.failed))
    }
}

/// The value of an attribute; none where it is of a kind that is not looked at.
fn any_value(value: &[u8]) -> Result<Option<Any<'_>>, Broken> {
    for field in Fields(value) {
        match field? {
            (1, text) => return text.text().map(Any::Text).map(Some),
            (3, Field::Varint(number)) => return Ok(Some(Any::Whole(number))),
            _ => {}
        }
    }
    Ok(None)
}

/// Whether this is a code as Heroku gives them to errors (<https://devcenter.heroku.com/articles/error-codes>).
fn is_code(text: &str) -> bool {
    matches!(text.as_bytes(), [b'H', a, b] if a.is_ascii_digit() && b.is_ascii_digit())
}

/// The process type in a dyno's name: `web.1`, and on Fir `web-6f9c8d7b54-x2x9k`, a hash and five characters.
fn process_type(dyno: &str) -> Option<&str> {
    let plain = |part: &str| part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let mut parts = dyno.rsplitn(3, '-');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(end), Some(hash), Some(process))
            if end.len() == 5 && (6..=12).contains(&hash.len()) && plain(end) && plain(hash) && !process.is_empty() =>
        {
            Some(process)
        }
        _ => process_of(dyno),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_dynos_tell_their_process_type() {
        for (dyno, process) in [
            ("web.1", Some("web")),
            ("web-6f9c8d7b54-x2x9k", Some("web")),
            ("mail-worker-6f9c8d7b54-x2x9k", Some("mail-worker")),
            ("web", None),
            ("", None),
            ("-6f9c8d7b54-x2x9k", None),
            ("01234567-89ab-cdef-0123-456789abcdef", None),
        ] {
            assert_eq!(process_type(dyno), process, "{dyno:?}");
        }
    }

    #[test]
    fn requests_count_as_those_of_the_router_do() {
        let outcome = |status, code, failed, unserved| Outcome { status, code, failed, unserved };
        for (outcome, wanted) in [
            (outcome(Some(200), "", false, false), Some((Some(40.0), false))),
            (outcome(Some(404), "", false, false), Some((Some(40.0), false))),
            (outcome(Some(500), "", true, false), Some((Some(40.0), true))),
            (outcome(None, "", true, false), Some((Some(40.0), true))),
            (outcome(Some(101), "", false, false), None),
            (outcome(Some(503), "H12", true, false), Some((Some(30_000.0), true))),
            (outcome(Some(503), "H13", true, false), Some((Some(30_000.0), true))),
            (outcome(Some(499), "H27", true, false), Some((None, true))),
            (outcome(Some(503), "H10", true, true), Some((None, true))),
            (outcome(Some(503), "", true, true), Some((None, true))),
            (outcome(Some(200), "H18", true, false), Some((Some(40.0), true))),
        ] {
            assert_eq!(outcome.counts_as(Some(40.0)), wanted, "{outcome:?}");
        }
    }
}
