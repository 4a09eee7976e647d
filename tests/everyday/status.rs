//! `keyfob status`: account, credential, expiry, the winning source and the shadowed ones; for people and for scripts.

use std::{fs, path::PathBuf, process::Output};

use serde_json::{Value, json};

use keyfob_testkit::{Sandbox, stderr};

fn status(s: &Sandbox, words: &[&str], variables: &[(&str, &str)]) -> (Option<i32>, Value, Output) {
    let words: Vec<_> = ["status"].iter().chain(words).copied().collect();
    let page = s.keyfob(&words).envs(variables.iter().copied()).output().expect("it runs");
    let mut command = s.keyfob(words.iter().copied().chain(["--json"]));
    let output = command.envs(variables.iter().copied()).output().expect("it runs");
    assert_eq!(page.status.code(), output.status.code(), "one exit code, however it is asked");
    let said = serde_json::from_slice(&output.stdout).expect("JSON");
    (output.status.code(), said, page)
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("text")
}

fn edit(s: &Sandbox, change: impl FnOnce(&mut Value)) {
    let entries = fs::read_dir(s.logins()).expect("the store").map(|e| e.expect("an entry").path());
    let path: PathBuf =
        entries.into_iter().find(|path| path.extension().is_some_and(|e| e == "json")).expect("a record");
    let mut record = serde_json::from_slice(&fs::read(&path).expect("a file")).expect("JSON");
    change(&mut record);
    fs::write(&path, record.to_string()).expect("ours");
}

#[test]
fn status_without_a_login_exits_1() {
    let s = Sandbox::new();
    let (code, said, page) = status(&s, &[], &[]);
    assert_eq!((code, &said["winner"]), (Some(1), &Value::Null));
    assert_eq!(said["error"]["id"], "login-needed");
    assert!(text(&page).starts_with("Not signed in (profile `default` in environment `local`)."), "{page:?}");
    assert!(text(&page).contains("`keyfob login`") && text(&page).lines().count() == 3, "{page:?}");
    assert!(s.server.requests().is_empty());
}

/// Three lines: who, with what and where, until when by the reader's clock; there is no prompt and no renewal.
#[test]
fn status_answers_in_three_lines_and_shows_the_rest_when_asked() {
    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    let before = s.server.requests().len();
    let variables = [("ANTHROPIC_API_KEY", ""), ("TZ", "XYZ-14")];
    let (code, said, page) = status(&s, &[], &variables);
    assert_eq!(code, Some(0));
    let page = text(&page);
    let lines: Vec<_> = page.lines().collect();
    let base = s.server.base_url();
    assert_eq!(lines.len(), 3, "{page}");
    assert_eq!(lines[0], "Signed in as ada@example.com.");
    assert_eq!(lines[1], format!("With the login of profile `default` in environment `local` ({base})."));
    assert!(lines[2].starts_with("Valid until ") && lines[2].contains(" XYZ, in "), "{page}");
    assert!(lines[2].ends_with(" minutes; then it is renewed."), "{page}");

    assert_eq!(said["winner"]["state"], "valid");
    assert_eq!(said["winner"]["header"], "Authorization");
    assert_eq!(said["winner"]["scopes"], json!(["user:profile", "user:inference"]));
    assert_eq!(said["winner"]["cooldown"], Value::Null);
    for within in [&said["winner"], &said["environment"]] {
        assert_eq!((&within["issuer"], &within["client_id"]), (&json!(base), &json!("keyfob-local")));
    }
    assert_eq!(
        (&said["winner"]["environment"], &said["environment"]["name"]),
        (&json!("local"), &json!("local"))
    );
    assert_eq!(said["identity"]["email"], "ada@example.com");
    assert_eq!(said["considered"].as_array().expect("a list").len(), 9, "every source, in order");

    let (_, _, all) = status(&s, &["--all"], &variables);
    let all = text(&all);
    assert!(all.starts_with(&page.lines().take(2).collect::<Vec<_>>().join("\n")), "{all}");
    for shown in
        ["\nClient         keyfob-local\n", "\nScopes         user:profile user:inference\n", "  * login "]
    {
        assert!(all.contains(shown), "{shown}: {all}");
    }
    assert_eq!(s.server.requests().len(), before, "no network");
}

