//! Laws of the endpoints that take tokens: profile, whoami, devices, revocation, introspection, metadata.

use keyfob_dev::{ApiKey, Client, DEFAULT_EMAIL, DevServer, LOCAL_API_KEY, LOCAL_CLIENT_ID, Options};

use crate::common::*;

const PROFILE: &str = "/api/oauth/profile";
const REVOKE: &str = "/v1/oauth/revoke";
const INTROSPECT: &str = "/v1/oauth/introspect";
const DEVICES: &str = "/api/auth/trusted_devices";

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

fn with_machine() -> DevServer {
    let machine = Client::confidential("machine", "secret").expect("valid");
    start(Options { clients: vec![machine, Client::public("other").expect("valid")], ..Options::default() })
}

fn introspect(server: &DevServer, token: &str) -> Answer {
    post(server, INTROSPECT, &[], &[("token", token), ("client_id", "machine"), ("client_secret", "secret")])
}

fn enrol(server: &DevServer, token: &str, body: &str) -> Answer {
    let headers = [("authorization", &*bearer(token)), ("content-type", "application/json")];
    request(server, "POST", DEVICES, &headers, body)
}

fn whoami_from(server: &DevServer, token: &str, device: &str) -> Answer {
    get(server, "/v1/whoami", &[("authorization", &bearer(token)), ("x-trusted-device-token", device)])
}

/// The wire page; the same typed address is always the same account.
#[test]
fn the_profile_names_account_and_organisation() {
    let server = server();
    let (access, _) = sign_in(&server);
    let answer = get(&server, PROFILE, &[("authorization", &bearer(&access))]);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let body = answer.json();
    assert_eq!(body["account"]["email"], DEFAULT_EMAIL);
    assert_eq!(body["account"]["display_name"], "Dev");
    assert_eq!(body["organization"]["name"], "example.com");
    // Fixed, so that tests elsewhere may know them.
    assert_eq!(body["account"]["uuid"], keyfob_dev::account_uuid("DEV@Example.com"));
    assert_eq!(body["organization"]["uuid"], keyfob_dev::organization_uuid("somebody@example.com"));
    assert_ne!(keyfob_dev::account_uuid("a@example.com"), keyfob_dev::account_uuid("b@example.com"));
}

/// RFC 6750 §3, §3.1; OAuth 2.1 §5.1: a token in the query is ignored.
#[test]
fn a_bearer_error_says_what_is_wrong_and_nothing_when_nothing_came() {
    let server = server();
    let (access, _) = sign_in(&server);
    for answer in [get(&server, PROFILE, &[]), get(&server, &format!("{PROFILE}?access_token={access}"), &[])]
    {
        assert_eq!(answer.status, 401);
        let challenge = answer.header("www-authenticate").expect("a challenge");
        assert!(challenge.starts_with("Bearer") && !challenge.contains("error"), "{challenge}");
    }
    let wrong = get(&server, PROFILE, &[("authorization", "Bearer kdev-at-wrong")]);
    assert_eq!((wrong.status, wrong.error().as_str()), (401, "invalid_token"));
    assert!(wrong.header("www-authenticate").is_some_and(|c| c.contains("error=\"invalid_token\"")));
    let malformed = get(&server, PROFILE, &[("authorization", "Bearer a b")]);
    assert_eq!((malformed.status, malformed.error().as_str()), (400, "invalid_request"));
    let twice = [("authorization", &*bearer(&access)), ("authorization", &*bearer(&access))];
    assert_eq!(get(&server, PROFILE, &twice).status, 400);
    assert_eq!(get(&server, PROFILE, &[("authorization", &format!("bEaReR {access}"))]).status, 200);

    let narrow = server.mint(DEFAULT_EMAIL, "user:inference").expect("valid").access_token;
    let forbidden = get(&server, PROFILE, &[("authorization", &bearer(&narrow))]);
    assert_eq!((forbidden.status, forbidden.error().as_str()), (403, "insufficient_scope"));
    let challenge = forbidden.header("www-authenticate").expect("a challenge");
    assert!(challenge.contains("scope=\"user:profile\""), "{challenge}");
}

