//! What a policy would have done: a traffic trace through a model of the app, decided tick by tick by the real core, in
//! virtual time. Docs: `docs/simulate.md`.
//!
//! Nothing here waits, asks the clock or talks to a network; trace files are read at the edge ([`trace::Trace::read`]), all
//! else is values. The same seed gives the same run on every machine.

mod advice;
pub mod assert;
mod cells;
mod chance;
pub mod clairvoyant;
pub mod compare;
mod events;

mod fleet;
mod fluid;
pub mod html;
pub mod minutes;
pub mod model;
pub mod outcome;
pub mod parallel;
mod pieces;
mod plot;
pub mod report;
pub mod rivals;
mod routed;
pub mod run;
mod spread;
pub mod theory;
mod ticks;
pub mod trace;
pub mod tune;
mod windows;
mod workload;
mod world;

pub use advice::Answers;
pub use compare::{Comparison, compare};
pub use model::{App, Arrivals, Meter, Service, Shape};
pub use outcome::Report;
pub use parallel::{OnProgress, Progress};
pub use run::{Contender, Mode, Scenario, SimulateError, run, run_schedule, run_with};
pub use trace::Trace;
pub use tune::{Parameter, Search, TuneVerdict, Tuned, tune};
