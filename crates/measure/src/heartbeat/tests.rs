//! Against real sockets on free ports, each with one behaviour.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::AtomicUsize;

use autoscalebot_core::Secret;
use autoscalebot_core::fields::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::sleep;

use super::server::{OK, answering, head, serve};
use super::*;

const MINUTE: SignedDuration = SignedDuration::from_secs(60);

fn values(url: &str) -> Values {
    let mut values = Values::default();
    values.set("url", Value::Url(url.parse().unwrap()));
    values.set("timeout", Value::Duration(SignedDuration::from_secs(10)));
    values.set("reuse_connections", Value::Flag(true));
    values
}

fn heartbeat(values: &Values) -> Arc<dyn Measure> {
    (ENTRY.kind.check)(values, MINUTE).unwrap();
    let intake = Arc::default();
    let context = MeasureContext { app: "shop", process: "web", every: MINUTE.unsigned_abs(), intake: &intake };
    (ENTRY.build)(values, context).unwrap()
}

fn short(url: &str, timeout_ms: i64) -> Arc<dyn Measure> {
    let mut values = values(url);
    values.set("timeout", Value::Duration(SignedDuration::from_millis(timeout_ms)));
    heartbeat(&values)
}

fn failed(reading: Reading) -> Failure {
    match reading {
        Reading::Failed(failure) => failure,
        Reading::Value(value) => panic!("a value of {value}"),
    }
}

fn value(reading: Reading) -> f64 {
    match reading {
        Reading::Value(value) => value,
        Reading::Failed(failure) => panic!("{failure}"),
    }
}

#[tokio::test]
async fn the_value_has_fractions_and_counts_the_whole_body() {
    let server = serve(|mut stream| async move {
        head(&mut stream).await?;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\no").await.ok()?;
        sleep(Duration::from_millis(60)).await;
        stream.write_all(b"k").await.ok()
    })
    .await;
    let value = value(heartbeat(&values(&server.url())).read().await.reading);
    assert!((60.0..5000.0).contains(&value), "{value}");
    assert!(value.fract() != 0.0, "{value}");
}

