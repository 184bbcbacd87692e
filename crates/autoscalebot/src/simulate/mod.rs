//! What `simulate` brings along: where its traffic comes from, the simulated sources, the contenders that are built in, what a
//! search may turn, and the command line's model of the app. The command itself is in
//! [`commands::simulate`](crate::commands::simulate).

pub(crate) mod answers;
pub(crate) mod builtin;
mod gaps;
pub(crate) mod history;
pub(crate) mod input;
pub(crate) mod model;
pub(crate) mod progress;
mod recording;
pub(crate) mod sources;
mod tally;
pub(crate) mod turns;
