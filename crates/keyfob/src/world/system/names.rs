//! Resolves host names in bounded time. ureq's own resolver starts a thread, even for an IP address, and panics if no
//! thread can be started.

use std::{sync::mpsc, thread};

use ureq::{
    Error,
    config::Config,
    http::Uri,
    unversioned::{
        resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver},
        transport::{NextTimeout, time::Duration},
    },
};

/// The system's resolver, in a thread that may be left behind when it takes too long.
#[derive(Debug, Default)]
pub(crate) struct Names;

impl Resolver for Names {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        // Without a time-out it is asked in this thread.
        let unbounded = NextTimeout { after: Duration::NotHappening, ..timeout };
        if is_address(uri.host().unwrap_or("")) {
            return DefaultResolver::default().resolve(uri, config, unbounded);
        }
        let (sender, receiver) = mpsc::sync_channel(1);
        let (uri, config) = (uri.clone(), config.clone());
        let ask = move || drop(sender.send(DefaultResolver::default().resolve(&uri, &config, unbounded)));
        thread::Builder::new().name("resolver".into()).spawn(ask)?;
        match receiver.recv_timeout(*timeout.after) {
            Ok(found) => found,
            Err(mpsc::RecvTimeoutError::Timeout) => Err(Error::Timeout(timeout.reason)),
            Err(mpsc::RecvTimeoutError::Disconnected) => Err(Error::HostNotFound),
        }
    }
}

/// Whether a host of a URL is an address (RFC 3986 §3.2.2).
fn is_address(host: &str) -> bool {
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    host.parse::<std::net::IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_resolution_of_names_and_literals() {
        for host in ["127.0.0.1", "[::1]", "::1"] {
            assert!(is_address(host), "{host}");
        }
        for host in ["localhost", "127.1", "example.com", "[::1", ""] {
            assert!(!is_address(host), "{host}");
        }
        let found = |uri: &'static str| {
            let timeout =
                NextTimeout { after: std::time::Duration::from_secs(20).into(), ..NextTimeout::default() };
            Names.resolve(&Uri::from_static(uri), &Config::default(), timeout)
        };
        assert_eq!(found("http://127.0.0.1:81/").unwrap()[0].to_string(), "127.0.0.1:81");
        assert!(
            found("https://localhost/").unwrap()[..]
                .iter()
                .all(|at| at.ip().is_loopback() && at.port() == 443)
        );
        assert!(found("https://name.invalid/").is_err());
    }
}
