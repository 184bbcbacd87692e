//! What a client and an app see of the proxy, and what the router line says.

use std::time::{Duration, Instant};

use autoscalebot_platform::Platform;
use jiff::Timestamp;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{App, PATIENCE, python, request};

#[tokio::test]
async fn headers_as_heroku_sends_them() {
    let app = App::web(|_| {}).await;
    let head = "GET /headers HTTP/1.1\r\nHost: shop.example\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\n\
                X-Forwarded-For: 198.51.100.1\r\nX-Request-Id: abcdefghij-0123456789\r\nAccept: */*\r\n\r\n";
    let answer = request(app.address(), head).await;
    let headers = answer.json();
    assert_eq!(headers["host"], "shop.example");
    assert_eq!(headers["x-forwarded-for"], "198.51.100.1, 127.0.0.1");
    assert_eq!(headers["x-forwarded-proto"], "http");
    assert_eq!(headers["x-forwarded-port"], app.address().port().to_string());
    assert_eq!(headers["x-request-id"], "abcdefghij-0123456789");
    assert_eq!(headers["accept"], "*/*");
    assert!(!headers.contains_key("x-hop"));
    let start: i64 = headers["x-request-start"].parse().unwrap();
    assert!((Timestamp::now().as_millisecond() - start).abs() < 10_000);

    let line = app.lines.router("/headers").await;
    assert_eq!(line["at"], "info");
    assert_eq!(line["method"], "GET");
    assert_eq!(line["host"], "shop.example");
    assert_eq!(line["request_id"], "abcdefghij-0123456789");
    assert_eq!(line["fwd"], "198.51.100.1, 127.0.0.1");
    assert_eq!((line["dyno"].as_str(), line["status"].as_str()), ("web.1", "200"));
    assert_eq!(line["bytes"], answer.body.len().to_string());
    assert_eq!(line["protocol"], "http");
    assert!(line["connect"].ends_with("ms") && line["service"].ends_with("ms"), "{line:?}");
    app.local.stop().await;
}

