//! A request to a door, and its answer.

use std::{sync::Arc, time::Duration};

use http::{HeaderMap, HeaderName, Method, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use keyfob::{Cause, Error, ErrorId};

use crate::{
    agent::{
        credential::{self, What, json, problem},
        flight::{Credential, Wish},
        log::Line,
        open::Open,
        peer::Peer,
    },
    strict,
    wire::{self, Question},
};

/// What tells of a proxy or a page between us and who asks: none has any business here.
const OF_STRANGERS: [HeaderName; 8] = [
    header::FORWARDED,
    header::ORIGIN,
    header::REFERER,
    header::VIA,
    HeaderName::from_static("sec-fetch-site"),
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-forwarded-proto"),
];

/// A request that is not answered with what it asks for.
struct Refusal {
    status: StatusCode,
    error: Error,
}

impl From<Error> for Refusal {
    /// The status follows from the kind of failure, which is what decides the exit code of the command.
    fn from(error: Error) -> Self {
        let status = match error.exit_code() {
            2 => StatusCode::BAD_REQUEST,
            4 => StatusCode::UNAUTHORIZED,
            5 if error.id() == ErrorId::AgentRefused => StatusCode::FORBIDDEN,
            5 => StatusCode::BAD_GATEWAY,
            6 => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self { status, error }
    }
}

impl Refusal {
    fn new(status: StatusCode, what: &str, why: impl Into<String>) -> Self {
        Self { status, error: Error::new(ErrorId::Usage, what, why) }
    }
}

/// What the log tells of a request.
#[derive(Default)]
struct Note {
    origin: Option<String>,
    lent: Option<Arc<Credential>>,
}

type Reply = Response<Full<Bytes>>;

/// Answers one request, and writes it down.
pub(crate) async fn answer(open: &Arc<Open>, peer: &Peer, request: Request<Incoming>) -> Reply {
    let (method, path) = (request.method().clone(), known(request.uri().path()));
    let mut note = Note::default();
    let answered = respond(open, peer, request, &mut note).await;
    open.counted(answered.is_ok());
    if note.lent.is_some() {
        open.handed_out();
    }
    if let Err(refusal) = &answered {
        open.refused(refusal.error.id());
    }
    let (reply, error) = match answered {
        Ok(body) => (reply(StatusCode::OK, body), None),
        Err(refusal) => (refuse(open, &refusal), Some(refusal.error.id().word())),
    };
    if let Some(log) = &open.log {
        let generation = note.lent.as_ref().map(|lent| &lent.generation);
        log.write(&Line {
            time: open.host.now().to_string(),
            door: &open.door.name,
            uid: peer.uid,
            pid: peer.pid(),
            method: method.as_str(),
            path,
            origin: note.origin.as_deref(),
            status: reply.status().as_u16(),
            error,
            login: generation.map(|generation| generation.login()),
            generation: generation.map(|generation| generation.number()),
        })
        .await;
    }
    reply
}

/// Only what is known is written down: another path may hold anything.
fn known(path: &str) -> &'static str {
    [wire::TOKEN, wire::HEADERS, wire::STATUS].into_iter().find(|known| *known == path).unwrap_or("?")
}

async fn respond(
    open: &Arc<Open>,
    peer: &Peer,
    request: Request<Incoming>,
    note: &mut Note,
) -> Result<Vec<u8>, Refusal> {
    if !open.door.admits(peer.uid) {
        let who = peer.uid.map_or("a user that the system does not tell".into(), |uid| format!("user {uid}"));
        return Err(open.door.refuse(&format!("it is not open to {who}")).into());
    }
    if open.closing.left().is_some_and(|left| left.is_zero()) {
        return Err(open.door.refuse("its time is over, and it has closed").into());
    }
    let (parts, body) = request.into_parts();
    if let Some((status, why)) = strict::refused(&parts.method, parts.uri.path()) {
        return Err(Refusal::new(status, "the request is malformed", why));
    }
    check_head(&parts.uri, &parts.headers)?;
    let path = parts.uri.path();
    let wanted = match path {
        wire::TOKEN | wire::HEADERS => Method::POST,
        wire::STATUS => Method::GET,
        _ => {
            let why = format!("there are {}, {} and {}", wire::TOKEN, wire::HEADERS, wire::STATUS);
            return Err(Refusal::new(StatusCode::NOT_FOUND, "there is no such path", why));
        }
    };
    if parts.method != wanted {
        let what = format!("{} is not for {}", parts.method, known(path));
        return Err(Refusal::new(
            StatusCode::METHOD_NOT_ALLOWED,
            &what,
            format!("it is asked with {wanted}"),
        ));
    }
    let octets = read(body).await?;
    let patience = patience(&parts.headers);
    if path == wire::STATUS {
        return match tokio::time::timeout(patience, status(open)).await {
            Ok(answered) => answered,
            Err(_) => Err(no_answer_within(patience, "the store is slow, or many ask")),
        };
    }
    let question: Question = if octets.is_empty() {
        Question::default()
    } else if octets.trim_ascii_start().first() != Some(&b'{') {
        // The reader would take a list for an object without names.
        return Err(Refusal::new(
            StatusCode::BAD_REQUEST,
            "the question is malformed",
            "it is not one object in JSON",
        ));
    } else {
        serde_json::from_slice(&octets).map_err(|error| {
            Refusal::new(StatusCode::BAD_REQUEST, "the question is malformed", told(&error))
        })?
    };
    let wants_token = path == wire::TOKEN;
    note.origin = open.door.check(&question, wants_token)?;
    let wish = Wish {
        min_valid: Duration::from_secs(question.min_valid),
        rejected: question.rejected.as_deref().map(rejected).transpose()?,
    };
    let asking = async {
        if let Some(origin) = &note.origin {
            open.flights.may_go_to(origin).await?;
        }
        open.flights.ask(wish).await
    };
    let Ok(outcome) = tokio::time::timeout(patience, asking).await else {
        return Err(no_answer_within(patience, "the login is being renewed"));
    };
    let lent = note.lent.insert(outcome?);
    Ok(credential::write(open, lent, if wants_token { What::Token } else { What::Headers })?)
}

fn no_answer_within(patience: Duration, reason: &str) -> Refusal {
    let why = format!("{reason}, and that has taken longer than {} s", patience.as_secs());
    let error = Error::new(ErrorId::Unreachable, "the agent has no answer yet", why)
        .because(Cause::Busy { status: 504, seconds: None });
    Refusal { status: StatusCode::GATEWAY_TIMEOUT, error }
}

/// What has to be right whatever is asked. A program that was talked into fetching an address of somebody's choice
/// (a page, a proxy, a service that loads pictures) gets no further.
fn check_head(uri: &Uri, headers: &HeaderMap) -> Result<(), Refusal> {
    let bad = |what: &str, why: &str| Err(Refusal::new(StatusCode::BAD_REQUEST, what, why));
    let only = |name: &HeaderName| {
        let mut values = headers.get_all(name).iter();
        values.next().filter(|_| values.next().is_none()).and_then(|value| value.to_str().ok())
    };
    if only(&wire::MARK) != Some(wire::VERSION) {
        return bad("the request has no header `Keyfob: 1`", "each request names the version that it speaks");
    }
    if only(&header::HOST) != Some(wire::HOST) {
        return bad("the request is for another host", "this one is http://keyfob/");
    }
    if uri.authority().is_some() || uri.query().is_some() {
        return bad("the address is not one of the agent's", "it is a path alone, without a query");
    }
    match OF_STRANGERS.iter().find(|name| headers.contains_key(*name)) {
        Some(name) => bad(&format!("the request has a header `{name}`"), "no proxy and no page may ask"),
        None => Ok(()),
    }
}

/// The whole body, within bounds of size and time.
async fn read(body: Incoming) -> Result<Bytes, Refusal> {
    let what = "the question could not be read";
    match tokio::time::timeout(wire::SENDING, Limited::new(body, wire::LARGEST_BODY).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, what, "it is larger than 64 KiB"))
        }
        Ok(Err(_)) => Err(Refusal::new(StatusCode::BAD_REQUEST, what, "it is incomplete")),
        Err(_) => Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, what, "it took longer than 10 s")),
    }
}

