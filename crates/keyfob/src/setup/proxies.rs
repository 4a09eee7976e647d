//! Which way leads to a host: straight there, or through the proxy the environment names.

use std::net::IpAddr;

use keyfob_core::{Error, Id, Result};
use ureq::ProxyProtocol;

/// How to reach the outside: what the environment says.
#[derive(Clone, Default)]
pub struct Routes {
    /// Proxy for https addresses.
    pub https_proxy: Option<String>,
    /// Proxy for http addresses. Loopback, the only place where http is allowed, is never proxied.
    pub http_proxy: Option<String>,
    /// Hosts that are reached directly.
    pub no_proxy: Option<String>,
}

// A proxy's address may carry a password.
impl std::fmt::Debug for Routes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Routes").field("https_proxy", &self.shown()).finish_non_exhaustive()
    }
}

impl Routes {
    /// Checks the proxies' addresses without using them.
    ///
    /// # Errors
    /// [`Id::ProxyMalformed`].
    pub fn check(&self) -> Result<()> {
        let both = [("HTTPS_PROXY", &self.https_proxy), ("HTTP_PROXY", &self.http_proxy)];
        for (name, proxy) in both {
            if let Some(proxy) = proxy {
                parse(name, proxy)?;
            }
        }
        Ok(())
    }

    /// The proxy for an https address, if there is one for this host.
    pub(crate) fn proxy(&self, host: &str, port: u16) -> Option<Result<ureq::Proxy>> {
        let proxy = self.https_proxy.as_ref()?;
        let direct =
            is_loopback(host) || self.no_proxy.as_ref().is_some_and(|list| is_listed(list, host, port));
        (!direct).then(|| parse("HTTPS_PROXY", proxy))
    }

    /// The proxy's host and port, for people: never the password in front of them.
    #[must_use]
    pub fn shown(&self) -> Option<String> {
        let proxy = ureq::Proxy::new(self.https_proxy.as_ref()?).ok()?;
        Some(shown(&proxy))
    }
}

/// A proxy's address without what may stand before the `@`.
pub(crate) fn shown(proxy: &ureq::Proxy) -> String {
    let scheme = if proxy.protocol() == ProxyProtocol::Https { "https" } else { "http" };
    format!("{scheme}://{}:{}", proxy.host(), proxy.port())
}

fn parse(name: &str, text: &str) -> Result<ureq::Proxy> {
    let wrong = |why| Error::new(Id::ProxyMalformed, format!("{name} is malformed"), why);
    let proxy = ureq::Proxy::new(text).map_err(|_| wrong("it is not the address of a proxy"))?;
    match proxy.protocol() {
        ProxyProtocol::Http | ProxyProtocol::Https => Ok(proxy),
        _ => Err(wrong("only http and https proxies are known here, no SOCKS")),
    }
}

/// `localhost`, 127.0.0.0/8, `[::1]`: traffic that never leaves this machine.
#[must_use]
pub fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || address(host).is_some_and(|address| address.is_loopback())
}

fn address(host: &str) -> Option<IpAddr> {
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

/// Whether `NO_PROXY` names this host, as curl and Go read it: a name stands for itself and what lies below it,
/// with or without a leading dot; an address may have a prefix length; a port narrows; `*` is everything.
fn is_listed(list: &str, host: &str, port: u16) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    list.split([',', ' ']).map(str::trim).filter(|entry| !entry.is_empty()).any(|entry| {
        if entry == "*" {
            return true;
        }
        if let Some(address) = address(&host) {
            return is_address(entry, address, port);
        }
        let (name, of_port) = with_port(entry);
        let name = name.trim_start_matches('*').trim_start_matches('.').to_ascii_lowercase();
        let below = || host.strip_suffix(&name).is_some_and(|rest| rest.ends_with('.'));
        !name.is_empty() && (host == name || below()) && of_port.is_none_or(|wanted| wanted == port)
    })
}