/// A credential that is not stored is named as the user named it, together with the credentials it shadows.
#[test]
fn status_names_a_source_by_what_was_typed() {
    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    let (code, _, page) = status(&s, &[], &[("ANTHROPIC_API_KEY", "kdev-ak-invented")]);
    let page = text(&page);
    assert_eq!(code, Some(0));
    assert!(page.starts_with("Using ANTHROPIC_API_KEY.\nIn environment `local` ("), "{page}");
    assert!(page.contains("! Not used: the stored login; ANTHROPIC_API_KEY comes first."), "{page}");
    let (_, _, page) = status(&s, &["--profile", "default"], &[("ANTHROPIC_API_KEY", "kdev-ak-invented")]);
    let named = "! Not used: ANTHROPIC_API_KEY; profile `default` was named, and means its login alone.";
    assert!(text(&page).contains(named), "{}", text(&page));
}

/// The possible states of a stored login, in a word for scripts and an exit code for shells.
#[test]
fn status_names_every_state_of_a_login() {
    let now = i64::try_from(std::time::UNIX_EPOCH.elapsed().expect("after 1970").as_secs()).expect("soon");
    type Change = fn(&mut Value, i64);
    let states: [(&str, Option<i32>, &str, Change); 4] = [
        ("renewal-due", Some(0), "renewed when next asked for.", |r, now| r["expires_at"] = json!(now - 60)),
        ("expired", Some(4), "cannot be renewed. Run `keyfob login`.", |r, now| {
            r["expires_at"] = json!(now - 60);
            r["refresh_token"] = Value::Null;
        }),
        ("outcome-unknown", Some(0), "outcome of its last renewal is unknown", |r, now| {
            r["unknown"] = json!({ "generation": r["generation"], "since": now, "times": 1 });
        }),
        ("ended", Some(4), "It has ended: revoked. Run `keyfob login`.", |r, now| {
            r["expires_at"] = json!(now - 60);
            r["refused"] = json!({ "generation": r["generation"], "at": now, "why": "revoked" });
        }),
    ];
    for (word, code, words, change) in states {
        let s = Sandbox::new();
        s.sign_in("default", "ada@example.com");
        edit(&s, |record| change(record, now));
        let (said_code, said, page) = status(&s, &[], &[]);
        assert_eq!((said["winner"]["state"].as_str(), said_code), (Some(word), code), "{said}");
        assert!(text(&page).contains(words), "{word}: {}", text(&page));
    }
    let s = Sandbox::new();
    for (variable, word) in
        [("CLAUDE_CODE_OAUTH_TOKEN", "as-it-is"), ("CLAUDE_CODE_OAUTH_REFRESH_TOKEN", "not-yet-exchanged")]
    {
        let (code, said, _) = status(&s, &[], &[(variable, "kdev-invented")]);
        assert_eq!((code, said["winner"]["state"].as_str()), (Some(0), Some(word)));
    }
}

/// Only `--verify` sends a request, and it distinguishes a rejected credential from a provider that cannot be reached.
#[test]
fn status_verify_asks_the_provider() {
    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    let (code, said, page) = status(&s, &["--verify"], &[]);
    assert_eq!((code, &said["verified"]), (Some(0), &json!(true)));
    assert!(text(&page).contains("Verified: the provider accepts it."));
    let (code, said, page) = status(&s, &["--verify"], &[("ANTHROPIC_API_KEY", "kdev-ak-invented")]);
    assert_eq!(
        (code, &said["verified"], &said["verification"]),
        (Some(5), &json!(false), &json!("rejected"))
    );
    assert!(stderr(&page).contains("does not accept"), "{}", stderr(&page));
    assert!(!format!("{said}{page:?}").contains("invented"));

    // What the provider has ended it rejects, and signing in again is what helps.
    edit(&s, |r| r["refused"] = json!({ "generation": r["generation"], "at": 1, "why": "revoked" }));
    assert!(status(&s, &["--verify"], &[]).0 == Some(0), "the provider takes the token to its end");
    s.server.advance(2 * 3600);
    let (code, said, page) = status(&s, &["--verify"], &[]);
    assert_eq!((code, &said["verified"]), (Some(4), &json!(false)), "{said}");
    assert!(stderr(&page).contains("`keyfob login`"), "{}", stderr(&page));
    // There is nothing to verify in a token that is over.
    edit(&s, |r| {
        r["expires_at"] = json!(keyfob_testkit::now() - 60);
        r["refused"] = Value::Null;
    });
    let (code, said, page) = status(&s, &["--verify"], &[]);
    assert_eq!(
        (code, &said["verified"], &said["verification"]),
        (Some(0), &Value::Null, &json!("not-asked"))
    );
    assert!(text(&page).contains("Not verified: the access token is over"), "{}", text(&page));
    // A program gets a credential, as the exit code says; and then the provider can be asked.
    s.server.advance(-2 * 3600);
    s.sign_in("default", "ada@example.com");
    edit(&s, |r| r["expires_at"] = json!(keyfob_testkit::now() - 60));
    assert_eq!(status(&s, &["--verify"], &[]).0, Some(0));
    s.token();
    assert_eq!(status(&s, &["--verify"], &[]).1["verification"], json!("accepted"));

    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    let command = || s.keyfob(["status", "--verify", "--json"]);
    let (mut first, mut second) = (command(), s.keyfob(["status"]));
    let Sandbox { server, home } = s;
    server.stop();
    assert_eq!(first.output().expect("it runs").status.code(), Some(6));
    assert_eq!(second.output().expect("it runs").status.code(), Some(0), "without it nobody is asked");
    drop(home);
}

