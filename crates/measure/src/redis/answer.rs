//! Redis's answers as numbers and texts. A key that is absent is an empty list, so `nil` and 0 mean the same where a count is
//! asked for; elsewhere it is `None`.

use ::redis::Value;
use autoscalebot_core::Failure;

/// A count.
pub(crate) fn count(value: &Value) -> Result<f64, Failure> {
    match value {
        Value::Int(number) if *number >= 0 => Ok(*number as f64),
        Value::Nil => Ok(0.0),
        _ => Err(Failure::Other("the server answers with no count".into())),
    }
}

/// A list, also of a set or a map: keys and values in turn.
pub(crate) fn list(value: &Value) -> Option<Vec<Value>> {
    match value {
        Value::Array(list) | Value::Set(list) => Some(list.clone()),
        Value::Map(pairs) => Some(pairs.iter().flat_map(|(key, value)| [key.clone(), value.clone()]).collect()),
        _ => None,
    }
}

/// A text; bytes that are none become one with marks in their place.
pub(crate) fn text(value: &Value) -> Option<String> {
    match value {
        Value::BulkString(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        Value::SimpleString(text) => Some(text.clone()),
        Value::Int(number) => Some(number.to_string()),
        _ => None,
    }
}

/// The texts of a list.
pub(crate) fn texts(value: &Value) -> Vec<String> {
    list(value).unwrap_or_default().iter().filter_map(text).collect()
}

/// A number, also written as text.
pub(crate) fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Int(number) => Some(*number as f64),
        Value::Double(number) => Some(*number),
        other => text(other)?.trim().parse().ok().filter(|number: &f64| number.is_finite()),
    }
}

/// The score of the first entry of a sorted set, asked for with its scores.
pub(crate) fn score(value: &Value) -> Option<f64> {
    number(list(value)?.get(1)?)
}

/// What a server's error means, without the parts that may repeat what was sent.
pub(crate) fn refusal(code: &str, details: Option<&str>) -> Failure {
    let text = match code {
        "NOAUTH" => "the server wants a password: write it in the url".into(),
        "WRONGPASS" => "the server refuses the login".into(),
        "NOPERM" => "the login may not read this (NOPERM)".into(),
        "WRONGTYPE" => "a key there is of another kind than such a queue has (WRONGTYPE)".into(),
        code => {
            let details = details.unwrap_or_default();
            // Its complaint about a login or about arguments is followed by them.
            let details = if details.contains("AUTH") { "the login is refused" } else { details };
            let details = details.split(", with args").next().unwrap_or_default();
            format!("{code} {details}")
                .chars()
                .map(|c| if c.is_control() { ' ' } else { c })
                .take(160)
                .collect::<String>()
        }
    };
    Failure::Other(text.trim().into())
}
