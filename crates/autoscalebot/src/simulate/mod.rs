//! What `simulate` brings along: the simulated sources, the contenders that are built in, what a search may turn, and the
//! command line's model of the app. The command itself is in [`commands::simulate`](crate::commands::simulate).

pub(crate) mod builtin;
pub(crate) mod model;
pub(crate) mod progress;
pub(crate) mod sources;
pub(crate) mod turns;
