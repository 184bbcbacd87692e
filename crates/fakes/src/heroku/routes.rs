//! What each request does to the state and what is answered: the endpoints of the stand-in. No sockets here.
//!
//! Shapes and ids of errors: <https://devcenter.heroku.com/articles/platform-api-reference>. Where that is silent, what was
//! seen of the real API holds; a batch that is refused changes nothing.

use std::hash::{DefaultHasher, Hash, Hasher};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::Received;
use super::state::{App, Drain, Process, State};

/// An answer: status, headers, JSON.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Vec<u8>,
}

/// What an endpoint answers: a thing, a list (which may come in pages), or an error.
enum Found {
    One(u16, Value),
    List(Vec<Value>),
    Error(u16, Value),
}

/// The sizes that dynos can have, as Heroku spells them; it takes any case.
const SIZES: &[&str] =
    &["Eco", "Basic", "Standard-1X", "Standard-2X", "Performance-M", "Performance-L", "Performance-L-RAM"];

/// Carries a request out.
pub(super) fn answer(state: &mut State, request: &Received) -> Reply {
    let path = request.path.split('?').next().unwrap_or_default();
    let segments: Vec<String> = path.trim_matches('/').split('/').map(decoded).collect();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let free = segments == ["account", "rate-limits"];
    let found = if !knows_key(state, &request.authorization) {
        error(401, "unauthorized", "Invalid credentials provided.")
    } else if !accepts_version_3(&request.accept) {
        error(406, "not_acceptable", "Ask for version 3.")
    } else if state.remaining == 0 && !free {
        let message = "Your account reached the API rate limit\nPlease wait a few minutes before making new requests";
        error(429, "rate_limit", message)
    } else {
        state.remaining = state.remaining.saturating_sub(u32::from(!free));
        endpoint(state, &request.method, &segments, &request.body)
    };
    let mut headers = vec![("Request-Id", state.id()), ("RateLimit-Remaining", state.remaining.to_string())];
    let (status, body) = match found {
        Found::One(status, body) | Found::Error(status, body) => (status, body),
        Found::List(list) => page(list, request.range.as_deref(), state.page_size, &mut headers),
    };
    let body = body.to_string().into_bytes();
    if request.method == "GET" && matches!(status, 200 | 206) {
        let etag = etag(&body);
        let same = request.if_none_match.as_deref() == Some(etag.as_str());
        headers.push(("ETag", etag));
        if same {
            return Reply { status: 304, headers, body: Vec::new() };
        }
    }
    Reply { status, headers, body }
}

fn endpoint(state: &mut State, method: &str, segments: &[&str], body: &str) -> Found {
    match (method, segments) {
        ("GET", ["account"]) => Found::One(200, json!({ "id": "01234567-89ab-4def-8123-0", "email": "o@example.com" })),
        ("GET", ["account", "rate-limits"]) => Found::One(200, json!({ "remaining": state.remaining })),
        (_, ["apps", name, rest @ ..]) => {
            let new_id = state.id();
            let Some(app) = state.app(name) else { return error(404, "not_found", "Couldn't find that app.") };
            app_endpoint(app, new_id, method, rest, body)
        }
        _ => error(404, "not_found", "The requested API endpoint was not found."),
    }
}

