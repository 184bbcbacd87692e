//! What can go wrong on purpose: the faults a test plans. They are carried out in `serve.rs`.

use std::time::Duration;

/// What happens instead of a good answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// This answer.
    Answer {
        /// The status.
        status: u16,
        /// More headers.
        headers: Vec<(String, String)>,
        /// The body as it is sent; JSON, HTML, half of either, or nothing.
        body: String,
    },
    /// The request is taken and never answered.
    Silence,
    /// The connection is closed without an answer.
    Close,
    /// Status 200 and half of a body, then the connection is closed before the length that was promised.
    Cut,
    /// Status 200 and a body that comes byte by byte and never ends.
    Trickle {
        /// The time between two bytes.
        every: Duration,
    },
    /// Status 200 and a body of this many bytes, without a length beforehand.
    Flood {
        /// How much is sent.
        bytes: usize,
    },
}

impl Fault {
    /// An error as the API words it: `{"id", "message"}`.
    pub fn error(status: u16, id: &str) -> Self {
        let message = format!("made up for a test: {id}");
        Self::json(status, &serde_json::json!({ "id": id, "message": message }))
    }

    /// An answer with this JSON.
    pub fn json(status: u16, body: &serde_json::Value) -> Self {
        Self::body(status, &body.to_string())
    }

    /// An answer with this text as its body.
    pub fn body(status: u16, body: &str) -> Self {
        Self::Answer { status, headers: Vec::new(), body: body.to_owned() }
    }

    /// The same with one more header, where it is an answer.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        if let Self::Answer { headers, .. } = &mut self {
            headers.push((name.to_owned(), value.to_owned()));
        }
        self
    }
}

/// A fault and the request it waits for.
#[derive(Debug, Clone)]
pub(super) struct Planned {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) fault: Fault,
    /// Whether the request changes the state all the same.
    pub(super) carried_out: bool,
    /// Whether it is for all such requests.
    pub(super) stays: bool,
}

impl Planned {
    pub(super) fn once(method: &str, path: &str, fault: Fault) -> Self {
        Self { method: method.to_owned(), path: path.to_owned(), fault, carried_out: false, stays: false }
    }

    pub(super) fn is_for(&self, method: &str, path: &str) -> bool {
        self.method == method && path.contains(&self.path)
    }
}
