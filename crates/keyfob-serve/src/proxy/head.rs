//! The heads of requests and answers: what of them goes on. Pure.
//!
//! What a client sent has come through [`crate::strict`], so its framing is beyond doubt; it is looked at here again, as far as it
//! can be seen, because a request that is forwarded in two ways would be the client's with our credential.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, HeaderValue, Version, header, request::Parts, uri::Authority};

use crate::proxy::refusal::MARK;

/// What belongs to one connection (RFC 9110 §7.6.1), beside what `Connection` names, and what we say ourselves.
const OF_A_CONNECTION: &[&str] =
    &["connection", "content-length", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"];

/// Credentials of the client, by whatever name an API has for them. What it sends is for us, and is not what the target gets.
const CREDENTIALS: &[&str] = &[
    "api-key",
    "authorization",
    "cookie",
    "cookie2",
    "dpop",
    "private-token",
    "x-access-token",
    "x-amz-security-token",
    "x-api-key",
    "x-auth-token",
    "x-goog-api-key",
];

/// What makes another request of a request behind the rules that have let it pass, or says who sent it.
const OVERRIDES: &[&str] = &[
    "forwarded",
    "host",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-forwarded-proto",
    "x-forwarded-scheme",
    "x-forwarded-server",
    "x-forwarded-uri",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-host",
    "x-original-uri",
    "x-original-url",
    "x-real-ip",
    "x-rewrite-url",
];

/// What an answer may not give to the client: sessions (RFC 6265), a proof about the credential (RFC 7615), and another way
/// to the target (RFC 7838) that leads past us.
const SESSIONS: &[&str] = &["alt-svc", "authentication-info", "set-cookie", "set-cookie2"];

/// What a recipient has to know before a body, or what makes of a message another one: it is no trailer (RFC 9110 §6.5.1). A
/// digest is one (RFC 9530 §2).
const NO_TRAILERS: &[&str] = &[
    "accept-encoding",
    "age",
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-location",
    "content-range",
    "content-security-policy",
    "content-type",
    "expect",
    "expires",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "location",
    "max-forwards",
    "pragma",
    "range",
    "retry-after",
    "vary",
    "www-authenticate",
];

/// A request that is not forwarded, and why.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refused(pub(crate) &'static str);

/// What of a request's head goes on.
pub(crate) fn request(parts: &Parts) -> Result<HeaderMap, Refused> {
    let headers = &parts.headers;
    check_framing(headers)?;
    check_host(parts)?;
    let takes_trailers = all_of(headers, &header::TE).any(|coding| coding.eq_ignore_ascii_case("trailers"));
    let mut passed = pass(headers, &[CREDENTIALS, OVERRIDES])?;
    if takes_trailers {
        passed.insert(header::TE, HeaderValue::from_static("trailers"));
    }
    Ok(passed)
}

/// Whether the body of an answer is in any coding, so that what is in it cannot be seen.
pub(crate) fn is_coded(headers: &HeaderMap) -> bool {
    let other = |name: &HeaderName, plain: &[u8]| {
        headers.get_all(name).iter().any(|coding| !coding.as_bytes().trim_ascii().eq_ignore_ascii_case(plain))
    };
    other(&header::CONTENT_ENCODING, b"identity") || other(&header::TRANSFER_ENCODING, b"chunked")
}

/// Takes out of a request's trailers what may be none, what its head may not have either, and the headers that are added: who
/// puts trailers among the headers would take the client's word for ours.
pub(crate) fn request_trailers(trailers: &mut HeaderMap, added: &[String]) {
    let kept = |name: &str| !added.iter().any(|own| own.replace('_', "-") == name);
    *trailers = filtered(trailers, &[CREDENTIALS, OVERRIDES, NO_TRAILERS], kept);
}

/// The same for an answer's.
pub(crate) fn response_trailers(trailers: &mut HeaderMap) {
    *trailers = filtered(trailers, &[SESSIONS, NO_TRAILERS], |name| name != MARK.as_str());
}

/// The names of a `Trailer` header that may be those of trailers of a request to which these headers are added.
pub(crate) fn request_trailer_names(headers: &HeaderMap, added: &[String]) -> Option<HeaderValue> {
    names_of(headers, |named| request_trailers(named, added))
}

/// The same for an answer.
pub(crate) fn response_trailer_names(headers: &HeaderMap) -> Option<HeaderValue> {
    names_of(headers, response_trailers)
}

/// What names nothing that may be there is gone, and so is what is no name.
fn names_of(headers: &HeaderMap, keep: impl FnOnce(&mut HeaderMap)) -> Option<HeaderValue> {
    let mut named = HeaderMap::new();
    for name in all_of(headers, &header::TRAILER).filter_map(|name| name.parse::<HeaderName>().ok()) {
        named.insert(name, HeaderValue::from_static(""));
    }
    keep(&mut named);
    let names: Vec<_> = named.keys().map(HeaderName::as_str).collect();
    HeaderValue::from_str(&names.join(", ")).ok().filter(|names| !names.is_empty())
}

/// Takes out of an answer's head what does not go on. Its length stays, unless it was not what ends the body.
pub(crate) fn response(headers: &mut HeaderMap) {
    let is_chunked = headers.contains_key(header::TRANSFER_ENCODING);
    let length = headers.get(header::CONTENT_LENGTH).filter(|_| !is_chunked).cloned();
    // What names headers of this connection in a malformed way names none.
    let Ok(mut passed) = pass(headers, &[SESSIONS]).or_else(|_| {
        headers.remove(header::CONNECTION);
        pass(headers, &[SESSIONS])
    }) else {
        headers.clear();
        return;
    };
    if let Some(length) = length {
        passed.insert(header::CONTENT_LENGTH, length);
    }
    *headers = passed;
}

fn check_framing(headers: &HeaderMap) -> Result<(), Refused> {
    let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    let (length, coding) = (lengths.next(), codings.next());
    if length.is_some() && coding.is_some() {
        return Err(Refused("it has a length and a transfer coding"));
    }
    let is_number = |value: &HeaderValue| {
        (1..=18).contains(&value.len()) && value.as_bytes().iter().all(u8::is_ascii_digit)
    };
    if lengths.next().is_some() || length.is_some_and(|length| !is_number(length)) {
        return Err(Refused("it has two lengths, or one that is no number"));
    }
    if codings.next().is_some()
        || coding.is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"chunked"))
    {
        return Err(Refused("it has a transfer coding other than `chunked`"));
    }
    Ok(())
}