fn app_endpoint(app: &mut App, new_id: String, method: &str, segments: &[&str], body: &str) -> Found {
    match (method, segments) {
        ("GET", []) => Found::One(200, app.shown()),
        ("GET", ["formation"]) => Found::List(app.formation.iter().map(|entry| app.shown_process(entry)).collect()),
        ("PATCH", ["formation"]) => {
            let updates = match serde_json::from_str::<Value>(body) {
                Ok(Value::Object(mut body)) => body.remove("updates"),
                Ok(_) => None,
                Err(_) => return error(400, "bad_request", "The body is not JSON."),
            };
            let Some(Value::Array(updates)) = updates else { return invalid("updates is missing.") };
            match set(app, &updates) {
                Ok(changed) => Found::One(200, changed.iter().map(|entry| app.shown_process(entry)).collect()),
                Err(error) => error,
            }
        }
        ("GET", ["formation", process]) => match find(&app.formation, process) {
            Some(at) => Found::One(200, app.shown_process(&app.formation[at])),
            None => unknown_process(),
        },
        ("PATCH", ["formation", process]) => {
            let Ok(Value::Object(mut update)) = serde_json::from_str(body) else {
                return error(400, "bad_request", "The body is not a JSON object.");
            };
            update.insert("type".to_owned(), json!(process));
            match set(app, &[Value::Object(update)]) {
                Ok(changed) => {
                    Found::One(200, changed.first().map(|entry| app.shown_process(entry)).unwrap_or_default())
                }
                Err(error) => error,
            }
        }
        ("GET", ["dynos"]) => Found::List(app.shown_dynos()),
        ("GET", ["releases"]) => Found::List(app.shown_releases()),
        ("GET", ["log-drains"]) => Found::List(app.drains.iter().map(Drain::shown).collect()),
        ("POST", ["log-drains"]) => add_drain(app, new_id, body),
        ("DELETE", ["log-drains", which]) => {
            let Some(at) = app.drains.iter().position(|drain| drain.id == *which || drain.url == *which) else {
                return error(404, "not_found", "Couldn't find that log drain.");
            };
            Found::One(200, app.drains.remove(at).shown())
        }
        _ => error(404, "not_found", "The requested API endpoint was not found."),
    }
}

fn add_drain(app: &mut App, id: String, body: &str) -> Found {
    let body: Value = serde_json::from_str(body).unwrap_or_default();
    let Some(url) = body.get("url").and_then(Value::as_str).filter(|url| url.contains("://")) else {
        return invalid("Url is invalid.");
    };
    if app.drains.iter().any(|drain| drain.url == url) {
        return invalid("Url has already been taken.");
    }
    let drain = Drain { id, url: url.to_owned() };
    let shown = drain.shown();
    app.drains.push(drain);
    Found::One(201, shown)
}

/// Carries updates out, all or none; the answer is the entries that were named.
fn set(app: &mut App, updates: &[Value]) -> Result<Vec<Process>, Found> {
    let mut formation = app.formation.clone();
    let mut changed = Vec::with_capacity(updates.len());
    for update in updates {
        let Some(process) = update.get("type").and_then(Value::as_str) else { return Err(invalid("type is missing.")) };
        let at = find(&formation, process).ok_or_else(unknown_process)?;
        let entry = &mut formation[at];
        let before = entry.quantity;
        if let Some(quantity) = update.get("quantity") {
            entry.set(quantity_after(before, quantity).ok_or_else(|| invalid("Quantity is invalid."))?);
        }
        if let Some(size) = update.get("size").filter(|size| !size.is_null()) {
            let size = size.as_str().unwrap_or_default();
            let known = SIZES.iter().find(|known| known.eq_ignore_ascii_case(size));
            entry.size = (*known.ok_or_else(|| invalid("Couldn't find that dyno size."))?).to_owned();
        }
        let one_only = matches!(entry.size.as_str(), "Eco" | "Basic");
        let most = if one_only { Some(1) } else { app.limits.process };
        if let Some(most) = most.filter(|most| entry.quantity > *most && entry.quantity > before) {
            let message = format!("Cannot update to more than {most} {} size dynos per process type.", entry.size);
            return Err(above("cannot_update_above_limit", &message, most, entry, app.limits.named));
        }
        changed.push(at);
    }
    let sum = |entries: &[Process]| entries.iter().map(|entry| u64::from(entry.quantity)).sum::<u64>();
    if let Some(most) = app.limits.app
        && sum(&formation) > u64::from(most)
        && sum(&formation) > sum(&app.formation)
        && let Some(at) = changed.first()
    {
        let entry = &formation[*at];
        let message = format!("Cannot run more than {most} {} size dynos.", entry.size);
        return Err(above("cannot_run_above_limit", &message, most, entry, app.limits.named));
    }
    app.formation = formation;
    Ok(changed.into_iter().map(|at| app.formation[at].clone()).collect())
}

