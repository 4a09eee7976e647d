//! The advice a user gets after a failure: by the cause, with the options given and the files that exist.

use std::{fs, os::unix::fs::PermissionsExt, process::Command};

use keyfob_dev::FaultKind;
use keyfob_testkit::{Ran, Sandbox, namespace::Namespace, program};
use serde_json::Value;

/// A failure as it was reported.
struct Told {
    code: Option<i32>,
    what: String,
    why: String,
    hint: String,
}

/// The three lines of a run that failed, without the number of a system's error in any of them.
#[track_caller]
fn told(mut command: Command) -> Told {
    let ran = Ran::from(command.output().expect("it runs"));
    assert!(!ran.err.contains("os error"), "{ran:?}");
    assert!(!ran.err.contains("docs/"), "{ran:?}");
    let line = |label: &str| {
        let found = ran.err.lines().find_map(|line| line.strip_prefix(label));
        found.unwrap_or_else(|| panic!("no line {label:?}: {ran:?}")).trim().to_owned()
    };
    Told { code: ran.code, what: line("error:"), why: line("cause:"), hint: line("hint:") }
}

fn configure(s: &Sandbox, text: &str) {
    fs::create_dir_all(s.home.home()).expect("ours");
    fs::set_permissions(s.home.home(), fs::Permissions::from_mode(0o700)).expect("ours");
    fs::write(s.home.home().join("config.toml"), text).expect("a file");
}

/// Without the variable that chooses the provider.
fn elsewhere(s: &Sandbox, words: &[&str]) -> Command {
    let mut command = s.keyfob(words);
    command.env_remove("USE_LOCAL_OAUTH");
    command
}

#[test]
fn a_login_of_another_environment_is_named() {
    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    for word in ["token", "header"] {
        let told = told(elsewhere(&s, &[word]));
        assert_eq!(told.code, Some(4));
        assert_eq!(told.what, "not signed in to environment `production` (chosen by default)");
        assert_eq!(told.why, "you are signed in to `local` as ada@example.com; USE_LOCAL_OAUTH is not set");
        assert_eq!(told.hint, format!("export USE_LOCAL_OAUTH=1, or `keyfob --environment local {word}`"));
    }
    // What is advised works.
    let advised = Ran::from(elsewhere(&s, &["--environment", "local", "token"]).output().expect("it runs"));
    assert_eq!(advised.answer(), s.token());
}

#[test]
fn a_profile_that_is_nobodys_is_told_with_those_there_are() {
    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    s.sign_in("work", "bob@example.com");
    let wrong = told(s.keyfob(["token", "--profile", "wrok"]));
    assert_eq!(wrong.what, "nobody has signed in to profile `wrok`");
    assert_eq!(wrong.why, "you have: default, work");
    assert_eq!(wrong.hint, "if you meant `work`: `keyfob --profile work token`");
    let other = told(s.keyfob(["token", "--profile", "home"]));
    assert!(other.hint.contains("`keyfob --profile home login`"), "{}", other.hint);
}

#[test]
fn another_home_is_repeated_and_quoted() {
    let s = Sandbox::new();
    let home = s.home.path().join("an other");
    fs::create_dir(&home).expect("ours");
    fs::set_permissions(&home, fs::Permissions::from_mode(0o700)).expect("ours");
    let told = told(s.keyfob(["--home", home.to_str().expect("text"), "token"]));
    assert!(told.hint.contains(&format!("`keyfob --home '{}' login`", home.display())), "{}", told.hint);
}

#[test]
fn where_nothing_is_set_up_the_way_in_is_named() {
    let s = Sandbox::new();
    for words in [&["token"][..], &["logout"], &["login", "--no-browser"]] {
        let mut command = elsewhere(&s, words);
        command.stdin(std::process::Stdio::piped());
        let ran = Ran::from(command.output().expect("it runs"));
        assert!(ran.err.contains("no provider is set up yet"), "{words:?}: {ran:?}");
        assert!(ran.err.contains("`keyfob init --issuer URL --client-id ID`"), "{words:?}: {ran:?}");
    }
}