/// Why a question is malformed, without the text of it.
fn told(error: &serde_json::Error) -> String {
    use serde_json::error::Category;
    match error.classify() {
        Category::Data if error.to_string().starts_with("unknown field") => {
            "it has a member that this version does not know".into()
        }
        Category::Data => "a member of it is of the wrong type".into(),
        _ => "it is not one object in JSON".into(),
    }
}

fn rejected(handle: &str) -> Result<keyfob::Generation, Refusal> {
    let malformed =
        |why: &str| Refusal::new(StatusCode::BAD_REQUEST, "`rejected` is malformed", format!("it {why}"));
    handle.parse().map_err(malformed)
}

/// How long the asker waits: RFC 7240 §4.3, and a preference that is malformed is none (§2).
fn patience(headers: &HeaderMap) -> Duration {
    let values = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
    let mut preferences = values.flat_map(|value| value.split([',', ';'])).map(str::trim);
    let wait = preferences.find_map(|preference| preference.strip_prefix("wait=")?.parse().ok());
    wait.map_or(wire::ANSWERING, Duration::from_secs).min(wire::LONGEST_WAIT)
}

async fn status(open: &Arc<Open>) -> Result<Vec<u8>, Refusal> {
    let known = open.flights.known().await?;
    let door = &open.door;
    let [connections, answered, refused] = open.tally.read();
    Ok(json(&wire::Status {
        v: 1,
        version: env!("CARGO_PKG_VERSION").into(),
        pid: std::process::id(),
        door: door.name.clone(),
        environment: door.environment.clone(),
        profile: door.profile.clone(),
        account: known.account,
        headers_only: door.headers_only || !door.hosts.is_empty(),
        no_rejected: door.no_rejected,
        hosts: door.hosts.clone(),
        closes_in: open.closing.left().map(|left| left.as_secs()),
        uptime: open.began.elapsed().as_secs(),
        connections,
        answered,
        refused,
        source: known.source.map(|source| source.name().into()),
        handle: known.generation.map(|generation| generation.to_string()),
        expires_at: known.expires_at.map(|end| end.to_string()),
        expires_in: known.expires_at.map(|end| end.since(open.host.now())),
        error: known.problem.as_ref().map(|error| problem(open, error)),
    })?)
}