#[tokio::test]
async fn a_body_that_trickles_beyond_the_budget_is_a_timeout_though_headers_came() {
    let server = serve(|mut stream| async move {
        head(&mut stream).await?;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n").await.ok()?;
        loop {
            stream.write_all(b".").await.ok()?;
            sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    let started = Instant::now();
    assert_eq!(failed(short(&server.url(), 150).read().await.reading), Failure::Timeout);
    assert!((0.15..1.0).contains(&started.elapsed().as_secs_f64()));
}

/// A22.
#[tokio::test]
async fn silence_is_a_timeout_within_the_budget() {
    let server = serve(|stream| async move {
        sleep(Duration::from_secs(60)).await;
        drop(stream);
        None
    })
    .await;
    let started = Instant::now();
    assert_eq!(failed(short(&server.url(), 100).read().await.reading), Failure::Timeout);
    assert!(started.elapsed() < Duration::from_secs(1));
}

#[tokio::test]
async fn nobody_there_is_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    drop(listener);
    assert_eq!(failed(heartbeat(&values(&format!("http://{addr}/"))).read().await.reading), Failure::Refused);
}

#[tokio::test]
async fn connections_that_break_are_closed() {
    let before_the_answer = serve(|mut stream| async move { head(&mut stream).await.map(|_| ()) }).await;
    assert_eq!(failed(heartbeat(&values(&before_the_answer.url())).read().await.reading), Failure::Closed);

    let reset = serve(|stream| async move {
        stream.set_zero_linger().ok()?;
        drop(stream);
        None
    })
    .await;
    assert_eq!(failed(heartbeat(&values(&reset.url())).read().await.reading), Failure::Closed);

    let cut_short = serve(|mut stream| async move {
        head(&mut stream).await?;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nok").await.ok()
    })
    .await;
    assert_eq!(failed(heartbeat(&values(&cut_short.url())).read().await.reading), Failure::Closed);

    let cut_chunk = serve(|mut stream| async move {
        head(&mut stream).await?;
        stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nok").await.ok()
    })
    .await;
    assert_eq!(failed(heartbeat(&values(&cut_chunk.url())).read().await.reading), Failure::Closed);
}

/// A06, for what the core makes of a 503: the bounds hold although nothing can be read.
#[tokio::test]
async fn statuses_other_than_2xx_are_failures_and_no_redirect_is_followed() {
    for (answer, status) in [
        ("HTTP/1.1 301 Moved\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n", 301),
        ("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", 404),
        ("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n", 503),
    ] {
        let requests = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&requests);
        let server = serve(move |mut stream| {
            let counter = Arc::clone(&counter);
            async move {
                while head(&mut stream).await.is_some() {
                    counter.fetch_add(1, Ordering::SeqCst);
                    stream.write_all(answer.as_bytes()).await.ok()?;
                }
                None
            }
        })
        .await;
        assert_eq!(failed(heartbeat(&values(&server.url())).read().await.reading), Failure::Status(status));
        assert_eq!(requests.load(Ordering::SeqCst), 1, "{status}");
    }
    let empty = answering("HTTP/1.1 204 No Content\r\n\r\n").await;
    value(heartbeat(&values(&empty.url())).read().await.reading);
}

#[tokio::test]
async fn what_is_not_http_says_so() {
    let server = serve(|mut stream| async move {
        head(&mut stream).await?;
        stream.write_all(b"220 mail.example ESMTP\r\n").await.ok()
    })
    .await;
    let failure = failed(heartbeat(&values(&server.url())).read().await.reading);
    assert_eq!(failure, Failure::Other("the answer is not HTTP".into()));
}

/// The heads of the requests that these settings send.
async fn sent(change: impl FnOnce(&mut Values, SocketAddr)) -> String {
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let server = serve(move |mut stream| {
        let tell = tell.clone();
        async move {
            tell.send(head(&mut stream).await?).ok()?;
            stream.write_all(OK.as_bytes()).await.ok()
        }
    })
    .await;
    let mut values = values(&server.url());
    change(&mut values, server.addr);
    value(heartbeat(&values).read().await.reading);
    told.recv().await.unwrap().to_lowercase()
}

#[tokio::test]
async fn headers_and_basic_authentication_arrive() {
    let head = sent(|values, _| {
        let headers = BTreeMap::from([("X-Beat".to_owned(), Secret::new("yes"))]);
        values.set("headers", Value::TextTable(headers));
        values.set("username", Value::Text("mon".into()));
        values.set("password", Value::Secret(Secret::new("pw")));
    })
    .await;
    assert!(head.starts_with("get /beat http/1.1\r\n"), "{head}");
    assert!(head.contains("\r\nx-beat: yes\r\n"), "{head}");
    assert!(head.contains("\r\nauthorization: basic bw9uonb3\r\n"), "{head}");

    let head = sent(|values, _| values.set("username", Value::Text("mon".into()))).await;
    assert!(head.contains("\r\nauthorization: basic bw9uog==\r\n"), "{head}");

    let head = sent(|values, addr| {
        values.set("url", Value::Url(format!("http://mon:p%77@{addr}/beat?q=1").parse().unwrap()));
    })
    .await;
    assert!(head.starts_with("get /beat?q=1 http/1.1\r\n"), "{head}");
    assert!(head.contains("\r\nauthorization: basic bw9uonb3\r\n"), "{head}");
    assert!(!head.contains('@'), "{head}");
}

#[tokio::test]
async fn connections_are_reused_as_the_settings_say() {
    for (reuse, connections) in [(true, 1), (false, 5)] {
        let server = answering(OK).await;
        let mut values = values(&server.url());
        values.set("reuse_connections", Value::Flag(reuse));
        let heartbeat = heartbeat(&values);
        for _ in 0..5 {
            value(heartbeat.read().await.reading);
            // A connection is kept by a task of its own, a moment after the last byte.
            sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(server.accepted(), connections, "reuse {reuse}");
    }
}

#[tokio::test]
async fn a_kept_connection_that_the_server_closes_as_the_next_request_comes_is_not_too_slow() {
    let server = serve(|mut stream| async move {
        head(&mut stream).await?;
        stream.write_all(OK.as_bytes()).await.ok()?;
        // The second request is read and not answered.
        head(&mut stream).await.map(|_| ())
    })
    .await;
    let heartbeat = heartbeat(&values(&server.url()));
    for _ in 0..4 {
        value(heartbeat.read().await.reading);
        sleep(Duration::from_millis(10)).await;
    }
}

/// The shared client outlives the runtime it was first used in (as tests have many): a connection kept there is not
/// mistaken for one that is alive.
#[test]
fn a_connection_kept_by_a_runtime_that_ended_is_not_used() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let servers = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let server = servers.block_on(answering(OK));
    for _ in 0..3 {
        runtime().block_on(async {
            let heartbeat = heartbeat(&values(&server.url()));
            value(heartbeat.read().await.reading);
            sleep(Duration::from_millis(10)).await;
        });
    }
    assert_eq!(server.accepted(), 3);
}

/// A server behind TLS with a certificate for `localhost` that nobody vouches for, and a configuration that trusts it.
async fn tls_server() -> (SocketAddr, rustls::ClientConfig) {
    let signed = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = signed.cert.der().clone();
    let key = rustls::pki_types::PrivateKeyDer::try_from(signed.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let server = serve(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let mut stream = acceptor.accept(stream).await.ok()?;
            let mut request = [0; 1024];
            while stream.read(&mut request).await.ok()? > 0 {
                stream.write_all(OK.as_bytes()).await.ok()?;
            }
            None
        }
    })
    .await;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate).unwrap();
    (server.addr, http::versions().unwrap().with_root_certificates(roots).with_no_client_auth())
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_a_tls_failure() {
    let (addr, trusting) = tls_server().await;
    let values = values(&format!("https://localhost:{}/", addr.port()));
    let failure = failed(heartbeat(&values).read().await.reading);
    assert_eq!(failure, Failure::Tls("the certificate is from an issuer that this system does not trust".into()));

    // The same server is good for who trusts it.
    let trusting = http::build(trusting, true).unwrap();
    let heartbeat = Heartbeat::new(trusting, settings(&values, MINUTE).unwrap(), true).unwrap();
    value(heartbeat.read().await.reading);
    value(heartbeat.read().await.reading);
}

