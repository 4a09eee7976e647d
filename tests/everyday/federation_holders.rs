//! Federation: whose access token is handed to whom, and where identity tokens and what they are asked for with may go.

use std::fs;

use keyfob_dev::{LOCAL_IDENTITY_REQUEST_TOKEN, Options, Workload};
use keyfob_testkit::{program, stderr, token_requests};
use serde_json::Value;

use crate::federation::{Machine, RULE, TOKEN, TOKEN_FILE};

const REQUEST_URL: &str = "ACTIONS_ID_TOKEN_REQUEST_URL";
const REQUEST_TOKEN: &str = "ACTIONS_ID_TOKEN_REQUEST_TOKEN";

/// A job of GitHub's that may ask the development provider for identity tokens.
fn job(m: &mut Machine) {
    m.s.set(TOKEN_FILE, "");
    let url = format!("{}/v1/identity/token", m.s.server.base_url());
    m.s.set(REQUEST_URL, &url);
    m.s.set(REQUEST_TOKEN, LOCAL_IDENTITY_REQUEST_TOKEN);
}

/// One home and one rule, and another token in the variable each time.
#[test]
fn federation_hands_no_identity_the_access_token_of_another() {
    let mut m = Machine::of_vendor();
    m.s.set(TOKEN_FILE, "");
    let of = |m: &mut Machine, subject: &str, lifetime| {
        let workload = Workload { subject: subject.into(), lifetime, ..m.workload() };
        let token = m.keep(&workload);
        m.s.set(TOKEN, &token);
    };
    of(&mut m, "repo:owner/a", 3600);
    let first = m.json(&["token"]);
    of(&mut m, "repo:owner/b", 3600);
    assert_ne!(m.json(&["token"])["token"], first["token"]);
    assert_eq!(m.exchanged(), (2, 0));
    of(&mut m, "repo:owner/c", -3600);
    assert_eq!(m.fails(5, "identity-token-expired")["cause"], "identity-expired");
    for garbage in ["a.b.c", "e30.e30.e30x=", "text"] {
        m.s.set(TOKEN, garbage);
        assert_eq!(m.fails(5, "identity-token-missing")["cause"], "identity-unreadable", "{garbage}");
    }
    // The next job of the first one, with a token of its own.
    of(&mut m, "repo:owner/a", 3600);
    assert_eq!(m.json(&["token"])["token"], first["token"]);
    assert_eq!(m.exchanged(), (2, 0));
}

/// The same in a variable that the configuration names.
#[test]
fn federation_by_a_configured_variable_belongs_to_whom_its_token_names() {
    let mut m = Machine::configured(Options::default(), "", "identity_token_variable = \"CI_ID_TOKEN\"");
    let mut tokens = Vec::new();
    for subject in ["repo:owner/a", "repo:owner/b", "repo:owner/a"] {
        let token = m.keep(&Workload { subject: subject.into(), ..m.workload() });
        m.s.set("CI_ID_TOKEN", &token);
        tokens.push(m.json(&["token"])["token"].clone());
    }
    assert!(tokens[0] != tokens[1] && tokens[0] == tokens[2]);
    assert_eq!(m.exchanged(), (2, 0));
}

/// A runner whose home lasts, and jobs of two repositories.
#[test]
fn federation_of_one_repository_is_not_that_of_another_on_the_same_runner() {
    let mut m = Machine::of_vendor();
    job(&mut m);
    let mut tokens = Vec::new();
    for repository in ["owner/a", "owner/b", "owner/a"] {
        m.s.set("GITHUB_REPOSITORY", repository);
        tokens.push(m.json(&["token"])["token"].clone());
    }
    assert!(tokens[0] != tokens[1] && tokens[0] == tokens[2]);
    m.s.set("GITHUB_REF", "refs/heads/other");
    assert!(!tokens.contains(&m.json(&["token"])["token"]));
    assert_eq!(m.s.server.grants().identity_tokens, 3);
}

/// What was got with a variable's token is not renewed as the job: below `exec` it is used while it is good.
#[test]
fn federation_by_a_variable_is_never_renewed_below_exec_as_another_identity() {
    let mut m = Machine::of_vendor();
    job(&mut m);
    let token = m.refresh();
    m.s.set(TOKEN, &token);
    let first = m.json(&["token"]);
    let below = m.run(&["exec", "--", program(), "token"]);
    assert_eq!(String::from_utf8_lossy(&below.stdout).trim(), first["token"].as_str().expect("a token"));

    let rejected = format!("{}:{}", first["login"].as_str().expect("an id"), first["generation"]);
    let below = m.run(&[
        "exec",
        "--",
        program(),
        "exec",
        "--",
        program(),
        "token",
        "--json",
        "--rejected",
        &rejected,
    ]);
    let said: Value = serde_json::from_slice(&below.stdout).expect("JSON");
    assert_eq!(
        (&said["error"]["id"], &said["error"]["cause"]),
        (&"identity-token-missing".into(), &"identity-variable-unset".into()),
        "{}",
        stderr(&below)
    );
    assert_eq!((m.s.server.grants().identity_tokens, m.exchanged()), (0, (1, 0)));

    m.s.set(TOKEN, "");
    m.s.set("KEYFOB_IDENTIFIED_BY", "nobody");
    assert_eq!(m.fails(3, "variable-malformed")["cause"], "own-variable");
}

