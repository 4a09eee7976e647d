//! Several accounts: the list of them, the one in use, and `whoami`, `help` and `version`, which people try first.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf, process::Output};

use serde_json::{Value, json};

use keyfob_testkit::{Sandbox, stderr};

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("text")
}

fn two_accounts() -> Sandbox {
    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    s.sign_in("work", "ada@work.example");
    s
}

fn record_of(s: &Sandbox, profile: &str) -> Option<PathBuf> {
    let is_of = |path: &PathBuf| {
        let record: Value = serde_json::from_slice(&fs::read(path).expect("a file")).expect("JSON");
        record["profile"] == profile
    };
    s.files("json").into_iter().find(is_of)
}

#[test]
fn a_profile_that_is_nobodys_is_refused_and_a_choice_is_told() {
    let s = two_accounts();
    for words in [&["profiles", "use", "wrok"][..], &["switch", "wrok"], &["profiles", "remove", "wrok"]] {
        let refused = s.output(words);
        let said = stderr(&refused);
        assert_eq!(refused.status.code(), Some(2), "{said}");
        assert!(
            said.starts_with("error: there is no profile `wrok`\ncause: you have: default, work\n"),
            "{said}"
        );
        assert!(said.contains("did you mean `work`?"), "{said}");
    }
    let refused = s.output(&["switch", "nope"]);
    assert!(stderr(&refused).contains("`keyfob login --profile nope`"), "{}", stderr(&refused));
    assert_eq!(s.json(&["profiles"])["current"], "default", "nothing was chosen");

    let chosen = s.output(&["switch", "work"]);
    assert_eq!(stderr(&chosen), "Now using `work` (ada@work.example).\n");
    let said = s.json(&["profiles", "use", "default"]);
    assert_eq!(
        (&said["current"], &said["name"], &said["signed_in"]),
        (&json!("default"), &json!("ada@example.com"), &json!(true))
    );
    let named = s.keyfob(["switch", "work"]).env("KEYFOB_PROFILE", "default").output().expect("it runs");
    assert!(stderr(&named).contains("KEYFOB_PROFILE still counts"), "{}", stderr(&named));
}

/// One line for each login with what distinguishes it from the others, and one star.
#[test]
fn the_list_shows_account_environment_client_expiry_and_state() {
    let s = two_accounts();
    // Of the same profile at another provider.
    let other = Sandbox::new();
    let minted = other.server.mint("eve@example.com", "user:profile").expect("tokens");
    let mut elsewhere = s.keyfob(["login", "--with-token", "refresh"]);
    for name in ["API", "APPS", "CONSOLE"] {
        elsewhere.env(format!("CLAUDE_LOCAL_OAUTH_{name}_BASE"), other.server.base_url());
    }
    let file = s.path().join("refresh");
    fs::write(&file, minted.refresh_token).expect("ours");
    elsewhere.stdin(fs::File::open(&file).expect("ours"));
    assert!(elsewhere.status().expect("it runs").success());

    let page = s.keyfob(["profiles"]).env("TZ", "XYZ-14").output().expect("it runs");
    let page = stdout(&page);
    let lines: Vec<_> = page.lines().collect();
    assert_eq!(lines.len(), 4, "{page}");
    assert_eq!(lines.iter().filter(|line| line.starts_with('*')).count(), 1, "{page}");
    let counts = lines.iter().find(|line| line.starts_with('*')).expect("one");
    for shown in
        ["default", "ada@example.com", "local (", "keyfob-local", " XYZ", "valid", &s.server.base_url()]
    {
        assert!(counts.contains(shown), "{shown}: {page}");
    }
    let said = s.json(&["profiles", "list"]);
    let current: Vec<_> =
        said["profiles"].as_array().expect("a list").iter().filter(|p| p["current"] == true).collect();
    assert_eq!(current.len(), 1, "{said}");
    assert_eq!((&current[0]["email"], &current[0]["state"]), (&json!("ada@example.com"), &json!("valid")));

    // The one that counts is shown where nobody has signed in to it, too: with another environment, say.
    let mut third = s.keyfob(["profiles"]);
    third.env("CLAUDE_LOCAL_OAUTH_API_BASE", "http://127.0.0.1:9");
    let page = stdout(&third.output().expect("it runs"));
    let counts = page.lines().find(|line| line.starts_with('*')).expect("one");
    assert!(counts.contains("http://127.0.0.1:9") && counts.ends_with("not signed in"), "{page}");
    assert_eq!(page.lines().filter(|line| line.starts_with('*')).count(), 1, "{page}");
}

