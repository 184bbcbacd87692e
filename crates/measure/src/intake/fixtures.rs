//! Recorded requests of adapters, for the tests of their readers.

use serde_json::Value;

fn text(name: &str) -> String {
    std::fs::read_to_string(format!("{}/tests/data/adapters/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// A recorded document.
pub(crate) fn document(name: &str) -> Value {
    serde_json::from_str(&text(name)).unwrap()
}

/// The bodies of recorded requests, as they were sent.
pub(crate) fn bodies(name: &str) -> Vec<Vec<u8>> {
    let body = |line: &str| match &serde_json::from_str::<Value>(line).unwrap()["body"] {
        Value::String(text) => text.clone().into_bytes(),
        document => document.to_string().into_bytes(),
    };
    text(name).lines().map(body).collect()
}
