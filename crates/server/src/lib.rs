//! Dashboard, API and metrics: shows what the engine did, and takes pauses. It decides nothing.
//!
//! Start at [`routes`](crate::routes): one table of every route, from which the router and the OpenAPI document are made.
//! [`state`] is what the handlers see, [`guard`](crate::guard) and [`access`](crate::access) who may ask, `past` what is told
//! of the past, `follow` how the engine's events come in. The dashboard is in `assets/`, written by hand; it asks the API only.

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
mod problem;
mod range;
mod reply;
mod ring;
mod routes;
pub mod serve;
pub mod state;

pub use openapi::document;
pub use options::Options;
pub use serve::{Bound, ServeError, Server, service};
pub use state::{Setup, Watched};
