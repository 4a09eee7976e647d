//! How often a client of an agent can have the login renewed.
#![expect(clippy::disallowed_methods, reason = "a test of a time that must not be shorter")]

use std::time::{Duration, Instant};

use keyfob_testkit::token_requests;
use serde_json::{Value, json};

use crate::agent::{Agent, failure, id, signed_in};

/// What the agent answers to a rejection, and the handle that it gives.
fn reject(agent: &Agent, handle: &str) -> (u16, Value) {
    agent.post("/v1/token", &json!({ "rejected": handle }))
}

fn handle(answer: &(u16, Value)) -> String {
    answer.1["handle"].as_str().unwrap_or_else(|| panic!("{answer:?}")).to_owned()
}

/// An API that refuses every token makes a client reject each new one.
#[test]
fn a_client_that_rejects_each_new_token_does_not_renew_for_ever() {
    let s = signed_in();
    let agent = Agent::start(&s, &[]);
    let before = token_requests(&s.server);
    let first = handle(&agent.post("/v1/token", &json!({})));
    let second = handle(&reject(&agent, &first));
    assert_ne!(first, second);
    let made = Instant::now();
    // Whatever it is told, and however slow this machine is: no renewal comes before the ten seconds are over.
    let told = reject(&agent, &second);
    if told.0 == 200 {
        assert!(made.elapsed() >= Duration::from_secs(9), "{told:?}");
    } else {
        assert_eq!(id(&told), (503, "cooling-down"));
        assert_eq!(told.1["error"]["exit_code"], 6);
        assert_eq!(token_requests(&s.server), before + 1);
        // Who rejects nothing has the token as before, and so has who is a renewal behind.
        assert_eq!(handle(&agent.post("/v1/token", &json!({}))), second);
        assert_eq!(handle(&reject(&agent, &first)), second);
    }
    // A door that was opened just now has heard of no rejection: its first one is heard.
    let newest = handle(&agent.post("/v1/token", &json!({})));
    let other = Agent::begin(&s, &s.path().join("doors/other.sock"), &[]);
    assert_ne!(handle(&reject(&other, &newest)), newest);
}

/// How long one has to wait is in the header too, where programs look for it.
#[test]
fn a_rejection_that_comes_too_soon_says_when_to_come_again() {
    let s = signed_in();
    let agent = Agent::start(&s, &[]);
    let container = agent.container(&s);
    let first = handle(&agent.post("/v1/token", &json!({})));
    let mut newest = handle(&reject(&agent, &first));
    // As soon as the machine is quick enough to be too soon.
    loop {
        let body = json!({ "rejected": newest }).to_string();
        let answer = agent.text(&format!(
            "POST /v1/token HTTP/1.1\r\nHost: keyfob\r\nKeyfob: 1\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ));
        if answer.starts_with("HTTP/1.1 503") {
            let wait = answer.to_ascii_lowercase();
            let wait = wait.split("retry-after: ").nth(1).and_then(|rest| rest.split_once('\r'));
            let wait: u64 = wait.and_then(|(seconds, _)| seconds.parse().ok()).expect("a number of seconds");
            assert!((1..=10).contains(&wait), "{answer}");
            break;
        }
        newest = s.json(&["token"])["handle"].as_str().expect("a handle").to_owned();
    }
    // A keyfob that asks for somebody says so by its exit code, as where the login is.
    loop {
        match failure(&container, &["token", "--rejected", &newest]) {
            (0, _) => newest = s.json(&["token"])["handle"].as_str().expect("a handle").to_owned(),
            told => break assert_eq!(told, (6, "cooling-down".into())),
        }
    }
}

#[test]
fn a_door_can_refuse_rejections() {
    let s = signed_in();
    let agent = Agent::start(&s, &["--no-rejected"]);
    let before = token_requests(&s.server);
    let first = handle(&agent.post("/v1/token", &json!({})));
    assert_eq!(id(&reject(&agent, &first)), (403, "agent-refused"));
    assert_eq!(handle(&agent.post("/v1/token", &json!({}))), first);
    assert_eq!(token_requests(&s.server), before);
    let container = agent.container(&s);
    assert_eq!(container.json(&["agent", "status"])["no_rejected"], true);
    assert!(container.out(&["agent", "status"]).contains("It renews no token because it was rejected."));
}
