//! ID tokens: kept with the login, renewed with it, and handed out to who asks for one.

use std::{
    fs,
    process::{Command, Stdio},
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use keyfob_dev::FaultKind;
use serde_json::{Value, json};

use crate::visitor::follow;
use keyfob_testkit::{Ran, Sandbox, now, stderr};

/// A machine that is signed in with these scopes at a provider that its configuration names by the issuer alone.
pub(crate) fn signed_in(scopes: &[&str]) -> Sandbox {
    let s = Sandbox::new();
    let home = s.home.path().join("keyfob");
    fs::create_dir_all(&home).expect("our directory");
    let config = format!(
        "environment = \"work\"\n[environments.work]\nissuer = \"{}\"\nclient_id = \"keyfob-local\"\n\
         scopes = {scopes:?}\n",
        s.server.base_url()
    );
    fs::write(home.join("config.toml"), config).expect("our file");
    let output = follow(&mut command(&s, &["login", "--no-browser"]));
    assert!(output.status.success(), "{}", stderr(&output));
    s
}

pub(crate) fn command(s: &Sandbox, words: &[&str]) -> Command {
    let mut command = s.keyfob(words);
    command.env_remove("USE_LOCAL_OAUTH").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn run(s: &Sandbox, words: &[&str]) -> Ran {
    Ran::from(command(s, words).output().expect("it runs"))
}

fn json_of(s: &Sandbox, words: &[&str]) -> Value {
    serde_json::from_str(run(s, words).answer()).expect("JSON")
}

pub(crate) fn claims(token: &str) -> Value {
    let part = token.split('.').nth(1).expect("a JWT");
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).expect("base64url")).expect("JSON")
}

/// The stored ID token ends at another time. Nobody here checks its signature again.
pub(crate) fn ends(s: &Sandbox, at: i64) {
    s.edit(|record| {
        let token = record["id_token"].as_str().expect("an ID token").to_owned();
        let mut claims = claims(&token);
        claims["iat"] = json!(at - 600);
        claims["exp"] = json!(at);
        let mut parts: Vec<_> = token.split('.').map(str::to_owned).collect();
        parts[1] = BASE64_URL_SAFE_NO_PAD.encode(claims.to_string());
        record["id_token"] = json!(parts.join("."));
    });
}

fn renewals(s: &Sandbox) -> usize {
    let requests = s.server.requests();
    requests.iter().filter(|request| request.grant_type.as_deref() == Some("refresh_token")).count()
}

/// OpenID Connect Core §2: it says who signed in, to the client it was issued to, and until when.
#[test]
fn the_id_token_of_a_login_is_handed_out() {
    let s = signed_in(&["openid", "email", "offline_access"]);
    let token = run(&s, &["token", "--id-token"]).answer().to_owned();
    let said = claims(&token);
    assert_eq!(said["iss"], s.server.base_url());
    assert_eq!((&said["aud"], &said["email"]), (&json!("keyfob-local"), &json!("dev@example.com")));
    let access = run(&s, &["token"]).answer().to_owned();
    assert_ne!(access, token);
    let answer = json_of(&s, &["token", "--id-token", "--json"]);
    assert_eq!((&answer["token"], &answer["purpose"]), (&json!(token), &json!("id-token")));
    assert_eq!(answer["headers"][0]["value"], format!("Bearer {token}"));
    let end = answer["expires_at"].as_str().expect("an end").to_owned();
    assert!(answer["expires_in"].as_i64().is_some_and(|left| (1..=600).contains(&left)), "{answer}");
    assert_eq!(json_of(&s, &["token", "--json"])["purpose"], "api");
    assert_eq!(renewals(&s), 0, "it was kept");
    // Its end is shown, and never its text.
    let status = json_of(&s, &["status", "--json"]);
    assert_eq!(status["winner"]["id_token_expires_at"], json!(end));
    for words in [&["status", "--json"][..], &["status", "--all"], &["doctor"], &["profiles", "--json"]] {
        let ran = run(&s, words);
        assert!(!ran.out.contains(&token) && !ran.err.contains(&token), "{words:?}");
    }
    assert!(run(&s, &["status", "--all"]).answer().contains("ID token       valid until "), "its end");
    // Another format, another token.
    let kubernetes = json_of(&s, &["token", "--format", "kubernetes"]);
    assert_eq!(kubernetes["status"]["token"], json!(token));
    assert_eq!(kubernetes["status"]["expirationTimestamp"], json!(end));
    let by_access = json_of(&s, &["token", "--format", "kubernetes", "--access-token"]);
    assert_eq!(by_access["status"]["token"], json!(access));
    for words in [
        &["token", "--id-token", "--format", "env"][..],
        &["token", "--id-token", "--format", "git-credential"],
        &["token", "--id-token", "--access-token"],
        &["token", "--id-token", "--remote"],
    ] {
        assert_eq!(run(&s, words).code, Some(2), "{words:?}");
    }
}

