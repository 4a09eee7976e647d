//! Signing out: the result at the provider is reported, and the local login is removed in any case. Renewals in flight
//! are in the fire drill.

use std::{fs, process::Output};

use keyfob_dev::{Fault, FaultGrant, FaultKind, Options};
use serde_json::Value;

use keyfob_testkit::{Sandbox, stderr};

use crate::visitor::follow;

fn records(s: &Sandbox) -> usize {
    let entries = fs::read_dir(s.logins()).expect("the store").map(|e| e.expect("an entry").path());
    entries.filter(|path| path.extension().is_some_and(|e| e == "json")).count()
}

fn logged_out(output: &Output) -> Vec<Value> {
    let said: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    said["logged_out"].as_array().expect("a list").clone()
}

/// Whether the provider still takes a token.
fn works(s: &Sandbox, token: &str) -> bool {
    let agent = ureq::Agent::config_builder().proxy(None).http_status_as_error(false).build().new_agent();
    let ask = agent.get(format!("{}/v1/whoami", s.server.base_url()));
    ask.header("authorization", format!("Bearer {token}")).call().expect("an answer").status() == 200
}

/// RFC 7009 §2.1: the refresh token is revoked, together with the tokens minted from it.
#[test]
fn logout_reports_a_confirmed_revocation() {
    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    let token = s.out(&["token"]);
    assert!(works(&s, token.trim()));
    let output = s.output(&["logout"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stdout.is_empty(), "words for people go to stderr");
    assert!(stderr(&output).contains("revoked at the provider and removed here"), "{}", stderr(&output));
    assert!(!works(&s, token.trim()));
    assert_eq!(records(&s), 0);
    let revoked: Vec<_> = s.server.requests().into_iter().filter(|r| r.path == "/v1/oauth/revoke").collect();
    assert_eq!(revoked.len(), 1, "the refresh token, which ends the rest");

    let again = s.output(&["logout"]);
    assert_eq!(again.status.code(), Some(0));
    assert!(stderr(&again).contains("Nobody was signed in"), "{}", stderr(&again));
}

/// Signing in to another account revokes the login that was there before, but never before the new one is on the disk:
/// a crash in between leaves one that works. (The same account's is left alone: both may belong to one grant.)
#[test]
fn the_old_login_is_revoked_after_the_new_one_is_saved() {
    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    let record = || {
        let paths = fs::read_dir(s.logins()).expect("the store").map(|e| e.expect("an entry").path());
        let path =
            paths.filter(|path| path.extension().is_some_and(|e| e == "json")).max().expect("a record");
        let record: Value = serde_json::from_slice(&fs::read(path).expect("a record")).expect("JSON");
        record["login"].as_str().expect("an id").to_owned()
    };
    let first = record();
    let before = s.server.requests().len();
    s.server.hold();
    // What stood on the disk as each request was let through.
    let stood = std::thread::scope(|scope| {
        let login = scope.spawn(|| {
            follow(&mut s.keyfob(["login", "--no-browser", "--email", "bob@example.com", "--replace"]))
        });
        let mut stood = Vec::new();
        for _ in 0..60_000 {
            if login.is_finished() {
                break;
            }
            if s.server.held() > 0 && s.server.requests().len() == before + stood.len() {
                stood.push(record());
                s.server.let_through(1);
            }
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        s.server.release();
        assert!(login.join().expect("it ends").status.success());
        stood
    });
    let asked = s.server.requests().split_off(before);
    let at =
        asked.iter().position(|request| request.path == "/v1/oauth/revoke").expect("the old one is revoked");
    assert_eq!(stood[0], first);
    assert_ne!(stood[at], first, "the new one is on the disk before the old one is revoked: {asked:?}");
}

/// Not reached: still removed here, with a message on what that means for a copy.
#[test]
fn logout_reports_a_failed_revocation_and_its_consequence() {
    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    let mut command = s.keyfob(["logout", "--json"]);
    let Sandbox { server, home } = s;
    server.stop();
    let output = command.output().expect("it runs");
    assert_eq!(logged_out(&output)[0]["revocation"], "failed");
    assert!(stderr(&output).contains("work for whoever has a copy"), "{}", stderr(&output));
    let left = fs::read_dir(home.path().join("keyfob/logins")).expect("the store");
    let left: Vec<_> = left.map(|e| e.expect("an entry").file_name().into_string().expect("text")).collect();
    assert!(left.iter().all(|name| name.ends_with(".lock")), "{left:?}");
}

/// RFC 7009 §2.2.1: a provider that is busy is asked once more, when it says so, and no more than that.
#[test]
fn a_busy_revocation_is_tried_once_more() {
    let busy = Fault { grant: FaultGrant::Revoke, kind: FaultKind::Status503 };
    for (times, outcome) in [(1, "confirmed"), (9, "failed")] {
        let s = Sandbox::new();
        s.sign_in("default", "ada@example.com");
        let token = s.out(&["token"]);
        s.server.inject(busy, times);
        let output = s.output(&["logout", "--json"]);
        assert_eq!(output.status.code(), Some(0), "it is removed here in any case: {}", stderr(&output));
        assert_eq!(logged_out(&output)[0]["revocation"], outcome);
        assert_eq!(works(&s, token.trim()), outcome == "failed");
        assert_eq!(
            stderr(&output).contains("the provider answered 503"),
            outcome == "failed",
            "{}",
            stderr(&output)
        );
        let asked: Vec<_> =
            s.server.requests().into_iter().filter(|r| r.path == "/v1/oauth/revoke").collect();
        assert_eq!(asked.len(), 2, "{asked:?}");
    }
}

#[test]
fn logout_all_ends_every_profile_at_every_provider() {
    let s = Sandbox::new();
    let other = Sandbox::with(Options::default());
    s.sign_in("work", "ada@work.example");
    s.sign_in("home", "ada@home.example");
    // The same home, another provider.
    let minted = other.server.mint("eve@example.com", "user:inference").expect("tokens");
    let base = other.server.base_url();
    let mut command = s.keyfob(["login", "--with-token", "access"]);
    for name in ["API", "APPS", "CONSOLE"] {
        command.env(format!("CLAUDE_LOCAL_OAUTH_{name}_BASE"), &base);
    }
    let file = s.home.path().join("token");
    fs::write(&file, &minted.access_token).expect("ours");
    command.stdin(fs::File::open(&file).expect("ours"));
    assert!(command.output().expect("it runs").status.success());
    assert_eq!(records(&s), 3);

    let output = s.output(&["logout", "--all", "--json"]);
    let ended = logged_out(&output);
    assert_eq!(ended.len(), 3, "{ended:?}");
    assert!(ended.iter().all(|one| one["revocation"] == "confirmed"), "{ended:?}");
    assert_eq!(records(&s), 0);
    assert!(!works(&other, &minted.access_token), "each at its own provider");
}

/// A provider without the endpoint, and a variable that is malformed: neither keeps a login here.
#[test]
fn logout_removes_the_login_without_endpoint_or_with_malformed_variables() {
    let s = Sandbox::new();
    let base = s.server.base_url();
    let config = format!(
        "environment = \"work\"\n[environments.work]\nclient_id = \"keyfob-local\"\n\
         authorize_url = \"{base}/oauth/authorize\"\ntoken_url = \"{base}/v1/oauth/token\"\n"
    );
    fs::create_dir_all(s.logins()).expect("ours");
    fs::write(s.home.path().join("keyfob/config.toml"), config).expect("a file");
    for dir in [s.home.path().join("keyfob"), s.logins()] {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(dir, fs::Permissions::from_mode(0o700)).expect("ours");
    }
    let minted = s.server.mint("ada@example.com", "user:inference").expect("tokens");
    let file = s.home.path().join("token");
    fs::write(&file, &minted.refresh_token).expect("ours");
    let mut login = s.keyfob(["login", "--with-token", "refresh"]);
    login.env_remove("USE_LOCAL_OAUTH").stdin(fs::File::open(&file).expect("ours"));
    let output = login.output().expect("it runs");
    assert!(output.status.success(), "{}", stderr(&output));

    let mut logout = s.keyfob(["logout", "--json"]);
    logout.env_remove("USE_LOCAL_OAUTH").env("CLAUDE_CODE_USER_EMAIL", "nobody");
    let output = logout.output().expect("it runs");
    assert_eq!(output.status.code(), Some(0), "by its own outcome: {}", stderr(&output));
    assert!(stderr(&output).contains("CLAUDE_CODE_USER_EMAIL"), "{}", stderr(&output));
    let ended = logged_out(&output);
    assert_eq!(ended[0]["revocation"], "impossible", "{ended:?}");
    assert!(ended[0]["reason"].as_str().expect("words").contains("no revocation endpoint"));
    assert_eq!(records(&s), 0);
}

/// What names a login and cannot be read names none: the person's own is not signed out in its place.
#[test]
fn another_login_than_the_one_meant_is_left_alone() {
    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    for (name, value) in [
        ("CLAUDE_CODE_OAUTH_REFRESH_TOKEN", "seed-of-another \n"),
        ("KEYFOB_PROFILE", "de fault"),
        ("KEYFOB_SEEDED_BY", "nobody"),
        ("CLAUDE_CODE_OAUTH_CLIENT_ID", " blank"),
        ("USE_LOCAL_OAUTH", "yes"),
    ] {
        let output = s.keyfob(["logout", "--json"]).env(name, value).output().expect("it runs");
        assert_eq!(output.status.code(), Some(3), "{name}: {}", stderr(&output));
        assert!(
            stderr(&output).contains(name.trim_start_matches("KEYFOB_ENVIRONMENT")),
            "{}",
            stderr(&output)
        );
        assert_eq!(records(&s), 1, "{name}");
    }
    let asked = s.server.requests();
    assert!(asked.iter().all(|request| request.path != "/v1/oauth/revoke"), "nothing was revoked");
    // What is malformed and names none stops nothing; the profile that was named on the command line is the one meant.
    let mut command = s.keyfob(["--profile", "default", "logout"]);
    command.env("CLAUDE_CODE_USER_EMAIL", "no address").env("CLAUDE_CODE_OAUTH_REFRESH_TOKEN", "a b");
    let output = command.output().expect("it runs");
    assert_eq!((output.status.code(), records(&s)), (Some(0), 0), "{}", stderr(&output));
}

/// A home whose path is not UTF-8 is not confused with the usual one: logins in the usual one stay.
#[test]
fn logout_with_a_non_utf8_home_does_not_touch_another_home() {
    use std::os::unix::ffi::OsStrExt;
    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    for words in [&["logout", "--all"][..], &["logout"]] {
        let mut command = s.keyfob(words);
        command.env("KEYFOB_HOME", std::ffi::OsStr::from_bytes(b"/tmp/h\xf6me")).env("HOME", s.home.path());
        command.env("XDG_STATE_HOME", s.home.path());
        let output = command.output().expect("it runs");
        assert_eq!((output.status.code(), records(&s)), (Some(0), 1), "{}", stderr(&output));
        assert!(stderr(&output).contains("Nobody was signed in"), "{}", stderr(&output));
    }
}

/// A login that a variable seeded is signed out for good, and signing in anew would not be used while the variable is
/// set: what is advised then works.
#[test]
fn after_signing_a_seed_out_what_is_advised_works() {
    const SEED: &str = "CLAUDE_CODE_OAUTH_REFRESH_TOKEN";
    let s = Sandbox::new();
    let mint = || s.server.mint("ada@example.com", "user:profile user:inference").expect("tokens");
    let with = |words: &[&str], seed: &str| s.keyfob(words).env(SEED, seed).output().expect("it runs");
    let first = mint().refresh_token;
    for words in [&["token"][..], &["logout"]] {
        assert!(with(words, &first).status.success(), "{}", stderr(&with(words, &first)));
    }
    let refused = with(&["token"], &first);
    assert_eq!(refused.status.code(), Some(4), "{}", stderr(&refused));
    let advice = format!("put another refresh token into {SEED}, or unset {SEED} and run `keyfob login`");
    assert!(stderr(&refused).contains(&advice), "{}", stderr(&refused));
    assert!(with(&["token"], &mint().refresh_token).status.success(), "another token is another login");
    s.sign_in("default", "ada@example.com");
    s.out(&["token"]);
}

/// One file that cannot be used keeps none of the others signed in.
#[test]
fn one_bad_file_keeps_no_other_login() {
    use std::os::unix::fs::PermissionsExt;
    type Spoil = fn(&std::path::Path);
    let kinds: [(&str, Spoil); 4] = [
        ("damaged", |file| fs::write(file, "{half").expect("ours")),
        ("open to others", |file| {
            fs::set_permissions(file, fs::Permissions::from_mode(0o644)).expect("ours");
        }),
        ("of a newer form", |file| {
            let text = fs::read_to_string(file).expect("ours");
            fs::write(file, text.replace("\"version\": 1", "\"version\": 9")).expect("ours");
        }),
        ("with a second name", |file| fs::hard_link(file, file.with_extension("backup")).expect("ours")),
    ];
    for (kind, spoil) in kinds {
        let s = Sandbox::new();
        for profile in ["aaa", "mmm", "zzz"] {
            s.sign_in(profile, "ada@example.com");
        }
        let entries =
            fs::read_dir(s.logins()).expect("the store").map(|entry| entry.expect("an entry").path());
        let is_first = |path: &std::path::PathBuf| {
            let name = path.file_name().and_then(|name| name.to_str()).expect("text");
            name.starts_with("aaa-") && name.ends_with(".json")
        };
        spoil(&entries.into_iter().find(is_first).expect("a record"));
        let output = s.output(&["logout", "--all", "--json"]);
        assert_eq!(output.status.code(), Some(7), "{kind}: {}", stderr(&output));
        assert_eq!(logged_out(&output).len(), 2, "{kind}");
        let said: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert!(said["error"]["id"].as_str().expect("an id").starts_with("store-"), "{kind}: {said}");
        assert!(records(&s) <= 1, "{kind}");
    }
}
