//! Requests that real clients were recorded to send, sent to the stand-in as they were: it answers with the same kind of status
//! and the fields that the clients were content with. Where they come from: `fixtures/README.md`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

use std::io::{Read, Write};
use std::net::TcpStream;

use autoscalebot_fakes::heroku::HerokuFake;
use serde_json::Value;

/// The UUID of the app in the recording.
const RECORDED_ID: &str = "01234567-89ab-cdef-0123-456789abcdef";

/// Sends one request byte by byte as given; the answer's status and body.
fn exchange(fake: &HerokuFake, method: &str, path: &str, headers: &[(String, String)], body: &str) -> (u16, String) {
    let address = fake.url();
    let mut stream = TcpStream::connect(address.trim_start_matches("http://")).unwrap();
    let mut request = format!("{method} {path} HTTP/1.1\r\nHost: fake\r\nConnection: close\r\n");
    for (name, value) in headers {
        request += &format!("{name}: {value}\r\n");
    }
    request += &format!("Content-Length: {}\r\n\r\n{body}", body.len());
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let head = head.to_lowercase();
    assert!(head.contains("\r\nrequest-id: "), "{head}");
    assert!(head.contains("\r\nratelimit-remaining: "), "{head}");
    (status, body.to_owned())
}

#[test]
fn recorded_requests_are_answered_as_the_clients_need() {
    let mut count = 0;
    for line in include_str!("fixtures/heroku-requests.jsonl").lines() {
        let recorded: Value = serde_json::from_str(line).unwrap();
        let fake = HerokuFake::start().unwrap();
        let id = fake.add_app("myapp", &[("web", 1, "Standard-1X"), ("worker", 2, "Standard-1X")]);
        let headers: Vec<(String, String)> = recorded["headers"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()))
            .collect();
        let path = recorded["path"].as_str().unwrap().replace(RECORDED_ID, &id);
        let (status, body) =
            exchange(&fake, recorded["method"].as_str().unwrap(), &path, &headers, recorded["body"].as_str().unwrap());
        assert_eq!(u64::from(status), recorded["status"].as_u64().unwrap(), "{line}\n{body}");
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body.is_array(), recorded["list"].as_bool().unwrap(), "{line}\n{body}");
        let thing = if body.is_array() { &body[0] } else { &body };
        for field in recorded["fields"].as_array().unwrap() {
            assert!(thing.get(field.as_str().unwrap()).is_some(), "{field} is missing: {line}\n{body}");
        }
        count += 1;
    }
    assert_eq!(count, 20);
}

#[test]
fn quantities_are_set_as_numbers_text_and_signed_text_and_all_or_none() {
    let fake = HerokuFake::with_shop().unwrap();
    let headers = vec![
        ("Authorization".to_owned(), format!("Bearer {}", HerokuFake::KEY)),
        ("Accept".to_owned(), "application/vnd.heroku+json; version=3".to_owned()),
    ];
    let patch = |updates: &str| {
        let body = format!(r#"{{"updates":{updates}}}"#);
        let (status, answer) = exchange(&fake, "PATCH", "/apps/shop/formation", &headers, &body);
        let quantities = (fake.quantity("shop", "web").unwrap(), fake.quantity("shop", "worker").unwrap());
        let answer: Value = serde_json::from_str(&answer).unwrap();
        (status, answer["id"].as_str().map(str::to_owned), quantities)
    };
    let error = |id: &str| Some(id.to_owned());
    for (updates, status, id, quantities) in [
        (r#"[{"type":"web","quantity":3}]"#, 200, None, (3, 1)),
        (r#"[{"type":"web","quantity":"4"},{"type":"worker","quantity":"+2"}]"#, 200, None, (4, 3)),
        (r#"[{"type":"worker","quantity":"-3"}]"#, 200, None, (4, 0)),
        (r#"[{"type":"worker","quantity":"-1"}]"#, 422, error("invalid_params"), (4, 0)),
        (r#"[{"type":"web","quantity":9},{"type":"gone","quantity":1}]"#, 404, error("not_found"), (4, 0)),
        (r#"[{"type":"web","quantity":9},{"type":"worker","quantity":-1}]"#, 422, error("invalid_params"), (4, 0)),
        (r#"[{"type":"web","quantity":2.5}]"#, 422, error("invalid_params"), (4, 0)),
        (r#"[{"type":"web","size":"huge"}]"#, 422, error("invalid_params"), (4, 0)),
        (r#"[{"type":"worker","quantity":2,"size":"basic"}]"#, 422, error("cannot_update_above_limit"), (4, 0)),
        (r#"[{"quantity":2}]"#, 422, error("invalid_params"), (4, 0)),
        ("7", 422, error("invalid_params"), (4, 0)),
        ("{", 400, error("bad_request"), (4, 0)),
    ] {
        assert_eq!(patch(updates), (status, id, quantities), "{updates}");
    }
}

#[test]
fn the_key_and_the_version_are_asked_for() {
    let fake = HerokuFake::with_shop().unwrap();
    let good = "application/vnd.heroku+json; version=3";
    let bearer = format!("Bearer {}", HerokuFake::KEY);
    for (authorization, accept, status) in [
        (bearer.as_str(), good, 200),
        (&bearer, "application/vnd.heroku+json; version=3.sdk", 200),
        (&bearer, "application/vnd.heroku+json; version=4", 406),
        (&bearer, "application/json", 406),
        ("Basic OnRlc3Qta2V5LTAwMDA=", good, 200),
        ("Basic dGVzdC1rZXktMDAwMA==", good, 401),
        ("Bearer other", good, 401),
        ("", good, 401),
    ] {
        let headers =
            [("Authorization".to_owned(), authorization.to_owned()), ("Accept".to_owned(), accept.to_owned())];
        let answered = exchange(&fake, "GET", "/apps/shop", &headers, "").0;
        assert_eq!(answered, status, "{authorization} {accept}");
    }
}

#[test]
fn drains_are_added_listed_and_deleted() {
    let fake = HerokuFake::with_shop().unwrap();
    let headers = vec![
        ("Authorization".to_owned(), format!("Bearer {}", HerokuFake::KEY)),
        ("Accept".to_owned(), "application/vnd.heroku+json; version=3".to_owned()),
    ];
    let body = r#"{"url":"https://u:p@drain.example/logs"}"#;
    let call = |method: &str, path: &str, body: &str| exchange(&fake, method, path, &headers, body);
    assert_eq!(call("POST", "/apps/shop/log-drains", body).0, 201);
    assert_eq!(call("POST", "/apps/shop/log-drains", body).0, 422, "twice the same");
    assert_eq!(fake.drains("shop"), ["https://u:p@drain.example/logs"]);
    let url = "https%3A%2F%2Fu%3Ap%40drain.example%2Flogs";
    assert_eq!(call("DELETE", &format!("/apps/shop/log-drains/{url}"), "").0, 200);
    assert_eq!(call("DELETE", &format!("/apps/shop/log-drains/{url}"), "").0, 404);
    assert_eq!(call("GET", "/apps/shop/log-drains", "").1, "[]");
}
