//! The local platform with real processes and real requests.

// What is allowed within a test is so in what tests share.
#![allow(clippy::unwrap_used, clippy::panic)]

mod dynos;
mod ends;
mod proxy;
mod support;