/// RFC 9112 §3.2: one `Host`, which is that of the address if there is one in it. Who reads only one of two different ones
/// sends the request elsewhere than who reads the other.
fn check_host(parts: &Parts) -> Result<(), Refused> {
    let mut hosts = parts.headers.get_all(header::HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (None, _) if parts.version == Version::HTTP_10 => return Ok(()),
        (Some(host), None) => host,
        _ => return Err(Refused("it has no host, or two")),
    };
    let host = host.to_str().ok().filter(|host| !host.contains('@'));
    let host = host.and_then(|host| host.parse::<Authority>().ok()).ok_or(Refused("its host is none"))?;
    match parts.uri.authority() {
        Some(authority) if *authority != host => Err(Refused("its address is for another host than it says")),
        _ => Ok(()),
    }
}

/// Everything but what belongs to the connection and what is in these lists.
fn pass(headers: &HeaderMap, lists: &[&[&str]]) -> Result<HeaderMap, Refused> {
    let mut named = Vec::new();
    for option in all_of(headers, &header::CONNECTION).filter(|option| !option.is_empty()) {
        let name = HeaderName::from_bytes(option.as_bytes());
        let name = name.map_err(|_| Refused("`Connection` names what is no header"))?;
        // What a body is belongs to the body, whoever says otherwise (RFC 9110 §7.6.1).
        if !name.as_str().starts_with("content-") {
            named.push(name);
        }
    }
    let mut passed = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers {
        if !is_dropped(&dashed(name), lists) && !named.contains(name) {
            passed.append(name, value.clone());
        }
    }
    Ok(passed)
}

/// Programs behind a gateway (CGI, WSGI) take `x_api_key` for `x-api-key`.
fn dashed(name: &HeaderName) -> Cow<'_, str> {
    let name = name.as_str();
    if name.contains('_') { name.replace('_', "-").into() } else { name.into() }
}

fn is_dropped(dashed: &str, lists: &[&[&str]]) -> bool {
    dashed.starts_with("proxy-")
        || OF_A_CONNECTION.contains(&dashed)
        || lists.iter().any(|list| list.contains(&dashed))
}

/// Of trailers, all but what is in these lists, and only those.
fn filtered(trailers: &HeaderMap, lists: &[&[&str]], kept: impl Fn(&str) -> bool) -> HeaderMap {
    let mut passed = HeaderMap::new();
    for (name, value) in trailers {
        let dashed = dashed(name);
        if !is_dropped(&dashed, lists) && kept(&dashed) {
            passed.append(name, value.clone());
        }
    }
    passed
}

