//! SIGKILL of the worker at moments fixed from outside: a gate in front of the provider stops the exchange where the
//! test wants it.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    process::Child,
    time::Duration,
};

use keyfob_dev::{DevServer, Options};
use serde_json::{Value, json};

use keyfob_testkit::{
    Home, Ran, provider, provider_with,
    rounds::{Dice, kill, worker_of},
    token_requests, until,
};

/// How far the exchange has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    /// The request has been written, and the provider has not seen it.
    Sent,
    /// The provider has rotated and answered; nothing of it has arrived.
    Answered,
    /// Half of the answer has arrived.
    Half,
    /// All of it has just arrived.
    Delivered,
}

/// A renewal stopped at a moment.
struct Stopped {
    caller: Child,
    _client: TcpStream,
}

/// Lets a renewal come as far as `moment`.
fn stop_at(server: &DevServer, sandbox: &Home, moment: Moment) -> Stopped {
    let gate = TcpListener::bind("127.0.0.1:0").expect("a port");
    let own = gate.local_addr().expect("an address").to_string();
    let url = |base: &str| json!(format!("http://{base}/v1/oauth/token"));
    sandbox.edit(|record| record["endpoints"]["token_url"] = url(&own));
    let caller = sandbox.keyfob(["token", "--json"]).spawn().expect("the command starts");
    gate.set_nonblocking(true).expect("a socket");
    let mut client = until("a request", || gate.accept().ok()).0;
    client.set_nonblocking(false).expect("a socket");
    let request = read_request(&mut client);
    if moment != Moment::Sent {
        let there = format!("127.0.0.1:{}", server.port());
        let request = request.replacen(&own, &format!("{there}\r\nconnection: close"), 1);
        let mut provider = TcpStream::connect(there).expect("the provider");
        provider.write_all(request.as_bytes()).expect("a request");
        let mut answer = Vec::new();
        provider.read_to_end(&mut answer).expect("an answer");
        assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
        match moment {
            Moment::Half => client.write_all(&answer[..answer.len() / 2]).expect("a client"),
            Moment::Delivered => {
                client.write_all(&answer).expect("a client");
                client.shutdown(Shutdown::Write).expect("a client");
            }
            Moment::Sent | Moment::Answered => {}
        }
    }
    Stopped { caller, _client: client }
}

impl Stopped {
    /// Kills the worker, and returns its caller's result.
    fn kill(mut self, sandbox: &Home, server: &DevServer) -> Ran {
        if let Some(worker) = worker_of(&mut self.caller) {
            kill(worker);
        }
        let ran = Ran::from(self.caller.wait_with_output().expect("it ends"));
        sandbox.edit(|record| {
            record["endpoints"]["token_url"] = json!(format!("{}/v1/oauth/token", server.base_url()));
        });
        ran
    }
}

fn read_request(client: &mut TcpStream) -> String {
    let mut request = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let n = client.read(&mut chunk).expect("a request");
        assert_ne!(n, 0, "half a request");
        request.extend_from_slice(&chunk[..n]);
        let text = String::from_utf8(request.clone()).expect("ASCII");
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length")
                .then(|| value.trim().parse::<usize>().expect("a length"))
        });
        if body.len() == length.expect("a length") {
            return text;
        }
    }
}

fn token_in(ran: &Ran) -> String {
    let answer: Value = serde_json::from_str(ran.answer()).expect("JSON");
    answer["token"].as_str().expect("a token").to_owned()
}

/// Nothing was spent: the next call renews.
#[test]
fn killed_before_the_provider_saw_it() {
    let server = provider();
    let sandbox = Home::signed_in(&server);
    sandbox.expire();
    let told = stop_at(&server, &sandbox, Moment::Sent).kill(&sandbox, &server);
    told.failed(6, "outcome-unknown").because("outcome-unknown", "uncertain");
    assert_eq!(server.grants().refreshes, 0);
    sandbox.token();
    assert_eq!((server.grants().refreshes, server.grants().reuses), (1, 0));
    assert!(sandbox.record().get("unknown").is_none(), "known again");
    assert!(sandbox.files("next").is_empty());
}

