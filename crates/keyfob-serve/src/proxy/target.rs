//! Where requests may go: one origin, and of its paths those that were allowed. Nothing in here does anything.

use std::str::FromStr;

use http::{Method, Uri, uri::PathAndQuery};
use keyfob::{Error, ErrorId, Result};

use crate::agent::terms::origin;

/// An origin, and the path below which everything is that is asked of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    origin: String,
    /// Without the slash at its end.
    path: String,
}

impl Target {
    /// The target of an address: `https` anywhere, `http` on this machine alone. What is behind the host is the path that
    /// every request begins with.
    ///
    /// # Errors
    /// [`ErrorId::Usage`] for what is no such address.
    pub fn parse(url: &str) -> Result<Self> {
        let malformed = |why: &str| Error::new(ErrorId::Usage, "the address to forward to is malformed", why);
        let origin = origin(url).map_err(|error| malformed(error.why()))?;
        let uri: Uri = url.parse().map_err(|_| malformed("it is no absolute http or https address"))?;
        if uri.query().is_some() || url.contains('#') {
            return Err(malformed("it has a query or a fragment"));
        }
        let path = uri.path().trim_end_matches('/').to_owned();
        if !path.is_empty() {
            check(&path).map_err(malformed)?;
        }
        let target = Self { origin, path };
        if !target.is_tls() && !is_loopback(target.host()) {
            return Err(malformed("http is for this machine alone (localhost, 127.0.0.1, [::1]); use https"));
        }
        Ok(target)
    }

    /// The origin, as the library spells one.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The path that every request begins with: the empty text, or one that begins with a slash and does not end with one.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Whether a path is the target's own, or below it. Rules allow what is within it, and never more.
    pub(crate) fn has(&self, path: &str) -> bool {
        path.strip_prefix(&self.path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    fn authority(&self) -> &str {
        self.origin.split_once("://").map_or("", |(_, authority)| authority)
    }

    pub(crate) fn is_tls(&self) -> bool {
        self.origin.starts_with("https://")
    }

    /// The host, an IPv6 address in its brackets.
    pub(crate) fn host(&self) -> &str {
        let authority = self.authority();
        match authority.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => host,
            _ => authority,
        }
    }

    /// What `Host` says (RFC 9110 §7.2): without the usual port.
    pub(crate) fn host_header(&self) -> &str {
        self.authority()
    }

    /// The address of a request for this path.
    pub(crate) fn address(&self, path: &PathAndQuery) -> Option<Uri> {
        let (scheme, authority) = self.origin.split_once("://")?;
        Uri::builder().scheme(scheme).authority(authority).path_and_query(path.clone()).build().ok()
    }

    /// Whether an absolute address (RFC 9112 §3.2.2) that a client sent to its proxy is one of this target's. Such a
    /// client says `http`, because there is no TLS between it and us.
    pub(crate) fn is_meant_by(&self, uri: &Uri) -> bool {
        uri.scheme_str().is_none_or(|scheme| scheme == "http")
            && uri.authority().is_none_or(|authority| {
                let own = self.authority();
                let named = authority.as_str().to_ascii_lowercase();
                named == own
                    || named.strip_suffix(":80").is_some_and(|host| host == own)
                    || self.is_tls() && named.strip_suffix(":443").is_some_and(|host| host == own)
            })
    }
}

/// Whether a host is this machine's own by its name.
pub(crate) fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// What may be asked: a method, or any, and the beginning of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    method: Option<Method>,
    prefix: String,
}

impl Rule {
    /// Everything below this path.
    pub(crate) fn below(path: &str) -> Self {
        Self { method: None, prefix: format!("{path}/") }
    }

    fn allows(&self, method: &Method, path: &str) -> bool {
        let rest = path.strip_prefix(&self.prefix);
        // On the boundary of a segment: `/v1` has `/v1/x`, and not `/v1x`.
        let fits =
            rest.is_some_and(|rest| rest.is_empty() || self.prefix.ends_with('/') || rest.starts_with('/'));
        fits && self.method.as_ref().is_none_or(|own| own == method)
    }
}

impl FromStr for Rule {
    type Err = &'static str;

