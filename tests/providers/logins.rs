//! From the approved URL to a login, its renewal and its end, over TLS and through the proxy.

use std::io::{BufRead, BufReader};

use url::Url;

use crate::{
    company::{Company, HOST},
    front::Answer,
};
use keyfob_testkit::Ran;

#[test]
fn a_custom_provider_from_login_to_logout() {
    let company = Company::new();
    company.login();
    let record = company.record();
    assert_eq!(record["issuer"], format!("https://{HOST}"));
    assert_eq!(record["endpoints"]["token_url"], format!("https://{HOST}/v1/oauth/token"), "discovered");

    let first = company.run(&["token"]).answer().to_owned();
    company.expire();
    let second = company.run(&["token"]).answer().to_owned();
    assert_ne!(first, second);
    assert_eq!(company.server.grants().refreshes, 1);
    assert_eq!(company.front.asked("POST /v1/oauth/token"), 2, "the code and one renewal");

    let out = company.run(&["logout", "--json"]);
    assert!(out.answer().contains("confirmed"), "{out:?}");
    assert_eq!(company.front.asked("POST /v1/oauth/revoke"), 1);
    assert!(company.records().is_empty());
    // Whatever was asked of the provider went through the proxy, and nothing else did.
    let asked = company.proxy.asked();
    assert!(asked.iter().all(|line| line.starts_with("CONNECT oauth.company.test:443 ")), "{asked:?}");
    assert_eq!(asked.len(), company.front.connections());
}

/// OpenID Connect Core §3.1.2.1: without the scope `openid` an `id_token` means nothing. It is not read, whatever it is.
#[test]
fn an_id_token_nobody_asked_for_does_not_end_a_sign_in() {
    let company = Company::new();
    company.front.answers(
        "POST /v1/oauth/token",
        Answer::json(&serde_json::json!({
            "access_token": "theirs", "token_type": "Bearer", "refresh_token": "next", "expires_in": 3600,
            "id_token": "no.id.token",
        })),
    );
    let told = company.login_by(&mut company.keyfob(&["login", "--no-browser"]));
    assert_eq!(told.code, Some(0), "{told:?}");
    assert!(!told.err.contains("ID token"), "{told:?}");
    assert_eq!(company.record()["access_token"], "theirs");
}

/// RFC 9207: an answer from another provider, or one without an issuer although this provider promised to send it, is
/// refused before its code is sent anywhere. One that belongs to another attempt does not even end the wait.
#[test]
fn callback_with_a_foreign_issuer_is_rejected() {
    let company = Company::new();
    for iss in ["&iss=https%3A%2F%2Fevil.company.test", "&iss=https%3A%2F%2Foauth.company.test%2F", ""] {
        let mut child = company.keyfob(&["login", "--no-browser"]).spawn().expect("the command starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("text");
        let url = Url::parse(line.trim()).expect("an address");
        let parameter = |wanted: &str| {
            let mut found = url.query_pairs().filter(|(name, _)| name == wanted);
            found.next().expect("a parameter").1.into_owned()
        };
        let agent = ureq::Agent::config_builder().proxy(None).http_status_as_error(false).build().new_agent();
        let callback = parameter("redirect_uri");
        let stranger = agent.get(format!("{callback}?code=theirs&state=another{iss}")).call();
        assert!(!stranger.expect("an answer").status().is_success());
        let state = parameter("state");
        agent.get(format!("{callback}?code=theirs&state={state}{iss}")).call().expect("an answer");
        let ran = Ran::from(child.wait_with_output().expect("it ends"));
        assert!(ran.code == Some(5) && ran.err.contains("RFC 9207"), "{ran:?}");
    }
    assert_eq!(company.front.asked("POST "), 0, "the code went nowhere");
}
