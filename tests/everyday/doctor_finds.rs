//! `keyfob doctor` reports "ok" for nothing that is broken: each thing is really broken, and found.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf, process::Output};

use keyfob_dev::{Client, FaultKind, Options};
use keyfob_testkit::{Sandbox, namespace::Namespace, program, stderr};
use serde_json::{Value, json};

use crate::screen::Screen;

fn findings(output: &Output) -> Vec<Value> {
    let said: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    said["findings"].as_array().expect("a list").clone()
}

/// The finding about this subject, and the exit code.
#[track_caller]
fn examine(s: &Sandbox, words: &[&str], variables: &[(&str, &str)], subject: &str) -> (Option<i32>, Value) {
    let words: Vec<_> = ["doctor", "--json"].iter().chain(words).copied().collect();
    let output = s.keyfob(words).envs(variables.iter().copied()).output().expect("it runs");
    let all = findings(&output);
    let found = all.iter().find(|finding| finding["subject"] == subject);
    (output.status.code(), found.unwrap_or_else(|| panic!("no {subject}: {all:#?}")).clone())
}

#[track_caller]
fn is_wrong(found: &(Option<i32>, Value), code: i32, id: &str, said: &str) {
    let (ended, finding) = found;
    assert_eq!(
        (*ended, &finding["state"], &finding["error"]["id"]),
        (Some(code), &json!("problem"), &json!(id)),
        "{finding}"
    );
    assert!(finding.to_string().contains(said), "{finding}");
}

fn signed_in() -> Sandbox {
    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    s
}

fn configure(s: &Sandbox, config: &str) {
    let dir = s.home.path().join("keyfob");
    fs::create_dir_all(&dir).expect("ours");
    fs::set_permissions(&dir, PermissionsExt::from_mode(0o700)).expect("ours");
    fs::write(dir.join("config.toml"), config).expect("ours");
}

/// The disk is full, or cannot be written: a renewal would discover that too late for its caller.
#[test]
fn a_disk_without_room_is_found() {
    let s = signed_in();
    let space = Namespace::new();
    let (home, kept) = (s.home.home(), s.home.home().with_extension("kept"));
    let (home, kept) = (home.display(), kept.display());
    space.shell(
        &s.home,
        &format!(
            "mv {home} {kept}; mkdir {home}; mount -t tmpfs -o size=256k,mode=700 none {home}; cp -a {kept}/. {home}; \
             cat /dev/zero > {home}/filler 2>/dev/null || true"
        ),
    );
    let run =
        || space.command(&s.home, &[program(), "doctor", "--json"]).output().expect("nsenter of util-linux");
    let found = |output: &Output| {
        let all = findings(output);
        all.iter().find(|f| f["subject"] == "room").unwrap_or_else(|| panic!("{all:#?}")).clone()
    };
    let full = run();
    assert_eq!(full.status.code(), Some(7), "{}", stderr(&full));
    assert!(found(&full).to_string().contains("No space left"), "{}", found(&full));
    assert_eq!(found(&full)["error"]["cause"], "disk-full");
    space.shell(&s.home, &format!("rm {home}/filler; mount -o remount,bind,ro {home}"));
    let fixed = run();
    assert_eq!(fixed.status.code(), Some(7), "{}", stderr(&fixed));
    assert!(found(&fixed).to_string().contains("ead-only"), "{}", found(&fixed));
    assert_eq!(found(&fixed)["error"]["cause"], "read-only");
    // Nobody has signed in yet, and nobody could.
    space.shell(
        &s.home,
        &format!(
            "umount {home}; mount --bind {0} {0}; mount -o remount,bind,ro {0}",
            s.home.path().display()
        ),
    );
    let nowhere = run();
    assert_eq!(nowhere.status.code(), Some(7), "{}", stderr(&nowhere));
    assert!(found(&nowhere).to_string().contains("cannot be made"), "{}", found(&nowhere));
    let (cause, hint) = (&found(&nowhere)["error"]["cause"], &found(&nowhere)["error"]["hint"]);
    assert_eq!(cause, "read-only");
    assert!(hint.as_str().expect("text").contains("so that it can be written"), "{hint}");
}

/// A token that no endpoint accepts, wherever it comes from; and one that was revoked at the provider, in time or not.
#[test]
fn a_credential_that_is_not_accepted_is_found() {
    let s = signed_in();
    let found = examine(&s, &[], &[("CLAUDE_CODE_OAUTH_TOKEN", "garbage")], "credential");
    is_wrong(&found, 5, "provider-refused", "CLAUDE_CODE_OAUTH_TOKEN is set");
    is_wrong(
        &examine(&s, &[], &[("ANTHROPIC_API_KEY", "abc")], "credential"),
        5,
        "provider-refused",
        "ANTHROPIC_API_KEY",
    );
    assert_eq!(examine(&s, &[], &[], "credential").1["state"], "ok");
    s.edit(|record| record["access_token"] = json!("kdev-at-ended"));
    let found = examine(&s, &[], &[], "credential");
    is_wrong(&found, 5, "provider-refused", "--rejected");
    // What it says to do works.
    let hint = found.1["error"]["hint"].as_str().expect("a hint").to_owned();
    let handle = hint.split("--rejected ").nth(1).and_then(|rest| rest.split('`').next()).expect("a handle");
    s.run(&["token", "--rejected", handle]).answer();
    assert_eq!(examine(&s, &[], &[], "credential").1["state"], "ok");
}

