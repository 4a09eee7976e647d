//! Answers as an attacker, a proxy or a bad day gives them: each has its promised outcome, and nothing is blanked.

use keyfob_dev::FaultKind as F;

use crate::{Sandbox, expire, record, sandbox::stderr};

/// For each fault: the exit code of the run that meets it, and of the first one after the cool-down.
#[test]
fn every_fault_has_its_promised_outcome() {
    for (fault, first, then) in [
        (F::Status500, 6, 0),
        (F::Status503, 6, 0),
        (F::Status429, 6, 0),
        (F::Status429Date, 6, 0),
        (F::Redirect, 5, 0),
        (F::Html, 5, 0),
        (F::DropBefore, 6, 0),
        // Rotated, and the answer is lost: the one retry meets a strict provider.
        (F::DropAfter, 6, 4),
        (F::Truncated, 6, 4),
        (F::Malformed, 5, 4),
        (F::Huge, 6, 4),
        // Rotated, and the rotated token is found in an answer that must be refused.
        (F::OddTokenType, 5, 0),
        (F::DuplicateMember, 5, 0),
        (F::DuplicateRefreshToken, 5, 4),
        (F::NoExpiry, 0, 0),
        (F::NoRefreshToken, 0, 0),
    ] {
        let s = Sandbox::new();
        s.sign_in("default", "ada@example.com");
        expire(&s);
        s.server.inject(fault, 1);
        let output = s.run(&["token"]);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(first), "{}: {said}", fault.word());
        assert!(!said.contains("kdev-"), "{}: {said}", fault.word());
        let kept = record(&s);
        assert!(kept["refresh_token"].is_string() && kept["access_token"].is_string(), "{}", fault.word());
        assert!(!s.server.requests().iter().any(|r| r.path.contains("elsewhere")), "no redirect is followed");
        if first != 0 {
            // The cool-down is everybody's: a second process asks nobody.
            let asked = s.server.requests().len();
            let second = s.run(&["token"]);
            assert_eq!(second.status.code(), Some(6), "{}: {}", fault.word(), stderr(&second));
            assert_eq!(s.server.requests().len(), asked, "{}", fault.word());
            forget_cooldown(&s);
        }
        let output = s.run(&["token"]);
        assert_eq!(output.status.code(), Some(then), "{} then: {}", fault.word(), stderr(&output));
    }
}

/// Time passes.
fn forget_cooldown(s: &Sandbox) {
    let path = crate::record_path(s);
    let mut record = record(s);
    record.as_object_mut().expect("an object").remove("cooldown");
    std::fs::write(path, record.to_string()).expect("a record");
}

/// 429 says when: everybody waits that long.
#[test]
fn retry_after_is_honoured() {
    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    expire(&s);
    s.server.inject(F::Status429, 1);
    assert_eq!(s.run(&["token"]).status.code(), Some(6));
    let cooldown = record(&s)["cooldown"].clone();
    let seconds =
        cooldown["until"].as_i64().expect("a moment") - cooldown["since"].as_i64().expect("a moment");
    assert!((2..=900).contains(&seconds), "{seconds}");
    let told = s.run(&["token", "--json"]);
    assert!(String::from_utf8_lossy(&told.stdout).contains("\"cooling-down\""));
}

/// A refused generation is marked, nothing is deleted, and nobody asks again.
#[test]
fn a_refusal_is_remembered() {
    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    let mut record_ = record(&s);
    record_["refresh_token"] = "kdev-rt-spent-elsewhere".into();
    std::fs::write(crate::record_path(&s), record_.to_string()).expect("a record");
    expire(&s);
    assert_eq!(s.run(&["token"]).status.code(), Some(4));
    let asked = s.server.requests().len();
    let again = s.run(&["token"]);
    assert_eq!(again.status.code(), Some(4));
    assert!(stderr(&again).contains("sign in again"));
    assert_eq!(s.server.requests().len(), asked);
    assert_eq!(record(&s)["refresh_token"], "kdev-rt-spent-elsewhere");
}

/// Signing out while a renewal is in flight: nothing comes back.
#[test]
fn a_logout_is_not_undone_by_a_renewal() {
    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    expire(&s);
    s.server.set_latency(std::time::Duration::from_millis(200));
    let path = crate::record_path(&s);
    let mut renewing =
        s.keyfob(["token"]).stdout(std::process::Stdio::null()).spawn().expect("the command runs");
    crate::until("the intent", || path.with_extension("next").exists());
    assert_eq!(s.json(&["logout"])["logged_out"][0]["revocation"], "confirmed");
    let _ = renewing.wait();
    crate::until("the end of the renewal", || crate::worker(&s).is_none());
    assert!(
        !path.exists() && !path.with_extension("next").exists() && !path.with_extension("recovery").exists()
    );
    assert_eq!(s.run(&["token"]).status.code(), Some(4));
}
