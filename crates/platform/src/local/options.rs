//! The settings of the local platform, read from checked values.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use autoscalebot_core::Dynos;
use autoscalebot_core::fields::{Field, FieldError, FieldType, Values};
use jiff::SignedDuration;

/// What may be set.
pub(super) const FIELDS: &[Field] = &[
    Field::defaulting("procfile", FieldType::Path, "\"Procfile\"", "The Procfile; its dynos run in its folder."),
    Field::optional(
        "env_file",
        FieldType::Path,
        "Variables for every dyno; without it, `.env` beside the Procfile, if there is one.",
        "\".env\"",
    ),
    Field::defaulting(
        "listen",
        FieldType::Text,
        "\"127.0.0.1:5000\"",
        "Where the proxy in front of `web` listens, as address:port; port 0 is any free one.",
    ),
    Field::optional(
        "formation",
        FieldType::WholeTable,
        "How many dynos of each process type to start with; 1 of those that are not named.",
        "{ web = 1, worker = 0 }",
    ),
    Field::defaulting(
        "stop_grace",
        FieldType::Duration(0.0, 3600.0),
        "\"30s\"",
        "How long a dyno that is scaled away may finish its requests, and again how long it may take to end after SIGTERM.",
    ),
    Field::defaulting(
        "queue_limit",
        FieldType::Whole(0, 100_000),
        "100",
        "How many requests may wait while no dyno listens; more are answered 503 (H11).",
    ),
    Field::defaulting(
        "queue_timeout",
        FieldType::Duration(0.0, 3600.0),
        "\"30s\"",
        "How long a request may wait while no dyno listens, before it is answered 503 (H10 or H20).",
    ),
    Field::defaulting(
        "at_zero",
        FieldType::OneOf(&["refuse", "wait"]),
        "\"refuse\"",
        "What becomes of requests while no dyno of `web` is wanted: 503 (H14) at once, or they wait as above for one to start.",
    ),
    Field::optional(
        "port_base",
        FieldType::Whole(1024, 65_000),
        "The first port for dynos: each takes the first free one from here up; without it, a free one between 20000 and 32767.",
        "6000",
    ),
];

/// How a local app is run. The last five have no setting: they are Heroku's, or of no use to change outside of tests.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// The Procfile; commands run in its folder.
    pub procfile: PathBuf,
    /// Variables for every dyno; none: `.env` beside the Procfile, if there is one.
    pub env_file: Option<PathBuf>,
    /// Where the proxy listens; port 0 is any free one.
    pub listen: SocketAddr,
    /// The quantities to start with; 1 of each process type that is not named.
    pub formation: BTreeMap<String, Dynos>,
    /// How long open requests, and then the processes after SIGTERM, may take when a dyno is scaled away.
    pub stop_grace: Duration,
    /// How many requests may wait for a dyno.
    pub queue_limit: usize,
    /// How long each may wait.
    pub queue_timeout: Duration,
    /// Whether requests wait even where no dyno is wanted.
    pub waits_at_zero: bool,
    /// The first port for dynos.
    pub port_base: Option<u16>,
    /// How long a dyno of `web` may take until it listens.
    pub boot_timeout: Duration,
    /// How long a dyno may take until the head of its answer.
    pub first_byte_timeout: Duration,
    /// The pause before the first new start of a crashed dyno.
    pub restart_pause_min: Duration,
    /// The longest such pause.
    pub restart_pause_max: Duration,
    /// After a run this long, the pauses begin anew.
    pub steady_after: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            procfile: PathBuf::from("Procfile"),
            env_file: None,
            listen: SocketAddr::from(([127, 0, 0, 1], 5000)),
            formation: BTreeMap::new(),
            stop_grace: Duration::from_secs(30),
            queue_limit: 100,
            queue_timeout: Duration::from_secs(30),
            waits_at_zero: false,
            port_base: None,
            boot_timeout: Duration::from_secs(60),
            first_byte_timeout: Duration::from_secs(30),
            restart_pause_min: Duration::from_secs(1),
            restart_pause_max: Duration::from_secs(60),
            steady_after: Duration::from_secs(60),
        }
    }
}

