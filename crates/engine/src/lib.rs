//! The loop: runs the sources, ticks the core, makes the scaling calls, publishes the events. The only owner of clock and
//! tasks.
//!
//! Every app has a task of its own (`AppLoop`), so that none waits for another; inside a task the ticks come one
//! after the other, so they never stack. The way of one tick is in `app.rs`: wait → read formation and sources →
//! [`decide`](autoscalebot_core::decide) → one batch call → [`settle`](autoscalebot_core::settle) → publish.

pub mod advise;
mod app;
pub mod board;
pub mod clock;
pub mod engine;
pub mod memory;
pub mod plan;
mod schedule;
mod shared;

pub use advise::Advise;
pub use board::Board;
pub use clock::{Clock, SystemClock};
pub use engine::Engine;
pub use memory::{Health, Memory, Pauses};
pub use plan::{AppPlan, Mode, ProcessPlan, Source};
