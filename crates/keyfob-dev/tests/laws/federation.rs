//! Laws of identity tokens and their exchange.

use keyfob_dev::{DevServer, Fault, FaultGrant, FaultKind, LOCAL_IDENTITY_REQUEST_TOKEN, Workload};

use crate::common::*;

const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const FLAG: (&str, &str) = ("anthropic-beta", "oidc-federation-2026-04-01");

fn identity(server: &DevServer, change: impl FnOnce(&mut Workload)) -> String {
    let mut workload = Workload::of(&server.base_url());
    change(&mut workload);
    server.identity_token(&workload).expect("a token")
}

fn bearer(server: &DevServer, token: &str) -> Answer {
    post(server, TOKEN, &[], &[("grant_type", JWT_BEARER), ("assertion", token)])
}

/// The vendor's exchange: members of a JSON object, and its flag.
fn vendor(server: &DevServer, token: &str, rule: &str, headers: Pairs<'_>) -> Answer {
    let body = serde_json::json!({
        "grant_type": JWT_BEARER, "assertion": token, "federation_rule_id": rule, "organization_id": "o",
    });
    let headers = with(&[("Content-Type", "application/json")], headers);
    request(server, "POST", TOKEN, &headers, &body.to_string())
}

/// RFC 7523 §2.1, §3: a true one gives an access token and no refresh token.
#[test]
fn a_true_assertion_gives_an_access_token() {
    let server = server();
    let answer = bearer(&server, &identity(&server, |_| ()));
    assert_eq!(answer.status, 200, "{}", answer.body);
    let body = answer.json();
    assert!(body["refresh_token"].is_null() && body["token_type"] == "Bearer");
    assert_eq!(whoami(&server, body["access_token"].as_str().expect("a token")).status, 200);
    assert_eq!(server.grants().federations, 1);
}

/// RFC 7523 §3: audience, expiry and signature are checked; §3.1: what fails is `invalid_grant`.
#[test]
fn a_false_assertion_is_an_invalid_grant() {
    let server = server();
    let good = identity(&server, |_| ());
    let (signed, _) = good.rsplit_once('.').expect("a JWT");
    for wrong in [
        identity(&server, |workload| workload.audience = "https://elsewhere.example".into()),
        identity(&server, |workload| workload.lifetime = -1),
        identity(&server, |workload| workload.subject.clear()),
        identity(&start(keyfob_dev::Options::default()), |_| ()),
        format!("{signed}.AAAA"),
        "x".into(),
    ] {
        let answer = bearer(&server, &wrong);
        assert_eq!((answer.status, answer.error().as_str()), (400, "invalid_grant"), "{}", answer.body);
    }
    let missing = post(&server, TOKEN, &[], &[("grant_type", JWT_BEARER)]);
    assert_eq!(missing.error(), "invalid_request");
    assert_eq!(server.grants().federations, 0);
}

/// RFC 7523 §3, item 7.
#[test]
fn a_numbered_assertion_is_good_once_and_another_as_often_as_it_lasts() {
    let server = server();
    let numbered = identity(&server, |_| ());
    assert_eq!(bearer(&server, &numbered).status, 200);
    assert_eq!(bearer(&server, &numbered).error(), "invalid_grant");
    assert_eq!(last_outcome(&server), "jti_reused");
    let other = identity(&server, |workload| workload.numbered = false);
    assert_eq!((bearer(&server, &other).status, bearer(&server, &other).status), (200, 200));
    assert_eq!((server.grants().federations, server.grants().identity_reuses), (3, 1));
}

/// RFC 8693 §2.1, §2.2.
#[test]
fn a_token_exchange_says_what_it_brings_and_what_was_issued() {
    let server = server();
    let token = identity(&server, |workload| workload.numbered = false);
    let good = [
        ("grant_type", TOKEN_EXCHANGE),
        ("subject_token", token.as_str()),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:jwt"),
    ];
    let exchange = |changes: Pairs<'_>| post(&server, TOKEN, &[], &with(&good, changes));
    let body = exchange(&[]).json();
    assert_eq!(body["issued_token_type"], "urn:ietf:params:oauth:token-type:access_token");
    assert_eq!(exchange(&[("audience", "https://unknown.example")]).error(), "invalid_target");
    assert_eq!(exchange(&[("subject_token_type", "urn:x")]).error(), "invalid_request");
    assert_eq!(exchange(&[("subject_token", "x")]).error(), "invalid_request");
    assert_eq!(exchange(&[("requested_token_type", "urn:x")]).error(), "invalid_request");
    assert_eq!(exchange(&[("client_id", "nobody")]).error(), "invalid_client");
}

