//! Apps on Heroku, through the Platform API v3: reads the formation, and what `check --online` tells. Setting quantities is
//! `scale.rs`; which dynos serve, `serving.rs`; one HTTP exchange is `wire.rs`; what an answer means, `answer.rs`; what all apps of an account share,
//! `account.rs`. The page for people is `docs/platforms/heroku.md`.
//!
//! Odd facts, from <https://devcenter.heroku.com/articles/platform-api-reference>:
//! - the quantity of a formation is what is wanted, not what runs;
//! - a list may come in pages (206), and an unchanged one as an empty 304;
//! - 404 means that there is no such app, or that the key may not see it, or that the app has no such process type;
//! - calls are counted for an account, over all of its tools.
//!
//! No call is repeated here within a tick, but for a batch that was refused as a whole (`scale.rs`): the engine's next tick
//! is the next try.

mod account;
mod answer;
mod budget;
mod drains;
mod limit;
#[cfg(test)]
mod properties;
mod scale;
mod serving;
mod wait;
mod wire;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use autoscalebot_core::fields::{Description, Field, FieldError, FieldType, PlatformKind, Values};
use autoscalebot_core::{Dynos, Secret};
use jiff::Timestamp;
use serde::Deserialize;
use tokio::time::{Instant, timeout_at};
use url::Url;

use self::account::Account;
use self::answer::{Entry, Refused};
use self::scale::Held;
use self::serving::Serving;
use self::wait::GrowingPause;
use self::wire::{Answer, Call, Wire};
use crate::{Change, Formation, Platform, PlatformContext, PlatformEntry, PlatformError, PointTo, Scaled};

/// Where the API is.
const DEFAULT_URL: &str = "https://api.heroku.com";

/// The longest that a read may take, and each of the calls of a scaling, from connecting to the last byte.
const CALL_BUDGET: Duration = Duration::from_secs(15);

/// What an account may call in a minute: 4500 an hour (<https://devcenter.heroku.com/articles/platform-api-reference#rate-limits>).
const CALLS_A_MINUTE: u32 = 75;

/// More pages than this are no formation: a page holds up to 1000 process types.
const PAGES_MAX: usize = 10;

const FIELDS: &[Field] = &[
    Field::required(
        "api_key",
        FieldType::Secret,
        "The key of an account that may see and scale the apps.",
        r#"{ env = "HEROKU_API_KEY" }"#,
    ),
    Field::defaulting(
        "url",
        FieldType::Url(&["https", "http"]),
        r#""https://api.heroku.com""#,
        "Where the Platform API is; plain http only on this machine itself.",
    ),
];

/// The kind `heroku`.
pub const ENTRY: PlatformEntry = PlatformEntry {
    kind: PlatformKind {
        description: Description {
            name: "heroku",
            doc: "Apps on Heroku, scaled through its Platform API.",
            fields: FIELDS,
            shorthand: &[],
        },
        check,
    },
    build,
};

fn check(values: &Values) -> Result<(), FieldError> {
    if let Some(url) = values.url("url") {
        wire::check_url(url)?;
    }
    if let Some(key) = values.secret("api_key") {
        wire::bearer(&trimmed(key))?;
    }
    Ok(())
}

fn build(name: &str, values: &Values, _: &PlatformContext) -> Result<Arc<dyn Platform>, FieldError> {
    let key = values.secret("api_key").ok_or_else(|| FieldError::new("api_key", "is missing"))?;
    let url = match values.url("url") {
        Some(url) => url.clone(),
        None => Url::parse(DEFAULT_URL).map_err(|error| FieldError::new("url", error.to_string()))?,
    };
    Ok(Arc::new(Heroku::new(name, key, url)?))
}

/// A key from a file or a copied line often ends in a line end.
fn trimmed(key: &Secret) -> Secret {
    Secret::new(key.expose().trim())
}

