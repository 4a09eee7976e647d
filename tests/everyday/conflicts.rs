//! Several credentials at once: the most common surprise is that the wrong one wins silently.

use std::process::Output;

use serde_json::Value;

use keyfob_testkit::{Sandbox, stderr};

const KEY: (&str, &str) = ("ANTHROPIC_API_KEY", "kdev-ak-local");
const TOKEN: (&str, &str) = ("CLAUDE_CODE_OAUTH_TOKEN", "kdev-at-invented");

fn run(s: &Sandbox, words: &[&str], variables: &[(&str, &str)]) -> Output {
    s.keyfob(words).envs(variables.iter().copied()).output().expect("it runs")
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

/// A login that is saved but will not be used: reported at once, with the winning source and a hint.
#[test]
fn a_new_login_says_what_comes_before_it() {
    let s = Sandbox::new();
    let minted = s.server.mint("ada@example.com", "user:profile user:inference").expect("tokens");
    let file = s.home.path().join("token");
    std::fs::write(&file, &minted.access_token).expect("ours");
    let login = |variables: &[(&str, &str)]| {
        let mut command = s.keyfob(["login", "--with-token", "access", "--json"]);
        command.envs(variables.iter().copied()).stdin(std::fs::File::open(&file).expect("ours"));
        command.output().expect("it runs")
    };
    for variable in [KEY, TOKEN] {
        let output = login(&[variable]);
        assert_eq!(output.status.code(), Some(0));
        let shadowed = json(&output)["shadowed_by"].to_string();
        assert!(shadowed.contains(&format!("{} comes first", variable.0)), "{shadowed}");
        let said = stderr(&output);
        assert!(said.contains("saved but not used") && said.contains("--only login"), "{said}");
    }
    let output = login(&[]);
    assert_eq!(json(&output)["shadowed_by"], Value::Null);
    assert!(!stderr(&output).contains("warning"), "{}", stderr(&output));
}

/// Scripts do not run `status`, so the warning goes to their log; the answer is unchanged.
#[test]
fn shadowed_login_warns_in_scripts() {
    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    let quiet = run(&s, &["token"], &[]);
    assert_eq!(stderr(&quiet), "", "nothing is shadowed, nothing is said");
    for words in [&["token"][..], &["header"], &["exec", "--", "true"]] {
        let output = run(&s, words, &[TOKEN]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        let said = stderr(&output);
        assert!(
            said.contains("warning: CLAUDE_CODE_OAUTH_TOKEN is used and comes before the stored login"),
            "{words:?}: {said}"
        );
        assert!(!said.contains("invented"), "{said}");
    }
    assert_eq!(String::from_utf8_lossy(&run(&s, &["token"], &[TOKEN]).stdout), "kdev-at-invented\n");
}

/// `--only` never moves on: not to a better source, not to a worse one, not after a failure.
#[test]
fn only_never_falls_back_to_another_source() {
    let s = Sandbox::new();
    let excluded = run(&s, &["--only", "login", "token", "--json"], &[KEY, TOKEN]);
    assert_eq!(
        (excluded.status.code(), json(&excluded)["error"]["id"].as_str()),
        (Some(3), Some("source-excluded"))
    );
    s.sign_in("default", "ada@example.com");
    let login = run(&s, &["--only", "login", "token", "--json"], &[KEY, TOKEN]);
    assert_eq!(json(&login)["source"], "login");
    assert_eq!(stderr(&login), "", "what was asked for is no surprise");
    let key = run(&s, &["--only", "api-key", "token", "--json"], &[KEY, TOKEN]);
    assert_eq!(json(&key)["source"], "api-key");
    let none = run(&s, &["--only", "api-key", "token", "--json"], &[TOKEN]);
    assert_eq!(json(&none)["error"]["id"], "source-excluded");
    let typo = run(&s, &["--only", "logn", "token"], &[]);
    assert_eq!(typo.status.code(), Some(2));
    assert!(stderr(&typo).contains("api-key-helper"), "which there are: {}", stderr(&typo));
}

/// A named profile selects that login. Inherited tokens are ignored, and the user is informed.
#[test]
fn named_profile_ignores_tokens_in_variables() {
    let s = Sandbox::new();
    s.sign_in("work", "ada@work.example");
    let tokens =
        [KEY, TOKEN, ("ANTHROPIC_AUTH_TOKEN", "inherited"), ("CLAUDE_CODE_OAUTH_REFRESH_TOKEN", "inherited")];
    std::fs::write(s.home.path().join("keyfob/config.toml"), "api_key_helper = \"echo never\"\n")
        .expect("ours");
    for (words, named) in [
        (&["--profile", "work", "status", "--json"][..], None),
        (&["status", "--json"], Some(("KEYFOB_PROFILE", "work"))),
    ] {
        let mut variables = tokens.to_vec();
        variables.extend(named);
        let said = json(&run(&s, words, &variables));
        assert_eq!(said["winner"]["source"], "login");
        for source in ["auth-token", "api-key", "api-key-helper", "oauth-token", "refresh-token"] {
            let all = said["considered"].as_array().expect("a list");
            let one = all.iter().find(|one| one["source"] == source).expect("every source");
            assert_eq!(one["outcome"], "shadowed");
            let reason = one["reason"].as_str().expect("words");
            assert!(
                reason.ends_with("but the profile `work` was named, and means exactly its login"),
                "{reason}"
            );
        }
    }
    // That they are passed over is said where nobody asks `status`, and in the answer.
    let token = run(&s, &["--profile", "work", "token", "--json"], &tokens);
    let said = json(&token);
    let passed_over = ["auth-token", "api-key", "api-key-helper", "oauth-token", "refresh-token"];
    assert_eq!((&said["source"], &said["shadows"]), (&"login".into(), &passed_over.into()));
    let typed = "ANTHROPIC_AUTH_TOKEN, ANTHROPIC_API_KEY, the configured api_key_helper, CLAUDE_CODE_OAUTH_TOKEN, \
                 CLAUDE_CODE_OAUTH_REFRESH_TOKEN";
    assert!(stderr(&token).contains(typed), "{}", stderr(&token));
    // Nor is another source taken where that login is not there.
    let nobody = run(&s, &["--profile", "nobody", "token", "--json"], &tokens);
    assert_eq!(json(&nobody)["error"]["id"], "login-needed");
    let remote = [("CLAUDE_CODE_SESSION_ACCESS_TOKEN", "of-a-session")];
    let header = json(&run(&s, &["--profile", "work", "header", "--remote", "--json"], &remote));
    assert_eq!((&header["source"], &header["shadows"][0]), (&"login".into(), &"session-token".into()));
    // The one that counts when none is named is a preference, not a pin.
    s.out(&["profiles", "use", "work"]);
    assert_eq!(json(&run(&s, &["status", "--json"], &tokens))["winner"]["source"], "auth-token");
}

/// The account before the keys, as configured: what it comes before is said, as it is the other way round.
#[test]
fn what_is_shadowed_is_said_either_way() {
    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    let (login, key) = (("login", "the stored login"), ("api-key", "ANTHROPIC_API_KEY"));
    for (config, source, shadows) in [("prefer = \"oauth\"\n", login, key), ("", key, login)] {
        std::fs::write(s.home.path().join("keyfob/config.toml"), config).expect("ours");
        let ran = run(&s, &["token", "--json"], &[KEY]);
        let said = json(&ran);
        assert_eq!(
            (&said["source"], &said["shadows"]),
            (&source.0.into(), &[shadows.0][..].into()),
            "{said}"
        );
        let warning = format!("{} is used and comes before {}", source.1, shadows.1);
        assert!(stderr(&ran).contains(&warning), "{}", stderr(&ran));
    }
}
