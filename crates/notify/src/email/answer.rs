//! What a mail server's answer means: whether a mail may go later, or which setting is wrong.
//!
//! A reply code says what was refused, not at which command: 535 and its kin are about the login, 550 and its kin about an
//! address ([RFC 5321, 4.2](https://www.rfc-editor.org/rfc/rfc5321#section-4.2),
//! [RFC 4954, 6](https://www.rfc-editor.org/rfc/rfc4954#section-6)).

use std::error::Error;
use std::io;

use autoscalebot_core::Secret;
use lettre::transport::smtp;

use crate::{NotifyError, one_line};

/// The longest text of a mail server that is passed on.
const LONGEST: usize = 200;

/// What this error of this server means. The password is taken out of whatever the server says.
pub(super) fn meaning(server: &str, error: &smtp::Error, password: Option<&Secret>) -> NotifyError {
    let said = shown(error, password);
    if let Some(tls) = cause::<rustls::Error>(error) {
        let tls = one_line(&tls.to_string());
        return NotifyError::Refused(format!("{server} cannot be trusted ({tls}): correct host or security"));
    }
    if error.is_permanent() {
        let code: u16 = error.status().map_or(0, |code| code.into());
        return NotifyError::Refused(match code {
            530 | 534 | 535 | 538 => {
                format!("{server} refuses the login ({said}): correct username and password, or security")
            }
            550 | 551 | 553 | 556 => format!("{server} refuses an address ({said}): correct from or to"),
            _ => format!("{server} refuses the mail ({said})"),
        });
    }
    if error.is_client() {
        return NotifyError::Refused(if said.contains("STARTTLS") {
            format!("{server} offers no STARTTLS: set security to \"tls\", with its port, or to \"none\"")
        } else if said.contains("authentication") {
            format!("{server} offers no login of a kind known here: remove username, or correct port or security")
        } else {
            format!("{server} cannot be told ({said})")
        });
    }
    match cause::<io::Error>(error).map(io::Error::kind) {
        Some(io::ErrorKind::ConnectionRefused) => {
            NotifyError::retry(format!("{server} refuses connections: nothing listens there; see host and port"))
        }
        Some(io::ErrorKind::TimedOut) => NotifyError::retry(format!("{server} does not answer in time")),
        _ => NotifyError::retry(format!("{server}: {said}")),
    }
}

/// The first cause of this type. An [`io::Error`] leaves out the error it wraps, and gives that one's cause instead.
fn cause<E: Error + 'static>(error: &smtp::Error) -> Option<&E> {
    let mut next = error.source();
    while let Some(at) = next {
        if let Some(found) = at.downcast_ref::<E>() {
            return Some(found);
        }
        next = match at.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(wrapped) => Some(wrapped),
            None => at.source(),
        };
    }
    None
}

/// The error on one line, not long, and without the password, should the server repeat it.
fn shown(error: &smtp::Error, password: Option<&Secret>) -> String {
    let mut text = error.to_string();
    if let Some(password) = password.filter(|password| !password.expose().is_empty()) {
        text = text.replace(password.expose(), "***");
    }
    one_line(&text).chars().take(LONGEST).collect()
}
