//! Stand-ins of outside services for the tests of autoscalebot, and the suites that every kind of a trait must pass.
//!
//! A stand-in keeps state as the real service does, takes faults to inject, and shows what it was asked. Each is checked
//! against a real client of the service, so that what the tests prove is not only that two of our own programs agree.
//! Nothing here is part of the shipped program.

pub mod conformance;
pub mod heroku;
pub mod ports;

pub use ports::free_port;
