//! How far a request got, and which part failed: proxy, name lookup, certificate or provider. A request that certainly
//! was not sent costs nothing; the outcome of any other is unknown.

use std::{
    cell::{Cell, RefCell},
    io,
};

use keyfob_core::{Cause, Id, error::escape};
use ureq::{
    http::Uri,
    unversioned::transport::{ConnectionDetails, Connector, Transport},
};

use crate::world::{Connected, NoAnswer, failure, system::routes};

/// How far a connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reached {
    Nobody,
    Proxy,
    Provider,
}

thread_local! {
    /// How far the request this thread is sending has come.
    static REACHED: Cell<Reached> = const { Cell::new(Reached::Nobody) };
    /// What has to happen before its first byte leaves.
    static CONNECTED: RefCell<Option<Connected>> = const { RefCell::new(None) };
}

/// One request's way, from its beginning in this thread.
pub(crate) struct Journey {
    host: String,
    proxy: Option<String>,
}

impl Journey {
    pub(crate) fn begin(uri: &Uri, proxy: Option<&ureq::Proxy>) -> Self {
        REACHED.set(Reached::Nobody);
        CONNECTED.set(None);
        Self { host: uri.host().unwrap_or("").to_owned(), proxy: proxy.map(routes::shown) }
    }

    /// Has this called when the connection stands, before anything is sent on it.
    pub(crate) fn when_connected(&self, connected: Connected) {
        CONNECTED.set(Some(connected));
    }

    /// Sorts a failure: whose is it, and did the request certainly not reach the other side?
    pub(crate) fn failed(&self, error: &ureq::Error) -> NoAnswer {
        let reached = REACHED.get();
        let sent = reached == Reached::Provider;
        let system = !sent
            && matches!(error, ureq::Error::Io(error) if failure::id(error, Id::Unreachable) == Id::SystemFailed);
        let (why, cause) = self.why(error, reached);
        let cause = if system { Some(Cause::MachineShort {}) } else { cause };
        NoAnswer { sent, why, cause: cause.map(Box::new), part: None, system }
    }

    fn why(&self, error: &ureq::Error, reached: Reached) -> (String, Option<Cause>) {
        use ureq::Error as E;
        let host = &self.host;
        let by_proxy = match (reached, &self.proxy) {
            (Reached::Nobody, Some(proxy)) => Some(proxy),
            _ => None,
        };
        let whom = match (reached, &self.proxy) {
            (Reached::Nobody, Some(proxy)) => format!("the proxy {proxy}"),
            // Which of the two it is cannot be determined here.
            (Reached::Proxy, Some(proxy)) if !is_tls(error) => format!("{host} through the proxy {proxy}"),
            _ => host.clone(),
        };
        // What keeps the proxy from being reached is to be mended at the proxy.
        let or_proxy = |cause: Cause| match by_proxy {
            Some(proxy) => Some(Cause::ProxyFailed { proxy: proxy.clone() }),
            None => Some(cause),
        };
        // Before there is a connection through it, what does not answer or speaks something else is most likely the proxy.
        let in_between = |cause: Option<Cause>| match (reached, &self.proxy) {
            (Reached::Nobody | Reached::Proxy, Some(proxy)) => {
                Some(Cause::ProxyFailed { proxy: proxy.clone() })
            }
            _ => cause,
        };
        let host = host.clone();
        match error {
            E::HostNotFound => {
                (format!("the name of {whom} was not found"), or_proxy(Cause::NameNotFound { host }))
            }
            E::ConnectionFailed => {
                (format!("no connection to {whom}"), or_proxy(Cause::NoConnection { host }))
            }
            E::Timeout(_) => (format!("{whom} took too long"), in_between(Some(Cause::TooSlow { host }))),
            E::BodyExceedsLimit(_) => (format!("the answer of {host} was larger than a mebibyte"), None),
            // Only the status is reported; the rest is the proxy's own text.
            E::ConnectProxyFailed(text) => {
                let proxy = self.proxy.clone().unwrap_or_default();
                if text.contains("407") {
                    let why = format!("the proxy {proxy} wants a user name and password (407)");
                    (why, Some(Cause::ProxyPassword { proxy }))
                } else {
                    let why = format!("the proxy {proxy} did not connect to {host}");
                    (why, Some(Cause::ProxyFailed { proxy }))
                }
            }
            E::Rustls(error) => tls(error, &whom),
            E::Io(io) => match io.get_ref().and_then(|inner| inner.downcast_ref()) {
                Some(error) => tls(error, &whom),
                None => {
                    let (why, cause) = io_failure(io, reached, &whom, host);
                    (why, or_proxy(cause))
                }
            },
            E::Protocol(_) => (format!("the answer of {whom} is not whole HTTP"), in_between(None)),
            _ => (format!("the request to {whom} failed"), None),
        }
    }
}

