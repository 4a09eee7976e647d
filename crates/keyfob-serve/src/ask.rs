//! Asks an agent.

use std::{collections::BTreeMap, io, net::SocketAddr, os::fd::OwnedFd, path::Path, time::Duration};

use http::{HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{body::Bytes, client::conn::http1};
use hyper_util::rt::TokioIo;
use keyfob::{Generation, Secret};
use serde::de::DeserializeOwned;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
    runtime,
};

use crate::agent::users;
use crate::doorbell;
use crate::wire::{self, Failed, Narrowed, Problem, Question};

/// How much longer than the agent a client waits: the agent's own answer that it has none comes within that.
const MARGIN: Duration = Duration::from_secs(5);

/// Why there is no answer where the connection ended.
const BROKEN: &str = "the connection broke";

/// How many times it is asked again because of that.
const AGAIN: usize = 3;

/// A way to an agent.
#[derive(Debug)]
pub struct Line<'p>(Way<'p>);

#[derive(Debug)]
enum Way<'p> {
    Socket(&'p Path),
    Bell(&'p OwnedFd),
    Loopback(SocketAddr, &'p Secret),
}

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// The profile that is meant; `None`: that of the door.
    pub profile: Option<String>,
    /// The environment that is meant; `None`: that of the door.
    pub environment: Option<String>,
    /// How long the token has to be valid.
    pub min_valid: Duration,
    /// What an API answered 401 to.
    pub rejected: Option<Generation>,
    /// The origin (`https://host[:port]`) that the credential is to go to, where one is known: then the agent judges by its
    /// own environment whether it may, and a door that is for some hosts alone can answer.
    pub origin: Option<String>,
    /// How long to wait for the answer, if not as long as the agent does by itself.
    pub wait: Option<Duration>,
}

/// A credential that an agent lends.
#[derive(Debug)]
pub struct Lent {
    /// The access token.
    pub token: Secret,
    /// The headers to send.
    pub headers: Vec<(String, Secret)>,
    /// Which state of which login it is.
    pub generation: Generation,
    /// The profile, on the agent's side.
    pub profile: Option<String>,
    /// The environment, on the agent's side.
    pub environment: String,
    /// How many seconds it is still valid.
    pub expires_in: Option<i64>,
    /// What a person should hear although there is a token: what, and why.
    pub warning: Option<Answer>,
}

/// An error, as the agent tells it.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The id of the error, if this version knows it.
    pub id: Option<keyfob::ErrorId>,
    /// The word of its cause, where one is known.
    pub cause: Option<String>,
    /// What failed.
    pub what: String,
    /// Why.
    pub why: String,
    /// What to do on the agent's machine.
    pub hint: String,
}

