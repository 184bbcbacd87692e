//! Against a real SMTP server (aiosmtpd, by `tests/smtp_server.py`), and sockets that are none.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};

use autoscalebot_core::fields::Value;
use autoscalebot_core::{Condition, EventKind};
use serde_json::Value as Json;
use tokio::net::TcpListener;

use super::*;
use crate::fixture::{at, event, scaled};

const PASSWORD: &str = "pw-EXAMPLE-5678";

/// A running mail server; ends with the test.
struct Server {
    child: Child,
    out: BufReader<ChildStdout>,
    port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The Python with aiosmtpd in it.
fn python() -> PathBuf {
    let python = std::env::var_os("AUTOSCALEBOT_TEST_PYTHON").map(PathBuf::from).unwrap_or_else(|| {
        let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
        root.join(target).join("venv/bin/python")
    });
    assert!(python.exists(), "{} is missing: run scripts/test, which installs it", python.display());
    python
}

impl Server {
    fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(python())
            // A login without encryption is what some tests are about; aiosmtpd warns of it.
            .args(["-W", "ignore"])
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/smtp_server.py"))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        let port = line.trim().strip_prefix("ready ").unwrap_or_else(|| {
            panic!("the test's mail server did not start ({line:?}): run scripts/test, which installs it")
        });
        let port = port.parse().unwrap();
        Self { child, out, port }
    }

    /// The next mail it took.
    fn mail(&mut self) -> Json {
        let mut line = String::new();
        self.out.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }
}

fn values(host: &str, port: u16, security: &str) -> Values {
    let mut values = Values::default();
    values.set("host", Value::Text(host.into()));
    values.set("port", Value::Whole(port.into()));
    values.set("security", Value::Text(security.into()));
    values.set("from", Value::Text("autoscalebot <bot@example.com>".into()));
    values.set("to", Value::Texts(vec!["ops@example.com".into(), "Ann <ann@example.com>".into()]));
    values
}

fn with_login(mut values: Values, password: &str) -> Values {
    values.set("username", Value::Text("bot".into()));
    values.set("password", Value::Secret(Secret::new(password)));
    values
}

fn email(values: &Values) -> Email {
    Email::new(values).unwrap()
}

fn refused(result: Result<(), NotifyError>) -> String {
    match result {
        Err(NotifyError::Refused(message)) => message,
        other => panic!("{other:?}"),
    }
}

