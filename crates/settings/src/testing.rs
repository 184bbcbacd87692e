//! Small kinds for the tests of this crate, shaped like the real ones but owned here.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use autoscalebot_core::Unit;
use autoscalebot_core::fields::{Description, Field, FieldError, FieldType, MeasurementKind, NotifyKind, PlatformKind};

use crate::{Kinds, Loaded, Outside, Problems};

const DAY: f64 = 86_400.0;

const HEARTBEAT: MeasurementKind = MeasurementKind {
    description: Description {
        name: "heartbeat",
        doc: "The time of one HTTP request.",
        fields: &[
            Field::required("url", FieldType::Url(&["http", "https"]), "What to request.", "\"https://shop.example/\""),
            Field::defaulting("timeout", FieldType::Duration(0.001, 600.0), "\"10s\"", "The total time budget."),
            Field::defaulting("reuse_connections", FieldType::Flag, "true", "Whether connections are kept."),
            Field::optional("headers", FieldType::TextTable, "Headers.", "{ Accept = \"text/html\" }"),
            Field::optional("username", FieldType::Text, "Basic auth.", "\"me\""),
            Field::optional("password", FieldType::Secret, "Basic auth.", "{ env = \"PW\" }"),
        ],
        shorthand: &[],
    },
    unit: Unit::Milliseconds,
    failures_mean_overload: true,
    told: false,
    default_every: "\"30s\"",
    check: |values, _| match values.text("username").is_none() && values.secret("password").is_some() {
        true => Err(FieldError::new("username", "is missing beside password")),
        false => Ok(()),
    },
};

const QUEUE: MeasurementKind = MeasurementKind {
    description: Description {
        name: "queue",
        doc: "Jobs that wait.",
        fields: &[
            Field::required("url", FieldType::Url(&["amqp", "redis"]), "Where.", "\"redis://127.0.0.1/\""),
            Field::defaulting(
                "value",
                FieldType::Counts(&[("depth", Unit::Jobs), ("latency", Unit::Milliseconds)]),
                "\"depth\"",
                "Which number.",
            ),
        ],
        shorthand: &[],
    },
    unit: Unit::Jobs,
    failures_mean_overload: false,
    told: false,
    default_every: "\"10s\"",
    check: |_, _| Ok(()),
};

const ROUTER: MeasurementKind = MeasurementKind {
    description: Description {
        name: "router",
        doc: "A percentile of the times of all requests.",
        fields: &[
            Field::optional("token", FieldType::Secret, "The sender's.", "{ env = \"INTAKE_TOKEN\" }"),
            Field::defaulting("percentile", FieldType::Number(1.0, 99.99), "95", "Of the latest requests."),
            Field::defaulting("window", FieldType::Duration(1.0, 3600.0), "\"60s\"", "How long they are latest."),
        ],
        shorthand: &[],
    },
    unit: Unit::Milliseconds,
    failures_mean_overload: false,
    told: true,
    default_every: "\"10s\"",
    check: |_, _| Ok(()),
};

const HEROKU: PlatformKind = PlatformKind {
    description: Description {
        name: "heroku",
        doc: "Heroku.",
        fields: &[
            Field::required("api_key", FieldType::Secret, "The key.", "{ env = \"HEROKU_API_KEY\" }"),
            Field::defaulting("url", FieldType::Url(&["http", "https"]), "\"https://api.heroku.com\"", "The API."),
        ],
        shorthand: &[],
    },
    check: |_| Ok(()),
};

const LOCAL: PlatformKind = PlatformKind {
    description: Description {
        name: "local",
        doc: "This machine.",
        fields: &[
            Field::defaulting("procfile", FieldType::Path, "\"Procfile\"", "The Procfile."),
            Field::optional("formation", FieldType::WholeTable, "Quantities at start.", "{ web = 1 }"),
            Field::defaulting("queue_limit", FieldType::Whole(0, 100_000), "100", "Waiting requests."),
            Field::defaulting("stop_grace", FieldType::Duration(0.0, DAY), "\"30s\"", "Time to stop."),
        ],
        shorthand: &[],
    },
    check: |_| Ok(()),
};

const fn note(name: &'static str, fields: &'static [Field]) -> NotifyKind {
    NotifyKind { description: Description { name, doc: "Tells.", fields, shorthand: &[] }, check: |_| Ok(()) }
}

