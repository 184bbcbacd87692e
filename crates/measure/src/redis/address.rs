//! Where a Redis server is, and how to log in, from its URL.
//!
//! What Celery, redis-py and others write behind the URL is understood: `?db=1`, `?ssl_cert_reqs=none` (any certificate is
//! good) and `?ssl_ca_certs=PATH`.

use autoscalebot_core::fields::{FieldError, Values};

use crate::dial::{decoded, login};
use crate::tls::Trust;

/// A server, or the sentinels that know it. It has no `Debug`, as it holds a password.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Address {
    pub(crate) host: String,
    pub(crate) port: u16,
    /// `None`: without TLS.
    pub(crate) tls: Option<Trust>,
    pub(crate) username: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) database: i64,
    /// The name of the master, where the host is that of a sentinel.
    pub(crate) master: Option<String>,
    /// Other sentinels.
    pub(crate) sentinels: Vec<(String, u16)>,
}

impl Address {
    /// The same login elsewhere, as a cluster or a sentinel says.
    pub(crate) fn at(&self, host: &str, port: u16) -> Self {
        Self { host: host.to_owned(), port, master: None, sentinels: Vec::new(), ..self.clone() }
    }

    /// The address of these settings.
    pub(crate) fn of(values: &Values) -> Result<Self, FieldError> {
        let wrong = |message: String| FieldError::new("url", message);
        let url = values.url("url").ok_or_else(|| wrong("is needed".into()))?;
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(|| wrong("names no host".into()))?;
        let (username, password) = login(url);
        let master = values.text("sentinel").map(str::to_owned);
        let mut address = Self {
            host: host.to_owned(),
            port: url.port().unwrap_or(if master.is_some() { 26_379 } else { 6379 }),
            tls: (url.scheme() == "rediss").then_some(Trust::System),
            username,
            password,
            database: 0,
            master,
            sentinels: Vec::new(),
        };
        let path = decoded(url.path().trim_matches('/'));
        if !path.is_empty() {
            address.database = database(&path)
                .ok_or_else(|| wrong("has a path that is no number of a database: write redis://host/0".into()))?;
        }
        for (key, value) in url.query_pairs() {
            match (&*key, &*value) {
                ("db", number) => {
                    address.database = database(number).ok_or_else(|| wrong("has a db that is no number".into()))?;
                }
                ("ssl_cert_reqs", "none" | "CERT_NONE") => {
                    address.tls = address.tls.map(|_| Trust::Anybody);
                }
                ("ssl_cert_reqs", "required" | "CERT_REQUIRED") => {}
                ("ssl_ca_certs", path) => address.tls = address.tls.map(|_| Trust::File(path.into())),
                (key, _) => {
                    let key: String = key.chars().filter(|c| !c.is_control()).take(40).collect();
                    let message = format!(
                        "holds \"{key}\", which is not known here or has no such value: write db, ssl_cert_reqs \
                         (none or required) or ssl_ca_certs, or remove it"
                    );
                    return Err(wrong(message));
                }
            }
        }
        for other in values.texts("sentinels") {
            let found = other.rsplit_once(':').and_then(|(host, port)| Some((host.to_owned(), port.parse().ok()?)));
            let found = found.or_else(|| (!other.contains(':')).then(|| (other.clone(), 26_379)));
            let message = || FieldError::new("sentinels", "holds one that is no \"host\" or \"host:port\": correct it");
            address.sentinels.push(found.ok_or_else(message)?);
        }
        if address.master.is_none() && !address.sentinels.is_empty() {
            return Err(FieldError::new("sentinel", "is needed with sentinels: write the name of the master"));
        }
        Ok(address)
    }

    /// Where it is, without the login.
    pub(crate) fn shown(&self) -> String {
        let scheme = if self.tls.is_some() { "rediss" } else { "redis" };
        format!("{scheme}://{}:{}/{}", self.host, self.port, self.database)
    }
}

fn database(text: &str) -> Option<i64> {
    text.parse().ok().filter(|number| (0..=1_000_000).contains(number))
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
    fn urls_as_libraries_write_them() {
        let address = of("redis://cache.example").unwrap();
        assert_eq!((address.shown(), address.password), ("redis://cache.example:6379/0".into(), None));
        let address = of("rediss://:p%40ss@cache.example:7000/2?ssl_cert_reqs=none").unwrap();
        assert_eq!(address.shown(), "rediss://cache.example:7000/2");
        assert_eq!((address.tls, address.password.as_deref()), (Some(Trust::Anybody), Some("p@ss")));
        assert_eq!(of("redis://[::1]/?db=3").unwrap().shown(), "redis://[::1]:6379/3");
        assert!(of("redis://x/queue").is_err());
        let said = of("redis://:pw-EXAMPLE-5678@x/?sl_cert_reqs=none").err().unwrap();
        assert!(said.contains("sl_cert_reqs") && !said.contains("pw-EXAMPLE"), "{said}");
    }
}
