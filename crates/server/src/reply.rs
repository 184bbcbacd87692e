//! Good answers: JSON with an ETag, so that a reader who has it already gets 304 and no body.

use std::hash::{DefaultHasher, Hasher};

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::problem::Problem;

/// JSON that is not kept anywhere; what changes each second is cheap to ask for again, and its ETag saves the way.
pub(crate) fn json(headers: &HeaderMap, value: &impl Serialize) -> Result<Response, Problem> {
    let body = serde_json::to_vec(value)
        .map_err(|error| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, format!("the answer is no JSON: {error}")))?;
    Ok(tagged(headers, body, "application/json", "no-cache"))
}

/// A body with its ETag; 304 where the asker has it.
pub(crate) fn tagged(
    headers: &HeaderMap,
    body: impl Into<axum::body::Bytes>,
    kind: &'static str,
    cache: &'static str,
) -> Response {
    let body = body.into();
    let tag = tag(&body);
    let same = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok()).any(|wanted| {
        wanted.split(',').map(str::trim).any(|wanted| wanted == "*" || wanted.trim_start_matches("W/") == tag)
    });
    let mut response = if same { StatusCode::NOT_MODIFIED.into_response() } else { body.into_response() };
    let headers = response.headers_mut();
    if !same {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(header::ETAG, tag);
    }
    response
}

fn tag(body: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    hasher.write(body);
    format!("\"{:016x}-{:x}\"", hasher.finish(), body.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_it_gets_304() {
        let first = tagged(&HeaderMap::new(), "body", "text/plain", "no-cache");
        let tag = first.headers()[header::ETAG].clone();
        let asking = |value: HeaderValue| HeaderMap::from_iter([(header::IF_NONE_MATCH, value)]);
        let again = tagged(&asking(tag.clone()), "body", "text/plain", "no-cache");
        assert_eq!((again.status(), &again.headers()[header::ETAG]), (StatusCode::NOT_MODIFIED, &tag));
        assert_eq!(tagged(&asking(tag), "other", "text/plain", "no-cache").status(), StatusCode::OK);
        assert_eq!(
            tagged(&asking(HeaderValue::from_static("\"x\", *")), "b", "text/plain", "no-cache").status(),
            StatusCode::NOT_MODIFIED
        );
    }
}
