//! `/api/v1/openapi.json`: the OpenAPI 3.1 document, made from [`ROUTES`] and the schemas in `openapi_schemas.json`.

use axum::http::{HeaderMap, Method};
use axum::response::Response;
use serde_json::{Map, Value as Json, json};

use crate::access::Right;
use crate::problem::Problem;
use crate::reply;
use crate::routes::{Answer, ROUTES, Route};

/// Answers with the document.
pub(crate) async fn serve(headers: HeaderMap) -> Result<Response, Problem> {
    reply::json(&headers, &document())
}

/// The document.
pub fn document() -> Json {
    let mut paths = Map::new();
    for route in ROUTES {
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[route.method.as_str().to_lowercase()] = operation(route);
    }
    // The file is a part of the program, and a test reads it.
    let schemas: Json = serde_json::from_str(include_str!("openapi_schemas.json")).unwrap_or_default();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "autoscalebot",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "What autoscalebot measured, decided and did, and pausing it.",
            "license": { "name": "BSD-2-Clause", "identifier": "BSD-2-Clause" },
        },
        "servers": [{ "url": "../.." }],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "token": { "type": "http", "scheme": "bearer" },
                "session": { "type": "apiKey", "in": "cookie", "name": crate::access::COOKIE },
            },
        },
    })
}

fn operation(route: &Route) -> Json {
    let mut parameters: Vec<Json> = route
        .path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }))
        .collect();
    parameters.extend(route.query.iter().map(|param| {
        json!({ "name": param.name, "in": "query", "description": param.doc, "schema": { "type": param.kind } })
    }));
    let mut responses = Map::new();
    let (status, good) = match route.answer {
        Answer::Json(name) => (
            "200",
            json!({
                "description": "As asked.",
                "content": { "application/json": { "schema": { "$ref": format!("#/components/schemas/{name}") } } },
            }),
        ),
        Answer::Other(kind) => ("200", json!({ "description": "As asked.", "content": { kind: {} } })),
        Answer::Redirect => ("303", json!({ "description": "Goes on at another page." })),
    };
    responses.insert(status.to_owned(), good);
    responses.insert(
        "default".to_owned(),
        json!({
            "description": "What is wrong.",
            "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } },
        }),
    );
    let mut operation = json!({
        "operationId": operation_id(route),
        "summary": route.summary,
        "parameters": parameters,
        "responses": responses,
        "security": if route.right == Right::Open { json!([]) } else { json!([{ "token": [] }, { "session": [] }]) },
    });
    if route.path.ends_with("/pause") {
        operation["requestBody"] = json!({
            "required": false,
            "content": { "application/json": { "schema": { "$ref": "#/components/schemas/PauseRequest" } } },
        });
    }
    if route.method == Method::POST && route.path == "/login" {
        operation["requestBody"] = json!({
            "required": true,
            "content": { "application/x-www-form-urlencoded": { "schema": {
                "type": "object", "properties": { "token": { "type": "string" } }, "required": ["token"],
            } } },
        });
    }
    operation
}

fn operation_id(route: &Route) -> String {
    let words = route.path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let words: Vec<_> = words.filter(|word| !["api", "v1"].contains(word)).collect();
    let name = if words.is_empty() { "dashboard".to_owned() } else { words.join("_") };
    format!("{}_{name}", route.method.as_str().to_lowercase())
}
