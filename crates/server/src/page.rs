//! The dashboard's files, which are inside the program, and the sign-in form.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::access::{COOKIE, SESSION};
use crate::guard;
use crate::problem::Problem;
use crate::reply;
use crate::state::Shared;

const HTML: &str = "text/html; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
/// A new version of the program must be seen at once; the ETag saves the way.
const CACHE: &str = "no-cache";

/// Every file, by its name below `assets/`.
const ASSETS: &[(&str, &str, &str)] = &[
    ("app.css", "text/css; charset=utf-8", include_str!("../assets/app.css")),
    ("app.js", JS, include_str!("../assets/app.js")),
    ("api.js", JS, include_str!("../assets/api.js")),
    ("chart.js", JS, include_str!("../assets/chart.js")),
    ("dom.js", JS, include_str!("../assets/dom.js")),
    ("overview.js", JS, include_str!("../assets/overview.js")),
    ("process.js", JS, include_str!("../assets/process.js")),
    ("theme.js", JS, include_str!("../assets/theme.js")),
    ("icon.svg", "image/svg+xml", include_str!("../assets/icon.svg")),
];

/// The dashboard.
pub(crate) async fn index(headers: HeaderMap) -> Response {
    reply::tagged(&headers, include_str!("../assets/index.html"), HTML, CACHE)
}

/// One of its files.
pub(crate) async fn asset(Path(name): Path<String>, headers: HeaderMap) -> Result<Response, Problem> {
    let (_, kind, text) = ASSETS
        .iter()
        .find(|(known, ..)| *known == name)
        .ok_or_else(|| Problem::not_found(format!("there is no file {name:?}")))?;
    Ok(reply::tagged(&headers, *text, kind, CACHE))
}

/// The sign-in form.
pub(crate) async fn form(headers: HeaderMap) -> Response {
    reply::tagged(&headers, include_str!("../assets/login.html"), HTML, CACHE)
}

/// Signs in with the form's token.
pub(crate) async fn sign_in(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    guard::same_origin(&headers)?;
    if !shared.access.may_try() {
        return Err(Problem::too_many("too many tokens were tried; wait a minute"));
    }
    let Some(id) = token(&body).and_then(|token| shared.access.sign_in(&token)) else {
        return Ok((StatusCode::SEE_OTHER, [(header::LOCATION, "login?wrong")]).into_response());
    };
    // Over plain HTTP a browser would drop a Secure cookie; what the proxy says can only make it stricter.
    let secure = headers.get("x-forwarded-proto").is_some_and(|proto| proto == "https");
    let secure = if secure { "; Secure" } else { "" };
    let (path, age) = (&shared.prefix, SESSION.as_secs());
    let cookie = format!("{COOKIE}={id}; Path={path}/; Max-Age={age}; HttpOnly; SameSite=Strict{secure}");
    let mut response = (StatusCode::SEE_OTHER, [(header::LOCATION, "./")]).into_response();
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

/// Signs out.
pub(crate) async fn sign_out(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Result<Response, Problem> {
    guard::same_origin(&headers)?;
    shared.access.sign_out(&headers);
    let cookie = format!("{COOKIE}=; Path={}/; Max-Age=0; HttpOnly; SameSite=Strict", shared.prefix);
    let mut response = (StatusCode::SEE_OTHER, [(header::LOCATION, "login")]).into_response();
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

/// The field `token` of a form, decoded.
fn token(body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?;
    let value = text.split('&').find_map(|pair| pair.strip_prefix("token="))?;
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok().map(|token| token.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_of_a_form_is_decoded() {
        assert_eq!(token(b"token=a%2Bb+c%3D"), Some("a+b c=".to_owned()));
        assert_eq!(token(b"x=1&token=abc"), Some("abc".to_owned()));
        for bad in [&b"token=%4"[..], b"token=%zz", b"tok=1", b"token=%ff", b"\xff"] {
            assert_eq!(token(bad), None);
        }
    }
}
