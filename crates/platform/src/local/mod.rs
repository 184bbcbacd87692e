//! The `local` platform: a Procfile's process types as dynos on this machine, and an HTTP proxy in front of `web`.
//!
//! Here are its settings, its entry in the list of platforms and [`Local`], which joins the parts: `procfile` and `dotenv`
//! read files, `supervisor` keeps the wanted number of dynos, `dyno` is the life of one, `group` and [`keeper`] see to it
//! that none outlives the program, `routes` knows which dyno may serve, `proxy` and `forward` carry requests, and
//! `router_line` says what became of each. What to scale to is not decided here.

//!
//! A platform of this kind is one app: whatever name an app has, it is this one.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use autoscalebot_core::Dynos;
use autoscalebot_core::fields::{Description, FieldError, PlatformKind, Values};
use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};

use self::files::Files;
use self::keeper::Keeper;
use self::ports::Ports;
use self::proxy::{Life, Proxy};
use self::routes::Routes;
use self::supervisor::{House, Supervisor, Variables};
use crate::{Change, Formation, Platform, PlatformContext, PlatformEntry, PlatformError, Scaled};

mod body;
mod dotenv;
mod dyno;
mod files;
mod forward;
mod group;
mod headers;
pub mod keeper;
mod options;
mod ports;
pub mod procfile;
mod proxy;
mod pump;
mod router_line;
mod routes;
mod supervisor;

pub use options::Options;

/// This platform in the list of platforms.
pub const ENTRY: PlatformEntry = PlatformEntry {
    kind: PlatformKind {
        description: Description {
            name: "local",
            doc: "A Procfile's process types on this machine, with an HTTP proxy in front of `web`.",
            fields: options::FIELDS,
            shorthand: &[],
        },
        check: options::check,
    },
    build,
};

/// The most dynos of one process type: a mistyped quantity should not fill the machine.
const DYNOS_MAX: Dynos = 500;

/// How long all that runs may take to end; [`Platform::stop`] has 2 s.
const STOP_BUDGET: Duration = Duration::from_millis(1800);

fn build(_name: &str, values: &Values, context: &PlatformContext) -> Result<Arc<dyn Platform>, FieldError> {
    Ok(Arc::new(Local::new(Options::read(values)?, context)))
}

/// An app on this machine.
#[derive(Debug)]
pub struct Local {
    options: Options,
    context: PlatformContext,
    running: Mutex<Option<Arc<Running>>>,
    /// Held while starting or stopping, so that the two do not meet.
    turn: tokio::sync::Mutex<()>,
}

/// What [`Platform::start`] brought up.
#[derive(Debug)]
struct Running {
    supervisor: Supervisor,
    /// None where the Procfile has no `web`.
    proxy: Option<Proxy>,
}

impl Local {
    /// An app that is not started yet.
    pub fn new(options: Options, context: &PlatformContext) -> Self {
        let (running, turn) = (Mutex::default(), tokio::sync::Mutex::default());
        Self { options, context: context.clone(), running, turn }
    }

    /// Where the proxy listens, once started.
    pub fn address(&self) -> Option<SocketAddr> {
        self.running().as_ref()?.proxy.as_ref().map(Proxy::address)
    }

    /// The requests that are open on each dyno of `web` that runs now, those that are being stopped included.
    pub fn open_requests(&self) -> BTreeMap<Arc<str>, usize> {
        self.running().as_ref().map(|running| running.supervisor.house().routes.open()).unwrap_or_default()
    }

    fn running(&self) -> MutexGuard<'_, Option<Arc<Running>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the Procfile and the `.env` file.
    async fn files(&self) -> Result<Files, PlatformError> {
        let options = self.options.clone();
        let read = tokio::task::spawn_blocking(move || Files::read(&options)).await;
        read.unwrap_or_else(|error| Err(format!("the Procfile cannot be read: {error}")))
            .map_err(PlatformError::Misconfigured)
    }

    async fn bring_up(&self) -> Result<Running, PlatformError> {
        let files = self.files().await?;
        let wishes = files.start_quantities(&self.options);
        let listener = if files.procfile.commands.contains_key("web") { Some(self.listen().await?) } else { None };
        let keeper = match &self.context.keeper {
            Some(command) => Some(Keeper::start(command).map_err(|error| {
                PlatformError::Unavailable(format!("the keeper of child processes cannot be started: {error}"))
            })?),
            None => None,
        };
        let routes = Routes::new(self.options.queue_limit, self.options.queue_timeout, self.options.waits_at_zero);
        let logs = self.context.logs.clone();
        let proxy = listener.map(|(listener, address)| {
            Proxy::start(listener, address, Arc::clone(&routes), logs.clone(), self.options.first_byte_timeout)
        });
        let house = House {
            options: self.options.clone(),
            commands: files.procfile.commands,
            variables: Variables(files.variables),
            folder: files.folder,
            routes,
            logs,
            ports: Ports::new(self.options.port_base),
            keeper,
        };
        Ok(Running { supervisor: Supervisor::start(house, wishes), proxy })
    }