fn is_address(entry: &str, host: IpAddr, port: u16) -> bool {
    if let Some((network, length)) = entry.split_once('/') {
        let (Some(network), Ok(length)) = (address(network), length.parse()) else { return false };
        return is_within(host, network, length);
    }
    if address(entry) == Some(host) {
        return true;
    }
    let (entry, of_port) = with_port(entry);
    address(entry) == Some(host) && of_port == Some(port)
}

fn with_port(entry: &str) -> (&str, Option<u16>) {
    match entry.rsplit_once(':').map(|(name, port)| (name, port.parse())) {
        Some((name, Ok(port))) => (name, Some(port)),
        _ => (entry, None),
    }
}

fn is_within(host: IpAddr, network: IpAddr, length: u32) -> bool {
    let bits = |address: IpAddr| match address {
        IpAddr::V4(four) => (u128::from(four.to_bits()) << 96, 32),
        IpAddr::V6(six) => (six.to_bits(), 128),
    };
    let ((host, of_host), (network, of_network)) = (bits(host), bits(network));
    let differ = host ^ network;
    of_host == of_network && length <= of_host && differ.leading_zeros() >= length
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(proxy: &str) -> Routes {
        Routes { https_proxy: Some(proxy.into()), ..Routes::default() }
    }

    #[test]
    fn proxies_are_checked_before_use() {
        for right in ["http://proxy.example:3128", "https://proxy.example", "proxy.example:3128"] {
            assert!(with(right).check().is_ok(), "{right}");
        }
        for wrong in ["::nonsense::", "socks5://proxy.example:1080", "ftp://proxy.example"] {
            let error = with(wrong).check().expect_err(wrong);
            assert_eq!(error.id(), Id::ProxyMalformed, "{wrong}");
            assert!(!error.to_string().contains(wrong), "it may hold a password");
        }
    }

    #[test]
    fn a_proxys_password_is_never_shown() {
        let routes = with("http://ada:hunter2@proxy.example:3128");
        assert_eq!(routes.shown().as_deref(), Some("http://proxy.example:3128"));
        assert!(!format!("{routes:?}").contains("hunter2"));
    }

    #[test]
    fn loopback_is_never_proxied() {
        let routes = with("http://proxy.example:3128");
        for host in ["localhost", "LocalHost", "127.0.0.1", "127.9.9.9", "[::1]"] {
            assert!(routes.proxy(host, 443).is_none(), "{host}");
        }
        for host in ["localhost.example", "127.0.0.1.example", "128.0.0.1", "[::2]"] {
            assert!(routes.proxy(host, 443).is_some(), "{host}");
        }
    }

    #[test]
    fn no_proxy_is_read_as_others_read_it() {
        for (list, host) in [
            ("company.test", "company.test"),
            ("company.test", "oauth.company.test"),
            (".company.test", "oauth.company.test"),
            ("*.company.test", "OAUTH.company.test"),
            ("other.test, company.test", "oauth.company.test"),
            ("oauth.company.test:443", "oauth.company.test"),
            ("*", "oauth.company.test"),
            ("10.0.0.0/8", "10.1.2.3"),
            ("10.1.2.3", "10.1.2.3"),
            ("10.1.2.3:443", "10.1.2.3"),
            ("fd00::/8", "[fd00::1]"),
            ("[fd00::1]", "[fd00::1]"),
        ] {
            assert!(is_listed(list, host, 443), "{list} has {host}");
        }
        for (list, host) in [
            ("company.test", "mycompany.test"),
            ("company.test:8443", "company.test"),
            ("oauth.company.test", "company.test"),
            ("10.0.0.0/8", "11.0.0.1"),
            ("10.0.0.0/33", "10.0.0.1"),
            ("0.0.0.0/0", "[fd00::1]"),
            ("0.1", "10.0.0.1"),
            (" , .,", "company.test"),
            ("", "company.test"),
        ] {
            assert!(!is_listed(list, host, 443), "{list} has not {host}");
        }
    }
}