#[test]
fn a_cool_down_and_an_unknown_outcome_are_found() {
    let s = signed_in();
    s.expire();
    s.server.inject(FaultKind::Status429, 1);
    assert_eq!(s.run(&["token"]).code, Some(6));
    s.edit(|record| record["cooldown"]["until"] = json!(keyfob_testkit::now() + 300));
    is_wrong(&examine(&s, &[], &[], "renewal"), 6, "cooling-down", "is not renewed before");
    let s = signed_in();
    s.edit(|record| {
        record["unknown"] =
            json!({ "generation": record["generation"], "since": keyfob_testkit::now(), "times": 1 });
    });
    let (code, finding) = examine(&s, &[], &[], "renewal");
    assert_eq!((code, &finding["state"]), (Some(0), &json!("note")), "{finding}");
    assert!(finding.to_string().contains("the answer to the last renewal was lost"), "{finding}");
}

/// A client's secret that is missing, open to others, or no secret. What is open is mended, and named.
#[test]
fn a_client_secret_that_cannot_be_used_is_found() {
    let clients = vec![Client::confidential("ci", "s3cret").expect("a client")];
    let s = Sandbox::with(Options { clients, ..Options::default() });
    let file: PathBuf = s.home.path().join("secret");
    let base = s.server.base_url();
    let with = |place: &str| {
        configure(
            &s,
            &format!(
                "environment = \"ci\"\n[environments.ci]\ngrant = \"client_credentials\"\nclient_id = \"ci\"\n\
                 api_base = \"{base}\"\n{place}\n"
            ),
        );
    };
    with(&format!("client_secret_file = \"{}\"", file.display()));
    let look = |words: &[&str]| {
        let words: Vec<_> = ["doctor", "--json"].iter().chain(words).copied().collect();
        let output = s.keyfob(words).env_remove("USE_LOCAL_OAUTH").output().expect("it runs");
        let all = findings(&output);
        let found = all.iter().find(|f| f["subject"] == "client secret");
        (output.status.code(), found.unwrap_or_else(|| panic!("{all:#?}")).clone())
    };
    is_wrong(&look(&[]), 3, "client-secret", "there is no file");
    fs::write(&file, "two words\n").expect("ours");
    fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).expect("ours");
    is_wrong(&look(&[]), 3, "client-secret", "client_secret_file");
    fs::write(&file, "s3cret\n").expect("ours");
    fs::set_permissions(&file, PermissionsExt::from_mode(0o644)).expect("ours");
    is_wrong(&look(&[]), 3, "client-secret", "secret");
    let (_, mended) = look(&["--fix"]);
    assert_eq!(mended["state"], "fixed", "{mended}");
    assert!(
        mended["text"].as_str().is_some_and(|text| text.contains(file.to_str().expect("text"))),
        "{mended}"
    );
    assert_eq!(fs::metadata(&file).expect("it").permissions().mode() & 0o777, 0o600);
    assert_eq!(look(&[]).1["state"], "ok");
    // A command is run when somebody wants that.
    with("client_secret_command = \"echo locked >&2; exit 3\"");
    assert_eq!(look(&[]).1["state"], "note");
    is_wrong(&look(&["--run-helper"]), 3, "client-secret", "locked");
}

/// The helper is run when the user agrees or the command line says so, and its result is not cached.
#[test]
fn a_helper_that_fails_is_found() {
    let s = Sandbox::new();
    configure(&s, "api_key_helper = \"echo run >> $HOME/runs; echo sealed >&2; exit 1\"\n");
    let (code, finding) = examine(&s, &[], &[], "helper");
    assert_eq!(finding["state"], "note", "{code:?} {finding}");
    assert!(
        finding.to_string().contains("--run-helper") && !s.home.path().join("runs").exists(),
        "{finding}"
    );
    is_wrong(&examine(&s, &["--run-helper"], &[], "helper"), 3, "helper-failed", "sealed");
    for (typed, runs) in [("n\n", 1), ("y\n", 2)] {
        let screen = Screen::new(100);
        let mut child = screen.start(&s.keyfob(["doctor"]));
        screen.shows("Run the configured api_key_helper once");
        screen.type_in(typed);
        child.wait().expect("it ends");
        let run = fs::read_to_string(s.home.path().join("runs")).expect("it ran").lines().count();
        assert_eq!(run, runs, "{}", screen.text());
    }
}

#[test]
fn a_collector_that_takes_nothing_is_found() {
    let s = signed_in();
    let gone = keyfob_testkit::provider();
    let base = gone.base_url();
    gone.stop();
    let on = ("OTEL_METRICS_EXPORTER", "otlp");
    for (endpoint, said) in
        [(base.as_str(), "refused the connection"), (&s.server.base_url(), "it answered 404")]
    {
        let found = examine(&s, &[], &[on, ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)], "metrics");
        is_wrong(&found, 6, "unreachable", said);
    }
}

/// Logins in a place that does not count look like logins that are lost.
#[test]
fn logins_in_another_home_are_found() {
    let s = signed_in();
    let usual = s.home.path().join(".local/state/keyfob/logins");
    fs::create_dir_all(&usual).expect("ours");
    fs::copy(s.record_path(), usual.join("default-0.json")).expect("ours");
    let (code, finding) = examine(&s, &[], &[], "another home");
    assert_eq!((code, &finding["state"]), (Some(0), &json!("note")), "{finding}");
    assert!(
        finding["text"].as_str().is_some_and(|text| text.starts_with(usual.to_str().expect("text"))),
        "{finding}"
    );
}

/// A runtime directory that others can enter is reported.
#[test]
fn a_runtime_directory_of_everybody_is_found() {
    let s = signed_in();
    let run = s.home.home().join("run");
    fs::create_dir_all(&run).expect("ours");
    fs::set_permissions(&run, PermissionsExt::from_mode(0o755)).expect("ours");
    let (_, finding) = examine(&s, &[], &[], "runtime");
    assert_eq!(finding["state"], "note", "{finding}");
}
