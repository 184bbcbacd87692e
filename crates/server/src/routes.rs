//! [`ROUTES`]: every route, once. The router, the OpenAPI document and the tests are made from this table, so that none of them
//! can know a route that the others do not.

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::{from_fn_with_state, map_response};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};

use crate::access::Right;
use crate::problem::Problem;
use crate::state::Shared;
use crate::{api, guard, health, metrics, openapi, page};

/// The largest body.
const BODY: usize = 16 * 1024;

/// One route.
pub(crate) struct Route {
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    pub(crate) right: Right,
    /// One sentence.
    pub(crate) summary: &'static str,
    /// Its parameters in the query.
    pub(crate) query: &'static [Param],
    /// What a good answer is.
    pub(crate) answer: Answer,
    pub(crate) handler: fn() -> MethodRouter<Arc<Shared>>,
}

/// A parameter in the query.
pub(crate) struct Param {
    pub(crate) name: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) doc: &'static str,
}

/// What a good answer is.
pub(crate) enum Answer {
    /// JSON of this schema.
    Json(&'static str),
    /// Something else, by its media type.
    Other(&'static str),
    /// A redirect.
    Redirect,
}

const fn param(name: &'static str, kind: &'static str, doc: &'static str) -> Param {
    Param { name, kind, doc }
}

const LIMIT: Param = param("limit", "integer", "How many on a page.");
const CURSOR: Param = param("cursor", "string", "Where the page begins: `next` of the page before.");

/// Every route.
pub(crate) static ROUTES: &[Route] = &[
    Route {
        method: Method::GET,
        path: "/api/v1/processes",
        right: Right::Read,
        summary: "Every process, what needs attention first.",
        query: &[
            param("search", "string", "Words that the app, the process or the platform must have."),
            param("attention", "boolean", "Only what needs attention."),
            LIMIT,
            param("cursor", "integer", "Where the page begins: `next` of the page before."),
        ],
        answer: Answer::Json("Processes"),
        handler: || get(api::processes::list),
    },
    Route {
        method: Method::GET,
        path: "/api/v1/apps/{app}/processes/{process}",
        right: Right::Read,
        summary: "One process with its newest decision record.",
        query: &[],
        answer: Answer::Json("ProcessDetail"),
        handler: || get(api::processes::one),
    },
    Route {
        method: Method::GET,
        path: "/api/v1/apps/{app}/processes/{process}/history",
        right: Right::Read,
        summary: "Decision records of a process, newest first.",
        query: &[
            param("from", "string", "Not before this instant (RFC 3339)."),
            param("changes", "boolean", "Only those with a scaling call."),
            LIMIT,
            CURSOR,
        ],
        answer: Answer::Json("History"),
        handler: || get(api::past::history),
    },
    Route {
        method: Method::GET,
        path: "/api/v1/apps/{app}/processes/{process}/series",
        right: Right::Read,
        summary: "Dynos, bounds, measurements and decisions of a process over time, for a chart.",
        query: &[
            param("range", "string", "One of 15m, 1h, 6h, 24h, 7d, 30d; 1h if left out."),
            param("to", "string", "The end (RFC 3339); now if left out."),
            param("points", "integer", "At most about so many points."),
        ],
        answer: Answer::Json("Series"),
        handler: || get(api::past::series),
    },
    Route {
        method: Method::GET,
        path: "/api/v1/apps/{app}/processes/{process}/schedule",
        right: Right::Read,
        summary: "The bounds of a process in force, and their changes to come.",
        query: &[param("days", "integer", "How far to look ahead; 7 if left out.")],
        answer: Answer::Json("Schedule"),
        handler: || get(api::past::schedule),
    },
    Route {
        method: Method::POST,
        path: "/api/v1/apps/{app}/processes/{process}/pause",
        right: Right::Change,
        summary: "Leaves a process alone until it is resumed, or for a time.",
        query: &[],
        answer: Answer::Json("Paused"),
        handler: || post(api::pause::pause),
    },
    Route {
        method: Method::POST,
        path: "/api/v1/apps/{app}/processes/{process}/resume",
        right: Right::Change,
        summary: "Ends the pause of a process.",
        query: &[],
        answer: Answer::Json("Resumed"),
        handler: || post(api::pause::resume),
    },
    Route {
        method: Method::GET,
        path: "/api/v1/events",
        right: Right::Read,
        summary: "What happened lately, ticks aside, newest first.",
        query: &[LIMIT, param("cursor", "integer", "Where the page begins: `next` of the page before.")],
        answer: Answer::Json("Events"),
        handler: || get(api::past::events),
    },
    Route {
        method: Method::GET,
        path: "/api/v1/events/stream",
        right: Right::Read,
        summary: "What happens from now on, as server-sent events.",
        query: &[
            param("app", "string", "Only of this app."),
            param("process", "string", "Only of processes of this name."),
        ],
        answer: Answer::Other("text/event-stream"),
        handler: || get(api::stream::events),
    },
    Route {
        method: Method::GET,
        path: "/api/v1/intake",
        right: Right::Read,
        summary: "Who sends measurements to this program: when something came last, how much, and what was not understood.",
        query: &[],
        answer: Answer::Json("Intake"),
        handler: || get(api::intake::senders),
    },
    Route {
        method: Method::GET,
        path: "/api/v1/openapi.json",
        right: Right::Read,
        summary: "This document.",
        query: &[],
        answer: Answer::Other("application/json"),
        handler: || get(openapi::serve),
    },
    Route {
        method: Method::GET,
        path: "/healthz",
        right: Right::Open,
        summary: "200 while the program is alive.",
        query: &[],
        answer: Answer::Other("text/plain"),
        handler: || get(health::alive),
    },
    Route {
        method: Method::GET,
        path: "/readyz",
        right: Right::Open,
        summary: "200 while every process ticks on time, else 503.",
        query: &[],
        answer: Answer::Other("application/json"),
        handler: || get(health::ready),
    },
    Route {
        method: Method::GET,
        path: "/metrics",
        right: Right::Read,
        summary: "Metrics in the text format of Prometheus.",
        query: &[],
        answer: Answer::Other("text/plain"),
        handler: || get(metrics::metrics),
    },
    Route {
        method: Method::GET,
        path: "/",
        right: Right::Read,
        summary: "The dashboard.",
        query: &[],
        answer: Answer::Other("text/html"),
        handler: || get(page::index),
    },
    Route {
        method: Method::GET,
        path: "/assets/{name}",
        right: Right::Open,
        summary: "The dashboard's files; nothing in them is secret.",
        query: &[],
        answer: Answer::Other("text/javascript"),
        handler: || get(page::asset),
    },
    Route {
        method: Method::GET,
        path: "/login",
        right: Right::Open,
        summary: "The sign-in form.",
        query: &[],
        answer: Answer::Other("text/html"),
        handler: || get(page::form),
    },
    Route {
        method: Method::POST,
        path: "/login",
        right: Right::Open,
        summary: "Signs in with the form's token.",
        query: &[],
        answer: Answer::Redirect,
        handler: || post(page::sign_in),
    },
    Route {
        method: Method::POST,
        path: "/logout",
        right: Right::Open,
        summary: "Signs out.",
        query: &[],
        answer: Answer::Redirect,
        handler: || post(page::sign_out),
    },
];

/// The router, with everything that stands before the handlers.
pub(crate) fn router(shared: &Arc<Shared>) -> Router {
    let mut inner: Router<Arc<Shared>> = Router::new();
    for route in ROUTES {
        let guard = from_fn_with_state((Arc::clone(shared), route.right), guard::right);
        inner = inner.route(route.path, (route.handler)().layer(guard));
    }
    let mut paths: Vec<_> = ROUTES.iter().map(|route| route.path).collect();
    paths.sort_unstable();
    paths.dedup();
    for path in paths {
        let allow = HeaderValue::from_str(&allowed(path)).ok();
        let options = move || {
            let allow = allow.clone();
            async move {
                let mut response = StatusCode::NO_CONTENT.into_response();
                response.headers_mut().extend(allow.map(|allow| (header::ALLOW, allow)));
                response
            }
        };
        inner = inner.route(path, axum::routing::options(options));
    }
    let inner = inner
        .fallback(|| async { Problem::not_found("there is nothing here; /api/v1/openapi.json lists what there is") })
        .method_not_allowed_fallback(|| async { wrong_method() })
        .layer(map_response(plain_rejection))
        .layer(DefaultBodyLimit::max(BODY))
        .with_state(Arc::clone(shared));
    // Outside of the router, as the prefix must be gone before a route is looked for.
    Router::new().fallback_service(inner).layer(from_fn_with_state(Arc::clone(shared), guard::around))
}

/// The methods of a path, as the header `Allow` names them.
fn allowed(path: &str) -> String {
    let mut methods = vec!["OPTIONS"];
    for route in ROUTES.iter().filter(|route| route.path == path) {
        if route.method == Method::GET {
            methods.extend(["GET", "HEAD"]);
        } else {
            methods.push("POST");
        }
    }
    methods.join(", ")
}

fn wrong_method() -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "this does not take that method; the header Allow says which")
}

/// What the framework refuses by itself (a body that is too large, a path that is no UTF-8) as the other errors.
async fn plain_rejection(response: Response) -> Response {
    let kind = response.headers().get(header::CONTENT_TYPE);
    let plain = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/plain"));
    if plain && response.status().is_client_error() {
        let detail = match response.status() {
            StatusCode::PAYLOAD_TOO_LARGE => format!("the body is larger than {BODY} bytes"),
            status => status.canonical_reason().unwrap_or("refused").to_owned(),
        };
        return Problem::new(response.status(), detail).into_response();
    }
    response
}
