//! What an answer of the Platform API means: what it refuses and why ([`check`]), and a formation in it ([`entries`]). Pure.
//!
//! Errors are `{"id", "message", "url"?}` and are told apart by status and id, never by their message:
//! <https://devcenter.heroku.com/articles/platform-api-reference#errors>. An answer may also be an HTML page (of the router
//! in front, in maintenance) or be cut short: nothing of those is ever taken for a number.

use autoscalebot_core::{Dynos, Secret};
use jiff::Timestamp;
use serde::Deserialize;

use super::limit::LimitOf;
use super::wire::Answer;

/// How much of the platform's own words is passed on.
const SAID_MAX: usize = 240;

/// Why a call came to nothing. The texts are what the platform said, with its status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refused {
    /// 401: the key is wrong or revoked.
    Key(String),
    /// 402, 403: the key is good, and may not do this.
    Access(String),
    /// 404: no such app, or no such process type.
    Missing(String),
    /// 422: a limit on dynos.
    Limit { limit: Option<Dynos>, of: LimitOf, said: String },
    /// 400, 406, 416, and 422 for another reason: the same again is no use.
    Invalid(String),
    /// 429: nothing may be sent before then.
    Wait(Timestamp),
    /// Anything else; it may work again by itself.
    Broken(String),
    /// No whole answer in time.
    Late,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ErrorBody {
    id: Option<String>,
    message: Option<String>,
    limit: Option<serde_json::Value>,
}

/// Whether an answer is what was asked for. `wait_until` is what a 429 asks for.
pub(super) fn check(answer: &Answer, key: &Secret, wait_until: Timestamp) -> Result<(), Refused> {
    let status = answer.status;
    let error: ErrorBody = match status {
        400..500 => serde_json::from_slice(&answer.body).unwrap_or_default(),
        _ => ErrorBody::default(),
    };
    let said = || said(answer, key);
    Err(match (status, error.id.as_deref()) {
        (200..=202 | 206 | 304, _) => return Ok(()),
        (401, _) => Refused::Key(said()),
        (402 | 403, _) => Refused::Access(said()),
        (404, _) => Refused::Missing(said()),
        (422, Some("cannot_run_above_limit")) => {
            Refused::Limit { limit: limit(error.limit.as_ref()), of: LimitOf::App, said: said() }
        }
        (422, Some("cannot_update_above_limit")) => {
            Refused::Limit { limit: limit(error.limit.as_ref()), of: LimitOf::Process, said: said() }
        }
        // Without an id it did not come from the API itself, and may pass.
        (400 | 406 | 416 | 422, Some(_)) => Refused::Invalid(said()),
        (429, _) => Refused::Wait(wait_until),
        (300..400, _) => {
            let to = answer.redirect_host.as_deref().unwrap_or("nowhere");
            Refused::Broken(format!("{status}, a redirect to {to}, which is not followed"))
        }
        _ => Refused::Broken(said()),
    })
}

