//! Applies a fault to a response.

use std::time::Duration;

use base64::{
    Engine,
    prelude::{BASE64_STANDARD as STANDARD, BASE64_URL_SAFE_NO_PAD as URL_SAFE_NO_PAD},
};
use http::{
    StatusCode,
    header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, LOCATION, RETRY_AFTER},
};
use serde_json::{Value, json};

use crate::{
    http::{
        body::{Script, Step},
        call::{Call, Reply, json, status_only},
        form::Form,
    },
    oauth::answer::members,
    state::{faults::FaultKind, shared::Shared, tables::Issued},
};

/// More than any client should read from a token endpoint.
const HUGE: usize = 2 * 1024 * 1024 + 1;
/// The number of pieces into which `slow-body` cuts an answer.
const SLOW_PIECES: usize = 20;

/// The answer of a fault that strikes before anything is granted.
pub(crate) fn before(kind: FaultKind, shared: &Shared, call: &mut Call) -> Option<Reply> {
    let unavailable =
        |status, error| json(status, &json!({ "error": error, "error_description": "injected fault" }));
    let mut reply = match kind {
        FaultKind::Status500 => unavailable(StatusCode::INTERNAL_SERVER_ERROR, "server_error"),
        FaultKind::Status503 => unavailable(StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable"),
        FaultKind::Status429 | FaultKind::Status429Date => {
            unavailable(StatusCode::TOO_MANY_REQUESTS, "rate_limited")
        }
        FaultKind::InvalidClient => unavailable(StatusCode::UNAUTHORIZED, "invalid_client"),
        FaultKind::Html => page(),
        FaultKind::Echo => echo(call),
        FaultKind::Redirect => status_only(StatusCode::TEMPORARY_REDIRECT),
        FaultKind::DropBefore => {
            call.hang_up = true;
            status_only(StatusCode::OK)
        }
        _ => return None,
    };
    call.note.outcome = kind.outcome();
    match kind {
        FaultKind::Status503 => put(&mut reply, RETRY_AFTER, "1"),
        FaultKind::Status429 => put(&mut reply, RETRY_AFTER, "2"),
        FaultKind::Status429Date => put(&mut reply, RETRY_AFTER, &shared.clock.http_date_in(2)),
        FaultKind::Redirect => {
            let elsewhere = call.base.elsewhere(shared.port);
            put(&mut reply, LOCATION, &format!("{elsewhere}/elsewhere/v1/oauth/token"));
        }
        _ => {}
    }
    Some(reply)
}

/// The answer of a fault that strikes after the grant.
pub(crate) fn after(kind: FaultKind, shared: &Shared, call: &mut Call, issued: &Issued) -> Reply {
    call.note.outcome = kind.outcome();
    let mut members = members(issued);
    match kind {
        FaultKind::OddTokenType => members["token_type"] = Value::from("mac"),
        FaultKind::NoExpiry => drop(members.as_object_mut().and_then(|m| m.remove("expires_in"))),
        FaultKind::Huge => members["padding"] = Value::from("x".repeat(HUGE)),
        FaultKind::Late => call.delay = shared.late,
        FaultKind::DropAfter => call.hang_up = true,
        _ => {}
    }
    let text = members.to_string();
    let mut reply = json(StatusCode::OK, &Value::Null);
    let body = match kind {
        FaultKind::Truncated => {
            put(&mut reply, CONTENT_LENGTH, &text.len().to_string());
            let half = text.as_bytes()[..text.len() / 2].to_vec();
            // The first half must have left before the connection is cut, or there would be nothing to truncate.
            Script::new([Step::Octets(half), Step::Wait(Duration::from_millis(20)), Step::Fail])
        }
        FaultKind::SlowBody => {
            put(&mut reply, CONTENT_LENGTH, &text.len().to_string());
            let pieces = text.as_bytes().chunks(text.len().div_ceil(SLOW_PIECES));
            let pause = shared.late / u32::try_from(SLOW_PIECES).unwrap_or(1);
            Script::new(pieces.flat_map(|piece| [Step::Wait(pause), Step::Octets(piece.to_vec())]))
        }
        FaultKind::Malformed => Script::new([Step::Octets(text.replacen('{', "{{", 1).into_bytes())]),
        FaultKind::DuplicateMember => doubled(&text, "{\"access_token\":\"kdev-at-the-other-one\","),
        FaultKind::DuplicateRefreshToken => doubled(&text, "{\"refresh_token\":\"kdev-rt-the-other-one\","),
        _ => Script::new([Step::Octets(text.into_bytes())]),
    };
    *reply.body_mut() = axum::body::Body::new(body);
    reply
}

/// The members, preceded by one more.
fn doubled(text: &str, first: &str) -> Script {
    Script::new([Step::Octets(text.replacen('{', first, 1).into_bytes())])
}

/// The whole request, in every encoding in which it may have been sent.
fn echo(call: &Call) -> Reply {
    let body = String::from_utf8_lossy(&call.body).into_owned();
    let form = Form::parse(&call.body).unwrap_or_default();
    let credential = call.header(AUTHORIZATION).and_then(|value| value.split_once(' ')).map(|(_, it)| it);
    let mut said = format!("I was sent {body}");
    for value in form.values().chain(credential) {
        let encoded = [STANDARD.encode(value), URL_SAFE_NO_PAD.encode(value)];
        said += &format!("; {value} {} {}", encoded[0], encoded[1]);
    }
    json(StatusCode::BAD_REQUEST, &json!({ "error": "invalid_request", "error_description": said }))
}

fn page() -> Reply {
    let mut reply = status_only(StatusCode::OK);
    put(&mut reply, CONTENT_TYPE, "text/html; charset=utf-8");
    *reply.body_mut() = "<!doctype html><title>Welcome to the guest network</title>".into();
    reply
}

fn put(reply: &mut Reply, name: http::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        reply.headers_mut().insert(name, value);
    }
}
