//! Laws of the token endpoint.

use std::time::Duration;

use keyfob_dev::{Client, LOCAL_CLIENT_ID, Options};

use crate::common::*;

/// RFC 6749 §5.1.
#[test]
fn a_code_gives_a_bearer_token_that_nothing_may_cache() {
    let server = server();
    let answer = exchange(&server, &code(&server, &[]), &[]);
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("pragma"), Some("no-cache"));
    let body = answer.json();
    assert_eq!(body["token_type"], "Bearer");
    assert_eq!(body["expires_in"], 3600);
    assert_eq!(body["scope"], SCOPE);
    assert!(body["access_token"].as_str().is_some_and(|t| t.starts_with("kdev-at-") && t.len() == 51));
    assert!(body["refresh_token"].as_str().is_some_and(|t| t.starts_with("kdev-rt-")));
    assert_eq!(server.grants().codes, 1);
}

/// RFC 6749 §6, RFC 9700 §4.14.2.
#[test]
fn a_refresh_token_is_rotated() {
    let server = server();
    let (access, first) = sign_in(&server);
    let (renewed, second) = tokens(&refresh(&server, &first, &[]));
    assert!(access != renewed && first != second);
    assert_eq!(whoami(&server, &renewed).status, 200);
    assert_eq!(refresh(&server, &second, &[]).status, 200);
    assert_eq!(server.grants().refreshes, 2);
}

/// RFC 9700 §4.14.2: replay revokes the active token and the grant.
#[test]
fn a_spent_refresh_token_revokes_the_whole_family() {
    let server = server();
    let (_, first) = sign_in(&server);
    let (access, second) = tokens(&refresh(&server, &first, &[]));
    let reuse = refresh(&server, &first, &[]);
    assert_eq!((reuse.status, reuse.error().as_str()), (400, "invalid_grant"));
    assert_eq!(last_outcome(&server), "reuse-detected");
    assert_eq!(whoami(&server, &access).status, 401);
    assert_eq!(refresh(&server, &second, &[]).error(), "invalid_grant");
    assert_eq!((server.grants().reuses, server.grants().refreshes), (1, 1));
}

/// RFC 9700 §4.14.2: one token, one winner.
#[test]
fn of_many_simultaneous_refreshes_one_wins() {
    let server = server();
    let (_, token) = sign_in(&server);
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let tries: Vec<_> = (0..16).map(|_| scope.spawn(|| refresh(&server, &token, &[]).status)).collect();
        tries.into_iter().map(|t| t.join().expect("no panic")).collect()
    });
    assert_eq!(statuses.iter().filter(|s| **s == 200).count(), 1);
    assert_eq!(server.grants().refreshes, 1);
}

/// The grace that some providers give to lost answers.
#[test]
fn with_a_grace_a_just_rotated_token_works_once_more() {
    let server = start(Options { reuse_grace: Duration::from_secs(30), ..Options::default() });
    let (_, first) = sign_in(&server);
    let (_, second) = tokens(&refresh(&server, &first, &[]));
    let (_, third) = tokens(&refresh(&server, &first, &[]));
    assert_eq!(server.grants().graces, 1);
    assert_eq!(refresh(&server, &second, &[]).status, 200);
    assert_eq!(refresh(&server, &third, &[]).status, 200);
    assert_eq!(refresh(&server, &first, &[]).error(), "invalid_grant");
    assert_eq!(server.grants().reuses, 1);
}

/// RFC 6749 §6: narrower is fine, wider is not, and neither changes the grant.
#[test]
fn refreshing_may_narrow_and_never_widen_the_scope() {
    let server = server();
    let (_, token) = sign_in(&server);
    let wider = refresh(&server, &token, &[("scope", "user:profile org:create_api_key")]);
    assert_eq!(wider.error(), "invalid_scope");
    let narrow = refresh(&server, &token, &[("scope", "user:profile")]);
    assert_eq!(narrow.json()["scope"], "user:profile");
    let (_, token) = tokens(&narrow);
    assert_eq!(refresh(&server, &token, &[]).json()["scope"], SCOPE);
}