/// The same login under another name: neither signed in again nor renewed, and what counted still counts.
#[test]
fn a_renamed_profile_stays_signed_in() {
    let s = two_accounts();
    s.out(&["switch", "work"]);
    let before = (s.json(&["token"]), s.server.requests().len());
    let renamed = s.output(&["profiles", "rename", "work", "ada"]);
    assert!(renamed.status.success(), "{}", stderr(&renamed));
    assert_eq!(stderr(&renamed), "Profile `work` is now called `ada`; it stays signed in.\n");
    let after = s.json(&["token"]);
    for same in ["token", "login", "generation"] {
        assert_eq!(after[same], before.0[same], "{same}");
    }
    assert_eq!(after["profile"], "ada", "it counted, and counts");
    assert_eq!(s.server.requests().len(), before.1, "nobody was asked");
    assert_eq!(s.output(&["--profile", "work", "token"]).status.code(), Some(4));
    s.out(&["token", "--min-valid", "7200"]);

    let taken = s.output(&["profiles", "rename", "ada", "default"]);
    assert_eq!(taken.status.code(), Some(2));
    assert!(stderr(&taken).contains("`default` has a login of its own"), "{}", stderr(&taken));
    assert_eq!(s.output(&["profiles", "rename", "ada", "../x"]).status.code(), Some(2));
    assert_eq!(s.json(&["profiles"])["profiles"].as_array().map(Vec::len), Some(2));
}

/// A renaming that ended in the middle: neither name spends the refresh token twice, and the same command goes on.
#[test]
fn an_interrupted_renaming_is_gone_on_with() {
    let s = two_accounts();
    let before = s.json(&["--profile", "work", "token"]);
    let mark = |s: &Sandbox| {
        let path = record_of(s, "work").expect("a record");
        let mut record: Value = serde_json::from_slice(&fs::read(&path).expect("a file")).expect("JSON");
        record["refused"] = json!({ "generation": record["generation"], "at": 1,
            "why": "its renaming to `ada` was interrupted: `keyfob profiles rename work ada` goes on with it" });
        fs::write(path, record.to_string()).expect("ours");
    };
    // Before the new one was written.
    mark(&s);
    let asked = s.server.grants().refreshes;
    let renewed = s.output(&["--profile", "work", "token", "--min-valid", "7200"]);
    assert_eq!(
        (renewed.status.code(), s.server.grants().refreshes),
        (Some(4), asked),
        "{}",
        stderr(&renewed)
    );
    assert!(stderr(&renewed).contains("keyfob profiles rename work ada"), "{}", stderr(&renewed));
    let left = fs::read(record_of(&s, "work").expect("a record")).expect("a file");
    let place = record_of(&s, "work").expect("a record");
    s.out(&["profiles", "rename", "work", "ada"]);
    let after = s.json(&["--profile", "ada", "token"]);
    assert_eq!((&after["login"], &after["token"]), (&before["login"], &before["token"]));

    // Before the old one was removed; the new one has been renewed meanwhile.
    fs::write(&place, left).expect("ours");
    fs::set_permissions(&place, fs::Permissions::from_mode(0o600)).expect("ours");
    s.out(&["--profile", "ada", "token", "--min-valid", "7200"]);
    let newest = s.json(&["--profile", "ada", "token"]);
    s.out(&["profiles", "rename", "work", "ada"]);
    assert_eq!(s.json(&["--profile", "ada", "token"])["token"], newest["token"]);
    assert!(record_of(&s, "work").is_none());
    s.out(&["--profile", "ada", "token", "--min-valid", "7200"]);
    assert_eq!(s.server.grants().reuses, 0);
}