/// One `[platforms.…]` section of the type `heroku`.
#[derive(Debug)]
pub struct Heroku {
    /// The section's name, for messages.
    name: String,
    wire: Wire,
    account: Arc<Account>,
    call_budget: Duration,
    apps: Mutex<HashMap<String, AppState>>,
}

/// What is remembered of an app between ticks.
#[derive(Debug, Default)]
struct AppState {
    /// The last formation that was read, and the tag to ask with whether it still holds.
    last: Option<(String, Seen)>,
    /// Reads that are refused.
    reads: GrowingPause<Refused>,
    /// Writes that are refused for the app as a whole.
    writes: GrowingPause<Refused>,
    /// Changes of one process that are refused.
    held: HashMap<String, Held>,
    serving: Serving,
}

/// A formation with what else is known of its processes.
#[derive(Debug, Clone)]
struct Seen {
    formation: Formation,
    /// By process type, in lower case.
    sizes: HashMap<String, String>,
}

impl Heroku {
    /// A platform from its settings: the section's name, the key, and where the API is.
    pub fn new(name: &str, key: &Secret, url: Url) -> Result<Self, FieldError> {
        let key = trimmed(key);
        let account = Account::of(&key, &url);
        let wire = Wire::new(key, url)?;
        Ok(Self { name: name.to_owned(), wire, account, call_budget: CALL_BUDGET, apps: Mutex::default() })
    }

    /// The same with another time budget of a call, for tests of silence. A scaling may take twice as long.
    #[must_use]
    pub fn with_call_budget(mut self, budget: Duration) -> Self {
        self.call_budget = budget.min(CALL_BUDGET);
        self
    }

    /// Sends one call, unless the account must wait, and tells what came of it. `started` is when the tick's instant was.
    async fn call(
        &self,
        call: &Call<'_>,
        now: Timestamp,
        started: Instant,
        deadline: Instant,
    ) -> Result<Answer, Refused> {
        self.account.admit(call.patch.is_some(), now)?;
        let sent = timeout_at(deadline, self.wire.send(call)).await;
        let answer = sent.map_err(|_| Refused::Late)?.map_err(Refused::Broken)?;
        let received = account::after(now, started.elapsed());
        let wait_until = wait::retry_after(answer.retry_after.as_deref(), received);
        let checked = answer::check(&answer, self.wire.key(), wait_until);
        self.account.learn(&answer, checked.as_ref().err(), received);
        checked.map(|()| answer)
    }

    /// Reads an app's formation, unless reading it was refused a short while ago.
    async fn read(&self, app: &str, now: Timestamp) -> Result<Seen, PlatformError> {
        if let Some(refused) = self.with_app(app, |state| state.reads.holds(now)) {
            return Err(self.error(app, Doing::Read, refused));
        }
        let read = self.read_pages(app, now).await;
        self.with_app(app, |state| match &read {
            Ok(_) => state.reads.clear(),
            Err(refused @ (Refused::Access(_) | Refused::Missing(_) | Refused::Invalid(_))) => {
                state.reads.refuse(refused.clone(), now);
            }
            // A refused key is the account's to remember; the rest is tried again at the next tick.
            Err(_) => {}
        });
        read.map_err(|refused| self.error(app, Doing::Read, refused))
    }

    async fn read_pages(&self, app: &str, now: Timestamp) -> Result<Seen, Refused> {
        let started = Instant::now();
        let deadline = started + self.call_budget;
        let last = self.with_app(app, |state| state.last.clone());
        let path = path_of(app)?;
        let mut entries: Vec<Entry> = Vec::new();
        let mut range: Option<String> = None;
        for page in 0..PAGES_MAX {
            let etag = last.as_ref().filter(|_| page == 0).map(|(etag, _)| etag.as_str());
            let call = Call { path: &path, etag, range: range.as_deref(), patch: None };
            let answer = self.call(&call, now, started, deadline).await?;
            if answer.status == 304 {
                return match last {
                    Some((_, seen)) if page == 0 => Ok(seen),
                    _ => Err(Refused::Broken("304 although nothing was known before".into())),
                };
            }
            entries.extend(answer::entries(&answer)?);
            if answer.status == 206 && answer.next_range.is_some() {
                range = answer.next_range;
                continue;
            }
            let seen = Seen::of(&entries)?;
            // The tag of one page says nothing about the others.
            let tagged = answer.etag.filter(|_| page == 0).map(|etag| (etag, seen.clone()));
            self.with_app(app, |state| state.last = tagged);
            return Ok(seen);
        }
        Err(Refused::Broken(format!("a formation of more than {PAGES_MAX} pages")))
    }