#[test]
fn a_scope_that_the_provider_does_not_know_is_corrected_in_the_configuration() {
    let s = Sandbox::new();
    let minted = s.server.mint("ada@example.com", "user:profile user:inference").expect("tokens");
    let mut command = s.keyfob(["token"]);
    command.env("CLAUDE_CODE_OAUTH_REFRESH_TOKEN", &minted.refresh_token);
    command.env("CLAUDE_CODE_OAUTH_SCOPES", "user:nonsense");
    let told = told(command);
    assert_eq!(told.what, "the provider refused the request, before asking anybody");
    assert!(told.why.contains("invalid_scope"), "{}", told.why);
    assert!(told.hint.starts_with("correct the scopes of [environments.local] in "), "{}", told.hint);
}

#[test]
fn a_provider_that_says_later_is_told_with_the_way_to_wait() {
    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    s.expire();
    s.server.inject(FaultKind::Status429, 1);
    let busy = told(s.keyfob(["token"]));
    assert_eq!((busy.code, &*busy.hint), (Some(6), "`keyfob token --wait 30` waits for you"));
    s.edit(|record| record["cooldown"]["until"] = (keyfob_testkit::now() + 29).into());
    let cooling = told(s.keyfob(["token", "--profile", "default"]));
    assert_eq!(cooling.hint, "`keyfob --profile default token --wait 30` waits for you");
    s.edit(|record| record["cooldown"]["until"] = (keyfob_testkit::now() + 1).into());
    s.out(&["token", "--wait", "30"]);
}

#[test]
fn a_login_is_said_to_be_kept_only_where_there_is_one() {
    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    s.expire();
    let closed = "http://127.0.0.1:9";
    let mut nobody = s.keyfob(["login", "--with-token", "access"]);
    nobody.env("KEYFOB_HOME", s.home.path().join("new"));
    for name in
        ["CLAUDE_LOCAL_OAUTH_API_BASE", "CLAUDE_LOCAL_OAUTH_APPS_BASE", "CLAUDE_LOCAL_OAUTH_CONSOLE_BASE"]
    {
        nobody.env(name, closed);
    }
    let token = s.home.path().join("token");
    fs::write(&token, "abc").expect("a file");
    nobody.stdin(fs::File::open(&token).expect("a file"));
    let nobody = told(nobody);
    assert!(!nobody.hint.contains("kept"), "{}", nobody.hint);
    assert!(nobody.hint.contains("check that the provider runs at 127.0.0.1"), "{}", nobody.hint);
    let server = s.server;
    let home = s.home;
    drop(server);
    let somebody = told(home.keyfob(["token"]));
    assert!(somebody.hint.ends_with("; the login is kept"), "{}", somebody.hint);
}

#[test]
fn a_key_in_the_wrong_place_is_moved() {
    let s = Sandbox::new();
    configure(
        &s,
        "[environments.work]\nissuer = \"https://id.example\"\nclient_id = \"x\"\nseal = \"kernel\"\n",
    );
    let told = told(s.keyfob(["token"]));
    assert!(
        told.what.ends_with("config.toml, line 4: `seal` is not a key of [environments.work]"),
        "{}",
        told.what
    );
    assert_eq!(told.hint, "move it above the first [section]; `keyfob man config` lists every key");
}

#[test]
fn a_file_that_is_there_and_a_folder_that_is_not_are_told_apart() {
    let s = Sandbox::new();
    let there = s.home.path().join("token.txt");
    fs::write(&there, "").expect("a file");
    let mint = |path: &str| told(s.keyfob(["setup-token", "--no-browser", "--out", path]));
    let exists = mint(there.to_str().expect("text"));
    assert_eq!(exists.what, format!("{} is already there, and is not overwritten", there.display()));
    assert_eq!(exists.hint, format!("choose another name, or remove {}", there.display()));
    let missing = mint("/nonexist/token.txt");
    assert_eq!(missing.what, "the folder /nonexist does not exist");
    assert_eq!(missing.hint, "create it: mkdir -p /nonexist");
}

