//! The parts of the demo: the app that it scales and the visitors that it gets. How they are put together with the engine is
//! in `commands::demo`.

pub(crate) mod load;
pub(crate) mod sample_app;
