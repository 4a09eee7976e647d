//! Answers that are late, lost, truncated, malformed or meant for another client: each has one promised outcome, and
//! none of them blanks a login or makes a second process ask at once.

use std::time::Duration;

use keyfob_dev::{FaultKind, Options};
use serde_json::json;

use keyfob_testkit::{Home, now, provider_with, token_requests};

/// The state of a login when the failure is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// It renews.
    Renews,
    /// The strict provider has rotated, and the new token is unknown: signing in again is the only way.
    Ended,
}

struct Case {
    kind: FaultKind,
    code: i32,
    id: &'static str,
    end: End,
}

const fn case(kind: FaultKind, code: i32, id: &'static str, end: End) -> Case {
    Case { kind, code, id, end }
}

const TROUBLE: [Case; 16] = [
    case(FaultKind::Status500, 6, "unreachable", End::Renews),
    case(FaultKind::Status503, 6, "unreachable", End::Renews),
    case(FaultKind::Status429, 6, "unreachable", End::Renews),
    case(FaultKind::Status429Date, 6, "unreachable", End::Renews),
    case(FaultKind::DropBefore, 6, "outcome-unknown", End::Renews),
    case(FaultKind::DropAfter, 6, "outcome-unknown", End::Ended),
    case(FaultKind::Truncated, 6, "outcome-unknown", End::Ended),
    case(FaultKind::Huge, 6, "outcome-unknown", End::Ended),
    case(FaultKind::Malformed, 6, "outcome-unknown", End::Ended),
    // What cannot have come from a token endpoint is no answer, as often as it lasts.
    case(FaultKind::Html, 6, "unreachable", End::Renews),
    // The rotated refresh token inside is kept, the rest is refused.
    case(FaultKind::OddTokenType, 5, "answer-invalid", End::Renews),
    case(FaultKind::DuplicateMember, 5, "answer-invalid", End::Renews),
    // Which of the two would be a guess.
    case(FaultKind::DuplicateRefreshToken, 6, "outcome-unknown", End::Ended),
    case(FaultKind::Redirect, 6, "unreachable", End::Renews),
    case(FaultKind::Echo, 5, "provider-refused", End::Renews),
    case(FaultKind::InvalidClient, 5, "provider-refused", End::Renews),
];

/// A success, if an odd one.
const HARMLESS: [FaultKind; 7] = [
    FaultKind::Late,
    FaultKind::SlowBody,
    FaultKind::NoExpiry,
    FaultKind::NoRefreshToken,
    FaultKind::NoIdToken,
    FaultKind::FormAnswer,
    FaultKind::Always200,
];

fn options() -> Options {
    Options { late: Duration::from_millis(400), ..Options::default() }
}

/// One kind of trouble after the other: no kind is forgotten. Those of ID tokens are tried where one signs in, by
/// `everyday/openid.rs`.
#[test]
fn every_fault_is_tried() {
    for kind in FaultKind::ALL.iter().filter(|kind| !kind.word().starts_with("id-token-")) {
        let tried = TROUBLE.iter().any(|case| case.kind == *kind) || HARMLESS.contains(kind);
        assert!(tried, "{}", kind.word());
    }
}

#[test]
fn every_fault_ends_a_renewal_with_its_documented_error() {
    let server = provider_with(options());
    let sandbox = Home::signed_in(&server);
    for Case { kind, code, id, end } in TROUBLE {
        let word = kind.word();
        let before = (server.grants().reuses, sandbox.record());
        sandbox.expire();
        server.inject(kind, 1);
        let told = sandbox.run(&["token", "--json"]);
        if id == "outcome-unknown" {
            told.because(id, "uncertain");
        }
        assert!(!told.failed(code, id).err.contains("kdev-"), "{word}: a secret in {told:?}");

        let cooldown = sandbox.record()["cooldown"].clone();
        let seconds =
            cooldown["until"].as_i64().expect("an end") - cooldown["since"].as_i64().expect("a begin");
        assert!((2..=900).contains(&seconds), "{word}: {seconds} s");

        // Another process does not ask again, and says when it may.
        sandbox.stretch_cooldown();
        let asked = token_requests(&server);
        let told = sandbox.run(&["token", "--json"]);
        told.failed(6, "cooling-down").because("cooling-down", "wait");
        assert!(told.err.contains("asking again is allowed in"), "{word}: {told:?}");
        assert_eq!(token_requests(&server), asked, "{word}: a second request");

        // Nothing is blanked.
        let record = sandbox.record();
        assert_eq!(record["access_token"], before.1["access_token"], "{word}");
        assert!(record["refresh_token"].is_string(), "{word}");
        assert_eq!(record["login"], before.1["login"], "{word}");

        // The time has come.
        sandbox.edit(|record| record["cooldown"]["until"] = json!(now() - 1));
        let last = sandbox.run(&["token", "--json"]);
        let reuses = server.grants().reuses - before.0;
        match end {
            End::Renews => {
                last.answer();
                assert_eq!(reuses, 0, "{word}");
                assert!(sandbox.record().get("cooldown").is_none(), "{word}");
            }
            End::Ended => {
                last.failed(4, "login-refused").because("login-refused", "login-ended");
                assert_eq!(reuses, 1, "{word}");
                assert_eq!(sandbox.record()["refresh_token"], before.1["refresh_token"], "{word}: blanked");
                sandbox.plant(&server);
            }
        }
    }
    assert!(
        server.requests().iter().all(|request| !request.path.contains("elsewhere")),
        "a redirect followed"
    );
}

/// While the old token is good, trouble is a warning, and the next process does not even notice.
#[test]
fn faults_near_expiry_still_return_the_valid_token() {
    let server = provider_with(options());
    let sandbox = Home::signed_in(&server);
    for Case { kind, .. } in TROUBLE {
        let old = sandbox.token();
        sandbox.wear();
        server.inject(kind, 1);
        let told = sandbox.run(&["token"]);
        assert_eq!(told.answer(), old, "{}", kind.word());
        assert!(told.err.starts_with("warning:"), "{}: {told:?}", kind.word());
        sandbox.stretch_cooldown();
        let asked = token_requests(&server);
        let told = sandbox.run(&["token"]);
        assert_eq!((told.answer(), told.err.as_str()), (old.as_str(), ""), "{}", kind.word());
        assert_eq!(token_requests(&server), asked, "{}", kind.word());
        sandbox.plant(&server);
    }
}

#[test]
fn unusual_but_valid_token_responses_are_accepted() {
    let server = provider_with(options());
    let sandbox = Home::signed_in(&server);
    for kind in HARMLESS {
        for _ in 0..2 {
            let old = sandbox.record()["access_token"].clone();
            sandbox.expire();
            server.inject(kind, 1);
            assert_ne!(old, sandbox.token(), "{}", kind.word());
        }
        assert_eq!(server.grants().reuses, 0, "{}", kind.word());
    }
}

/// A provider that is not there: nothing was sent, so nothing is unknown.
#[test]
fn renewal_without_a_connection_is_not_an_unknown_outcome() {
    let server = provider_with(options());
    let sandbox = Home::signed_in(&server);
    sandbox.expire();
    server.stop();
    sandbox.run(&["token", "--json"]).failed(6, "unreachable").because("unreachable", "connection-refused");
    sandbox.stretch_cooldown();
    sandbox.run(&["token", "--json"]).failed(6, "cooling-down");
    let record = sandbox.record();
    assert!(record.get("unknown").is_none() && record["refresh_token"].is_string(), "{record}");
}