    fn with_app<T>(&self, app: &str, with: impl FnOnce(&mut AppState) -> T) -> T {
        let mut apps = self.apps.lock().unwrap_or_else(PoisonError::into_inner);
        with(apps.entry(app.to_owned()).or_default())
    }

    /// A refusal in words for the operator: what failed, the setting by name, what to do.
    fn error(&self, app: &str, doing: Doing<'_>, refused: Refused) -> PlatformError {
        let section = &self.name;
        let misconfigured = PlatformError::Misconfigured;
        match refused {
            Refused::Key(said) => misconfigured(format!(
                "Heroku does not accept the key platforms.{section}.api_key ({said}): \
                 make a new one with `heroku authorizations:create` and put it there"
            )),
            Refused::Access(said) => misconfigured(format!(
                "the key platforms.{section}.api_key may not {doing} {app:?} ({said}): give its account access to the app, \
                 or clear what the account or the app is blocked for"
            )),
            Refused::Missing(said) => misconfigured(match doing {
                Doing::Read | Doing::Drains => format!(
                    "Heroku shows no app {app:?} to the key platforms.{section}.api_key ({said}): correct `name` in the \
                     app's section (apps.….name), or give the key's account access to the app"
                ),
                // The formation was read before, so the app was there a moment ago.
                Doing::Scale(process) => format!(
                    "the app {app:?} has no process type {process} ({said}): correct the name in apps.….processes, or \
                     deploy a Procfile that has it, or see whether the app was renamed"
                ),
            }),
            Refused::Invalid(said) => misconfigured(format!("Heroku refuses to {doing} {app:?} ({said})")),
            Refused::Limit { limit, said, .. } => PlatformError::OverLimit { limit, message: said },
            Refused::Wait(until) => PlatformError::RateLimited(until),
            Refused::Broken(said) => PlatformError::Unavailable(format!("cannot {doing} {app:?}: {said}")),
            Refused::Late => PlatformError::Timeout(self.call_budget.as_secs().max(1)),
        }
    }

    /// When the newest release was made; without the range, the list would begin with the oldest and stop at 200.
    async fn newest_release(&self, app: &str, now: Timestamp) -> Result<Option<Timestamp>, Refused> {
        #[derive(Deserialize)]
        struct Release {
            created_at: Timestamp,
        }
        let started = Instant::now();
        let path = ["apps", path_of(app)?[1], "releases"];
        let call = Call { path: &path, range: Some("version ..; max=1, order=desc"), ..Call::default() };
        let answer = self.call(&call, now, started, started + self.call_budget).await?;
        let releases: Vec<Release> = serde_json::from_slice(&answer.body)
            .map_err(|_| Refused::Broken("releases that are not whole JSON".into()))?;
        Ok(releases.first().map(|release| release.created_at))
    }

    /// What the account may still send; asking is free.
    async fn rate_limits(&self, now: Timestamp) -> Result<Option<u32>, Refused> {
        #[derive(Deserialize)]
        struct RateLimits {
            remaining: u32,
        }
        let started = Instant::now();
        let call = Call { path: &["account", "rate-limits"], ..Call::default() };
        let answer = self.call(&call, now, started, started + self.call_budget).await?;
        let limits: Option<RateLimits> = serde_json::from_slice(&answer.body).ok();
        if let Some(limits) = &limits {
            self.account.told(limits.remaining, account::after(now, started.elapsed()));
        }
        Ok(limits.map(|limits| limits.remaining))
    }
}

