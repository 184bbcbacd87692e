//! What dynos print, line by line, into the log stream.

use std::sync::Arc;

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};

use crate::logs::LogSink;

/// The longest line; a longer one goes on in the next, as in Heroku's log stream.
const LINE_MAX: usize = 10_000;

/// Reads to the end and sends each line.
pub(crate) async fn pump(from: impl AsyncRead + Unpin, (logs, dyno): (LogSink, Arc<str>)) {
    let mut from = BufReader::new(from);
    let mut line = Vec::new();
    while let Ok(read) = from.fill_buf().await {
        if read.is_empty() {
            break;
        }
        let room = LINE_MAX - line.len();
        let end = read.iter().take(room).position(|byte| *byte == b'\n');
        let part = end.unwrap_or_else(|| read.len().min(room));
        line.extend_from_slice(read.get(..part).unwrap_or_default());
        from.consume(part + usize::from(end.is_some()));
        if end.is_some() || line.len() >= LINE_MAX {
            send(&logs, &dyno, &mut line);
        }
    }
    if !line.is_empty() {
        send(&logs, &dyno, &mut line);
    }
}

fn send(logs: &LogSink, dyno: &Arc<str>, line: &mut Vec<u8>) {
    let text = String::from_utf8_lossy(line);
    logs.send("app", Arc::clone(dyno), text.trim_end_matches('\r'));
    line.clear();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_are_whole_and_bounded() {
        let long = "x".repeat(LINE_MAX);
        let table = [
            ("", vec![]),
            ("a\nb\r\n\nc", vec!["a", "b", "", "c"]),
            (&format!("{long}y\n"), vec![long.as_str(), "y"]),
            (&format!("{long}\nz\n"), vec![long.as_str(), "", "z"]),
        ];
        for (text, expected) in table {
            let logs = LogSink::default();
            let mut lines = logs.subscribe();
            pump(text.as_bytes(), (logs.clone(), "web.1".into())).await;
            let mut found = Vec::new();
            while let Ok(line) = lines.try_recv() {
                found.push(line.text.to_string());
            }
            assert_eq!(found, expected);
        }
    }

    #[tokio::test]
    async fn bytes_that_are_no_text_are_shown_as_such() {
        let logs = LogSink::default();
        let mut lines = logs.subscribe();
        pump(&b"a\xffb\n"[..], (logs.clone(), "web.1".into())).await;
        assert_eq!(&*lines.try_recv().unwrap().text, "a\u{fffd}b");
    }
}
