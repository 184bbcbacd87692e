//! The connection to a real Redis: logins, TLS, a server that goes and comes back, one that never answers, sentinels and a
//! cluster; and that many measurements share it.

#![allow(clippy::unwrap_used, reason = "a test that cannot build its input fails")]

mod servers;

use std::time::{Duration, Instant};

use servers::redis::Redis;
use servers::{failure, free_port, read, source, until, value};
use tokio::net::TcpListener;

fn lines(url: &str) -> String {
    format!("type = \"celery\"\nurl = \"{url}\"")
}

#[tokio::test(flavor = "multi_thread")]
async fn a25_a34_passwords_with_odd_characters_are_understood_and_never_shown() {
    let redis = Redis::with(&["--requirepass", "p#20@/:%+ü"]);
    let good = format!("redis://:p%2320%40%2F%3A%25%2B%C3%BC@127.0.0.1:{}/2", redis.port);
    assert_eq!(value(&read(&lines(&good)).await), 0.0);
    let bad = format!("redis://:pw-EXAMPLE-5678@127.0.0.1:{}/", redis.port);
    let source = source(&lines(&bad));
    assert!(!format!("{source:?}").contains("pw-EXAMPLE"), "{source:?}");
    let said = failure(&source.read().await);
    assert_eq!(said, "the server refuses the login");
    assert_eq!(failure(&read(&lines(&redis.url())).await), "the server wants a password: write it in the url");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_of_redis_6() {
    let redis = Redis::new();
    redis.cli(&["ACL", "SETUSER", "mon", "on", ">p@ss", "~celery*", "+llen", "+lindex", "+hlen", "+select"]);
    let url = format!("redis://mon:p%40ss@127.0.0.1:{}/0", redis.port);
    let allowed = format!("{}\nunacked = \"ignore\"", lines(&url));
    assert_eq!(value(&read(&allowed).await), 0.0);
    assert_eq!(failure(&read(&lines(&url)).await), "the login may not read this (NOPERM)");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_another_kind_is_no_queue() {
    let redis = Redis::new();
    redis.cli(&["SET", "celery", "x"]);
    let said = failure(&read(&lines(&redis.url())).await);
    assert!(said.contains("WRONGTYPE"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_connection_for_all_measurements_of_a_server_and_a_new_one_after_it_was_gone() {
    let mut redis = Redis::new();
    let kinds = ["celery", "rq", "sidekiq", "resque"];
    let sources: Vec<_> =
        kinds.iter().cycle().take(40).map(|kind| source(&lines(&redis.url()).replace("celery", kind))).collect();
    let readings = sources.iter().map(|source| {
        let source = source.clone();
        tokio::spawn(async move { value(&source.read().await) })
    });
    for reading in readings.collect::<Vec<_>>() {
        assert_eq!(reading.await.unwrap(), 0.0);
    }
    // The other one is that of the client that asks.
    assert_eq!(redis.cli(&["CLIENT", "LIST"]).lines().count(), 2);

    redis.stop();
    until("the server is gone", Duration::from_secs(5), || {
        std::net::TcpStream::connect(("127.0.0.1", redis.port)).is_err()
    });
    assert_eq!(failure(&sources[0].read().await), "refused");
    redis.start();
    redis.cli(&["LPUSH", "celery", "{}", "{}"]);
    // The very next reading, with no restart.
    assert_eq!(value(&sources[0].read().await), 2.0);
    // The server closes what is idle; nobody notices.
    redis.cli(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    assert_eq!(value(&sources[0].read().await), 2.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a22_a_server_that_never_answers_costs_its_time_and_nobody_elses() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let (sender, mut accepted) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = silent.accept().await {
            // Kept open, and never answered.
            sender.send(stream).unwrap();
        }
    });
    let redis = Redis::new();
    let dead = source(&format!("{}\ntimeout = \"300ms\"", lines(&format!("redis://127.0.0.1:{port}/"))));
    let alive = source(&lines(&redis.url()));
    let began = Instant::now();
    let waiting = tokio::spawn({
        let dead = dead.clone();
        async move { dead.read().await }
    });
    assert_eq!(value(&alive.read().await), 0.0);
    assert!(began.elapsed() < Duration::from_millis(250), "{:?}", began.elapsed());
    assert_eq!(failure(&waiting.await.unwrap()), "timeout");
    assert!(began.elapsed() < Duration::from_secs(2));
    // The silent connection is given up: the next reading opens another.
    assert_eq!(failure(&dead.read().await), "timeout");
    accepted.recv().await.unwrap();
    tokio::time::timeout(Duration::from_secs(5), accepted.recv()).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_with_its_own_certificate_with_any_and_with_none_that_is_trusted() {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    std::fs::write(path("cert.pem"), made.cert.pem()).unwrap();
    std::fs::write(path("key.pem"), made.signing_key.serialize_pem()).unwrap();
    let port = free_port();
    let tls = ["--tls-port", &port.to_string(), "--tls-auth-clients", "no"].map(str::to_owned);
    let files = ["--tls-cert-file", &path("cert.pem"), "--tls-key-file", &path("key.pem")].map(str::to_owned);
    let arguments: Vec<_> = tls.iter().chain(&files).map(String::as_str).collect();
    let redis = Redis::with(&arguments);
    redis.cli(&["LPUSH", "celery", "{}"]);

    let url = format!("rediss://localhost:{port}/");
    let said = failure(&read(&lines(&url)).await);
    assert!(said.starts_with("tls "), "{said}");
    assert_eq!(value(&read(&lines(&format!("{url}?ssl_cert_reqs=none"))).await), 1.0);
    assert_eq!(value(&read(&lines(&format!("{url}?ssl_ca_certs={}", path("cert.pem")))).await), 1.0);
    let said = failure(&read(&lines(&format!("{url}?ssl_ca_certs=/no/such/file"))).await);
    assert!(said.starts_with("tls the certificates in /no/such/file can't be read"), "{said}");
    // Where no TLS is spoken, Redis waits for the rest of what it takes for a command.
    let plain = format!("rediss://localhost:{}/?ssl_cert_reqs=none", redis.port);
    let said = failure(&read(&format!("{}\ntimeout = \"300ms\"", lines(&plain))).await);
    assert!(["tls the server does not speak TLS there", "closed", "timeout"].contains(&&*said), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sentinel_knows_the_master() {
    let redis = Redis::new();
    redis.cli(&["LPUSH", "celery", "{}", "{}", "{}"]);
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let config = folder.path().join("sentinel.conf");
    std::fs::write(&config, format!("port {port}\nbind 127.0.0.1\nsentinel monitor shop 127.0.0.1 {} 1\n", redis.port))
        .unwrap();
    let _sentinel = servers::start(std::process::Command::new("redis-server").arg(&config).arg("--sentinel"));
    servers::listening(port, Duration::from_secs(10));
    let url = lines(&format!("redis://127.0.0.1:{port}/0"));
    assert_eq!(value(&read(&format!("{url}\nsentinel = \"shop\"")).await), 3.0);
    let said = failure(&read(&format!("{url}\nsentinel = \"shpo\"")).await);
    assert_eq!(said, "the sentinel knows no master of the name shpo");
    // The first does not answer; the second does.
    let dead = lines(&format!("redis://127.0.0.1:{}/0", free_port()));
    let both = format!("{dead}\nsentinel = \"shop\"\nsentinels = [\"127.0.0.1:{port}\"]");
    assert_eq!(value(&read(&both).await), 3.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_is_asked_at_the_node_that_has_the_key() {
    let nodes = [Redis::with(&["--cluster-enabled", "yes"]), Redis::with(&["--cluster-enabled", "yes"])];
    nodes[0].cli(&["CLUSTER", "ADDSLOTSRANGE", "0", "8191"]);
    nodes[1].cli(&["CLUSTER", "ADDSLOTSRANGE", "8192", "16383"]);
    nodes[0].cli(&["CLUSTER", "MEET", "127.0.0.1", &nodes[1].port.to_string()]);
    for node in &nodes {
        until("the cluster is whole", Duration::from_secs(20), || {
            node.cli(&["CLUSTER", "INFO"]).contains("cluster_state:ok")
        });
    }
    for queue in ["mail", "video", "default"] {
        let key = format!("resque:queue:{queue}");
        let port = nodes[0].port.to_string();
        let words = ["-c", "-p", &port, "RPUSH", &key, "{}", "{}"].map(str::to_owned);
        servers::run(std::process::Command::new("redis-cli").args(words));
    }
    for node in &nodes {
        let text = format!("type = \"resque\"\nurl = \"{}\"\nqueues = [\"mail\", \"video\", \"default\"]", node.url());
        assert_eq!(value(&read(&text).await), 6.0);
    }
}