#[tokio::test]
async fn a_server_that_speaks_no_tls_is_a_tls_failure() {
    let server = serve(|mut stream| async move {
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.ok()?;
        sleep(Duration::from_millis(200)).await;
        None
    })
    .await;
    let failure = failed(heartbeat(&values(&format!("https://{}/", server.addr))).read().await.reading);
    assert_eq!(failure, Failure::Tls("the server does not speak TLS there".into()));
}

#[tokio::test]
async fn an_unknown_host_is_a_name_failure() {
    let failure = failed(heartbeat(&values("http://no-such-host.invalid/")).read().await.reading);
    let Failure::Name(name) = failure else { panic!("{failure:?}") };
    assert!(name.starts_with("no-such-host.invalid ("), "{name}");
}

#[tokio::test]
async fn a_huge_body_is_read_to_its_end_and_not_kept() {
    const PIECES: usize = 1024;
    let server = serve(|mut stream| async move {
        head(&mut stream).await?;
        let start = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", PIECES * 65536);
        stream.write_all(start.as_bytes()).await.ok()?;
        let piece = vec![b'x'; 65536];
        for _ in 0..PIECES {
            stream.write_all(&piece).await.ok()?;
        }
        stream.shutdown().await.ok()
    })
    .await;
    value(heartbeat(&values(&server.url())).read().await.reading);
}

