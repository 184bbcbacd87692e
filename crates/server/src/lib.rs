//! Dashboard, API and metrics, and the way in for drains and reports: shows what the engine did, and takes pauses. It decides
//! nothing.
//!
//! Start at `routes.rs`: one table of every route, from which the router and the OpenAPI document are made. `state.rs` is what
//! the handlers see, `guard.rs` and `access.rs` who may ask, `past.rs` what is told of the past, `follow.rs` how the engine's
//! events come in, `serve.rs` and `tls.rs` how connections do. The dashboard is in `assets/`, written by hand; it asks the API
//! and nothing else.

mod access;
mod api;
mod follow;
mod guard;
mod health;
mod intake;
mod limit;
mod metrics;
mod openapi;
pub mod options;
mod page;
mod past;
mod pauses;
mod places;
mod problem;
mod range;
mod reply;
mod ring;
mod routes;
pub mod serve;
pub mod state;
pub mod tls;

pub use openapi::document;
pub use options::Options;
pub use serve::{Bound, ServeError, Server, service};
pub use state::{Setup, Watched};
pub use tls::Tls;