const EMAIL: &[Field] = &[
    Field::required("host", FieldType::Text, "The server.", "\"mail.example\""),
    Field::defaulting("port", FieldType::Whole(1, 65_535), "25", "Its port."),
    Field::defaulting("security", FieldType::OneOf(&["none", "starttls", "tls"]), "\"starttls\"", "Encryption."),
    Field::optional("username", FieldType::Text, "Login.", "\"me\""),
    Field::optional("password", FieldType::Secret, "Login.", "{ env = \"PW\" }"),
    Field::required("from", FieldType::Text, "The sender.", "\"bot@shop.example\""),
    Field::required("to", FieldType::Texts, "Receivers.", "[\"ops@shop.example\"]"),
];

const NOTES: &[NotifyKind] =
    &[note("console", &[]), note("email", EMAIL), note("log", &[]), note("python", PYTHON), note("test", &[])];

const PYTHON: &[Field] = &[
    Field::required("backend", FieldType::Text, "The class.", "\"shop.notify.Pager\""),
    Field::defaulting("interpreter", FieldType::Text, "\"python3\"", "Which Python."),
];

/// The kinds.
pub(crate) const KINDS: Kinds<'static> =
    Kinds { measurements: &[HEARTBEAT, QUEUE, ROUTER], platforms: &[HEROKU, LOCAL], notifications: NOTES };

/// The planted secrets of case A34.
pub(crate) const TOKEN: &str = "tok-EXAMPLE-1234";
pub(crate) const PASSWORD: &str = "pw-EXAMPLE-5678";

/// An environment and files made of texts.
#[derive(Default, Clone)]
pub(crate) struct World {
    pub(crate) variables: BTreeMap<String, String>,
    pub(crate) files: BTreeMap<String, String>,
}

impl World {
    pub(crate) fn variables(pairs: &[(&str, &str)]) -> Self {
        let variables = pairs.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
        Self { variables, files: BTreeMap::new() }
    }

    pub(crate) fn file(mut self, path: &str, text: &str) -> Self {
        self.files.insert(path.into(), text.into());
        self
    }

    pub(crate) fn outside<R>(&self, run: impl FnOnce(&Outside<'_>) -> R) -> R {
        let variable = |name: &str| self.variables.get(name).cloned();
        let read = |path: &Path| {
            self.files.get(&*path.to_string_lossy()).cloned().ok_or(io::Error::from(io::ErrorKind::NotFound))
        };
        let variables = || self.variables.keys().cloned().collect();
        run(&Outside { variable: &variable, variables: &variables, read: &read, folder: Path::new("/srv") })
    }

    pub(crate) fn toml(&self, text: &str) -> Result<Loaded, Problems> {
        self.outside(|outside| crate::from_toml(text, Path::new("autoscalebot.toml"), KINDS, outside))
    }
}

/// An environment with the API key set.
pub(crate) fn world() -> World {
    World::variables(&[("HEROKU_API_KEY", TOKEN)])
}

/// Good settings to be spoilt.
pub(crate) const GOOD: &str = r#"time_zone = "America/Vancouver"
[platforms.heroku]
type = "heroku"
api_key = { env = "HEROKU_API_KEY" }
[apps.shop]
platform = "heroku"
[apps.shop.processes.web]
min_dynos = 1
max_dynos = 5
[[apps.shop.processes.web.measure]]
type = "heartbeat"
url = "https://shop.example/beat"
every = "30s"
decide = { type = "consecutive", low = "200ms", high = "1s", fails = 3, passes = 5, increment = 1 }
"#;

impl World {
    pub(crate) fn python(&self, text: &str) -> Result<Loaded, Problems> {
        self.outside(|outside| crate::from_python(text, Path::new("autoscale_settings.py"), KINDS, outside))
    }

    pub(crate) fn environment(&self) -> Result<Loaded, Problems> {
        self.outside(|outside| crate::from_environment(KINDS, outside))
    }
}

/// The least that a 2.1 file holds.
pub(crate) const OLD: &str = r#"HEROKU_APP_NAME = "shop"
HEROKU_API_KEY = "tok-EXAMPLE-1234"
HEARTBEAT_URL = "https://shop.example/autoscalebot/heartbeat/v1"
"#;
