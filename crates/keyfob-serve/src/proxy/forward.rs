//! One request on its way to the target, and the answer on its way back.

use std::sync::Arc;

use http::{HeaderValue, Method, Request, Response, StatusCode, header, request::Parts, uri::PathAndQuery};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use hyper_util::{client::legacy, rt::TokioIo};
use keyfob::{Cause, ErrorId, Generation};
use serde::Serialize;

use crate::{
    agent::flight::Credential,
    proxy::{
        covered::{Covered, cover},
        credentials::Current,
        head,
        inject::inject,
        kept::Kept,
        open::{Caller, Open, Place},
        refusal::{MARK, Refusal},
        scrub::Scrub,
        status,
        tally::Counted,
        target::judge,
        upstream::{Body, crowded, forbidden},
    },
    strict::refused,
};

/// After how many seconds the target may be tried again where nobody could look up its name.
const LATER: i64 = 5;

/// So much of a path is written down.
const LONGEST_WORD: usize = 256;

/// A request, as it was answered.
#[derive(Debug, Serialize)]
struct Line<'a> {
    time: String,
    origin: &'a str,
    uid: Option<u32>,
    pid: Option<i32>,
    method: &'a str,
    /// Without the query, which may hold anything.
    path: &'a str,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    login: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    generation: Option<u64>,
}

/// What is written down of a request, beside its answer.
#[derive(Default)]
struct Told {
    /// Whoever sent it may ask here.
    is_admitted: bool,
    used: Option<Arc<Current>>,
}

impl Told {
    /// No stranger fills a disk, or writes there what somebody reads: of their words none is written down, and of a client's no more
    /// than a line has room for.
    fn written<'a>(&self, word: &'a str) -> &'a str {
        let end = (0..=LONGEST_WORD.min(word.len())).rev().find(|end| word.is_char_boundary(*end));
        end.filter(|_| self.is_admitted).map_or("?", |end| &word[..end])
    }
}

/// Answers one request, and writes it down when its answer begins.
pub(crate) async fn answer(open: &Arc<Open>, caller: &Caller, request: Request<Incoming>) -> Response<Body> {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let mut told = Told::default();
    let forwarded = forward(open, caller, request, &mut told).await;
    let (answer, error) = match forwarded {
        Ok(answer) => (answer, None),
        Err(refusal) => {
            open.tally.refused(refusal.error.id());
            (refusal.answer(&*open.host), Some(refusal.error.id().word()))
        }
    };
    if let Some(log) = &open.log {
        let generation = told.used.as_ref().map(|used| &used.credential.generation);
        log.write(&Line {
            time: open.host.now().to_string(),
            origin: open.target.origin(),
            uid: caller.peer.uid,
            pid: caller.peer.pid(),
            method: told.written(method.as_str()),
            path: told.written(&path),
            status: answer.status().as_u16(),
            error,
            login: generation.map(Generation::login),
            generation: generation.map(Generation::number),
        })
        .await;
    }
    answer
}

async fn forward(
    open: &Arc<Open>,
    caller: &Caller,
    mut request: Request<Incoming>,
    told: &mut Told,
) -> Result<Response<Body>, Refusal> {
    if let Some((status, why)) = refused(request.method(), request.uri().path()) {
        return Err(Refusal { status, ..Refusal::malformed(why) });
    }
    if !open.pass.admits(request.headers()) {
        return Err(Refusal::stranger());
    }
    caller.course.admit();
    told.is_admitted = true;
    caller.place.move_to(&open.room).await;
    if status::is_asked(&request) {
        return status::answer(open, &request).await;
    }
    if !open.target.is_meant_by(request.uri()) {
        return Err(Refusal::forbidden(format!("it is for another host than {}", open.target.origin())));
    }
    judge(&open.rules, request.method(), request.uri().path()).map_err(Refusal::forbidden)?;
    if !open.target.has(request.uri().path()) {
        return Err(Refusal::forbidden(format!("it is not below {}", open.target.path())));
    }
    let upgrade = upgrade(&request);
    let client = upgrade.is_some().then(|| hyper::upgrade::on(&mut request));
    let (parts, body) = request.into_parts();
    let outgoing = Outgoing::of(open, parts, upgrade)?;

    let mut current = open.credentials.at_hand().await.map_err(Refusal::without)?;
    let body = Kept::new(body, &open.budget, &current.credential.headers);
    told.used = Some(Arc::clone(&current));
    let sent = outgoing.send(open, &current.credential, body.body()).await;
    // The target is not to blame for what it was not told to the end.
    let cut = |refusal| {
        if body.is_broken() { Refusal::malformed("its body is malformed, or was cut") } else { refusal }
    };
    let mut answer = sent.map_err(cut)?;
    if answer.status() == StatusCode::UNAUTHORIZED {
        let renewed = open.credentials.instead_of(&current).await.map_err(Refusal::without)?;
        // Once, and only if all of it can be said again; the client gets the target's own answer otherwise.
        if let Some(renewed) = renewed
            && let Some(again) = body.again().await
        {
            drop(answer);
            current = renewed;
            told.used = Some(Arc::clone(&current));
            answer = outgoing.send(open, &current.credential, again).await?;
        }
    }
    if answer.status() != StatusCode::UNAUTHORIZED {
        open.credentials.was_good(&current);
    }
    body.forget();
    if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
        return switch(open, &caller.place, &outgoing, client, answer, &current.scrub);
    }
    pass_on(open, answer, &current.scrub)
}

