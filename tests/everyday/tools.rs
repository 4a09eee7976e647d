//! What people do every day, and what helps them when it does not work.

use std::{
    io::Write,
    os::unix::fs::PermissionsExt,
    process::{Command, Stdio},
};

use crate::sandbox::{Sandbox, stderr};

/// The README's first command, on the provider it starts itself.
#[test]
fn the_demo_goes_the_whole_way() {
    let s = Sandbox::new();
    let output = s.run(&["demo", "--yes"]);
    let said = stderr(&output);
    assert!(output.status.success(), "{said}");
    for step in
        ["the provider saw: 200", "generation 1 became 2", "revocation: confirmed", "exits 1 (not signed in)"]
    {
        assert!(said.contains(step), "{step}: {said}");
    }
}

/// gitcredentials(7), with git itself.
#[test]
#[expect(clippy::disallowed_methods, reason = "git is the consumer")]
fn git_takes_the_token() {
    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    let token = s.out(&["token"]);
    let helper = format!("!{} token --format git-credential #", keyfob_testkit::program());
    let mut git = Command::new("git");
    for (name, value) in s.keyfob(["token"]).get_envs() {
        if let Some(value) = value {
            git.env(name, value);
        }
    }
    let mut child = git
        .args(["-c", &format!("credential.helper={helper}"), "credential", "fill"])
        .current_dir(s.home.path())
        .env("GIT_TERMINAL_PROMPT", "0")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("git runs");
    child
        .stdin
        .take()
        .expect("a pipe")
        .write_all(b"protocol=https\nhost=git.example\n\n")
        .expect("git reads");
    let output = child.wait_with_output().expect("git ends");
    let answer = String::from_utf8(output.stdout).expect("text");
    assert!(answer.contains(&format!("password={}", token.trim())), "{answer}");
}

#[test]
fn other_tools_read_their_own_format() {
    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    let token = s.out(&["token"]);
    let kubernetes: serde_json::Value =
        serde_json::from_str(&s.out(&["token", "--format", "kubernetes"])).expect("JSON");
    assert_eq!(kubernetes["kind"], "ExecCredential");
    assert_eq!(kubernetes["apiVersion"], "client.authentication.k8s.io/v1");
    let asked = r#"{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1beta1","spec":{}}"#;
    let mut older = s.keyfob(["token", "--format", "kubernetes"]);
    let older = older.env("KUBERNETES_EXEC_INFO", asked).output().expect("it runs");
    let older: serde_json::Value = serde_json::from_slice(&older.stdout).expect("JSON");
    assert_eq!(older["apiVersion"], "client.authentication.k8s.io/v1beta1", "what the caller asks for");
    assert_eq!(kubernetes["status"]["token"], token.trim());
    let line = s.out(&["token", "--format", "env"]);
    assert_eq!(line, format!("CLAUDE_CODE_OAUTH_TOKEN={token}"));
    let aws: serde_json::Value =
        serde_json::from_str(&s.out(&["token", "--format", "aws-process"])).expect("JSON");
    assert_eq!((aws["Version"].as_u64(), aws["Token"].as_str()), (Some(1), Some(token.trim())));
}

#[test]
fn the_doctor_finds_and_mends() {
    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    assert_eq!(s.run(&["doctor"]).status.code(), Some(0), "{}", stderr(&s.run(&["doctor"])));
    let record = std::fs::read_dir(s.logins())
        .expect("the store")
        .map(|entry| entry.expect("an entry").path())
        .find(|path| path.extension().is_some_and(|extension| extension == "json"))
        .expect("a record");
    std::fs::set_permissions(&record, PermissionsExt::from_mode(0o644)).expect("chmod");
    std::fs::set_permissions(s.logins(), PermissionsExt::from_mode(0o755)).expect("chmod");
    assert_eq!(s.run(&["token"]).status.code(), Some(7));
    assert_eq!(s.run(&["doctor"]).status.code(), Some(7));
    assert_eq!(s.run(&["doctor", "--fix"]).status.code(), Some(0));
    assert!(s.run(&["token"]).status.success());

    let wrong = s.keyfob(["doctor"]).env("CLAUDE_CODE_USER_EMAIL", "nobody").output().expect("it runs");
    assert_eq!(wrong.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&wrong.stdout).contains("CLAUDE_CODE_USER_EMAIL"));
}

#[test]
fn shells_and_manuals_are_made_from_the_parser() {
    let s = Sandbox::new();
    for shell in ["bash", "zsh", "fish"] {
        assert!(s.out(&["completions", shell]).contains("keyfob"), "{shell}");
    }
    assert!(s.out(&["man"]).contains(".TH keyfob"));
    let dir = s.home.path().join("man");
    s.out(&["man", "--out", dir.to_str().expect("text")]);
    assert!(dir.join("keyfob-login.1").exists());
}