/// It always runs: malformed variables and broken files are reported beside everything else.
#[test]
fn status_reports_problems_and_still_shows_the_rest() {
    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    let (code, said, page) = status(&s, &[], &[("CLAUDE_CODE_ACCOUNT_UUID", "7")]);
    assert_eq!((code, said["error"]["id"].as_str()), (Some(3), Some("variable-malformed")));
    assert!(text(&page).contains("Signed in as ada@example.com"), "{page:?}");
    assert!(stderr(&page).contains("CLAUDE_CODE_ACCOUNT_UUID"));

    let (code, said, page) = status(&s, &[], &[("CLAUDE_CODE_OAUTH_TOKEN_FILE_DESCRIPTOR", "99")]);
    assert_eq!((code, said["error"]["id"].as_str()), (Some(3), Some("descriptor-not-open")));
    assert!(text(&page).starts_with("No credential can be used now."), "{}", text(&page));
    assert_eq!(stderr(&page).matches("error: ").count(), 1, "once: {}", stderr(&page));
    let (_, _, page) = status(&s, &["--all"], &[("CLAUDE_CODE_OAUTH_TOKEN_FILE_DESCRIPTOR", "99")]);
    assert!(text(&page).contains("  ! oauth-token-descriptor"), "{}", text(&page));
    assert!(text(&page).contains("  ~ login "), "what it would have been: {}", text(&page));
}

/// For a remote connection another order holds, without API keys.
#[test]
fn a_remote_connection_has_its_own_order() {
    let s = Sandbox::new();
    let variables =
        [("CLAUDE_CODE_SESSION_ACCESS_TOKEN", "of-a-session"), ("ANTHROPIC_API_KEY", "kdev-ak-local")];
    let (_, said, _) = status(&s, &["--remote"], &variables);
    assert_eq!((&said["purpose"], &said["winner"]["source"]), (&json!("remote"), &json!("session-token")));
    let sources = said["considered"].as_array().expect("a list");
    assert!(sources.iter().all(|one| one["source"] != "api-key"), "{sources:?}");
    assert_eq!(status(&s, &[], &variables).1["winner"]["source"], "api-key");
}

