//! One HTTP exchange with the Platform API: what is sent with every call, and what is kept of an answer. What an answer
//! means is `answer.rs`; whether a call may be sent at all is `account.rs`; time budgets are set by the callers.
//!
//! Headers of every call: <https://devcenter.heroku.com/articles/platform-api-reference#clients>. Lists come in pages, as
//! status 206 with `Next-Range`, which is sent back as `Range`:
//! <https://devcenter.heroku.com/articles/platform-api-reference#ranges>.

use std::error::Error;
use std::net::IpAddr;
use std::sync::Arc;

use autoscalebot_core::Secret;
use autoscalebot_core::fields::FieldError;
use reqwest::header::{self, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, redirect};
use url::{Host, Url};

/// An answer longer than this is not read to its end. A formation of 100 process types is about 40 KiB.
const BODY_MAX: usize = 4 * 1024 * 1024;

/// A call, without what all calls have.
#[derive(Debug, Clone, Default)]
pub(super) struct Call<'a> {
    /// The path, in pieces that are percent-encoded one by one.
    pub(super) path: &'a [&'a str],
    /// Ask only for what differs from this.
    pub(super) etag: Option<&'a str>,
    /// The page to read.
    pub(super) range: Option<&'a str>,
    /// What to write; none: a read.
    pub(super) patch: Option<String>,
}

/// What is kept of an answer.
#[derive(Debug, Clone, Default)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) remaining: Option<u32>,
    pub(super) retry_after: Option<String>,
    pub(super) next_range: Option<String>,
    pub(super) etag: Option<String>,
    /// The host that a redirect points to; it is never followed, as the key would go with it.
    pub(super) redirect_host: Option<String>,
    pub(super) body: Vec<u8>,
}

/// The connection to one Platform API with one key.
#[derive(Debug)]
pub(super) struct Wire {
    client: reqwest::Client,
    base: Url,
    key: Secret,
    /// Marked as sensitive, so that `Debug` hides it.
    bearer: HeaderValue,
}

impl Wire {
    /// One client, whose connections all calls share.
    pub(super) fn new(key: Secret, base: Url) -> Result<Self, FieldError> {
        check_url(&base)?;
        let bearer = bearer(&key)?;
        // Only the first in the program is installed; a second try changes nothing.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("autoscalebot/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none());
        if is_loopback(&base) {
            builder = builder.no_proxy();
        }
        let client = builder
            .build()
            .map_err(|error| FieldError::new("url", format!("no HTTP client: {}", innermost(&error))))?;
        Ok(Self { client, base, key, bearer })
    }

    /// The key, to be taken out of what the platform says.
    pub(super) fn key(&self) -> &Secret {
        &self.key
    }

    /// Sends a call and reads the whole answer. The error is a sentence without URL and key.
    pub(super) async fn send(&self, call: &Call<'_>) -> Result<Answer, String> {
        let method = if call.patch.is_some() { Method::PATCH } else { Method::GET };
        let mut request = self
            .client
            .request(method.clone(), self.url(call.path))
            .header(header::ACCEPT, "application/vnd.heroku+json; version=3")
            .header(header::AUTHORIZATION, self.bearer.clone());
        if let Some(etag) = call.etag {
            request = request.header(header::IF_NONE_MATCH, etag);
        }
        if let Some(range) = call.range {
            request = request.header(header::RANGE, range);
        }
        if let Some(patch) = &call.patch {
            request = request.header(header::CONTENT_TYPE, "application/json").body(patch.clone());
        }
        let mut response = request.send().await.map_err(|error| broken(&error))?;
        let status = response.status().as_u16();
        let headers = response.headers();
        let mut answer = Answer {
            status,
            remaining: text(headers, "ratelimit-remaining").and_then(|left| left.trim().parse().ok()),
            retry_after: text(headers, "retry-after"),
            next_range: text(headers, "next-range"),
            etag: text(headers, "etag"),
            redirect_host: text(headers, "location").map(|to| self.host_of(&to)),
            body: Vec::new(),
        };
        let request_id = text(headers, "request-id").unwrap_or_default().replace(self.key.expose(), "***");
        let path = call.path.join("/");
        if (200..400).contains(&status) {
            tracing::debug!(%method, path, status, request_id, remaining = answer.remaining, "answered");
        } else {
            tracing::warn!(%method, path, status, request_id, remaining = answer.remaining, "refused");
        }
        while let Some(chunk) = response.chunk().await.map_err(|error| broken(&error))? {
            if answer.body.len() + chunk.len() > BODY_MAX {
                return Err(format!("{status} with a body of more than {} MiB", BODY_MAX / (1024 * 1024)));
            }
            answer.body.extend_from_slice(&chunk);
        }
        Ok(answer)
    }

