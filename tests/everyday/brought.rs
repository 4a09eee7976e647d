//! Signing in with an existing token.

use std::fs::File;

use keyfob_testkit::{Sandbox, stderr};

/// A token is taken whole or not at all: what a limit of ours would cut is refused, and nothing is kept.
#[test]
fn token_from_stdin_is_never_truncated() {
    let s = Sandbox::new();
    for (kind, size) in [("access", 64 * 1024 + 1), ("access", 70_000), ("refresh", 1024 * 1024)] {
        let file = s.home.path().join("token");
        std::fs::write(&file, "a".repeat(size)).expect("our file");
        let mut command = s.keyfob(["login", "--with-token", kind]);
        let output = command.stdin(File::open(&file).expect("it")).output().expect("it runs");
        assert_eq!(output.status.code(), Some(2), "{size}: {}", stderr(&output));
        assert!(stderr(&output).contains("it holds more than 64 KiB"), "{}", stderr(&output));
    }
    assert!(!s.home.path().join("keyfob/logins").exists() || s.output(&["token"]).status.code() == Some(4));
    assert_eq!(s.server.requests().len(), 0, "nobody was asked");
}

/// An access token is tried at the provider first: one that it does not accept is not kept, and the login that was there
/// stays.
#[test]
fn an_access_token_is_tried_first() {
    let s = Sandbox::new();
    let refused = s.feed(&["login", "--with-token", "access"], "kdev-at-invented\n");
    assert_eq!(refused.status.code(), Some(5), "{}", stderr(&refused));
    assert!(
        stderr(&refused).contains("the provider does not accept this token; nothing was changed"),
        "{}",
        stderr(&refused)
    );
    assert!(!stderr(&refused).contains("invented"));
    assert_eq!(s.output(&["token"]).status.code(), Some(4), "nothing was kept");

    s.sign_in("default", "ada@example.com");
    let before = s.json(&["token"])["token"].clone();
    let theirs = s.server.mint("bob@example.com", "user:profile user:inference").expect("tokens");
    let refused = s.feed(&["login", "--with-token", "access"], &theirs.access_token);
    assert_eq!(refused.status.code(), Some(5), "{}", stderr(&refused));
    assert!(
        stderr(&refused).contains("bob@example.com signed in, and not ada@example.com"),
        "{}",
        stderr(&refused)
    );
    assert_eq!(s.json(&["token"])["token"], before);
    let replaced = s.feed(&["login", "--with-token", "access", "--replace"], &theirs.access_token);
    assert!(replaced.status.success(), "{}", stderr(&replaced));
    assert_eq!(s.out(&["token"]).trim(), theirs.access_token);
}

/// Whose a refresh token is can only be known by spending it: what came for it is kept beside the login of the other
/// account, and is good.
#[test]
fn a_refresh_token_of_another_account_is_kept_beside() {
    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    let before = s.json(&["token"])["token"].clone();
    let theirs = s.server.mint("bob@example.com", "user:profile user:inference").expect("tokens");
    let told = s.feed(&["login", "--with-token", "refresh"], &theirs.refresh_token);
    assert_eq!(told.status.code(), Some(5), "{}", stderr(&told));
    assert!(stderr(&told).contains("it was kept as profile `default-2`"), "{}", stderr(&told));
    assert_eq!(s.json(&["token"])["token"], before);
    let status = s.json(&["--profile", "default-2", "status"]);
    assert_eq!(status["identity"]["email"], "bob@example.com");
    s.out(&["--profile", "default-2", "token", "--min-valid", "7200"]);
    // The same account's is an ordinary sign-in.
    s.sign_in("default", "ada@example.com");
}
