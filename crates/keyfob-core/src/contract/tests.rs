use alloc::{collections::BTreeSet, format, string::ToString, vec, vec::Vec};

use super::*;
use crate::{Error, Id};

fn variables(pairs: &[(&str, &str)]) -> Variables {
    pairs.iter().map(|(name, value)| (name.to_string(), Some(value.to_string()))).collect()
}

fn problems(pairs: &[(&str, &str)]) -> Vec<Error> {
    read(&variables(pairs)).problems
}

#[test]
fn twenty_unique_rows_whose_examples_pass() {
    let names: BTreeSet<_> = VARIABLES.iter().map(|v| v.name).collect();
    assert_eq!(names.len(), 20);
    for v in VARIABLES.iter().chain(REFERENCED) {
        assert!(problems(&[(v.name, v.example)]).is_empty(), "{}", v.name);
        assert!(!v.about.is_empty() && !v.default.is_empty(), "{}", v.name);
        let reading = read(&variables(&[(v.name, v.example)]));
        let entry = reading.entries.iter().find(|e| e.variable.name == v.name).unwrap();
        match (&entry.state, v.kind) {
            (State::Set { value: None, fingerprint: Some(_) }, Kind::Secret) => {}
            (State::Set { value: Some(_), fingerprint: None }, kind) if kind != Kind::Secret => {}
            (state, _) => panic!("{}: {state:?}", v.name),
        }
    }
}

/// The seed's own examples, to the letter.
#[test]
fn the_examples_of_the_seed_pass() {
    for (name, value) in [
        ("CLAUDE_CODE_OAUTH_TOKEN", "oauth_token_abc123..."),
        ("CLAUDE_CODE_ACCOUNT_UUID", "550e8400-e29b-41d4-a716-446655440000"),
        ("CLAUDE_CODE_ORGANIZATION_UUID", "550e8400-e29b-41d4-a716-446655440001"),
        ("CLAUDE_CODE_USER_EMAIL", "user@company.com"),
        ("CLAUDE_CODE_ACCOUNT_TAGGED_ID", "acct_12345_prod"),
        ("CLAUDE_CODE_SESSION_ACCESS_TOKEN", "session_token_xyz..."),
        ("CLAUDE_CODE_OAUTH_CLIENT_ID", "custom_client_id_123"),
        ("CLAUDE_CODE_OAUTH_REFRESH_TOKEN", "refresh_token_abc..."),
        ("CLAUDE_CODE_OAUTH_SCOPES", "openid profile email offline_access"),
        ("CLAUDE_CODE_CUSTOM_OAUTH_URL", "https://oauth.company.com/authorize"),
        ("CLAUDE_CODE_API_KEY_FILE_DESCRIPTOR", "3"),
        ("CLAUDE_CODE_API_KEY_HELPER_TTL_MS", "300000"),
        ("CLAUDE_CODE_OAUTH_TOKEN_FILE_DESCRIPTOR", "4"),
        ("CLAUDE_CODE_WEBSOCKET_AUTH_FILE_DESCRIPTOR", "5"),
        ("CLAUDE_TRUSTED_DEVICE_TOKEN", "device_token_xyz..."),
        ("USE_LOCAL_OAUTH", "1"),
        ("CLAUDE_LOCAL_OAUTH_API_BASE", "http://localhost:3001"),
        ("CLAUDE_LOCAL_OAUTH_APPS_BASE", "http://localhost:3001/apps"),
        ("CLAUDE_LOCAL_OAUTH_CONSOLE_BASE", "http://localhost:3001/console"),
        ("USE_STAGING_OAUTH", "1"),
    ] {
        assert!(VARIABLES.iter().any(|v| v.name == name), "{name}");
        assert!(problems(&[(name, value)]).is_empty(), "{name}");
    }
}

#[test]
fn empty_is_unset() {
    let all: Vec<_> = VARIABLES.iter().chain(REFERENCED).map(|v| (v.name, "")).collect();
    let reading = read(&variables(&all));
    assert!(reading.problems.is_empty());
    assert!(reading.entries.iter().all(|entry| entry.state == State::Unset));
}

