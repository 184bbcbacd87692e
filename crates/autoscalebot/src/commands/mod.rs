//! The commands, a file each.

pub(crate) mod arrivals;
pub(crate) mod check;
pub(crate) mod demo;
pub(crate) mod drain_url;
pub(crate) mod explain;
pub(crate) mod history;
pub(crate) mod measure;
pub(crate) mod past;
pub(crate) mod pause;
pub(crate) mod plan;
pub(crate) mod replay;
pub(crate) mod run;
pub(crate) mod simulate;
pub(crate) mod status;
pub(crate) mod write;
