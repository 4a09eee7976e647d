//! HTTP over ureq and rustls: blocking, with the same rules for every request.
//!
//! No redirect is followed, https is required except on loopback, loopback is never proxied, bodies are bounded, and
//! no error contains a request's headers or body.

use std::{io::Read as _, sync::OnceLock, time::Duration};

use keyfob_core::{
    Error,
    oauth::{reply::Reply, sent::Sent},
};
use ureq::{
    Agent, Body,
    config::Config,
    http::{self, Response, Uri},
    tls::TlsConfig,
    unversioned::transport::{Connector, DefaultConnector, Transport},
};

use crate::world::system::{
    clock::SystemClock,
    names::Names,
    progress::{Journey, Mark},
    routes::{Routes, Way},
};
use crate::world::{Answer, Clock, Connected, Http, NoAnswer, Request, headers::Headers};

/// No answer of a provider is larger.
pub(crate) const LARGEST: u64 = 1024 * 1024;
/// How long a connection may take, TLS and a proxy in between included.
pub(crate) const CONNECT: Duration = Duration::from_secs(10);

/// The network.
pub struct Network {
    routes: Routes,
    // Made on the first request: reading the system's roots costs more than a whole `keyfob token`.
    plain: OnceLock<Agent>,
    direct: OnceLock<Agent>,
    proxied: OnceLock<Agent>,
}

impl Network {
    /// A network that is touched by the first request, not before.
    #[must_use]
    pub fn new(routes: Routes) -> Self {
        Self { routes, plain: OnceLock::new(), direct: OnceLock::new(), proxied: OnceLock::new() }
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
        let malformed = || NoAnswer::not_sent("the request cannot be written");
        let uri: Uri = url.parse().map_err(|_| malformed())?;
        let agent = self.agent(&uri, self.routes.way_to_collector(&uri)?);
        let journey = Journey::begin(&uri, agent.config().proxy());
        let mut builder = http::Request::post(uri);
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        let request = builder.body(body).map_err(|_| malformed())?;
        let request = agent.configure_request(request).timeout_global(Some(timeout)).build();
        let mut response = agent.run(request).map_err(|error| journey.failed(&error))?;
        let body = response.body_mut().with_config().limit(LARGEST).read_to_vec();
        Ok((response.status().as_u16(), body.map_err(|error| journey.failed(&error))?))
    }

    fn agent(&self, uri: &Uri, way: Way) -> &Agent {
        let kept = match (uri.scheme_str(), &way.proxy) {
            (Some("http"), _) => &self.plain,
            (_, Some(_)) => &self.proxied,
            (_, None) => &self.direct,
        };
        kept.get_or_init(|| agent(way))
    }
}

fn agent(way: Way) -> Agent {
    let chain = chain(way.proxy.is_some());
    Agent::with_parts(config(way), chain, Names)
}

/// Name, proxy, TCP and TLS, and after them the mark.
pub(crate) fn chain(proxied: bool) -> impl Connector<Out = Box<dyn Transport>> {
    DefaultConnector::default().chain(Mark { proxied })
}

/// The same for every step: whom we believe, which way we go, how long we try.
pub(crate) fn config(way: Way) -> Config {
    let tls = TlsConfig::builder().root_certs(way.roots).build();
    Config::builder()
        .tls_config(tls)
        .proxy(way.proxy)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .max_idle_connections(0)
        .user_agent(concat!("keyfob/", env!("CARGO_PKG_VERSION")))
        .timeout_connect(Some(CONNECT))
        .build()
}

impl Http for Network {
    fn ready(&self) -> Result<(), Error> {
        self.routes.check()
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "headers and body leave for the one address they are meant for"
    )]
    fn send_when(&self, request: &Request<'_>, connected: Connected) -> Result<Answer, NoAnswer> {
        let not_sent = |why: &str| NoAnswer::not_sent(why);
        let uri: Uri = request.url.parse().map_err(|_| not_sent("the address is not a URL"))?;
        let agent = self.agent(&uri, self.routes.way(&uri)?);
        let journey = Journey::begin(&uri, agent.config().proxy());
        journey.when_connected(connected);
        let mut builder =
            http::Request::builder().method(request.method).uri(uri).header("Accept", "application/json");
        for (name, value) in &request.headers {
            builder = builder.header(&**name, value.expose());
        }
        let malformed = |_| not_sent("the request cannot be written");
        // By the wall clock: sleep counts, as it does for the life of what is granted.
        let asked_at = SystemClock.now();
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
        let mut response = response.map_err(|error| journey.failed(&error))?;
        let mut body = Vec::new();
        let read = response.body_mut().with_config().limit(LARGEST).reader().read_to_end(&mut body);
        let sent = Sent::new(request.body.as_ref().map(|(_, body)| body), &request.headers);
        let mut answer = answer(&response, body, sent);
        answer.reply.asked_at = Some(asked_at);
        match read {
            Ok(_) => Ok(answer),
            Err(error) => {
                let broken = journey.failed(&ureq::Error::from(error));
                answer.reply.cut = Some(broken.why.clone());
                Err(NoAnswer { part: Some(Box::new(answer.reply)), ..broken })
            }
        }
    }
}

fn answer(response: &Response<Body>, body: Vec<u8>, sent: Sent) -> Answer {
    let fields = response.headers().iter();
    let headers =
        Headers::new(fields.filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?))));
    let header = |name: &str| headers.get(name).map(str::to_owned);
    Answer {
        reply: Reply {
            status: response.status().as_u16(),
            content_type: header("Content-Type"),
            retry_after: header("Retry-After"),
            date: header("Date"),
            body,
            cut: None,
            sent,
            asked_at: None,
        },
        headers,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keyfob_core::Secret;

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
    fn failed_request_says_whether_it_was_sent() {
        let closed =
            std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).unwrap();
        assert!(!post(&format!("http://{closed}/")).sent, "refused");
        assert!(!post("https://name.invalid/").sent, "a name that is not found");

        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let server = std::thread::Builder::new().spawn(move || drop(listener.accept())).unwrap();
        assert!(post(&url).sent, "closed without an answer");
        server.join().unwrap();
    }
}
