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

/// A URL as it may be shown: with its password masked.
///
/// ```
/// let url = url::Url::parse("https://mon:pw@mq.example/x").unwrap();
/// assert_eq!(autoscalebot_core::masked_url(&url), "https://mon:***@mq.example/x");
/// ```
pub fn masked_url(url: &url::Url) -> String {
    let mut shown = url.clone();
    if shown.password().is_some() && shown.set_password(Some("***")).is_err() {
        return format!("{}://***", url.scheme());
    }
    shown.to_string()
}
