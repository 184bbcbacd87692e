//! What stands before every handler: the proxy's prefix, the rate limit, the Host check, the right, the same-origin rule for
//! changes, a time limit; and the headers on every answer.

use std::sync::Arc;
use std::time::Duration;

use autoscalebot_measure::Intake;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::access::{Means, Right};
use crate::problem::Problem;
use crate::state::Shared;

/// The longest that an answer may take to begin.
const ANSWER: Duration = Duration::from_secs(15);
/// A page of another site cannot send this header without asking first, and is never allowed to.
pub(crate) const CUSTOM: &str = "x-autoscalebot";

/// The headers of every answer.
const HEADERS: &[(&str, &str)] = &[
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; \
         base-uri 'none'; frame-ancestors 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-resource-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=()"),
];

/// Around everything, before a route is looked for.
pub(crate) async fn around(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let mut response = pass(&shared, request, next).await;
    shared.counters.answered(response.status());
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(*name, HeaderValue::from_static(value));
    }
    // What is seen with a right must not stay where it is seen without.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

async fn pass(shared: &Arc<Shared>, mut request: Request, next: Next) -> Response {
    match strip(&shared.prefix, request.uri()) {
        Stripped::As(uri) => *request.uri_mut() = uri,
        Stripped::Same => {}
        Stripped::Bare => {
            let home = HeaderValue::from_str(&format!("{}/", shared.prefix));
            return match home {
                Ok(home) => (StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, home)]).into_response(),
                Err(_) => StatusCode::NOT_FOUND.into_response(),
            };
        }
    }
    // Who sends measurements has a token of its own, and its own limits.
    if Intake::is_for(request.method().as_str(), request.uri().path(), request.headers()) {
        let path = request.uri().path().to_owned();
        return within(crate::intake::take(&shared.intake, &path, request)).await;
    }
    if !shared.limit.take() {
        return Problem::too_many("too many requests; wait a second").into_response();
    }
    if shared.access.is_open() && !names_loopback(&request) {
        let detail =
            "this server answers to localhost only, as it has no token: ask for it by that name, or set server.token";
        return Problem::new(StatusCode::MISDIRECTED_REQUEST, detail).into_response();
    }
    within(next.run(request)).await
}

async fn within(answer: impl Future<Output = Response>) -> Response {
    let late = || Problem::new(StatusCode::SERVICE_UNAVAILABLE, "this took too long").into_response();
    tokio::time::timeout(ANSWER, answer).await.unwrap_or_else(|_| late())
}

enum Stripped {
    /// The prefix was there.
    As(Uri),
    /// It was not: a proxy took it away already.
    Same,
    /// The prefix without its slash: relative links would go wrong.
    Bare,
}

fn strip(prefix: &str, uri: &Uri) -> Stripped {
    if prefix.is_empty() {
        return Stripped::Same;
    }
    match uri.path().strip_prefix(prefix) {
        Some("") => Stripped::Bare,
        Some(rest) if rest.starts_with('/') => {
            let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
            format!("{rest}{query}").parse().map_or(Stripped::Same, Stripped::As)
        }
        _ => Stripped::Same,
    }
}

/// Whether the request was made to this machine by name: another name that leads here is a page of another site, whose owner
/// made its name point to 127.0.0.1 (DNS rebinding).
fn names_loopback(request: &Request) -> bool {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let Some(host) = host.or_else(|| request.uri().authority().map(|authority| authority.as_str())) else {
        return false;
    };
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    let name = name.to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost") || name.parse().is_ok_and(crate::options::is_loopback)
}

/// Before the handlers of one route: may this request do what the route does?
pub(crate) async fn right(
    State((shared, needed)): State<(Arc<Shared>, Right)>,
    request: Request,
    next: Next,
) -> Response {
    let headers = request.headers();
    let (has, means) = shared.access.of(headers);
    if has < needed {
        let wants_page = request.method() == Method::GET
            && request.uri().path() == "/"
            && headers.get(header::ACCEPT).and_then(|a| a.to_str().ok()).is_some_and(|a| a.contains("text/html"));
        return if wants_page && means == Means::Ambient {
            (StatusCode::SEE_OTHER, [(header::LOCATION, "login")]).into_response()
        } else if has == Right::Open {
            Problem::unauthorized().into_response()
        } else {
            Problem::new(StatusCode::FORBIDDEN, "this token may read, not change").into_response()
        };
    }
    if needed == Right::Change && means == Means::Ambient {
        if !headers.contains_key(CUSTOM) {
            let detail = format!("a change without a token needs the header {CUSTOM}: 1");
            return Problem::new(StatusCode::FORBIDDEN, detail).into_response();
        }
        if let Err(problem) = same_origin(headers) {
            return problem.into_response();
        }
    }
    next.run(request).await
}

/// Whether the page that sent this is one of ours; who is no browser says nothing, and is not meant.
pub(crate) fn same_origin(headers: &HeaderMap) -> Result<(), Problem> {
    let text = |name: header::HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let foreign = || Err(Problem::new(StatusCode::FORBIDDEN, "this comes from a page of another site"));
    if let Some(site) = headers.get("sec-fetch-site") {
        return if site == "same-origin" || site == "none" { Ok(()) } else { foreign() };
    }
    match (text(header::ORIGIN), text(header::HOST)) {
        (None, _) => Ok(()),
        (Some(origin), Some(host)) if origin.split_once("://").is_some_and(|(_, name)| name == host) => Ok(()),
        _ => foreign(),
    }
}
