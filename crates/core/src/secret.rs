//! A value that must never be shown: an API key, a password, a token.

use std::fmt;

/// A secret whose `Debug` and `Display` hide it. Only [`Secret::expose`] gives it, so that a search finds each use.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Box<str>);

impl Secret {
    /// Wraps a secret.
    pub fn new(value: impl Into<Box<str>>) -> Self {
        Self(value.into())
    }

    /// The secret itself, for the call that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A URL as it may be shown: with its password masked, and a user name that stands alone as well, as tokens are often given
/// that way.
///
/// ```
/// let shown = |url: &str| autoscalebot_core::masked_url(&url::Url::parse(url).unwrap());
/// assert_eq!(shown("https://mon:pw@mq.example/x"), "https://mon:***@mq.example/x");
/// assert_eq!(shown("https://token@mq.example/x"), "https://***@mq.example/x");
/// ```
pub fn masked_url(url: &url::Url) -> String {
    let mut shown = url.clone();
    let masked = match (shown.password().is_some(), shown.username().is_empty()) {
        (true, _) => shown.set_password(Some("***")),
        (false, false) => shown.set_username("***"),
        (false, true) => Ok(()),
    };
    if masked.is_err() {
        return format!("{}://***", url.scheme());
    }
    shown.to_string()
}