#[test]
fn a_token_that_is_not_accepted_leaves_the_login_that_was_there() {
    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    let token = s.home.path().join("token");
    fs::write(&token, "abc").expect("a file");
    let mut command = s.keyfob(["login", "--with-token", "access"]);
    command.stdin(fs::File::open(&token).expect("a file"));
    let told = told(command);
    assert_eq!(
        (told.code, &*told.what),
        (Some(5), "the provider does not accept this token; nothing was changed")
    );
    assert_eq!(told.why, format!("401 from {}", s.server.base_url()));
    assert_eq!(told.hint, "check that all of it was pasted; the login of ada@example.com is still there");
    let ran = Ran::from(s.feed(&["login", "--with-token", "access", "--json"], "abc"));
    ran.failed(5, "provider-refused").because("provider-refused", "token-rejected");
}

#[test]
fn an_issuer_is_written_as_the_provider_calls_itself() {
    let s = Sandbox::new();
    let base = s.server.base_url();
    configure(
        &s,
        &format!(
            "environment = \"work\"\n[environments.work]\nissuer = \"{base}/\"\nclient_id = \"keyfob-local\"\n"
        ),
    );
    let mut command = elsewhere(&s, &["login", "--no-browser"]);
    command.stdin(std::process::Stdio::piped());
    let told = told(command);
    assert_eq!(told.what, "the issuer must be exactly what the provider calls itself");
    assert_eq!(told.why, format!("it says {base}, the configuration says {base}/"));
    assert!(
        told.hint.starts_with(&format!("write issuer = \"{base}\" in [environments.work]")),
        "{}",
        told.hint
    );
}

#[test]
fn an_environment_that_is_misspelt_is_met_with_the_one_there_is() {
    let s = Sandbox::new();
    let told = told(elsewhere(&s, &["--environment", "lcoal", "token"]));
    assert_eq!((told.code, &*told.hint), (Some(3), "if you meant `local`, say so"));
}

#[test]
fn a_program_that_cannot_be_started_ends_as_in_a_shell() {
    let s = Sandbox::new();
    let mut missing = s.keyfob(["exec", "--", "my-agent"]);
    missing.env("CLAUDE_CODE_OAUTH_TOKEN", "kdev-at-x");
    let missing = told(missing);
    assert_eq!((missing.code, &*missing.what), (Some(127), "there is no program my-agent in PATH"));
    let file = s.home.path().join("agent");
    fs::write(&file, "#!/bin/sh\n").expect("a file");
    let mut command = s.keyfob(["exec", "--", file.to_str().expect("text")]);
    command.env("CLAUDE_CODE_OAUTH_TOKEN", "kdev-at-x");
    let command = told(command);
    assert_eq!(command.code, Some(126));
    assert_eq!(command.hint, format!("make it executable: chmod +x {}", file.display()));
}

/// A mistake on the command line is a failure like any other, for programs too.
#[test]
fn a_mistake_on_the_command_line_has_three_lines_and_json() {
    let s = Sandbox::new();
    let typo = told(s.keyfob(["logn"]));
    assert_eq!((typo.code, &*typo.hint), (Some(2), "did you mean `keyfob login`?"));
    let ran = s.run(&["token", "--json", "--min-valid", "soon"]);
    ran.failed(2, "usage");
    let answer: Value = serde_json::from_str(&ran.out).expect("JSON");
    let message = answer["error"]["message"].as_str().expect("text");
    assert!(message.contains("--min-valid <TIME> cannot be `soon`"), "{message}");
    assert_eq!(s.run(&["exec", "--", "sh", "--json"]).code, Some(4), "what a program is given is its own");
    for (words, hint) in [
        (&["auth", "login"][..], "leave `auth` out: `keyfob login`"),
        (&["login", "--web"], "leave it out: `keyfob login` opens a browser by itself"),
        (&["exec", "ls"], "put `--` before the program: `keyfob exec -- ls`"),
    ] {
        assert_eq!(told(s.keyfob(words)).hint, hint, "{words:?}");
    }
}

