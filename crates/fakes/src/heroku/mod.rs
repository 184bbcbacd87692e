//! A stateful stand-in of Heroku's Platform API v3 on a free port of this machine, for tests.
//!
//! [`HerokuFake`] is the handle: apps to set up, faults to plan, requests to look at. How a request changes the state and what is
//! answered is `routes.rs` on the state in `state.rs`; sockets and broken answers are `serve.rs`.
//!
//! What it takes is what real clients were seen to send: Bearer and Basic auth, an app's name or UUID, any
//! `version=3[.variant]`, quantities as numbers, as text and as signed text (the CLI's `ps:scale worker+1`), and sloppy `Range`
//! headers. `tests/heroku_cli.rs` runs Heroku's own CLI against it.

mod fault;
mod routes;
mod serve;
mod state;

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub use self::fault::Fault;
use self::fault::Planned;
use self::serve::Server;
pub use self::state::Limits;
use self::state::State;

/// One request that was received, in the order of arrival.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// `GET`, `PATCH`, …
    pub method: String,
    /// The path as it was sent, percent-encoded, with its query.
    pub path: String,
    /// The body, as text.
    pub body: String,
    /// `Accept`.
    pub accept: String,
    /// `User-Agent`.
    pub user_agent: String,
    /// `Range`.
    pub range: Option<String>,
    /// `If-None-Match`.
    pub if_none_match: Option<String>,
    /// `Authorization`: it holds the key.
    pub authorization: String,
}

impl Received {
    /// Whether it asks to change something.
    pub fn is_write(&self) -> bool {
        !matches!(self.method.as_str(), "GET" | "HEAD")
    }
}

/// A running stand-in. It stops when this is dropped. It has a thread of its own, so it works whatever the test's runtime does
/// with its clock.
#[derive(Debug)]
pub struct HerokuFake {
    state: Arc<Mutex<State>>,
    server: Server,
}

impl HerokuFake {
    /// The key that is accepted until [`HerokuFake::set_key`].
    pub const KEY: &'static str = "test-key-0000";

    /// Starts one without apps.
    pub fn start() -> io::Result<Self> {
        let state = Arc::new(Mutex::new(State::new(Self::KEY)));
        let server = Server::start(Arc::clone(&state))?;
        Ok(Self { state, server })
    }

    /// Starts one with the app `shop`: one `web` and one `worker`, on Standard-1X.
    pub fn with_shop() -> io::Result<Self> {
        let fake = Self::start()?;
        fake.add_app("shop", &[("web", 1, "Standard-1X"), ("worker", 1, "Standard-1X")]);
        Ok(fake)
    }

    /// Its base URL: `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.server.address())
    }

    /// Adds an app with its process types, quantities and sizes; the answer is its UUID.
    pub fn add_app(&self, name: &str, processes: &[(&str, u32, &str)]) -> String {
        self.lock().add_app(name, processes)
    }

    /// Takes an app away; afterwards it is not found.
    pub fn remove_app(&self, name: &str) {
        self.lock().apps.retain(|app| app.name != name);
    }

    /// Takes a process type away, as a deploy of another Procfile does.
    pub fn remove_process(&self, app: &str, process: &str) {
        if let Some(app) = self.lock().app(app) {
            app.formation.retain(|entry| entry.process != process);
        }
    }

    /// The wanted quantity of a process; none: there is no such app or process.
    pub fn quantity(&self, app: &str, process: &str) -> Option<u32> {
        let mut state = self.lock();
        state.app(app)?.formation.iter().find(|entry| entry.process == process).map(|entry| entry.quantity)
    }

    /// Sets a quantity as a person would at the dashboard.
    pub fn set_quantity(&self, app: &str, process: &str, quantity: u32) {
        if let Some(app) = self.lock().app(app)
            && let Some(entry) = app.formation.iter_mut().find(|entry| entry.process == process)
        {
            entry.set(quantity);
        }
    }

    /// Dynos of this app that are added from now on are `starting` for so long.
    pub fn set_boot(&self, app: &str, boot: Duration) {
        if let Some(app) = self.lock().app(app) {
            app.boot = boot;
        }
    }

    /// The size of a process's dynos.
    pub fn size(&self, app: &str, process: &str) -> Option<String> {
        let mut state = self.lock();
        state.app(app)?.formation.iter().find(|entry| entry.process == process).map(|entry| entry.size.clone())
    }

    /// The URLs of an app's log drains.
    pub fn drains(&self, app: &str) -> Vec<String> {
        self.lock().app(app).map(|app| app.drains.iter().map(|drain| drain.url.clone()).collect()).unwrap_or_default()
    }

    /// Sets the limits of an app.
    pub fn set_limits(&self, app: &str, limits: Limits) {
        if let Some(app) = self.lock().app(app) {
            app.limits = limits;
        }
    }

    /// Adds a release, such as a deploy whose release command still runs (`pending`).
    pub fn add_release(&self, app: &str, status: &str) {
        if let Some(app) = self.lock().app(app) {
            app.releases.push(status.to_owned());
        }
    }

    /// Accepts only this key from now on, as after a revocation.
    pub fn set_key(&self, key: &str) {
        self.lock().key = key.to_owned();
    }

    /// The calls that the account has left; each one that is answered costs one, and none comes back by itself.
    pub fn remaining(&self) -> u32 {
        self.lock().remaining
    }

    /// Sets the calls that the account has left; at 0, the answer is 429.
    pub fn set_remaining(&self, remaining: u32) {
        self.lock().remaining = remaining;
    }

    /// Answers lists in pages of this many entries.
    pub fn set_page_size(&self, entries: usize) {
        self.lock().page_size = entries.max(1);
    }

    /// Plans a fault for the next request with this method whose path contains `path`; it is not carried out. Several plans are
    /// used up in their order.
    pub fn fault(&self, method: &str, path: &str, fault: Fault) {
        self.lock().plans.push(Planned::once(method, path, fault));
    }

    /// Plans a fault for the answer to the next such request, which *is* carried out: its answer gets lost.
    pub fn fault_after(&self, method: &str, path: &str, fault: Fault) {
        self.lock().plans.push(Planned { carried_out: true, ..Planned::once(method, path, fault) });
    }

    /// Plans a fault for all such requests, until [`HerokuFake::clear_faults`].
    pub fn fault_always(&self, method: &str, path: &str, fault: Fault) {
        self.lock().plans.push(Planned { stays: true, ..Planned::once(method, path, fault) });
    }

    /// Forgets all faults that were planned.
    pub fn clear_faults(&self) {
        self.lock().plans.clear();
    }

    /// All requests since the start or the last [`HerokuFake::clear_requests`], oldest first.
    pub fn requests(&self) -> Vec<Received> {
        self.lock().received.clone()
    }

    /// Forgets the requests so far.
    pub fn clear_requests(&self) {
        self.lock().received.clear();
    }

    /// How many requests asked to change something.
    pub fn writes(&self) -> usize {
        self.lock().received.iter().filter(|request| request.is_write()).count()
    }

    /// How many requests only read.
    pub fn reads(&self) -> usize {
        self.lock().received.iter().filter(|request| !request.is_write()).count()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
