//! How often a client of an agent can have the login renewed.
#![expect(clippy::disallowed_methods, reason = "a test of a time that must not be shorter")]

use std::{
    fs,
    time::{Duration, Instant},
};

use keyfob_testkit::token_requests;
use serde_json::{Value, json};

use crate::agent::{Agent, failure, id, signed_in};

/// How old a token is at least that has replaced another one, when it is replaced in its turn.
const AGE: Duration = Duration::from_secs(10);

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
    // From before the renewal: what it made is no older than this.
    let made = Instant::now();
    let second = handle(&reject(&agent, &first));
    assert_ne!(first, second);
    // Whatever it is told, and however slow this machine is: no renewal comes before the ten seconds are over.
    let told = reject(&agent, &second);
    if told.0 == 200 {
        assert!(made.elapsed() >= AGE, "{told:?}");
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

/// Rejects what it is told until that is too soon, as soon as the machine is quick enough for it. Returns what was answered. What
/// is answered before that is a newer handle, and never before its time.
fn until_too_soon<T>(newest: &str, mut reject: impl FnMut(&str) -> Result<String, T>) -> T {
    // The newest may be of any age.
    let mut made = None::<Instant>;
    let mut newest = newest.to_owned();
    for _ in 0..30 {
        let asked = Instant::now();
        match reject(&newest) {
            Err(told) => return told,
            Ok(newer) => {
                assert_ne!(newer, newest);
                assert!(made.is_none_or(|made| made.elapsed() >= AGE), "renewed before its time: {newer}");
                (made, newest) = (Some(asked), newer);
            }
        }
    }
    panic!("thirty times in a row nothing was too soon");
}

/// How long one has to wait is in the header too, where programs look for it.
#[test]
fn a_rejection_that_comes_too_soon_says_when_to_come_again() {
    let s = signed_in();
    let agent = Agent::start(&s, &[]);
    let container = agent.container(&s);
    let first = handle(&agent.post("/v1/token", &json!({})));
    let answer = until_too_soon(&first, |newest| {
        let body = json!({ "rejected": newest }).to_string();
        let answer = agent.text(&format!(
            "POST /v1/token HTTP/1.1\r\nHost: keyfob\r\nKeyfob: 1\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ));
        if answer.starts_with("HTTP/1.1 503 ") {
            return Err(answer);
        }
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        let body = answer.split_once("\r\n\r\n").expect("a body").1;
        Ok(handle(&(200, serde_json::from_str(body).expect("JSON"))))
    });
    let wait = answer.to_ascii_lowercase();
    let wait = wait.split("retry-after: ").nth(1).and_then(|rest| rest.split_once('\r'));
    let wait: u64 = wait.and_then(|(seconds, _)| seconds.parse().ok()).expect("a number of seconds");
    assert!((1..=10).contains(&wait), "{answer}");
    // A keyfob that asks for somebody says so by its exit code, as where the login is.
    let newest = s.json(&["token"])["handle"].as_str().expect("a handle").to_owned();
    let told =
        until_too_soon(&newest, |newest| match failure(&container, &["token", "--rejected", newest]) {
            (0, _) => Ok(s.json(&["token"])["handle"].as_str().expect("a handle").to_owned()),
            told => Err(told),
        });
    assert_eq!(told, (6, "cooling-down".into()));
}

/// Two doors to one login in one agent: what is not renewed again through one is not renewed through the other.
#[test]
fn two_doors_do_not_take_turns_at_renewing_a_login() {
    let s = signed_in();
    let sockets = ["one", "other"].map(|name| s.path().join(format!("doors/{name}.sock")));
    let [one, other] = &sockets;
    let path = s.path().join("keyfob/config.toml");
    fs::create_dir_all(path.parent().expect("a directory")).expect("ours");
    let config = format!("[agent.doors.one]\nsocket = {one:?}\n[agent.doors.other]\nsocket = {other:?}\n");
    fs::write(path, config).expect("ours");
    let mut agent = Agent::configured(&s, &sockets);
    let first = handle(&agent.post("/v1/token", &json!({})));
    let told = until_too_soon(&first, |newest| {
        agent.socket = if agent.socket == *one { other.clone() } else { one.clone() };
        match reject(&agent, newest) {
            answer if answer.0 == 200 => Ok(handle(&answer)),
            answer => Err(answer),
        }
    });
    assert_eq!(id(&told), (503, "cooling-down"));
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