    fn url(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        // Only a URL without a host has no path to extend, and `check_url` refuses those.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }

    fn host_of(&self, location: &str) -> String {
        let url = self.base.join(location).ok();
        let host = url.as_ref().and_then(Url::host_str).unwrap_or("an address that makes no sense");
        // Hosts are in lower case.
        host.replace(&self.key.expose().to_ascii_lowercase(), "***")
    }
}

/// Whether the base URL may carry a key: https, or http to this machine itself.
pub(super) fn check_url(base: &Url) -> Result<(), FieldError> {
    if base.host_str().is_none_or(str::is_empty) {
        return Err(FieldError::new("url", "has no host: write \"https://api.heroku.com\" or leave it out"));
    }
    if !base.username().is_empty() || base.password().is_some() {
        return Err(FieldError::new("url", "holds a user or password: take them out; the key belongs in api_key"));
    }
    if base.query().is_some() || base.fragment().is_some() {
        return Err(FieldError::new("url", "ends in a query or fragment: only scheme, host, port and path are used"));
    }
    match base.scheme() {
        "https" => Ok(()),
        "http" if is_loopback(base) => Ok(()),
        _ => Err(FieldError::new(
            "url",
            "would send the key unencrypted: write https:// (http:// is only for 127.0.0.1, [::1] and localhost)",
        )),
    }
}

/// The header with the key, if it can be one. The message does not show the key.
pub(super) fn bearer(key: &Secret) -> Result<HeaderValue, FieldError> {
    let key = key.expose();
    if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        let message = "is not a key: it is empty or holds spaces, line ends or letters outside ASCII; \
                       copy it again from `heroku authorizations:create`";
        return Err(FieldError::new("api_key", message));
    }
    let mut value = HeaderValue::from_str(&format!("Bearer {key}"))
        .map_err(|_| FieldError::new("api_key", "cannot be sent as a header"))?;
    value.set_sensitive(true);
    Ok(value)
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => IpAddr::V4(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::V6(address).is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

fn text(headers: &HeaderMap, name: &'static str) -> Option<String> {
    headers.get(HeaderName::from_static(name))?.to_str().ok().map(str::to_owned)
}

/// Why there is no whole answer, without the URL that reqwest would put in.
fn broken(error: &reqwest::Error) -> String {
    let what = if error.is_connect() {
        "no connection to the Heroku API"
    } else if error.is_body() || error.is_decode() {
        "the answer broke off"
    } else {
        "the call to the Heroku API broke off"
    };
    format!("{what}: {}", innermost(error))
}

/// The cause at the bottom: the operating system's or TLS's own words.
fn innermost(error: &(dyn Error + 'static)) -> Arc<str> {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    match error.downcast_ref::<reqwest::Error>() {
        Some(_) => "no reason given".into(),
        None => error.to_string().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_goes_unencrypted_only_to_this_machine() {
        for good in [
            "https://api.heroku.com",
            "https://api.heroku.com/",
            "https://proxy.example:8443/heroku",
            "http://127.0.0.1:5000",
            "http://127.9.9.9",
            "http://[::1]:5000",
            "http://localhost:5000",
        ] {
            assert_eq!(check_url(&Url::parse(good).unwrap()), Ok(()), "{good}");
        }
        for bad in [
            "http://api.heroku.com",
            "http://10.0.0.1",
            "http://localhost.example",
            "http://[::2]",
            "http://0.0.0.0",
            "ftp://127.0.0.1",
            "data:text",
            "https://user@api.heroku.com",
            "https://:tok-EXAMPLE-1234@api.heroku.com",
            "https://api.heroku.com/?a=b",
            "https://api.heroku.com/#a",
        ] {
            let error = check_url(&Url::parse(bad).unwrap()).unwrap_err();
            assert_eq!(error.field, "url", "{bad}");
            assert!(!error.message.contains("tok-"), "{error}");
        }
    }

    #[test]
    fn names_are_encoded_into_the_path() {
        let wire = Wire::new(Secret::new("k"), Url::parse("https://proxy.example/base/").unwrap()).unwrap();
        let url = wire.url(&["apps", "a/b?c#d %2F", "formation"]);
        assert_eq!(url.as_str(), "https://proxy.example/base/apps/a%2Fb%3Fc%23d%20%252F/formation");
    }

    #[test]
    fn a_key_that_cannot_be_one_is_refused_without_showing_it() {
        for bad in ["", " ", "tok-EXAMPLE\n1234", "tok-EXAMPLÉ", "Bearer tok-EXAMPLE"] {
            let error = bearer(&Secret::new(bad)).unwrap_err();
            assert_eq!(error.field, "api_key");
            assert!(!error.to_string().contains("tok-"), "{error}");
        }
    }

    #[test]
    fn a34_debug_hides_the_key() {
        let wire = Wire::new(Secret::new("tok-EXAMPLE-1234"), Url::parse("https://api.heroku.com").unwrap()).unwrap();
        assert!(!format!("{wire:?}").contains("tok-EXAMPLE"), "{wire:?}");
    }
}
