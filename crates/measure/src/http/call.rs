//! A request that a measurement makes again and again: its address, headers and login from the settings, and the body of the
//! answer, read up to a limit.

use autoscalebot_core::Failure;
use autoscalebot_core::fields::{FieldError, Values};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING};
use reqwest::{Client, Method, Request, StatusCode};

/// The most of an answer that is read: no metrics server needs more for one number.
pub(crate) const LARGEST: usize = 1024 * 1024;

/// The headers of the field `headers`.
pub(crate) fn headers(values: &Values) -> Result<HeaderMap, FieldError> {
    let mut headers = HeaderMap::new();
    for (name, value) in values.text_table("headers").into_iter().flatten() {
        let parsed = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| FieldError::new("headers", format!("{name:?} is not a header's name: correct it")))?;
        if parsed == CONTENT_LENGTH || parsed == TRANSFER_ENCODING {
            return Err(FieldError::new("headers", format!("{name} cannot be set: the request has no body")));
        }
        let mut value = HeaderValue::from_str(value.expose()).map_err(|_| {
            FieldError::new("headers", format!("the value of {name} cannot be sent: remove line breaks"))
        })?;
        value.set_sensitive(true);
        if headers.insert(parsed, value).is_some() {
            return Err(FieldError::new("headers", format!("{name} is set twice, as case does not count: keep one")));
        }
    }
    Ok(headers)
}

/// A user name, and maybe a password.
pub(crate) type Login = Option<(String, Option<String>)>;

/// The login of the fields `username` and `password`; `None` also where the URL holds it.
pub(crate) fn login(values: &Values, url: &url::Url, headers: &HeaderMap) -> Result<Login, FieldError> {
    let login = match (values.text("username"), values.secret("password")) {
        (None, None) => None,
        (None, Some(_)) => return Err(FieldError::new("username", "is needed with a password: set it")),
        (Some(user), _) if user.contains(':') => {
            return Err(FieldError::new("username", "cannot contain a colon in basic authentication"));
        }
        (Some(user), password) => Some((user.to_owned(), password.map(|password| password.expose().to_owned()))),
    };
    let in_url = !url.username().is_empty() || url.password().is_some();
    if in_url && login.is_some() {
        return Err(FieldError::new("username", "is also in the url: keep one of them"));
    }
    if (in_url || login.is_some()) && headers.contains_key(AUTHORIZATION) {
        return Err(FieldError::new("headers", "holds Authorization beside a user name: keep one of them"));
    }
    Ok(login)
}

/// A GET for JSON, with the headers, the login and the bearer token (the field `token`) of the settings.
pub(crate) fn get(values: &Values, url: url::Url) -> Result<Call, FieldError> {
    let mut headers = headers(values)?;
    let login = login(values, &url, &headers)?;
    if let Some(token) = values.secret("token") {
        if headers.contains_key(AUTHORIZATION) || login.is_some() || !url.username().is_empty() {
            return Err(FieldError::new("token", "stands beside another login: keep one of them"));
        }
        let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose()))
            .map_err(|_| FieldError::new("token", "cannot be sent in a header: correct it"))?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    headers.entry(ACCEPT).or_insert(HeaderValue::from_static("application/json"));
    let client = super::client(url.scheme() == "https", true).map_err(|message| FieldError::new("url", message))?;
    let mut request = client.request(Method::GET, url).headers(headers);
    if let Some((user, password)) = login {
        request = request.basic_auth(user, password);
    }
    // The client's own error holds the URL, which may hold a token.
    let request = request.build().map_err(|_| FieldError::new("url", "cannot be requested: correct it"))?;
    Ok(Call { client, request })
}

/// A request without a body, made as often as wanted. It has no `Debug`, as headers and URL may hold secrets.
pub(crate) struct Call {
    client: Client,
    request: Request,
}

impl Call {
    /// Makes the request: the status and the body of the answer. A kept connection that the server was just closing is
    /// tried once more.
    pub(crate) async fn fetch(&self) -> Result<(StatusCode, Vec<u8>), Failure> {
        match self.once().await {
            Err(Failure::Closed) => self.once().await,
            result => result,
        }
    }

    async fn once(&self) -> Result<(StatusCode, Vec<u8>), Failure> {
        // A request without a body is always copied; there is no other.
        let request = self.request.try_clone().ok_or(Failure::Missing)?;
        let mut response = self.client.execute(request).await.map_err(|error| super::failure(&error))?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(|error| super::failure(&error))? {
            if body.len() + piece.len() > LARGEST {
                return Err(Failure::Other(format!("the answer is longer than {LARGEST} bytes").into()));
            }
            body.extend_from_slice(&piece);
        }
        Ok((status, body))
    }

    /// The URL without what may be secret, for `Debug`.
    pub(crate) fn shown(&self) -> String {
        let mut url = self.request.url().clone();
        url.set_query(None);
        url.set_fragment(None);
        autoscalebot_core::masked_url(&url)
    }
}

/// The document of an answer: JSON with a good status.
pub(crate) fn document((status, body): (StatusCode, Vec<u8>)) -> Result<serde_json::Value, Failure> {
    if !status.is_success() {
        return Err(Failure::Status(status.as_u16()));
    }
    if body.trim_ascii().is_empty() {
        return Err(Failure::Empty);
    }
    serde_json::from_slice(&body).map_err(|error| {
        let what = if error.is_eof() { "the answer's JSON ends too early" } else { "the answer is not JSON" };
        Failure::Other(what.into())
    })
}
