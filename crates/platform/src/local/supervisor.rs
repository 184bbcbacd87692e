//! How many dynos of each process type are wanted, and the tasks that are those dynos. A wish is noted at once; starting and
//! stopping happen in the dynos' own tasks (`dyno`).

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use autoscalebot_core::Dynos;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::Options;
use super::dyno::{Identity, Order, live};
use super::group::Group;
use super::keeper::Keeper;
use super::ports::Ports;
use super::routes::Routes;
use crate::logs::LogSink;

/// What all dynos share.
#[derive(Debug)]
pub(crate) struct House {
    pub(crate) options: Options,
    /// The command of each process type.
    pub(crate) commands: BTreeMap<String, String>,
    /// From the `.env` file.
    pub(crate) variables: Variables,
    /// Where the commands run: the Procfile's folder.
    pub(crate) folder: PathBuf,
    pub(crate) routes: Arc<Routes>,
    pub(crate) logs: LogSink,
    pub(crate) ports: Arc<Ports>,
    pub(crate) keeper: Option<Keeper>,
}

/// Variables of the environment; they may be secret, so `Debug` shows their names only.
#[derive(Default)]
pub(crate) struct Variables(pub(crate) BTreeMap<String, String>);

impl std::fmt::Debug for Variables {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl<'a> IntoIterator for &'a Variables {
    type Item = (&'a String, &'a String);
    type IntoIter = std::collections::btree_map::Iter<'a, String, String>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl House {
    /// A line about a dyno.
    pub(crate) fn say(&self, who: &Identity, text: impl Into<Arc<str>>) {
        self.logs.send("heroku", Arc::clone(&who.name), text);
    }

    /// A group was started: the keeper learns of it.
    pub(crate) fn started(&self, group: Group) {
        if let Some(keeper) = &self.keeper
            && let Err(error) = keeper.add(group)
        {
            tracing::warn!(%error, "the keeper has ended: should this program be killed, its dynos would run on");
        }
    }

    /// Nothing is left of a group.
    pub(crate) fn ended(&self, group: Group) {
        if let Some(keeper) = &self.keeper {
            // Where it fails, `started` has said so.
            let _ = keeper.remove(group);
        }
    }
}

/// The dynos.
#[derive(Debug)]
pub(crate) struct Supervisor {
    house: Arc<House>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    wishes: BTreeMap<String, Dynos>,
    /// By process type and number.
    dynos: BTreeMap<(String, u32), Running>,
    stopped: bool,
}

#[derive(Debug)]
struct Running {
    order: watch::Sender<Order>,
    task: JoinHandle<()>,
}

impl Supervisor {
    /// Starts the wished number of each process type; `wishes` names every one of them.
    pub(crate) fn start(house: House, wishes: BTreeMap<String, Dynos>) -> Self {
        let supervisor = Self { house: Arc::new(house), state: Mutex::default() };
        for (process, quantity) in wishes {
            supervisor.set(&process, quantity);
        }
        supervisor
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The wished numbers.
    pub(crate) fn wishes(&self) -> BTreeMap<String, Dynos> {
        self.state().wishes.clone()
    }

    /// What all dynos share.
    pub(crate) fn house(&self) -> &House {
        &self.house
    }

    /// Notes a wish and starts or stops what it takes: the lowest free numbers are started, the highest are stopped. The
    /// number of a dyno that is still finishing its requests is not free.
    pub(crate) fn set(&self, process: &str, quantity: Dynos) {
        let Some(command) = self.house.commands.get(process) else { return };
        let mut state = self.state();
        if state.stopped {
            return;
        }
        state.dynos.retain(|_, running| !running.task.is_finished());
        state.wishes.insert(process.to_owned(), quantity);
        let web = process == "web";
        if web {
            self.house.routes.want(quantity);
        }
        let mut numbers: Vec<u32> = state
            .dynos
            .iter()
            .filter(|((of, _), running)| of == process && *running.order.borrow() == Order::Run)
            .map(|((_, number), _)| *number)
            .collect();
        while numbers.len() > quantity as usize {
            let Some(highest) = numbers.pop() else { break };
            if let Some(running) = state.dynos.get(&(process.to_owned(), highest)) {
                running.order.send_replace(Order::Retire);
            }
        }
        let mut number = 0;
        for _ in numbers.len()..quantity as usize {
            number += 1;
            while state.dynos.contains_key(&(process.to_owned(), number)) {
                number += 1;
            }
            let name = format!("{process}.{number}").into();
            let who = Identity { name, command: command.as_str().into(), web };
            let (order, orders) = watch::channel(Order::Run);
            let task = tokio::spawn(live(Arc::clone(&self.house), who, orders));
            state.dynos.insert((process.to_owned(), number), Running { order, task });
        }
    }

    /// Tells every dyno to end now.
    pub(crate) fn quit(&self) -> Vec<JoinHandle<()>> {
        let mut state = self.state();
        state.stopped = true;
        self.house.routes.want(0);
        let dynos = std::mem::take(&mut state.dynos);
        dynos
            .into_values()
            .map(|running| {
                running.order.send_replace(Order::Quit);
                running.task
            })
            .collect()
    }
}
