//! Chooses the route to a host: direct, or through the proxy from the environment.

use std::{
    fmt,
    net::IpAddr,
    path::PathBuf,
    sync::{Arc, OnceLock},
};

use keyfob_core::{Error, Id, Result, contract::Variables};
use ureq::{ProxyProtocol, http::Uri, tls::RootCerts};

use crate::{
    setup::{certificates::Roots, code, trust::Surroundings},
    world::NoAnswer,
};

/// How to reach the outside, if that is allowed at all. Where a proxy or a certificate was refused there is nothing in
/// here to reach it with: whoever goes on sends nothing.
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

/// For what never leaves this machine: no proxy is asked, and nobody's certificate is believed.
impl Default for Routes {
    fn default() -> Self {
        Self { out: Ok(Arc::default()), bus: Err("is not asked here".into()) }
    }
}

impl Routes {
    /// What the variables say.
    #[must_use]
    pub fn read(variables: &Variables, around: &Surroundings) -> Self {
        // Both spellings are in use; the one in capitals is the documented one.
        let either = |upper: &'static str| {
            let lower = upper.to_ascii_lowercase();
            let text = variables.text(upper).or_else(|| variables.text(&lower))?;
            Some((upper, text.to_owned()))
        };
        let mut problems = Vec::new();
        let mut parsed = |named: Option<(&str, String)>| {
            let (name, text) = named?;
            parse(name, &text).map_err(|error| problems.push(error)).ok()
        };
        let proxy = parsed(either("HTTPS_PROXY").or_else(|| either("ALL_PROXY")));
        // Nothing goes through it: http is for loopback alone. That it is right is told all the same.
        parsed(either("HTTP_PROXY"));
        let direct = either("NO_PROXY").map(|(_, list)| list);
        let roots = Roots::read(variables, around, &mut problems);
        let out = match Error::all(problems) {
            Some(error) => Err(error),
            None => Ok(Arc::new(Accepted { proxy, direct, roots, loaded: OnceLock::new() })),
        };
        Self { out, bus: code::session_bus(variables, around) }
    }

    /// The way to the session bus.
    pub(crate) fn bus(&self) -> Result<String, String> {
        self.bus.clone()
    }

    /// Whether there is any way out.
    ///
    /// # Errors
    /// Everything that is wrong with proxies and certificates: [`Id::ProxyMalformed`], [`Id::CaFileUnsafe`],
    /// [`Id::CaFileMalformed`].
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
                let roots = accepted.loaded.get_or_init(|| accepted.roots.load()).clone().map_err(no)?;
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
    /// Without TLS, and so without anybody to believe.
    fn plain() -> Self {
        Self { proxy: None, roots: RootCerts::new_with_certs(&[]) }
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

    fn routes(set: &[(&str, &str)]) -> Routes {
        let variables =
            set.iter().map(|(name, value)| ((*name).to_owned(), Some((*value).to_owned()))).collect();
        Routes::read(&variables, &Surroundings::of(Some(std::path::Path::new("/"))))
    }

    fn with(proxy: &str) -> Routes {
        routes(&[("HTTPS_PROXY", proxy)])
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
    fn all_proxy_is_for_whom_no_other_is_named() {
        assert!(routes(&[("ALL_PROXY", "http://all.example:1")]).shown().unwrap().contains("all.example"));
        let both = routes(&[("all_proxy", "socks5://x"), ("https_proxy", "http://https.example:1")]);
        assert!(both.shown().unwrap().contains("https.example"));
        assert_eq!(
            routes(&[("ALL_PROXY", "socks5://x")]).check().expect_err("socks").id(),
            Id::ProxyMalformed
        );
    }

    /// What was refused is not there to be used: not for a request, not for a report, not on loopback.
    #[test]
    fn nothing_leads_out_past_what_was_refused() {
        for (set, id) in [
            (("SSL_CERT_FILE", "/nowhere/ca.pem"), Id::CaFileMalformed),
            (("SSL_CERT_DIR", "relative"), Id::CaFileMalformed),
            (("HTTPS_PROXY", "socks5://x"), Id::ProxyMalformed),
            (("HTTP_PROXY", "socks5://x"), Id::ProxyMalformed),
        ] {
            let routes = routes(&[set]);
            assert_eq!(routes.check().expect_err(set.0).id(), id);
            for url in ["https://provider.example/", "http://127.0.0.1:1/"] {
                let uri: Uri = url.parse().unwrap();
                for way in [routes.way(&uri), routes.way_to_collector(&uri)] {
                    let no = way.err().expect(set.0);
                    assert!(!no.sent && no.why.contains(set.0), "{no:?}");
                }
            }
        }
        let uri: Uri = "http://collector.example/".parse().unwrap();
        assert!(routes(&[]).way(&uri).is_err() && routes(&[]).way_to_collector(&uri).is_ok());
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
        let proxied = |host: &str| {
            let uri: Uri = format!("https://{host}/").parse().unwrap();
            routes.way(&uri).expect("a way").proxy.is_some()
        };
        for host in ["localhost", "LocalHost", "127.0.0.1", "127.9.9.9", "[::1]"] {
            assert!(!proxied(host), "{host}");
        }
        for host in ["localhost.example", "127.0.0.1.example", "128.0.0.1", "[::2]"] {
            assert!(proxied(host), "{host}");
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
