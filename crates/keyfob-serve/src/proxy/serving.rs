//! The connections of a target: who comes in, and how long they stay.

use std::{convert::Infallible, sync::Arc, time::Duration};

use http::{HeaderValue, StatusCode, header};
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    sync::{OwnedSemaphorePermit, watch},
    task::JoinSet,
};

use crate::{
    agent::{peer::Peer, socket::Socket},
    proxy::{
        forward,
        hall::Hall,
        open::{Caller, Open, Place},
        tally::Counted,
    },
    strict::{
        Strict,
        course::{Course, Next},
    },
};

/// The longest head of a request.
const LONGEST_HEAD: usize = 64 * 1024;
/// The longest head of somebody who has not shown yet that they may ask.
const LONGEST_FIRST: usize = 16 * 1024;
/// How long a head may take to come in, and a connection may be idle.
const PATIENCE: Duration = Duration::from_secs(90);
/// How long somebody has to show that they may ask.
const FOR_STRANGERS: Duration = Duration::from_secs(10);
/// How long a connection on which nothing is asked is left open when the proxy stops. Whoever asks meanwhile is answered, and hears
/// that it was the last time here; whoever is between two requests would not know whether the next one was heard.
const LINGER: Duration = Duration::from_secs(1);

/// Where clients come in, and what goes when nobody may any more.
pub(crate) enum Listener {
    Socket(UnixListener, #[expect(dead_code, reason = "it is held")] Socket),
    /// Anybody may come in here, and is one of these until they have shown that they may ask.
    Loopback(TcpListener, Hall),
}

enum Stream {
    Unix(UnixStream),
    Tcp(TcpStream),
}

/// One target, until the proxy stops.
pub(crate) async fn accept(open: Arc<Open>, listener: Listener, mut stopped: watch::Receiver<bool>) {
    let end = watch::Sender::new(false);
    let mut connections = JoinSet::new();
    let hall = match &listener {
        Listener::Socket(..) => None,
        Listener::Loopback(_, hall) => Some(hall.clone()),
    };
    loop {
        let next = async {
            // Without room, whoever comes waits in the socket.
            let place = match &hall {
                Some(hall) => hall.place().await,
                None => Arc::clone(&open.room).acquire_owned().await.ok(),
            };
            let stream = match &listener {
                Listener::Socket(listener, _) => {
                    listener.accept().await.map(|(stream, _)| Stream::Unix(stream))
                }
                Listener::Loopback(listener, _) => {
                    listener.accept().await.map(|(stream, _)| Stream::Tcp(stream))
                }
            };
            (stream, place)
        };
        let (stream, place) = tokio::select! {
            next = next => next,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            _ = stopped.wait_for(|stopped| *stopped) => break,
        };
        // Nobody closes these semaphores.
        let Some(place) = place else { break };
        let (open, end, place) = (Arc::clone(&open), end.subscribe(), (place, hall.clone()));
        match stream {
            Ok(Stream::Unix(stream)) => {
                let peer = Peer::of(&stream, open.log.is_some());
                // Nothing is said to another user, who has no business in a directory of ours.
                if open.admits(peer.uid) {
                    connections.spawn(serve(open, peer, stream, place, end));
                }
            }
            Ok(Stream::Tcp(stream)) => {
                let _ = stream.set_nodelay(true);
                connections.spawn(serve(open, Peer::unknown(), stream, place, end));
            }
            // Short of descriptors or memory, or a peer that has left: neither is a reason to end.
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
    // Whoever comes from here on finds nobody, or the next one.
    drop(listener);
    end.send_replace(true);
    while connections.join_next().await.is_some() {}
}

/// Serves a connection to its end. When the proxy stops, what is being answered still is, and so is what comes a moment later.
async fn serve<S>(
    open: Arc<Open>,
    peer: Peer,
    stream: S,
    (place, hall): (OwnedSemaphorePermit, Option<Hall>),
    mut stopped: watch::Receiver<bool>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let _counted = Counted::connection(&open.tally);
    let course = Course::default();
    let mut strict = Strict::new(stream, LONGEST_HEAD, course.clone()).may_upgrade();
    if open.pass.is_known_beforehand() {
        course.admit();
    } else {
        strict = strict.longest_first(LONGEST_FIRST);
    }
    let guest = hall.as_ref().map(|hall| hall.enter(&course));
    let place = if hall.is_some() { Place::of_strangers(place) } else { Place::new(place) };
    let caller = Caller { peer, place, course: course.clone() };
    let is_over = stopped.clone();
    let service = service_fn(|request| {
        let (open, caller, is_over) = (Arc::clone(&open), caller.clone(), is_over.clone());
        let number = caller.course.asked();
        async move {
            let mut answer = forward::answer(&open, &caller, request).await;
            let next = match answer.status() {
                StatusCode::SWITCHING_PROTOCOLS => Next::Protocol,
                _ => Next::Request,
            };
            if next == Next::Request && *is_over.borrow() {
                answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            caller.course.answered(number, next);
            Ok::<_, Infallible>(answer)
        }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(PATIENCE).max_buf_size(LONGEST_HEAD);
    let mut serving = std::pin::pin!(builder.serve_connection(TokioIo::new(strict), service).with_upgrades());
    let known = async {
        tokio::time::sleep(FOR_STRANGERS).await;
        if course.is_known() {
            std::future::pending::<()>().await;
        }
    };
    let makes_room = async {
        match &guest {
            Some(guest) => guest.has_to_leave().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        // What is wrong with a connection concerns nobody but its peer.
        _ = serving.as_mut() => return,
        () = known => return,
        () = makes_room => return,
        _ = stopped.wait_for(|stopped| *stopped) => {}
    }
    if tokio::time::timeout(LINGER, serving.as_mut()).await.is_err() && course.has_begun() {
        serving.as_mut().graceful_shutdown();
        let _ = serving.await;
    }
}