#[test]
fn every_problem_is_told_at_once_and_by_name() {
    let all: Vec<_> = VARIABLES.iter().chain(REFERENCED).map(|v| (v.name, "\u{7f} wrong\n")).collect();
    let problems = problems(&all);
    for v in VARIABLES.iter().chain(REFERENCED) {
        assert!(problems.iter().any(|p| p.what().contains(v.name)), "{}", v.name);
    }
    assert!(problems.iter().all(|p| p.exit_code() == 3));
}

/// No error repeats a secret, nor what may be one in the wrong variable, nor a password in a URL.
#[test]
fn errors_do_not_repeat_secrets() {
    for marked in [
        "MARKED secret",
        "MARKED_TOKEN\u{e9}",
        "MARKED\nX-Injected: 1",
        "sk-MARKED",
        "oauth_token_MARKED",
        "https://u:MARKED@host/",
        "http://host/?token=MARKED",
        "http://host/#MARKED",
    ] {
        for v in VARIABLES.iter().chain(REFERENCED) {
            let reading = read(&variables(&[(v.name, marked)]));
            for problem in &reading.problems {
                assert!(!format!("{problem} {problem:?}").contains("MARKED"), "{}: {problem}", v.name);
            }
            let shown = v.kind != Kind::Secret && reading.problems.is_empty();
            assert!(shown || !format!("{reading:?}").contains("MARKED"), "{}", v.name);
        }
    }
}

/// A short malformed value is shown to the user.
#[test]
fn plain_mistakes_are_shown() {
    for (name, value) in [
        ("USE_LOCAL_OAUTH", "TRUE"),
        ("CLAUDE_CODE_API_KEY_HELPER_TTL_MS", "-1"),
        ("CLAUDE_CODE_OAUTH_TOKEN_FILE_DESCRIPTOR", "2"),
        ("CLAUDE_CODE_CUSTOM_OAUTH_URL", "http://oauth.company.com/authorize"),
        ("CLAUDE_LOCAL_OAUTH_API_BASE", "http://10.0.0.1:3000"),
    ] {
        assert_eq!(problems(&[(name, value)])[0].what(), format!("{name} is malformed: `{value}`"));
    }
}

#[test]
fn text_that_is_not_utf_8_is_malformed() {
    let reading = read(&[("USE_LOCAL_OAUTH".to_string(), None)].into_iter().collect());
    assert_eq!(reading.problems.len(), 1);
    assert!(reading.problems[0].why().contains("UTF-8"));
}

/// What chooses the configuration, and with it the provider, must not vanish because it is no text.
#[test]
fn what_is_only_described_must_be_text_too() {
    for name in DESCRIBED.iter().flat_map(|(names, _)| names.split(", ")) {
        let reading = read(&[(name.to_string(), None)].into_iter().collect());
        assert_eq!(reading.problems.len(), 1, "{name}");
        assert_eq!(reading.problems[0].what(), format!("{name} is malformed"));
        assert!(!reading.provider_is_clear(), "{name}");
    }
    assert!(read(&[("LESS".to_string(), None)].into_iter().collect()).problems.is_empty(), "not ours");
}

/// A path is octets, whatever they stand for; nothing else is.
#[test]
fn a_path_need_not_be_text() {
    let value = || b"/h\xf6me".to_vec();
    for name in variables::PATHS {
        let variables: Variables = [(name.to_string(), value())].into_iter().collect();
        assert_eq!((variables.path(name), variables.text(name)), (Some(&value()[..]), None));
        assert!(variables.is_readable(name) && read(&variables).problems.is_empty(), "{name}");
        let twice = [(name.to_string(), value()), (name.to_string(), b"/home".to_vec())];
        assert!(!twice.into_iter().collect::<Variables>().is_readable(name), "{name}");
    }
    for name in ["KEYFOB_PROFILE", "BROWSER", "USE_LOCAL_OAUTH"] {
        assert_eq!(read(&[(name.to_string(), value())].into_iter().collect()).problems.len(), 1, "{name}");
    }
}