/// What the client wants to speak instead of HTTP (RFC 9110 §7.8). Only WebSocket is known to be one conversation with one
/// host.
fn upgrade(request: &Request<Incoming>) -> Option<HeaderValue> {
    let headers = request.headers();
    let names_it = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|name| name.trim().eq_ignore_ascii_case("upgrade"));
    let wanted = headers.get(header::UPGRADE)?;
    let is_websocket = wanted.as_bytes().eq_ignore_ascii_case(b"websocket");
    (names_it && is_websocket && request.method() == Method::GET).then(|| wanted.clone())
}

/// A request as it goes out, without its credential.
struct Outgoing {
    method: Method,
    address: http::Uri,
    headers: http::HeaderMap,
    /// The names of trailers, as the client says them.
    announced: http::HeaderMap,
}

impl Outgoing {
    fn of(open: &Open, parts: Parts, upgrade: Option<HeaderValue>) -> Result<Self, Refusal> {
        let mut headers = head::request(&parts).map_err(|refused| Refusal::malformed(refused.0))?;
        let root = PathAndQuery::from_static("/");
        let address = open.target.address(parts.uri.path_and_query().unwrap_or(&root));
        let address = address.ok_or_else(|| Refusal::malformed("its address is malformed"))?;
        let host = HeaderValue::from_str(open.target.host_header())
            .map_err(|_| Refusal::malformed("the target's host is no header"))?;
        headers.insert(header::HOST, host);
        headers.remove(header::EXPECT);
        if open.scrubs_bodies {
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
            // Two parts of an answer would each have a part of the credential.
            headers.remove(header::RANGE);
        }
        if let Some(wanted) = upgrade {
            headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
            headers.insert(header::UPGRADE, wanted);
        }
        let mut announced = http::HeaderMap::new();
        for names in parts.headers.get_all(header::TRAILER) {
            announced.append(header::TRAILER, names.clone());
        }
        Ok(Self { method: parts.method, address, headers, announced })
    }

    async fn send(
        &self,
        open: &Open,
        credential: &Credential,
        body: Body,
    ) -> Result<Response<Incoming>, Refusal> {
        let mut request = Request::new(body);
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.address.clone();
        *request.headers_mut() = self.headers.clone();
        let added: Vec<_> = credential.headers.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
        // What they are called goes before them, on each connection anew.
        if let Some(names) = head::request_trailer_names(&self.announced, &added) {
            request.headers_mut().insert(header::TRAILER, names);
        }
        inject(request.headers_mut(), &credential.headers).map_err(|()| {
            let what = "the credential cannot be added to the request";
            Refusal::gateway(ErrorId::Bug, what, "it has what no header can have")
        })?;
        open.upstream.send(request).await.map_err(|error| no_answer(open, &error))
    }
}

