//! What exporters are answered (<https://opentelemetry.io/docs/specs/otlp/#otlphttp-response>), in the encoding they ask in: the
//! response message of the signal, or a `google.rpc.Status`.

use serde_json::json;

use super::wire::{put_bytes, put_varint};
use super::{Call, Signal};
use crate::intake::Reply;

/// When a sender may come again, in seconds.
const AGAIN_SECS: u16 = 5;

/// That it was taken; all but so many of it.
pub(super) fn taken(call: Call, rejected: u64) -> Reply {
    let what = match call.signal {
        Signal::Traces => "rejectedSpans",
        Signal::Metrics => "rejectedDataPoints",
        Signal::Logs => "rejectedLogRecords",
    };
    let message = "these tell of requests, and their times or numbers make no sense";
    let body = match (call.json, rejected) {
        (true, 0) => b"{}".to_vec(),
        (true, _) => json!({ "partialSuccess": { what: rejected.to_string(), "errorMessage": message } })
            .to_string()
            .into_bytes(),
        // A message without fields has no bytes.
        (false, 0) => Vec::new(),
        (false, _) => {
            let (mut partial, mut all) = (Vec::new(), Vec::new());
            put_varint(&mut partial, 1 << 3);
            put_varint(&mut partial, rejected);
            put_bytes(&mut partial, 2, message.as_bytes());
            put_bytes(&mut all, 1, &partial);
            all
        }
    };
    reply(call.json, 200, body)
}

/// That it was not taken, and that it is no use to send it again.
pub(super) fn refusal(json: bool, status: u16, message: &str) -> Reply {
    // Codes of google.rpc.Code.
    let code = match status {
        403 => 7,
        413 => 8,
        503 => 14,
        _ => 3,
    };
    let body = if json {
        json!({ "code": code, "message": message }).to_string().into_bytes()
    } else {
        let mut body = Vec::new();
        put_varint(&mut body, 1 << 3);
        put_varint(&mut body, code);
        put_bytes(&mut body, 2, message.as_bytes());
        body
    };
    reply(json, status, body)
}

/// That it was not taken, and that the sender is to come again.
pub(super) fn busy(json: bool) -> Reply {
    Reply { retry_after_secs: Some(AGAIN_SECS), ..refusal(json, 503, "too much is under way") }
}

fn reply(json: bool, status: u16, body: Vec<u8>) -> Reply {
    let content_type = if json { "application/json" } else { "application/x-protobuf" };
    Reply { status, content_type, body: body.into(), retry_after_secs: None, push_every_secs: None }
}