/// The members of a list (RFC 9110 §5.6.1).
fn all_of<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let lines = headers.get_all(name).into_iter();
    lines
        .flat_map(|line| line.to_str().unwrap_or("\"").split(','))
        .map(|member| member.trim_matches([' ', '\t']))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn head(uri: &str, lines: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder().method("POST").uri(uri);
        for (name, value) in lines {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn names(headers: &HeaderMap) -> Vec<&str> {
        headers.keys().map(HeaderName::as_str).collect()
    }

    #[test]
    fn credentials_and_what_belongs_to_the_connection_stay_here() {
        let mut lines = vec![
            ("host", "api.example.com"),
            ("connection", "close, X-Mine,, Upgrade"),
            ("x-mine", "1"),
            ("content-type", "application/json"),
            ("anthropic-beta", "a"),
            ("anthropic-beta", "b"),
            ("x_api_key", "k"),
            ("proxy-authorization", "Bearer x"),
            ("proxy-anything", "x"),
            ("te", "trailers, deflate"),
        ];
        lines.extend(
            CREDENTIALS.iter().chain(OVERRIDES).filter(|name| **name != "host").map(|name| (*name, "x")),
        );
        lines.extend(
            OF_A_CONNECTION.iter().filter(|name| !name.ends_with("encoding")).map(|name| (*name, "9")),
        );
        let lines: Vec<_> = lines.into_iter().filter(|line| *line != ("te", "9")).collect();
        let passed = request(&head("/v1", &lines)).unwrap();
        assert_eq!(names(&passed), ["content-type", "anthropic-beta", "te"]);
        assert_eq!(passed["te"], "trailers");
        assert_eq!(passed.get_all("anthropic-beta").iter().count(), 2);
    }

    #[test]
    fn two_readings_of_a_head_are_refused() {
        let host = ("host", "a");
        for lines in [
            &[host, ("content-length", "5"), ("transfer-encoding", "chunked")][..],
            &[host, ("content-length", "5"), ("content-length", "5")],
            &[host, ("content-length", "5, 5")],
            &[host, ("content-length", "-5")],
            &[host, ("transfer-encoding", "gzip, chunked")],
            &[host, ("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")],
            &[host, host],
            &[("host", "u@a")],
            &[("host", "a/b")],
            &[("host", "")],
            &[],
            &[host, ("connection", "close, a b")],
            &[host, ("connection", "\u{e9}")],
        ] {
            assert!(request(&head("/v1", lines)).is_err(), "{lines:?}");
        }
        assert!(request(&head("http://b/v1", &[host])).is_err());
        assert!(request(&head("http://A/v1", &[host])).is_ok());
        assert!(request(&head("/v1", &[host, ("transfer-encoding", "Chunked")])).is_ok());
    }

    #[test]
    fn an_answer_gives_no_session_and_keeps_a_length_that_is_true() {
        let answer = |lines: &[(&str, &str)]| {
            let mut headers = head("/", lines).headers;
            response(&mut headers);
            headers
        };
        let passed = answer(&[
            ("set-cookie", "a=b"),
            ("set-cookie", "c=d"),
            ("authentication-info", "x"),
            ("proxy-authenticate", "x"),
            ("alt-svc", "h3=\":443\""),
            ("connection", "keep-alive, x-hop"),
            ("x-hop", "1"),
            ("content-length", "5"),
            ("content-type", "text/plain"),
        ]);
        assert_eq!(names(&passed), ["content-type", "content-length"]);
        let passed = answer(&[("content-length", "5"), ("transfer-encoding", "chunked"), ("date", "x")]);
        assert_eq!(names(&passed), ["date"]);
        let passed = answer(&[("connection", "a b"), ("set-cookie", "x"), ("date", "x")]);
        assert_eq!(names(&passed), ["date"]);
    }
    /// Beside what is dropped of every head.
    #[test]
    fn a_trailer_is_nothing_that_a_head_has_to_say() {
        let added = ["anthropic-version".to_owned(), "x_tenant".to_owned()];
        let trailers = |of: &[&str]| {
            let mut all = HeaderMap::new();
            for name in of {
                all.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_static("1"));
            }
            all
        };
        let in_vain = [CREDENTIALS, OVERRIDES, OF_A_CONNECTION, NO_TRAILERS].concat();
        let in_vain = [&in_vain[..], &["content_length", "x_api_key"]].concat();
        let in_vain = [&in_vain[..], &["proxy-authorization", "anthropic-version", "x-tenant"]].concat();
        let mut of_request = trailers(&[&in_vain[..], &["content-digest"]].concat());
        request_trailers(&mut of_request, &added);
        assert_eq!(names(&of_request), ["content-digest"]);
        let in_vain = [SESSIONS, OF_A_CONNECTION, NO_TRAILERS, &["keyfob-error"]].concat();
        let mut of_answer = trailers(&[&in_vain[..], &["x-sum"]].concat());
        response_trailers(&mut of_answer);
        assert_eq!(names(&of_answer), ["x-sum"]);
    }

    #[test]
    fn no_trailer_is_announced_that_would_be_dropped() {
        let announced = |lines: &[(&str, &str)]| head("/", lines).headers;
        let added = ["x-tenant".to_owned()];
        let headers = announced(&[
            ("trailer", "X-Sum, Authorization,, content-length, X-Tenant"),
            ("trailer", "x-more, a b, Transfer-Encoding, trailer"),
        ]);
        assert_eq!(request_trailer_names(&headers, &added).unwrap(), "x-sum, x-more");
        let headers = announced(&[("trailer", "Set-Cookie, X-Sum, Keyfob-Error, Connection")]);
        assert_eq!(response_trailer_names(&headers).unwrap(), "x-sum");
        assert_eq!(response_trailer_names(&announced(&[("trailer", "set-cookie")])), None);
        assert_eq!(response_trailer_names(&announced(&[])), None);
    }
}