fn no_answer(open: &Open, error: &legacy::Error) -> Refusal {
    let origin = open.target.origin();
    if crowded(error) {
        let what = format!("{origin} is not asked now");
        let why = "too many names are being looked up, and none of that has come to its end in time";
        let mut refusal = Refusal::gateway(ErrorId::Unreachable, what, why);
        refusal.status = StatusCode::SERVICE_UNAVAILABLE;
        refusal.error = refusal.error.because(Cause::Busy { status: 503, seconds: Some(LATER) });
        return refusal;
    }
    if let Some(why) = forbidden(error) {
        return Refusal::gateway(ErrorId::OriginRefused, format!("{origin} is not asked"), why);
    }
    let mut why = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(source) = next {
        why = source.to_string();
        next = source.source();
    }
    let what = if error.is_connect() {
        format!("{origin} cannot be reached")
    } else {
        format!("{origin} has not answered")
    };
    let mut refusal = Refusal::gateway(ErrorId::Unreachable, what, why);
    refusal.error = refusal.error.because(Cause::Busy { status: 502, seconds: None });
    refusal
}

/// The target's answer, without what the client must not have.
fn pass_on(open: &Open, answer: Response<Incoming>, scrub: &Scrub) -> Result<Response<Body>, Refusal> {
    let (mut parts, body) = answer.into_parts();
    // Among them the words behind the status (RFC 9112 §4), which nobody needs and which may say anything.
    parts.extensions.clear();
    // Before anything is taken out of the head that says so.
    let is_coded = head::is_coded(&parts.headers);
    let trailers = head::response_trailer_names(&parts.headers);
    head::response(&mut parts.headers);
    if let Some(names) = trailers {
        parts.headers.insert(header::TRAILER, names);
    }
    // It says whose an answer is.
    parts.headers.remove(MARK);
    cover(&mut parts.headers, scrub);
    if body.is_end_stream() {
        open.tally.answered(parts.status);
        return Ok(Response::from_parts(parts, body.map_err(Into::into).boxed_unsync()));
    }
    let all = open.scrubs_bodies;
    if all && is_coded {
        let what = format!("the answer of {} is not passed on", open.target.origin());
        let why = "it is compressed although it was asked not to be, and so cannot be looked through";
        return Err(Refusal::gateway(ErrorId::AnswerInvalid, what, why));
    }
    open.tally.answered(parts.status);
    let counted = Counted::stream(&open.tally);
    Ok(Response::from_parts(parts, Covered::new(body, scrub, all, counted).boxed_unsync()))
}

/// From here on it is octets both ways.
fn switch(
    open: &Arc<Open>,
    place: &Place,
    outgoing: &Outgoing,
    client: Option<hyper::upgrade::OnUpgrade>,
    mut answer: Response<Incoming>,
    scrub: &Scrub,
) -> Result<Response<Body>, Refusal> {
    let unasked = || {
        let what = format!("{} speaks another protocol", open.target.origin());
        Refusal::gateway(ErrorId::AnswerInvalid, what, "nobody asked it to")
    };
    let client = client.ok_or_else(unasked)?;
    let wanted = outgoing.headers.get(header::UPGRADE).cloned().ok_or_else(unasked)?;
    // RFC 9110 §7.8: it may change to none that was not asked for.
    let mut spoken = answer.headers().get_all(header::UPGRADE).iter();
    let is_wanted = |spoken: &HeaderValue| spoken.as_bytes().eq_ignore_ascii_case(wanted.as_bytes());
    if !(spoken.next().is_some_and(is_wanted) && spoken.next().is_none()) {
        return Err(unasked());
    }
    let target = hyper::upgrade::on(&mut answer);
    let held = (open.alive.clone(), place.clone(), Counted::stream(&open.tally));
    tokio::spawn(async move {
        let _held = held;
        if let (Ok(client), Ok(target)) = tokio::join!(client, target) {
            let (mut client, mut target) = (TokioIo::new(client), TokioIo::new(target));
            // What is wrong with it concerns nobody but these two.
            let _ = tokio::io::copy_bidirectional(&mut client, &mut target).await;
        }
    });
    let mut passed = pass_on(open, answer, scrub)?;
    let headers = passed.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, wanted);
    Ok(passed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_stranger_is_written_down_and_not_much_of_a_client() {
        let of = |is_admitted| Told { is_admitted, used: None };
        assert_eq!(
            [of(false).written("/v1"), of(true).written("/v1"), of(true).written("")],
            ["?", "/v1", ""]
        );
        let long = "x".repeat(LONGEST_WORD - 1);
        assert_eq!(of(true).written(&format!("{long}\u{e9}y")), long);
        assert_eq!(of(true).written(&format!("{long}yz")), format!("{long}y"));
    }
}
