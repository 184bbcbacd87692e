//! Numbers as sources write them in JSON: a number, or a text that is one. [`pointer`] finds them in a document.
//!
//! Nothing of the document itself is shown in a failure, as a pointer that is off by one may point at a token.

use autoscalebot_core::{Failure, Reading};
use jiff::Timestamp;
use serde_json::Value;

/// Milliseconds, not seconds, from this on: as seconds it would be the year 5138, as milliseconds it is 1973.
const MILLISECONDS_FROM: f64 = 1e11;

/// The value at an RFC 6901 pointer; `null` counts as no reading.
/// See <https://www.rfc-editor.org/rfc/rfc6901>.
pub(crate) fn pointer<'v>(document: &'v Value, pointer: &str) -> Result<&'v Value, Failure> {
    match document.pointer(pointer) {
        None => Err(Failure::Other(format!("the answer holds no {pointer}").into())),
        Some(Value::Null) => Err(Failure::Empty),
        Some(value) => Ok(value),
    }
}

/// A number at or above zero, times a factor.
pub(crate) fn number(value: &Value, factor: f64) -> Result<f64, Failure> {
    let number = match value {
        Value::Number(number) => number.as_f64().ok_or_else(|| invalid("a number too large"))?,
        Value::String(text) => text_number(text)?,
        Value::Null => return Err(Failure::Empty),
        Value::Bool(_) => return Err(invalid("true or false")),
        Value::Array(_) => return Err(invalid("a list")),
        Value::Object(_) => return Err(invalid("an object")),
    };
    match Reading::number(number * factor) {
        Reading::Value(value) => Ok(value),
        Reading::Failed(failure) => Err(failure),
    }
}

/// A text that is a number, `NaN` and `Inf` included (they are refused later, by name).
pub(crate) fn text_number(text: &str) -> Result<f64, Failure> {
    let text = text.trim();
    if text.is_empty() {
        return Err(Failure::Empty);
    }
    text.parse().map_err(|_| invalid("a text that is no number"))
}

/// An instant: seconds or milliseconds since 1970, or text with a date, a time and a zone (RFC 3339).
pub(crate) fn instant(value: &Value) -> Option<Timestamp> {
    let number = match value {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => match text.trim().parse::<f64>() {
            Ok(number) => number,
            Err(_) => return text.trim().parse().ok(),
        },
        _ => return None,
    };
    seconds(number)
}

/// An instant from seconds or milliseconds since 1970, told apart by their size.
pub(crate) fn seconds(number: f64) -> Option<Timestamp> {
    if !number.is_finite() {
        return None;
    }
    let milliseconds = if number.abs() >= MILLISECONDS_FROM { number } else { number * 1000.0 };
    // A float beyond the range becomes the nearest whole number, which the timestamp then refuses.
    Timestamp::from_millisecond(milliseconds as i64).ok()
}

/// Milliseconds from then till now; an instant in the future, as of a clock that is fast, is no age below zero.
pub(crate) fn age_ms(then: Timestamp, now: Timestamp) -> f64 {
    (now.duration_since(then).as_secs_f64() * 1000.0).max(0.0)
}

fn invalid(what: &str) -> Failure {
    Failure::Invalid(what.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_texts_that_are_numbers() {
        let read = |text: &str| number(&serde_json::from_str(text).unwrap(), 1.0).map_err(|f| f.to_string());
        assert_eq!(read("12"), Ok(12.0));
        assert_eq!(read("\" 12.5 \""), Ok(12.5));
        assert_eq!(read("0"), Ok(0.0));
        assert_eq!(read("\"1e3\""), Ok(1000.0));
        assert_eq!(read("\"NaN\""), Err("invalid NaN".into()));
        assert_eq!(read("\"+Inf\""), Err("invalid inf".into()));
        assert_eq!(read("-1"), Err("invalid -1".into()));
        assert_eq!(read("\"twelve\""), Err("invalid a text that is no number".into()));
        assert_eq!(read("\"\""), Err("empty".into()));
        assert_eq!(read("null"), Err("empty".into()));
        assert_eq!(read("true"), Err("invalid true or false".into()));
        assert_eq!(read("[1]"), Err("invalid a list".into()));
        assert_eq!(read("{}"), Err("invalid an object".into()));
    }

    #[test]
    fn a_factor_that_overflows_is_invalid() {
        assert_eq!(number(&Value::from(1e300), 1e12), Err(Failure::Invalid("inf".into())));
        assert_eq!(number(&Value::from(1.5), 1000.0), Ok(1500.0));
    }

    #[test]
    fn instants_in_the_forms_that_sources_use() {
        let want: Timestamp = "2026-11-25T07:09:29.948Z".parse().unwrap();
        for text in ["1795590569948", "1795590569.948", "\"1795590569.948\"", "\"2026-11-25T07:09:29.948Z\""] {
            assert_eq!(instant(&serde_json::from_str(text).unwrap()), Some(want), "{text}");
        }
        for text in ["null", "\"yesterday\"", "1e300", "[]"] {
            assert_eq!(instant(&serde_json::from_str(text).unwrap()), None, "{text}");
        }
        assert_eq!(age_ms(want, want - jiff::SignedDuration::from_secs(60)), 0.0);
    }

    #[test]
    fn pointers_of_rfc_6901() {
        let document = serde_json::json!({ "a/b": [ { "m~n": 7 } ], "null": null });
        assert_eq!(pointer(&document, "/a~1b/0/m~0n"), Ok(&Value::from(7)));
        assert_eq!(pointer(&document, ""), Ok(&document));
        assert_eq!(pointer(&document, "/null"), Err(Failure::Empty));
        assert_eq!(pointer(&document, "/c"), Err(Failure::Other("the answer holds no /c".into())));
    }
}