fn retry(result: Result<(), NotifyError>) -> String {
    match result {
        Err(NotifyError::Retry { message, .. }) => message,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_mail_arrives_with_the_facts() {
    let mut server = Server::start(&[]);
    let holding = [Condition::NeedsAboveMax];
    let told = event(0, EventKind::Scaled { from: 3, to: 4 }, &holding);
    (ENTRY.build)(&values("127.0.0.1", server.port, "none")).unwrap().send(&told).await.unwrap();
    let mail = server.mail();
    assert_eq!(mail["from"], "bot@example.com");
    assert_eq!(mail["to"], serde_json::json!(["ops@example.com", "ann@example.com"]));
    // Long lines are folded on the way ("quoted-printable").
    let data = mail["data"].as_str().unwrap().replace("=\r\n", "");
    for expected in [
        "Subject: [autoscalebot] shop/web: scaled from 3 to 4 dynos\r\n",
        "From: autoscalebot <bot@example.com>\r\n",
        "To: ops@example.com, Ann <ann@example.com>\r\n",
        "Auto-Submitted: auto-generated\r\n",
        "Content-Type: text/plain; charset=utf-8\r\n",
        "shop/web: scaled from 3 to 4 dynos: heartbeat: 3 readings in a row were too high\r\n",
        "time:       2012-07-10T03:59:00Z\r\n",
        "dynos:      3 before, 4 after\r\n",
        "bounds:     1 to 5\r\n",
        "- heartbeat: 1074.25 ms, too_high: 3 readings in a row were too high\r\n",
        "- queue: timeout, unknown: no reading\r\n",
        "- cooldown: 20 s are left\r\n",
        "- needs_above_max: more dynos are needed than the maximum allows\r\n",
    ] {
        assert!(data.contains(expected), "{expected:?} is not in:\n{data}");
    }
}

#[tokio::test]
async fn no_name_makes_a_header_of_its_own() {
    let mut server = Server::start(&[]);
    let told = Event {
        app: "shop\r\nBcc: everybody@example.com\r\n\r\nfree money".into(),
        process: "wéb\n.\nQUIT".into(),
        ..scaled(0)
    };
    email(&values("127.0.0.1", server.port, "none")).send(&told).await.unwrap();
    let mail = server.mail();
    assert_eq!(mail["to"].as_array().unwrap().len(), 2);
    let (head, body) = mail["data"].as_str().unwrap().split_once("\r\n\r\n").unwrap();
    let names: Vec<_> =
        head.lines().filter(|line| !line.starts_with(' ')).map(|line| line.split(':').next().unwrap()).collect();
    let allowed = [
        "From",
        "Subject",
        "Message-ID",
        "Content-Type",
        "Auto-Submitted",
        "To",
        "Content-Transfer-Encoding",
        "Date",
        // aiosmtpd's own
        "X-Peer",
        "X-MailFrom",
        "X-RcptTo",
    ];
    assert!(names.iter().all(|name| allowed.contains(name)), "{names:?}");
    assert!(!body.lines().any(|line| line == "." || line.starts_with("Bcc")), "{body}");
}

#[tokio::test]
async fn the_same_event_has_the_same_id_and_another_has_another() {
    let from: Mailbox = "bot@example.com".parse().unwrap();
    let id = |event: &Event| {
        message::compose(event, &from, std::slice::from_ref(&from))
            .unwrap()
            .headers()
            .get_raw("Message-ID")
            .map(str::to_owned)
    };
    let ended = EventKind::ConditionEnded(Condition::Paused, at(0));
    assert_eq!(id(&scaled(0)), id(&scaled(0)));
    assert_ne!(id(&scaled(0)), id(&scaled(1)));
    assert_ne!(id(&scaled(0)), id(&event(0, ended, &[])));
}

#[tokio::test]
async fn a_mail_server_that_is_busy_twice_is_tried_again() {
    use crate::deliver::{Channel, Desk};
    let mut server = Server::start(&["--refuse", "451 4.3.0 busy, come back later", "--times", "2"]);
    let channel = Channel {
        name: "ops".into(),
        notify: Arc::new(email(&values("127.0.0.1", server.port, "none"))),
        on: vec!["scaled".into()],
        remind: None,
    };
    let desk = Desk::open(vec![channel]);
    desk.offer(&scaled(0));
    let (mail, _server) = tokio::task::spawn_blocking(move || (server.mail(), server)).await.unwrap();
    assert!(mail["data"].as_str().unwrap().contains("scaled from 3 to 4"));
    desk.close(Duration::from_secs(1)).await;
    assert_eq!((desk.health()[0].told, desk.health()[0].dropped), (1, 0));
}

#[tokio::test]
async fn permanent_answers_name_the_setting() {
    for (answer, expected) in [
        (
            "550 5.1.1 no such user",
            "refuses an address (permanent error (550): 5.1.1 no such user): correct from or to",
        ),
        ("554 5.7.1 spam", "refuses the mail (permanent error (554): 5.7.1 spam)"),
    ] {
        let server = Server::start(&["--refuse", answer]);
        let message = refused(email(&values("127.0.0.1", server.port, "none")).send(&scaled(0)).await);
        assert_eq!(message, format!("the mail server 127.0.0.1:{} {expected}", server.port));
    }
}

/// A key and a certificate for `localhost`, in files, and the certificate to trust.
fn certificate(folder: &std::path::Path) -> (String, String, Certificate) {
    let signed = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (cert, key) = (folder.join("cert.pem"), folder.join("key.pem"));
    std::fs::write(&cert, signed.cert.pem()).unwrap();
    std::fs::write(&key, signed.signing_key.serialize_pem()).unwrap();
    let trusted = Certificate::from_pem(signed.cert.pem().as_bytes()).unwrap();
    (cert.to_str().unwrap().into(), key.to_str().unwrap().into(), trusted)
}

/// Encrypted and with a login, both ways; a wrong password is refused by name, and is not repeated where the server does (A34).
#[tokio::test]
async fn a34_logins_over_tls_work_and_wrong_ones_show_no_password() {
    let folder = tempfile::tempdir().unwrap();
    let (cert, key, trusted) = certificate(folder.path());
    for security in ["starttls", "tls"] {
        let login = format!("bot:{PASSWORD}");
        let mut server = Server::start(&["--security", security, "--cert", &cert, "--key", &key, "--login", &login]);
        let plain = values("localhost", server.port, security);

        let mut good = email(&with_login(plain.clone(), PASSWORD));
        good.trusted.push(trusted.clone());
        assert!(good.probe().await.unwrap().ends_with(" answers and lets bot in"));
        good.send(&scaled(0)).await.unwrap();
        let mail = server.mail();
        assert_eq!((&mail["tls"], &mail["user"]), (&Json::Bool(true), &Json::from("bot")), "{security}");

        let mut wrong = email(&with_login(plain.clone(), "wrong-EXAMPLE-1"));
        wrong.trusted.push(trusted.clone());
        let message = refused(wrong.send(&scaled(0)).await);
        assert!(message.contains("correct username and password"), "{message}");
        assert!(!format!("{message} {wrong:?} {good:?}").contains("EXAMPLE"), "{message}");

        let untrusting = refused(email(&with_login(plain, PASSWORD)).send(&scaled(0)).await);
        assert!(untrusting.contains("cannot be trusted"), "{untrusting}");
        assert!(untrusting.ends_with("correct host or security"), "{untrusting}");
    }
}

#[tokio::test]
async fn a_server_without_starttls_gets_no_password() {
    let server = Server::start(&[]);
    let message =
        refused(email(&with_login(values("127.0.0.1", server.port, "starttls"), PASSWORD)).send(&scaled(0)).await);
    assert!(message.contains("offers no STARTTLS: set security"), "{message}");
    let message =
        refused(email(&with_login(values("127.0.0.1", server.port, "none"), PASSWORD)).send(&scaled(0)).await);
    assert!(message.contains("offers no login"), "{message}");
}

#[tokio::test]
async fn nobody_there_is_tried_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let message = retry(email(&values("127.0.0.1", port, "none")).send(&scaled(0)).await);
    assert!(message.contains("refuses connections"), "{message}");
}

/// A22.
#[tokio::test]
async fn a_silent_server_ends_with_the_time_limit() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut email = email(&values("127.0.0.1", listener.local_addr().unwrap().port(), "none"));
    email.limit = Duration::from_millis(200);
    let started = std::time::Instant::now();
    retry(email.send(&scaled(0)).await);
    assert!(started.elapsed() < Duration::from_secs(2));
}

