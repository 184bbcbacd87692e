//! HTTPS on an address of its own, over real sockets: a client that trusts the certificate and one that does not, a renewed
//! certificate, plain HTTP, and visitors who say nothing.

#![allow(clippy::unwrap_used, clippy::panic)] // clippy.toml allows it in test functions; the helpers here are none.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use authority::Authority;
use autoscalebot_core::Secret;
use autoscalebot_engine::{Engine, Memory, Mode, SystemClock};
use autoscalebot_notify::deliver::Desk;
use autoscalebot_server::{Bound, Options, ServeError, Server, Setup, Tls};
use autoscalebot_store::Store;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

#[path = "common/authority.rs"]
mod authority;

const TOKEN: &str = "planted-change-0123456789abcdef";

struct World {
    authority: Authority,
    folder: TempDir,
    server: Server,
}

/// A server that watches nothing.
fn setup(options: Options) -> Setup {
    let store = Store::in_memory().unwrap();
    let memory = Memory::start(store.another().unwrap());
    let clock = Arc::new(SystemClock);
    let engine = Engine::new(Vec::new(), Vec::new(), Mode::Act, clock, memory, Desk::open(Vec::new()));
    Setup {
        options,
        processes: Vec::new(),
        board: engine.board(),
        events: engine.events(),
        store,
        health: engine.store_health(),
        intake: Arc::default(),
        clock: Arc::new(SystemClock),
        dry_run: false,
    }
}

fn files(folder: &TempDir) -> Tls {
    let path = |name: &str| folder.path().join(name);
    Tls { listen: "127.0.0.1:0".parse().unwrap(), certificate: path("cert.pem"), key: path("key.pem") }
}

fn write(tls: &Tls, (certificate, key): &(String, String)) {
    std::fs::write(&tls.certificate, certificate).unwrap();
    std::fs::write(&tls.key, key).unwrap();
}

impl World {
    async fn new() -> Self {
        let (authority, folder) = (Authority::new(), tempfile::tempdir().unwrap());
        let tls = files(&folder);
        write(&tls, &authority.issue());
        let options = Options {
            token: Some(Secret::new(TOKEN)),
            tls: Some(tls),
            ..Options::local("127.0.0.1:0".parse().unwrap())
        };
        let setup = setup(options.clone());
        let server = Bound::listen(options).await.unwrap().serve(setup);
        Self { authority, folder, server }
    }

    fn address(&self) -> SocketAddr {
        self.server.tls_address().unwrap()
    }

    /// The status and headers of a request by HTTPS, and the certificate that was shown.
    async fn ask(&self, request: &str) -> std::io::Result<(String, CertificateDer<'static>)> {
        ask(self.address(), &self.authority.root, request).await
    }
}

/// `request` is the head of one, and perhaps its body.
async fn ask(
    address: SocketAddr,
    root: &CertificateDer<'static>,
    request: &str,
) -> std::io::Result<(String, CertificateDer<'static>)> {
    let mut roots = RootCertStore::empty();
    roots.add(root.clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    let shown = stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned();
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer).await;
    Ok((answer, shown))
}