/// The outcome cannot be known: the access token is used until it expires, then there is one declared retry. A strict
/// provider refuses that one; the error says so clearly, and nothing is blanked.
#[test]
fn killed_in_flight_at_a_strict_provider() {
    for moment in [Moment::Answered, Moment::Half] {
        let server = provider();
        let sandbox = Home::signed_in(&server);
        let old = sandbox.token();
        in_flight(&server, &sandbox, moment, &old);
        let told = sandbox.run(&["token", "--json"]);
        told.failed(4, "login-refused");
        assert_eq!(server.grants().reuses, 1);
        let record = sandbox.record();
        assert_eq!(record["access_token"], old);
        assert!(record["refresh_token"].is_string());
        let before = token_requests(&server);
        sandbox.run(&["token", "--json"]).failed(4, "login-refused");
        assert_eq!(token_requests(&server), before, "a refused login is not presented again");
        sandbox.login();
        sandbox.token();
    }
}

/// Many providers accept a just-rotated token once more. There the declared retry succeeds.
#[test]
fn killed_in_flight_at_a_lenient_provider() {
    for moment in [Moment::Answered, Moment::Half] {
        let server = provider_with(Options { reuse_grace: Duration::from_secs(60), ..Options::default() });
        let sandbox = Home::signed_in(&server);
        let old = sandbox.token();
        in_flight(&server, &sandbox, moment, &old);
        assert_ne!(sandbox.token(), old);
        assert_eq!((server.grants().graces, server.grants().reuses), (1, 0));
    }
}

/// Up to the moment when the access token has expired too.
fn in_flight(server: &DevServer, sandbox: &Home, moment: Moment, old: &str) {
    sandbox.wear();
    let told = stop_at(server, sandbox, moment).kill(sandbox, server);
    assert_eq!(token_in(&told), old, "the token is still good");
    assert!(told.err.starts_with("warning:") && told.err.contains("unknown"), "{told:?}");
    assert_eq!(server.grants().refreshes, 1);
    let before = token_requests(server);
    for _ in 0..3 {
        assert_eq!(sandbox.token(), old);
    }
    assert_eq!(token_requests(server), before, "no retry while the token is good");
    sandbox.expire();
}

/// Never given up: after the first retry there is a pause, and then it is asked again.
#[test]
fn killed_twice_in_flight() {
    let server = provider();
    let sandbox = Home::signed_in(&server);
    sandbox.expire();
    for _ in 0..2 {
        let told = stop_at(&server, &sandbox, Moment::Sent).kill(&sandbox, &server);
        told.failed(6, "outcome-unknown").because("outcome-unknown", "uncertain");
    }
    let mut told = sandbox.run(&["token", "--json"]);
    while told.code != Some(0) {
        told.failed(6, "cooling-down");
        assert!(told.err.contains("the answers to 2 renewals were lost"), "{told:?}");
        std::thread::sleep(Duration::from_millis(50));
        told = sandbox.run(&["token", "--json"]);
    }
    assert_eq!((server.grants().refreshes, server.grants().reuses), (1, 0));
    assert!(sandbox.record().get("unknown").is_none(), "known again");
}

/// The answer has arrived and is being written. The window until it is on the disk is the one place where a
/// SIGKILL costs a login: it is measured here.
#[test]
fn killed_while_the_answer_is_written() {
    let server = provider();
    let sandbox = Home::signed_in(&server);
    let mut dice = Dice(3);
    let (mut lost, mut adopted) = (0, 0);
    let mut longest = Duration::from_millis(4);
    while lost + adopted < 40 {
        sandbox.expire();
        let before = server.grants();
        let stopped = stop_at(&server, &sandbox, Moment::Delivered);
        dice.pause(longest);
        stopped.kill(&sandbox, &server);
        let next = sandbox.run(&["token", "--json"]);
        let after = server.grants();
        assert_eq!(after.refreshes - before.refreshes, 1);
        if after.reuses == before.reuses {
            next.answer();
            adopted += 1;
        } else {
            next.failed(4, "login-refused");
            sandbox.plant(&server);
            lost += 1;
            // A busy machine needs longer to come to writing.
            if adopted == 0 && lost % 4 == 0 {
                longest *= 2;
            }
        }
    }
    println!("kills within {longest:?} after the answer: 40: {adopted} adopted, {lost} lost");
    assert!(adopted > 0, "the answer never reached the disk");
}

/// In its place is in its place.
#[test]
fn killed_after_the_commit() {
    let server = provider();
    let sandbox = Home::signed_in(&server);
    for round in 1..=20 {
        let generation = sandbox.record()["generation"].clone();
        sandbox.expire();
        let mut caller = sandbox.start_token();
        let worker = worker_of(&mut caller);
        until("the commit", || (sandbox.record()["generation"] != generation).then_some(()));
        if let Some(worker) = worker {
            kill(worker);
        }
        caller.wait().expect("our child");
        sandbox.token();
        assert_eq!((server.grants().refreshes, server.grants().reuses), (round, 0));
    }
}