/// Signed out at the provider first; then the default counts again.
#[test]
fn a_removed_profile_is_signed_out_of() {
    let s = two_accounts();
    s.out(&["switch", "work"]);
    let said = s.json(&["profiles", "remove", "work"]);
    assert_eq!(said["logged_out"][0]["revocation"], "confirmed", "{said}");
    assert!(record_of(&s, "work").is_none());
    assert_eq!(s.json(&["profiles"])["current"], "default");
    assert_eq!(s.json(&["whoami"])["name"], "ada@example.com", "the other login is untouched");
}

#[test]
fn whoami_is_one_line() {
    let s = Sandbox::new();
    let nobody = s.output(&["whoami"]);
    assert_eq!((nobody.status.code(), &*stdout(&nobody)), (Some(1), ""));
    assert!(stderr(&nobody).contains("`keyfob login`"), "{}", stderr(&nobody));
    s.sign_in("default", "ada@example.com");
    assert_eq!(s.out(&["whoami"]), "ada@example.com (profile `default`, environment `local`)\n");
    let said = s.json(&["whoami"]);
    assert_eq!(
        (&said["email"], &said["source"], &said["state"]),
        (&json!("ada@example.com"), &json!("login"), &json!("valid"))
    );
    let with = |variables: &[(&str, &str)]| {
        stdout(&s.keyfob(["whoami"]).envs(variables.iter().copied()).output().expect("it runs"))
    };
    let key = ("ANTHROPIC_API_KEY", "kdev-ak-invented");
    assert_eq!(with(&[key]), "whoever ANTHROPIC_API_KEY belongs to: that is not known here\n");
    assert_eq!(
        with(&[key, ("CLAUDE_CODE_USER_EMAIL", "eve@example.com")]),
        "eve@example.com (as the variables say; ANTHROPIC_API_KEY is used)\n"
    );
    s.edit(|r| {
        r["refused"] = json!({ "generation": r["generation"], "at": 1, "why": "revoked" });
        r["expires_at"] = json!(keyfob_testkit::now() - 60);
    });
    let ended = s.output(&["whoami"]);
    assert_eq!(ended.status.code(), Some(4));
    assert!(
        stderr(&ended).contains("has ended") && stdout(&ended).starts_with("ada@example.com"),
        "{ended:?}"
    );
}

/// Words that users of other commands type, answered on standard output and with success.
#[test]
fn help_and_version_are_commands_and_no_command_is_help() {
    let s = Sandbox::new();
    let help = s.out(&["--help"]);
    assert_eq!(s.out(&[]), help);
    assert_eq!(s.out(&["help"]), help);
    assert_eq!(s.out(&["help", "profiles", "use"]), s.out(&["profiles", "use", "--help"]));
    assert_eq!(s.out(&["version"]), s.out(&["--version"]));
    assert_eq!(s.json(&["version"])["version"], s.json(&[])["version"]);
    // Tests and program are built for the same system.
    assert_eq!(s.json(&["version"])["build"]["static"], cfg!(target_feature = "crt-static"));
    assert_eq!(s.json(&["help", "login"])["help"].as_str(), Some(s.out(&["login", "--help"]).trim_end()));
    assert_eq!(s.output(&["help", "logn"]).status.code(), Some(2));
    for hidden in ["browse", "export-metrics"] {
        assert!(!help.lines().any(|line| line.starts_with(&format!("  {hidden}  "))), "{hidden}");
    }
}
