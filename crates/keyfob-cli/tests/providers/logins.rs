//! From the approved address to a login, its renewal and its end, over TLS and through the proxy.

use crate::company::{Company, HOST};

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