    /// `POST /v1/messages`; without a method, any.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (method, prefix) = match text.split_once(' ') {
            Some((method, prefix)) => {
                let method = Method::from_bytes(method.as_bytes()).map_err(|_| "expected METHOD /PATH")?;
                // Methods are case-sensitive (RFC 9110 §9.1), and every registered one is in capitals.
                if method.as_str().bytes().any(|octet| octet.is_ascii_lowercase()) {
                    return Err("a method is written in capitals: `POST /v1/messages`");
                }
                if is_never_forwarded(&method) {
                    return Err("CONNECT, TRACE and OPTIONS are never forwarded");
                }
                (Some(method), prefix.trim_start())
            }
            None => (None, text),
        };
        check(prefix)?;
        if prefix.contains(['?', '#', '*', ' ']) {
            return Err("a path has no query and no wildcard: it stands for what is below it too");
        }
        Ok(Self { method, prefix: prefix.to_owned() })
    }
}

/// RFC 9110 §9.3.8: the answer of a TRACE is the request, credential and all; CONNECT asks for another host; OPTIONS is what
/// a page in a browser asks before it asks what it must not.
fn is_never_forwarded(method: &Method) -> bool {
    [Method::CONNECT, Method::TRACE, Method::OPTIONS].contains(method)
}

/// Refuses what may not be asked. The path is judged as it stands, and whatever a server may read differently is refused.
pub(crate) fn judge(rules: &[Rule], method: &Method, path: &str) -> Result<(), String> {
    if is_never_forwarded(method) {
        return Err(format!("{method} is never forwarded"));
    }
    check(path).map_err(str::to_owned)?;
    if rules.iter().any(|rule| rule.allows(method, path)) {
        return Ok(());
    }
    Err(format!("no rule allows {method} for this path"))
}

