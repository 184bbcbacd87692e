//! [`Options`]: where the server listens, who may read and who may change, and the rules among those settings.

use std::net::{IpAddr, SocketAddr};

use autoscalebot_core::Secret;

use crate::tls::Tls;

/// The fewest characters of a token: fewer can be guessed.
pub const TOKEN_MIN: usize = 16;

/// What the server is told by the settings.
#[derive(Debug, Clone)]
pub struct Options {
    /// The address.
    pub listen: SocketAddr,
    /// Who has this may read and change.
    pub token: Option<Secret>,
    /// Who has this may read.
    pub read_token: Option<Secret>,
    /// The path under which a proxy shows the server: empty, or such as `/autoscalebot`.
    pub path_prefix: String,
    /// Where it takes HTTPS, too.
    pub tls: Option<Tls>,
}

/// Why the server would not be safe, or could not work, with these options.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unsafe {
    /// Other machines reach it, and nobody would be asked for a token.
    #[error(
        "{0} can be reached from other machines, and no token is set: set server.token = {{ env = \"NAME\" }} (reads and \
         changes) or server.read_token (reads), or listen on 127.0.0.1"
    )]
    Open(SocketAddr),
    /// A token that can be guessed.
    #[error("server.{0} is shorter than {TOKEN_MIN} characters: make one with `openssl rand -hex 32`")]
    Short(&'static str),
    /// Two rights under one token would be one right.
    #[error("server.token and server.read_token are the same: who may only read could change; make them differ")]
    Same,
}

impl Options {
    /// Options without a token; safe on a loopback address alone.
    pub fn local(listen: SocketAddr) -> Self {
        Self { listen, token: None, read_token: None, path_prefix: String::new(), tls: None }
    }

    /// Whether these options are safe.
    pub fn check(&self) -> Result<(), Unsafe> {
        for (name, token) in [("token", &self.token), ("read_token", &self.read_token)] {
            if token.as_ref().is_some_and(|token| token.expose().len() < TOKEN_MIN) {
                return Err(Unsafe::Short(name));
            }
        }
        if self.token.is_some() && self.token == self.read_token {
            return Err(Unsafe::Same);
        }
        let addresses = [Some(self.listen), self.tls.as_ref().map(|tls| tls.listen)];
        let open = addresses.into_iter().flatten().find(|listen| !is_loopback(listen.ip()));
        match (open, &self.token, &self.read_token) {
            (Some(listen), None, None) => Err(Unsafe::Open(listen)),
            _ => Ok(()),
        }
    }
}

/// Whether only this machine reaches the address. An IPv4 address inside IPv6 counts as the former.
pub(crate) fn is_loopback(ip: IpAddr) -> bool {
    ip.to_canonical().is_loopback()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(listen: &str, token: Option<&str>, read_token: Option<&str>) -> Options {
        Options {
            listen: listen.parse().unwrap(),
            token: token.map(Secret::new),
            read_token: read_token.map(Secret::new),
            path_prefix: String::new(),
            tls: None,
        }
    }

    #[test]
    fn listening_elsewhere_demands_a_token() {
        let long = Some("0123456789abcdef");
        for (listen, token, read_token, safe) in [
            ("127.0.0.1:1", None, None, true),
            ("127.9.0.1:1", None, None, true),
            ("[::1]:1", None, None, true),
            ("[::ffff:127.0.0.1]:1", None, None, true),
            ("0.0.0.0:1", None, None, false),
            ("[::]:1", None, None, false),
            ("192.168.1.4:1", None, None, false),
            ("0.0.0.0:1", long, None, true),
            ("0.0.0.0:1", None, long, true),
            ("0.0.0.0:1", long, long, false),
            ("127.0.0.1:1", Some("short"), None, false),
        ] {
            let checked = options(listen, token, read_token).check();
            assert_eq!(checked.is_ok(), safe, "{listen} {token:?} {read_token:?}: {checked:?}");
        }
        let said = options("0.0.0.0:80", None, None).check().unwrap_err().to_string();
        assert!(said.contains("0.0.0.0:80") && said.contains("server.token"), "{said}");
    }
}
