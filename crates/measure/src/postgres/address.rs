//! Where a PostgreSQL server is, and how to log in, from its URL, which may be the app's own `DATABASE_URL`.
//!
//! `sslmode` means what it means to libpq: `prefer`, its default, and `require` encrypt without proving who answers (the
//! certificates of Heroku's databases are signed by nobody), `verify-full` proves it, by the system's trusted roots or those of
//! `sslrootcert`. What other clients write behind the URL besides is left alone.

use autoscalebot_core::fields::{FieldError, Values};
use tokio_postgres::Config;
use tokio_postgres::config::SslMode;

use crate::dial::{decoded, login};
use crate::tls::Trust;

/// A server, a login and a database. It has no `Debug`, as it holds a password.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Address {
    pub(crate) host: String,
    pub(crate) port: u16,
    username: String,
    password: Option<String>,
    database: String,
    options: Option<String>,
    /// `None`: without TLS.
    pub(crate) tls: Option<Trust>,
    /// Whether a server without TLS is refused.
    demanded: bool,
}

impl Address {
    /// The address of these settings.
    pub(crate) fn of(values: &Values) -> Result<Self, FieldError> {
        let wrong = |message: String| FieldError::new("url", message);
        let url = values.url("url").ok_or_else(|| wrong("is needed".into()))?;
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(|| wrong("names no host".into()))?;
        let (username, password) = login(url);
        let username = username.ok_or_else(|| wrong("names no user: write postgres://USER:PASSWORD@…".into()))?;
        let path = decoded(url.path().trim_start_matches('/'));
        let mut address = Self {
            host: host.to_owned(),
            port: url.port().unwrap_or(5432),
            database: if path.is_empty() { username.clone() } else { path },
            username,
            password,
            options: None,
            tls: Some(Trust::Anybody),
            demanded: false,
        };
        let mut root = None;
        for (key, value) in url.query_pairs() {
            match &*key {
                "sslmode" => {
                    (address.tls, address.demanded) = match &*value {
                        "disable" => (None, false),
                        "allow" | "prefer" => (Some(Trust::Anybody), false),
                        "require" => (Some(Trust::Anybody), true),
                        "verify-ca" | "verify-full" => (Some(Trust::System), true),
                        _ => {
                            let message =
                                "has an sslmode that is not known: write disable, prefer, require or verify-full";
                            return Err(wrong(message.into()));
                        }
                    };
                }
                "sslrootcert" if value != "system" => root = Some(value.into_owned()),
                "options" => address.options = Some(value.into_owned()),
                _ => {}
            }
        }
        if let (Some(root), Some(Trust::System)) = (root, &address.tls) {
            address.tls = Some(Trust::File(root.into()));
        }
        Ok(address)
    }

    /// Where it is, without the login.
    pub(crate) fn shown(&self) -> String {
        format!("postgres://{}:{}/{}", self.host, self.port, self.database)
    }

    /// The same for the client.
    pub(crate) fn config(&self) -> Config {
        let mut config = Config::new();
        config.user(&self.username).dbname(&self.database).application_name("autoscalebot");
        if let Some(password) = &self.password {
            config.password(password);
        }
        if let Some(options) = &self.options {
            config.options(options);
        }
        config.ssl_mode(match (&self.tls, self.demanded) {
            (None, _) => SslMode::Disable,
            (Some(_), false) => SslMode::Prefer,
            (Some(_), true) => SslMode::Require,
        });
        config
    }
}

#[cfg(test)]
mod tests {
    use autoscalebot_core::fields::Value;

    use super::*;

    fn of(url: &str) -> Result<Address, String> {
        let mut values = Values::default();
        values.set("url", Value::Url(url.parse().unwrap()));
        Address::of(&values).map_err(|error| error.to_string())
    }

    #[test]
    fn urls_as_apps_have_them() {
        let address = of("postgres://me:p%2320@db.example/shop").unwrap();
        assert_eq!(
            (address.shown(), address.password.as_deref()),
            ("postgres://db.example:5432/shop".into(), Some("p#20"))
        );
        assert_eq!((&address.tls, address.demanded), (&Some(Trust::Anybody), false));
        assert_eq!(of("postgres://me@db.example").unwrap().database, "me");
        let address = of("postgres://me@[::1]:99/x?sslmode=verify-full&sslrootcert=/ca.pem&pool=5").unwrap();
        assert_eq!((address.tls, address.demanded), (Some(Trust::File("/ca.pem".into())), true));
        assert_eq!(of("postgres://me@x/?sslmode=disable").unwrap().tls, None);
        assert!(of("postgres://db.example/shop").is_err());
        assert!(of("postgres://me@x/?sslmode=verify").is_err());
    }
}
