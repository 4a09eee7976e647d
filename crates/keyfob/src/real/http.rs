//! HTTP over ureq and rustls: blocking, with one rule for every step of the product.
//!
//! No redirect is followed, https is required except on loopback, loopback is never proxied, bodies are
//! bounded, and nothing of a request's headers or body gets into an error.

use std::{cell::Cell, io, sync::OnceLock, time::Duration};

use keyfob_core::{Error, Id, Result, Secret, error::escape, token::Reply};
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

use crate::world::{Answer, Http, NoAnswer, Request};

/// No answer of a provider is larger.
const LARGEST: u64 = 1024 * 1024;

/// How to reach the outside: what the environment says, checked.
#[derive(Clone, Debug, Default)]
pub struct Routes {
    /// Proxy for https addresses.
    pub https_proxy: Option<String>,
    /// Proxy for http addresses. Loopback, the only place where http is allowed, is never proxied.
    pub http_proxy: Option<String>,
    /// Hosts that are reached directly.
    pub no_proxy: Option<String>,
}

/// The network.
pub struct Network {
    routes: Routes,
    // Made on the first request: reading the system's roots costs more than a whole `keyfob token`.
    direct: OnceLock<Agent>,
    proxied: OnceLock<Result<Agent>>,
}

impl Network {
    /// A network that is touched by the first request, not before.
    #[must_use]
    pub fn new(routes: Routes) -> Self {
        Self { routes, direct: OnceLock::new(), proxied: OnceLock::new() }
    }

    /// Checks the proxy's address without using it.
    ///
    /// # Errors
    /// [`Id::ProxyMalformed`].
    pub fn check(routes: &Routes) -> Result<()> {
        let both = [("HTTPS_PROXY", &routes.https_proxy), ("HTTP_PROXY", &routes.http_proxy)];
        for (name, proxy) in both {
            if let Some(proxy) = proxy {
                proxy_of(name, proxy, None)?;
            }
        }
        Ok(())
    }

    /// Posts a report to a place the user chose for it, with the headers meant for that place. Other than
    /// [`Http::send`] this may be any host and plain http: nothing of a login is ever in a report.
    ///
    /// # Errors
    /// [`NoAnswer`] unless a complete answer came.
    pub fn report(
        &self,
        url: &str,
        headers: &[(&str, &str)],
        body: &[u8],
        timeout: Duration,
    ) -> Result<(u16, Vec<u8>), NoAnswer> {
        let malformed = || NoAnswer { sent: false, why: "the request cannot be written".into() };
        let uri: Uri = url.parse().map_err(|_| malformed())?;
        let host = uri.host().unwrap_or("").to_owned();
        let agent = self.agent(&uri)?;
        CONNECTED.set(false);
        let mut builder = http::Request::post(uri);
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        let request = builder.body(body).map_err(|_| malformed())?;
        let request = agent.configure_request(request).timeout_global(Some(timeout)).build();
        let mut response = agent.run(request).map_err(|error| no_answer(&error, &host))?;
        let body = response.body_mut().with_config().limit(LARGEST).read_to_vec();
        Ok((response.status().as_u16(), body.map_err(|error| no_answer(&error, &host))?))
    }

    fn agent(&self, uri: &Uri) -> Result<&Agent, NoAnswer> {
        let direct = || self.direct.get_or_init(|| agent(None));
        match &self.routes.https_proxy {
            Some(proxy) if uri.scheme_str() == Some("https") && !is_loopback(uri.host().unwrap_or("")) => {
                self.proxied
                    .get_or_init(|| {
                        Ok(agent(Some(proxy_of("HTTPS_PROXY", proxy, self.routes.no_proxy.as_deref())?)))
                    })
                    .as_ref()
                    .map_err(|error| NoAnswer { sent: false, why: error.message() })
            }
            _ => Ok(direct()),
        }
    }
}

fn agent(proxy: Option<ureq::Proxy>) -> Agent {
    let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
    let config = Config::builder()
        .tls_config(tls)
        .proxy(proxy)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .max_idle_connections(0)
        .user_agent(concat!("keyfob/", env!("CARGO_PKG_VERSION")))
        .timeout_connect(Some(Duration::from_secs(10)))
        .build();
    Agent::with_parts(config, DefaultConnector::default().chain(Mark), DefaultResolver::default())
}

