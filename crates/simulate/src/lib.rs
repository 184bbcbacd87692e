//! What a policy would have done: a traffic trace through a model of the app, decided tick by tick by the real core, in
//! virtual time. Docs: `docs/simulate.md`.
//!
//! Nothing here waits, asks the clock or talks to a network; trace files are read at the edge ([`trace::Trace::read`]), all
//! else is values. The same seed gives the same run on every machine.

mod cells;
pub mod clairvoyant;
mod events;
mod fleet;
mod fluid;
pub mod minutes;
pub mod model;
pub mod outcome;
mod pieces;
pub mod rivals;
pub mod run;
mod spread;
pub mod theory;
pub mod trace;
mod windows;
mod workload;
mod world;

pub use model::{App, Arrivals, Meter, Service, Shape};
pub use outcome::Report;
pub use run::{Contender, Mode, Scenario, SimulateError, run, run_schedule, run_with};
pub use trace::Trace;
