//! [`Access`]: who may read and who may change. A token comes as `Authorization: Bearer …`, or once by the sign-in form, after
//! which a cookie stands for it. Without any token set, whoever reaches the loopback address may do all.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use autoscalebot_core::Secret;
use axum::http::{HeaderMap, header};
use subtle::ConstantTimeEq;

/// The cookie of a sign-in.
pub(crate) const COOKIE: &str = "autoscalebot_session";
/// How long a sign-in lasts.
pub(crate) const SESSION: Duration = Duration::from_secs(12 * 3600);
/// The most sign-ins at a time; the oldest goes first.
const SESSIONS: usize = 256;
/// Tokens tried by the form in one minute, by everybody together.
const TRIES: u32 = 10;

/// What a request may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Right {
    /// Nothing that needs a right: health, the sign-in form.
    Open,
    /// See everything.
    Read,
    /// Change something, too.
    Change,
}

/// How a request showed its right: what a browser sends by itself proves nothing about who wrote the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Means {
    /// A token in the request itself.
    Bearer,
    /// A cookie, or nothing at all on a loopback address.
    Ambient,
}

/// Tokens and sign-ins.
#[derive(Debug)]
pub(crate) struct Access {
    token: Option<Secret>,
    read_token: Option<Secret>,
    sessions: Mutex<HashMap<String, (Right, Instant)>>,
    tries: Mutex<(Option<Instant>, u32)>,
}

impl Access {
    pub(crate) fn new(token: Option<Secret>, read_token: Option<Secret>) -> Self {
        Self { token, read_token, sessions: Mutex::default(), tries: Mutex::default() }
    }

    /// Whether nobody is asked for anything.
    pub(crate) fn is_open(&self) -> bool {
        self.token.is_none() && self.read_token.is_none()
    }

    /// What the sender of these headers may do.
    pub(crate) fn of(&self, headers: &HeaderMap) -> (Right, Means) {
        if self.is_open() {
            return (Right::Change, Means::Ambient);
        }
        if let Some(given) = bearer(headers) {
            return (self.right_of(given).unwrap_or(Right::Open), Means::Bearer);
        }
        (self.session(headers).unwrap_or(Right::Open), Means::Ambient)
    }

    /// The right of a token; both are compared, each in constant time.
    fn right_of(&self, given: &str) -> Option<Right> {
        let is = |token: &Option<Secret>| {
            token.as_ref().is_some_and(|token| token.expose().as_bytes().ct_eq(given.as_bytes()).into())
        };
        let (change, read) = (is(&self.token), is(&self.read_token));
        match (change, read) {
            (true, _) => Some(Right::Change),
            (_, true) => Some(Right::Read),
            _ => None,
        }
    }

    fn session(&self, headers: &HeaderMap) -> Option<Right> {
        let id = cookie(headers)?;
        let sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.get(id).filter(|(_, since)| since.elapsed() < SESSION).map(|(right, _)| *right)
    }

    /// Whether a token may be tried by the form now.
    pub(crate) fn may_try(&self) -> bool {
        let mut tries = self.tries.lock().unwrap_or_else(PoisonError::into_inner);
        if tries.0.is_none_or(|since| since.elapsed() > Duration::from_secs(60)) {
            *tries = (Some(Instant::now()), 0);
        }
        tries.1 += 1;
        tries.1 <= TRIES
    }

    /// Signs in with a token; the value of the cookie.
    pub(crate) fn sign_in(&self, token: &str) -> Option<String> {
        let right = self.right_of(token)?;
        let mut id = [0_u8; 32];
        getrandom::fill(&mut id).ok()?;
        let id: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.retain(|_, (_, since)| since.elapsed() < SESSION);
        if sessions.len() >= SESSIONS
            && let Some(oldest) = sessions.iter().min_by_key(|(_, (_, since))| *since).map(|(id, _)| id.clone())
        {
            sessions.remove(&oldest);
        }
        sessions.insert(id.clone(), (right, Instant::now()));
        Some(id)
    }

    /// Ends a sign-in.
    pub(crate) fn sign_out(&self, headers: &HeaderMap) {
        if let Some(id) = cookie(headers) {
            self.sessions.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
        }
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn cookie(headers: &HeaderMap) -> Option<&str> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    all.flat_map(|value| value.split(';'))
        .find_map(|pair| pair.trim().split_once('=').filter(|(name, _)| *name == COOKIE))
        .map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::{HeaderName, HeaderValue};

    fn headers(name: HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_str(value).unwrap())])
    }

    #[test]
    fn rights_follow_the_token() {
        let access = Access::new(Some(Secret::new("change-0123456789")), Some(Secret::new("read-0123456789ab")));
        for (value, right) in [
            ("Bearer change-0123456789", Right::Change),
            ("bearer read-0123456789ab", Right::Read),
            ("Bearer change-012345678", Right::Open),
            ("Bearer ", Right::Open),
            ("Basic change-0123456789", Right::Open),
        ] {
            assert_eq!(access.of(&headers(header::AUTHORIZATION, value)).0, right, "{value}");
        }
        assert_eq!(access.of(&HeaderMap::new()), (Right::Open, Means::Ambient));
    }

    #[test]
    fn a_sign_in_lasts_until_it_is_ended() {
        let access = Access::new(Some(Secret::new("change-0123456789")), None);
        assert_eq!(access.sign_in("wrong"), None);
        let id = access.sign_in("change-0123456789").unwrap();
        let with = headers(header::COOKIE, &format!("a=b; {COOKIE}={id}"));
        assert_eq!(access.of(&with), (Right::Change, Means::Ambient));
        access.sign_out(&with);
        assert_eq!(access.of(&with).0, Right::Open);
    }

    #[test]
    fn tries_are_counted() {
        let access = Access::new(Some(Secret::new("change-0123456789")), None);
        assert_eq!((0..20).filter(|_| access.may_try()).count(), 10);
    }

    #[test]
    fn nothing_set_means_all_may_do_all() {
        assert_eq!(Access::new(None, None).of(&HeaderMap::new()), (Right::Change, Means::Ambient));
    }
}
