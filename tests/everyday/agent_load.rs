//! An agent that is replaced while many ask.
#![expect(clippy::disallowed_methods, reason = "tests start real programs, and threads that ask")]

use std::{
    os::{fd::OwnedFd, unix::net::UnixListener},
    path::Path,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use keyfob_serve::{Asked, Line};
use keyfob_testkit::{Sandbox, program, token_requests, until};

use crate::agent::signed_in;

const REQUESTS: usize = 200;
const ASKERS: usize = 8;

/// An agent at the socket of a service manager.
fn at(s: &Sandbox, listener: &UnixListener) -> Child {
    let mut command = s.command("sh");
    command.args(["-c", "exec env LISTEN_PID=$$ LISTEN_FDS=1 \"$0\" agent 3<&0 </dev/null", program()]);
    command.stdin(Stdio::from(OwnedFd::from(listener.try_clone().expect("a descriptor"))));
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("it starts")
}

/// Asks so often, and calls that when a quarter has been answered. Returns the generations.
fn ask(socket: &Path, rejected: &str, meanwhile: impl FnOnce() + Send) -> Vec<u64> {
    let answered = AtomicUsize::new(0);
    thread::scope(|scope| {
        let askers: Vec<_> = (0..ASKERS)
            .map(|asker| {
                let answered = &answered;
                scope.spawn(move || {
                    let one = |number: usize| {
                        // Some of them have had a 401.
                        let rejected = number.is_multiple_of(4).then(|| rejected.parse().expect("a handle"));
                        let asked =
                            Asked { rejected, wait: Some(Duration::from_secs(60)), ..Asked::default() };
                        let lent = Line::to(socket).token(&asked);
                        answered.fetch_add(1, Ordering::Relaxed);
                        lent.unwrap_or_else(|why| panic!("request {asker}/{number}: {why:?}"))
                            .generation
                            .number()
                    };
                    (0..REQUESTS / ASKERS).map(one).collect::<Vec<_>>()
                })
            })
            .collect();
        until("a quarter of the answers", || {
            (answered.load(Ordering::Relaxed) >= REQUESTS / 4).then_some(())
        });
        meanwhile();
        askers.into_iter().flat_map(|asker| asker.join().expect("all were answered")).collect()
    })
}

/// Two agents listen at one socket, as while one is replaced by its next version. One is killed in the middle: no request is
/// lost, and no login.
#[test]
fn a_killed_agent_loses_no_request_and_no_login() {
    let s = signed_in();
    let path = s.path().join("manager.sock");
    let listener = UnixListener::bind(&path).expect("a socket");
    let serves = |agent: &Child| {
        let asks = || Line::to(&path).status().ok().filter(|standing| standing.pid == agent.id());
        until("its answer", asks);
    };
    let signal = |agent: &Child, signal: &str| {
        let kill = Command::new("kill").args([signal, &agent.id().to_string()]).status().expect("kill runs");
        assert!(kill.success());
    };
    // Both have served, each while the other could not.
    let mut one = at(&s, &listener);
    serves(&one);
    signal(&one, "-STOP");
    let mut two = at(&s, &listener);
    serves(&two);
    signal(&one, "-CONT");
    let (token, before) = (s.json(&["token"]), token_requests(&s.server));
    let handle = token["handle"].as_str().expect("a handle");
    let generations = ask(&path, handle, || one.kill().expect("ours"));
    one.wait().expect("it ends");
    assert_eq!(generations.len(), REQUESTS);
    assert_eq!(token_requests(&s.server), before + 1, "they share one renewal");
    let newest = s.json(&["token"])["generation"].clone();
    assert!(generations.iter().all(|generation| *generation <= newest.as_u64().expect("a number")));
    two.kill().and_then(|()| two.wait()).expect("ours");
}

/// One that is told to end, as by an upgrade, answers whom it has heard; the rest waits in the socket for the next one.
#[test]
fn an_agent_that_is_replaced_loses_no_request() {
    let s = signed_in();
    let path = s.path().join("manager.sock");
    let listener = UnixListener::bind(&path).expect("a socket");
    let mut old = at(&s, &listener);
    let handle = s.json(&["token"])["handle"].as_str().expect("a handle").to_owned();
    let mut new = None;
    let answered = ask(&path, &handle, || {
        let kill = Command::new("kill").args(["-TERM", &old.id().to_string()]).status().expect("kill runs");
        assert!(kill.success() && old.wait().expect("it ends").success());
        new = Some(at(&s, &listener));
    });
    assert_eq!(answered.len(), REQUESTS);
    let mut new = new.expect("it was started");
    new.kill().and_then(|()| new.wait()).expect("ours");
}
