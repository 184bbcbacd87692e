//! What a policy would have done: a traffic trace through a model of the app, decided tick by tick by the real core, in
//! virtual time. Docs: `docs/simulate.md`.
//!
//! Nothing here waits, asks the clock or talks to a network; trace files are read at the edge ([`trace::Trace::read`]), all
//! else is values. The same seed gives the same run on every machine.

pub mod clairvoyant;
mod pieces;
pub mod theory;
pub mod trace;