/// Only logins have one: a token from a variable is passed over for what it cannot be.
#[test]
fn a_variable_has_no_id_token() {
    let s = signed_in(&["openid", "offline_access"]);
    let with = |words: &[&str]| {
        let mut command = command(&s, words);
        command.env("ANTHROPIC_AUTH_TOKEN", "from-a-variable");
        Ran::from(command.output().expect("it runs"))
    };
    assert_eq!(with(&["token"]).answer(), "from-a-variable");
    assert_eq!(claims(with(&["token", "--id-token"]).answer())["aud"], "keyfob-local");
    let told = with(&["--profile", "nobody", "token", "--id-token", "--json"]);
    told.failed(4, "login-needed");
    assert!(told.err.contains("only a login has an ID token") || told.out.contains("nobody"), "{told:?}");
}

#[test]
fn an_id_token_that_ends_is_renewed_with_the_login() {
    let s = signed_in(&["openid", "offline_access"]);
    let first = run(&s, &["token", "--id-token"]).answer().to_owned();
    ends(&s, now() - 10);
    let access = s.record()["access_token"].clone();
    let second = run(&s, &["token", "--id-token"]).answer().to_owned();
    assert_eq!(renewals(&s), 1);
    assert_eq!(s.record()["id_token"], json!(second));
    assert_ne!(s.record()["access_token"], access, "the whole login is renewed");
    assert_eq!(claims(&second)["sub"], claims(&first)["sub"]);
    assert_eq!(claims(&second)["nonce"], Value::Null, "OpenID Connect Core §12.2");
    // It is good for ten minutes: five are wanted and there, or not there.
    ends(&s, now() + 400);
    run(&s, &["token", "--id-token", "--min-valid", "300"]).answer();
    assert_eq!(renewals(&s), 1);
    run(&s, &["token", "--id-token", "--min-valid", "500"]).answer();
    assert_eq!(renewals(&s), 2);
    // More than the provider ever gives is asked for once, and said.
    let told = run(&s, &["token", "--id-token", "--min-valid", "7200"]);
    assert!(told.answer().contains('.') && told.err.contains("the ID token is good for"), "{told:?}");
    let before = renewals(&s);
    run(&s, &["token", "--id-token", "--min-valid", "7200"]).answer();
    assert_eq!(renewals(&s), before, "not again at every call");
}

/// OpenID Connect Core §12.2: a renewal may bring none. The old one is kept, and when it has ended that is said; nothing
/// is spent for its sake again.
#[test]
fn a_renewal_without_an_id_token_keeps_the_old_one() {
    let s = signed_in(&["openid", "offline_access"]);
    let first = run(&s, &["token", "--id-token"]).answer().to_owned();
    s.expire();
    s.server.inject(FaultKind::NoIdToken, 1);
    run(&s, &["token"]).answer();
    assert_eq!(run(&s, &["token", "--id-token"]).answer(), first, "it is still good");
    ends(&s, now() - 5);
    for _ in 0..2 {
        let told = run(&s, &["token", "--id-token", "--json"]);
        told.failed(4, "id-token-missing").because("id-token-missing", "id-token-ended");
        assert!(told.out.contains("the provider's answer held no ID token"), "{told:?}");
    }
    assert_eq!(renewals(&s), 1, "no refresh token is spent for it");
    let status = run(&s, &["status"]);
    assert!(status.answer().contains("Its ID token ended"), "{status:?}");
    // The next renewal that is due brings one again.
    s.expire();
    run(&s, &["token", "--id-token"]).answer();
    assert_eq!(renewals(&s), 2);
    assert!(!run(&s, &["status"]).answer().contains("ID token ended"));
}

#[test]
fn a_login_without_an_id_token_says_how_to_get_one() {
    let s = signed_in(&["email", "offline_access"]);
    for words in
        [&["token", "--id-token", "--json"][..], &["token", "--id-token", "--json", "--min-valid", "60"]]
    {
        run(&s, words).failed(4, "id-token-missing").because("id-token-missing", "id-token-scope");
    }
    let told = run(&s, &["token", "--format", "kubernetes"]);
    assert_eq!(told.code, Some(4));
    assert!(told.err.contains("without the scope `openid`"), "{told:?}");
    assert!(told.err.contains("add `openid` to the scopes of [environments.work]"), "{told:?}");
    assert!(told.err.contains("`--access-token`"), "{told:?}");
    assert_eq!(renewals(&s), 0);
}

/// A record of an older version holds no ID token: the next renewal brings one.
#[test]
fn a_login_from_before_gets_its_id_token_by_a_renewal() {
    let s = signed_in(&["openid", "offline_access"]);
    s.edit(|record| drop(record.as_object_mut().expect("an object").remove("id_token")));
    run(&s, &["token"]).answer();
    assert_eq!(renewals(&s), 0);
    let token = run(&s, &["token", "--id-token"]).answer().to_owned();
    assert_eq!((renewals(&s), s.record()["id_token"].clone()), (1, json!(token)));
}
