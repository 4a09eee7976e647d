//! Several logins side by side, imported tokens, long-lived tokens.

use std::{
    io::{BufRead, BufReader},
    os::unix::fs::PermissionsExt,
    process::Stdio,
};

use keyfob_testkit::{Sandbox, stderr};

use crate::visitor::Answer;

/// A profile for each call, none named means the chosen one.
#[test]
fn profiles_lie_side_by_side() {
    let s = Sandbox::new();
    s.sign_in("work", "ada@work.example");
    s.sign_in("home", "ada@home.example");
    let (work, home) = (s.out(&["--profile", "work", "token"]), s.out(&["--profile", "home", "token"]));
    assert_ne!(work, home);
    assert_eq!(s.output(&["token"]).status.code(), Some(4), "nobody signed in to `default`");
    s.out(&["profiles", "use", "work"]);
    assert_eq!(s.out(&["token"]), work);
    let list = s.json(&["profiles"]);
    assert_eq!(list["current"], "work");
    let emails: Vec<_> =
        list["profiles"].as_array().expect("a list").iter().map(|p| p["email"].clone()).collect();
    assert_eq!(emails, ["ada@home.example", "ada@work.example"]);
    s.out(&["--profile", "home", "logout"]);
    assert_eq!(s.out(&["token"]), work, "the other login is untouched");
    let wrong = s.output(&["profiles", "use", "../x"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(stderr(&wrong).contains("`../x`"));
}

#[test]
fn a_token_can_be_brought_along() {
    let s = Sandbox::new();
    let minted = s.server.mint("ada@example.com", "user:profile user:inference").expect("tokens");
    let output = s.feed(&["login", "--with-token", "access"], &minted.access_token);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(s.out(&["token"]).trim(), minted.access_token);

    s.sign_in("default", "ada@example.com");
    let before = s.json(&["token"]);
    let refused = s.feed(&["login", "--with-token", "refresh"], "kdev-rt-invented\n");
    assert_eq!(refused.status.code(), Some(5), "{}", stderr(&refused));
    assert!(!stderr(&refused).contains("invented"));
    assert_eq!(s.json(&["token"])["login"], before["login"], "the login that was there stays");
    let two = s.feed(&["login", "--with-token", "access"], "two tokens\n");
    assert_eq!(two.status.code(), Some(2));
}

/// The scopes and the expiry of a long-lived token are known without the token.
#[test]
fn a_token_that_lasts_is_shown_once_and_remembered() {
    let s = Sandbox::new();
    let file = s.home.path().join("token.txt");
    let path = file.to_str().expect("text");
    let mut child = s
        .keyfob(["setup-token", "--no-browser", "--name", "ci", "--days", "10", "--out", path])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command runs");
    let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines().map_while(Result::ok);
    let url = lines.find(|line| line.starts_with("http://")).expect("an address");
    let _ = ureq::get(url).call();
    let rest: Vec<_> = lines.collect();
    assert!(child.wait().expect("it ends").success(), "{rest:?}");
    let token = std::fs::read_to_string(&file).expect("the token");
    assert_eq!(std::fs::metadata(&file).expect("it is there").permissions().mode() & 0o777, 0o600);
    assert!(!rest.join("\n").contains(token.trim()));

    let list = s.json(&["setup-token", "list"]);
    let minted = &list["tokens"][0];
    assert_eq!((&minted["name"], &minted["scopes"]), (&"ci".into(), &["user:inference"][..].into()));
    let status = s.keyfob(["status"]).env("CLAUDE_CODE_OAUTH_TOKEN", token.trim()).output().expect("it runs");
    assert!(String::from_utf8_lossy(&status.stdout).contains("ENDS SOON"), "{status:?}");
    // Where it is handed over, too: nothing renews it. A stored login has nothing of the kind said.
    let notes = s.home.home().join("minted.json");
    for (days, said) in [(9, "ends "), (-1, "ended "), (30, "")] {
        let mut kept: serde_json::Value =
            serde_json::from_slice(&std::fs::read(&notes).expect("notes")).expect("JSON");
        kept[0]["expires_at"] = (keyfob_testkit::now() + days * 24 * 3600).into();
        std::fs::write(&notes, kept.to_string()).expect("ours");
        for word in ["token", "header"] {
            let told =
                s.keyfob([word]).env("CLAUDE_CODE_OAUTH_TOKEN", token.trim()).output().expect("it runs");
            let warned = stderr(&told).matches("was minted here and ").count();
            assert_eq!(warned, usize::from(!said.is_empty()), "{days}: {told:?}");
            assert!(stderr(&told).contains(said) && told.status.success(), "{days}: {told:?}");
        }
    }
    let again = s.output(&["setup-token", "--no-browser", "--out", path]);
    assert_eq!(again.status.code(), Some(2), "an existing file is not overwritten");
}

/// Signs in as a browser would, with the user in the address replaced by another.
fn signs_in_as(s: &Sandbox, words: &[&str], email: &str) -> std::process::Output {
    let words = ["login", "--no-browser"].iter().chain(words);
    let mut command = s.keyfob(words);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the command runs");
    let mut address = String::new();
    BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut address).expect("an address");
    let mut url = url::Url::parse(address.trim()).expect("an address");
    let pairs: Vec<_> = url.query_pairs().into_owned().filter(|(name, _)| name != "login_hint").collect();
    url.query_pairs_mut().clear().extend_pairs(pairs).append_pair("login_hint", email);
    Answer::of(url.as_str()).follow();
    child.wait_with_output().expect("it ends")
}

/// A browser that is signed in to another account signs that account in: this is not saved over the existing login, nor
/// under the name that was requested. The new grant is revoked.
#[test]
fn another_account_is_not_saved_unasked() {
    let s = Sandbox::new();
    let refused = signs_in_as(&s, &["--email", "ada@example.com"], "bob@example.com");
    assert_eq!(refused.status.code(), Some(5), "{}", stderr(&refused));
    let told = "bob@example.com signed in, and not ada@example.com, who was asked for";
    assert!(stderr(&refused).contains(told), "{}", stderr(&refused));
    assert_eq!(s.output(&["token"]).status.code(), Some(4), "nothing was saved");
    let revoked = |s: &Sandbox| s.server.requests().iter().filter(|r| r.path == "/v1/oauth/revoke").count();
    assert_eq!(revoked(&s), 1);

    assert!(signs_in_as(&s, &["--email", "Ada@example.com"], "ada@example.com").status.success());
    let before = s.json(&["token"]);
    let refused = signs_in_as(&s, &[], "bob@example.com");
    assert_eq!(refused.status.code(), Some(5), "{}", stderr(&refused));
    let told = "bob@example.com signed in, and not ada@example.com, whose login profile `default` holds";
    assert!(
        stderr(&refused).contains(told) && stderr(&refused).contains("--replace"),
        "{}",
        stderr(&refused)
    );
    assert_eq!((&s.json(&["token"])["token"], revoked(&s)), (&before["token"], 2), "ada's login stays");
    s.out(&["token", "--min-valid", "7200"]);

    // Ada's own, asked for as bob: nothing of hers ends.
    let refused = signs_in_as(&s, &["--email", "bob@example.com"], "ada@example.com");
    assert_eq!((refused.status.code(), revoked(&s)), (Some(5), 2), "{}", stderr(&refused));
    s.out(&["token", "--min-valid", "7200"]);

    let replaced = signs_in_as(&s, &["--replace"], "bob@example.com");
    assert!(replaced.status.success(), "{}", stderr(&replaced));
    assert_ne!(s.json(&["token"])["login"], before["login"]);
}