/// Why there is no answer, or not the one that was asked for.
#[derive(Debug)]
pub enum Refused {
    /// Nobody listens there.
    Absent(io::Error),
    /// Who listens there is another user, of this number. Nothing was asked.
    Stranger(u32),
    /// No answer came in time.
    Silent,
    /// What came is no answer of an agent.
    NoAnswer(&'static str),
    /// The agent said no.
    Said(Answer),
}

/// The state of an agent's door.
#[derive(Clone, Debug)]
pub struct Standing {
    /// The version of the agent.
    pub version: String,
    /// Its process, as it sees itself.
    pub pid: u32,
    /// The name of the door.
    pub door: String,
    /// The environment it is for.
    pub environment: String,
    /// The profile it is for.
    pub profile: String,
    /// Whose login it is, where that is known.
    pub account: Option<String>,
    /// Whether it gives headers for a request alone.
    pub headers_only: bool,
    /// Whether it renews nothing that was rejected.
    pub no_rejected: bool,
    /// The origins it is for, if not all that the credential may go to.
    pub hosts: Vec<String>,
    /// What its tokens are narrowed to, if they are not the login's own.
    pub narrowed: Option<Narrowed>,
    /// Seconds until it closes.
    pub closes_in: Option<u64>,
    /// Seconds that the agent has run.
    pub uptime: u64,
    /// Connections now.
    pub connections: u64,
    /// Requests that were answered.
    pub answered: u64,
    /// Requests that were refused.
    pub refused: u64,
    /// Where the credential comes from, if there is one.
    pub source: Option<String>,
    /// Which state of which login it is.
    pub handle: Option<String>,
    /// Seconds until the access token ends.
    pub expires_in: Option<i64>,
    /// Why there is no token, or will be none.
    pub problem: Option<Answer>,
}

/// The state of a proxy.
#[derive(Clone, Debug)]
pub struct Working {
    /// The version of the proxy.
    pub version: String,
    /// Its process, as it sees itself.
    pub pid: u32,
    /// Where requests go.
    pub to: String,
    /// The environment whose credential is added.
    pub environment: String,
    /// The profile whose credential is added.
    pub profile: String,
    /// Seconds that the proxy has run.
    pub uptime: u64,
    /// Connections now.
    pub connections: u64,
    /// Answers that are still coming, and connections that speak another protocol.
    pub streams: u64,
    /// Answers of the origin, by the class of their status (`2xx`).
    pub answered: BTreeMap<String, u64>,
    /// Answers of the proxy's own, by the id of the error.
    pub refused: BTreeMap<String, u64>,
    /// How many times a renewed credential came.
    pub renewed: u64,
    /// Where the credential comes from, if there is one.
    pub source: Option<String>,
    /// Seconds until the access token ends.
    pub expires_in: Option<i64>,
    /// Why there is no token, or will be none.
    pub problem: Option<Answer>,
}

impl<'p> Line<'p> {
    /// To the agent whose socket is at this path. Whether the path may be used is for the caller to judge.
    #[must_use]
    pub fn to(path: &'p Path) -> Self {
        Self(Way::Socket(path))
    }

    /// To the agent that gave this descriptor to the programs below it. Others may use it at the same time.
    #[must_use]
    pub fn through(bell: &'p OwnedFd) -> Self {
        Self(Way::Bell(bell))
    }

    /// To the proxy that listens there on loopback, for whoever has this token.
    #[must_use]
    pub fn at(address: SocketAddr, token: &'p Secret) -> Self {
        Self(Way::Loopback(address, token))
    }

    /// Asks for a token; with an origin, for the one in the headers of a request to it.
    ///
    /// # Errors
    /// Why there is none.
    pub fn token(&self, asked: &Asked) -> Result<Lent, Refused> {
        let question = Question {
            profile: asked.profile.clone(),
            environment: asked.environment.clone(),
            min_valid: asked.min_valid.as_secs(),
            rejected: asked.rejected.as_ref().map(ToString::to_string),
            method: asked.origin.is_some().then(|| "GET".into()),
            url: asked.origin.as_ref().map(|origin| format!("{origin}/")),
        };
        let path = if asked.origin.is_some() { wire::HEADERS } else { wire::TOKEN };
        let body =
            serde_json::to_vec(&question).map_err(|_| Refused::NoAnswer("the question cannot be written"))?;
        let said: wire::Credential<String> = self.ask(&Method::POST, path, &body, asked.wait)?;
        lent(said, asked.origin.is_none())
    }

    /// Asks for the state of the door.
    ///
    /// # Errors
    /// Why there is no answer.
    pub fn status(&self) -> Result<Standing, Refused> {
        let said: wire::Status = self.ask(&Method::GET, wire::STATUS, &[], None)?;
        Ok(Standing {
            version: said.version,
            pid: said.pid,
            door: said.door,
            environment: said.environment,
            profile: said.profile,
            account: said.account,
            headers_only: said.headers_only,
            no_rejected: said.no_rejected,
            hosts: said.hosts,
            narrowed: said.narrowed,
            closes_in: said.closes_in,
            uptime: said.uptime,
            connections: said.connections,
            answered: said.answered,
            refused: said.refused,
            source: said.source,
            handle: said.handle,
            expires_in: said.expires_in,
            problem: said.error.map(answer),
        })
    }

    /// Asks a proxy for its state.
    ///
    /// # Errors
    /// Why there is no answer.
    pub fn proxy_status(&self) -> Result<Working, Refused> {
        let said: wire::ProxyStatus = self.ask(&Method::GET, wire::STATUS, &[], None)?;
        Ok(Working {
            version: said.version,
            pid: said.pid,
            to: said.to,
            environment: said.environment,
            profile: said.profile,
            uptime: said.uptime,
            connections: said.connections,
            streams: said.streams,
            answered: said.answered,
            refused: said.refused,
            renewed: said.renewed,
            source: said.source,
            expires_in: said.expires_in,
            problem: said.error.map(answer),
        })
    }

