//! `json` and `prometheus` against real sockets: logins, redirects, answers that are too long, too slow or cut off.

#![allow(clippy::unwrap_used, reason = "a test that cannot build its input fails")]

mod servers;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use servers::{failure, read, source, try_source, value};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// A server that answers each connection's requests with this text, and keeps their heads.
async fn answering(answer: impl Into<String>) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let heads = Arc::<Mutex<Vec<String>>>::default();
    let (kept, answer) = (Arc::clone(&heads), answer.into());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (kept, answer) = (Arc::clone(&kept), answer.clone());
            tokio::spawn(async move {
                let mut head = Vec::new();
                let mut piece = [0; 4096];
                loop {
                    let read = stream.read(&mut piece).await.unwrap_or(0);
                    if read == 0 {
                        return;
                    }
                    head.extend_from_slice(&piece[..read]);
                    if head.ends_with(b"\r\n\r\n") {
                        kept.lock().unwrap().push(String::from_utf8_lossy(&head).to_lowercase());
                        head.clear();
                        if answer.is_empty() || stream.write_all(answer.as_bytes()).await.is_err() {
                            std::future::pending::<()>().await;
                        }
                    }
                }
            });
        }
    });
    (format!("127.0.0.1:{port}"), heads)
}

fn whole(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

#[tokio::test(flavor = "multi_thread")]
async fn json_with_each_login() {
    let (host, heads) = answering(whole("200 OK", r#"{"n": "12", "busy": 1}"#)).await;
    let lines = |url: &str, rest: &str| format!("type = \"json\"\nurl = \"{url}\"\npointer = \"/n\"\n{rest}");
    let taken = read(&lines(&format!("http://{host}/q?a=1"), "busy = \"/busy\"\nunit = \"jobs\"")).await;
    assert_eq!((value(&taken), taken.detail.busy), (12.0, Some(1.0)));
    let head = heads.lock().unwrap().pop().unwrap();
    assert!(head.starts_with("get /q?a=1 http/1.1\r\n") && head.contains("accept: application/json"), "{head}");
    let plain = format!("http://{host}/");
    for (url, rest, wanted) in [
        (&plain, "token = \"tok-EXAMPLE-1234\"", "authorization: bearer tok-example-1234"),
        // me:p@ss
        (&plain, "username = \"me\"\npassword = \"p@ss\"", "authorization: basic bwu6cebzcw=="),
        (&format!("http://me:p%40ss@{host}/"), "", "authorization: basic bwu6cebzcw=="),
        (&plain, "headers = { X-Key = \"k\" }", "x-key: k"),
    ] {
        let source = source(&lines(url, rest));
        assert!(!format!("{source:?}").contains("EXAMPLE"), "{source:?}");
        assert_eq!(value(&source.read().await), 12.0);
        let head = heads.lock().unwrap().pop().unwrap();
        assert!(head.contains(wanted), "{head}");
    }
    let said = try_source(&lines(&plain, "token = \"t\"\nusername = \"me\"")).unwrap_err();
    assert!(said.contains("token: stands beside another login"), "{said}");
    let said = try_source(&lines(&plain, "busy = \"n\"")).unwrap_err();
    assert!(said.contains("busy: is \"n\", but must begin with /: write \"/n\""), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_of_milliseconds_has_levels_in_time() {
    let (host, _) = answering(whole("200 OK", "0.25")).await;
    let ms = format!("type = \"json\"\nurl = \"http://{host}/\"\nunit = \"ms\"\nfactor = 1000");
    // The levels that are tried with are numbers of jobs.
    assert!(try_source(&ms).unwrap_err().contains("without a unit"));
    let count = ms.replace("unit = \"ms\"", "unit = \"count\"");
    assert_eq!(value(&read(&count).await), 250.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_are_none() {
    let long = format!("\"{}\"", "x".repeat(2_000_000));
    let cut = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\n12";
    for (answer, wanted) in [
        (whole("503 Service Unavailable", ""), "status 503"),
        (whole("302 Found\r\nlocation: http://127.0.0.1:1/", "1"), "status 302"),
        (whole("404 Not Found", "{\"n\": 1}"), "status 404"),
        (whole("200 OK", ""), "empty"),
        (whole("200 OK", "<html>"), "the answer is not JSON"),
        (whole("200 OK", "{\"n\": "), "the answer's JSON ends too early"),
        (whole("200 OK", "null"), "empty"),
        (whole("200 OK", "1e999"), "the answer is not JSON"),
        (whole("200 OK", &long), "the answer is longer than 1048576 bytes"),
    ] {
        let (host, _) = answering(answer).await;
        assert_eq!(failure(&read(&format!("type = \"json\"\nurl = \"http://{host}/\"")).await), wanted);
    }
    let (host, _) = answering(cut).await;
    let source = source(&format!("type = \"json\"\nurl = \"http://{host}/\"\ntimeout = \"500ms\""));
    let said = failure(&source.read().await);
    assert!(["closed", "timeout"].contains(&&*said), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a22_a_metrics_server_that_never_answers() {
    let (host, _) = answering("").await;
    let lines = format!("type = \"prometheus\"\nurl = \"http://{host}/\"\nquery = \"up\"\ntimeout = \"200ms\"");
    let began = Instant::now();
    assert_eq!(failure(&read(&lines).await), "timeout");
    assert!(began.elapsed() < Duration::from_secs(2));
    // The default is 5 seconds, far below 30.
    assert_eq!(source(&lines.replace("\ntimeout = \"200ms\"", "")).budget(), Duration::from_secs(5));
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_over_the_wire() {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let body = format!(
        r#"{{"status":"success","data":{{"resultType":"vector","result":[{{"metric":{{}},"value":[{now},"3.5"]}}]}}}}"#
    );
    let (host, heads) = answering(whole("200 OK", &body)).await;
    let lines = format!(
        "type = \"prometheus\"\nurl = \"http://{host}/prom\"\nquery = 'sum(x{{a=\"b\"}}) + 1'\nunit = \"jobs\""
    );
    assert_eq!(value(&read(&lines).await), 3.5);
    let head = heads.lock().unwrap().pop().unwrap();
    assert!(head.starts_with("get /prom/api/v1/query?query=sum%28x%7ba%3d%22b%22%7d%29+%2b+1 http/1.1"), "{head}");
}