/// Faults that the fields' types cannot say.
pub(super) fn check(values: &Values) -> Result<(), FieldError> {
    Options::read(values).map(|_| ())
}

impl Options {
    /// From values that were checked against the fields.
    pub fn read(values: &Values) -> Result<Self, FieldError> {
        let default = Self::default();
        let listen = match values.text("listen") {
            None => default.listen,
            Some(text) => listen(text)?,
        };
        let formation = values.whole_table("formation").cloned().unwrap_or_default();
        if formation.contains_key("release") {
            let message = "`release` runs once at a deploy and is no dyno: remove it";
            return Err(FieldError::new("formation", message));
        }
        if let Some((process, quantity)) = formation.iter().find(|(_, quantity)| **quantity > super::DYNOS_MAX) {
            let message = format!("{process} = {quantity} is above {}, the most for one machine", super::DYNOS_MAX);
            return Err(FieldError::new("formation", message));
        }
        let port_base = match values.whole("port_base") {
            None => None,
            Some(port) => {
                let port = u16::try_from(port).map_err(|_| FieldError::new("port_base", "must be below 65536"))?;
                Some(port)
            }
        };
        let duration = |name, default| values.duration(name).map_or(default, positive);
        Ok(Self {
            procfile: values.text("procfile").map_or(default.procfile, PathBuf::from),
            env_file: values.text("env_file").map(PathBuf::from),
            listen,
            formation,
            stop_grace: duration("stop_grace", default.stop_grace),
            queue_limit: values
                .whole("queue_limit")
                .map_or(default.queue_limit, |limit| usize::try_from(limit).unwrap_or_default()),
            queue_timeout: duration("queue_timeout", default.queue_timeout),
            waits_at_zero: values.text("at_zero") == Some("wait"),
            port_base,
            ..Self::default()
        })
    }
}

fn positive(duration: SignedDuration) -> Duration {
    Duration::try_from(duration).unwrap_or_default()
}

/// An address and port; `localhost` is 127.0.0.1, other names are not looked up.
fn listen(text: &str) -> Result<SocketAddr, FieldError> {
    let numeric = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    numeric.as_deref().unwrap_or(text).parse().map_err(|_| {
        FieldError::new("listen", format!("`{text}` is not address:port: write \"127.0.0.1:5000\" or \"[::1]:5000\""))
    })
}

#[cfg(test)]
mod tests {
    use autoscalebot_core::fields::Value;

    use super::*;

    fn read(values: &[(&'static str, Value)]) -> Result<Options, FieldError> {
        let mut all = Values::default();
        for (name, value) in values {
            all.set(name, value.clone());
        }
        Options::read(&all)
    }

    #[test]
    fn nothing_set_is_the_default() {
        assert_eq!(read(&[]), Ok(Options::default()));
    }

    #[test]
    fn what_is_set_holds() {
        let read = read(&[
            ("procfile", Value::Text("/app/Procfile".into())),
            ("listen", Value::Text("localhost:0".into())),
            ("formation", Value::WholeTable([("web".to_owned(), 2)].into())),
            ("stop_grace", Value::Duration(SignedDuration::from_millis(1500))),
            ("queue_limit", Value::Whole(0)),
            ("port_base", Value::Whole(6000)),
        ])
        .unwrap();
        assert_eq!(read.procfile, PathBuf::from("/app/Procfile"));
        assert_eq!(read.listen.to_string(), "127.0.0.1:0");
        assert_eq!(read.formation["web"], 2);
        assert_eq!(read.stop_grace, Duration::from_millis(1500));
        assert_eq!((read.queue_limit, read.port_base), (0, Some(6000)));
    }

    #[test]
    fn faults_name_the_field() {
        for (field, value) in [
            ("listen", Value::Text("5000".into())),
            ("listen", Value::Text("example.com:80".into())),
            ("formation", Value::WholeTable([("release".to_owned(), 1)].into())),
            ("formation", Value::WholeTable([("web".to_owned(), 1_000_000)].into())),
        ] {
            assert_eq!(read(&[(field, value.clone())]).unwrap_err().field, field, "{value:?}");
        }
    }
}