/// Refuses a path that two servers could read as two paths.
fn check(path: &str) -> Result<(), &'static str> {
    if !path.starts_with('/') {
        return Err("a path begins with a slash");
    }
    if path.contains("//") {
        return Err("the path has an empty segment (`//`)");
    }
    if path.bytes().any(|octet| octet == b'\\' || !(0x21..0x7f).contains(&octet)) {
        return Err("the path has a backslash, or what is no visible ASCII");
    }
    // What some servers call parameters of a segment does not count (`/..;x/`).
    let mut segments = path.split('/').map(|segment| segment.split(';').next().unwrap_or_default());
    if segments.any(|segment| segment == "." || segment == "..") {
        return Err("the path has a dot segment (`.` or `..`)");
    }
    let encoded = path.split('%').skip(1).map(|rest| rest.as_bytes());
    for octets in encoded {
        let digit = |at: usize| octets.get(at).and_then(|octet| char::from(*octet).to_digit(16));
        let (Some(high), Some(low)) = (digit(0), digit(1)) else {
            return Err("the path has a `%` that encodes nothing");
        };
        match high << 4 | low {
            0x2e | 0x2f | 0x5c => return Err("the path has an encoded dot, slash or backslash"),
            0x3b => return Err("the path has an encoded semicolon"),
            // What some decoders make slashes and dots of.
            0xc0 | 0xc1 | 0xf5..=0xff => return Err("the path has an encoded octet that no UTF-8 has"),
            0x25 => return Err("the path has an encoded `%`: it could be decoded twice"),
            0..0x20 | 0x7f => return Err("the path has an encoded control character"),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_an_origin_and_a_path() {
        let of = |url: &str| {
            let target = Target::parse(url).ok()?;
            Some((target.origin().to_owned(), target.path().to_owned()))
        };
        let is = |origin: &str, path: &str| Some((origin.to_owned(), path.to_owned()));
        assert_eq!(of("https://API.example.com"), is("https://api.example.com", ""));
        assert_eq!(of("https://api.example.com:8443/v1/"), is("https://api.example.com:8443", "/v1"));
        assert_eq!(of("http://127.0.0.1:3000/"), is("http://127.0.0.1:3000", ""));
        assert_eq!(of("http://[::1]:3000/x"), is("http://[::1]:3000", "/x"));
        for wrong in [
            "http://api.example.com",
            "https://api.example.com/?x",
            "https://api.example.com/#x",
            "https://a@api.example.com/",
            "https://api.example.com/../x",
            "https://api.example.com/a//b",
            "api.example.com",
            "wss://api.example.com",
            "",
        ] {
            assert_eq!(of(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn an_absolute_address_has_to_be_the_targets() {
        let target = Target::parse("https://api.example.com").unwrap();
        let local = Target::parse("http://127.0.0.1:3000").unwrap();
        let means = |target: &Target, uri: &str| target.is_meant_by(&uri.parse().unwrap());
        for uri in
            ["/v1", "http://api.example.com/v1", "http://API.example.com:80/", "http://api.example.com:443/"]
        {
            assert!(means(&target, uri), "{uri}");
        }
        for uri in [
            "http://evil.example/v1",
            "http://api.example.com:8080/",
            "http://api.example.com.evil/",
            "http://a@api.example.com/",
            "ftp://api.example.com/",
        ] {
            assert!(!means(&target, uri), "{uri}");
        }
        assert!(means(&local, "http://127.0.0.1:3000/") && !means(&local, "http://127.0.0.1/"));
        assert_eq!(
            (target.host(), local.host(), local.host_header()),
            ("api.example.com", "127.0.0.1", "127.0.0.1:3000")
        );
        assert_eq!(Target::parse("http://[::1]:3000").unwrap().host(), "[::1]");
        assert_eq!(Target::parse("https://[::1]").unwrap().host(), "[::1]");
    }

    #[test]
    fn a_rule_is_a_method_and_the_beginning_of_a_path() {
        let rules: Vec<Rule> =
            ["POST /v1/messages", "GET /v1/models/", "/v2"].map(|rule| rule.parse().unwrap()).into();
        let allowed = |method: &str, path: &str| judge(&rules, &method.parse().unwrap(), path).is_ok();
        for (method, path) in [
            ("POST", "/v1/messages"),
            ("POST", "/v1/messages/batches"),
            ("GET", "/v1/models/x"),
            ("GET", "/v1/models/"),
            ("DELETE", "/v2/x%20y"),
            ("PATCH", "/v2"),
        ] {
            assert!(allowed(method, path), "{method} {path}");
        }
        for (method, path) in [
            ("GET", "/v1/messages"),
            ("post", "/v1/messages"),
            ("POST", "/v1/messagesx"),
            ("POST", "/v1/Messages"),
            ("GET", "/v1/models"),
            ("GET", "/v2x"),
            ("GET", "/"),
            ("OPTIONS", "/v2"),
            ("TRACE", "/v2"),
            ("CONNECT", "/v2"),
        ] {
            assert!(!allowed(method, path), "{method} {path}");
        }
        for wrong in [
            "",
            "v1",
            "GET v1",
            "get /v1",
            "TRACE /v1",
            "OPTIONS /v1",
            "/v1?x",
            "/v1/*",
            "/a/../b",
            "GET /a b",
        ] {
            assert!(wrong.parse::<Rule>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_outside_of_a_targets_path_is_not_its() {
        let target = Target::parse("https://api.example.com/api/").unwrap();
        for (path, is) in
            [("/api", true), ("/api/v1", true), ("/api2", false), ("/", false), ("/admin", false)]
        {
            assert_eq!(target.has(path), is, "{path}");
        }
        assert!(Target::parse("https://api.example.com").unwrap().has("/v1"));
    }

    #[test]
    fn a_path_that_two_servers_read_as_two_is_refused() {
        let all = [Rule::below("")];
        for path in [
            "/v1/../admin",
            "/v1/./x",
            "/..",
            "/.",
            "/v1/..;x/admin",
            "/v1/%2e%2e/admin",
            "/v1/%2E./admin",
            "/v1%2fadmin",
            "/v1%2Fadmin",
            "/v1//admin",
            "//evil.example/",
            "/v1\\admin",
            "/v1%5cadmin",
            "/v1/%252e%252e/",
            "/v1/..%3bx/admin",
            "/v1/%c0%ae%C0%AE/admin",
            "/v1/%f5%80%80%80",
            "/v1/%00",
            "/v1/%0d%0aX",
            "/v1/%",
            "/v1/%g1",
            "/v1/%2",
            "v1",
            "*",
            "",
        ] {
            assert!(judge(&all, &Method::GET, path).is_err(), "{path}");
        }
        for path in ["/", "/v1", "/v1/a.b", "/v1/...", "/v1/%C3%A4", "/v1/a;b=c", "/v1/@x:y"] {
            assert!(judge(&all, &Method::GET, path).is_ok(), "{path}");
        }
    }
}
