//! Everything that could keep a login from working, found and, where nobody has to be asked, mended.

use std::{fs, path::PathBuf};

use serde_json::{Value, json};

use crate::sandbox::Sandbox;

/// The record of the one login.
fn record(s: &Sandbox) -> PathBuf {
    let paths = fs::read_dir(s.logins()).expect("a store").flatten().map(|entry| entry.path());
    let mut records = paths.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    records.next().expect("a record")
}

/// What the doctor says of a subject: its state, and the id of what is wrong or the text of what is right.
fn of(s: &Sandbox, words: &[&str], variables: &[(&str, &str)], subject: &str) -> (String, String) {
    let words: Vec<_> = ["doctor", "--json"].into_iter().chain(words.iter().copied()).collect();
    let output = s.keyfob(words).envs(variables.iter().copied()).output().expect("it runs");
    let said: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let findings = said["findings"].as_array().expect("a list");
    let finding = findings.iter().find(|f| f["subject"] == subject);
    let finding = finding.unwrap_or_else(|| panic!("nothing of {subject}: {said}"));
    let wrong = finding["state"] == "problem";
    assert!(!wrong || output.status.code() != Some(0), "{said}");
    let text = if wrong { &finding["error"]["id"] } else { &finding["text"] };
    (finding["state"].as_str().expect("a word").into(), text.as_str().expect("a text").into())
}

#[test]
fn a_damaged_login_is_set_aside_and_named() {
    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    fs::write(record(&s), "{\"version\":1").expect("ours");
    assert_eq!(of(&s, &[], &[], "login"), ("problem".into(), "outcome-unknown".into()));
    let (state, text) = of(&s, &["--fix"], &[], "login");
    assert!(state == "fixed" && text.contains("set aside as"), "{state}: {text}");
    assert_eq!(of(&s, &[], &[], "set-aside file"), ("problem".into(), "store-corrupt".into()));
}

/// A renewal that was interrupted after its answer was on the disk: put in its place, and nobody was asked.
#[test]
fn what_an_interrupted_renewal_left_is_finished() {
    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    let path = record(&s);
    let mut next: Value = serde_json::from_slice(&fs::read(&path).expect("ours")).expect("JSON");
    next["generation"] = json!(next["generation"].as_u64().expect("a number") + 1);
    next["access_token"] = json!("of-the-renewal");
    let beside = path.with_extension("next");
    fs::write(&beside, next.to_string()).expect("ours");
    fs::set_permissions(&beside, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("ours");
    let asked = s.server.requests().len();
    assert_eq!(of(&s, &[], &[], "login").0, "problem");
    let (state, text) = of(&s, &["--fix"], &[], "login");
    assert!(state == "fixed" && text.contains("put in its place"), "{state}: {text}");
    assert_eq!(s.out(&["token"]), "of-the-renewal\n");
    let token_requests =
        s.server.requests().iter().skip(asked).filter(|r| r.path.ends_with("/token")).count();
    assert_eq!(token_requests, 0, "the doctor never renews");
}

/// Somebody who renews is named, and left alone.
#[test]
fn whoever_holds_the_lease_is_named() {
    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    let path = record(&s);
    fs::write(path.with_extension("next"), b"").expect("ours");
    let lock =
        fs::File::options().read(true).write(true).open(path.with_extension("lock")).expect("a lock file");
    lock.lock().expect("ours");
    let (state, text) = of(&s, &["--fix"], &[], "login");
    assert!(state == "ok" && text.contains("is renewing"), "{state}: {text}");
}

#[test]
fn clocks_providers_shadows_and_variables() {
    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    assert_eq!(of(&s, &[], &[], "clock").0, "ok");
    s.server.advance(4000);
    assert_eq!(of(&s, &[], &[], "clock"), ("problem".into(), "unreachable".into()));
    let (state, text) = of(&s, &[], &[("ANTHROPIC_API_KEY", "a-key")], "sources");
    assert!(state == "ok" && text == "api-key is used, and comes before login", "{text}");
    let away = [("CLAUDE_LOCAL_OAUTH_API_BASE", "http://127.0.0.1:9")];
    assert_eq!(of(&s, &[], &away, "provider"), ("problem".into(), "unreachable".into()));
    let malformed = [("CLAUDE_CODE_ACCOUNT_UUID", "me")];
    assert_eq!(
        of(&s, &[], &malformed, "variables and files"),
        ("problem".into(), "variable-malformed".into())
    );
}
