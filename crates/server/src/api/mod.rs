//! The API below `/api/v1`: what each route answers. Which routes there are is in [`routes`](crate::routes).

pub(crate) mod intake;
pub(crate) mod past;
pub(crate) mod pause;
pub(crate) mod processes;
pub(crate) mod stream;

use autoscalebot_store::ProcessKey;

use crate::problem::Problem;
use crate::state::{Known, Shared};

/// The app and the process of a path.
pub(crate) type Named = axum::extract::Path<(String, String)>;

/// The process of a path.
pub(crate) fn known<'a>(shared: &'a Shared, named: &Named) -> Result<&'a Known, Problem> {
    let (app, process) = &named.0;
    shared
        .processes
        .get(&ProcessKey::new(app.as_str(), process.as_str()))
        .ok_or_else(|| Problem::not_found(format!("the settings have no process {process:?} of an app {app:?}")))
}
