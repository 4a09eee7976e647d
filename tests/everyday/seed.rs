//! A refresh token from a variable, and how much of it is used.

use keyfob_dev::DevServer;

use keyfob_testkit::{Sandbox, stderr};

const SEED: &str = "CLAUDE_CODE_OAUTH_REFRESH_TOKEN";
const SCOPES: &str = "CLAUDE_CODE_OAUTH_SCOPES";

fn profile(server: &DevServer, token: &str) -> u16 {
    let agent = ureq::Agent::config_builder().proxy(None).http_status_as_error(false).build().new_agent();
    let request = agent.get(format!("{}/api/oauth/profile", server.base_url()));
    request
        .header("Authorization", format!("Bearer {}", token.trim()))
        .call()
        .expect("an answer")
        .status()
        .as_u16()
}

/// RFC 6749 §6: less than was granted may be asked for, at the exchange and at every renewal.
#[test]
fn no_more_scope_than_was_asked_for() {
    let s = Sandbox::new();
    let minted = s.server.mint("ada@example.com", "user:profile user:inference").expect("tokens");
    let token = |words: &[&str]| {
        let mut command = s.keyfob(words);
        let output =
            command.env(SEED, &minted.refresh_token).env(SCOPES, "user:inference").output().expect("runs");
        assert!(output.status.success(), "{}", stderr(&output));
        String::from_utf8(output.stdout).expect("text")
    };
    let first = token(&["token"]);
    assert_eq!(profile(&s.server, &first), 403, "the profile needs user:profile");
    let second = token(&["token", "--min-valid", "7200"]);
    assert_ne!(first, second);
    assert_eq!(profile(&s.server, &second), 403, "renewed, and no more than before");
}

/// More than was granted is refused by the provider, and costs nothing: the same seed without it works.
#[test]
fn more_scope_than_was_granted_costs_nothing() {
    let s = Sandbox::new();
    let minted = s.server.mint("ada@example.com", "user:inference").expect("tokens");
    let run = |seed: &str, scopes: &str| {
        let mut command = s.keyfob(["login", "--with-token", "refresh"]);
        command.env(SCOPES, scopes).stdin(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        std::io::Write::write_all(&mut child.stdin.take().expect("a pipe"), seed.as_bytes())
            .expect("it reads");
        child.wait_with_output().expect("it ends")
    };
    let wider = run(&minted.refresh_token, "user:inference user:profile");
    assert_eq!(wider.status.code(), Some(5), "{}", stderr(&wider));
    assert!(stderr(&wider).contains("invalid_scope"), "{}", stderr(&wider));
    assert!(run(&minted.refresh_token, "user:inference").status.success(), "nothing was spent");
}

/// A refresh token in a variable signs in at once, and no page is opened unless one is asked for.
#[test]
fn login_exchanges_the_variables_refresh_token_and_opens_no_page() {
    let s = Sandbox::new();
    let minted = s.server.mint("ada@example.com", "user:profile user:inference").expect("tokens");
    let with_seed = |words: &[&str]| {
        let mut command = s.keyfob(words);
        command.env(SEED, &minted.refresh_token);
        command
    };
    let output = with_seed(&["login"]).output().expect("it runs");
    let told = stderr(&output);
    assert!(output.status.success(), "{told}");
    assert!(told.contains("with the refresh token in CLAUDE_CODE_OAUTH_REFRESH_TOKEN"), "{told}");
    assert!(output.stdout.is_empty() && !told.contains("Open this address"), "{told}");
    assert_eq!(s.server.grants().refreshes, 1);
    // It was saved: whoever asks next gets the token of that one exchange.
    let token = with_seed(&["token"]).output().expect("it runs");
    assert!(token.status.success(), "{}", stderr(&token));
    let token = String::from_utf8(token.stdout).expect("text");
    assert_eq!(profile(&s.server, &token), 200);
    let again =
        with_seed(&["login", "--json"]).env("ANTHROPIC_API_KEY", "sk-first").output().expect("it runs");
    let answer: serde_json::Value = serde_json::from_slice(&again.stdout).expect("one object");
    assert_eq!(answer["profile"], "default", "{answer}");
    assert!(
        answer["shadowed_by"].as_str().is_some_and(|why| why.contains("ANTHROPIC_API_KEY comes first")),
        "{answer}"
    );
    assert_eq!(s.server.grants().refreshes, 1);

    for words in [&["login", "--no-browser"][..], &["login", "--email", "dev@example.com", "--no-browser"]] {
        let output = crate::visitor::follow(&mut with_seed(words));
        assert!(output.status.success(), "{}", stderr(&output));
    }
    let output = with_seed(&["--profile", "work", "login"]).output().expect("it runs");
    assert!(stderr(&output).contains("nobody is here to sign in"), "{}", stderr(&output));
}
