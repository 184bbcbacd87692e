//! What an error of the HTTP client means: [`failure`] looks through its chain of causes for the one that says.
//!
//! No text of the client itself is passed on, as it holds the URL, which may hold a password or a token.

use std::error::Error;
use std::io;

use autoscalebot_core::Failure;
use rustls::CertificateError;

use super::names::NoAddress;

/// The longest text of a cause that is passed on.
const LONGEST: usize = 120;

/// Why there is no answer.
pub(crate) fn failure(error: &reqwest::Error) -> Failure {
    if error.is_timeout() {
        return Failure::Timeout;
    }
    let mut innermost: &(dyn Error + 'static) = error;
    let mut next = cause(error);
    while let Some(at) = next {
        if let Some(failure) = known(at) {
            return failure;
        }
        innermost = at;
        next = cause(at);
    }
    if innermost.is::<reqwest::Error>() {
        return Failure::Other("the HTTP request failed".into());
    }
    Failure::Other(short(&innermost.to_string()).into())
}

/// The next cause. An [`io::Error`] leaves out the error it wraps, and gives that one's cause instead.
fn cause<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(wrapped) => Some(wrapped),
        None => error.source(),
    }
}

/// Why a connection that is not HTTP broke, or could not be made.
pub(crate) fn failure_of(error: &io::Error) -> Failure {
    let mut innermost: &(dyn Error + 'static) = error;
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(at) = next {
        if let Some(failure) = known(at) {
            return failure;
        }
        innermost = at;
        next = cause(at);
    }
    Failure::Other(short(&innermost.to_string()).into())
}

fn known(error: &(dyn Error + 'static)) -> Option<Failure> {
    if let Some(no_address) = error.downcast_ref::<NoAddress>() {
        return Some(Failure::Name(short(&no_address.to_string()).into()));
    }
    if let Some(tls) = error.downcast_ref::<rustls::Error>() {
        return Some(Failure::Tls(short(&tls_reason(tls)).into()));
    }
    if let Some(io) = error.downcast_ref::<io::Error>() {
        return match io.kind() {
            io::ErrorKind::ConnectionRefused => Some(Failure::Refused),
            io::ErrorKind::TimedOut => Some(Failure::Timeout),
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::NotConnected
            | io::ErrorKind::UnexpectedEof => Some(Failure::Closed),
            _ => None,
        };
    }
    if let Some(h2) = error.downcast_ref::<h2::Error>() {
        // A stream or a connection that the server gave up; what is wrong on our side is none of these.
        return (h2.is_remote() && (h2.is_reset() || h2.is_go_away())).then_some(Failure::Closed);
    }
    if let Some(http) = error.downcast_ref::<hyper::Error>() {
        if http.is_incomplete_message() || http.is_closed() || http.is_canceled() {
            return Some(Failure::Closed);
        }
        if http.is_parse() {
            return Some(Failure::Other("the answer is not HTTP".into()));
        }
    }
    None
}

fn tls_reason(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidCertificate(certificate) => match certificate {
            CertificateError::UnknownIssuer => {
                "the certificate is from an issuer that this system does not trust".into()
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => "the certificate has expired".into(),
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "the certificate is not valid yet".into()
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "the certificate is for another host name".into()
            }
            other => format!("the certificate is not good: {other}"),
        },
        rustls::Error::InvalidMessage(_) => "the server does not speak TLS there".into(),
        other => other.to_string(),
    }
}

/// On one line, and not long.
fn short(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LONGEST).collect()
}
