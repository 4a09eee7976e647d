//! Signing in at an OpenID provider: its ID token is accepted only if it is from the issuer and for this client.

use std::{
    fs,
    process::{Output, Stdio},
};

use keyfob_dev::{Fault, FaultKind};

use crate::visitor::follow;
use keyfob_testkit::{Ran, Sandbox, now, stderr};

/// A machine whose configuration names the provider by its issuer alone.
fn machine() -> Sandbox {
    machine_asking(&["openid", "email", "offline_access"])
}

fn machine_asking(scopes: &[&str]) -> Sandbox {
    let s = Sandbox::new();
    let home = s.home.path().join("keyfob");
    fs::create_dir_all(&home).expect("our directory");
    let config = format!(
        "environment = \"work\"\n[environments.work]\nissuer = \"{}\"\nclient_id = \"keyfob-local\"\n\
         scopes = {scopes:?}\n",
        s.server.base_url()
    );
    fs::write(home.join("config.toml"), config).expect("our file");
    s
}

fn command(s: &Sandbox, words: &[&str]) -> std::process::Command {
    let mut command = s.keyfob(words);
    command.env_remove("USE_LOCAL_OAUTH").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Signs in as a browser would: follows the address, and the redirect to the callback.
fn login(s: &Sandbox) -> Output {
    follow(&mut command(s, &["login", "--no-browser"]))
}

/// OpenID Connect Core §3.1.3.7: the signed ID token identifies the account.
#[test]
fn an_id_token_says_who_signed_in() {
    let s = machine();
    let output = login(&s);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stderr(&output).contains("as dev@example.com"), "{}", stderr(&output));
    let paths: Vec<_> = s.server.requests().iter().map(|request| request.path.clone()).collect();
    assert!(paths.contains(&"/oauth/jwks".to_owned()), "the signature was checked: {paths:?}");
    assert!(paths.contains(&"/oauth/userinfo".to_owned()), "{paths:?}");
    let status = command(&s, &["status", "--json"]).output().expect("it runs");
    let status: serde_json::Value = serde_json::from_slice(&status.stdout).expect("JSON");
    assert_eq!(status["identity"]["email"], "dev@example.com");
    assert!(status["identity"]["account_uuid"].is_string(), "the subject is a UUID here: {status}");
}

/// Not every configuration requests the e-mail address: then the user name is shown, or else the account number.
#[test]
fn a_login_without_an_address_has_a_name() {
    for (scopes, expected) in [(&["openid", "profile"][..], Some("dev")), (&["openid"], None)] {
        let s = machine_asking(scopes);
        let output = login(&s);
        assert!(output.status.success(), "{}", stderr(&output));
        let identity = s.record()["identity"].clone();
        assert_eq!(identity["email"], serde_json::Value::Null, "{identity}");
        let number = identity["account_uuid"].as_str().expect("an account").to_owned();
        let name = expected.unwrap_or(&number);
        assert!(stderr(&output).contains(&format!("as {name}")), "{}", stderr(&output));
        let said =
            |words: &[&str]| Ran::from(command(&s, words).output().expect("it runs")).answer().to_owned();
        assert!(said(&["status"]).contains(&format!("as {name}")), "{}", said(&["status"]));
        assert!(said(&["profiles"]).contains(name), "{}", said(&["profiles"]));
        let listed: serde_json::Value = serde_json::from_str(&said(&["profiles", "--json"])).expect("JSON");
        assert_eq!(listed["profiles"][0]["name"], name);
    }
}

/// Each mistake ends the sign-in and revokes the grant: another user may have been signed in.
#[test]
fn a_wrong_id_token_ends_the_sign_in() {
    let cases = [
        ("id-token-issuer", "was issued by `https://elsewhere.example`"),
        ("id-token-audience", "was issued to another client (`aud`)"),
        ("id-token-expired", "has expired (`exp`)"),
        ("id-token-nonce", "belongs to another sign-in (`nonce`)"),
        ("id-token-unsigned", "is signed with `none`, which proves nothing"),
        ("id-token-signature", "was not signed with any of the keys that the provider publishes"),
    ];
    // Whom the first one speaks of nobody can hold against it.
    let all = FaultKind::ALL
        .iter()
        .filter(|kind| kind.word().starts_with("id-token-") && **kind != FaultKind::IdTokenSubject);
    assert_eq!(all.count(), cases.len(), "no kind is forgotten");
    for (fault, why) in cases {
        let s = machine();
        let fault_of_the_code: Fault = format!("code:{fault}").parse().expect("a fault");
        s.server.inject(fault_of_the_code, 1);
        let output = login(&s);
        assert_eq!(output.status.code(), Some(5), "{fault}: {}", stderr(&output));
        assert!(stderr(&output).contains(why), "{fault}: {}", stderr(&output));
        let token = command(&s, &["token"]).output().expect("it runs");
        assert_eq!(token.status.code(), Some(4), "{fault}: nothing was saved");
        let revoked = s.server.requests().iter().any(|request| request.path == "/v1/oauth/revoke");
        assert!(revoked, "{fault}: what was granted was revoked");
        // The next one is as good as ever.
        assert!(login(&s).status.success(), "{fault}");
    }
}

/// OpenID Connect Core §12.2: the ID token of a renewal is held to the sign-in's. The refresh token that came with a
/// false one is kept, since the provider expects no other; the access token beside it is not used.
#[test]
fn an_id_token_of_a_renewal_is_held_to_the_first() {
    let s = machine();
    assert!(login(&s).status.success());
    let token = || Ran::from(command(&s, &["token", "--json"]).output().expect("it runs"));
    let who = s.record()["identity"].clone();
    s.expire();
    token().answer();
    assert_eq!(s.record()["identity"], who, "a renewal makes nobody somebody else");
    for (fault, why) in [
        (FaultKind::IdTokenIssuer, "was issued by `https://elsewhere.example`"),
        (FaultKind::IdTokenAudience, "was issued to another client (`aud`)"),
        (FaultKind::IdTokenSubject, "speaks of somebody else than who signed in (`sub`)"),
        (FaultKind::IdTokenUnsigned, "is signed with `none`, which proves nothing"),
    ] {
        let before = s.record();
        s.expire();
        s.server.inject(fault, 1);
        let told = token();
        assert!(told.failed(5, "id-token-invalid").err.contains(why), "{told:?}");
        let after = s.record();
        assert_eq!(after["access_token"], before["access_token"], "{fault:?}: the new one is not used");
        assert_ne!(after["refresh_token"], before["refresh_token"], "{fault:?}: the rotated one is kept");
        assert_eq!(after["identity"], who);
        s.stretch_cooldown();
        token().failed(6, "cooling-down");
        s.edit(|record| record["cooldown"]["until"] = (now() - 1).into());
        token().answer();
        assert_eq!(s.server.grants().reuses, 0, "{fault:?}: nothing was lost");
    }
    // What only proves that it is of now is not held against a renewal, which came straight from the provider (§3.1.3.7).
    for fault in [FaultKind::IdTokenExpired, FaultKind::IdTokenNonce, FaultKind::IdTokenSignature] {
        s.expire();
        s.server.inject(fault, 1);
        token().answer();
    }
}
