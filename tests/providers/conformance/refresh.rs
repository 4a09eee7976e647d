//! `oidcc-client-refreshtoken-test-plan`: the ID token of a renewal is held to the first one's (OpenID Connect Core §12.2).

use serde_json::{Value, json};

use super::Rig;
use crate::{front::header, stub::Issue};

/// Signs in, and renews at a provider whose ID token says something else then: the answer is not used.
#[track_caller]
fn rejects(change: fn(&mut Value), why: &str) {
    let rig = Rig::new(|manners| manners.renewed_id_token = Issue::with(change));
    rig.signs_in();
    let (before, asked) = (rig.desk.record(), rig.stub.asked("/userinfo").len());
    rig.desk.expire();
    let ran = rig.desk.run(&["token", "--json"]);
    assert!(ran.failed(5, "id-token-invalid").err.contains(why), "{ran:?}");
    assert_eq!(rig.stub.asked("/userinfo").len(), asked, "no UserInfo request after it");
    let after = rig.desk.record();
    assert_eq!(after["access_token"], before["access_token"], "the new one is not used");
    assert_ne!(after["refresh_token"], before["refresh_token"], "the provider expects no other from now on");
    assert_eq!(after["identity"], before["identity"]);
    assert_eq!(rig.stub.complaints(), [""; 0]);
}

/// A renewal, and UserInfo with the new access token.
#[test]
fn oidcc_client_test_refresh_token() {
    let rig = Rig::new(|_| {});
    rig.signs_in();
    let first = rig.desk.run(&["token"]).answer().to_owned();
    rig.desk.expire();
    let second = rig.desk.run(&["token"]).answer().to_owned();
    assert_ne!(first, second);
    rig.desk.run(&["status", "--verify"]).answer();
    let last = rig.stub.asked("/userinfo").pop().expect("a request");
    assert_eq!(header(&last.head, "authorization"), Some(format!("Bearer {second}").as_str()));
    let renewal = rig.stub.asked("/token").pop().expect("a renewal").parameters;
    assert_eq!(renewal["grant_type"], "refresh_token");
    assert!(!renewal.contains_key("scope"), "never more than was granted: {renewal:?}");
    assert_eq!(rig.stub.complaints(), [""; 0]);
}

#[test]
fn oidcc_client_test_refresh_token_invalid_issuer() {
    rejects(
        |claims| claims["iss"] = json!("https://elsewhere.example"),
        "was issued by `https://elsewhere.example`",
    );
}

#[test]
fn oidcc_client_test_refresh_token_invalid_sub() {
    rejects(|claims| claims["sub"] = json!("24400321"), "speaks of somebody else than who signed in (`sub`)");
}

#[test]
fn oidcc_client_test_refresh_token_invalid_aud() {
    rejects(|claims| claims["aud"] = json!("agents1"), "was issued to another client (`aud`)");
}

/// There was no `azp` at first, and the one that comes is another client's.
#[test]
fn oidcc_client_test_refresh_token_invalid_azp() {
    rejects(|claims| claims["azp"] = json!("agents1"), "was issued to another client (`azp`)");
}