const HEALTH: &str = "GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_is_answered_by_https_to_who_trusts_it() {
    let world = World::new().await;
    let (answer, _) = world.ask(HEALTH).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let body = format!("token={}", TOKEN);
    let form = "content-type: application/x-www-form-urlencoded\r\nsec-fetch-site: same-origin";
    let head =
        format!("POST /login HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nx-forwarded-proto: http\r\n{form}");
    let request = format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let (answer, _) = world.ask(&request).await.unwrap();
    assert!(answer.contains("; Secure"), "a cookie of HTTPS is for HTTPS alone: {answer}");
    let stranger = Authority::new();
    assert!(ask(world.address(), &stranger.root, HEALTH).await.is_err());
    let (answer, _) = world.ask(HEALTH).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "a refused handshake changes nothing: {answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renewed_certificate_is_used_once_it_fits_together() {
    let world = World::new().await;
    let (_, first) = world.ask(HEALTH).await.unwrap();
    let renewed = world.authority.issue();
    let tls = files(&world.folder);
    std::fs::write(&tls.certificate, &renewed.0).unwrap();
    let began = Instant::now();
    // Longer than it takes to look again.
    while began.elapsed() < Duration::from_secs(6) {
        let (_, shown) = world.ask(HEALTH).await.unwrap();
        assert_eq!(shown, first, "half of a renewal");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    write(&tls, &renewed);
    loop {
        let (answer, shown) = world.ask(HEALTH).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        if shown != first {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "still the old certificate");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plain_http_is_told_so_and_the_silent_hold_nobody_up() {
    let world = World::new().await;
    let mut silent = Vec::new();
    for _ in 0..50 {
        silent.push(TcpStream::connect(world.address()).await.unwrap());
    }
    let mut begun = TcpStream::connect(world.address()).await.unwrap();
    begun.write_all(&[0x16, 3, 1, 2, 0]).await.unwrap();
    let (answer, _) = world.ask(HEALTH).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let mut plain = TcpStream::connect(world.address()).await.unwrap();
    let request = format!("POST / HTTP/1.1\r\ncontent-length: 50000\r\n\r\n{}", "x".repeat(50_000));
    plain.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    plain.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 400") && answer.ends_with("this port takes https only\n"), "{answer}");
    // In the end they are cut off.
    for mut stream in silent.into_iter().chain([begun]) {
        let read = tokio::time::timeout(Duration::from_secs(30), stream.read(&mut [0; 16])).await.unwrap();
        assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    }
}

#[tokio::test]
async fn bad_files_are_named_with_their_setting_and_nothing_of_a_key() {
    let (authority, folder) = (Authority::new(), tempfile::tempdir().unwrap());
    let tls = files(&folder);
    let good = authority.issue();
    let other = authority.issue();
    let begin = good.1.lines().nth(1).unwrap().to_owned();
    for (certificate, key, want) in [
        ("", good.1.as_str(), "server.tls.certificate: FOLDER/cert.pem: holds no certificate"),
        (good.1.as_str(), good.1.as_str(), "server.tls.certificate: FOLDER/cert.pem: holds no certificate"),
        (&good.0[..200], good.1.as_str(), "server.tls.certificate: FOLDER/cert.pem: is no PEM file"),
        (good.0.as_str(), good.0.as_str(), "server.tls.key: FOLDER/key.pem: holds no private key"),
        (good.0.as_str(), other.1.as_str(), "server.tls.key: FOLDER/key.pem: is not the key of FOLDER/cert.pem"),
        (
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            good.1.as_str(),
            "server.tls.certificate: FOLDER/cert.pem: holds a certificate that cannot be used",
        ),
        (
            good.0.as_str(),
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
            "server.tls.key: FOLDER/key.pem: holds a private key that cannot be used",
        ),
    ] {
        write(&tls, &(certificate.to_owned(), key.to_owned()));
        let options = Options { tls: Some(tls.clone()), ..Options::local("127.0.0.1:0".parse().unwrap()) };
        let error = Bound::listen(options).await.unwrap_err();
        assert!(matches!(error, ServeError::Tls(_)), "{error:?}");
        let said = error.to_string().replace(folder.path().to_str().unwrap(), "FOLDER");
        assert!(said.starts_with(want), "said {said}\nwant {want}");
        assert!(!format!("{said}{error:?}").contains(&begin));
    }
    std::fs::remove_file(&tls.key).unwrap();
    assert!(tls.check().unwrap_err().to_string().contains("key.pem: cannot be read: "));
    let open = Options {
        tls: Some(Tls { listen: "0.0.0.0:0".parse().unwrap(), ..tls }),
        ..Options::local("127.0.0.1:0".parse().unwrap())
    };
    assert!(matches!(Bound::listen(open).await.unwrap_err(), ServeError::Unsafe(_)));
}
