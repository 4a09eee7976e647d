//! HTTP over ureq and rustls: blocking, with one rule for every step of the product.
//!
//! No redirect is followed, https is required except on loopback, loopback is never proxied, bodies are
//! bounded, and nothing of a request's headers or body gets into an error.

use std::{cell::Cell, io, sync::OnceLock, time::Duration};

use keyfob_core::{Secret, error::escape, token::Reply};
use ureq::{
    Agent, Body,
    config::Config,
    http::{self, Response, Uri},
    tls::{RootCerts, TlsConfig},
    unversioned::{
        resolver::DefaultResolver,
        transport::{ConnectionDetails, Connector, DefaultConnector, Transport},
    },
};

use super::routes::{self, Routes, is_loopback};
use crate::world::{Answer, Http, NoAnswer, Request};

/// No answer of a provider is larger.
const LARGEST: u64 = 1024 * 1024;
/// How long a connection may take, TLS and a proxy in between included.
pub(super) const CONNECT: Duration = Duration::from_secs(10);

/// The network.
pub struct Network {
    routes: Routes,
    // Made on the first request: reading the system's roots costs more than a whole `keyfob token`.
    direct: OnceLock<Agent>,
    proxied: OnceLock<Agent>,
}

impl Network {
    /// A network that is touched by the first request, not before.
    #[must_use]
    pub fn new(routes: Routes) -> Self {
        Self { routes, direct: OnceLock::new(), proxied: OnceLock::new() }
    }

    fn agent(&self, uri: &Uri) -> Result<&Agent, NoAnswer> {
        match route(&self.routes, uri)? {
            Some(proxy) => Ok(self.proxied.get_or_init(|| agent(Some(proxy)))),
            None => Ok(self.direct.get_or_init(|| agent(None))),
        }
    }
}

/// The proxy on the way to this address, if there is one.
pub(super) fn route(routes: &Routes, uri: &Uri) -> Result<Option<ureq::Proxy>, NoAnswer> {
    let port = uri.port_u16().unwrap_or(443);
    match uri.host().filter(|_| uri.scheme_str() == Some("https")) {
        Some(host) => routes
            .proxy(host, port)
            .transpose()
            .map_err(|error| NoAnswer { sent: false, why: error.message() }),
        None => Ok(None),
    }
}

fn agent(proxy: Option<ureq::Proxy>) -> Agent {
    let mark = Mark { proxied: proxy.is_some() };
    Agent::with_parts(config(proxy), DefaultConnector::default().chain(mark), DefaultResolver::default())
}

/// The same for every step: whom we believe, which way we go, how long we try.
pub(super) fn config(proxy: Option<ureq::Proxy>) -> Config {
    let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
    Config::builder()
        .tls_config(tls)
        .proxy(proxy)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .max_idle_connections(0)
        .user_agent(concat!("keyfob/", env!("CARGO_PKG_VERSION")))
        .timeout_connect(Some(CONNECT))
        .build()
}

/// How far a connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reached {
    Nobody,
    Proxy,
    Provider,
}

thread_local! {
    /// How far the request this thread is sending has come.
    static REACHED: Cell<Reached> = const { Cell::new(Reached::Nobody) };
}

/// The last link of the chain of connectors: reached only when there is a connection, TLS and all. What fails before
/// it was certainly not sent, and of what fails after it nobody can be certain. The kind of error tells neither: a
/// host that is unreachable may be so before a connection or in the middle of one.
///
/// The way to a proxy goes through the same chain, before the proxy is asked to connect.
#[derive(Debug)]
struct Mark {
    proxied: bool,
}

impl<In: Transport> Connector<In> for Mark {
    type Out = In;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<In>, ureq::Error> {
        if chained.is_some() {
            let to_proxy = self.proxied && details.config.proxy().is_none();
            REACHED.set(if to_proxy { Reached::Proxy } else { Reached::Provider });
        }
        Ok(chained)
    }
}

impl Http for Network {
    #[expect(
        clippy::disallowed_methods,
        reason = "headers and body leave for the one address they are meant for"
    )]
    fn send(&self, request: &Request<'_>) -> Result<Answer, NoAnswer> {
        let not_sent = |why: &str| NoAnswer { sent: false, why: why.into() };
        let uri: Uri = request.url.parse().map_err(|_| not_sent("the address is not a URL"))?;
        let host = uri.host().unwrap_or("").to_owned();
        match uri.scheme_str() {
            Some("https") => {}
            Some("http") if is_loopback(&host) => {}
            _ => return Err(not_sent("only https, or http on loopback, is used")),
        }
        let agent = self.agent(&uri)?;
        let proxy = agent.config().proxy().map(routes::shown);
        REACHED.set(Reached::Nobody);
        let mut builder =
            http::Request::builder().method(request.method).uri(uri).header("Accept", "application/json");
        for (name, value) in &request.headers {
            builder = builder.header(*name, value.expose());
        }
        let malformed = |_| not_sent("the request cannot be written");
        let response = match &request.body {
            Some((content_type, body)) => {
                let body = body.expose();
                let request_ = builder.header("Content-Type", *content_type).body(body).map_err(malformed)?;
                let request_ =
                    agent.configure_request(request_).timeout_global(Some(request.timeout)).build();
                agent.run(request_)
            }
            None => {
                let request_ = builder.body(()).map_err(malformed)?;
                let request_ =
                    agent.configure_request(request_).timeout_global(Some(request.timeout)).build();
                agent.run(request_)
            }
        };
        let failed = |error| no_answer(&error, REACHED.get(), &host, proxy.as_deref());
        let mut response = response.map_err(failed)?;
        let body = response.body_mut().with_config().limit(LARGEST).read_to_vec().map_err(failed)?;
        Ok(answer(&response, body))
    }
}