    async fn listen(&self) -> Result<(TcpListener, SocketAddr), PlatformError> {
        let listen = self.options.listen;
        let failed = |error| {
            PlatformError::Misconfigured(format!(
                "listen: nothing can listen on {listen}: {error}; choose another port"
            ))
        };
        let listener = TcpListener::bind(listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok((listener, address))
    }
}

#[async_trait]
impl Platform for Local {
    async fn start(&self) -> Result<(), PlatformError> {
        let _turn = self.turn.lock().await;
        if self.running().is_some() {
            return Ok(());
        }
        let running = self.bring_up().await?;
        *self.running() = Some(Arc::new(running));
        Ok(())
    }

    /// The wished numbers; before the start, those to start with.
    async fn formation(&self, _app: &str, _now: Timestamp) -> Result<Formation, PlatformError> {
        let running = self.running().clone();
        let Some(running) = running else {
            let quantities = self.files().await?.start_quantities(&self.options);
            return Ok(Formation { quantities, ..Formation::default() });
        };
        let quantities = running.supervisor.wishes();
        // Of `web` alone it is known when a dyno serves: when it listens.
        let web = quantities.contains_key("web").then(|| running.supervisor.house().routes.listening());
        let ready =
            web.map(|dynos| ("web".to_owned(), Dynos::try_from(dynos).unwrap_or(Dynos::MAX))).into_iter().collect();
        Ok(Formation { quantities, ready })
    }

    async fn scale(
        &self,
        _app: &str,
        changes: &[Change],
        _before: &Formation,
        _now: Timestamp,
    ) -> Vec<Result<Scaled, PlatformError>> {
        let running = self.running().clone();
        let set = |change: &Change| {
            let Some(running) = &running else {
                return Err(PlatformError::Unavailable("the app is not started".to_owned()));
            };
            let process = &change.process;
            if !running.supervisor.house().commands.contains_key(process) {
                let procfile = self.options.procfile.display();
                let message =
                    format!("procfile: {procfile} has no process type `{process}`: add it there, or remove it here");
                return Err(PlatformError::Misconfigured(message));
            }
            if change.quantity > DYNOS_MAX {
                let message = format!("at most {DYNOS_MAX} dynos of one process type run on one machine");
                return Err(PlatformError::OverLimit { limit: Some(DYNOS_MAX), message });
            }
            running.supervisor.set(process, change.quantity);
            Ok(Scaled { quantity: change.quantity, limit: None })
        };
        changes.iter().map(set).collect()
    }

    /// Reads the files again, and tries the address where the proxy would listen.
    async fn probe(&self, app: &str, _now: Timestamp) -> Result<String, PlatformError> {
        let files = self.files().await?;
        let procfile = self.options.procfile.display();
        if self.running().is_none() && files.procfile.commands.contains_key("web") {
            self.listen().await?;
        }
        let quantities = files.start_quantities(&self.options);
        Ok(format!("{app}: {procfile} would start {}", Formation { quantities, ..Formation::default() }))
    }

    async fn stop(&self) {
        let _turn = self.turn.lock().await;
        let Some(running) = self.running().take() else { return };
        let enter = |life| running.proxy.iter().for_each(|proxy| proxy.enter(life));
        enter(Life::Closing);
        let tasks = running.supervisor.quit();
        let ended = async {
            for task in tasks {
                // A task that was cancelled has killed its group as it was dropped.
                let _ = task.await;
            }
            // Until it has gone too: nothing of ours is left then.
            while running.supervisor.house().keeper.as_ref().is_some_and(|keeper| !keeper.dismiss()) {
                sleep(Duration::from_millis(5)).await;
            }
        };
        if timeout(STOP_BUDGET, ended).await.is_err() {
            tracing::warn!("not all dynos have ended in time; the keeper ends the rest");
        }
        enter(Life::Over);
    }
}

impl Drop for Local {
    /// For a program that forgot to stop it: the dynos end in their own tasks, or with the runtime.
    fn drop(&mut self) {
        if let Some(running) = self.running().take() {
            running.proxy.iter().for_each(|proxy| proxy.enter(Life::Over));
            running.supervisor.quit();
        }
    }
}
