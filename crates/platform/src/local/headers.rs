//! The headers that a proxy changes on the way to the dyno and back, as Heroku's router does
//! (<https://devcenter.heroku.com/articles/http-routing#heroku-headers>); all others pass as they are.

use std::net::SocketAddr;

use hyper::Uri;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const REQUEST_START: HeaderName = HeaderName::from_static("x-request-start");

/// Meant for the next hop only (RFC 9110 section 7.6.1, with the older names still seen).
const HOP_BY_HOP: [HeaderName; 8] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Removes what is meant for this hop only, and what `Connection` names. The protocol to upgrade to is kept where both say so.
pub(crate) fn strip_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    let upgrade = if named.contains(&header::UPGRADE) { headers.get(header::UPGRADE).cloned() } else { None };
    // gRPC asks for trailers in this way and no other.
    let trailers = headers.get_all(header::TE).iter().any(|te| te.as_bytes().eq_ignore_ascii_case(b"trailers"));
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
    if let Some(protocol) = upgrade {
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(header::UPGRADE, protocol);
    }
    if trailers {
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
    }
}

/// What the line of a request needs to know of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) host: String,
    pub(crate) request_id: String,
    pub(crate) fwd: String,
}

/// Makes the headers of a request as a dyno gets them. `uri` is as the client sent it: with HTTP/2 and with absolute forms
/// the host stands there.
pub(crate) fn to_dyno(headers: &mut HeaderMap, uri: &Uri, client: SocketAddr, port: u16) -> Named {
    strip_hop_by_hop(headers);
    // This proxy answers "100 Continue" itself as soon as the dyno takes the body.
    headers.remove(header::EXPECT);
    if let Some(host) = uri.authority().and_then(|authority| HeaderValue::from_str(authority.as_str()).ok()) {
        headers.insert(header::HOST, host);
    }
    let host = headers.get(header::HOST).map(|host| String::from_utf8_lossy(host.as_bytes()).into_owned());

    let address = client.ip().to_canonical().to_string();
    let earlier = headers.get_all(FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok());
    let fwd = earlier.chain([address.as_str()]).collect::<Vec<_>>().join(", ");
    set(headers, FORWARDED_FOR, &fwd);
    set(headers, FORWARDED_PROTO, "http");
    set(headers, FORWARDED_PORT, &port.to_string());
    set(headers, REQUEST_START, &Timestamp::now().as_millisecond().to_string());

    let given = headers.get(REQUEST_ID).and_then(|id| id.to_str().ok()).filter(|id| is_sane(id)).map(str::to_owned);
    let request_id = given.unwrap_or_else(random_id);
    set(headers, REQUEST_ID, &request_id);
    Named { host: host.unwrap_or_default(), request_id, fwd }
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// Heroku's rule for keeping a client's id.
fn is_sane(id: &str) -> bool {
    (20..=200).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/=-_".contains(&byte))
}

/// A version 4 UUID. It tells requests apart and guards nothing, so a fast generator does.
fn random_id() -> String {
    let bits = (fastrand::u128(..) & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{bits:032x}");
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    format!("{}-{}-{}-{}-{}", part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    fn sent(pairs: &[(&'static str, &'static str)], uri: &'static str) -> (HeaderMap, Named) {
        let mut headers = headers(pairs);
        let client = SocketAddr::from(([203, 0, 113, 7], 4000));
        let named = to_dyno(&mut headers, &Uri::from_static(uri), client, 5000);
        (headers, named)
    }

    #[test]
    fn hop_by_hop_headers_stay_here() {
        let mut headers = headers(&[
            ("connection", "keep-alive, X-Private"),
            ("keep-alive", "timeout=5"),
            ("x-private", "1"),
            ("te", "gzip"),
            ("upgrade", "h2c"),
            ("transfer-encoding", "chunked"),
            ("proxy-authorization", "Basic x"),
            ("accept", "*/*"),
        ]);
        strip_hop_by_hop(&mut headers);
        assert_eq!(headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["accept"]);
    }

    #[test]
    fn an_upgrade_passes() {
        let mut headers =
            headers(&[("connection", "Keep-Alive, Upgrade"), ("upgrade", "websocket"), ("te", "trailers")]);
        strip_hop_by_hop(&mut headers);
        assert_eq!(headers["connection"], "upgrade");
        assert_eq!(headers["upgrade"], "websocket");
        assert_eq!(headers["te"], "trailers");
    }

    #[test]
    fn the_headers_that_heroku_adds() {
        let (headers, named) = sent(&[("host", "shop.example"), ("x-forwarded-for", "198.51.100.1")], "/x");
        assert_eq!(headers["host"], "shop.example");
        assert_eq!(headers["x-forwarded-for"], "198.51.100.1, 203.0.113.7");
        assert_eq!(headers["x-forwarded-proto"], "http");
        assert_eq!(headers["x-forwarded-port"], "5000");
        assert_eq!(headers["x-request-id"], named.request_id.as_str());
        let start: i64 = headers["x-request-start"].to_str().unwrap().parse().unwrap();
        assert!((Timestamp::now().as_millisecond() - start).abs() < 5_000);
        assert_eq!((named.host.as_str(), named.fwd.as_str()), ("shop.example", "198.51.100.1, 203.0.113.7"));
    }

    #[test]
    fn a_host_in_the_target_holds() {
        let (headers, _) = sent(&[("host", "other")], "http://shop.example:5000/x");
        assert_eq!(headers["host"], "shop.example:5000");
    }

    #[test]
    fn only_a_sane_id_is_kept() {
        let sane = "0123456789abcdef-0123";
        assert_eq!(sent(&[("x-request-id", sane)], "/").1.request_id, sane);
        for bad in ["short", "0123456789abcdef 0123 with=blanks"] {
            let id = sent(&[("x-request-id", bad)], "/").1.request_id;
            assert_eq!((id.len(), id.get(14..15)), (36, Some("4")), "{id}");
            assert!(id.get(19..20).is_some_and(|letter| "89ab".contains(letter)), "{id}");
        }
    }
}
