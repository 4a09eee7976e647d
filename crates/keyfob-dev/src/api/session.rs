//! The session WebSocket: an echo that closes when its credential expires.

use std::{sync::Arc, time::Duration};

use axum::extract::{
    FromRequestParts as _,
    ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade},
};
use http::StatusCode;
use serde_json::json as object;

use crate::{
    api::{
        bearer::{self, Caller},
        devices,
    },
    http::{
        call::{Call, Refusal, Reply},
        ending::Ending,
    },
    state::shared::Shared,
};

pub(crate) const PATH: &str = "/v1/session/ws";

/// Close code: the credential has expired; renew it and connect again.
const EXPIRED: u16 = 4401;
/// Close code: the credential does not allow this; stop.
const FORBIDDEN: u16 = 4403;
/// Close code 1001 (RFC 6455 §7.4.1): the server is going away.
const GOING_AWAY: u16 = 1001;
/// Close code 1003: data of a kind that is not understood here.
const UNSUPPORTED: u16 = 1003;

const PING_EVERY: Duration = Duration::from_secs(20);
const LARGEST_MESSAGE: usize = 64 * 1024;
/// Sleeping longer than this is cut short, so that no timer overflows.
const LONGEST_SLEEP: u64 = 24 * 3600;

/// `GET /v1/session/ws`.
pub(crate) async fn answer(shared: &Arc<Shared>, call: &mut Call, ending: Ending) -> Reply {
    let ready = open(shared, call);
    let (caller, token) = match ready {
        Ok(ready) => ready,
        Err(refusal) => return refusal.reply(call),
    };
    let upgrade = match WebSocketUpgrade::from_request_parts(&mut call.parts, &()).await {
        Ok(upgrade) => upgrade,
        Err(_) => {
            let refusal = Refusal::new("invalid_request", "a WebSocket upgrade is expected here");
            return refusal.status(StatusCode::UPGRADE_REQUIRED).reply(call);
        }
    };
    call.note.outcome = "connected";
    let shared = Arc::clone(shared);
    upgrade
        .max_message_size(LARGEST_MESSAGE)
        .max_frame_size(LARGEST_MESSAGE)
        .on_upgrade(move |socket| converse(shared, socket, caller, token, ending))
}

fn open(shared: &Shared, call: &mut Call) -> Result<(Caller, String), Refusal> {
    let token = bearer::token(call)?.ok_or_else(bearer::nothing)?;
    let caller = bearer::accepted(shared, call, &token)?;
    devices::recognise(shared, call, caller.email.as_deref())?;
    Ok((caller, token))
}

async fn converse(
    shared: Arc<Shared>,
    mut socket: WebSocket,
    caller: Caller,
    token: String,
    mut ending: Ending,
) {
    let (code, reason) = if caller.scope.contains("user:inference") {
        echo(&shared, &mut socket, &caller, &token, &mut ending).await
    } else {
        (FORBIDDEN, "the scope user:inference is needed")
    };
    if code != 0 {
        let frame = CloseFrame { code, reason: reason.into() };
        let _ = socket.send(Message::Close(Some(frame))).await;
        // The client answers with its own close frame; without it the connection would look cut.
        let _ = tokio::time::timeout(Duration::from_millis(300), async {
            while let Some(Ok(_)) = socket.recv().await {}
        })
        .await;
    }
}

/// Echoes until the connection must be closed with a code; 0 = the client has left.
async fn echo(
    shared: &Shared,
    socket: &mut WebSocket,
    caller: &Caller,
    token: &str,
    ending: &mut Ending,
) -> (u16, &'static str) {
    let mut changes = shared.changes();
    let mut ping = tokio::time::interval(PING_EVERY);
    ping.reset();
    let mut n: u64 = 0;
    loop {
        // Looked up before the clock is read: a token that expires in between counts as expired.
        let valid = bearer::lookup(shared, token).is_some();
        let now = shared.clock.now();
        if now >= caller.expires_at {
            return (EXPIRED, "the access token has expired");
        }
        if !valid {
            return (FORBIDDEN, "the access token has been revoked");
        }
        let left = Duration::from_secs((caller.expires_at - now).min(LONGEST_SLEEP));
        tokio::select! {
            message = socket.recv() => match message {
                Some(Ok(Message::Text(text))) => {
                    n += 1;
                    let echo = object!({ "n": n, "text": text.as_str() }).to_string();
                    if socket.send(Message::Text(echo.into())).await.is_err() {
                        return (0, "");
                    }
                }
                Some(Ok(Message::Binary(_))) => return (UNSUPPORTED, "only text is understood here"),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Close(_)) | Err(_)) | None => return (0, ""),
            },
            _ = ping.tick() => {
                if socket.send(Message::Ping(Vec::new().into())).await.is_err() {
                    return (0, "");
                }
            }
            () = tokio::time::sleep(left) => {}
            _ = changes.changed() => {}
            () = ending.stopped() => return (GOING_AWAY, "the server is stopping"),
        }
    }
}