fn answer(response: &Response<Body>, body: Vec<u8>) -> Answer {
    let header = |name: &str| response.headers().get(name)?.to_str().ok().map(str::to_owned);
    Answer {
        device_token: header("X-Trusted-Device-Token").and_then(|token| Secret::visible(&token).ok()),
        reply: Reply {
            status: response.status().as_u16(),
            content_type: header("Content-Type"),
            retry_after: header("Retry-After"),
            date: header("Date"),
            body,
        },
    }
}

/// Sorts a failure: whose is it, and did the request certainly not reach the other side?
pub(super) fn no_answer(error: &ureq::Error, reached: Reached, host: &str, proxy: Option<&str>) -> NoAnswer {
    use ureq::Error as E;
    let whom = match (reached, proxy) {
        (Reached::Nobody, Some(proxy)) => format!("the proxy {proxy}"),
        (Reached::Proxy, Some(proxy)) if !is_tls(error) => {
            format!("the proxy {proxy}, on the way to {host},")
        }
        _ => host.to_owned(),
    };
    let why = match error {
        E::HostNotFound => format!("the name {host} was not found"),
        E::ConnectionFailed => format!("no connection to {whom}"),
        E::Timeout(_) => format!("{whom} took too long"),
        E::BodyExceedsLimit(_) => format!("the answer of {host} was larger than a mebibyte"),
        // Only the status is ours to tell; the rest is the proxy's own text.
        E::ConnectProxyFailed(text) if text.contains("407") => {
            format!("{whom} wants a user name and password (407), or others: they belong into HTTPS_PROXY")
        }
        E::ConnectProxyFailed(_) => format!("{whom} did not connect"),
        E::Rustls(error) => tls(error, &whom),
        E::Io(io) => match io.get_ref().and_then(|inner| inner.downcast_ref()) {
            Some(error) => tls(error, &whom),
            None => io_failure(io, reached, &whom),
        },
        E::Protocol(_) => format!("the answer of {whom} is not whole HTTP"),
        _ => format!("the request to {whom} failed"),
    };
    NoAnswer { sent: reached == Reached::Provider, why }
}

fn io_failure(error: &io::Error, reached: Reached, whom: &str) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => format!("{whom} refused the connection"),
        io::ErrorKind::UnexpectedEof => format!("{whom} closed the connection without a whole answer"),
        // Looking a name up fails without a kind of its own.
        _ if reached == Reached::Nobody => format!("no connection to {whom}: {}", escape(&error.to_string())),
        kind => format!("the connection to {whom} failed ({kind})"),
    }
}

fn is_tls(error: &ureq::Error) -> bool {
    match error {
        ureq::Error::Rustls(_) => true,
        ureq::Error::Io(error) => error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>()),
        _ => false,
    }
}

/// What is wrong with a certificate, in words for whoever has to get it right.
fn tls(error: &rustls::Error, whom: &str) -> String {
    use rustls::{CertificateError as C, Error as E};
    match error {
        E::InvalidCertificate(wrong) => match wrong {
            C::UnknownIssuer => format!(
                "the certificate of {whom} is not trusted here: if a company's own authority issued it, \
                 SSL_CERT_FILE can name that"
            ),
            C::Expired | C::ExpiredContext { .. } => format!("the certificate of {whom} has expired"),
            C::NotValidYet | C::NotValidYetContext { .. } => {
                format!("the certificate of {whom} is not valid yet: is this machine's clock right?")
            }
            C::NotValidForName | C::NotValidForNameContext { .. } => {
                format!("the certificate is that of another host, not of {whom}")
            }
            _ => format!("the certificate of {whom} is not trusted here"),
        },
        E::General(_) => {
            format!("no connection to {whom}: no certificates to trust were found (SSL_CERT_FILE)")
        }
        _ => format!("no secure connection to {whom}: it may not speak TLS"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_loopback_alone() {
        let network = Network::new(Routes::default());
        for url in
            ["http://example.com/", "ftp://localhost/", "http://127.0.0.1.example.com/", "http://0.0.0.0/"]
        {
            let request = Request {
                method: "GET",
                url,
                headers: Vec::new(),
                body: None,
                timeout: Duration::from_secs(1),
            };
            let failure = network.send(&request).expect_err(url);
            assert!(!failure.sent && failure.why.contains("only https"), "{url}: {}", failure.why);
        }
    }

    fn post(url: &str) -> NoAnswer {
        let body = Some(("text/plain", Secret::new("x")));
        let request =
            Request { method: "POST", url, headers: Vec::new(), body, timeout: Duration::from_secs(5) };
        Network::new(Routes::default()).send(&request).expect_err(url)
    }

    /// The difference a login depends on: what certainly never left, and what may have arrived.
    #[test]
    fn sent_or_not() {
        let closed =
            std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).unwrap();
        assert!(!post(&format!("http://{closed}/")).sent, "refused");
        assert!(!post("https://name.invalid/").sent, "a name that is not found");

        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let server = std::thread::spawn(move || drop(listener.accept()));
        assert!(post(&url).sent, "closed without an answer");
        server.join().unwrap();
    }
}