/// A limit that makes sense. It may come as a number or as text.
fn limit(value: Option<&serde_json::Value>) -> Option<Dynos> {
    match value? {
        serde_json::Value::Number(number) => number.as_u64().and_then(|number| Dynos::try_from(number).ok()),
        serde_json::Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// What an answer said, for people: `422 invalid_params: …`, or the status and the kind of body.
pub(super) fn said(answer: &Answer, key: &Secret) -> String {
    let status = answer.status;
    let error: Option<ErrorBody> = serde_json::from_slice(&answer.body).ok();
    match error {
        Some(ErrorBody { id: Some(id), message, .. }) => match message {
            Some(message) => tidy(&format!("{status} {id}: {message}"), key),
            None => tidy(&format!("{status} {id}"), key),
        },
        _ => format!("{status} with {}", kind_of_body(&answer.body)),
    }
}

/// The platform's words, safe to show: the key taken out, one line, not too long.
fn tidy(text: &str, key: &Secret) -> String {
    let text = text.replace(key.expose(), "***");
    let mut line = String::with_capacity(text.len().min(SAID_MAX));
    for (index, word) in text.split_whitespace().enumerate() {
        if index > 0 {
            line.push(' ');
        }
        line.extend(word.chars().filter(|letter| !letter.is_control()));
    }
    if line.chars().count() > SAID_MAX {
        line = line.chars().take(SAID_MAX).chain(['…']).collect();
    }
    line
}

fn kind_of_body(body: &[u8]) -> &'static str {
    let body = body.trim_ascii();
    match body.first() {
        None => "an empty body",
        Some(b'<') => "an HTML page",
        Some(_) if body == b"\"\"" => "an empty body",
        Some(_) if serde_json::from_slice::<serde::de::IgnoredAny>(body).is_ok() => {
            "JSON that is not what was asked for"
        }
        Some(b'{' | b'[' | b'"') => "a body that is not whole JSON",
        Some(_) => "a body that is not JSON",
    }
}

/// One process type of a formation, as far as this program needs it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Entry {
    /// The process type.
    #[serde(rename = "type")]
    pub(super) process: String,
    /// How many dynos are wanted. A whole number that fits: anything else makes the whole answer unreadable, never 0.
    pub(super) quantity: Dynos,
    /// Their size, such as `Standard-1X`; its letters' case varies.
    #[serde(default)]
    pub(super) size: Option<serde_json::Value>,
}

impl Entry {
    /// The size in lower case, where it is a name.
    pub(super) fn size(&self) -> Option<String> {
        self.size.as_ref().and_then(serde_json::Value::as_str).map(str::to_ascii_lowercase)
    }
}

