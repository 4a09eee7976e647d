//! Everyday tools that use keyfob, and the commands that help when something does not work.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use keyfob_testkit::{Sandbox, stderr};

/// The output that real git gets from `keyfob` as its only helper for this host, configured this way.
#[expect(clippy::disallowed_methods, reason = "git is the consumer")]
fn git(s: &Sandbox, helper: &str, act: &str, protocol: &str, host: &str) -> String {
    let mut git = Command::new("git");
    let like = s.keyfob(["token"]);
    git.envs(like.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let helper = format!("credential.helper=!{} {helper}", keyfob_testkit::program());
    let mut child = git
        .args(["-c", "credential.helper=", "-c", &helper, "credential", act])
        .current_dir(s.home.path())
        .envs([
            ("GIT_TERMINAL_PROMPT", "0"),
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("git runs");
    let brought = if act == "fill" { "" } else { "username=oauth2\npassword=x\n" };
    let question = format!("protocol={protocol}\nhost={host}\n{brought}\n");
    child.stdin.take().expect("a pipe").write_all(question.as_bytes()).expect("git reads");
    let output = child.wait_with_output().expect("git ends");
    assert!(!stderr(&output).contains("error:"), "{}", stderr(&output));
    String::from_utf8(output.stdout).expect("text")
}

/// git asks its helper for every host it meets. It gets the token for the provider's own, for those of the
/// configuration, and for no other; with its word for what it wants, and without (behind a `#`).
#[test]
fn git_gets_the_token_for_its_own_hosts() {
    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    let config = "[environments.local]\nhosts = [\"https://git.company.example\"]\n";
    std::fs::write(s.home.path().join("keyfob/config.toml"), config).expect("ours");
    let password = format!("password={}", s.out(&["token"]));
    let own = s.server.base_url().replacen("http://", "", 1);
    for helper in ["token --format git-credential", "token --format git-credential #"] {
        for (protocol, host, gets) in [
            ("http", &*own, true),
            ("https", "git.company.example", true),
            ("https", "GIT.company.example:443", true),
            ("https", "git.company.example:8443", false),
            ("http", "git.company.example", false),
            ("https", "git.company.example.evil.example", false),
            ("https", "evil.example", false),
            ("https", &*own, false),
            ("http", "127.0.0.1:1", false),
        ] {
            let answer = git(&s, helper, "fill", protocol, host);
            assert_eq!(answer.contains(&password), gets, "{helper}: {protocol}://{host}: {answer}");
        }
        for act in ["approve", "reject"] {
            assert_eq!(git(&s, helper, act, "http", &own), "", "{helper}: {act}");
        }
    }
    // Said by hand, whatever the words: nothing for what is not asked.
    for (words, question) in [
        (&["get"][..], ""),
        (&["store"], "protocol=https\nhost=git.company.example\nusername=a\npassword=b\n\n"),
        (&["erase"], "protocol=https\nhost=git.company.example\n\n"),
        (&["capability"], "protocol=https\nhost=git.company.example\n\n"),
        (&[], "protocol=https\nhost=git.company.example\npassword=b\n\n"),
    ] {
        let words = [&["token", "--format", "git-credential"], words].concat();
        let output = s.feed(&words, question);
        assert!(output.status.success() && output.stdout.is_empty(), "{words:?}: {output:?}");
    }
    assert_eq!(s.output(&["token", "--format", "env", "get"]).status.code(), Some(2));
}

/// A provider's token ends up in files that shells read: one that a shell would act on is not written there.
#[test]
fn a_file_of_variables_runs_nothing() {
    let s = Sandbox::new();
    let env = |token: &str| {
        let mut command = s.keyfob(["token", "--format", "env"]);
        command.env("CLAUDE_CODE_OAUTH_TOKEN", token).output().expect("it runs")
    };
    let plain = "kdev-at.A_b~c+d/e==";
    let said = String::from_utf8(env(plain).stdout).expect("text");
    assert_eq!(said, format!("CLAUDE_CODE_OAUTH_TOKEN={plain}\n"));
    for token in [
        "x;id", "x`id`", "$(id)", "~ada", "a#b", "a'b", "a\"b", "a\\b", "a&b", "a|b", "a*b", "a!b", "a>b",
        "(a)", "{a}",
    ] {
        let refused = env(token);
        assert_eq!((refused.status.code(), refused.stdout.is_empty()), (Some(2), true), "{token}");
        assert!(!stderr(&refused).contains(token), "a secret is not repeated: {}", stderr(&refused));
    }
}

#[test]
fn other_tools_read_their_own_format() {
    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    let token = s.out(&["token"]);
    let kubernetes: serde_json::Value =
        serde_json::from_str(&s.out(&["token", "--format", "kubernetes", "--access-token"])).expect("JSON");
    assert_eq!(kubernetes["kind"], "ExecCredential");
    assert_eq!(kubernetes["apiVersion"], "client.authentication.k8s.io/v1");
    let asked = r#"{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1beta1","spec":{}}"#;
    let mut older = s.keyfob(["token", "--format", "kubernetes", "--access-token"]);
    let older = older.env("KUBERNETES_EXEC_INFO", asked).output().expect("it runs");
    let older: serde_json::Value = serde_json::from_slice(&older.stdout).expect("JSON");
    assert_eq!(older["apiVersion"], "client.authentication.k8s.io/v1beta1", "what the caller asks for");
    assert_eq!(kubernetes["status"]["token"], token.trim());
    let line = s.out(&["token", "--format", "env"]);
    assert_eq!(line, format!("CLAUDE_CODE_OAUTH_TOKEN={token}"));
}

#[test]
fn shells_and_manuals_are_made_from_the_parser() {
    let s = Sandbox::new();
    for shell in ["bash", "zsh", "fish"] {
        assert!(s.out(&["completions", shell]).contains("keyfob"), "{shell}");
    }
    assert!(s.out(&["man"]).contains(".TH KEYFOB 1 "));
    let dir = s.home.path().join("man");
    s.out(&["man", "--out", dir.to_str().expect("text")]);
    assert!(dir.join("keyfob-login.1").exists());
}
