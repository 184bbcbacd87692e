//! What the stand-in remembers: apps with their formations, limits, drains and releases, and the account's budget of calls.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::Received;
use super::fault::Planned;

/// When everything here was made; no test depends on it.
pub(super) const LONG_AGO: &str = "2026-01-01T00:00:00Z";

/// What an account holds when nothing was spent.
const BUDGET: u32 = 4500;

/// How many dynos an app may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// All dynos together: above it, 422 `cannot_run_above_limit`.
    pub app: Option<u32>,
    /// Of each process type: above it, 422 `cannot_update_above_limit`.
    pub process: Option<u32>,
    /// Whether the answer has the field `limit`.
    pub named: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self { app: None, process: None, named: true }
    }
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) key: String,
    pub(super) apps: Vec<App>,
    pub(super) remaining: u32,
    pub(super) page_size: usize,
    pub(super) plans: Vec<Planned>,
    pub(super) received: Vec<Received>,
    ids: u64,
}

#[derive(Debug)]
pub(super) struct App {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) formation: Vec<Process>,
    pub(super) drains: Vec<Drain>,
    /// The status of each release, oldest first.
    pub(super) releases: Vec<String>,
    pub(super) limits: Limits,
    /// How long a dyno that was added is `starting`.
    pub(super) boot: Duration,
}

#[derive(Debug, Clone)]
pub(super) struct Process {
    pub(super) id: String,
    pub(super) process: String,
    pub(super) quantity: u32,
    pub(super) size: String,
    /// The dynos that were added, the newest last: when, and how many.
    pub(super) added: Vec<(Instant, u32)>,
}

impl Process {
    /// Sets the quantity; the newest stop first.
    pub(super) fn set(&mut self, quantity: u32) {
        let mut fewer = self.quantity.saturating_sub(quantity);
        while let Some((_, count)) = self.added.last_mut().filter(|_| fewer > 0) {
            let stopped = fewer.min(*count);
            (*count, fewer) = (*count - stopped, fewer - stopped);
            if *count == 0 {
                self.added.pop();
            }
        }
        if quantity > self.quantity {
            self.added.push((Instant::now(), quantity - self.quantity));
        }
        self.quantity = quantity;
    }

    /// How many have been there for longer than it takes to start.
    fn up(&self, boot: Duration) -> u32 {
        let starting = self.added.iter().filter(|(at, _)| at.elapsed() < boot).map(|(_, count)| *count).sum();
        self.quantity.saturating_sub(starting)
    }
}

#[derive(Debug)]
pub(super) struct Drain {
    pub(super) id: String,
    pub(super) url: String,
}

impl State {
    pub(super) fn new(key: &str) -> Self {
        Self {
            key: key.to_owned(),
            apps: Vec::new(),
            remaining: BUDGET,
            page_size: 1000,
            plans: Vec::new(),
            received: Vec::new(),
            ids: 0,
        }
    }

    /// A UUID that no other thing here has.
    pub(super) fn id(&mut self) -> String {
        self.ids += 1;
        format!("01234567-89ab-4def-8123-{:012x}", self.ids)
    }

    pub(super) fn add_app(&mut self, name: &str, processes: &[(&str, u32, &str)]) -> String {
        let id = self.id();
        let formation = processes
            .iter()
            .map(|(process, quantity, size)| Process {
                id: self.id(),
                process: (*process).to_owned(),
                quantity: *quantity,
                size: (*size).to_owned(),
                added: Vec::new(),
            })
            .collect();
        self.apps.push(App {
            id: id.clone(),
            name: name.to_owned(),
            formation,
            drains: Vec::new(),
            releases: vec!["succeeded".to_owned()],
            limits: Limits::default(),
            boot: Duration::ZERO,
        });
        id
    }

    /// An app by its name or UUID.
    pub(super) fn app(&mut self, name: &str) -> Option<&mut App> {
        self.apps.iter_mut().find(|app| app.name == name || app.id == name)
    }

    /// The fault that was planned for such a request.
    pub(super) fn planned(&mut self, method: &str, path: &str) -> Option<Planned> {
        let at = self.plans.iter().position(|planned| planned.is_for(method, path))?;
        if self.plans.get(at)?.stays { self.plans.get(at).cloned() } else { Some(self.plans.remove(at)) }
    }
}

impl App {
    pub(super) fn shown(&self) -> Value {
        json!({
            "id": self.id,
            "name": self.name,
            "owner": { "id": self.id, "email": "o@example.com" },
            "process_tier": "production",
            "space": null,
            "generation": { "id": self.id, "name": "cedar" },
            "acm": false,
            "archived_at": null,
            "maintenance": false,
            "created_at": LONG_AGO,
            "updated_at": LONG_AGO,
        })
    }

    pub(super) fn shown_process(&self, process: &Process) -> Value {
        json!({
            "app": { "id": self.id, "name": self.name },
            "command": format!("run-{}", process.process),
            "created_at": LONG_AGO,
            "id": process.id,
            "type": process.process,
            "quantity": process.quantity,
            "size": process.size,
            "updated_at": LONG_AGO,
        })
    }

    pub(super) fn shown_dynos(&self) -> Vec<Value> {
        let dynos = self.formation.iter().flat_map(|process| (1..=process.quantity).map(move |n| (process, n)));
        dynos
            .map(|(process, n)| {
                json!({
                    "id": format!("{}-{n}", process.id),
                    "name": format!("{}.{n}", process.process),
                    "type": process.process,
                    "state": if n <= process.up(self.boot) { "up" } else { "starting" },
                    "size": process.size,
                    "command": format!("run-{}", process.process),
                    "release": { "id": self.id, "version": self.releases.len() },
                    "app": { "id": self.id, "name": self.name },
                    "attach_url": null,
                    "created_at": LONG_AGO,
                    "updated_at": LONG_AGO,
                })
            })
            .collect()
    }

    pub(super) fn shown_releases(&self) -> Vec<Value> {
        let last_good = self.releases.iter().rposition(|status| status == "succeeded");
        self.releases
            .iter()
            .enumerate()
            .map(|(at, status)| {
                json!({
                    "id": format!("{}-{}", self.id, at + 1),
                    "version": at + 1,
                    "status": status,
                    "current": Some(at) == last_good,
                    "description": "Deploy 01234567",
                    "user": { "id": self.id, "email": "o@example.com" },
                    "app": { "id": self.id, "name": self.name },
                    "slug": { "id": self.id },
                    "output_stream_url": null,
                    "created_at": LONG_AGO,
                    "updated_at": LONG_AGO,
                })
            })
            .collect()
    }
}

impl Drain {
    pub(super) fn shown(&self) -> Value {
        json!({
            "addon": null,
            "created_at": LONG_AGO,
            "id": self.id,
            "token": format!("d.{}", self.id),
            "updated_at": LONG_AGO,
            "url": self.url,
        })
    }
}
