//! A request to a door, as far as it is judged without looking at the login. Pure: fuzzed as it stands.

use std::time::Duration;

use http::{HeaderMap, HeaderName, StatusCode, Uri, header};
use keyfob::{Error, ErrorId};

use crate::wire::{self, Question};

/// What tells of a proxy or a page between us and who asks: none has any business here.
const OF_STRANGERS: [HeaderName; 8] = [
    header::FORWARDED,
    header::ORIGIN,
    header::REFERER,
    header::VIA,
    HeaderName::from_static("sec-fetch-site"),
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-forwarded-proto"),
];

/// A request that is not answered with what it asks for.
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) error: Error,
}

impl From<Error> for Refusal {
    /// The status follows from the kind of failure, which is what decides the exit code of the command.
    fn from(error: Error) -> Self {
        let status = match error.exit_code() {
            2 => StatusCode::BAD_REQUEST,
            4 => StatusCode::UNAUTHORIZED,
            5 if error.id() == ErrorId::AgentRefused => StatusCode::FORBIDDEN,
            5 => StatusCode::BAD_GATEWAY,
            6 => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self { status, error }
    }
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, what: &str, why: impl Into<String>) -> Self {
        Self { status, error: Error::new(ErrorId::Usage, what, why) }
    }
}

/// What has to be right whatever is asked. A program that was talked into fetching an address of somebody's choice
/// (a page, a proxy, a service that loads pictures) gets no further.
pub(crate) fn check_head(uri: &Uri, headers: &HeaderMap) -> Result<(), Refusal> {
    let bad = |what: &str, why: &str| Err(Refusal::new(StatusCode::BAD_REQUEST, what, why));
    let only = |name: &HeaderName| {
        let mut values = headers.get_all(name).iter();
        values.next().filter(|_| values.next().is_none()).and_then(|value| value.to_str().ok())
    };
    if only(&wire::MARK) != Some(wire::VERSION) {
        return bad("the request has no header `Keyfob: 1`", "each request names the version that it speaks");
    }
    if only(&header::HOST) != Some(wire::HOST) {
        return bad("the request is for another host", "this one is http://keyfob/");
    }
    if uri.authority().is_some() || uri.query().is_some() {
        return bad("the address is not one of the agent's", "it is a path alone, without a query");
    }
    match OF_STRANGERS.iter().find(|name| headers.contains_key(*name)) {
        Some(name) => bad(&format!("the request has a header `{name}`"), "no proxy and no page may ask"),
        None => Ok(()),
    }
}

/// What is asked: an object in JSON, or nothing.
pub(crate) fn question(octets: &[u8]) -> Result<Question, Refusal> {
    let bad = |why: &str| Refusal::new(StatusCode::BAD_REQUEST, "the question is malformed", why);
    if octets.is_empty() {
        return Ok(Question::default());
    }
    // The reader would take a list for an object without names.
    if octets.trim_ascii_start().first() != Some(&b'{') {
        return Err(bad("it is not one object in JSON"));
    }
    serde_json::from_slice(octets).map_err(|error| bad(told(&error)))
}

/// Why a question is malformed, without the text of it.
fn told(error: &serde_json::Error) -> &'static str {
    use serde_json::error::Category;
    match error.classify() {
        Category::Data if error.to_string().starts_with("unknown field") => {
            "it has a member that this version does not know"
        }
        Category::Data => "a member of it is of the wrong type",
        _ => "it is not one object in JSON",
    }
}

/// The state of the login that a token was rejected in.
pub(crate) fn rejected(handle: &str) -> Result<keyfob::Generation, Refusal> {
    let malformed =
        |why: &str| Refusal::new(StatusCode::BAD_REQUEST, "`rejected` is malformed", format!("it {why}"));
    handle.parse().map_err(malformed)
}

/// How long the asker waits: RFC 7240 §4.3, and a preference that is malformed is none (§2).
pub(crate) fn patience(headers: &HeaderMap) -> Duration {
    let values = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
    let mut preferences = values.flat_map(|value| value.split([',', ';'])).map(str::trim);
    let wait = preferences.find_map(|preference| preference.strip_prefix("wait=")?.parse().ok());
    wait.map_or(wire::ANSWERING, Duration::from_secs).min(wire::LONGEST_WAIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(HeaderName::from_static(name), http::HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn a_request_names_version_and_host_and_comes_from_no_proxy() {
        let right = [("keyfob", "1"), ("host", "keyfob")];
        let is_refused = |uri: &str, lines: &[(&'static str, &'static str)]| {
            check_head(&uri.parse().unwrap(), &head(lines)).is_err()
        };
        assert!(!is_refused("/v1/token", &right));
        for wrong in [
            &[("host", "keyfob")][..],
            &[("keyfob", "2"), ("host", "keyfob")],
            &[("keyfob", "1"), ("keyfob", "1"), ("host", "keyfob")],
            &[("keyfob", "1")],
            &[("keyfob", "1"), ("host", "localhost")],
            &[("keyfob", "1"), ("host", "keyfob"), ("host", "keyfob")],
            &[("keyfob", "1"), ("host", "keyfob"), ("origin", "null")],
            &[("keyfob", "1"), ("host", "keyfob"), ("x-forwarded-for", "10.0.0.1")],
            &[("keyfob", "1"), ("host", "keyfob"), ("via", "1.1 proxy")],
        ] {
            assert!(is_refused("/v1/token", wrong), "{wrong:?}");
        }
        assert!(is_refused("http://keyfob/v1/token", &right) && is_refused("/v1/token?x", &right));
    }

    #[test]
    fn how_long_somebody_waits_is_bounded() {
        let wait = |lines: &[(&'static str, &'static str)]| patience(&head(lines)).as_secs();
        assert_eq!(wait(&[]), 10);
        assert_eq!(wait(&[("prefer", "respond-async, wait=3")]), 3);
        assert_eq!(wait(&[("prefer", "wait=3600")]), 60);
        assert_eq!(wait(&[("prefer", "wait=-1")]), 10);
        assert_eq!(wait(&[("prefer", "wait=0")]), 0);
    }

    #[test]
    fn the_status_follows_from_the_exit_code() {
        let status = |id| Refusal::from(Error::new(id, "", "")).status.as_u16();
        assert_eq!(status(ErrorId::Usage), 400);
        assert_eq!(status(ErrorId::LoginRefused), 401);
        assert_eq!(status(ErrorId::AgentRefused), 403);
        assert_eq!(status(ErrorId::ProviderRefused), 502);
        assert_eq!(status(ErrorId::CoolingDown), 503);
        assert_eq!(status(ErrorId::StoreFailed), 500);
        assert_eq!(status(ErrorId::ConfigMalformed), 500);
    }
}
