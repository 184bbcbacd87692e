//! `python`: a notification backend in Python, a class by dotted path, as in 2.1.
//!
//! All channels of one Python share one child process ([`Host`]), which runs `python -m autoscalebot.child` and talks in
//! JSON lines: the event as it is in the stream goes out, `ok` or an error comes back. Which of the class's methods fits an
//! event is decided there. A backend that raises is told to the log by its channel; one that hangs or takes its Python with
//! it costs that process, and the next event has a new one.

mod child;
mod host;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use autoscalebot_core::Event;
use autoscalebot_core::fields::{Description, Field, FieldError, FieldType, NotifyKind, Values};
use serde_json::json;

pub use host::{Fault, Host, Python};

use crate::{Notify, NotifyEntry, NotifyError};

/// The entry in the list of channels.
pub const ENTRY: NotifyEntry = NotifyEntry {
    kind: NotifyKind {
        description: Description {
            name: "python",
            doc: "A class in Python, by its dotted path, for each event.",
            fields: FIELDS,
            shorthand: &[],
        },
        check: |values| Backend::new(values).map(|_| ()),
    },
    build: |values| Ok(Arc::new(Backend::new(values)?)),
};

const FIELDS: &[Field] = &[
    Field::required(
        "backend",
        FieldType::Text,
        "The class, a subclass of `autoscalebot.backends.notification.NotificationBackend`.",
        "\"shop.notify.Pager\"",
    ),
    Field::optional(
        "interpreter",
        FieldType::Text,
        "The Python to run it in, with the package `autoscalebot` installed; the one that `AUTOSCALEBOT_PYTHON` names unless \
         set, else the one beside this program, else `python3`.",
        "\"/srv/shop/.venv/bin/python\"",
    ),
    Field::optional(
        "django_settings",
        FieldType::Text,
        "The settings module of a Django project, which is set up before the class is made; the one that \
         `DJANGO_SETTINGS_MODULE` names unless set.",
        "\"shop.settings\"",
    ),
    Field::optional("path", FieldType::Path, "A folder to import from, before all others.", "\"src\""),
];

/// The longest that a backend may take; less than a channel waits, so that it is known which of them it was.
const LIMIT: Duration = Duration::from_secs(20);

/// Tells a class in Python.
#[derive(Debug)]
pub struct Backend {
    backend: String,
    host: Arc<Host>,
    limit: Duration,
}

impl Backend {
    fn new(values: &Values) -> Result<Self, FieldError> {
        let backend = values.text("backend").unwrap_or_default().to_owned();
        let name = |name: &str| {
            !name.is_empty()
                && !name.starts_with(|c: char| c.is_ascii_digit())
                && name.chars().all(|c| c.is_alphanumeric() || c == '_')
        };
        if !backend.contains('.') || !backend.split('.').all(name) {
            return Err(FieldError::new(
                "backend",
                "is no dotted path: write the module and the class, such as \"shop.notify.Pager\"",
            ));
        }
        let python = Python::at_hand(values.text("interpreter"), values.text("django_settings"), values.text("path"));
        Ok(Self { backend, host: Host::shared(python), limit: LIMIT })
    }

    async fn ask(&self, mut request: serde_json::Value) -> Result<serde_json::Value, NotifyError> {
        request["backend"] = json!(self.backend);
        self.host.ask(request, self.limit).await.map_err(|fault| {
            tracing::warn!(backend = %self.backend, error = %fault, "a notification backend in Python failed");
            match fault {
                Fault::Raised { message, retry: false } => NotifyError::Refused(message),
                Fault::Waiting { left, .. } => NotifyError::Retry { message: fault.to_string(), after: Some(left) },
                _ => NotifyError::retry(fault.to_string()),
            }
        })
    }
}

#[async_trait]
impl Notify for Backend {
    async fn send(&self, event: &Event) -> Result<(), NotifyError> {
        let event = json!({
            "at": event.at,
            "app": event.app,
            "process": event.process,
            "dynos": event.dynos,
            "name": event.kind.name(),
            "topic": event.kind.topic(),
            "message": event.to_string(),
            "record": event.record.as_ref(),
        });
        self.ask(json!({ "event": event })).await.map(|_| ())
    }

    async fn probe(&self) -> Result<String, NotifyError> {
        let answer = self.ask(json!({ "probe": true })).await?;
        Ok(answer.as_str().unwrap_or("the backend can be made").to_owned())
    }
}

#[cfg(test)]
mod tests;