/// What a program would get decides what is said and the exit code: never "signed in" where it would get nothing.
#[test]
fn status_says_what_a_program_would_get() {
    let now = i64::try_from(std::time::UNIX_EPOCH.elapsed().expect("after 1970").as_secs()).expect("soon");
    let cooling = |record: &mut Value| {
        record["cooldown"] =
            json!({ "since": now - 5, "until": now + 600, "times": 1, "why": "the provider answered 503" });
    };
    // Good still: used, and it is said that nobody asks for another one yet.
    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    edit(&s, cooling);
    let (code, said, page) = status(&s, &[], &[]);
    assert_eq!(
        (code, &said["winner"]["state"], &said["winner"]["cooldown"]["why"]),
        (Some(0), &json!("valid"), &json!("the provider answered 503"))
    );
    let lines = text(&page);
    let line = lines.lines().nth(3).expect("a line of its own");
    assert!(line.starts_with("! The provider is not asked again before "), "{lines}");
    assert!(line.ends_with(" minutes: the provider answered 503."), "{lines}");
    // At its end: what `token` says.
    edit(&s, |record| record["expires_at"] = json!(now - 60));
    let (code, said, _) = status(&s, &[], &[]);
    assert_eq!((code, &said["winner"]["state"]), (Some(6), &json!("cooling-down")), "{said}");
    assert_eq!(s.output(&["token"]).status.code(), Some(6));

    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    edit(&s, |r| {
        r["expires_at"] = json!(now - 60);
        r["refused"] = json!({ "generation": r["generation"], "at": now, "why": "revoked" });
    });
    let (code, _, page) = status(&s, &[], &[]);
    assert!(text(&page).starts_with("No longer signed in as ada@example.com"), "{}", text(&page));
    assert_eq!((code, s.output(&["token"]).status.code()), (Some(4), Some(4)));
    // The provider has ended it, and its token is good a while longer: used, and not without a word.
    edit(&s, |r| r["expires_at"] = json!(now + 1800));
    let (code, said, page) = status(&s, &[], &[]);
    assert_eq!((code, &said["winner"]["state"]), (Some(0), &json!("ended")), "{said}");
    assert!(
        text(&page).contains("It has ended: revoked. Its token may still work until "),
        "{}",
        text(&page)
    );
    let token = s.output(&["token"]);
    assert_eq!(token.status.code(), Some(0));
    assert!(stderr(&token).contains("warning: the login of profile `default`"), "{}", stderr(&token));
    assert!(stderr(&token).contains("has ended"), "{}", stderr(&token));

    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    let entries = fs::read_dir(s.logins()).expect("the store").map(|entry| entry.expect("an entry").path());
    let record = entries.into_iter().find(|path| path.extension().is_some_and(|e| e == "json"));
    fs::write(record.expect("a record"), "{half").expect("ours");
    let (code, said, page) = status(&s, &[], &[]);
    assert_eq!(
        (code, &said["winner"], &said["error"]["id"]),
        (Some(7), &Value::Null, &json!("store-corrupt"))
    );
    assert!(text(&page).starts_with("No credential can be used now."), "{}", text(&page));
    assert_eq!(s.output(&["token"]).status.code(), Some(7));
}

/// A descriptor is for the program that asks for the credential. Reports look at it and leave it.
#[test]
fn no_report_empties_a_descriptor() {
    let s = Sandbox::new();
    let minted = s.server.mint("ada@example.com", "user:inference").expect("tokens");
    let (read, mut write) = std::io::pipe().expect("a pipe");
    std::io::Write::write_all(&mut write, minted.access_token.as_bytes()).expect("it has room");
    drop(write);
    let with = |words: &[&str], input: std::process::Stdio| {
        let mut command = s.keyfob(words);
        command.env("CLAUDE_CODE_OAUTH_TOKEN_FILE_DESCRIPTOR", "0").stdin(input);
        command.output().expect("it runs")
    };
    for words in [&["status"][..], &["status", "--json"], &["env"], &["doctor"]] {
        with(words, read.try_clone().expect("a descriptor").into());
    }
    let asked = with(&["status", "--verify", "--json"], read.try_clone().expect("a descriptor").into());
    assert_eq!(asked.status.code(), Some(3), "it cannot be verified, and that is no success");
    let said: Value = serde_json::from_slice(&asked.stdout).expect("JSON");
    assert_eq!(said["error"]["cause"], "would-be-drained", "{said}");
    assert!(said.to_string().contains("would have to be read"), "{said}");
    let token = with(&["token"], read.into());
    assert_eq!(String::from_utf8_lossy(&token.stdout).trim(), minted.access_token);
    // A file is read without anybody's losing anything.
    let file = s.home.path().join("token");
    fs::write(&file, minted.access_token).expect("ours");
    let verified = with(&["status", "--verify"], fs::File::open(&file).expect("ours").into());
    assert_eq!(verified.status.code(), Some(0), "{}", stderr(&verified));
}

/// More than the provider ever gives is wished for: that costs one renewal, not one for each call, and is said.
#[test]
fn a_wish_beyond_what_the_provider_gives_renews_once_and_says_so() {
    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    let before = s.server.grants().refreshes;
    for _ in 0..5 {
        let ran = s.output(&["token", "--min-valid", "7200"]);
        assert_eq!(ran.status.code(), Some(0), "{}", stderr(&ran));
        assert!(stderr(&ran).contains("warning: the access token is good for 3"), "{}", stderr(&ran));
        assert!(stderr(&ran).contains(" s, not for 7200"), "{}", stderr(&ran));
    }
    assert!(s.server.grants().refreshes <= before + 1, "{} renewals", s.server.grants().refreshes - before);
}
