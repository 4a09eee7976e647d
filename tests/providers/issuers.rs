//! A token belongs to the issuer and the client that minted it, and is sent nowhere else.

use keyfob_dev::{Client, Options};

use crate::{
    company::{Company, HOST},
    front::Front,
};
use keyfob_testkit::{Ran, provider_with};

const OTHER: &str = "id.other.test";

/// Every secret of the one login of this company's.
fn secrets(company: &Company) -> Vec<String> {
    let record = company.record();
    ["access_token", "refresh_token"].map(|name| record[name].as_str().expect("a token").to_owned()).into()
}

fn was_told(front: &Front, secrets: &[String]) -> bool {
    front
        .seen()
        .iter()
        .any(|seen| secrets.iter().any(|secret| seen.head.contains(secret) || seen.body.contains(secret)))
}

#[test]
fn a_token_stays_with_its_issuer() {
    let company = Company::new();
    let server = provider_with(Options {
        clients: vec![Client::public("agents").expect("a name")],
        ..Options::default()
    });
    let other = company.host(OTHER, Some(server.base_url()));
    company.approve(&format!(
        "[[approved]]\nurl = \"https://{HOST}/oauth\"\n[[approved]]\nurl = \"https://{OTHER}/oauth\"\n"
    ));
    company.login();
    let first = secrets(&company);
    assert!(was_told(&company.front, &first[..1]), "the log shows what was told");

    let there = |words: &[&str]| {
        let mut command = company.keyfob(words);
        command.env("CLAUDE_CODE_CUSTOM_OAUTH_URL", format!("https://{OTHER}/oauth/authorize"));
        command.env("CLAUDE_CODE_OAUTH_CLIENT_ID", "agents");
        command
    };
    let run = |words: &[&str]| Ran::from(there(words).output().expect("it runs"));
    company.expire();
    run(&["token", "--json"]).failed(4, "login-needed");
    run(&["status", "--verify"]);
    run(&["doctor"]);
    run(&["logout"]);
    run(&["connect"]);
    company.login_by(&mut there(&["login", "--no-browser"])).answer();
    let second = run(&["token"]).answer().to_owned();
    assert!(!was_told(&other, &first), "{:?}", other.seen());
    assert_eq!(company.records().len(), 2);

    // Back: the first one's login is still there and renews where it was minted.
    let renewals = other.asked("POST ");
    let renewed = company.run(&["token"]).answer().to_owned();
    assert_ne!(renewed, second);
    assert_eq!(other.asked("POST "), renewals);
    assert!(!was_told(&company.front, &[second]));
    assert!(!was_told(&other, &[renewed]));
}

/// Renewal asks where the login was minted and as the client it was minted for, whatever is approved or configured
/// since.
#[test]
fn renewal_uses_what_the_record_says() {
    let company = Company::new();
    let other = company.host(OTHER, Some(company.server.base_url()));
    company.login();
    company.approve(&format!(
        "[[approved]]\nurl = \"https://{HOST}/oauth\"\ntoken_url = \"https://{OTHER}/v1/oauth/token\"\n\
         revoke_url = \"https://{OTHER}/v1/oauth/revoke\"\n"
    ));
    company.expire();
    let renewed = company.run(&["token"]).answer().to_owned();
    let posts: Vec<_> =
        company.front.seen().into_iter().filter(|seen| seen.line.starts_with("POST ")).collect();
    let last = &posts.last().expect("a renewal").body;
    assert!(last.contains("grant_type=refresh_token") && last.contains("client_id=keyfob-local"), "{last}");
    assert!(!last.contains("client_secret") && !last.contains("scope="), "{last}");

    // Another client is another login.
    let told = company.run_with("CLAUDE_CODE_OAUTH_CLIENT_ID", Some("agents"), &["token", "--json"]);
    told.failed(4, "login-needed");

    assert!(company.run(&["logout", "--json"]).answer().contains("confirmed"));
    assert_eq!(other.connections(), 0, "{:?} {renewed}", other.seen());
}
