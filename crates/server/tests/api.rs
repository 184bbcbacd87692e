//! What each route answers, and that the OpenAPI document tells the truth.

#![allow(clippy::unwrap_used, reason = "a test that cannot build its input fails")]

use common::{ask, get, local};
use serde_json::{Value, json};

mod common;

const WEB: &str = "/api/v1/apps/shop/processes/web";

#[tokio::test]
async fn the_present() {
    let router = local(&["shop", "blog"]).await;
    let list = get(&router, "/api/v1/processes").await.json();
    assert_eq!((&list["total"], &list["may_change"], &list["next"]), (&json!(2), &json!(true), &Value::Null));
    let row = &list["processes"][1];
    assert_eq!((&row["app"], &row["dynos"], &row["attention"]), (&json!("shop"), &json!(3), &json!("none")));
    let range = json!({ "low": 200.0, "high": 1000.0 });
    let measured = json!({ "name": "heartbeat", "unit": "ms", "value": 2000.0, "verdict": "too_high", "range": range, "desired": 3, "shadow": false });
    assert_eq!(row["measurements"][0], measured);
    let page = get(&router, "/api/v1/processes?limit=1").await.json();
    assert_eq!((&page["processes"][0]["app"], &page["next"]), (&json!("blog"), &json!(1)));
    let page = get(&router, "/api/v1/processes?limit=1&cursor=1").await.json();
    assert_eq!((&page["processes"][0]["app"], &page["next"]), (&json!("shop"), &Value::Null));
    assert_eq!(get(&router, "/api/v1/processes?search=SHOP%20web").await.json()["total"], 1);
    assert_eq!(get(&router, "/api/v1/processes?attention=true").await.json()["total"], 0);

    let one = get(&router, WEB).await.json();
    assert_eq!(one["record"]["dynos"], json!({ "before": 2, "after": 3 }));
    assert_eq!((&one["every_secs"], &one["time_zone"]), (&json!(30.0), &json!("UTC")));
}

#[tokio::test]
async fn the_past_and_the_plan() {
    let router = local(&["shop"]).await;
    let history = get(&router, &format!("{WEB}/history")).await.json();
    assert_eq!(history["records"].as_array().unwrap().len(), 1);
    assert_eq!(history["records"][0]["call"], "ok");
    assert_eq!(history["next"], Value::Null);
    let series = get(&router, &format!("{WEB}/series?range=15m")).await.json();
    assert_eq!(series["steps"]["dynos"].as_array().unwrap().last().unwrap(), 3);
    assert_eq!(series["measurements"][0]["median"][0].as_f64().map(f64::round), Some(2000.0));
    assert_eq!((&series["marks"][0]["before"], &series["marks"][0]["after"]), (&json!(2), &json!(3)));
    let schedule = get(&router, &format!("{WEB}/schedule?days=1")).await.json();
    assert_eq!((&schedule["bounds"], &schedule["changes"]), (&json!({ "min": 1, "max": 5 }), &json!([])));
    let events = get(&router, "/api/v1/events").await.json();
    assert_eq!(events["events"][0]["event"], "scaled");
}