/// The contract, "Environments": JSON alone, one flag and never the other, errors as objects.
#[test]
fn the_vendors_exchange_wants_its_form_and_a_rule_that_fits() {
    let server = server();
    let token = identity(&server, |workload| workload.numbered = false);
    assert_eq!(vendor(&server, &token, "fdrl_local", &[FLAG]).status, 200);
    let both = ("anthropic-beta", "oauth-2025-04-20,oidc-federation-2026-04-01");
    assert_eq!(vendor(&server, &token, "fdrl_local", &[both]).error(), "invalid_request");
    let form = [("grant_type", JWT_BEARER), ("assertion", &*token), ("federation_rule_id", "fdrl_local")];
    assert_eq!(post(&server, TOKEN, &[FLAG], &form).error(), "invalid_request");
    let stranger = identity(&server, |workload| workload.subject = "repo:stranger/fork".into());
    for (token, rule) in
        [(&token, "fdrl_nobody"), (&stranger, "fdrl_owner"), (&String::from("x"), "fdrl_local")]
    {
        let answer = vendor(&server, token, rule, &[FLAG]);
        assert_eq!(answer.status, 401);
        assert_eq!(answer.json()["error"]["type"], "authentication_error", "{}", answer.body);
    }
    let numbered = identity(&server, |_| ());
    assert_eq!(vendor(&server, &numbered, "fdrl_local", &[FLAG]).status, 200);
    let again = vendor(&server, &numbered, "fdrl_local", &[FLAG]);
    assert_eq!((again.status, again.json()["error"]["type"].as_str()), (401, Some("jti_reused")));
}

/// As GitHub Actions answers a job.
#[test]
fn a_job_is_given_an_identity_token_for_the_audience_it_asks_for() {
    let server = server();
    let base = server.base_url();
    let path = format!("/v1/identity/token?audience={base}");
    let bearer_of_a_job = format!("Bearer {LOCAL_IDENTITY_REQUEST_TOKEN}");
    let ask = |authorization: &str| get(&server, &path, &[("Authorization", authorization)]);
    assert_eq!(ask("Bearer of-another-job").status, 401);
    let value = ask(&bearer_of_a_job).json()["value"].as_str().expect("a token").to_owned();
    assert_eq!(bearer(&server, &value).status, 200);
    server.inject(Fault { grant: FaultGrant::Identity, kind: FaultKind::IdTokenExpired }, 1);
    let expired = ask(&bearer_of_a_job).json()["value"].as_str().expect("a token").to_owned();
    assert_eq!(bearer(&server, &expired).error(), "invalid_grant");
    server.inject(Fault { grant: FaultGrant::Identity, kind: FaultKind::Status503 }, 1);
    assert_eq!(ask(&bearer_of_a_job).status, 503);
    assert_eq!(server.grants().identity_tokens, 2);
}

/// RFC 8693 §2.1: an access token as the subject. What comes of it is good for less and never for more, and ends with the sign-in.
#[test]
fn an_access_token_is_exchanged_for_one_that_is_good_for_less() {
    let server = server();
    let (access, refresh) = sign_in(&server);
    let exchange = |token: &str, more: Pairs<'_>| {
        let own = [
            ("grant_type", TOKEN_EXCHANGE),
            ("client_id", keyfob_dev::LOCAL_CLIENT_ID),
            ("subject_token", token),
            ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
        ];
        post(&server, TOKEN, &[], &with(&own, more))
    };
    let token = |answer: &Answer| answer.json()["access_token"].as_str().expect("a token").to_owned();
    let answer = exchange(&access, &[("scope", "user:profile")]);
    assert_eq!((answer.status, &answer.json()["scope"]), (200, &serde_json::json!("user:profile")));
    let body = answer.json();
    assert!(body["refresh_token"].is_null());
    assert_eq!(body["issued_token_type"], "urn:ietf:params:oauth:token-type:access_token");
    let narrow = token(&answer);
    assert_eq!(whoami(&server, &narrow).status, 200);
    for (subject, more, error) in [
        (&*narrow, &[("scope", "user:inference")][..], "invalid_scope"),
        (&access, &[("scope", "org:create_api_key")], "invalid_scope"),
        (&access, &[("scope", "nonsense")], "invalid_scope"),
        (&access, &[("audience", "https://unknown.example")], "invalid_target"),
        (&refresh, &[], "invalid_request"),
        ("x", &[], "invalid_request"),
    ] {
        let answer = exchange(subject, more);
        assert_eq!((answer.status, answer.error().as_str()), (400, error), "{more:?}");
    }
    // What is for one service is not for this server, nor for another service.
    let reports = token(&exchange(&narrow, &[("audience", "reports")]));
    assert_eq!(whoami(&server, &reports).status, 401);
    assert_eq!(exchange(&reports, &[("audience", "other")]).error(), "invalid_target");
    assert_eq!(exchange(&reports, &[]).json()["scope"], "user:profile");
    assert_eq!(server.grants().federations, 3);
    let ended = post(
        &server,
        "/v1/oauth/revoke",
        &[],
        &[("token", &*refresh), ("client_id", keyfob_dev::LOCAL_CLIENT_ID)],
    );
    assert_eq!((ended.status, whoami(&server, &narrow).status), (200, 401));
    assert_eq!(exchange(&access, &[]).error(), "invalid_request");
}
