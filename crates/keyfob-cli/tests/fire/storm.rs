//! One spend: any number of processes at one expired token.

use std::process::Stdio;

use crate::{Sandbox, age, expire, sandbox::stderr};

/// 64 processes at once, five times: one grant each, no reuse, no failure, one token for all.
#[test]
fn sixty_four_processes_spend_one_token() {
    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    s.server.set_latency(std::time::Duration::from_millis(20));
    let signed_in = s.server.grants().refreshes;
    for round in 1..=5 {
        expire(&s);
        let children: Vec<_> = (0..64)
            .map(|_| {
                let mut command = s.keyfob(["token"]);
                command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
                command.spawn().expect("the command runs")
            })
            .collect();
        let mut tokens: Vec<_> = children
            .into_iter()
            .map(|child| {
                let output = child.wait_with_output().expect("it ends");
                assert!(output.status.success(), "{}", stderr(&output));
                String::from_utf8(output.stdout).expect("text")
            })
            .collect();
        tokens.dedup();
        assert_eq!(tokens.len(), 1, "everybody gets the same new token");
        let grants = s.server.grants();
        assert_eq!((grants.refreshes - signed_in, grants.reuses), (round, 0));
    }
}

/// Near expiry, whoever finds somebody else renewing uses the token that is still good, and does not wait.
#[test]
fn losers_do_not_wait_while_the_token_is_good() {
    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    let token = s.out(&["token"]);
    age(&s, 3600 - 30);
    s.server.set_latency(std::time::Duration::from_secs(2));
    let mut winner = s.keyfob(["token"]).stdout(Stdio::piped()).spawn().expect("the command runs");
    crate::until("the intent", || crate::record_path(&s).with_extension("next").exists());
    assert_eq!(s.out(&["token"]), token);
    assert!(winner.try_wait().expect("a child").is_none(), "the winner is still renewing");
    assert!(winner.wait().expect("it ends").success());
    assert_ne!(s.out(&["token"]), token);
}

/// After a 401 only the rejected generation is renewed, however many report it.
#[test]
fn a_rejected_token_is_renewed_once() {
    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    let before = s.json(&["token"]);
    let signed_in = s.server.grants().refreshes;
    let named = format!("{}:{}", before["login"].as_str().expect("a login"), before["generation"]);
    let first = s.json(&["token", "--rejected", &named]);
    let second = s.json(&["token", "--rejected", &named]);
    assert_ne!(before["token"], first["token"]);
    assert_eq!(first["token"], second["token"], "that generation is no longer the newest");
    assert_eq!(s.server.grants().refreshes - signed_in, 1);
}
