//! What an agent has at hand, and how many it has room for.
#![expect(clippy::disallowed_methods, reason = "tests start real programs")]

use std::{
    fs,
    io::{Read as _, Write as _},
    os::unix::{fs::MetadataExt as _, net::UnixStream},
    time::{SystemTime, UNIX_EPOCH},
};

use serde_json::json;

use keyfob_testkit::{program, until};

use crate::agent::{Agent, id, signed_in};

/// The agent looks at the login less often than it is asked, but not so that anybody would notice: a token that has been
/// replaced, or a login that somebody has signed out, is given to nobody who asks afterwards.
#[test]
fn what_is_at_hand_is_never_older_than_the_question() {
    let s = signed_in();
    let agent = Agent::start(&s, &[]);
    let ask = || agent.post("/v1/token", &json!({}));
    for _ in 0..3 {
        // Of a file that has just been written, nobody can say whether it is still the same.
        let is_settled = || {
            let meta = fs::metadata(s.record_path()).expect("the login");
            let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time").as_secs_f64();
            #[expect(clippy::cast_precision_loss, reason = "seconds since 1970")]
            let changed = meta.ctime() as f64 + meta.ctime_nsec() as f64 / 1e9;
            (now - changed > 0.2).then_some(())
        };
        until("the file to be some time old", is_settled);
        let (first, again) = (ask(), ask());
        assert_eq!((first.0, again.0), (200, 200));
        assert_eq!(first.1["token"], again.1["token"]);
        let handle = first.1["handle"].as_str().expect("a handle");
        let renewed = s.out(&["token", "--rejected", handle]);
        assert_eq!(ask().1["token"], renewed.trim_end());
    }
    assert_eq!(ask().0, 200);
    s.out(&["logout"]);
    assert_eq!(id(&ask()), (401, "login-needed"));
    s.sign_in("default", "ada@example.com");
    assert_eq!(ask().1["token"], s.token());
}

#[test]
fn an_agent_with_few_descriptors_says_so_and_lets_the_others_wait() {
    let s = signed_in();
    let socket = s.path().join("doors/agent.sock");
    let path = socket.to_str().expect("text");
    let few = "ulimit -Sn 50 && ulimit -Hn 100 && exec \"$0\" agent --socket \"$1\"";
    let child = s.command("sh").args(["-c", few, program(), path]).spawn().expect("it starts");
    let mut agent = Agent::listens(child, std::slice::from_ref(&socket));
    let connect = || UnixStream::connect(&socket).expect("it listens");
    // 100, less 128 for everything else: then there is room for 16 all the same.
    let mut first: Vec<_> = (0..16).map(|_| connect()).collect();
    let mut last: Vec<_> = (0..16).map(|_| connect()).collect();
    let request = "GET /v1/status HTTP/1.1\r\nHost: keyfob\r\nKeyfob: 1\r\nConnection: close\r\n\r\n";
    for stream in first.iter_mut().chain(&mut last) {
        stream.write_all(request.as_bytes()).expect("it is taken");
    }
    // Those who came last are answered although the others are still there, for these have been answered.
    for stream in last.iter_mut().chain(&mut first) {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    }
    agent.signal("-TERM");
    let mut said = String::new();
    agent.child.stderr.take().expect("a pipe").read_to_string(&mut said).expect("text");
    assert!(said.contains("There is room for 16 connections at a time") && said.contains("ulimit"), "{said}");
}