#[tokio::test]
async fn bodies_stream_both_ways() {
    let app = App::web(|_| {}).await;
    let mut stream = TcpStream::connect(app.address()).await.unwrap();
    stream.write_all(b"GET /stream?n=8 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
    let began = Instant::now();
    let mut first = [0; 4096];
    let mut seen = String::new();
    while !seen.contains("piece") {
        let read = stream.read(&mut first).await.unwrap();
        assert!(read > 0);
        seen.push_str(&String::from_utf8_lossy(&first[..read]));
    }
    let first_piece = began.elapsed();
    assert_eq!(app.lines.count("router", "/stream"), 0, "the line waits for the end");
    let mut rest = String::new();
    stream.read_to_string(&mut rest).await.unwrap();
    assert!(began.elapsed() > first_piece + Duration::from_millis(400), "{first_piece:?} of {:?}", began.elapsed());
    let line = app.lines.router("/stream?n=8").await;
    assert_eq!(line["bytes"], "40");
    assert!(line["service"].trim_end_matches("ms").parse::<u64>().unwrap() >= 700, "{line:?}");

    let body = "x".repeat(3_000_000);
    let sized =
        format!("POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let expected = format!("3000000 {}", 3_000_000 * u64::from(b'x'));
    assert_eq!(request(app.address(), &sized).await.body, expected);
    let chunked = format!(
        "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
        body.len()
    );
    assert_eq!(request(app.address(), &chunked).await.body, expected);
    app.local.stop().await;
}

#[tokio::test]
async fn a_connection_is_kept_and_head_has_no_body() {
    let app = App::web(|_| {}).await;
    let mut stream = TcpStream::connect(app.address()).await.unwrap();
    stream.write_all(b"HEAD /first HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let mut buffer = [0; 4096];
    let read = stream.read(&mut buffer).await.unwrap();
    let head = String::from_utf8_lossy(&buffer[..read]).to_ascii_lowercase();
    assert!(head.contains("content-length: 5") && head.ends_with("\r\n\r\n"), "{head}");
    assert!(!head.contains("connection: close"), "{head}");
    stream.write_all(b"GET /second HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut rest = String::new();
    stream.read_to_string(&mut rest).await.unwrap();
    assert!(rest.ends_with("web.1"), "{rest}");
    let line = app.lines.router("/first").await;
    assert_eq!((line["at"].as_str(), line["method"].as_str(), line["bytes"].as_str()), ("info", "HEAD", "0"));
    app.local.stop().await;
}

#[tokio::test]
async fn an_app_of_http_1_0_does_not_end_the_clients_connection() {
    let app = App::start("web: exec python3 -m http.server --bind 127.0.0.1 $PORT", |_| {}).await;
    app.up("web.1").await;
    let mut stream = TcpStream::connect(app.address()).await.unwrap();
    let mut buffer = vec![0; 65_536];
    for _ in 0..2 {
        stream.write_all(b"GET /Procfile HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        let mut seen = String::new();
        while !seen.contains("http.server --bind") {
            let read = stream.read(&mut buffer).await.unwrap();
            assert!(read > 0, "{seen}");
            seen.push_str(&String::from_utf8_lossy(&buffer[..read]));
        }
        assert!(seen.starts_with("HTTP/1.1 200 OK"), "{seen}");
    }
    app.local.stop().await;
}

#[tokio::test]
async fn http_2_is_taken_too() {
    let app = App::web(|_| {}).await;
    // The client wants to know how it would do TLS, though here it does none.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().http2_prior_knowledge().no_proxy().build().unwrap();
    let url = format!("http://{}/headers", app.address());
    let answer = client.get(&url).send().await.unwrap();
    assert_eq!(answer.version(), reqwest::Version::HTTP_2);
    let headers: std::collections::BTreeMap<String, String> = answer.json().await.unwrap();
    assert_eq!(headers["host"], app.address().to_string());
    let answer = client.post(&url).body("abc").send().await.unwrap().text().await.unwrap();
    assert_eq!(answer, "3 294");
    app.local.stop().await;
}

#[tokio::test]
async fn an_upgrade_passes_and_counts_as_open() {
    let app = App::web(|options| options.stop_grace = Duration::from_secs(10)).await;
    let mut stream = TcpStream::connect(app.address()).await.unwrap();
    let head = b"GET /echo HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n";
    stream.write_all(head).await.unwrap();
    let mut buffer = [0; 4096];
    let read = stream.read(&mut buffer).await.unwrap();
    let answer = String::from_utf8_lossy(&buffer[..read]).to_ascii_lowercase();
    assert!(answer.starts_with("http/1.1 101") && answer.contains("upgrade: echo"), "{answer}");
    stream.write_all(b"hello").await.unwrap();
    stream.read_exact(&mut buffer[..5]).await.unwrap();
    assert_eq!(&buffer[..5], b"hello");
    assert_eq!(app.local.open_requests().values().copied().collect::<Vec<_>>(), [1]);

    // Scaled away, the dyno waits for it.
    app.scale("web", 0).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    stream.write_all(b"still").await.unwrap();
    stream.read_exact(&mut buffer[..5]).await.unwrap();
    assert_eq!(&buffer[..5], b"still");
    assert_eq!(app.lines.count("web.1", "SIGTERM"), 0);
    drop(stream);
    app.lines.wait("web.1", "SIGTERM").await;
    let line = app.lines.router("/echo").await;
    assert_eq!((line["status"].as_str(), line["bytes"].as_str(), line["at"].as_str()), ("101", "10", "info"));
    app.local.stop().await;
}

#[tokio::test]
async fn faults_of_the_app_in_herokus_codes() {
    let app = App::web(|options| options.first_byte_timeout = Duration::from_millis(700)).await;
    for (path, status, code) in
        [("/close", 503, "H13"), ("/nonsense", 503, "H17"), ("/half", 200, "H18"), ("/sleep?ms=3000", 503, "H12")]
    {
        let answer = app.get(path).await;
        assert_eq!(answer.status, status, "{path}");
        let line = app.lines.router(path).await;
        assert_eq!((line["code"].as_str(), line["at"].as_str(), line["dyno"].as_str()), (code, "error", "web.1"));
        assert_eq!(line["status"], status.to_string());
        if status == 503 {
            assert!(answer.body.contains("Application error"), "{answer:?}");
            assert_eq!(line["bytes"], "0");
        }
    }
    let service = app.lines.router("/sleep?ms=3000").await["service"].clone();
    assert!((700..2500).contains(&service.trim_end_matches("ms").parse().unwrap()), "{service}");
    assert!(app.local.open_requests().values().all(|open| *open == 0));
    app.local.stop().await;
}

#[tokio::test]
async fn where_one_dyno_refuses_another_is_tried() {
    let app = App::web(|_| {}).await;
    app.scale("web", 2).await;
    app.up("web.2").await;
    assert_eq!(app.get("/unlisten").await.status, 200);
    tokio::time::sleep(Duration::from_millis(700)).await;
    for answer in app.get_many(10, "/x").await {
        assert_eq!(answer.status, 200);
    }
    assert_eq!(app.get("/unlisten").await.status, 200);
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(app.get("/refused").await.status, 503);
    let line = app.lines.router("/refused").await;
    assert_eq!((line["code"].as_str(), line["desc"].as_str()), ("H21", "Backend connection refused"));
    assert_eq!((line["connect"].as_str(), line["bytes"].as_str()), ("", ""));
    app.local.stop().await;
}

#[tokio::test]
async fn a_client_that_leaves_ends_the_work() {
    let app = App::web(|_| {}).await;
    for path in ["/sleep?ms=5000", "/stream?n=100"] {
        let mut stream = TcpStream::connect(app.address()).await.unwrap();
        stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(300)).await;
        drop(stream);
        let line = app.lines.router(path).await;
        assert_eq!((line["code"].as_str(), line["at"].as_str(), line["sock"].as_str()), ("H27", "warning", "client"));
        assert_eq!(line["status"], "499");
    }
    app.lines.wait("web.1", "the client left").await;
    assert!(app.local.open_requests().values().all(|open| *open == 0));
    app.local.stop().await;
}

#[tokio::test]
async fn no_dyno_is_wanted() {
    let app = App::start(&format!("web: {}", python("")), |options| {
        options.formation = [("web".to_owned(), 0)].into();
    })
    .await;
    let began = Instant::now();
    let answer = app.get("/none").await;
    assert!(began.elapsed() < Duration::from_secs(2));
    assert_eq!((answer.status, answer.body.as_str()), (503, "Application error\n"));
    let line = app.lines.router("/none").await;
    assert_eq!((line["code"].as_str(), line["desc"].as_str()), ("H14", "No web processes running"));
    for empty in ["dyno", "connect", "service", "bytes"] {
        assert_eq!(line[empty], "", "{empty}");
    }
    app.local.stop().await;
}

#[tokio::test]
async fn the_queue_has_a_limit_and_a_time() {
    let app = App::start(&format!("web: {}", python("boot=60")), |options| {
        options.queue_limit = 2;
        options.queue_timeout = Duration::from_secs(2);
    })
    .await;
    let answers = app.get_many(5, "/q").await;
    assert!(answers.iter().all(|answer| answer.status == 503));
    let until = Instant::now() + PATIENCE;
    while app.lines.count("router", "path=\"/q\"") < 5 && Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(app.lines.count("router", "code=H11"), 3);
    assert_eq!(app.lines.count("router", "code=H20"), 2);
    app.local.stop().await;
}

#[tokio::test]
async fn an_app_that_keeps_crashing_is_said_to_be() {
    let app = App::start(&format!("web: {}", python("die=1")), |options| {
        options.queue_timeout = Duration::from_secs(15);
    })
    .await;
    let began = Instant::now();
    assert_eq!(app.get("/c").await.status, 503);
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert_eq!(app.lines.router("/c").await["code"], "H10");
    app.local.stop().await;
}

/// Many requests while dynos come and go: the point of it all.
#[tokio::test]
async fn none_fails_while_dynos_come_and_go() {
    let app = App::web(|_| {}).await;
    let address = app.address();
    let clients: Vec<_> = (0..6)
        .map(|client| {
            tokio::spawn(async move {
                let until = Instant::now() + Duration::from_secs(5);
                let mut count = 0;
                while Instant::now() < until {
                    let head =
                        format!("GET /sleep?ms={} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 20 + client * 10);
                    let answer = request(address, &head).await;
                    assert_eq!(answer.status, 200, "{answer:?}");
                    count += 1;
                }
                count
            })
        })
        .collect();
    for quantity in [3, 1, 4, 2, 1, 3] {
        app.scale("web", quantity).await;
        tokio::time::sleep(Duration::from_millis(700)).await;
    }
    let mut count = 0;
    for client in clients {
        count += client.await.unwrap();
    }
    assert!(count > 50, "{count}");
    assert_eq!(app.lines.count("router", "at=error"), 0);
    app.local.stop().await;
}
