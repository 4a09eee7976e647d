//! Trusted devices: enrolled when the provider asks for it, renewed when it renews them, removed with the login.

use std::{fs, path::PathBuf, process::Output};

use keyfob_dev::Options;
use serde_json::Value;

use crate::visitor::follow;
use keyfob_testkit::{Ran, Sandbox, stderr};

fn asking() -> Sandbox {
    Sandbox::with(Options { require_device: true, ..Options::default() })
}

/// Signs in on the page.
fn login(s: &Sandbox, words: &[&str], variables: &[(&str, &str)]) -> Output {
    let words: Vec<_> = words.iter().copied().chain(["login", "--no-browser", "--json"]).collect();
    let mut command = s.keyfob(words);
    command.envs(variables.iter().copied());
    follow(&mut command)
}

fn asked(s: &Sandbox, line: &str) -> usize {
    s.server.requests().iter().filter(|r| format!("{} {}", r.method, r.path).starts_with(line)).count()
}

fn files(s: &Sandbox) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(s.home.path().join("keyfob/devices")) else { return Vec::new() };
    let paths = entries.flatten().map(|entry| entry.path());
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "json")).collect()
}

fn stored(s: &Sandbox) -> Value {
    let [file] = &files(s)[..] else { panic!("one device") };
    serde_json::from_slice(&fs::read(file).expect("ours")).expect("JSON")
}

#[test]
fn trusted_device_is_enrolled_when_the_provider_requires_it() {
    let s = asking();
    let output = login(&s, &[], &[]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stderr(&output).contains("this machine is a trusted device until"), "{}", stderr(&output));
    let last = String::from_utf8_lossy(&output.stdout).lines().last().expect("an answer").to_owned();
    let said: Value = serde_json::from_str(&last).expect("JSON");
    assert!(said["device"]["device_id"].is_string(), "{said}");
    assert_eq!(s.json(&["device", "status"])["from"], "store");

    // Once is enough: the next sign-in finds it there.
    assert!(login(&s, &[], &[]).status.success());
    assert_eq!(asked(&s, "POST /api/auth/trusted_devices"), 1);
    // And a token that somebody brought along is nobody at a page.
    s.sign_in("other", "bob@example.com");
    assert_eq!(asked(&s, "POST /api/auth/trusted_devices"), 1);
}

/// The contract: the variable skips enrolment, outranks what is stored, and is never written.
#[test]
fn trusted_device_token_from_the_variable_skips_enrolment() {
    let s = asking();
    let variable = [("CLAUDE_TRUSTED_DEVICE_TOKEN", "kdev-dt-of-the-variable")];
    assert!(login(&s, &[], &variable).status.success());
    assert_eq!(asked(&s, "POST /api/auth/trusted_devices"), 0);
    assert_eq!(files(&s), Vec::<PathBuf>::new());
    let mut status = s.keyfob(["device", "status", "--json"]);
    let output = status.envs(variable).output().expect("it runs");
    let said: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(said["from"], "CLAUDE_TRUSTED_DEVICE_TOKEN");
    let enroll = s.keyfob(["device", "enroll", "--json"]).envs(variable).output().expect("it runs");
    Ran::from(enroll).failed(2, "usage").because("usage", "device-token-set");
}

/// The provider enrols a machine only soon after a sign-in, and what is stored of one may be damaged.
#[test]
fn trusted_device_that_is_too_late_or_unreadable_is_told_by_its_cause() {
    let s = asking();
    assert!(login(&s, &[], &[]).status.success());
    let [file] = &files(&s)[..] else { panic!("one device") };
    fs::write(file, "{").expect("ours");
    s.run(&["device", "status", "--json"]).because("store-corrupt", "device-unreadable");
    fs::remove_file(file).expect("ours");
    s.server.advance(660);
    s.run(&["device", "enroll", "--json"]).because("login-needed", "too-old-to-enroll");
}

/// Whatever happens to the device, the login stays.
#[test]
fn a_failed_enrolment_costs_no_login() {
    let s = asking();
    let home = s.home.path().join("keyfob");
    fs::create_dir_all(&home).expect("ours");
    fs::write(home.join("devices"), "in the way").expect("ours");
    let output = login(&s, &[], &[]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stderr(&output).contains("could not be made one"), "{}", stderr(&output));
    assert!(!s.out(&["token"]).is_empty());
}