#[tokio::test]
async fn pause_and_resume() {
    let router = local(&["shop"]).await;
    let change = [("x-autoscalebot", "1"), ("content-type", "application/json")];
    let paused = ask(&router, "POST", &format!("{WEB}/pause"), &change, r#"{"for":"2h","why":" a sale "}"#).await;
    assert_eq!((paused.status.as_u16(), &paused.json()["pause"]["why"]), (200, &json!("a sale")));
    assert_eq!(get(&router, WEB).await.json()["pause"]["why"], "a sale");
    let forever = ask(&router, "POST", &format!("{WEB}/pause"), &change[..1], "").await;
    assert_eq!(forever.json()["pause"], json!({ "until": null, "why": null }));
    for (was, _) in [(true, 1), (false, 2)] {
        let resumed = ask(&router, "POST", &format!("{WEB}/resume"), &change[..1], "").await;
        assert_eq!(resumed.json()["was_paused"], was);
    }
    for (headers, body, status) in [
        (&change[..], r#"{"for":"soon"}"#, 400),
        (&change[..], r#"{"for":"-2h"}"#, 400),
        (&change[..], r#"{"for":"900000h"}"#, 400),
        (&change[..], r#"{"until":"2h"}"#, 400),
        (&change[..], "{", 400),
        (&change[..1], r#"{"for":"2h"}"#, 415),
    ] {
        let refused = ask(&router, "POST", &format!("{WEB}/pause"), headers, body).await;
        assert_eq!(refused.status.as_u16(), status, "{body}: {}", refused.body);
        assert_eq!(refused.header("content-type"), "application/problem+json");
    }
    let long = format!(r#"{{"why":"{}"}}"#, "x".repeat(501));
    assert_eq!(ask(&router, "POST", &format!("{WEB}/pause"), &change, &long).await.status, 400);
    let huge = format!(r#"{{"why":"{}"}}"#, "x".repeat(20_000));
    let huge = ask(&router, "POST", &format!("{WEB}/pause"), &change, &huge).await;
    assert_eq!((huge.status.as_u16(), huge.header("content-type")), (413, "application/problem+json"));
}

#[tokio::test]
async fn errors_are_problems() {
    let router = local(&["shop"]).await;
    for (path, status) in [
        ("/nothing", 404),
        ("/api/v1/apps/shop/processes/worker", 404),
        ("/api/v1/apps/%FF/processes/web", 400),
        ("/api/v1/processes?limit=x", 400),
        ("/api/v1/processes?limt=1", 400),
        ("/assets/../Cargo.toml", 404),
        ("/assets/passwd", 404),
        (&format!("{WEB}/series?range=2y"), 400),
        (&format!("{WEB}/history?cursor=x"), 400),
    ] {
        let answer = get(&router, path).await;
        assert_eq!(answer.status.as_u16(), status, "{path}: {}", answer.body);
        assert_eq!(answer.header("content-type"), "application/problem+json", "{path}");
        let problem = answer.json();
        assert_eq!(problem["status"], status);
        assert!(problem["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{path}");
    }
}

#[tokio::test]
async fn what_is_known_already_is_not_sent_again() {
    let router = local(&["shop"]).await;
    for path in ["/", "/assets/app.js", "/assets/app.css", "/api/v1/openapi.json", &format!("{WEB}/history")] {
        let first = get(&router, path).await;
        let tag = first.header("etag").to_owned();
        assert!(tag.len() > 4, "{path}");
        let again = ask(&router, "GET", path, &[("if-none-match", &tag)], "").await;
        assert_eq!((again.status.as_u16(), again.body.as_str()), (304, ""), "{path}");
    }
}

#[tokio::test]
async fn health() {
    let router = local(&["shop"]).await;
    assert_eq!(get(&router, "/healthz").await.body, "ok\n");
    let ready = get(&router, "/readyz").await;
    assert_eq!((ready.status.as_u16(), &ready.json()["ready"]), (200, &json!(true)));
    let metrics = get(&router, "/metrics").await;
    assert_eq!(metrics.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    for line in [
        "autoscalebot_dynos{app=\"shop\",process=\"web\"} 3.0",
        "autoscalebot_bound_dynos{app=\"shop\",process=\"web\",bound=\"max\"} 5.0",
        "autoscalebot_measurement_seconds{app=\"shop\",process=\"web\",measurement=\"heartbeat\"} 2.0",
        "autoscalebot_decisions_total{app=\"shop\",process=\"web\",call=\"ok\"} 1",
    ] {
        assert!(metrics.body.lines().any(|said| said == line), "{line} is not in\n{}", metrics.body);
    }
}

#[tokio::test]
async fn what_was_sent_is_counted_and_the_docs_know_each_name() {
    let router = local(&["shop"]).await;
    assert_eq!(ask(&router, "POST", "/drains/no-such-token", &[], "").await.status.as_u16(), 403);
    let metrics = get(&router, "/metrics").await.body;
    for line in ["autoscalebot_intake_requests_refused_total 1", "autoscalebot_intake_lines_total 0"] {
        assert!(metrics.lines().any(|said| said == line), "{line} is not in\n{metrics}");
    }
    let docs = include_str!("../../../docs/metrics.md");
    let names = metrics.lines().filter(|line| line.starts_with("autoscalebot_intake_"));
    let names: Vec<_> = names.map(|line| line.split(' ').next().unwrap()).collect();
    assert!(names.len() >= 11, "{names:?}");
    for name in names {
        assert!(docs.contains(&format!("`{name}`")), "{name} is not in docs/metrics.md");
    }
}

/// Puts names into a path of the document.
fn filled(path: &str) -> String {
    path.replace("{app}", "shop").replace("{process}", "web").replace("{name}", "app.js")
}

#[tokio::test]
async fn the_document_and_the_routes_are_the_same() {
    let router = local(&["shop"]).await;
    let document = get(&router, "/api/v1/openapi.json").await.json();
    assert_eq!(document, autoscalebot_server::document());
    assert_eq!(document["openapi"], "3.1.0");
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let mut ids = Vec::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        let allow = ask(&router, "OPTIONS", &filled(path), &[], "").await;
        assert_eq!(allow.status, 204, "{path}");
        let allow: Vec<_> = allow.header("allow").split(", ").map(str::to_lowercase).collect();
        for method in ["get", "post", "put", "delete", "patch"] {
            let answer = ask(&router, &method.to_uppercase(), &filled(path), &[("x-autoscalebot", "1")], "").await;
            let documented = operations.get(method).is_some();
            assert_eq!(allow.iter().any(|allowed| allowed == method), documented, "{method} {path}: {allow:?}");
            if documented {
                let expected = if path.starts_with("/log") && method == "post" { 303 } else { 200 };
                assert_eq!(answer.status.as_u16(), expected, "{method} {path}: {}", answer.body);
                let good = &operations[method]["responses"][expected.to_string()];
                if let Some(content) = good["content"].as_object() {
                    let kind = answer.header("content-type").split(';').next().unwrap();
                    assert!(content.contains_key(kind), "{method} {path} answers {kind}, not as {content:?}");
                }
                ids.push(operations[method]["operationId"].as_str().unwrap().to_owned());
            } else {
                assert_eq!(answer.status, 405, "{method} {path}");
            }
        }
        // HEAD is GET without its body.
        if operations.get("get").is_some() {
            let head = ask(&router, "HEAD", &filled(path), &[], "").await;
            assert_eq!((head.status.as_u16(), head.body.as_str()), (200, ""), "HEAD {path}");
        }
    }
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count, "operations have names of their own");
    // Each schema that is named is there.
    let text = document.to_string();
    for name in text.split("#/components/schemas/").skip(1).filter_map(|rest| rest.split('"').next()) {
        assert!(schemas.contains_key(name), "the schema {name} is missing");
    }
}

/// Which keys an answer has, against its schema: none that it does not tell of, and every one that it calls required.
fn fits(schemas: &Value, schema: &Value, value: &Value, place: &str) {
    if let Some(name) = schema["$ref"].as_str() {
        return fits(schemas, &schemas[name.trim_start_matches("#/components/schemas/")], value, place);
    }
    if let Some(either) = schema["oneOf"].as_array() {
        if !value.is_null() {
            fits(schemas, &either[0], value, place);
        }
        return;
    }
    let kinds: Vec<_> = match &schema["type"] {
        Value::String(kind) => vec![kind.as_str()],
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => return,
    };
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() || !kinds.contains(&"integer") => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    assert!(kinds.contains(&kind), "{place} is {kind}, the schema says {kinds:?}");
    if let Some(items) = value.as_array() {
        items.iter().for_each(|item| fits(schemas, &schema["items"], item, place));
    }
    if let (Some(object), Some(properties)) = (value.as_object(), schema["properties"].as_object()) {
        for key in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            assert!(object.contains_key(key), "{place}.{key} is missing");
        }
        for (key, value) in object {
            let known = properties.get(key);
            assert!(known.is_some() || schema["additionalProperties"] == true, "{place}.{key} is in no schema");
            fits(schemas, known.unwrap_or(&Value::Null), value, &format!("{place}.{key}"));
        }
    }
}

#[tokio::test]
async fn answers_fit_their_schemas() {
    let router = local(&["shop"]).await;
    let document = get(&router, "/api/v1/openapi.json").await.json();
    let schemas = &document["components"]["schemas"];
    let mut checked = 0;
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let schema = &operation["responses"]["200"]["content"]["application/json"]["schema"];
            if schema.is_null() {
                continue;
            }
            let answer = ask(&router, &method.to_uppercase(), &filled(path), &[("x-autoscalebot", "1")], "").await;
            fits(schemas, schema, &answer.json(), &format!("{method} {path}"));
            checked += 1;
        }
    }
    assert!(checked >= 8, "only {checked} answers have a schema");
}
