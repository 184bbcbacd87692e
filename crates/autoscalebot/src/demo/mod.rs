//! What the demo is made of: the sample app, its visitors, the settings, what is seen while it runs, and what is told at its
//! end. The command that puts them together is in `commands::demo`.

pub(crate) mod load;
pub(crate) mod sample_app;
pub(crate) mod settings;
pub(crate) mod shadow;
pub(crate) mod show;
pub(crate) mod summary;
pub(crate) mod told;
