//! The server beside the engine: what it is told of settings, engine and store. Scaling never depends on it: a port that is
//! taken is a warning, and tried again.

use std::sync::Arc;
use std::time::Duration;

use autoscalebot_engine::{Engine, SystemClock};
use autoscalebot_measure::Intake;
use autoscalebot_server::{Bound, Options, Server, Setup, Tls, Watched};
use autoscalebot_settings::Settings;
use autoscalebot_store::Store;
use tokio::task::JoinHandle;

use crate::fault::Fault;

/// How often an address that is taken is tried again.
const AGAIN: Duration = Duration::from_secs(10);
/// How often a process without any source is looked at, which is the engine's number.
const WITHOUT_SOURCES: Duration = Duration::from_secs(30);

/// What the settings say of the server.
pub(crate) fn options(settings: &Settings) -> Options {
    let server = &settings.server;
    Options {
        listen: server.listen,
        token: server.token.clone(),
        read_token: server.read_token.clone(),
        path_prefix: server.path_prefix.clone(),
        tls: server.tls.as_ref().map(|tls| Tls {
            listen: tls.listen,
            certificate: tls.certificate.clone(),
            key: tls.key.clone(),
        }),
    }
}

/// What of the options would be unsafe or could not work.
pub(crate) fn check(options: &Options) -> Result<(), Fault> {
    options.check().map_err(Fault::usage)?;
    options.tls.as_ref().map_or(Ok(()), Tls::check).map_err(Fault::usage)
}

/// A second way to the store, beside the engine's; one that cannot be had now is tried again when it is used.
pub(crate) fn second(store: &Store) -> Store {
    store.another().unwrap_or_else(|_| Store::later(store.place()))
}

/// What the server shows. `store` is a second way to the engine's.
pub(crate) fn setup(settings: &Settings, engine: &Engine, store: Store, intake: &Arc<Intake>, dry_run: bool) -> Setup {
    let mut processes = Vec::new();
    for app in &settings.apps {
        for process in &app.processes {
            let every = process.measure.iter().filter_map(|measure| Duration::try_from(measure.every).ok()).min();
            processes.push(Watched {
                spec: Arc::clone(&process.spec),
                platform: app.platform.clone(),
                every: every.unwrap_or(WITHOUT_SOURCES),
            });
        }
    }
    Setup {
        options: options(settings),
        processes,
        board: engine.board(),
        events: engine.events(),
        store,
        health: engine.store_health(),
        intake: Arc::clone(intake),
        clock: Arc::new(SystemClock),
        dry_run,
    }
}

/// The server in the daemon; it ends with this value.
pub(crate) struct Dashboard(JoinHandle<()>);

impl Drop for Dashboard {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Starts the server for as long as the value lives. What would be unsafe is refused; an address that is taken is told, and
/// tried again while scaling goes on.
pub(crate) fn start(setup: Setup) -> Result<Dashboard, Fault> {
    check(&setup.options)?;
    Ok(Dashboard(tokio::spawn(async move {
        let _server = listen(setup).await;
        std::future::pending::<()>().await;
    })))
}

async fn listen(mut setup: Setup) -> Server {
    let mut told = false;
    loop {
        match Bound::listen(setup.options.clone()).await {
            Ok(bound) => {
                tracing::info!(address = %bound.address(), "dashboard and API");
                if let Some(address) = bound.tls_address() {
                    tracing::info!(%address, "dashboard and API by HTTPS");
                }
                return bound.serve(setup);
            }
            Err(error) => {
                if !told {
                    tracing::warn!(%error, "the dashboard cannot be reached; scaling goes on, and the address is tried again");
                }
                told = true;
                tokio::time::sleep(AGAIN).await;
                // What happened meanwhile is in the store; here it would only be too much at once.
                setup.events = setup.events.resubscribe();
            }
        }
    }
}

/// Listens at once, or says why not.
pub(crate) async fn bind(options: Options) -> Result<Bound, Fault> {
    Bound::listen(options).await.map_err(Fault::usage)
}
