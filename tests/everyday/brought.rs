//! Signing in with a token somebody already has.

use std::fs::File;

use crate::sandbox::{Sandbox, stderr};

/// A token is taken whole or not at all: what a limit of ours would cut is refused, and nothing is kept.
#[test]
fn a_token_is_never_cut() {
    let s = Sandbox::new();
    for (kind, size) in [("access", 64 * 1024 + 1), ("access", 70_000), ("refresh", 1024 * 1024)] {
        let file = s.home.path().join("token");
        std::fs::write(&file, "a".repeat(size)).expect("our file");
        let mut command = s.keyfob(["login", "--with-token", kind]);
        let output = command.stdin(File::open(&file).expect("it")).output().expect("it runs");
        assert_eq!(output.status.code(), Some(2), "{size}: {}", stderr(&output));
        assert!(stderr(&output).contains("it holds more than 64 KiB"), "{}", stderr(&output));
    }
    assert!(!s.home.path().join("keyfob/logins").exists() || s.run(&["token"]).status.code() == Some(4));
    assert_eq!(s.server.requests().len(), 0, "nobody was asked");
}
