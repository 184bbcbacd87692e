//! Settings: TOML, the Python settings of 2.1 and the environment, read, checked and explained; see [`load`].
//!
//! Nothing of a kind of measurement, platform or notification is known here: each says which fields it takes
//! ([`autoscalebot_core::fields`]), and comes in through [`Kinds`]. Policies and gates come from the core's lists.

mod address;
mod assemble;
mod common;
mod duration;
#[cfg(test)]
mod elsewhere_tests;
mod environment;
#[cfg(test)]
mod fuzz_tests;
mod hours;
mod import;
#[cfg(test)]
mod import_tests;
mod json;
#[cfg(test)]
mod json_tests;
mod legacy;
#[cfg(test)]
mod legacy_tests;
mod load;
mod outside;
mod problem;
mod process;
mod public_url;
mod python;
mod reader;
mod reference;
mod schema;
mod server;
#[cfg(test)]
mod server_tests;
mod store;
#[cfg(test)]
mod testing;
mod times;
#[cfg(test)]
mod toml_tests;
mod toml_tree;
mod tree;

pub use import::{Imported, STARTERS, import, import_python, starter};
pub use json::{from_json, is_literal};
pub use load::{Loaded, Source, from_environment, from_python, from_toml, load};
pub use outside::{Outside, read, variable, variables};
pub use problem::{Problem, Problems};
pub use public_url::PublicUrl;
pub use reference::reference;
pub use schema::schema;
pub use store::{Store, StorePlace};

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use autoscalebot_core::fields::{MeasurementKind, NotifyKind, PlatformKind, Values};
use autoscalebot_core::{Secret, Spec};
use jiff::SignedDuration;

/// The kinds that settings may name.
#[derive(Debug, Clone, Copy)]
pub struct Kinds<'a> {
    /// Kinds of measurement.
    pub measurements: &'a [MeasurementKind],
    /// Kinds of platform.
    pub platforms: &'a [PlatformKind],
    /// Kinds of notification.
    pub notifications: &'a [NotifyKind],
}

/// Everything that settings say, checked.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The IANA name of the zone that time tables follow.
    pub time_zone: String,
    /// Platforms by their names in the settings.
    pub platforms: BTreeMap<String, Section>,
    /// Apps in the order of the settings.
    pub apps: Vec<App>,
    /// Whom to tell.
    pub notify: Vec<Notification>,
    /// Where the program listens.
    pub server: Server,
    /// Where records and state are kept.
    pub store: Store,
}

/// A section of one kind: its `type`, and its values.
#[derive(Debug, Clone)]
pub struct Section {
    /// The `type`: the name of the kind.
    pub kind: &'static str,
    /// The values, checked, with defaults filled in.
    pub values: Values,
}

/// One app.
#[derive(Debug, Clone)]
pub struct App {
    /// Its name in the settings.
    pub key: Arc<str>,
    /// Its platform's name in the settings.
    pub platform: String,
    /// Its name on the platform.
    pub name: String,
    /// Its processes in the order of the settings.
    pub processes: Vec<Process>,
}

/// One process type of an app.
#[derive(Debug, Clone)]
pub struct Process {
    /// What the core needs.
    pub spec: Arc<Spec>,
    /// How to measure, in the order of [`Spec::measurements`].
    pub measure: Vec<Measurement>,
}

/// How to take one measurement.
#[derive(Debug, Clone)]
pub struct Measurement {
    /// Its kind and values.
    pub section: Section,
    /// How often.
    pub every: SignedDuration,
    /// Whether its senders tell it its numbers, so that a rise is acted upon at once.
    pub told: bool,
}

/// Someone to tell.
#[derive(Debug, Clone)]
pub struct Notification {
    /// The kind and values.
    pub section: Section,
    /// The topics to tell of: conditions and [`EventKind::NAMES`](autoscalebot_core::EventKind).
    pub on: Vec<String>,
    /// How often to remind of a condition that still holds; `None`: never.
    pub remind: Option<SignedDuration>,
}

/// Where the program listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// The address.
    pub listen: SocketAddr,
    /// Who has it may read and change.
    pub token: Option<Secret>,
    /// Who has it may read.
    pub read_token: Option<Secret>,
    /// The path under which a proxy shows it: empty, or such as `/autoscalebot`.
    pub path_prefix: String,
    /// The address by which others reach it.
    pub public_url: Option<PublicUrl>,
    /// Where it takes HTTPS, too.
    pub tls: Option<Tls>,
}

/// Where the program takes HTTPS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// The address.
    pub listen: SocketAddr,
    /// The PEM file of the certificate and those that signed it.
    pub certificate: PathBuf,
    /// The PEM file of its private key.
    pub key: PathBuf,
}