/// RFC 6749 §10.4, RFC 9700 §4.14.2.
#[test]
fn a_refresh_token_is_bound_to_its_client() {
    let server =
        start(Options { clients: vec![Client::public("other").expect("valid")], ..Options::default() });
    let (_, token) = sign_in(&server);
    assert_eq!(refresh(&server, &token, &[("client_id", "other")]).error(), "invalid_grant");
    assert_eq!(last_outcome(&server), "wrong-client");
    assert_eq!(refresh(&server, &token, &[]).status, 200);
}

/// RFC 9700 §4.14.2: a refresh token that nobody uses expires.
#[test]
fn an_idle_refresh_token_expires_after_thirty_days() {
    let server = server();
    let (_, token) = sign_in(&server);
    server.advance(30 * 86_400 - 60);
    let (_, token) = tokens(&refresh(&server, &token, &[]));
    server.advance(30 * 86_400 + 1);
    assert_eq!(refresh(&server, &token, &[]).error(), "invalid_grant");
    assert_eq!(last_outcome(&server), "expired-token");
}

/// RFC 6749 §4.1.2.
#[test]
fn a_code_works_once_and_its_reuse_revokes_what_it_gave() {
    let server = server();
    let code = code(&server, &[]);
    let (access, token) = tokens(&exchange(&server, &code, &[]));
    assert_eq!(exchange(&server, &code, &[]).error(), "invalid_grant");
    assert_eq!(whoami(&server, &access).status, 401);
    assert_eq!(refresh(&server, &token, &[]).error(), "invalid_grant");
    assert_eq!(server.grants().code_reuses, 1);
}

/// RFC 6749 §4.1.2.
#[test]
fn a_code_expires_within_ten_minutes() {
    let server = server();
    let code = code(&server, &[]);
    server.advance(600);
    assert_eq!(exchange(&server, &code, &[]).error(), "invalid_grant");
}