/// A34.
#[tokio::test]
async fn a34_no_secret_is_shown() {
    const SECRETS: [&str; 3] = ["pw-EXAMPLE-5678", "tok-EXAMPLE-1234", "query-EXAMPLE-9"];
    let headers = BTreeMap::from([("X-Token".to_owned(), Secret::new("tok-EXAMPLE-1234"))]);
    let garbage = serve(|mut stream| async move {
        head(&mut stream).await?;
        stream.write_all(b"pw-is-not-here\r\n\r\n").await.ok()
    })
    .await;
    let mut shown = String::new();
    for host in ["127.0.0.1:1", "no-such-host.invalid", &garbage.addr.to_string()] {
        for scheme in ["http", "https"] {
            let url = format!("{scheme}://mon:pw-EXAMPLE-5678@{host}/beat?token=query-EXAMPLE-9");
            let mut values = values(&url);
            values.set("headers", Value::TextTable(headers.clone()));
            // Where TLS is spoken to a server that waits for a request, only the time limit ends it.
            values.set("timeout", Value::Duration(SignedDuration::from_millis(300)));
            let heartbeat = heartbeat(&values);
            let reading = heartbeat.read().await.reading;
            shown += &format!("{heartbeat:?} {reading:?} {}\n", failed(reading.clone()));
        }
    }
    for secret in SECRETS {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[test]
fn faults_of_the_settings_name_the_field_and_the_mend() {
    type Change = fn(&mut Values);
    let cases: &[(&str, Change, &str)] = &[
        (
            "a timeout above every",
            |values| values.set("timeout", Value::Duration(SignedDuration::from_secs(61))),
            "timeout: 61s is longer than the interval `every` of 60s: lower it or raise `every`",
        ),
        (
            "a password alone",
            |values| values.set("password", Value::Secret(Secret::new("pw"))),
            "username: is needed with a password: set it",
        ),
        (
            "two user names",
            |values| {
                values.set("url", Value::Url("http://a:b@x.example/".parse().unwrap()));
                values.set("username", Value::Text("a".into()));
            },
            "username: is also in the url: keep one of them",
        ),
        (
            "a header with a space in its name",
            |values| {
                values.set("headers", Value::TextTable(BTreeMap::from([("a b".to_owned(), Secret::new("pw"))])));
            },
            "headers: \"a b\" is not a header's name: correct it",
        ),
        (
            "a header with a line break",
            |values| {
                values.set("headers", Value::TextTable(BTreeMap::from([("a".to_owned(), Secret::new("pw\r\nb: c"))])));
            },
            "headers: the value of a cannot be sent: remove line breaks",
        ),
        (
            "two authorizations",
            |values| {
                let header = BTreeMap::from([("authorization".to_owned(), Secret::new("Bearer pw"))]);
                values.set("headers", Value::TextTable(header));
                values.set("username", Value::Text("a".into()));
            },
            "headers: holds Authorization beside a user name: keep one of them",
        ),
        (
            "a length",
            |values| {
                let header = BTreeMap::from([("Content-Length".to_owned(), Secret::new("3"))]);
                values.set("headers", Value::TextTable(header));
            },
            "headers: Content-Length cannot be set: the request has no body",
        ),
    ];
    for (name, change, expected) in cases {
        let mut values = values("http://shop.example/");
        change(&mut values);
        let fault = (ENTRY.kind.check)(&values, MINUTE).unwrap_err();
        assert_eq!(fault.to_string(), *expected, "{name}");
    }
}

#[test]
fn the_default_timeout_gives_way_to_a_short_interval() {
    let every = SignedDuration::from_secs(2);
    assert_eq!(budget(&values("http://x.example/"), every, DEFAULT_TIMEOUT).unwrap(), Duration::from_secs(2));
    assert_eq!(budget(&values("http://x.example/"), MINUTE, DEFAULT_TIMEOUT).unwrap(), Duration::from_secs(10));
}
