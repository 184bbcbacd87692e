//! Who may do what: a row per rule of docs/dashboard.md; and no secret in any answer.

#![allow(clippy::unwrap_used, reason = "a test that cannot build its input fails")]

use common::{READ, TOKEN, ask, bearer, get, local, with_tokens};

mod common;

const PAUSE: &str = "/api/v1/apps/shop/processes/web/pause";

#[tokio::test]
async fn reading_and_changing_are_separate_rights() {
    let router = with_tokens("").await;
    let (change, read) = (bearer(TOKEN), bearer(READ));
    let none = "";
    let wrong = "Bearer planted-change-0123456789abcdee";
    for (method, path, token, status) in [
        ("GET", "/healthz", none, 200),
        ("GET", "/readyz", none, 200),
        ("GET", "/login", none, 200),
        ("GET", "/assets/app.css", none, 200),
        ("GET", "/", none, 401),
        ("GET", "/metrics", none, 401),
        ("GET", "/metrics", wrong, 401),
        ("GET", "/metrics", &read, 200),
        ("GET", "/api/v1/processes", none, 401),
        ("GET", "/api/v1/processes", wrong, 401),
        ("GET", "/api/v1/processes", &read, 200),
        ("GET", "/api/v1/processes", &change, 200),
        ("GET", "/api/v1/events/stream", none, 401),
        ("GET", "/api/v1/events/stream", &read, 200),
        ("POST", PAUSE, none, 401),
        ("POST", PAUSE, wrong, 401),
        ("POST", PAUSE, &read, 403),
        ("POST", PAUSE, &change, 200),
    ] {
        let headers = [("authorization", token)];
        let headers = if token.is_empty() { &[][..] } else { &headers[..] };
        let answer = ask(&router, method, path, headers, "").await;
        assert_eq!(answer.status.as_u16(), status, "{method} {path} with {token:?}: {}", answer.body);
        if status == 401 {
            assert!(answer.header("www-authenticate").starts_with("Bearer"), "{path}");
        }
    }
    // With tokens the name in Host does not matter, as a foreign page has none of them.
    let named =
        ask(&router, "GET", "/api/v1/processes", &[("host", "bot.example"), ("authorization", &read)], "").await;
    assert_eq!(named.status, 200);
    assert_eq!(get(&router, "/api/v1/processes").await.json()["status"], 401);
    let list = ask(&router, "GET", "/api/v1/processes", &[("authorization", &read)], "").await.json();
    assert_eq!(list["may_change"], false);
}

#[tokio::test]
async fn signing_in_and_out() {
    let router = with_tokens("/bot").await;
    let page = ask(&router, "GET", "/bot/", &[("accept", "text/html")], "").await;
    assert_eq!((page.status.as_u16(), page.header("location")), (303, "login"));
    let bare = get(&router, "/bot").await;
    assert_eq!((bare.status.as_u16(), bare.header("location")), (308, "/bot/"));
    assert_eq!(get(&router, "/botany").await.status, 404);

    let wrong = ask(&router, "POST", "/bot/login", &[], "token=nonsense").await;
    assert_eq!((wrong.status.as_u16(), wrong.header("location"), wrong.header("set-cookie")), (303, "login?wrong", ""));
    let foreign = [("origin", "https://evil.example")];
    assert_eq!(ask(&router, "POST", "/bot/login", &foreign, &format!("token={TOKEN}")).await.status, 403);

    let proxied = [("x-forwarded-proto", "https")];
    let good = ask(&router, "POST", "/bot/login", &proxied, &format!("token={TOKEN}")).await;
    let cookie = good.header("set-cookie");
    for part in ["Path=/bot/", "HttpOnly", "SameSite=Strict", "Secure", "Max-Age="] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(!cookie.contains(TOKEN), "{cookie}");
    let cookie = cookie.split(';').next().unwrap().to_owned();
    let with = |more: &[(&'static str, &'static str)]| {
        let mut headers = vec![("cookie", cookie.as_str())];
        headers.extend(more);
        headers
    };
    assert_eq!(ask(&router, "GET", "/bot/", &with(&[]), "").await.status, 200);
    // The proxy may take the prefix away itself.
    assert_eq!(ask(&router, "GET", "/api/v1/processes", &with(&[]), "").await.json()["signed_in"], true);
    let pause = format!("/bot{PAUSE}");
    for (more, status) in [
        (&[][..], 403),
        (&[("x-autoscalebot", "1")][..], 200),
        (&[("x-autoscalebot", "1"), ("origin", "http://localhost:7878")], 200),
        (&[("x-autoscalebot", "1"), ("origin", "https://evil.example")], 403),
        (&[("x-autoscalebot", "1"), ("origin", "null")], 403),
        (&[("x-autoscalebot", "1"), ("sec-fetch-site", "same-origin")], 200),
        (&[("x-autoscalebot", "1"), ("sec-fetch-site", "same-site")], 403),
        (&[("x-autoscalebot", "1"), ("sec-fetch-site", "cross-site"), ("origin", "http://localhost:7878")], 403),
    ] {
        let answer = ask(&router, "POST", &pause, &with(more), "").await;
        assert_eq!(answer.status.as_u16(), status, "{more:?}: {}", answer.body);
    }
    let out = ask(&router, "POST", "/bot/logout", &with(&[]), "").await;
    assert!(out.header("set-cookie").contains("Max-Age=0"));
    assert_eq!(ask(&router, "GET", "/api/v1/processes", &with(&[]), "").await.status, 401);

    // Guessing is slowed down, for everybody.
    let mut last = 0;
    for _ in 0..12 {
        last = ask(&router, "POST", "/bot/login", &[], "token=nonsense").await.status.as_u16();
    }
    assert_eq!(last, 429);
}

