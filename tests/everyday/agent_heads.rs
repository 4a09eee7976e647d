//! What else a request to the agent may say, and how long it may take.

use serde_json::{Value, json};

use keyfob_testkit::until;

use crate::agent::{Agent, id, signed_in};

const RIGHT: &str = "Host: keyfob\r\nKeyfob: 1\r\n";

/// A trailer comes when everything has been judged: it is no header, whatever it is called (RFC 9110 §6.5.1).
#[test]
fn a_trailer_counts_for_nothing() {
    let s = signed_in();
    let agent = Agent::start(&s, &[]);
    let ask = |head: &str, trailers: &str| {
        agent.raw(&format!(
            "POST /v1/token HTTP/1.1\r\n{head}Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\n{{}}\r\n0\r\n{trailers}\r\n"
        ))
    };
    for trailers in ["", "Origin: https://evil.example\r\n", "X-Forwarded-For: 10.0.0.1\r\nKeyfob: 2\r\n"] {
        assert_eq!(ask(&format!("{RIGHT}Trailer: Keyfob\r\n"), trailers).0, 200, "{trailers:?}");
    }
    assert_eq!(id(&ask("Host: keyfob\r\n", "Keyfob: 1\r\n")), (400, "usage"));
    // One that is no field is the end of it.
    assert_ne!(ask(RIGHT, " folded\r\n").0, 200);
}

/// RFC 9110 §10.1.1, RFC 9112 §9.3, RFC 9110 §7.8: what an agent need not do is left out, and changes nothing else.
#[test]
fn what_a_head_asks_for_besides_is_answered_or_left_out() {
    let s = signed_in();
    let agent = Agent::start(&s, &[]);
    let ask = |version: &str, lines: &str| {
        agent.text(&format!("POST /v1/token {version}\r\n{RIGHT}{lines}Content-Length: 2\r\n\r\n{{}}"))
    };
    let expected = ask("HTTP/1.1", "Expect: 100-continue\r\nConnection: close\r\n");
    assert!(expected.starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"), "{expected}");
    // An older version ends the connection by itself, and nobody is given another protocol.
    let old = ask("HTTP/1.0", "");
    assert!(old.starts_with("HTTP/1.0 200 OK\r\n") || old.starts_with("HTTP/1.1 200 OK\r\n"), "{old}");
    let lines = "Upgrade: websocket\r\nConnection: upgrade, close\r\nTE: trailers\r\nRange: bytes=0-1\r\n";
    let upgraded = ask("HTTP/1.1", lines);
    assert!(upgraded.starts_with("HTTP/1.1 200 OK\r\n") && !upgraded.contains(" 101 "), "{upgraded}");
    // What follows on a connection is judged anew: one that came in order vouches for nothing.
    let good = format!("POST /v1/token HTTP/1.1\r\n{RIGHT}Content-Length: 2\r\n\r\n{{}}");
    let two = agent.text(&format!(
        "{good}POST /v1/token HTTP/1.1\r\nHost: keyfob\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{{}}"
    ));
    assert_eq!((two.matches("HTTP/1.1 200 ").count(), two.matches("HTTP/1.1 400 ").count()), (1, 1), "{two}");
}

/// Whoever does not wait is told so, and what they asked for goes on.
#[test]
fn a_renewal_that_nobody_waits_for_goes_on() {
    let s = signed_in();
    let agent = Agent::start(&s, &[]);
    let handle = agent.post("/v1/token", &json!({})).1["handle"].clone();
    let before = s.server.grants().refreshes;
    let reject = |wait: &str| -> (u16, Value) {
        let body = json!({ "rejected": handle }).to_string();
        agent.raw(&format!(
            "POST /v1/token HTTP/1.1\r\n{RIGHT}Prefer: wait={wait}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ))
    };
    let early = reject("0");
    assert_eq!((early.0, early.1["error"]["cause"].as_str()), (504, Some("busy")), "{early:?}");
    let renewed = until("the renewal", || Some(reject("60")).filter(|answer| answer.0 == 200));
    assert_ne!(renewed.1["handle"], handle);
    assert_eq!(s.server.grants().refreshes, before + 1, "it was the one that was begun");
}
