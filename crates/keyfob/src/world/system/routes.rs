//! Chooses the route to a host: direct, or through the proxy that was accepted.

use std::{
    fmt,
    net::IpAddr,
    path::PathBuf,
    sync::{Arc, OnceLock},
};

use keyfob_core::{Cause, Error, Result};
use ureq::{ProxyProtocol, http::Uri, tls::RootCerts};

use crate::world::{NoAnswer, system::certificates::Roots};

/// How to reach the outside, if that is allowed at all. If a proxy or a certificate was refused, there is nothing in
/// here to reach it with: code that goes on anyway sends nothing.
#[derive(Clone, Debug)]
pub struct Routes {
    out: Result<Arc<Accepted>, Error>,
    /// The address of the session bus, where key stores are asked.
    bus: Result<String, String>,
}

/// Proxies and certificates that passed.
#[derive(Default)]
struct Accepted {
    /// Proxy for https addresses. Loopback, the only place where http is allowed, is never proxied.
    proxy: Option<ureq::Proxy>,
    /// Hosts that are reached directly.
    direct: Option<String>,
    roots: Roots,
    loaded: OnceLock<Result<RootCerts, String>>,
}

// A proxy's address may carry a password.
impl fmt::Debug for Accepted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accepted").field("roots", &self.roots).finish_non_exhaustive()
    }
}

/// For what never leaves this machine: no proxy is used, and no certificate is trusted.
impl Default for Routes {
    fn default() -> Self {
        Self { out: Ok(Arc::default()), bus: Err("is not asked here".into()) }
    }
}

impl Routes {
    /// Proxy, hosts that are reached directly and certificates, or everything that is wrong with them; and the address of
    /// the session bus.
    pub(crate) fn new(
        out: Result<(Option<ureq::Proxy>, Option<String>, Roots)>,
        bus: Result<String, String>,
    ) -> Self {
        let accepted = |(proxy, direct, roots)| Accepted { proxy, direct, roots, loaded: OnceLock::new() };
        Self { out: out.map(accepted).map(Arc::new), bus }
    }

    /// The way to the session bus.
    pub(crate) fn bus(&self) -> Result<String, String> {
        self.bus.clone()
    }

    /// Whether there is any way out.
    ///
    /// # Errors
    /// Everything that is wrong with proxies and certificates: [`Id::ProxyMalformed`](keyfob_core::Id::ProxyMalformed), [`Id::CaFileUnsafe`](keyfob_core::Id::CaFileUnsafe),
    /// [`Id::CaFileMalformed`](keyfob_core::Id::CaFileMalformed).
    pub fn check(&self) -> Result<()> {
        self.out.as_ref().map(drop).map_err(Clone::clone)
    }

    /// The way to an address: https anywhere, http on loopback and nowhere else.
    ///
    /// # Errors
    /// There is none; nothing was sent.
    pub(crate) fn way(&self, uri: &Uri) -> Result<Way, NoAnswer> {
        let no = |why: String| NoAnswer::not_sent(why);
        let accepted = self.out.as_ref().map_err(|error| no(error.message()))?;
        let host = uri.host().unwrap_or("");
        match uri.scheme_str() {
            Some("https") => {
                let port = uri.port_u16().unwrap_or(443);
                let is_direct = is_loopback(host)
                    || accepted.direct.as_ref().is_some_and(|list| is_listed(list, host, port));
                let proxy = accepted.proxy.clone().filter(|_| !is_direct);
                let nobody = |why| NoAnswer {
                    cause: Some(Box::new(Cause::NoCertificates {})),
                    ..NoAnswer::not_sent(why)
                };
                let roots = accepted.loaded.get_or_init(|| accepted.roots.load()).clone().map_err(nobody)?;
                Ok(Way { proxy, roots })
            }
            Some("http") if is_loopback(host) => Ok(Way::plain()),
            _ => Err(NoAnswer::not_sent("only https, or http on loopback, is used")),
        }
    }

    /// The way to a collector of metrics, which may be any host and plain http.
    pub(crate) fn way_to_collector(&self, uri: &Uri) -> Result<Way, NoAnswer> {
        match uri.scheme_str() {
            Some("http") => {
                self.check().map(|()| Way::plain()).map_err(|error| NoAnswer::not_sent(error.message()))
            }
            _ => self.way(uri),
        }
    }

    /// The proxy's host and port, for people: never the password in front of them.
    #[must_use]
    pub fn shown(&self) -> Option<String> {
        self.out.as_ref().ok()?.proxy.as_ref().map(shown)
    }

    /// The file and directories of certificates that are trusted in the system's place, for people.
    #[must_use]
    pub fn certificates(&self) -> &[PathBuf] {
        self.out.as_ref().map_or(&[], |accepted| accepted.roots.named())
    }
}

/// One way to a host.
pub(crate) struct Way {
    /// Through this proxy.
    pub(crate) proxy: Option<ureq::Proxy>,
    /// Believing these.
    pub(crate) roots: RootCerts,
}

impl Way {
    /// Without TLS, and so without trusted certificates.
    fn plain() -> Self {
        Self { proxy: None, roots: RootCerts::new_with_certs(&[]) }
    }
}

/// A proxy's address without what may stand before the `@`.
pub(crate) fn shown(proxy: &ureq::Proxy) -> String {
    let scheme = if proxy.protocol() == ProxyProtocol::Https { "https" } else { "http" };
    format!("{scheme}://{}:{}", proxy.host(), proxy.port())
}

/// `localhost`, 127.0.0.0/8, `[::1]`: traffic that never leaves this machine.
#[must_use]
pub fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || address(host).is_some_and(|address| address.is_loopback())
}

fn address(host: &str) -> Option<IpAddr> {
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

/// Whether `NO_PROXY` names this host, as curl and Go read it: a name stands for itself and its subdomains, with or
/// without a leading dot; an address may have a prefix length; a port narrows; `*` is everything.
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
