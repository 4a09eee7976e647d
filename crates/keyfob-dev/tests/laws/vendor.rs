//! What the vendor demands beyond the standards, and how some providers write their answers.

use keyfob_dev::{DevServer, FaultGrant, FaultKind, LOCAL_API_KEY, LOCAL_CLIENT_ID, Options};
use serde_json::{Value, json};

use crate::common::{
    Answer, CALLBACK, TOKEN, VERIFIER, code, exchange, get, last_outcome, refresh, request, server, start,
};

const OAUTH: (&str, &str) = ("anthropic-beta", "oauth-2025-04-20");
const FEDERATION: (&str, &str) = ("anthropic-beta", "oidc-federation-2026-04-01");

fn vendor() -> DevServer {
    start(Options { vendor: true, ..Options::default() })
}

fn post_json(server: &DevServer, headers: &[(&str, &str)], body: &Value) -> Answer {
    let all: Vec<_> = [("content-type", "application/json")].iter().chain(headers).copied().collect();
    request(server, "POST", TOKEN, &all, &body.to_string())
}

fn signed_in(server: &DevServer) -> Value {
    let code = code(server, &[]);
    let body = json!({
        "grant_type": "authorization_code", "client_id": LOCAL_CLIENT_ID, "code": code,
        "redirect_uri": CALLBACK, "code_verifier": VERIFIER,
    });
    let answer = post_json(server, &[], &body);
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

#[test]
fn token_requests_are_json_and_a_refresh_has_its_flag() {
    let server = vendor();
    assert_eq!(exchange(&server, &code(&server, &[]), &[]).error(), "invalid_request", "a form");
    let tokens = signed_in(&server);
    let renewal = json!({
        "grant_type": "refresh_token", "client_id": LOCAL_CLIENT_ID, "refresh_token": tokens["refresh_token"],
    });
    let form = refresh(&server, tokens["refresh_token"].as_str().expect("one"), &[]);
    assert_eq!((form.status, form.error().as_str()), (400, "invalid_request"));
    for headers in [&[][..], &[FEDERATION], &[OAUTH, FEDERATION], &[("anthropic-beta", "oauth-2025-04-20b")]]
    {
        let answer = post_json(&server, headers, &renewal);
        assert_eq!((answer.status, answer.error().as_str()), (400, "invalid_request"), "{headers:?}");
        assert_eq!(last_outcome(&server), "flag-missing");
    }
    // Nothing of that has spent it.
    let listed = ("anthropic-beta", "some-flag, oauth-2025-04-20");
    assert_eq!(post_json(&server, &[listed], &renewal).status, 200);
    assert_eq!(server.grants().reuses, 0);
}

/// RFC 6749 §3.2: no parameter twice, whichever way it is written.
#[test]
fn a_member_that_stands_twice_is_refused() {
    let server = vendor();
    let body = r#"{"grant_type":"refresh_token","grant_type":"refresh_token"}"#;
    let answer = request(&server, "POST", TOKEN, &[("content-type", "application/json")], body);
    assert_eq!((answer.status, answer.error().as_str()), (400, "invalid_request"));
}

#[test]
fn an_access_token_opens_the_api_with_its_flag_alone() {
    let server = vendor();
    let tokens = signed_in(&server);
    let bearer = format!("Bearer {}", tokens["access_token"].as_str().expect("one"));
    for path in ["/v1/whoami", "/api/oauth/profile", "/v1/session/ws"] {
        let answer = get(&server, path, &[("authorization", &bearer)]);
        assert_eq!((answer.status, last_outcome(&server).as_str()), (401, "flag-missing"), "{path}");
        assert!(answer.header("www-authenticate").is_some_and(|it| it.contains("invalid_token")), "{path}");
    }
    assert_eq!(get(&server, "/v1/whoami", &[("authorization", &bearer), OAUTH]).status, 200);
    assert_eq!(get(&server, "/v1/whoami", &[("x-api-key", LOCAL_API_KEY)]).status, 200, "a key needs none");
    let key = format!("Bearer {LOCAL_API_KEY}");
    let both = [("x-api-key", LOCAL_API_KEY), ("authorization", &*key)];
    assert_eq!(get(&server, "/v1/whoami", &both).status, 200, "as a helper's key is sent");
}

/// As GitHub answers: a form, and 200 whatever it says.
#[test]
fn answers_may_be_forms_and_errors_may_be_200() {
    let server = server();
    server.inject(keyfob_dev::Fault { grant: FaultGrant::Code, kind: FaultKind::FormAnswer }, None);
    server.inject(keyfob_dev::Fault { grant: FaultGrant::Code, kind: FaultKind::Always200 }, None);
    let granted = exchange(&server, &code(&server, &[]), &[]);
    let members = |answer: &Answer| -> Vec<(String, String)> {
        assert_eq!(
            answer.header("content-type"),
            Some("application/x-www-form-urlencoded; charset=utf-8"),
            "{answer:?}"
        );
        form_urlencoded::parse(answer.body.as_bytes()).into_owned().collect()
    };
    let has = |answer: &Answer, name: &str| members(answer).iter().any(|(known, _)| known == name);
    assert!(has(&granted, "access_token") && has(&granted, "refresh_token"));
    assert!(members(&granted).contains(&("expires_in".into(), "3600".into())));
    let refused = exchange(&server, "unknown", &[]);
    assert_eq!(refused.status, 200);
    assert!(members(&refused).contains(&("error".into(), "invalid_grant".into())));
}