/// The rule for paths of variables holds before anything is asked, whether the file is to be read or not.
#[test]
fn federation_reports_a_refused_path_of_the_identity_token_in_every_command() {
    let mut m = Machine::of_vendor();
    let repository = m.s.home.path().join("repository");
    fs::create_dir_all(repository.join(".git")).expect("a repository");
    let inside = repository.join("identity-token");
    fs::copy(m.file(), &inside).expect("a copy");
    for rule in ["fdrl_local", ""] {
        m.s.set(RULE, rule);
        for words in [["token", "--json"], ["status", "--json"], ["env", "--json"], ["doctor", "--json"]] {
            let mut command = m.s.keyfob(words);
            let output = command.current_dir(&repository).env(TOKEN_FILE, &inside).output().expect("it runs");
            let told = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(!output.status.success(), "{words:?} with rule `{rule}`: {output:?}");
            assert!(
                told.contains(&format!("{TOKEN_FILE} names")) && told.contains("inside the repository"),
                "{words:?} with rule `{rule}`: {output:?}"
            );
        }
    }
    // Doctor looks whether the provider can be reached, and brings it nothing.
    assert!(m.s.server.requests().iter().all(|request| request.credential.is_empty()));
    assert_eq!(token_requests(&m.s.server), 0);
}

/// Neither the program below `exec`, nor a configured command, gets the token in a variable that the configuration names; and
/// what GitHub gives a job to ask with stays from the commands.
#[test]
fn federation_by_a_configured_variable_keeps_it_from_every_child() {
    let mut m = Machine::configured(Options::default(), "", "identity_token_variable = \"CI_ID_TOKEN\"");
    let token = m.refresh();
    m.s.set("CI_ID_TOKEN", &token);
    m.s.set(REQUEST_TOKEN, "of-the-job");
    let first = m.json(&["token"]);
    let seen = m.run(&["exec", "--", "env"]);
    let told = format!("{seen:?}");
    assert!(seen.status.success() && !told.contains(&token) && !told.contains("CI_ID_TOKEN=ey"), "{told}");
    assert!(told.contains("of-the-job"), "a keyfob below may have to ask: {told}");
    let below = m.run(&["exec", "--", program(), "token"]);
    assert_eq!(String::from_utf8_lossy(&below.stdout).trim(), first["token"].as_str().expect("a token"));

    let config = m.s.home.home().join("config.toml");
    let seen = m.s.home.path().join("seen");
    let helper = format!("api_key_helper = \"env > '{}'; echo a-key\"\n", seen.display());
    fs::write(&config, helper + &fs::read_to_string(&config).expect("the file")).expect("the file");
    assert_eq!(m.json(&["token"])["token"], "a-key");
    let told = fs::read_to_string(seen).expect("what the command saw");
    assert!(told.contains("PATH="), "{told}");
    assert!(!told.contains("CI_ID_TOKEN") && !told.contains(REQUEST_TOKEN), "{told}");
}

/// A repository that sets the variable must not get what the job asks GitHub with.
#[test]
fn federation_sends_what_a_job_asks_with_to_no_other_service() {
    let mut m = Machine::of_vendor();
    job(&mut m);
    m.s.set(REQUEST_URL, "https://evil.example/token?x=1");
    let error = m.fails(5, "identity-token-missing");
    assert_eq!(error["cause"], "identity-service-unknown", "{error}");
    let told = stderr(&m.run(&["token"]));
    assert_eq!(told.lines().filter(|line| !line.trim().is_empty()).count(), 3, "{told}");
    for part in [REQUEST_URL, "https://evil.example", "`hosts` under [environments.local]"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let other = keyfob_testkit::Sandbox::new();
    m.s.set(REQUEST_URL, &format!("{}/v1/identity/token", other.server.base_url()));
    assert_eq!(m.fails(5, "identity-token-missing")["cause"], "identity-service-unknown", "http of another");
    assert!(m.s.server.requests().is_empty() && other.server.requests().is_empty());
}

/// Variables alone choose the local provider, and where it is: they must not choose besides which file it is sent.
#[test]
fn federation_sends_no_file_to_loopback_unless_the_configuration_wants_it() {
    let m = Machine::of_vendor();
    let config = m.s.home.home().join("config.toml");
    let wanted = fs::read_to_string(&config).expect("the file");
    fs::write(&config, "").expect("the file");
    let error = m.fails(3, "environment-incomplete");
    assert_eq!(error["cause"], "environment-lacks", "{error}");
    let told = stderr(&m.run(&["token"]));
    assert!(told.contains(TOKEN_FILE) && told.contains("[environments.local]"), "{told}");
    let status = m.run(&["status", "--json"]);
    assert_eq!(status.status.code(), Some(3), "{status:?}");
    assert!(m.s.server.requests().is_empty());
    fs::write(&config, wanted).expect("the file");
    m.json(&["token"]);
    assert_eq!(m.exchanged(), (1, 0));
}
