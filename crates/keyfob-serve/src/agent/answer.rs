//! A request to a door, and its answer.

use std::{sync::Arc, time::Duration};

use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use keyfob::{Cause, Error, ErrorId};

use crate::{
    agent::{
        asked::{Refusal, check_head, patience, question, rejected},
        credential::{self, What, json, problem},
        flight::{Credential, Wish},
        log::Line,
        open::Open,
        peer::Peer,
    },
    strict, wire,
};

/// What the log tells of a request.
#[derive(Default)]
struct Note {
    origin: Option<String>,
    lent: Option<Arc<Credential>>,
}

type Reply = Response<Full<Bytes>>;

/// Answers one request, and writes it down.
pub(crate) async fn answer(open: &Arc<Open>, peer: &Peer, request: Request<Incoming>) -> Reply {
    let (method, path) = (known_method(request.method()), known(request.uri().path()));
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
            door: &open.door.terms.name,
            uid: peer.uid,
            pid: peer.pid(),
            method,
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

/// As for paths.
fn known_method(method: &Method) -> &'static str {
    ["GET", "POST"].into_iter().find(|known| *known == method.as_str()).unwrap_or("?")
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
    let is_over = open.closing.left().is_some_and(|left| left.is_zero());
    open.door.terms.check_open(is_over, rustix::process::geteuid().as_raw(), peer.uid)?;
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
    let question = question(&octets)?;
    let wants_token = path == wire::TOKEN;
    note.origin = open.door.terms.check(&question, wants_token)?;
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

async fn status(open: &Arc<Open>) -> Result<Vec<u8>, Refusal> {
    let known = open.flights.known().await?;
    let door = &open.door;
    let [connections, answered, refused] = open.tally.read();
    Ok(json(&wire::Status {
        v: 1,
        version: env!("CARGO_PKG_VERSION").into(),
        pid: std::process::id(),
        door: door.terms.name.clone(),
        environment: door.terms.environment.clone(),
        profile: door.terms.profile.clone(),
        account: known.account,
        headers_only: door.terms.headers_only || !door.terms.hosts.is_empty(),
        no_rejected: door.terms.no_rejected,
        hosts: door.terms.hosts.clone(),
        narrowed: door.terms.narrowed.clone(),
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