/// The wire page: which credential was seen, and for whom.
#[test]
fn whoami_names_the_credentials_it_saw() {
    let keys = vec![ApiKey::new("kdev-ak-ada", "ada@example.org")];
    let server = start(Options { api_keys: keys, ..Options::default() });
    let (access, _) = sign_in(&server);
    let body = whoami(&server, &access).json();
    assert_eq!(body["credential"], serde_json::json!(["bearer"]));
    assert_eq!(body["account_uuid"], keyfob_dev::account_uuid(DEFAULT_EMAIL));
    assert_eq!(body["device"], false);
    let expires = body["expires_at"].as_u64().expect("a number");
    assert!((server.now() + 3590..=server.now() + 3600).contains(&expires));

    let key = get(&server, "/v1/whoami", &[("x-api-key", LOCAL_API_KEY)]).json();
    assert_eq!(key["credential"], serde_json::json!(["api-key"]));
    assert!(key["expires_at"].is_null());
    let helper = [("x-api-key", "kdev-ak-ada"), ("authorization", "Bearer kdev-ak-ada")];
    let both = get(&server, "/v1/whoami", &helper).json();
    assert_eq!(both["credential"], serde_json::json!(["bearer", "api-key"]));
    assert_eq!(both["account_uuid"], keyfob_dev::account_uuid("ada@example.org"));

    assert_eq!(get(&server, "/v1/whoami", &[]).status, 401);
    assert_eq!(get(&server, "/v1/whoami", &[("x-api-key", "wrong")]).status, 401);
    let half = [("x-api-key", "wrong"), ("authorization", &*bearer(&access))];
    assert_eq!(
        get(&server, "/v1/whoami", &half).status,
        401,
        "one good credential does not cover for a bad one"
    );
}

/// The wire page: ninety days, only after a fresh login, bound to its account.
#[test]
fn a_device_is_trusted_after_enrolment() {
    let server = server();
    let (access, refresh_token) = sign_in(&server);
    let answer = enrol(&server, &access, "{\"display_name\":\"laptop\"}");
    assert_eq!(answer.status, 201);
    let body = answer.json();
    let device = body["device_token"].as_str().expect("a token");
    let left = body["expires_at"].as_u64().expect("a time") - server.now();
    assert!((90 * 86_400 - 5..=90 * 86_400).contains(&left));
    assert_eq!(whoami_from(&server, &access, device).json()["device"], true);
    assert_eq!(whoami_from(&server, &access, "kdev-dt-other").json()["device"], false);
    let other = server.mint("other@example.com", SCOPE).expect("valid").access_token;
    assert_eq!(whoami_from(&server, &other, device).json()["device"], false);

    for bad in ["", "{}", "{\"display_name\":\"\"}", "{\"display_name\":\"a\\nb\"}", "[]"] {
        assert_eq!(enrol(&server, &access, bad).status, 400, "{bad}");
    }
    server.advance(601);
    let stale = enrol(&server, &access, "{\"display_name\":\"laptop\"}");
    assert_eq!((stale.status, stale.error().as_str()), (403, "stale_login"));
    assert_eq!(enrol(&server, "kdev-at-wrong", "{\"display_name\":\"x\"}").status, 401);

    let path = format!("{DEVICES}/{}", body["device_id"].as_str().expect("an id"));
    assert_eq!(request(&server, "DELETE", &path, &[("authorization", &bearer(&other))], "").status, 404);
    assert_eq!(request(&server, "DELETE", &path, &[("authorization", &bearer(&access))], "").status, 204);
    assert_eq!(request(&server, "DELETE", &path, &[("authorization", &bearer(&access))], "").status, 404);
    assert_eq!(whoami_from(&server, &access, device).json()["device"], false);
    assert_eq!(refresh(&server, &refresh_token, &[]).status, 200, "the login itself goes on");
}