fn refuse(open: &Open, refusal: &Refusal) -> Reply {
    let failed = wire::Failed { v: 1, error: problem(open, &refusal.error) };
    let mut reply = reply(refusal.status, json(&failed).unwrap_or_default());
    // RFC 9110 §10.2.3, where it is known how long.
    if let Some(Cause::CoolingDown { seconds } | Cause::Busy { seconds: Some(seconds), .. }) =
        refusal.error.cause()
    {
        reply.headers_mut().insert(header::RETRY_AFTER, (*seconds).max(1).into());
    }
    if refusal.status == StatusCode::METHOD_NOT_ALLOWED {
        // RFC 9110 §15.5.6 wants it; which it is, is in the answer too.
        let allowed = if refusal.error.why().ends_with("GET") { "GET" } else { "POST" };
        reply.headers_mut().insert(header::ALLOW, http::HeaderValue::from_static(allowed));
    }
    reply
}

/// RFC 6749 §5.1: nothing on the way keeps a token.
fn reply(status: StatusCode, body: Vec<u8>) -> Reply {
    let mut reply = Response::new(Full::new(Bytes::from(body)));
    *reply.status_mut() = status;
    let headers = reply.headers_mut();
    headers.insert(header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, http::HeaderValue::from_static("no-store"));
    reply
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(HeaderName::from_static(name), http::HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn a_request_names_version_and_host_and_comes_from_no_proxy() {
        let right = [("keyfob", "1"), ("host", "keyfob")];
        let is_refused = |uri: &str, lines: &[(&'static str, &'static str)]| {
            check_head(&uri.parse().unwrap(), &head(lines)).is_err()
        };
        assert!(!is_refused("/v1/token", &right));
        for wrong in [
            &[("host", "keyfob")][..],
            &[("keyfob", "2"), ("host", "keyfob")],
            &[("keyfob", "1"), ("keyfob", "1"), ("host", "keyfob")],
            &[("keyfob", "1")],
            &[("keyfob", "1"), ("host", "localhost")],
            &[("keyfob", "1"), ("host", "keyfob"), ("host", "keyfob")],
            &[("keyfob", "1"), ("host", "keyfob"), ("origin", "null")],
            &[("keyfob", "1"), ("host", "keyfob"), ("x-forwarded-for", "10.0.0.1")],
            &[("keyfob", "1"), ("host", "keyfob"), ("via", "1.1 proxy")],
        ] {
            assert!(is_refused("/v1/token", wrong), "{wrong:?}");
        }
        assert!(is_refused("http://keyfob/v1/token", &right) && is_refused("/v1/token?x", &right));
    }

    #[test]
    fn how_long_somebody_waits_is_bounded() {
        let wait = |lines: &[(&'static str, &'static str)]| patience(&head(lines)).as_secs();
        assert_eq!(wait(&[]), 10);
        assert_eq!(wait(&[("prefer", "respond-async, wait=3")]), 3);
        assert_eq!(wait(&[("prefer", "wait=3600")]), 60);
        assert_eq!(wait(&[("prefer", "wait=-1")]), 10);
        assert_eq!(wait(&[("prefer", "wait=0")]), 0);
    }

    #[test]
    fn the_status_follows_from_the_exit_code() {
        let status = |id| Refusal::from(Error::new(id, "", "")).status.as_u16();
        assert_eq!(status(ErrorId::Usage), 400);
        assert_eq!(status(ErrorId::LoginRefused), 401);
        assert_eq!(status(ErrorId::AgentRefused), 403);
        assert_eq!(status(ErrorId::ProviderRefused), 502);
        assert_eq!(status(ErrorId::CoolingDown), 503);
        assert_eq!(status(ErrorId::StoreFailed), 500);
        assert_eq!(status(ErrorId::ConfigMalformed), 500);
    }
}