/// One cause after the other: the input, and the id and the cause that are reported to programs.
#[test]
fn each_cause_is_told_by_its_own_word() {
    type Case<'c> = (&'c str, &'c str, &'c [&'c str], &'c [(&'c str, &'c str)], &'c str);
    const TOKEN: &[&str] = &["token"];
    let environment = |keys: &str| {
        format!("environment = \"work\"\n[environments.work]\nissuer = \"http://127.0.0.1:9\"\n{keys}\n")
    };
    let helper = "api_key_helper = \"exit 3\"";
    let no_secret = environment(
        "client_id = \"x\"\ngrant = \"client_credentials\"\ntoken_url = \"http://127.0.0.1:9/token\"\nclient_secret_file = \"/nowhere/secret\"",
    );
    let failing = environment(
        "client_id = \"x\"\ngrant = \"client_credentials\"\ntoken_url = \"http://127.0.0.1:9/token\"\nclient_secret_command = \"false\"",
    );
    let silent = environment("client_id = \"x\"");
    let nameless = silent.replace("http://127.0.0.1:9", "https://name.invalid");
    let codeless = silent.replace(
        "issuer = ",
        "authorize_url = \"http://127.0.0.1:9/a\"\ntoken_url = \"http://127.0.0.1:9/t\"\n#",
    );
    const LOGIN: &[&str] = &["login", "--device"];
    let cases: &[Case] = &[
        ("usage", "profile-name", &["--profile", "a/b", "token"], &[], ""),
        ("variable-malformed", "profile-name", TOKEN, &[("KEYFOB_PROFILE", "a b")], ""),
        ("variable-malformed", "own-variable", TOKEN, &[("KEYFOB_SEEDED_BY", "x")], ""),
        (
            "variables-conflict",
            "same-descriptor",
            TOKEN,
            &[("CLAUDE_CODE_OAUTH_TOKEN_FILE_DESCRIPTOR", "9"), ("CLAUDE_CODE_API_KEY_FILE_DESCRIPTOR", "9")],
            "",
        ),
        ("config-malformed", "config-syntax", TOKEN, &[], "environment = \"work"),
        ("config-malformed", "config-key-unknown", TOKEN, &[], "nonsense = 1"),
        ("config-malformed", "config-key-misplaced", TOKEN, &[], "issuer = \"https://id.example\""),
        ("config-malformed", "config-value", TOKEN, &[], "prefer = \"both\""),
        (
            "environment-unknown",
            "environment-not-found",
            &["--environment", "nope", "token"],
            &[("USE_LOCAL_OAUTH", "")],
            "",
        ),
        (
            "environment-incomplete",
            "environment-lacks",
            TOKEN,
            &[("USE_LOCAL_OAUTH", ""), ("USE_STAGING_OAUTH", "1")],
            "",
        ),
        ("client-id-missing", "no-client-id", LOGIN, &[("USE_LOCAL_OAUTH", "")], ""),
        ("helper-failed", "command-failed", TOKEN, &[], helper),
        ("client-secret", "missing", TOKEN, &[("USE_LOCAL_OAUTH", "")], &no_secret),
        ("client-secret", "command-failed", TOKEN, &[("USE_LOCAL_OAUTH", "")], &failing),
        ("usage", "client-credentials", LOGIN, &[("USE_LOCAL_OAUTH", "")], &failing),
        ("home-unsafe", "not-absolute", TOKEN, &[("KEYFOB_HOME", "relative")], ""),
        ("unreachable", "connection-refused", LOGIN, &[("USE_LOCAL_OAUTH", "")], &silent),
        ("unreachable", "name-not-found", LOGIN, &[("USE_LOCAL_OAUTH", "")], &nameless),
        (
            "unreachable",
            "proxy-failed",
            LOGIN,
            &[("USE_LOCAL_OAUTH", ""), ("HTTPS_PROXY", "http://127.0.0.1:9")],
            &nameless,
        ),
        ("seed-spent", "seed-used", TOKEN, &[("CLAUDE_CODE_OAUTH_REFRESH_TOKEN", "kdev-rt-spent")], ""),
        ("login-needed", "not-signed-in", TOKEN, &[], ""),
        (
            "environment-incomplete",
            "no-session",
            &["connect"],
            &[("USE_LOCAL_OAUTH", ""), ("CLAUDE_CODE_SESSION_ACCESS_TOKEN", "x")],
            &codeless,
        ),
        ("environment-incomplete", "no-codes", LOGIN, &[("USE_LOCAL_OAUTH", "")], &codeless),
        ("login-timeout", "input-ended", &["login", "--no-browser", "--paste"], &[], ""),
        ("login-timeout", "nobody-answered", &["login", "--no-browser", "--timeout", "1"], &[], ""),
        (
            "exec-failed",
            "program-not-found",
            &["exec", "--", "no-such-program"],
            &[("CLAUDE_CODE_OAUTH_TOKEN", "x")],
            "",
        ),
        (
            "exec-failed",
            "program-not-executable",
            &["exec", "--", "/etc"],
            &[("CLAUDE_CODE_OAUTH_TOKEN", "x")],
            "",
        ),
        ("usage", "exists", &["setup-token", "--no-browser", "--out", "/dev/null"], &[], ""),
        ("usage", "missing", &["setup-token", "--no-browser", "--out", "/nonexist/x"], &[], ""),
    ];
    let page = Sandbox::new().out(&["man", "--errors"]);
    for (id, cause, words, variables, file) in cases {
        let s = Sandbox::new();
        configure(&s, file);
        let mut command =
            s.keyfob(words.iter().copied().chain(["--json"].into_iter().filter(|_| words[0] != "exec")));
        command.envs(variables.iter().copied());
        if words[0] == "exec" {
            command = s.keyfob(["--json"].into_iter().chain(words.iter().copied()));
            command.envs(variables.iter().copied());
        }
        let ran = Ran::from(command.output().expect("it runs"));
        let answer: Value = serde_json::from_str(&ran.out).unwrap_or_default();
        let error = &answer["error"];
        assert_eq!(
            (error["id"].as_str(), error["cause"].as_str()),
            (Some(*id), Some(*cause)),
            "{words:?}: {ran:?}"
        );
        let section = page.split(&format!("\n### {id}\n")).nth(1).and_then(|rest| rest.split("\n##").next());
        let section = section.unwrap_or_else(|| panic!("{id} is not on the page"));
        assert!(section.contains(&format!("| `{cause}` |")), "{id}: {cause} is not on the page");
    }
}

/// What came of a login, of what was pasted and of what is kept beside it.
#[test]
fn what_a_login_came_to_is_told_by_its_cause() {
    let s = Sandbox::new();
    let minted = s.server.mint("ada@example.com", "user:profile user:inference").expect("tokens");
    Ran::from(s.feed(&["login", "--with-token", "access"], &minted.access_token)).answer();
    s.expire();
    s.run(&["token", "--json"]).because("login-needed", "no-refresh-token");

    let s = Sandbox::new();
    let paste = ["login", "--no-browser", "--paste", "--json"];
    Ran::from(s.feed(&paste, &"x".repeat(70_000))).because("callback-invalid", "not-an-answer");
    Ran::from(s.feed(&paste, "a-code#another-state\n")).because("state-mismatch", "other-attempt");

    fs::create_dir_all(s.home.home()).expect("ours");
    fs::set_permissions(s.home.home(), fs::Permissions::from_mode(0o700)).expect("ours");
    fs::write(s.home.home().join("minted.json"), "{").expect("a file");
    fs::set_permissions(s.home.home().join("minted.json"), fs::Permissions::from_mode(0o600)).expect("ours");
    s.run(&["setup-token", "list", "--json"]).because("store-corrupt", "notes-unreadable");

    let s = Sandbox::new();
    let seed = s.server.mint("ada@example.com", "user:profile user:inference").expect("tokens");
    let token = || {
        let mut command = s.keyfob(["token", "--json"]);
        command.env("CLAUDE_CODE_OAUTH_REFRESH_TOKEN", &seed.refresh_token);
        Ran::from(command.output().expect("it runs"))
    };
    token().answer();
    s.edit(|record| {
        keyfob_testkit::expired(record);
        record["refresh_token"] = "kdev-rt-ended".into();
    });
    token().because("login-refused", "seed-ended");

    let s = Sandbox::new();
    let bring = |email: &str| {
        let minted = s.server.mint(email, "user:profile user:inference").expect("tokens");
        Ran::from(s.feed(&["login", "--with-token", "refresh", "--json"], &minted.refresh_token))
    };
    s.server.inject(FaultKind::OddTokenType, 1);
    bring("ada@example.com").because("answer-invalid", "rotated-kept");
    bring("ada@example.com").answer();
    bring("bob@example.com").because("other-account", "kept-beside");
}

/// Completions and manual pages whose place cannot be written: told with the place, and what to do about it.
#[test]
fn what_cannot_be_installed_is_told_by_its_cause() {
    let s = Sandbox::new();
    let data = s.home.path().join("data");
    let file = s.home.path().join("file");
    fs::create_dir(&data).expect("ours");
    fs::write(&file, "").expect("a file");
    let space = Namespace::new();
    space.shell(&s.home, &format!("mount --bind {0} {0}; mount -o remount,bind,ro {0}", data.display()));
    for words in [&["completions", "bash", "--install", "--json"][..], &["man", "--install", "--json"]] {
        for (place, cause) in [(&data, "read-only"), (&file, "not-a-directory")] {
            let mut command = space.command(&s.home, &[&[program()], words].concat());
            command.env("XDG_DATA_HOME", place);
            let ran = Ran::from(command.output().expect("it runs"));
            let answer: Value = serde_json::from_str(&ran.out).unwrap_or_default();
            let error = &answer["error"];
            assert_eq!(error["cause"], cause, "{ran:?}");
            assert!(error["hint"].as_str().expect("text").contains("(XDG_DATA_HOME)"), "{ran:?}");
            assert!(ran.err.contains(place.to_str().expect("text")), "{ran:?}");
        }
    }
}

/// A key store that is not there is told before anybody signs in.
#[test]
fn a_key_store_that_cannot_be_used_is_told_by_its_cause() {
    for (bus, cause) in [("", "key-store-missing"), ("tcp:host=127.0.0.1,port=9", "bus-address")] {
        let s = Sandbox::new();
        configure(&s, "seal = \"secret-service\"\n");
        let mut command = s.keyfob(["login", "--device", "--json"]);
        command.env("DBUS_SESSION_BUS_ADDRESS", bus);
        let ran = Ran::from(command.output().expect("it runs"));
        ran.failed(7, "key-store-unavailable").because("key-store-unavailable", cause);
    }
}

/// The cause is a word for programs, and the page of errors explains it.
#[test]
fn the_cause_is_told_to_programs() {
    let s = Sandbox::new();
    let ran = s.run(&["token", "--json"]);
    let answer: Value = serde_json::from_str(&ran.out).expect("JSON");
    assert_eq!(answer["error"]["cause"], "not-signed-in", "{ran:?}");
    let page = s.out(&["man", "--errors"]);
    assert!(page.contains("| `not-signed-in` |"), "{page}");
}
