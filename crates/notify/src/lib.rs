//! Whom autoscalebot tells: a file per channel, [`CHANNELS`], the one list of them, and [`deliver`](mod@deliver), which picks the
//! events a channel asked for, retries, and reminds.
//!
//! A channel that is slow, refuses or is dead delays neither a tick nor another channel: each has its own queue and task.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use autoscalebot_core::Event;
use autoscalebot_core::fields::{FieldError, NotifyKind, Values};

pub mod console;
pub mod deliver;
pub mod email;
#[cfg(test)]
mod fixture;
pub mod log;
pub mod python;
pub mod test;

/// Someone or something to tell.
#[async_trait]
pub trait Notify: Debug + Send + Sync {
    /// Tells one event. Called again with the same event after an [`NotifyError::Retry`].
    async fn send(&self, event: &Event) -> Result<(), NotifyError>;

    /// Tries the connection and the credentials without telling anybody anything, for `check --online`.
    async fn probe(&self) -> Result<String, NotifyError> {
        Ok("nothing to try".into())
    }
}

/// Why an event could not be told. Texts hold no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotifyError {
    /// It may work later; after so many seconds where the other side said so.
    #[error("{message}")]
    Retry {
        /// What happened.
        message: String,
        /// How long to wait, where the other side said so.
        after: Option<std::time::Duration>,
    },
    /// Trying again is no use.
    #[error("{0}")]
    Refused(String),
}

impl NotifyError {
    /// A fault that may pass, where the other side does not say when.
    pub fn retry(message: impl Into<String>) -> Self {
        Self::Retry { message: message.into(), after: None }
    }
}

/// A kind of notification.
#[derive(Debug, Clone, Copy)]
pub struct NotifyEntry {
    /// What the settings need to know of it.
    pub kind: NotifyKind,
    /// Makes a channel from settings that were checked against its fields.
    pub build: fn(&Values) -> Result<Arc<dyn Notify>, FieldError>,
}

/// Every kind of notification, by name.
pub const CHANNELS: &[NotifyEntry] = &[console::ENTRY, email::ENTRY, log::ENTRY, python::ENTRY, test::ENTRY];

/// The text on one line: whatever breaks a line or drives a terminal becomes a space. Names come from settings and from
/// platforms, so none of them may forge a second line, a mail header or an escape sequence.
pub(crate) fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_forges_a_second_line_or_an_escape_sequence() {
        assert_eq!(one_line("a\r\nBcc: x\u{1b}[2J\u{2028}b"), "a  Bcc: x [2J b");
    }
}