/// wire.md: any answer may carry the token's successor, which is stored in its place.
#[test]
fn trusted_device_token_is_replaced_by_its_successor() {
    let s = asking();
    assert!(login(&s, &[], &[]).status.success());
    s.server.rotate_device_tokens(true);
    let mut before = stored(&s);
    for _ in 0..3 {
        s.out(&["status", "--verify"]);
        let after = stored(&s);
        assert_ne!(after["device_token"], before["device_token"]);
        assert_eq!(after["device_id"], before["device_id"]);
        assert!(after["expires_at"].as_i64() >= before["expires_at"].as_i64());
        before = after;
    }
    let last = s.server.requests().pop().expect("a request");
    assert_eq!(last.credential, ["bearer", "device"], "the provider still knows this machine");
}

/// Ninety days are ninety days.
#[test]
fn trusted_device_token_that_expired_is_not_sent() {
    let s = asking();
    assert!(login(&s, &[], &[]).status.success());
    let [file] = &files(&s)[..] else { panic!("one device") };
    let mut device = stored(&s);
    device["expires_at"] = 1_000_000.into();
    fs::write(file, device.to_string()).expect("ours");
    assert_eq!(s.output(&["device", "status"]).status.code(), Some(1));
    s.out(&["status", "--verify"]);
    assert_eq!(s.server.requests().pop().expect("a request").credential, ["bearer"]);
}

/// It goes with the last login of its account, and the provider hears of it while the login still speaks.
#[test]
fn trusted_device_is_removed_with_the_last_login_of_its_account() {
    let s = asking();
    assert!(login(&s, &[], &[]).status.success());
    assert!(login(&s, &["--profile", "second"], &[]).status.success());
    s.out(&["--profile", "second", "logout"]);
    assert_eq!(files(&s).len(), 1, "another login of the account is still here");
    assert_eq!(asked(&s, "DELETE "), 0);
    s.out(&["logout"]);
    assert_eq!(files(&s), Vec::<PathBuf>::new());
    let log = s.server.requests();
    let at = |method: &str, path: &str| {
        log.iter().rposition(|r| r.method == method && r.path.starts_with(path)).expect(path)
    };
    let deleted = at("DELETE", "/api/auth/trusted_devices/");
    assert_eq!(log[deleted].status, 204);
    assert!(deleted < at("POST", "/v1/oauth/revoke"), "after that its token speaks for nobody");
}

/// And so does a helper's remembered key.
#[test]
fn helper_key_cache_is_removed_with_the_login() {
    let s = Sandbox::new();
    let (home, count) = (s.home.path().join("keyfob"), s.home.path().join("runs"));
    fs::create_dir_all(&home).expect("ours");
    let config = format!("api_key_helper = \"echo run >> {}; echo key-of-the-helper\"\n", count.display());
    fs::write(home.join("config.toml"), config).expect("ours");
    let runs = || fs::read_to_string(&count).expect("it ran").lines().count();
    s.sign_in("default", "ada@example.com");
    s.out(&["token"]);
    s.out(&["token"]);
    assert_eq!(runs(), 1);
    s.out(&["logout"]);
    s.out(&["token"]);
    assert_eq!(runs(), 2);
}

#[test]
fn trusted_device_belongs_to_one_account() {
    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    assert_eq!(s.output(&["device", "status"]).status.code(), Some(1));
    let enrolled = s.json(&["device", "enroll", "--name", "laptop"]);
    assert_eq!(s.json(&["device", "status"])["device_id"], enrolled["device_id"]);
    s.sign_in("other", "eve@example.com");
    assert_eq!(s.output(&["--profile", "other", "device", "status"]).status.code(), Some(1));

    // The variable outranks the stored one, skips enrolment and is never written.
    let variable = |words: &[&str]| {
        s.keyfob(words).env("CLAUDE_TRUSTED_DEVICE_TOKEN", "kdev-dt-marked").output().expect("it runs")
    };
    let status = variable(&["device", "status", "--json"]);
    assert!(String::from_utf8_lossy(&status.stdout).contains("\"from\":\"CLAUDE_TRUSTED_DEVICE_TOKEN\""));
    assert_eq!(variable(&["device", "enroll"]).status.code(), Some(2));
    for entry in std::fs::read_dir(s.home.path().join("keyfob/devices")).expect("the store") {
        let text = std::fs::read_to_string(entry.expect("an entry").path()).expect("a file");
        assert!(!text.contains("marked"));
    }
    assert_eq!(s.json(&["device", "forget"])["provider"], "confirmed");
    assert_eq!(s.output(&["device", "status"]).status.code(), Some(1));
}
