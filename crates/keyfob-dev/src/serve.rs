//! Connection handling: what a client may send, and for how long.

use std::{sync::Arc, time::Duration};

use axum::body::Bytes;
use http::{
    Request, StatusCode,
    header::{DATE, HeaderName, HeaderValue, SERVER},
};
use http_body_util::{BodyExt as _, Limited};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
};

use crate::{
    http::{
        base::Base,
        call::{Call, Manner, Note, Refusal, Reply},
        ending::Ending,
    },
    routes::{route, split_prefix},
    state::{
        log::{LoggedRequest, shown_path},
        shared::Shared,
    },
};

/// The longest path and query: their content may be stored (RFC 9110 §4.1 asks for 8000 octets).
const LONGEST_TARGET: usize = 8 * 1024;
const LARGEST_BODY: usize = 64 * 1024;
/// How long connections may take to end when the server stops.
const FAREWELL: Duration = Duration::from_millis(600);

/// Serves until asked to stop, and then a little longer.
pub(crate) async fn serve(shared: Arc<Shared>, listeners: Vec<TcpListener>, stopped: watch::Receiver<bool>) {
    let alive = watch::Sender::new(());
    let accepting: Vec<_> = listeners
        .into_iter()
        .map(|listener| {
            tokio::spawn(accept(Arc::clone(&shared), listener, stopped.clone(), alive.subscribe()))
        })
        .collect();
    for task in accepting {
        let _ = task.await;
    }
    // Every connection holds a receiver.
    let _ = tokio::time::timeout(FAREWELL, alive.closed()).await;
}

async fn accept(
    shared: Arc<Shared>,
    listener: TcpListener,
    stopped: watch::Receiver<bool>,
    alive: watch::Receiver<()>,
) {
    let mut ending = Ending { stopped, _alive: alive };
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = ending.stopped() => return,
        };
        match accepted {
            Ok((stream, _)) => {
                tokio::spawn(connection(Arc::clone(&shared), stream, ending.clone()));
            }
            // Out of descriptors, or a client that left: neither is a reason to end.
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

/// The connection is closed without an answer.
#[derive(Debug)]
struct HangUp;

impl std::fmt::Display for HangUp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the connection is closed by an injected fault")
    }
}

impl std::error::Error for HangUp {}

async fn connection(shared: Arc<Shared>, stream: TcpStream, ending: Ending) {
    let _ = stream.set_nodelay(true);
    let mut ended = ending.clone();
    let patience = shared.patience;
    let service = service_fn(move |request| answer(Arc::clone(&shared), request, ending.clone()));
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(patience).max_buf_size(2 * LARGEST_BODY);
    let serving = builder.serve_connection(TokioIo::new(stream), service).with_upgrades();
    let mut serving = std::pin::pin!(serving);
    tokio::select! {
        _ = serving.as_mut() => {}
        () = ended.stopped() => {
            serving.as_mut().graceful_shutdown();
            let _ = tokio::time::timeout(FAREWELL / 2, serving).await;
        }
    }
}

async fn answer(shared: Arc<Shared>, request: Request<Incoming>, ending: Ending) -> Result<Reply, HangUp> {
    let latency = shared.latency();
    let (reply, delay) = if latency.is_zero() && !shared.gate.is_closed() {
        process(&shared, request, ending).await?
    } else {
        // On its own task: a distant server goes on although its client has left.
        let task = tokio::spawn(async move {
            tokio::time::sleep(latency).await;
            shared.gate.pass().await;
            process(&shared, request, ending).await
        });
        task.await.map_err(|_| HangUp)??
    };
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    Ok(reply)
}

async fn process(
    shared: &Arc<Shared>,
    request: Request<Incoming>,
    ending: Ending,
) -> Result<(Reply, Duration), HangUp> {
    let (parts, body) = request.into_parts();
    let base = Base::of(&parts, &shared.ports);
    let (prefix, path) = split_prefix(parts.uri.path());
    let mut call = Call {
        base: base.clone().unwrap_or_else(|_| Base::default_for(shared.port)),
        body: Bytes::new(),
        path,
        prefix,
        note: Note::default(),
        successor: None,
        delay: Duration::ZERO,
        hang_up: false,
        manner: Manner::default(),
        parts,
    };
    let mut reply = match (base, read(body, shared.patience).await) {
        (Err(text), _) => Refusal::new("invalid_request", text).outcome("wrong-host").reply(&mut call),
        (_, Err(refusal)) => refusal.reply(&mut call),
        _ if call.parts.uri.path_and_query().is_some_and(|target| target.as_str().len() > LONGEST_TARGET) => {
            let refusal = Refusal::new("invalid_request", "path and query are longer than 8 KiB");
            refusal.status(StatusCode::URI_TOO_LONG).outcome("target-too-long").reply(&mut call)
        }
        (Ok(_), Ok(octets)) => {
            call.body = octets;
            route(shared, &mut call, ending).await
        }
    };
    dress(shared, &mut call, &mut reply);
    shared.log(LoggedRequest {
        time: shared.clock.now_ms(),
        method: call.parts.method.as_str().chars().take(16).collect(),
        path: shown_path(call.parts.uri.path()),
        status: if call.hang_up { 0 } else { reply.status().as_u16() },
        client_id: call.note.client_id,
        grant_type: call.note.grant_type.map(str::to_owned),
        outcome: call.note.outcome.to_owned(),
        family: call.note.family.map(|id| format!("{id:016x}")),
        credential: call.note.credential.into_iter().map(str::to_owned).collect(),
    });
    if call.hang_up { Err(HangUp) } else { Ok((reply, call.delay)) }
}

/// Reads a body within bounds of size and time.
async fn read(body: Incoming, patience: Duration) -> Result<Bytes, Refusal> {
    match tokio::time::timeout(patience, Limited::new(body, LARGEST_BODY).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            let refusal = Refusal::new("invalid_request", "the body is larger than 64 KiB");
            Err(refusal.status(StatusCode::PAYLOAD_TOO_LARGE).outcome("body-too-large"))
        }
        Ok(Err(_)) => {
            Err(Refusal::new("invalid_request", "the body is incomplete").outcome("body-incomplete"))
        }
        Err(_) => {
            let refusal = Refusal::new("invalid_request", "the body took too long");
            Err(refusal.status(StatusCode::REQUEST_TIMEOUT).outcome("body-too-slow"))
        }
    }
}

/// The headers of every answer.
fn dress(shared: &Shared, call: &mut Call, reply: &mut Reply) {
    let headers = reply.headers_mut();
    headers.insert(SERVER, HeaderValue::from_static("keyfob-dev (insecure, for development)"));
    if let Some(date) = shared.clock.date().and_then(|date| HeaderValue::from_str(&date).ok()) {
        headers.insert(DATE, date);
    }
    if let Some(token) = call.successor.take().and_then(|token| HeaderValue::from_str(&token).ok()) {
        headers.insert(HeaderName::from_static("x-trusted-device-token"), token);
    }
}