/// An environment block can hold one name twice; `getenv` finds the first, others the last.
#[test]
fn a_variable_has_one_value() {
    let twice = |a: &str, b: &str| {
        let pair = |value: &str| ("CLAUDE_CODE_OAUTH_TOKEN".to_string(), Some(value.to_string()));
        read(&[pair(a), pair(b)].into_iter().collect()).problems.len()
    };
    assert_eq!((twice("a", "b"), twice("a", ""), twice("a", "a")), (1, 1, 0));
}

/// A malformed choice never ends in production by accident.
#[test]
fn a_malformed_choice_leaves_the_provider_unclear() {
    for name in ["USE_LOCAL_OAUTH", "USE_STAGING_OAUTH", "CLAUDE_CODE_CUSTOM_OAUTH_URL"] {
        assert!(!read(&variables(&[(name, "yes")])).provider_is_clear(), "{name}");
    }
    assert!(!read(&variables(&[("USE_LOCAL_OAUTH", "1"), ("USE_STAGING_OAUTH", "1")])).provider_is_clear());
    assert!(read(&variables(&[("CLAUDE_CODE_USER_EMAIL", "nobody")])).provider_is_clear());
}

#[test]
fn two_environments_at_once_are_an_error() {
    let url = ("CLAUDE_CODE_CUSTOM_OAUTH_URL", "https://oauth.company.com/authorize");
    for pair in [
        vec![("USE_LOCAL_OAUTH", "1"), ("USE_STAGING_OAUTH", "1")],
        vec![("USE_LOCAL_OAUTH", "1"), url],
        vec![("USE_STAGING_OAUTH", "true"), url],
    ] {
        let problems = problems(&pair);
        assert_eq!(problems.len(), 1, "{pair:?}");
        assert_eq!(problems[0].id(), Id::VariablesConflict);
        assert!(problems[0].what().contains(pair[0].0) && problems[0].what().contains(pair[1].0));
    }
    assert!(problems(&[("USE_LOCAL_OAUTH", "1"), ("USE_STAGING_OAUTH", "0")]).is_empty());
}

#[test]
fn one_descriptor_serves_one_variable() {
    let pair =
        [("CLAUDE_CODE_OAUTH_TOKEN_FILE_DESCRIPTOR", "4"), ("CLAUDE_CODE_API_KEY_FILE_DESCRIPTOR", "4")];
    let problems = problems(&pair);
    assert_eq!(problems.len(), 1);
    assert!(problems[0].what().contains("descriptor 4"));
}

/// A leading `Bearer ` is accepted once and never doubled.
#[test]
fn a_bearer_prefix_is_taken_off_once() {
    let token = |text: &str| read(&variables(&[("ANTHROPIC_AUTH_TOKEN", text)])).settings.auth_token;
    assert!(token("Bearer abc").unwrap().same_as("abc"));
    assert!(token("abc").unwrap().same_as("abc"));
    assert!(token("Bearer Bearer abc").is_none(), "a blank inside a token is refused");
    assert_eq!(
        problems(&[("ANTHROPIC_AUTH_TOKEN", "Bearer ")])[0].why(),
        "expected a token, and there is none"
    );
}

#[test]
fn each_sort_of_value_has_its_word_and_its_rule() {
    for say in [Kind::word, Kind::rule] {
        let said: BTreeSet<_> = Kind::ALL.iter().map(|kind| say(*kind)).collect();
        assert!(said.len() == Kind::ALL.len() && !said.contains(""), "{said:?}");
    }
}

/// What a shell makes of it is the example again.
#[test]
fn an_export_line_sets_the_example() {
    for v in VARIABLES.iter().chain(REFERENCED) {
        let line = v.export();
        let value = line.strip_prefix(&format!("export {}=", v.name)).expect(&line);
        let quoted = value.strip_prefix('\'').and_then(|value| value.strip_suffix('\''));
        assert_eq!(quoted.unwrap_or(value), v.example);
        assert_eq!(quoted.is_some(), v.example.contains(' '), "{line}");
    }
}