#[tokio::test]
async fn on_this_machine_only_its_own_names_are_answered() {
    let router = local(&["shop"]).await;
    for (host, status) in [
        ("localhost", 200),
        ("localhost:7878", 200),
        ("LOCALHOST:1", 200),
        ("bot.localhost:7878", 200),
        ("127.0.0.1:7878", 200),
        ("127.1.2.3", 200),
        ("[::1]:7878", 200),
        ("evil.example", 421),
        ("localhost.evil.example:7878", 421),
        ("192.168.1.4:7878", 421),
        ("", 421),
    ] {
        for path in ["/", "/api/v1/processes", "/metrics"] {
            let answer = ask(&router, "GET", path, &[("host", host)], "").await;
            assert_eq!(answer.status.as_u16(), status, "{host} {path}");
        }
    }
    // A page of another site may make a browser send a form, and nothing more.
    let form = [("content-type", "text/plain"), ("origin", "https://evil.example")];
    assert_eq!(ask(&router, "POST", PAUSE, &form, "").await.status, 403);
    assert_eq!(ask(&router, "POST", PAUSE, &[("x-autoscalebot", "1")], "").await.status, 200);
    let preflight = ask(&router, "OPTIONS", PAUSE, &[("origin", "https://evil.example")], "").await;
    assert!(preflight.headers.keys().all(|name| !name.as_str().starts_with("access-control")));
}

#[tokio::test]
async fn every_answer_has_the_headers() {
    let router = with_tokens("").await;
    for path in ["/", "/login", "/assets/app.js", "/api/v1/processes", "/nothing", "/healthz", "/metrics"] {
        let answer = ask(&router, "GET", path, &[("authorization", &bearer(READ))], "").await;
        let policy = answer.header("content-security-policy");
        for part in
            ["default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"]
        {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("referrer-policy"), "no-referrer", "{path}");
        assert_eq!(answer.header("x-frame-options"), "DENY", "{path}");
        assert!(!answer.header("cache-control").is_empty(), "{path}");
    }
}

/// The policy forbids scripts and styles inside the page: there must be none.
#[test]
fn the_pages_have_nothing_inline() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("assets");
    for name in ["index.html", "login.html"] {
        let page = std::fs::read_to_string(folder.join(name)).unwrap();
        assert!(!page.contains("<style") && !page.contains(" style=") && !page.contains(" onclick="), "{name}");
        for script in page.split("<script").skip(1) {
            assert!(script.trim_start().starts_with("src=\"assets/"), "{name}: {script}");
        }
        assert!(!page.contains("http://") && !page.contains("https://"), "{name} needs the network");
    }
    for entry in std::fs::read_dir(&folder).unwrap().flatten() {
        let text = std::fs::read_to_string(entry.path()).unwrap();
        let far = text.replace("http://www.w3.org/2000/svg", "");
        assert!(!far.contains("http://") && !far.contains("https://"), "{} needs the network", entry.path().display());
        assert!(!text.contains("innerHTML") && !text.contains("eval("), "{}", entry.path().display());
    }
}

#[tokio::test]
async fn too_many_requests_are_refused() {
    let router = local(&["shop"]).await;
    let mut refused = 0;
    for _ in 0..700 {
        let answer = get(&router, "/healthz").await;
        if answer.status == 429 {
            assert_eq!(answer.header("retry-after"), "1");
            refused += 1;
        }
    }
    assert!(refused > 0);
}

#[tokio::test]
async fn no_answer_holds_a_token() {
    let router = with_tokens("").await;
    let document = autoscalebot_server::document();
    for path in document["paths"].as_object().unwrap().keys() {
        let path = path.replace("{app}", "shop").replace("{process}", "web").replace("{name}", "app.js");
        for method in ["GET", "POST", "OPTIONS", "DELETE"] {
            for token in [TOKEN, READ, "nonsense"] {
                let answer = ask(&router, method, &path, &[("authorization", &bearer(token))], "").await;
                let all = format!("{:?}{}", answer.headers, answer.body);
                assert!(!all.contains(TOKEN) && !all.contains(READ), "{method} {path}: {all}");
            }
        }
    }
}

/// What is sent to the program comes with a token of its own, whatever name it was sent to.
#[tokio::test]
async fn senders_of_measurements_need_no_token_of_the_dashboard() {
    let router = local(&["shop"]).await;
    let sent = ask(&router, "POST", "/samples/not-known-0123", &[("host", "bot.example")], "{}").await;
    assert_eq!((sent.status.as_u16(), sent.body.contains("token is not known")), (403, true), "{}", sent.body);
}
