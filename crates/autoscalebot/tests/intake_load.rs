//! Many senders at once, and more than there is room for: the real binary, connections that are kept as Heroku keeps them, and
//! the count of what came. No figure of speed is asserted: those are in `benches/intake.rs`.

#![allow(clippy::unwrap_used, reason = "a test that cannot build its input fails")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use common::{Folder, PLANTED, wait_for};

mod common;

/// More than the places that senders have.
const DRAINS: usize = 600;
/// Those places (`places` of the server).
const PLACES: usize = 512;
const BATCHES: usize = 3;
const LINES: usize = 20;

fn folder() -> Folder {
    Folder::with(
        r#"
[platforms.heroku]
type = "heroku"
api_key = { env = "HEROKU_API_KEY" }
url = "http://127.0.0.1:9"

[apps.shop.processes.web]
max_dynos = 3

[[apps.shop.processes.web.measure]]
type = "router"
token = { env = "INTAKE_TOKEN" }
decide = { type = "consecutive", low = "200ms", high = "1s" }

[server]
listen = "127.0.0.1:0"

[store]
url = "sqlite::memory:"
"#,
    )
}

fn connect(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(14))).unwrap();
    stream
}

/// One answer on a connection that may stay: its status line and headers, and its body.
fn answer(stream: &mut TcpStream) -> (String, String) {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap().to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
    (head, String::from_utf8(body).unwrap())
}

fn send(stream: &mut TcpStream, token: &str, body: &[u8]) {
    let length = body.len();
    let head = format!("POST /drains/{token} HTTP/1.1\r\nhost: bot.example\r\ncontent-length: {length}\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body).unwrap();
}

/// A batch of lines, one of them broken and one of a kind that is not used.
fn batch() -> Vec<u8> {
    let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.6f+00:00");
    let mut body = String::from("what is no frame ");
    for line in 1..LINES {
        let text = format!(
            "<158>1 {now} host heroku router - at=info method=GET path=\"/{line}\" host=a.example request_id=1 fwd=\"192.0.2.1\" \
             dyno=web.1 connect=1ms service=9ms status=200 bytes=9 protocol=https\n"
        );
        body.push_str(&format!("{} {text}", text.len()));
    }
    let text = format!("<190>1 {now} host app web.1 - at=info service=9ms status=200");
    body.push_str(&format!("{} {text}", text.len()));
    body.into_bytes()
}

/// What a person asks for, on a connection of its own.
fn get(address: &str, path: &str) -> String {
    let mut stream = connect(address);
    write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    text
}

fn count(address: &str, name: &str) -> usize {
    let begin = format!("autoscalebot_intake_{name}_total ");
    get(address, "/metrics").lines().find_map(|line| line.strip_prefix(&begin)?.parse().ok()).unwrap()
}

#[test]
fn drains_of_hundreds_of_apps_stay_connected_and_leave_room_for_people() {
    let folder = folder();
    let running = folder.start(&["run"]);
    let address = folder.served_at();
    let mut streams: Vec<_> = (0..DRAINS).map(|_| Some(connect(&address))).collect();
    let mut ended = 0;
    for _ in 0..BATCHES {
        // Connections that ended with their answer come again, as Heroku's do.
        for stream in &mut streams {
            send(stream.get_or_insert_with(|| connect(&address)), PLANTED, &batch());
        }
        for stream in &mut streams {
            let (head, _) = answer(stream.as_mut().unwrap());
            assert!(head.starts_with("http/1.1 200"), "{head}");
            if head.contains("connection: close") {
                *stream = None;
                ended += 1;
            }
        }
        get(&address, "/healthz");
        get(&address, "/");
    }
    assert_eq!(ended, BATCHES * (DRAINS - PLACES));
    let batches = BATCHES * DRAINS;
    assert_eq!(count(&address, "requests"), batches);
    assert_eq!(count(&address, "requests_shed"), 0);
    assert_eq!(count(&address, "lines"), batches * LINES);
    assert_eq!(count(&address, "samples"), batches * (LINES - 1));
    assert_eq!((count(&address, "broken_frames"), count(&address, "odd")), (batches, 0));

    // Who is not known gets no place, however many there are.
    let mut strangers: Vec<_> = (0..300).map(|_| connect(&address)).collect();
    for stranger in &mut strangers {
        send(stranger, "token-EXAMPLE-9999", &batch());
    }
    for stranger in &mut strangers {
        let (head, _) = answer(stranger);
        assert!(head.starts_with("http/1.1 403") && head.contains("connection: close"), "{head}");
    }
    get(&address, "/healthz");
    assert_eq!(count(&address, "requests_refused"), strangers.len());
    assert_eq!(running.end("TERM").0, Some(0));
}

#[test]
fn what_there_is_no_room_for_is_passed_over_counted_and_answered() {
    let folder = folder();
    let running = folder.start(&["run"]);
    let address = folder.served_at();
    // Each begins a body of unknown length, for which a megabyte is kept, and does not end it.
    let begin = format!(
        "POST /drains/{PLANTED} HTTP/1.1\r\nhost: bot.example\r\ntransfer-encoding: chunked\r\n\r\n5\r\n68 <4\r\n"
    );
    let held: Vec<_> = (0..32)
        .map(|_| {
            let mut stream = connect(&address);
            stream.write_all(begin.as_bytes()).unwrap();
            stream
        })
        .collect();
    let full = batch().repeat(200);
    let mut sender = connect(&address);
    let mut exchange = || {
        send(&mut sender, PLANTED, &full);
        let (head, _) = answer(&mut sender);
        // Whatever becomes of it, the sender gets its yes, and may send again on the same connection.
        assert!(head.starts_with("http/1.1 200") && !head.contains("connection: close"), "{head}");
    };
    // The first may come before those that hold the room.
    wait_for("an overload", || {
        let shed = count(&address, "requests_shed");
        exchange();
        exchange();
        count(&address, "requests_shed") == shed + 2
    });
    let taken = count(&address, "requests");
    let shed = count(&address, "requests_shed");
    for _ in 0..5 {
        exchange();
    }
    assert_eq!((count(&address, "requests"), count(&address, "requests_shed")), (taken, shed + 5));
    assert_eq!(count(&address, "lines"), taken * 200 * LINES);
    drop(held);
    wait_for("room again", || {
        exchange();
        count(&address, "requests") > taken
    });
    assert_eq!(running.end("TERM").0, Some(0));
}
