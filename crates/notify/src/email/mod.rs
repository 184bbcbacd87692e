//! `email`: an e-mail over SMTP for each event.
//!
//! What the mail says is in `message`, what a mail server's answers mean in `answer`. A connection is opened for each
//! mail: they are rare, and a kept connection would be closed by the server in between.

mod answer;
mod message;

use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use autoscalebot_core::fields::{Description, Field, FieldError, FieldType, NotifyKind, Values};
use autoscalebot_core::{Event, Secret};
use lettre::message::Mailbox;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};

use crate::{Notify, NotifyEntry, NotifyError};

/// The entry in the list of channels.
pub const ENTRY: NotifyEntry = NotifyEntry {
    kind: NotifyKind {
        description: Description {
            name: "email",
            doc: "An e-mail over SMTP for each event.",
            fields: FIELDS,
            shorthand: &[],
        },
        check: |values| Email::new(values).map(|_| ()),
    },
    build: |values| {
        let email = Email::new(values)?;
        if email.login.is_some() && email.security == Security::None && !is_local(&email.host) {
            tracing::warn!(host = %email.host, "the mail password goes over the network unencrypted: set security");
        }
        Ok(Arc::new(email))
    },
};

const FIELDS: &[Field] = &[
    Field::required("host", FieldType::Text, "The mail server's name or address.", "\"smtp.example.com\""),
    Field::optional(
        "port",
        FieldType::Whole(1, 65_535),
        "The mail server's port; 587 for `starttls`, 465 for `tls` and 25 for `none` unless set.",
        "587",
    ),
    Field::defaulting(
        "security",
        FieldType::OneOf(&["none", "starttls", "tls"]),
        "\"starttls\"",
        "How the connection is encrypted: from its start (`tls`), by the command STARTTLS, or not at all.",
    ),
    Field::optional("username", FieldType::Text, "The user name, where the mail server wants one.", "\"autoscalebot\""),
    Field::optional("password", FieldType::Secret, "The password of that user.", "{ env = \"SMTP_PASSWORD\" }"),
    Field::required("from", FieldType::Text, "The sender.", "\"autoscalebot <autoscalebot@example.com>\""),
    Field::required("to", FieldType::Texts, "The recipients.", "[\"ops@example.com\"]"),
];

/// The longest that a mail may take, from the connection to the server's last answer.
const LIMIT: Duration = Duration::from_secs(20);

type Transport = AsyncSmtpTransport<Tokio1Executor>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Security {
    None,
    Starttls,
    Tls,
}

/// Sends mails.
pub struct Email {
    host: String,
    port: u16,
    security: Security,
    login: Option<(String, Secret)>,
    from: Mailbox,
    to: Vec<Mailbox>,
    limit: Duration,
    /// Certificates trusted beside the system's.
    trusted: Vec<Certificate>,
    /// Made with the first mail, as it reads the trusted certificates of the system.
    transport: OnceLock<Transport>,
}

impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Email")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("security", &self.security)
            .field("login", &self.login)
            .field("to", &self.to.len())
            .finish_non_exhaustive()
    }
}

impl Email {
    fn new(values: &Values) -> Result<Self, FieldError> {
        let host = values.text("host").unwrap_or_default().to_owned();
        if !is_host(&host) {
            return Err(FieldError::new("host", "is a host name or an address alone: the port has its own setting"));
        }
        let security = match values.text("security") {
            Some("none") => Security::None,
            Some("tls") => Security::Tls,
            _ => Security::Starttls,
        };
        let usual = match security {
            Security::None => 25,
            Security::Starttls => 587,
            Security::Tls => 465,
        };
        let login = match (values.text("username"), values.secret("password")) {
            (None, None) => None,
            (Some(username), Some(password)) => Some((username.to_owned(), password.clone())),
            (Some(_), None) => return Err(FieldError::new("password", "is needed with a user name: set it")),
            (None, Some(_)) => return Err(FieldError::new("username", "is needed with a password: set it")),
        };
        let from = mailbox("from", values.text("from").unwrap_or_default())?;
        let to: Vec<_> = values.texts("to").iter().map(|to| mailbox("to", to)).collect::<Result<_, _>>()?;
        if to.is_empty() {
            return Err(FieldError::new("to", "is empty: name at least one recipient"));
        }
        Ok(Self {
            host,
            port: values.whole("port").and_then(|port| u16::try_from(port).ok()).unwrap_or(usual),
            security,
            login,
            from,
            to,
            limit: LIMIT,
            trusted: Vec::new(),
            transport: OnceLock::new(),
        })
    }

    fn transport(&self) -> Result<&Transport, NotifyError> {
        if let Some(transport) = self.transport.get() {
            return Ok(transport);
        }
        let made = self.connect().map_err(|error| self.meaning(&error))?;
        Ok(self.transport.get_or_init(|| made))
    }

    fn connect(&self) -> Result<Transport, lettre::transport::smtp::Error> {
        let tls = || {
            let mut parameters = TlsParameters::builder(self.host.clone());
            for certificate in &self.trusted {
                parameters = parameters.add_root_certificate(certificate.clone());
            }
            parameters.build_rustls()
        };
        let mut builder = Transport::builder_dangerous(&self.host).port(self.port).timeout(Some(self.limit)).tls(
            match self.security {
                Security::None => Tls::None,
                Security::Starttls => Tls::Required(tls()?),
                Security::Tls => Tls::Wrapper(tls()?),
            },
        );
        if let Some((username, password)) = &self.login {
            builder = builder.credentials(Credentials::new(username.clone(), password.expose().to_owned()));
        }
        Ok(builder.build())
    }

    /// Waits for the mail server, with the limit.
    async fn within<T>(
        &self,
        work: impl Future<Output = Result<T, lettre::transport::smtp::Error>>,
    ) -> Result<T, NotifyError> {
        match tokio::time::timeout(self.limit, work).await {
            Ok(result) => result.map_err(|error| self.meaning(&error)),
            Err(_) => Err(NotifyError::retry(format!("{} did not finish within {:?}", self.server(), self.limit))),
        }
    }

    fn meaning(&self, error: &lettre::transport::smtp::Error) -> NotifyError {
        answer::meaning(&self.server(), error, self.login.as_ref().map(|(_, password)| password))
    }

    fn server(&self) -> String {
        format!("the mail server {}:{}", self.host, self.port)
    }
}

#[async_trait]
impl Notify for Email {
    async fn send(&self, event: &Event) -> Result<(), NotifyError> {
        let mail = message::compose(event, &self.from, &self.to)
            .map_err(|error| NotifyError::Refused(format!("the mail cannot be written: {error}")))?;
        let transport = self.transport()?;
        self.within(transport.send(mail)).await.map(|_| ())
    }

    async fn probe(&self) -> Result<String, NotifyError> {
        let transport = self.transport()?;
        if !self.within(transport.test_connection()).await? {
            return Err(NotifyError::retry(format!("{} closes connections", self.server())));
        }
        let login = self.login.as_ref().map(|(username, _)| format!(" and lets {username} in")).unwrap_or_default();
        Ok(format!("{} answers{login}", self.server()))
    }
}

fn mailbox(field: &'static str, text: &str) -> Result<Mailbox, FieldError> {
    text.parse().map_err(|_| {
        FieldError::new(
            field,
            format!("{text:?} is no mail address: write \"ops@example.com\" or \"Ops <ops@example.com>\""),
        )
    })
}

fn is_host(host: &str) -> bool {
    let name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    host.parse::<IpAddr>().is_ok() || (!host.is_empty() && host.chars().all(name))
}

fn is_local(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests;