/// RFC 7636 §4.6, RFC 6749 §4.1.3, and what is missing altogether.
#[test]
fn a_code_is_bound_to_verifier_redirect_and_client() {
    let server =
        start(Options { clients: vec![Client::public("other").expect("valid")], ..Options::default() });
    let code = code(&server, &[]);
    let tries = [
        ("code_verifier", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXl", "invalid_grant"),
        ("code_verifier", CHALLENGE, "invalid_grant"),
        ("code_verifier", "", "invalid_grant"),
        ("redirect_uri", "http://127.0.0.1:49153/callback", "invalid_grant"),
        ("redirect_uri", "http://localhost:49152/callback", "invalid_grant"),
        ("redirect_uri", "", "invalid_request"),
        ("client_id", "other", "invalid_grant"),
        ("client_id", "", "invalid_client"),
        ("client_id", "nobody", "invalid_client"),
        ("client_secret", "x", "invalid_client"),
        ("code", "", "invalid_request"),
        ("grant_type", "", "invalid_request"),
        ("grant_type", "password", "unsupported_grant_type"),
        ("resource", "https://elsewhere.example/", "invalid_target"),
    ];
    for (name, value, error) in tries {
        let answer = exchange(&server, &code, &[(name, value)]);
        assert_eq!((answer.status, answer.error().as_str()), (400, error), "{name}={value}");
    }
    assert_eq!(exchange(&server, &code, &[("resource", &server.base_url())]).status, 200);
}

/// RFC 6749 §3.2: POST of a form, no parameter twice; unknown ones are ignored, empty ones omitted.
#[test]
fn the_token_endpoint_takes_one_well_formed_form() {
    let server = server();
    let (_, token) = sign_in(&server);
    let answer = get(&server, &format!("{TOKEN}?grant_type=refresh_token&refresh_token={token}"), &[]);
    assert_eq!((answer.status, answer.header("allow")), (405, Some("POST")));
    let form =
        encode(&[("grant_type", "refresh_token"), ("client_id", LOCAL_CLIENT_ID), ("refresh_token", &token)]);
    let json = request(&server, "POST", TOKEN, &[("content-type", "application/json")], &form);
    assert_eq!((json.status, json.error().as_str()), (400, "invalid_request"));
    assert_eq!(request(&server, "POST", TOKEN, &[], &form).error(), "invalid_request");
    let kind = [("content-type", "application/x-www-form-urlencoded; charset=UTF-8")];
    let twice = request(&server, "POST", TOKEN, &kind, &format!("{form}&client_id={LOCAL_CLIENT_ID}"));
    assert_eq!(twice.error(), "invalid_request");
    let not_utf8 = request(&server, "POST", TOKEN, &kind, &format!("{form}&x=%FF"));
    assert_eq!(not_utf8.error(), "invalid_request");
    assert_eq!(request(&server, "POST", TOKEN, &kind, &format!("{form}&scope=&unknown=1")).status, 200);
    assert_eq!(server.grants().refreshes, 1);
}

/// The long-lived token of `setup-token`.
#[test]
fn expires_in_gives_a_long_lived_token_without_refresh_token() {
    let server = server();
    let inference = code(&server, &[("scope", "user:inference")]);
    let answer = exchange(&server, &inference, &[("expires_in", "31536000")]);
    let body = answer.json();
    assert_eq!(
        (body["expires_in"].as_u64(), body["scope"].as_str()),
        (Some(31_536_000), Some("user:inference"))
    );
    assert!(body.get("refresh_token").is_none());
    server.advance(31_535_000);
    assert_eq!(whoami(&server, body["access_token"].as_str().expect("a token")).status, 200);

    let both = code(&server, &[]);
    assert_eq!(exchange(&server, &both, &[("expires_in", "60")]).error(), "invalid_scope");
    for bad in ["0", "-1", "1e3", "99999999999", "x"] {
        assert_eq!(exchange(&server, &both, &[("expires_in", bad)]).error(), "invalid_request", "{bad}");
    }
}

/// RFC 6750 §5.3: access tokens end; RFC 6749 §5.1: when they said.
#[test]
fn an_access_token_expires_when_it_said() {
    let server = server();
    server.set_access_token_ttl(Duration::from_secs(120));
    let (access, _) = sign_in(&server);
    server.advance(110);
    assert_eq!(whoami(&server, &access).status, 200);
    server.advance(10);
    assert_eq!(whoami(&server, &access).status, 401);
}

/// RFC 6749 §2.3, §2.3.1, §5.2.
#[test]
fn a_confidential_client_proves_itself_in_one_way() {
    let secret = "p ss+%:~";
    let client = Client::confidential("machine", secret).expect("valid");
    let server = start(Options { clients: vec![client], ..Options::default() });
    let grant = ("grant_type", "client_credentials");
    // Both halves are form-encoded before they are joined.
    let basic = |id: &str, secret: &str| {
        use base64::Engine as _;
        let halves: Vec<String> = [id, secret]
            .iter()
            .map(|half| form_urlencoded::byte_serialize(half.as_bytes()).collect())
            .collect();
        format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(halves.join(":")))
    };
    let good = basic("machine", secret);
    let answer = post(&server, TOKEN, &[("authorization", &good)], &[grant]);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.json().get("refresh_token").is_none(), "RFC 6749 §4.4.3");
    let in_body = [grant, ("client_id", "machine"), ("client_secret", secret)];
    assert_eq!(post(&server, TOKEN, &[], &in_body).status, 200);

    let wrong = post(&server, TOKEN, &[("authorization", &basic("machine", "wrong"))], &[grant]);
    assert_eq!((wrong.status, wrong.error().as_str()), (401, "invalid_client"));
    assert!(wrong.header("www-authenticate").is_some_and(|c| c.starts_with("Basic ")));
    let both = post(&server, TOKEN, &[("authorization", &good)], &in_body);
    assert_eq!(both.error(), "invalid_request");
    let none = post(&server, TOKEN, &[], &[grant, ("client_id", "machine")]);
    assert_eq!((none.status, none.error().as_str()), (400, "invalid_client"));
    let public = post(&server, TOKEN, &[], &[grant, ("client_id", LOCAL_CLIENT_ID)]);
    assert_eq!(public.error(), "unauthorized_client");
}

/// A token minted for a test is as good as one from a sign-in, and counts as none.
#[test]
fn minted_tokens_work_and_do_not_count() {
    let server = server();
    let minted = server.mint("ada@example.org", SCOPE).expect("valid");
    assert_eq!(whoami(&server, &minted.access_token).status, 200);
    assert_eq!(server.grants().codes, 0);
    assert_eq!(refresh(&server, &minted.refresh_token, &[]).status, 200);
    assert!(!format!("{minted:?}").contains("kdev-"));
}
