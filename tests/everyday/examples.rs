//! The examples of the library, each run as its documentation says, against a real provider.

use std::{path::PathBuf, process::Command};

use keyfob_testkit::{Ran, Sandbox, token_requests, until};

/// Cargo builds the examples beside the tests of this package.
fn example(s: &Sandbox, name: &str) -> Command {
    let beside = PathBuf::from(keyfob_testkit::program()).with_file_name(format!("example-{name}"));
    s.home.command(beside)
}

fn whoami(s: &Sandbox) -> (String, usize) {
    let seen = s.server.requests().iter().filter(|request| request.path == "/v1/whoami").count();
    (format!("{}/v1/whoami", s.server.base_url()), seen)
}

fn run(command: &mut Command) -> Ran {
    Ran::from(command.output().expect("the example runs"))
}

#[test]
fn example_bearer_header_sends_what_the_provider_accepts() {
    let s = Sandbox::new();
    s.login();
    let (url, _) = whoami(&s);
    let ran = run(example(&s, "bearer-header").arg(&url));
    assert!(ran.answer().contains(r#""credential":["bearer"]"#), "{ran:?}");
    assert_eq!(whoami(&s).1, 1);
}

#[test]
fn example_bearer_header_sends_nothing_to_another_origin() {
    let (s, other) = (Sandbox::new(), Sandbox::new());
    s.login();
    let (url, _) = whoami(&other);
    let ran = run(example(&s, "bearer-header").arg(&url));
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.err.contains("the credential is not for"), "{ran:?}");
    assert!(other.server.requests().is_empty(), "{:?}", other.server.requests());
}

/// By the provider's clock the token has ended, by this machine's it has not: only the 401 says so.
#[test]
fn example_after_a_401_renews_once_and_is_accepted() {
    let s = Sandbox::new();
    s.login();
    s.server.advance(12 * 3600);
    let before = token_requests(&s.server);
    let (url, _) = whoami(&s);
    let ran = run(example(&s, "after-a-401").arg(&url));
    assert!(ran.answer().starts_with("200 ") && ran.out.contains(r#""credential":["bearer"]"#), "{ran:?}");
    assert_eq!(whoami(&s).1, 2, "the rejected request and the accepted one");
    assert_eq!(token_requests(&s.server), before + 1, "one refresh token was spent");
}

/// The host dies while the provider is answering, and the login survives it.
#[test]
fn example_detached_renewal_outlives_its_killed_host() {
    let s = Sandbox::new();
    s.login();
    s.expire();
    s.server.hold();
    let mut host = example(&s, "detached-renewal").spawn().expect("the example starts");
    until("the renewal to reach the provider", || (s.server.held() == 1).then_some(()));
    host.kill().expect("it is ours");
    host.wait().expect("it ends");
    s.server.release();
    drop(s.idle());
    let record = s.record();
    assert_eq!(record["generation"], 2, "{record}");
    // The next run of the host finds it, and asks nobody.
    let asked = token_requests(&s.server);
    let ran = run(&mut example(&s, "detached-renewal"));
    assert!(ran.answer().starts_with("good until 2"), "{ran:?}");
    assert_eq!(token_requests(&s.server), asked);
}

/// Without anything going wrong it is one renewal, by the worker.
#[test]
fn example_detached_renewal_reports_the_new_end() {
    let s = Sandbox::new();
    s.login();
    s.expire();
    let ran = run(&mut example(&s, "detached-renewal"));
    assert!(ran.answer().starts_with("good until 2"), "{ran:?}");
    assert_eq!(s.record()["generation"], 2);
}