/// The last link of the chain of connectors: reached only when there is a connection, including TLS. What fails before
/// it was certainly not sent; what fails after it may have been. The kind of error does not show which: a host may be
/// unreachable before a connection or in the middle of one.
///
/// The way to a proxy goes through the same chain, before the proxy is asked to connect.
#[derive(Debug)]
pub(crate) struct Mark {
    pub(crate) proxied: bool,
}

impl<In: Transport> Connector<In> for Mark {
    type Out = In;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<In>, ureq::Error> {
        if chained.is_some() {
            if self.proxied && details.config.proxy().is_none() {
                REACHED.set(Reached::Proxy);
            } else {
                if let Some(connected) = CONNECTED.take() {
                    connected().map_err(ureq::Error::Io)?;
                }
                REACHED.set(Reached::Provider);
            }
        }
        Ok(chained)
    }
}

fn io_failure(error: &io::Error, reached: Reached, whom: &str, host: String) -> (String, Cause) {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => {
            (format!("{whom} refused the connection"), Cause::ConnectionRefused { host })
        }
        io::ErrorKind::UnexpectedEof => {
            (format!("{whom} closed the connection without a whole answer"), Cause::CutOff { host })
        }
        // A failed name lookup has no error kind.
        _ if reached == Reached::Nobody => {
            let why = format!("no connection to {whom}: {}", escape(&error.to_string()));
            let is_name = error.raw_os_error().is_none();
            (why, if is_name { Cause::NameNotFound { host } } else { Cause::NoConnection { host } })
        }
        // The system's words where it has some: of its kinds, many have no name yet.
        kind => {
            let why = match error.raw_os_error() {
                Some(_) => format!("the connection to {whom} failed: {error}"),
                None => format!("the connection to {whom} failed ({kind})"),
            };
            (why, Cause::CutOff { host })
        }
    }
}

fn is_tls(error: &ureq::Error) -> bool {
    match error {
        ureq::Error::Rustls(_) => true,
        ureq::Error::Io(error) => error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>()),
        _ => false,
    }
}

/// What is wrong with a certificate, in words for the person who has to correct it.
fn tls(error: &rustls::Error, whom: &str) -> (String, Option<Cause>) {
    use rustls::{CertificateError as C, Error as E};
    let host = whom.to_owned();
    let (why, cause) = match error {
        E::InvalidCertificate(wrong) => match wrong {
            // An authority of the same name with another key is another authority.
            C::UnknownIssuer | C::BadSignature => (
                format!(
                    "the certificate of {whom} is not trusted here: its issuer is not among this system's authorities"
                ),
                Cause::CertificateIssuer { host },
            ),
            C::Expired | C::ExpiredContext { .. } => {
                (format!("the certificate of {whom} has expired"), Cause::CertificateExpired { host })
            }
            C::NotValidYet | C::NotValidYetContext { .. } => (
                format!("the certificate of {whom} is not valid yet: is this machine's clock right?"),
                Cause::CertificateEarly { host },
            ),
            C::NotValidForName | C::NotValidForNameContext { .. } => (
                format!("the certificate is that of another host, not of {whom}"),
                Cause::CertificateName { host },
            ),
            // The verifier's own word, which rustls passes on as it is.
            C::Other(other) if other.to_string() == "CaUsedAsEndEntity" => (
                format!(
                    "the certificate of {whom} calls itself an authority (CA:TRUE), and an authority's is not taken \
                     for a host's"
                ),
                Cause::CertificateKind { host },
            ),
            _ => return (format!("the certificate of {whom} is not trusted here"), None),
        },
        E::General(_) => (
            format!("no connection to {whom}: no certificates to trust were found"),
            Cause::NoCertificates {},
        ),
        _ => (format!("no secure connection to {whom}: it may not speak TLS"), Cause::NotTls { host }),
    };
    (why, Some(cause))
}