/// The wire page: a successor may come with any answer; the old token lives until the new one is used.
#[test]
fn a_device_token_is_succeeded_without_being_lost() {
    let server = server();
    server.set_access_token_ttl(std::time::Duration::from_secs(100 * 86_400));
    let (access, _) = sign_in(&server);
    let first = enrol(&server, &access, "{\"display_name\":\"x\"}").json()["device_token"]
        .as_str()
        .expect("t")
        .to_owned();
    assert_eq!(whoami_from(&server, &access, &first).header("x-trusted-device-token"), None, "it is young");
    server.advance(46 * 86_400);
    let lost =
        whoami_from(&server, &access, &first).header("x-trusted-device-token").expect("due").to_owned();
    let again = whoami_from(&server, &access, &first);
    assert_eq!(again.json()["device"], true, "the answer may have been lost");
    let second = again.header("x-trusted-device-token").expect("once more").to_owned();
    assert_eq!(whoami_from(&server, &access, &lost).json()["device"], false, "replaced before it was used");
    assert_eq!(whoami_from(&server, &access, &second).json()["device"], true);
    assert_eq!(whoami_from(&server, &access, &first).json()["device"], false, "its successor is in use");
    server.rotate_device_tokens(true);
    assert!(whoami_from(&server, &access, &second).header("x-trusted-device-token").is_some());
}

/// RFC 7009 §2, §2.1, §2.2.
#[test]
fn revoking_ends_a_token_and_a_refresh_token_takes_its_access_tokens_along() {
    let server = with_machine();
    let (access, token) = sign_in(&server);
    let own = ("client_id", LOCAL_CLIENT_ID);
    let foreign = post(&server, REVOKE, &[], &[("token", &token), ("client_id", "other")]);
    assert_eq!((foreign.status, foreign.error().as_str()), (400, "invalid_grant"));
    assert_eq!(whoami(&server, &access).status, 200);
    // A wrong hint is only a hint.
    let hinted = [("token", &*token), ("token_type_hint", "access_token"), own];
    assert_eq!(post(&server, REVOKE, &[], &hinted).status, 200);
    assert_eq!(whoami(&server, &access).status, 401);
    assert_eq!(refresh(&server, &token, &[]).error(), "invalid_grant");
    assert_eq!(post(&server, REVOKE, &[], &[("token", "kdev-rt-unknown"), own]).status, 200);
    assert_eq!(post(&server, REVOKE, &[], &[own]).error(), "invalid_request");
    assert_eq!(post(&server, REVOKE, &[], &[("token", &*token)]).error(), "invalid_client");

    let (access, token) = sign_in(&server);
    assert_eq!(post(&server, REVOKE, &[], &[("token", &access), own]).status, 200);
    assert_eq!(whoami(&server, &access).status, 401);
    assert_eq!(refresh(&server, &token, &[]).status, 200, "an access token alone");
}

/// RFC 7662 §2.1, §2.2: authorized callers; inactive and unknown tokens look alike.
#[test]
fn introspection_answers_confidential_clients_only() {
    let server = with_machine();
    let (access, token) = sign_in(&server);
    let body = introspect(&server, &access).json();
    assert_eq!(body["active"], true);
    assert_eq!((body["scope"].as_str(), body["client_id"].as_str()), (Some(SCOPE), Some(LOCAL_CLIENT_ID)));
    assert_eq!(body["sub"], keyfob_dev::account_uuid(DEFAULT_EMAIL));
    assert_eq!(body["exp"].as_u64().expect("exp") - body["iat"].as_u64().expect("iat"), 3600);
    assert_eq!(introspect(&server, &token).json()["active"], true);

    let inactive = serde_json::json!({ "active": false });
    tokens(&refresh(&server, &token, &[]));
    assert_eq!(introspect(&server, &token).json(), inactive, "spent");
    assert_eq!(introspect(&server, "unknown").json(), inactive);
    server.advance(3600);
    assert_eq!(introspect(&server, &access).json(), inactive, "expired");

    let public = post(&server, INTROSPECT, &[], &[("token", &access), ("client_id", LOCAL_CLIENT_ID)]);
    assert_eq!((public.status, public.error().as_str()), (401, "invalid_client"));
    let wrong = [("token", &*access), ("client_id", "machine"), ("client_secret", "wrong")];
    assert_eq!(post(&server, INTROSPECT, &[], &wrong).error(), "invalid_client");
}

