//! The base URL that the client used.
//!
//! `localhost`, `127.0.0.1` and `[::1]` all reach this server, so the issuer follows the request. Only loopback names
//! with this server's port are accepted; anything else is DNS rebinding or a mistake (RFC 9112 §3.2).

use http::{header::HOST, request::Parts};

use crate::state::addresses::{is_loopback, split_authority};

/// `http://HOST:PORT`, without a final slash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Base(String);

impl Base {
    pub(crate) fn of(parts: &Parts, ports: &[u16]) -> Result<Self, &'static str> {
        let mut hosts = parts.headers.get_all(HOST).iter();
        let (Some(host), None) = (hosts.next(), hosts.next()) else {
            return Err("exactly one Host header is required");
        };
        let host = host.to_str().map_err(|_| "the Host header is not ASCII")?;
        // RFC 9112 §3.2.2: an absolute-form target replaces Host; both must be ours.
        let target = parts.uri.authority().map_or(host, |authority| authority.as_str());
        let base = Self::parse(target, ports);
        match (base, Self::parse(host, ports)) {
            (Some(base), Some(_)) if parts.uri.scheme_str().is_none_or(|s| s == "http") => Ok(base),
            _ => Err("the Host header does not name this server on loopback"),
        }
    }

    fn parse(authority: &str, ports: &[u16]) -> Option<Self> {
        let (host, given) = split_authority(authority)?;
        let port = given.unwrap_or(80);
        let host = host.to_ascii_lowercase();
        (is_loopback(&host) && ports.contains(&port)).then(|| Self(format!("http://{host}:{port}")))
    }

    /// The base for a refusal when the request named none of ours.
    pub(crate) fn default_for(port: u16) -> Self {
        Self(format!("http://127.0.0.1:{port}"))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The same host with another port.
    pub(crate) fn at(&self, port: u16) -> Self {
        let host = self.0.rsplit_once(':').map_or(self.0.as_str(), |(host, _)| host);
        Self(format!("{host}:{port}"))
    }

    /// Every usual spelling of this server's base.
    pub(crate) fn spellings(&self, port: u16) -> [String; 3] {
        ["127.0.0.1", "localhost", "[::1]"].map(|host| format!("http://{host}:{port}"))
    }

    /// Another spelling of this server, which is a different origin for a strict client.
    pub(crate) fn elsewhere(&self, port: u16) -> String {
        let other = if self.0.starts_with("http://localhost:") { "127.0.0.1" } else { "localhost" };
        format!("http://{other}:{port}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_port_of_ours_is_a_base_and_one_is_the_issuer() {
        let base = Base::parse("[::1]:3001", &[3000, 3001]).unwrap();
        assert_eq!(base.as_str(), "http://[::1]:3001");
        assert_eq!(base.at(3000).as_str(), "http://[::1]:3000");
        assert!(Base::parse("[::1]:3002", &[3000, 3001]).is_none());
    }

    #[test]
    fn only_loopback_with_our_port_is_a_base() {
        for good in ["localhost:3000", "LOCALHOST:3000", "127.0.0.1:3000", "127.9.9.9:3000", "[::1]:3000"] {
            assert!(Base::parse(good, &[3000]).is_some(), "{good}");
        }
        for bad in [
            "example.com:3000",
            "localhost",
            "localhost:3001",
            "localhost:",
            "localhost:03000",
            "127.1:3000",
            "a@localhost:3000",
            "localhost.:3000",
            "[::2]:3000",
            "[::1]3000",
            ":3000",
            "",
            "localhost:+3000",
        ] {
            assert!(Base::parse(bad, &[3000]).is_none(), "{bad}");
        }
    }
}