/// A quantity as number, as text, or as signed text, which counts from the quantity before.
fn quantity_after(before: u32, quantity: &Value) -> Option<u32> {
    match quantity {
        Value::Number(number) => u32::try_from(number.as_u64()?).ok(),
        Value::String(text) => match text.split_at_checked(1) {
            Some(("+", more)) => before.checked_add(more.parse().ok()?),
            Some(("-", fewer)) => before.checked_sub(fewer.parse().ok()?),
            _ => text.parse().ok(),
        },
        _ => None,
    }
}

fn find(formation: &[Process], name: &str) -> Option<usize> {
    formation.iter().position(|entry| entry.process == name || entry.id == name)
}

/// The part of a list that was asked for, `Range: id ]ID..; max=2, order=desc` with any of its parts missing or misspelt.
fn page(
    mut list: Vec<Value>,
    range: Option<&str>,
    page_size: usize,
    headers: &mut Vec<(&'static str, String)>,
) -> (u16, Value) {
    let range = range.unwrap_or_default();
    if range.contains("order=desc") {
        list.reverse();
    }
    let max = range.split_once("max=").map(|(_, rest)| rest.split(|c: char| !c.is_ascii_digit()).next());
    let max = max.flatten().and_then(|max| max.parse().ok()).unwrap_or(page_size).clamp(1, page_size);
    let after = range.split_once(']').and_then(|(_, rest)| rest.split_once("..")).map(|(after, _)| after);
    if let Some(after) = after
        && let Some(at) = list.iter().position(|entry| entry["id"] == after)
    {
        list.drain(..=at);
    }
    if list.len() <= max {
        return (200, Value::Array(list));
    }
    list.truncate(max);
    if let Some(last) = list.last().and_then(|entry| entry["id"].as_str()) {
        let order = if range.contains("order=desc") { ", order=desc" } else { "" };
        headers.push(("Next-Range", format!("id ]{last}..; max={max}{order}")));
    }
    (206, Value::Array(list))
}

fn knows_key(state: &State, authorization: &str) -> bool {
    match authorization.split_once(' ') {
        Some(("Bearer", key)) => key == state.key,
        // Old clients send the key as the password of no user.
        Some(("Basic", encoded)) => {
            STANDARD.decode(encoded).is_ok_and(|pair| pair.strip_prefix(b":") == Some(state.key.as_bytes()))
        }
        _ => false,
    }
}

/// `application/vnd.heroku+json; version=3`, or a variant such as `version=3.sdk`.
fn accepts_version_3(accept: &str) -> bool {
    let version = accept.strip_prefix("application/vnd.heroku+json").and_then(|rest| rest.split_once("version="));
    version.is_some_and(|(_, version)| version == "3" || version.starts_with("3."))
}

fn etag(body: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    body.hash(&mut hasher);
    format!("\"{:016x}\"", hasher.finish())
}

fn decoded(segment: &str) -> String {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.bytes();
    while let Some(byte) = rest.next() {
        let hex = || {
            let mut ahead = rest.clone();
            let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
            Some(digit(ahead.next()?)? * 16 + digit(ahead.next()?)?)
        };
        match (byte, if byte == b'%' { hex() } else { None }) {
            (_, Some(decoded)) => {
                bytes.push(decoded);
                rest.nth(1);
            }
            (byte, None) => bytes.push(byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn above(id: &str, message: &str, limit: u32, entry: &Process, named: bool) -> Found {
    let mut body = json!({ "id": id, "message": message, "size": entry.size });
    if named {
        body["limit"] = json!(limit);
    }
    Found::Error(422, body)
}

fn error(status: u16, id: &str, message: &str) -> Found {
    Found::Error(status, json!({ "id": id, "message": message }))
}

fn invalid(message: &str) -> Found {
    error(422, "invalid_params", message)
}

fn unknown_process() -> Found {
    error(404, "not_found", "Couldn't find that process type.")
}
