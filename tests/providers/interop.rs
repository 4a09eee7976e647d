//! Against an independent, certified OpenID provider (`oidc-provider` from npm), which shares no code and no author
//! with this project: both must understand OAuth alike. Needs node and npm.

mod browser;
mod matrix;
mod provider;

use std::{
    process::Child,
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use self::{browser::Browser, provider::Provider};
use crate::desk::Desk;
use keyfob_testkit::{Ran, expired, until};

/// A user whose configuration names this provider.
fn desk(provider: &Provider) -> Desk {
    desk_with(provider, "")
}

fn desk_with(provider: &Provider, more: &str) -> Desk {
    Desk::configured(&format!(
        "environment = \"work\"\n[environments.work]\nissuer = \"{}\"\nclient_id = \"agents\"\n\
         scopes = [\"openid\", \"profile\", \"email\", \"offline_access\"]\n{more}",
        provider.issuer,
    ))
}

fn signed_in(provider: &Provider) -> Desk {
    let desk = desk(provider);
    login(&desk, &Browser::new("ada")).answer();
    desk
}

/// Signs in through the provider's own pages.
fn login(desk: &Desk, browser: &Browser) -> Ran {
    desk.login_with(&[], |url| browser.open(url))
}

/// Code and PKCE, discovered endpoints, refresh tokens that rotate, and an end the provider confirms.
#[test]
fn from_login_to_logout() {
    let provider = Provider::start(3600);
    let desk = signed_in(&provider);
    let record = desk.record();
    assert_eq!(record["issuer"], provider.issuer);
    assert_eq!(record["endpoints"]["token_url"], format!("{}/token", provider.issuer), "discovered");
    assert!(provider.said(&json!({ "granted": "authorization_code", "id_token": true })) == 1);
    let status = desk.json(&["status", "--json"]);
    assert_eq!(status["identity"]["email"], "ada@company.test", "looked up at the userinfo endpoint");
    assert_eq!(desk.run(&["status", "--verify"]).code, Some(0));

    let mut tokens = vec![desk.run(&["token"]).answer().to_owned()];
    let mut refresh_tokens = vec![record["refresh_token"].clone()];
    for round in 1..=3 {
        desk.edit(expired);
        let token = desk.run(&["token"]).answer().to_owned();
        let refresh_token = desk.record()["refresh_token"].clone();
        assert!(!tokens.contains(&token) && !refresh_tokens.contains(&refresh_token), "rotated");
        tokens.push(token);
        refresh_tokens.push(refresh_token);
        assert_eq!(provider.renewals(), round);
    }
    let token = tokens.pop().expect("the newest");
    let refresh_token = refresh_tokens.pop().expect("the newest");
    let refresh_token = refresh_token.as_str().expect("a token");
    assert!(provider.is_active(&token) && provider.is_active(refresh_token));

    let out = desk.json(&["logout", "--json"]);
    assert!(out.to_string().contains("confirmed"), "{out}");
    assert!(!provider.is_active(&token), "the access token died with the refresh token");
    assert!(!provider.is_active(refresh_token));
    assert_eq!(provider.said(&json!({ "revoked": true })), 1);
    desk.run(&["token", "--json"]).failed(4, "login-needed");
    provider.has_no_complaint();
}

/// Tokens of eight seconds, without any help from the test: each is renewed when it has ended, and never twice.
#[test]
fn interop_short_lived_tokens_are_renewed_without_a_loop() {
    const LIFETIME: Duration = Duration::from_secs(8);
    let provider = Provider::start(8);
    let desk = signed_in(&provider);
    let mut last = desk.run(&["token"]).answer().to_owned();
    for _ in 0..2 {
        thread::sleep(LIFETIME + Duration::from_secs(1));
        let began = Instant::now();
        let token = desk.run(&["token"]).answer().to_owned();
        assert_ne!(token, last);
        let is_active = provider.is_active(&token);
        // On a machine that needs longer than a token lasts, it may have ended since.
        assert!(is_active || began.elapsed() > LIFETIME);
        last = token;
    }
    assert!(provider.renewals() >= 2);
    provider.has_no_complaint();
}

/// Twenty processes at the moment of expiry: one renewal, one answer for all, and no reuse for the provider to see.
#[test]
fn twenty_processes_renew_once() {
    let provider = Provider::start(3600);
    let desk = signed_in(&provider);
    for round in 1..=5 {
        let old = desk.record()["access_token"].clone();
        desk.edit(expired);
        let started: Vec<Child> =
            (0..20).map(|_| desk.keyfob(&["token"]).spawn().expect("the command starts")).collect();
        let ended = started.into_iter().map(|child| Ran::from(child.wait_with_output().expect("it ends")));
        let answers: Vec<String> = ended.map(|ran| ran.answer().to_owned()).collect();
        let new = desk.record()["access_token"].clone();
        assert_ne!(new, old);
        assert!(answers.iter().all(|answer| *answer == new), "not all got the new token");
        assert_eq!(provider.renewals(), round);
    }
    provider.has_no_complaint();
}

/// This provider ends the login when a refresh token is spent twice, and so it does here: the login has ended, and the
/// error says so.
#[test]
fn a_spent_token_ends_the_login() {
    let provider = Provider::start(3600);
    let desk = signed_in(&provider);
    let spent = desk.record()["refresh_token"].clone();
    desk.edit(expired);
    let token = desk.run(&["token"]).answer().to_owned();
    desk.edit(|record| {
        record["refresh_token"] = spent;
        expired(record);
    });
    desk.run(&["token", "--json"]).failed(4, "login-refused");
    assert_eq!(provider.said(&json!({ "refused": "refresh_token", "error": "invalid_grant" })), 1);
    assert!(!provider.is_active(&token), "the whole family is revoked");
    // Asked once; from then on it is known.
    desk.run(&["token", "--json"]).failed(4, "login-refused");
    assert_eq!(provider.said(&json!({ "refused": "refresh_token", "error": "invalid_grant" })), 1);
    login(&desk, &Browser::new("ada")).answer();
    desk.run(&["token"]).answer();
}

/// RFC 8628, with the provider's own pages for the code and for consent.
#[test]
fn a_code_for_another_device() {
    let provider = Provider::start(3600);
    let desk = desk(&provider);
    let (child, shown) = desk.login_elsewhere();
    let code = shown["user_code"].as_str().expect("a code");
    // Nobody has answered yet: the provider says so, and it goes on asking.
    until("a question", || (provider.said(&pending()) > 0).then_some(()));
    Browser::typing("ada", code).open(shown["verification_uri"].as_str().expect("an address"));
    let ran = Ran::from(child.wait_with_output().expect("it ends"));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let token = desk.run(&["token"]).answer().to_owned();
    assert!(provider.is_active(&token));
    desk.edit(expired);
    assert_ne!(desk.run(&["token"]).answer(), token);
    assert_eq!(provider.renewals(), 1);
    assert!(desk.json(&["logout", "--json"]).to_string().contains("confirmed"));
}

fn pending() -> Value {
    json!({ "refused": "urn:ietf:params:oauth:grant-type:device_code", "error": "authorization_pending" })
}

/// A user who declines, here and on the other device.
#[test]
fn interop_denied_consent_ends_the_login() {
    let provider = Provider::start(3600);
    let desk = desk(&provider);
    let ran = login(&desk, &Browser::new("ada").refusing());
    assert!(ran.code == Some(5) && ran.err.contains("access_denied"), "{ran:?}");

    let (child, shown) = desk.login_elsewhere();
    let code = shown["user_code"].as_str().expect("a code");
    Browser::typing("ada", code).refusing().open(shown["verification_uri"].as_str().expect("an address"));
    let ran = Ran::from(child.wait_with_output().expect("it ends"));
    assert!(ran.code == Some(5) && ran.err.contains("access_denied"), "{ran:?}");
    desk.run(&["token", "--json"]).failed(4, "login-needed");
}

/// The redirect by name, where both address families listen.
#[test]
fn interop_redirect_to_localhost_by_name() {
    let provider = Provider::start(3600);
    let desk = desk_with(&provider, "redirect = \"localhost\"\n");
    login(&desk, &Browser::new("ada")).answer();
    assert!(provider.is_active(desk.run(&["token"]).answer()));
}