#[test]
fn faults_of_the_settings_name_the_field_and_the_mend() {
    type Change = fn(&mut Values);
    let cases: &[(Change, &str)] = &[
        (
            |values| values.set("host", Value::Text("smtp.example.com:25".into())),
            "host: is a host name or an address alone: the port has its own setting",
        ),
        (
            |values| values.set("from", Value::Text("nobody".into())),
            "from: \"nobody\" is no mail address: write \"ops@example.com\" or \"Ops <ops@example.com>\"",
        ),
        (
            |values| values.set("to", Value::Texts(vec!["a@b.example\r\nBcc: c@d.example".into()])),
            "to: \"a@b.example\\r\\nBcc: c@d.example\" is no mail address: write \"ops@example.com\" or \"Ops <ops@example.com>\"",
        ),
        (|values| values.set("to", Value::Texts(vec![])), "to: is empty: name at least one recipient"),
        (|values| values.set("username", Value::Text("bot".into())), "password: is needed with a user name: set it"),
        (
            |values| values.set("password", Value::Secret(Secret::new(PASSWORD))),
            "username: is needed with a password: set it",
        ),
    ];
    for (change, expected) in cases {
        let mut values = values("smtp.example.com", 587, "starttls");
        change(&mut values);
        assert_eq!((ENTRY.kind.check)(&values).unwrap_err().to_string(), *expected);
    }
}

#[test]
fn the_port_follows_the_security() {
    for (security, port) in [("none", 25), ("starttls", 587), ("tls", 465)] {
        let mut values = values("smtp.example.com", 1, security);
        let mut without = Values::default();
        for name in ["host", "security", "from", "to"] {
            without.set(name, values.get(name).unwrap().clone());
        }
        assert_eq!(email(&without).port, port);
        values.set("port", Value::Whole(2525));
        assert_eq!(email(&values).port, 2525);
    }
}