/// What a call was for, in messages.
#[derive(Debug, Clone, Copy)]
enum Doing<'a> {
    Read,
    Drains,
    /// The process type.
    Scale(&'a str),
}

impl std::fmt::Display for Doing<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Read => f.write_str("read the formation of"),
            Self::Drains => f.write_str("list the log drains of"),
            Self::Scale(process) => write!(f, "scale {process} of"),
        }
    }
}

impl Seen {
    fn of(entries: &[Entry]) -> Result<Self, Refused> {
        let mut seen = Self { formation: Formation::default(), sizes: HashMap::new() };
        for entry in entries {
            if seen.formation.quantities.insert(entry.process.clone(), entry.quantity).is_some() {
                return Err(Refused::Broken("a process type listed on two pages".into()));
            }
            if let Some(size) = entry.size() {
                seen.sizes.insert(entry.process.clone(), size);
            }
        }
        Ok(seen)
    }

    /// What `check --online` should say about sizes that cannot scale out.
    fn size_notes(&self) -> String {
        let mut notes = String::new();
        for process in self.formation.quantities.keys() {
            if let Some(size @ ("eco" | "basic")) = self.sizes.get(process).map(String::as_str) {
                notes.push_str(&format!(
                    "; {process} runs on {size}, which allows 1 dyno: `heroku ps:type {process}=standard-1x` lets it scale out"
                ));
            }
        }
        notes
    }
}

/// The path of an app's formation, which the whole batch goes to as well.
fn path_of(app: &str) -> Result<[&str; 3], Refused> {
    // A URL's path has no way to write these, so the call would go somewhere else.
    if matches!(app, "" | "." | "..") {
        return Err(Refused::Missing("no app can have this name".into()));
    }
    Ok(["apps", app, "formation"])
}

#[async_trait]
impl Platform for Heroku {
    async fn formation(&self, app: &str, now: Timestamp) -> Result<Formation, PlatformError> {
        let mut formation = self.read(app, now).await?.formation;
        formation.ready = self.serving(app, &formation.quantities, now).await;
        Ok(formation)
    }

    /// The newest release, whatever its state: one that is under way is when dynos are restarted.
    async fn released_at(&self, app: &str, now: Timestamp) -> Result<Option<Timestamp>, PlatformError> {
        self.newest_release(app, now).await.map_err(|refused| self.error(app, Doing::Read, refused))
    }

    async fn scale(
        &self,
        app: &str,
        changes: &[Change],
        before: &Formation,
        now: Timestamp,
    ) -> Vec<Result<Scaled, PlatformError>> {
        scale::Batch::new(self, app, changes, before, now).run().await
    }

    async fn probe(&self, app: &str, now: Timestamp) -> Result<String, PlatformError> {
        let seen = self.read(app, now).await?;
        let left = match self.rate_limits(now).await {
            Ok(Some(left)) => format!("; {left} API calls are left to the account"),
            // It is a courtesy: the formation was read, so the key and the name are right.
            Ok(None) | Err(_) => String::new(),
        };
        Ok(format!("{app}: {}{left}{}", seen.formation, seen.size_notes()))
    }

    fn calls_a_minute(&self) -> Option<u32> {
        Some(CALLS_A_MINUTE)
    }

    fn pointing(&self, app: &str, to: PointTo<'_>) -> Option<String> {
        Some(drains::command(app, to))
    }

    async fn log_drains(&self, app: &str, now: Timestamp) -> Result<Option<Vec<Secret>>, PlatformError> {
        let drains = self.log_drains(app, now).await;
        drains.map(Some).map_err(|refused| self.error(app, Doing::Drains, refused))
    }
}

/// A quantity as the API takes it.
fn update(change: &Change, quantity: Dynos) -> serde_json::Value {
    // The size is left out: with it, the call would also undo a change of size by hand.
    serde_json::json!({ "type": change.process, "quantity": quantity })
}
