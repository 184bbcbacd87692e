//! Sources that are told rather than ask: how their senders are pointed at this program. Each kind says it in its own file, with
//! a [`Point`]; how an app's variable is set or a drain is added is the platform's to know.

use std::time::Duration;

use autoscalebot_core::fields::{Description, Field, MeasurementKind};
use autoscalebot_core::{Secret, Unit};

use crate::intake::settings::check_token;
use crate::{Build, MeasureEntry};

/// The entry of a kind whose sender, known by its token, tells how long requests or jobs wait or take.
pub(crate) const fn entry(
    name: &'static str,
    doc: &'static str,
    fields: &'static [Field],
    build: Build,
) -> MeasureEntry {
    let kind = MeasurementKind {
        description: Description { name, doc, fields, shorthand: &[] },
        unit: Unit::Milliseconds,
        failures_mean_overload: false,
        told: true,
        default_every: "\"10s\"",
        check: |values, _| check_token(values),
    };
    MeasureEntry { kind, build }
}

/// A source that is told.
#[derive(Debug, Clone)]
pub struct ToldBy {
    /// How long its sender may be silent.
    pub silent_after: Duration,
    /// The token, and how a sender is pointed with it; none: this program's own local platform tells it.
    address: Option<(Secret, Point)>,
}

/// How the sender of a kind is pointed at this program.
pub(crate) type Point = fn(to: To<'_>) -> Pointing;

/// What a sender is pointed to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct To<'a> {
    /// The address by which senders reach this program, without a slash at its end.
    pub(crate) base: &'a str,
    token: &'a Secret,
}

impl To<'_> {
    /// The token alone.
    pub(crate) fn token(self) -> Secret {
        self.token.clone()
    }

    /// A path below the address, in which `TOKEN` stands for the token.
    pub(crate) fn url(self, path: &str) -> Secret {
        Secret::new(format!("{}{}", self.base, path.replace("TOKEN", self.token.expose())))
    }
}

/// How a sender is pointed at this program: by any one of these ways.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pointing {
    /// The ways; the first is the usual one.
    pub ways: Vec<Way>,
    /// What a person should know besides.
    pub note: Option<&'static str>,
    /// Whether its sender speaks https and nothing else.
    pub https_only: bool,
}

/// One way to point a sender at this program. What is secret holds the token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// A log drain of the app.
    LogDrain(Secret),
    /// A telemetry drain of the app.
    TelemetryDrain(Secret),
    /// Variables in the app's environment, all of them.
    Variables(Vec<(&'static str, Secret)>),
    /// A request as this command sends it.
    Command(Secret),
    /// A token that the app holds already, or takes in some way of its own.
    Token(Secret),
}

impl Way {
    /// What it is, in a word.
    pub fn name(&self) -> &'static str {
        match self {
            Self::LogDrain(_) => "log_drain",
            Self::TelemetryDrain(_) => "telemetry_drain",
            Self::Variables(_) => "variables",
            Self::Command(_) => "command",
            Self::Token(_) => "token",
        }
    }
}

impl Pointing {
    /// One way, and nothing to know besides.
    pub(crate) fn by(way: Way) -> Self {
        Self { ways: vec![way], note: None, https_only: false }
    }
}

impl ToldBy {
    pub(crate) fn new(silent_after: Duration, token: Option<&Secret>, point: Point) -> Self {
        Self { silent_after, address: token.map(|token| (token.clone(), point)) }
    }

    /// Whether this program's own local platform tells it, so that there is no sender to be pointed here.
    pub fn is_local(&self) -> bool {
        self.address.is_none()
    }

    /// How its sender is pointed to a program that is reached by this address; none for one that is local.
    pub fn pointing(&self, address: &str) -> Option<Pointing> {
        let (token, point) = self.address.as_ref()?;
        Some(point(To { base: address.trim_end_matches('/'), token }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_hold_the_token_and_hide_it() {
        let told = ToldBy::new(Duration::from_secs(120), Some(&Secret::new("tok-EXAMPLE-1234")), |to| {
            Pointing::by(Way::LogDrain(to.url("/drains/TOKEN")))
        });
        assert!(!format!("{told:?} {:?}", told.pointing("https://scale.example/a/")).contains("EXAMPLE"));
        let [Way::LogDrain(url)] = &told.pointing("https://scale.example/a/").unwrap().ways[..] else { panic!() };
        assert_eq!(url.expose(), "https://scale.example/a/drains/tok-EXAMPLE-1234");
        assert!(ToldBy::new(Duration::ZERO, None, |_| unreachable!()).is_local());
    }
}
