//! Laws of the session WebSocket.

use std::{net::TcpStream, time::Duration};

use keyfob_dev::{DEFAULT_EMAIL, DevServer};
use tungstenite::{Message, WebSocket, client::IntoClientRequest as _};

use crate::common::*;

fn connect(server: &DevServer, token: &str) -> WebSocket<TcpStream> {
    let url = format!("ws://127.0.0.1:{}/v1/session/ws", server.port());
    let mut request = url.into_client_request().expect("a request");
    request.headers_mut().insert("authorization", format!("Bearer {token}").parse().expect("a header"));
    let stream = TcpStream::connect(("127.0.0.1", server.port())).expect("connected");
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("set");
    tungstenite::client(request, stream).expect("upgraded").0
}

/// The close code that comes next.
fn closed(socket: &mut WebSocket<TcpStream>) -> u16 {
    loop {
        match socket.read().expect("a frame") {
            Message::Close(frame) => return frame.expect("a code").code.into(),
            Message::Ping(_) | Message::Pong(_) => {}
            other => panic!("unexpected {other:?}"),
        }
    }
}

/// The wire page: text comes back, numbered.
#[test]
fn text_is_echoed_and_numbered() {
    let server = server();
    let mut socket = connect(&server, &sign_in(&server).0);
    for (n, text) in [(1, "one"), (2, "zwei \u{fc}")] {
        socket.send(Message::text(text)).expect("sent");
        let echo = socket.read().expect("a frame").into_text().expect("text");
        let echo: serde_json::Value = serde_json::from_str(&echo).expect("JSON");
        assert_eq!(echo, serde_json::json!({ "n": n, "text": text }));
    }
}

/// The wire page: 4401 = renew and connect again.
#[test]
fn an_expired_token_closes_with_4401() {
    let server = server();
    let mut socket = connect(&server, &sign_in(&server).0);
    server.advance(3600);
    assert_eq!(closed(&mut socket), 4401);
}

/// The wire page: 4403 = stop.
#[test]
fn a_forbidden_or_revoked_token_closes_with_4403() {
    let server = server();
    let narrow = server.mint(DEFAULT_EMAIL, "user:profile").expect("valid");
    assert_eq!(closed(&mut connect(&server, &narrow.access_token)), 4403);
    let (access, token) = sign_in(&server);
    let mut socket = connect(&server, &access);
    tokens(&refresh(&server, &token, &[]));
    assert_eq!(refresh(&server, &token, &[]).error(), "invalid_grant");
    assert_eq!(closed(&mut socket), 4403);
}

/// RFC 6455 §7.4.1: 1001 = connect again later; and stopping waits for nobody.
#[test]
fn a_stopping_server_closes_with_1001() {
    let server = server();
    let mut socket = connect(&server, &sign_in(&server).0);
    // The socket is still open on this side: the server does not wait for it.
    stops(server);
    assert_eq!(closed(&mut socket), 1001);
}

/// RFC 6750 §3: without a valid token there is no upgrade.
#[test]
fn without_a_valid_token_there_is_no_upgrade() {
    let server = server();
    assert_eq!(get(&server, "/v1/session/ws", &[]).status, 401);
    let (access, _) = sign_in(&server);
    let plain = get(&server, "/v1/session/ws", &[("authorization", &format!("Bearer {access}"))]);
    assert_eq!(plain.status, 426, "not an upgrade");
    server.advance(3600);
    let expired = get(&server, "/v1/session/ws", &[("authorization", &format!("Bearer {access}"))]);
    assert_eq!((expired.status, expired.error().as_str()), (401, "invalid_token"));
}

/// The wire page: the upgrade's answer may bring a device token's successor.
#[test]
fn the_upgrade_may_bring_a_new_device_token() {
    let server = server();
    let (access, _) = sign_in(&server);
    let headers =
        [("authorization", format!("Bearer {access}")), ("content-type", "application/json".to_owned())];
    let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
    let enrolled =
        request(&server, "POST", "/api/auth/trusted_devices", &headers, "{\"display_name\":\"x\"}").json();
    server.rotate_device_tokens(true);
    let url = format!("ws://127.0.0.1:{}/v1/session/ws", server.port());
    let mut upgrade = url.into_client_request().expect("a request");
    upgrade.headers_mut().insert("authorization", headers[0].1.parse().expect("a header"));
    let device = enrolled["device_token"].as_str().expect("a token");
    upgrade.headers_mut().insert("x-trusted-device-token", device.parse().expect("a header"));
    let stream = TcpStream::connect(("127.0.0.1", server.port())).expect("connected");
    let (_, answer) = tungstenite::client(upgrade, stream).expect("upgraded");
    let successor = answer.headers().get("x-trusted-device-token").expect("a successor");
    assert!(successor.to_str().is_ok_and(|token| token.starts_with("kdev-dt-") && token != device));
    assert_eq!(server.requests().last().expect("logged").credential, ["bearer", "device"]);
}