/// RFC 9700 §4.15: a client acting for itself is nobody's account.
#[test]
fn a_client_is_not_taken_for_a_person() {
    let server = with_machine();
    let form = [("grant_type", "client_credentials"), ("client_id", "machine"), ("client_secret", "secret")];
    let all = with(&form, &[("scope", SCOPE)]);
    let token = post(&server, TOKEN, &[], &all).json()["access_token"].as_str().expect("a token").to_owned();
    assert_eq!(introspect(&server, &token).json()["sub"], "client:machine");
    assert!(whoami(&server, &token).json()["account_uuid"].is_null());
    assert_eq!(get(&server, PROFILE, &[("authorization", &bearer(&token))]).status, 403);
}

/// RFC 8414 §3, §3.2, §3.3; RFC 9207 §3; at both well-known paths of each base.
#[test]
fn metadata_names_the_issuer_it_was_asked_for() {
    let server = server();
    let base = server.base_url();
    let paths = [
        ("/.well-known/oauth-authorization-server", ""),
        ("/.well-known/openid-configuration", ""),
        ("/.well-known/oauth-authorization-server/apps", "/apps"),
        ("/apps/.well-known/openid-configuration", "/apps"),
        ("/.well-known/oauth-authorization-server/console", "/console"),
        ("/console/.well-known/openid-configuration", "/console"),
    ];
    for (path, prefix) in paths {
        let body = get(&server, path, &[]).json();
        let issuer = format!("{base}{prefix}");
        assert_eq!(body["issuer"], issuer, "{path}");
        assert_eq!(body["token_endpoint"], format!("{issuer}/v1/oauth/token"));
        assert_eq!(body["code_challenge_methods_supported"], serde_json::json!(["S256"]));
        assert_eq!(body["authorization_response_iss_parameter_supported"], true);
        assert_eq!(body["response_types_supported"], serde_json::json!(["code"]));
        // RFC 9207 §2.4: what this document's endpoint answers is this document's issuer.
        let endpoint =
            body["authorization_endpoint"].as_str().expect("a URL").strip_prefix(&base).expect("ours");
        let joint = if endpoint.contains('?') { '&' } else { '?' };
        let answer = get(&server, &format!("{endpoint}{joint}{}", encode(AUTHORIZE)), &[]);
        assert_eq!(answer.parameter("iss"), Some(issuer));
    }
    assert_eq!(get(&server, "/.well-known/oauth-authorization-server/elsewhere", &[]).status, 404);
    assert_eq!(get(&server, "/apps/.well-known/oauth-authorization-server", &[]).status, 404);
}

/// OpenID Connect Core §5.3.2: claims as far as the scopes reach.
#[test]
fn userinfo_tells_what_the_scopes_allow() {
    let server = server();
    let ask = |scope: &str| {
        let token = server.mint(DEFAULT_EMAIL, scope).expect("valid").access_token;
        get(&server, "/oauth/userinfo", &[("authorization", &bearer(&token))])
    };
    assert_eq!(ask("openid").json(), serde_json::json!({ "sub": keyfob_dev::account_uuid(DEFAULT_EMAIL) }));
    assert_eq!(ask("openid email").json()["email"], DEFAULT_EMAIL);
    assert_eq!(ask("profile").status, 403);
}

/// Every issued credential is new, long and recognisable (RFC 6749 §10.10).
#[test]
fn credentials_are_long_and_never_the_same() {
    let server = server();
    let mut seen = std::collections::HashSet::new();
    for _ in 0..20 {
        let (access, token) = sign_in(&server);
        for (credential, prefix) in [(access, "kdev-at-"), (token, "kdev-rt-")] {
            // 43 base64url characters are 256 bits.
            assert!(credential.strip_prefix(prefix).is_some_and(|random| random.len() == 43));
            assert!(seen.insert(credential));
        }
    }
}

/// Every answer says that this is no place for production.
#[test]
fn every_answer_marks_the_server_insecure() {
    let server = server();
    for path in ["/", "/nowhere", "/v1/whoami", TOKEN, "/assets/keyfob-dev.css"] {
        let answer = get(&server, path, &[]);
        assert_eq!(answer.header("server"), Some("keyfob-dev (insecure, for development)"), "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), None, "{path}");
    }
}
