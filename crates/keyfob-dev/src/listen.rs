//! From a TCP connection to an answer: loopback sockets, bounds on what a client may send, the table of routes.

use crate::base::Base;
use crate::call::{Call, Note, Refusal, Reply};
use crate::log::{LoggedRequest, shown_path};
use crate::shared::Shared;
use crate::{
    authorize, device_grant, devices, id_token, introspect, metadata, pages, profile, revoke, session, token,
};
use axum::body::Bytes;
use http::header::{ALLOW, DATE, HeaderName, HeaderValue, SERVER};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;

/// The prefixes under which everything answers: the API, apps and console bases of an environment.
pub(crate) const PREFIXES: [&str; 3] = ["", "/apps", "/console"];

/// Enough for several hundred clients that connect at once.
const BACKLOG: u32 = 1024;
const LARGEST_BODY: usize = 64 * 1024;
/// How long connections may take to end when the server stops.
const FAREWELL: Duration = Duration::from_millis(600);

type Handler = fn(&Shared, &mut Call) -> Reply;

const ROUTES: &[(&str, &[(Method, Handler)])] = &[
    ("/v1/oauth/token", &[(Method::POST, token::answer)]),
    ("/api/oauth/profile", &[(Method::GET, profile::profile)]),
    ("/v1/whoami", &[(Method::GET, profile::whoami)]),
    ("/oauth/authorize", &[(Method::GET, authorize::request), (Method::POST, authorize::form)]),
    (crate::redirect::PASTE_PATH, &[(Method::GET, pages::paste)]),
    ("/v1/oauth/revoke", &[(Method::POST, revoke::answer)]),
    ("/v1/oauth/introspect", &[(Method::POST, introspect::answer)]),
    ("/v1/oauth/device/code", &[(Method::POST, device_grant::request)]),
    ("/device", &[(Method::GET, device_grant::page), (Method::POST, device_grant::form)]),
    ("/oauth/userinfo", &[(Method::GET, profile::userinfo), (Method::POST, profile::userinfo)]),
    ("/oauth/jwks", &[(Method::GET, id_token::keys)]),
    ("/api/auth/trusted_devices", &[(Method::POST, devices::enrol)]),
    (pages::STYLE_PATH, &[(Method::GET, pages::style)]),
    ("/", &[(Method::GET, pages::front)]),
];
const ONE_DEVICE: &[(Method, Handler)] = &[(Method::DELETE, devices::forget)];
const METADATA: &[(Method, Handler)] = &[(Method::GET, metadata::answer)];

/// Opens the port on `127.0.0.1` and on `[::1]`, so that `localhost` reaches this server whatever it means here. A
/// machine may have only one of them.
pub(crate) fn bind(port: u16) -> io::Result<(Vec<TcpListener>, u16)> {
    let mut tries = 0;
    loop {
        let v4 = match listen_on(SocketAddr::from((Ipv4Addr::LOCALHOST, port))) {
            Ok(v4) => v4,
            Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => {
                let v6 = listen_on(SocketAddr::from((Ipv6Addr::LOCALHOST, port)))?;
                let chosen = v6.local_addr()?.port();
                return Ok((vec![v6], chosen));
            }
            Err(error) => return Err(error),
        };
        let chosen = v4.local_addr()?.port();
        match listen_on(SocketAddr::from((Ipv6Addr::LOCALHOST, chosen))) {
            Ok(v6) => return Ok((vec![v4, v6], chosen)),
            // Somebody else would answer for `localhost`: choose again, or say so.
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                tries += 1;
                if port != 0 || tries == 20 {
                    return Err(error);
                }
            }
            // A machine without IPv6.
            Err(_) => return Ok((vec![v4], chosen)),
        }
    }
}

fn listen_on(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A restart on the same port must not wait for connections that linger.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Serves until told to stop, and then a little longer.
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

/// What a connection holds while it lives: the server waits for it when it stops.
#[derive(Clone, Debug)]
pub(crate) struct Ending {
    stopped: watch::Receiver<bool>,
    _alive: watch::Receiver<()>,
}

impl Ending {
    /// Waits until the server is told to stop.
    pub(crate) async fn stopped(&mut self) {
        // An error means that the server is gone, which is the same.
        let _ = self.stopped.wait_for(|stop| *stop).await;
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
    let (reply, delay) = if latency.is_zero() {
        process(&shared, request, ending).await?
    } else {
        // On its own task: a distant server goes on although its client has left.
        let task = tokio::spawn(async move {
            tokio::time::sleep(latency).await;
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
        parts,
    };
    let mut reply = match (base, read(body, shared.patience).await) {
        (Err(text), _) => Refusal::new("invalid_request", text).outcome("wrong-host").reply(&mut call),
        (_, Err(refusal)) => refusal.reply(&mut call),
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

async fn route(shared: &Arc<Shared>, call: &mut Call, ending: Ending) -> Reply {
    if call.path == session::PATH && call.parts.method == Method::GET {
        return session::answer(shared, call, ending).await;
    }
    let exact = ROUTES.iter().find(|(path, _)| *path == call.path).map(|(_, methods)| *methods);
    let methods = exact.or_else(|| {
        let device = call.path.strip_prefix("/api/auth/trusted_devices/");
        if device.is_some_and(|id| !id.is_empty() && !id.contains('/')) {
            Some(ONE_DEVICE)
        } else {
            metadata::issuer_path(call.prefix, &call.path).map(|_| METADATA)
        }
    });
    let Some(methods) = methods else { return not_found(call) };
    // HEAD is GET without the body, which the connection leaves out.
    let wanted = if call.parts.method == Method::HEAD { Method::GET } else { call.parts.method.clone() };
    if let Some((_, handler)) = methods.iter().find(|(method, _)| *method == wanted) {
        return handler(shared, call);
    }
    let allowed: Vec<_> = methods.iter().map(|(method, _)| method.as_str()).collect();
    let refusal = Refusal::new("invalid_request", "this method is not allowed here").outcome("wrong-method");
    let mut reply = refusal.status(StatusCode::METHOD_NOT_ALLOWED).reply(call);
    if let Ok(allowed) = HeaderValue::from_str(&allowed.join(", ")) {
        reply.headers_mut().insert(ALLOW, allowed);
    }
    reply
}

pub(crate) fn not_found(call: &mut Call) -> Reply {
    Refusal::new("not_found", "there is nothing here").status(StatusCode::NOT_FOUND).reply(call)
}

fn split_prefix(path: &str) -> (&'static str, String) {
    let found = PREFIXES.iter().rev().find_map(|prefix| {
        let rest = path.strip_prefix(prefix)?;
        (prefix.is_empty() || rest.starts_with('/')).then(|| (*prefix, rest.to_owned()))
    });
    found.unwrap_or_else(|| ("", path.to_owned()))
}

/// What every answer carries.
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
