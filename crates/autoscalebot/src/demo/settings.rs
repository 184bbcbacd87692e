//! The demo's settings, read as any: the sample app under the local platform, scaled by its router's lines as
//! `docs/policies/choosing.md` recommends, and watched by the rule of 2.1, which changes nothing.
//!
//! Times are those of a show of 45 s. `lead` and `lower_after` are the recommended 30 s and 10 min in small, and there are no
//! hours to adapt to; the heartbeat of 2.1 beats each second instead of each 30 s, so that its rule has a chance within the show.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use autoscalebot_settings::{Loaded, Outside};

use crate::fault::Fault;
use crate::wiring::AllKinds;

/// A folder for the demo's Procfile, of this process alone.
pub(crate) fn scratch() -> Result<PathBuf, Fault> {
    let folder = std::env::temp_dir().join(format!("autoscalebot-demo-{}", std::process::id()));
    std::fs::create_dir_all(&folder).map_err(|error| Fault::failed(format!("{}: {error}", folder.display())))?;
    Ok(folder)
}

/// A free address for the sample app.
pub(crate) fn free() -> Result<SocketAddr, Fault> {
    let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
    bound.map_err(|error| Fault::failed(format!("no port is free: {error}")))
}

/// The settings of a sample app that listens there, with its Procfile in this folder.
pub(crate) fn settings(folder: &Path, listen: SocketAddr) -> Result<Loaded, Fault> {
    let program = std::env::current_exe()?;
    let program = program.to_string_lossy().replace('\'', r"'\''");
    std::fs::write(folder.join("Procfile"), format!("web: exec '{program}' sample-app\n"))?;
    let text = format!(
        r#"
[platforms.here]
type = "local"
procfile = "Procfile"
listen = "{listen}"

[apps.sample]
platform = "here"

[apps.sample.processes.web]
min_dynos = 1
max_dynos = 6

[[apps.sample.processes.web.measure]]
type = "router"
window = "5s"
every = "1s"
decide = {{ type = "response_time", objective = "500ms", at_once = 4, wait_included = true, adapt = false, lead = "10s", lower_after = "3s" }}

[[apps.sample.processes.web.measure]]
type = "heartbeat"
url = "http://{listen}/heartbeat/"
every = "1s"
timeout = "1s"
shadow = true
decide = {{ type = "consecutive", low = "200ms", high = "1s" }}

[store]
url = "sqlite::memory:"
"#
    );
    let kinds = AllKinds::new();
    let file = folder.join("autoscalebot.toml");
    Ok(autoscalebot_settings::from_toml(&text, &file, kinds.kinds(), &Outside::real(folder))?)
}