/// The entries of a formation, in the platform's order. Who looks for one looks by its type, not its place.
pub(super) fn entries(answer: &Answer) -> Result<Vec<Entry>, Refused> {
    let entries: Vec<Entry> = serde_json::from_slice(&answer.body).map_err(|error| {
        let kind = kind_of_body(&answer.body);
        // A wrong type or a missing field has a place that helps; a body that is no JSON has not.
        let at =
            if error.is_data() && error.column() > 0 { format!(" (column {})", error.column()) } else { String::new() };
        Refused::Broken(format!("{} with {kind}{at} in place of a formation", answer.status))
    })?;
    let mut seen: Vec<&str> = entries.iter().map(|entry| entry.process.as_str()).collect();
    seen.sort_unstable();
    if seen.windows(2).any(|pair| matches!(pair, [a, b] if a == b)) {
        return Err(Refused::Broken(format!("{} with a process type listed twice", answer.status)));
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        Answer { status, body: body.as_bytes().to_vec(), ..Answer::default() }
    }

    fn checked(status: u16, body: &str) -> Result<(), Refused> {
        check(&answer(status, body), &Secret::new("tok-EXAMPLE-1234"), Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn every_status_of_the_reference() {
        use Refused::{Access, Broken, Invalid, Key, Limit, Missing, Wait};
        let error = |id: &str| format!(r#"{{"id":"{id}","message":"m"}}"#);
        let rows = [
            (200, "[]".to_owned(), Ok(())),
            (202, "[]".to_owned(), Ok(())),
            (206, "[]".to_owned(), Ok(())),
            (304, String::new(), Ok(())),
            (400, error("bad_request"), Err(Invalid("400 bad_request: m".into()))),
            (401, error("unauthorized"), Err(Key("401 unauthorized: m".into()))),
            (401, String::new(), Err(Key("401 with an empty body".into()))),
            (402, error("delinquent"), Err(Access("402 delinquent: m".into()))),
            (403, error("suspended"), Err(Access("403 suspended: m".into()))),
            (404, error("not_found"), Err(Missing("404 not_found: m".into()))),
            (406, error("not_acceptable"), Err(Invalid("406 not_acceptable: m".into()))),
            (409, error("conflict"), Err(Broken("409 conflict: m".into()))),
            (416, error("requested_range_not_satisfiable"), {
                Err(Invalid("416 requested_range_not_satisfiable: m".into()))
            }),
            (422, error("invalid_params"), Err(Invalid("422 invalid_params: m".into()))),
            (422, error("verification_needed"), Err(Invalid("422 verification_needed: m".into()))),
            (422, "<html>".into(), Err(Broken("422 with an HTML page".into()))),
            (422, error("cannot_run_above_limit"), {
                Err(Limit { limit: None, of: LimitOf::App, said: "422 cannot_run_above_limit: m".into() })
            }),
            (422, r#"{"id":"cannot_run_above_limit","limit":2,"size":11}"#.into(), {
                Err(Limit { limit: Some(2), of: LimitOf::App, said: "422 cannot_run_above_limit".into() })
            }),
            (422, r#"{"id":"cannot_update_above_limit","limit":"100","size":"Basic"}"#.into(), {
                Err(Limit { limit: Some(100), of: LimitOf::Process, said: "422 cannot_update_above_limit".into() })
            }),
            (422, r#"{"id":"cannot_update_above_limit","limit":-1}"#.into(), {
                Err(Limit { limit: None, of: LimitOf::Process, said: "422 cannot_update_above_limit".into() })
            }),
            (429, error("rate_limit"), Err(Wait(Timestamp::UNIX_EPOCH))),
            (500, String::new(), Err(Broken("500 with an empty body".into()))),
            (503, error("unavailable"), Err(Broken("503 unavailable: m".into()))),
            (503, error("maintenance"), Err(Broken("503 maintenance: m".into()))),
            (302, String::new(), Err(Broken("302, a redirect to nowhere, which is not followed".into()))),
            (204, String::new(), Err(Broken("204 with an empty body".into()))),
        ];
        for (status, body, wanted) in rows {
            assert_eq!(checked(status, &body), wanted, "{status} {body}");
        }
    }

    #[test]
    fn a21_the_kind_of_body_is_named() {
        for (body, kind) in [
            ("", "503 with an empty body"),
            (" \n", "503 with an empty body"),
            ("\"\"", "503 with an empty body"),
            ("<html><title>Maintenance</title>", "503 with an HTML page"),
            ("{\"quantity\":4,\"ty", "503 with a body that is not whole JSON"),
            ("Service Unavailable", "503 with a body that is not JSON"),
            ("[]", "503 with JSON that is not what was asked for"),
        ] {
            assert_eq!(checked(503, body), Err(Refused::Broken(kind.into())), "{body}");
        }
    }

    #[test]
    fn a21_what_is_no_formation_is_unknown_and_never_zero() {
        for body in [
            "",
            "<html></html>",
            r#"{"quantity":4,"ty"#,
            "{}",
            "null",
            r#"[{"type":"web"}]"#,
            r#"[{"type":"web","quantity":null}]"#,
            r#"[{"type":"web","quantity":-1}]"#,
            r#"[{"type":"web","quantity":"3"}]"#,
            r#"[{"type":"web","quantity":3.5}]"#,
            r#"[{"type":"web","quantity":4294967296}]"#,
            r#"[{"type":"web","quantity":1e3}]"#,
            r#"[{"quantity":3}]"#,
            r#"[{"type":7,"quantity":3}]"#,
            r#"[{"type":"web","quantity":3},{"type":"web","quantity":4}]"#,
            r#"[{"type":"web","quantity":3}"#,
        ] {
            assert!(matches!(entries(&answer(200, body)), Err(Refused::Broken(_))), "{body}");
        }
        let good = entries(&answer(200, r#"[{"type":"web","quantity":0,"size":11,"x":1}]"#)).unwrap();
        assert_eq!(good[0].quantity, 0);
        assert_eq!(good[0].size(), None);
    }

    #[test]
    fn a34_what_the_platform_says_is_shown_without_the_key_on_one_short_line() {
        let body =
            format!(r#"{{"id":"forbidden","message":"key tok-EXAMPLE-1234\nis\u0007 bad {}"}}"#, "x".repeat(1000));
        let Err(Refused::Access(said)) = checked(403, &body) else { unreachable!() };
        assert!(said.starts_with("403 forbidden: key *** is bad xxx"), "{said}");
        assert_eq!(said.chars().count(), SAID_MAX + 1);
    }
}