thread_local! {
    /// Whether the request this thread is sending has got a connection.
    static CONNECTED: Cell<bool> = const { Cell::new(false) };
}

/// The last link of the chain of connectors: reached only when there is a connection. What fails before it was
/// certainly not sent, and of what fails after it nobody can be certain. The kind of error tells neither: a
/// host that is unreachable may be so before a connection or in the middle of one.
#[derive(Debug)]
struct Mark;

impl<In: Transport> Connector<In> for Mark {
    type Out = In;

    fn connect(&self, _: &ConnectionDetails<'_>, chained: Option<In>) -> Result<Option<In>, ureq::Error> {
        CONNECTED.set(chained.is_some());
        Ok(chained)
    }
}

fn proxy_of(name: &str, text: &str, no_proxy: Option<&str>) -> Result<ureq::Proxy> {
    let wrong =
        || Error::new(Id::ProxyMalformed, format!("{name} is malformed"), "it is not the address of a proxy");
    let proxy = ureq::Proxy::new(text).map_err(|_| wrong())?;
    let Some(no_proxy) = no_proxy else { return Ok(proxy) };
    let mut builder = ureq::Proxy::builder(proxy.protocol()).host(proxy.host()).port(proxy.port());
    if let Some(user) = proxy.username() {
        builder = builder.username(user);
    }
    if let Some(password) = proxy.password() {
        builder = builder.password(password);
    }
    for host in no_proxy.split(',').map(str::trim).filter(|host| !host.is_empty()) {
        builder = builder.no_proxy(host);
    }
    builder.build().map_err(|_| wrong())
}

/// `localhost`, 127.0.0.0/8, `[::1]`: traffic that never leaves this machine.
#[must_use]
pub fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
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
        CONNECTED.set(false);
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
        let mut response = response.map_err(|error| no_answer(&error, &host))?;
        let body = response.body_mut().with_config().limit(LARGEST).read_to_vec();
        let body = body.map_err(|error| NoAnswer { sent: true, ..no_answer(&error, &host) })?;
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

/// Sorts a failure: did the request certainly not reach the other side?
fn no_answer(error: &ureq::Error, host: &str) -> NoAnswer {
    use ureq::Error as E;
    // A refused certificate ends the handshake before anything of ours is sent. Later TLS failures may not.
    let certificate = is_certificate(error);
    let why = match error {
        E::HostNotFound => format!("the name {host} was not found"),
        E::ConnectionFailed => format!("no connection to {host}"),
        E::Timeout(_) => format!("{host} took too long"),
        E::BodyExceedsLimit(_) => format!("the answer of {host} was larger than a mebibyte"),
        E::ConnectProxyFailed(_) => "the proxy refused the connection".into(),
        _ if certificate => format!("the certificate of {host} is not trusted here"),
        E::Io(error) => match error.kind() {
            io::ErrorKind::ConnectionRefused => format!("{host} refused the connection"),
            io::ErrorKind::UnexpectedEof => format!("{host} closed the connection without a whole answer"),
            // Looking a name up fails without a kind of its own.
            _ if !CONNECTED.get() => format!("no connection to {host}: {}", escape(&error.to_string())),
            kind => format!("the connection to {host} failed ({kind})"),
        },
        E::Protocol(_) => format!("the answer of {host} is not whole HTTP"),
        _ => format!("the request to {host} failed"),
    };
    NoAnswer { sent: CONNECTED.get() && !certificate, why }
}

fn is_certificate(error: &ureq::Error) -> bool {
    let text = match error {
        ureq::Error::Rustls(error) => return is_certificate_text(&error.to_string()),
        ureq::Error::Io(error) => error.to_string(),
        ureq::Error::Other(error) => error.to_string(),
        _ => return false,
    };
    is_certificate_text(&text)
}

fn is_certificate_text(text: &str) -> bool {
    text.contains("invalid peer certificate")
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

    #[test]
    fn proxies_are_checked_before_use() {
        let with =
            |proxy: &str| Network::check(&Routes { https_proxy: Some(proxy.into()), ..Routes::default() });
        assert!(with("http://proxy.example:3128").is_ok());
        assert_eq!(with("::nonsense::").unwrap_err().id(), Id::ProxyMalformed);
    }
}
