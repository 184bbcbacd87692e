//! [`Host`]: one Python that runs, whenever somebody asks it something, and is started again where it died or hung.
//!
//! One that died is started after a pause, 1 s at first and up to a minute while nothing works. One that hangs is given up
//! at once: whoever asks next has a new one, and the old one ends when the last answer that it still owes has come.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::child::{Child, NoAnswer};

/// The first and the longest pause before a Python that died is started again.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// Which Python, and what it is told at its start.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Python {
    /// The program.
    pub interpreter: PathBuf,
    /// `DJANGO_SETTINGS_MODULE`; none: as in the environment of this program.
    pub django_settings: Option<String>,
    /// A folder to import from, before all others.
    pub path: Option<PathBuf>,
}

impl Python {
    /// The Python that settings name, or the one at hand: what `AUTOSCALEBOT_PYTHON` names, else the one beside this
    /// program, as in a virtual environment, else `python3`.
    pub fn at_hand(interpreter: Option<&str>, django_settings: Option<&str>, path: Option<&str>) -> Self {
        let named = || std::env::var_os("AUTOSCALEBOT_PYTHON").filter(|python| !python.is_empty()).map(PathBuf::from);
        let beside = || {
            let python = std::env::current_exe().ok()?.parent()?.join("python3");
            python.is_file().then_some(python)
        };
        Self {
            interpreter: interpreter
                .map(PathBuf::from)
                .or_else(named)
                .or_else(beside)
                .unwrap_or_else(|| "python3".into()),
            django_settings: django_settings.map(Into::into),
            path: path.map(PathBuf::from),
        }
    }
}

/// Why Python gave no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The code raised.
    #[error("{message}")]
    Raised {
        /// The exception on one line.
        message: String,
        /// Whether it may work later.
        retry: bool,
    },
    /// No answer came in time; a new Python takes its place.
    #[error("no answer within {0:?}: it is given up, and another Python is started")]
    Hangs(Duration),
    /// Python ended.
    #[error("Python ended ({0}) before it answered")]
    Died(String),
    /// Python could not be started.
    #[error("{interpreter} cannot be started: {error}")]
    NotStarted {
        /// The program.
        interpreter: String,
        /// Why.
        error: String,
    },
    /// Python died, and is not started again yet.
    #[error("Python ended, and is started again in {} s ({last})", left.as_secs_f64().ceil())]
    Waiting {
        /// How long until then.
        left: Duration,
        /// How it ended.
        last: String,
    },
}

/// One Python that is kept running.
#[derive(Debug)]
pub struct Host {
    python: Python,
    slot: Mutex<Slot>,
}

#[derive(Debug, Default)]
struct Slot {
    child: Option<Arc<Child>>,
    /// The pause that the next death costs.
    pause: Option<Duration>,
    /// When it may be started again, and how it ended.
    waiting: Option<(Instant, String)>,
}

impl Host {
    /// The host of this Python: the same for all who name the same one while any of them lives.
    pub fn shared(python: Python) -> Arc<Self> {
        static HOSTS: OnceLock<Mutex<HashMap<Python, Weak<Host>>>> = OnceLock::new();
        let mut hosts = HOSTS.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(host) = hosts.get(&python).and_then(Weak::upgrade) {
            return host;
        }
        let host = Arc::new(Self { python: python.clone(), slot: Mutex::default() });
        hosts.insert(python, Arc::downgrade(&host));
        host
    }

    /// Asks Python; waits for the answer at most `limit`. The request is an object, and gets its `id` here.
    pub async fn ask(&self, request: Value, limit: Duration) -> Result<Value, Fault> {
        let child = self.child()?;
        match child.ask(request, limit).await {
            Ok(mut answer) => {
                self.slot().pause = None;
                match answer.get("error") {
                    None => Ok(answer.get_mut("ok").map(Value::take).unwrap_or_default()),
                    Some(error) => Err(Fault::Raised {
                        message: crate::one_line(error.as_str().unwrap_or("it raised")),
                        retry: answer.get("retry").and_then(Value::as_bool).unwrap_or(false),
                    }),
                }
            }
            Err(NoAnswer::Late) => {
                self.give_up(&child);
                Err(Fault::Hangs(limit))
            }
            Err(NoAnswer::Ended(how)) => {
                self.died(&child, &how);
                Err(Fault::Died(how))
            }
        }
    }

    fn slot(&self) -> std::sync::MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The running child; a new one where there is none.
    fn child(&self) -> Result<Arc<Child>, Fault> {
        let mut slot = self.slot();
        if let Some(child) = &slot.child {
            return Ok(Arc::clone(child));
        }
        if let Some((at, last)) = &slot.waiting {
            let left = at.saturating_duration_since(Instant::now());
            if !left.is_zero() {
                return Err(Fault::Waiting { left, last: last.clone() });
            }
        }
        slot.waiting = None;
        match Child::start(&self.python) {
            Ok(child) => Ok(Arc::clone(slot.child.insert(child))),
            Err(error) => {
                let interpreter = self.python.interpreter.display().to_string();
                slot.pause_after(&error.to_string());
                Err(Fault::NotStarted { interpreter, error: error.to_string() })
            }
        }
    }

    fn give_up(&self, child: &Arc<Child>) {
        let mut slot = self.slot();
        if slot.child.as_ref().is_some_and(|current| Arc::ptr_eq(current, child)) {
            slot.child = None;
        }
    }

    fn died(&self, child: &Arc<Child>, how: &str) {
        let mut slot = self.slot();
        // Several may have waited for the one that died; its death is one.
        if slot.child.as_ref().is_some_and(|current| Arc::ptr_eq(current, child)) {
            slot.child = None;
            slot.pause_after(how);
        }
    }
}

impl Slot {
    fn pause_after(&mut self, how: &str) {
        let pause = self.pause.unwrap_or(PAUSES.0);
        self.pause = Some((pause * 2).min(PAUSES.1));
        self.waiting = Some((Instant::now() + pause, how.to_owned()));
    }
}