    fn ask<T: DeserializeOwned>(
        &self,
        method: &Method,
        path: &str,
        body: &[u8],
        wait: Option<Duration>,
    ) -> Result<T, Refused> {
        let runtime = runtime::Builder::new_current_thread().enable_all().build().map_err(Refused::Absent)?;
        let patience = wait.map_or(wire::ANSWERING, |wait| wait.min(wire::LONGEST_WAIT)) + MARGIN;
        runtime.block_on(async {
            let asking = async {
                let mut times = 0;
                loop {
                    match exchange(&self.0, method.clone(), path, body.to_vec(), wait).await {
                        // The agent has ended before its answer. No request changes by being asked again, and another
                        // agent may listen at the same socket.
                        Err(Refused::NoAnswer(BROKEN)) if times < AGAIN => times += 1,
                        outcome => return outcome,
                    }
                }
            };
            tokio::time::timeout(patience, asking).await.map_err(|_| Refused::Silent)?
        })
    }
}

async fn exchange<T: DeserializeOwned>(
    way: &Way<'_>,
    method: Method,
    path: &str,
    body: Vec<u8>,
    wait: Option<Duration>,
) -> Result<T, Refused> {
    match way {
        Way::Socket(socket) => {
            let stream = UnixStream::connect(socket).await.map_err(Refused::Absent)?;
            // Whoever can make a socket there could give out a token of their own, and see what is sent with it.
            let server = stream.peer_cred().map_err(Refused::Absent)?.uid();
            // What was inherited is our own user's, whatever a namespace calls him; what is at a path may be anybody's.
            if !users::is_one(server) {
                return Err(Refused::Stranger(server));
            }
            known(server)?;
            over(stream, method, path, body, wait, None).await
        }
        Way::Loopback(address, token) => {
            let stream = TcpStream::connect(address).await.map_err(Refused::Absent)?;
            over(stream, method, path, body, wait, Some(token)).await
        }
        Way::Bell(bell) => {
            // A variable of whoever started us names a number, and behind that may be anybody's pair.
            #[cfg(target_os = "linux")]
            if let Ok(maker) = rustix::net::sockopt::socket_peercred(bell) {
                known(maker.uid.as_raw())?;
            }
            over(doorbell::ring(bell).map_err(Refused::Absent)?, method, path, body, wait, None).await
        }
    }
}

/// Only this user and root are believed.
fn known(server: u32) -> Result<(), Refused> {
    let is_known = server == 0 || server == rustix::process::geteuid().as_raw();
    if is_known { Ok(()) } else { Err(Refused::Stranger(server)) }
}

async fn over<T: DeserializeOwned, S: AsyncRead + AsyncWrite + Send + Unpin>(
    stream: S,
    method: Method,
    path: &str,
    body: Vec<u8>,
    wait: Option<Duration>,
    pass: Option<&Secret>,
) -> Result<T, Refused> {
    let broken = |_: hyper::Error| Refused::NoAnswer(BROKEN);
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let mut request = Request::builder().method(method).uri(path).header(header::HOST, wire::HOST);
    request = request.header(wire::MARK, wire::VERSION).header(header::CONTENT_TYPE, "application/json");
    if let Some(pass) = pass {
        request = request.header("x-api-key", told(pass)?);
    }
    if let Some(wait) = wait {
        request = request.header("prefer", format!("wait={}", wait.as_secs()));
    }
    let request = request
        .body(Full::new(Bytes::from(body)))
        .map_err(|_| Refused::NoAnswer("the question cannot be written"))?;
    let answering = async move {
        let (head, body) = sender.send_request(request).await.map_err(broken)?.into_parts();
        let octets = Limited::new(body, wire::LARGEST_BODY).collect().await;
        let octets = octets.map_err(|error| {
            let is_too_large = error.is::<http_body_util::LengthLimitError>();
            Refused::NoAnswer(if is_too_large { "its answer is too large" } else { BROKEN })
        })?;
        let octets = octets.to_bytes();
        // The sender is dropped here, and the connection ends.
        Ok::<_, Refused>((head.status, octets))
    };
    let (answered, _) = tokio::join!(answering, connection);
    let (status, octets) = answered?;
    let foreign = |_: serde_json::Error| Refused::NoAnswer("what answers there is no agent");
    if status == StatusCode::OK {
        return serde_json::from_slice(&octets).map_err(foreign);
    }
    let failed: Failed = serde_json::from_slice(&octets).map_err(foreign)?;
    Err(Refused::Said(answer(failed.error)))
}

#[expect(clippy::disallowed_methods, reason = "it is for the proxy that made it")]
fn told(pass: &Secret) -> Result<HeaderValue, Refused> {
    let mut value = HeaderValue::from_str(pass.expose())
        .map_err(|_| Refused::NoAnswer("the token of its run cannot be sent"))?;
    value.set_sensitive(true);
    Ok(value)
}

fn answer(problem: Problem) -> Answer {
    Answer {
        id: keyfob::ErrorId::from_word(&problem.id),
        cause: problem.cause,
        what: problem.what,
        why: problem.why,
        hint: problem.hint,
    }
}

fn lent(said: wire::Credential<String>, with_token: bool) -> Result<Lent, Refused> {
    let generation = said.handle.parse().map_err(|_| Refused::NoAnswer("its answer names no login"))?;
    let in_header = || {
        let mut named =
            said.headers.iter().filter(|header| header.name.eq_ignore_ascii_case("authorization"));
        named.next()?.value.strip_prefix("Bearer ").map(str::to_owned)
    };
    let token = if with_token { said.token } else { in_header() };
    let token = token.ok_or(Refused::NoAnswer("its answer has no token"))?;
    let token = Secret::visible(&token).map_err(|_| Refused::NoAnswer("its answer has no usable token"))?;
    let headers =
        said.headers.into_iter().map(|header| (header.name, Secret::from(header.value))).collect::<Vec<_>>();
    if !headers.iter().all(|(name, value)| is_header(name, value)) {
        return Err(Refused::NoAnswer("its answer has a header that is none"));
    }
    Ok(Lent {
        token,
        headers,
        generation,
        profile: said.profile,
        environment: said.environment,
        expires_in: said.expires_in,
        warning: said.warning.map(answer),
    })
}

/// Printed lines of headers are given to other programs: none may be two.
#[expect(clippy::disallowed_methods, reason = "it is looked at, and goes nowhere")]
fn is_header(name: &str, value: &Secret) -> bool {
    http::HeaderName::from_bytes(name.as_bytes()).is_ok()
        && value.expose().bytes().all(|octet| (0x20..=0x7e).contains(&octet))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(change: impl FnOnce(&mut serde_json::Value)) -> Result<Lent, Refused> {
        let mut value = serde_json::json!({
            "v": 1, "token": "sesame", "scheme": "Bearer",
            "headers": [{"name": "Authorization", "value": "Bearer sesame"}],
            "source": "login", "login": "07070707070707070707070707070707", "generation": 3,
            "handle": "07070707070707070707070707070707:3", "profile": "default", "environment": "local",
            "expires_at": null, "expires_in": 60, "a member of a later version": true,
        });
        change(&mut value);
        lent(serde_json::from_value(value).map_err(|_| Refused::NoAnswer("not even that"))?, true)
    }

    #[test]
    fn an_answer_that_could_forge_a_line_is_none() {
        let right = said(|_| {}).expect("it is right");
        assert_eq!((right.generation.number(), right.expires_in), (3, Some(60)));
        assert!(right.token.same_as("sesame") && right.headers[0].1.same_as("Bearer sesame"));
        assert!(said(|v| v["token"] = "two\nlines".into()).is_err());
        assert!(said(|v| v["headers"][0]["value"] = "Bearer x\r\nX: y".into()).is_err());
        assert!(said(|v| v["headers"][0]["name"] = "X y".into()).is_err());
        assert!(said(|v| v["handle"] = "7".into()).is_err());
        assert!(said(|v| v["token"] = serde_json::Value::Null).is_err());
    }
}
