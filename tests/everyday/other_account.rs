//! A sign-in never replaces another account's login unasked: in a job it is an error, at a terminal a question, and
//! `--replace` agrees beforehand. With a code and with an existing token; the browser's way is in `terminal.rs` and
//! `logout.rs`.

use std::time::Duration;

use keyfob_dev::Options;
use keyfob_testkit::Sandbox;

use crate::screen::{Screen, until};

/// The provider's user is dev@example.com, whichever account was requested.
fn signed_in_as_ada() -> Sandbox {
    let s = Sandbox::with(Options { device_interval: Duration::from_secs(1), ..Options::default() });
    s.sign_in("default", "ada@example.com");
    s
}

fn holder(s: &Sandbox) -> String {
    s.json(&["status"])["identity"]["email"].as_str().expect("an address").to_owned()
}

/// The command line, and the user at the terminal.
#[test]
fn a_code_of_another_account_is_saved_only_when_somebody_agrees() {
    for (words, said) in [
        (&["login", "--device"][..], "dev@example.com signed in, and not ada@example.com"),
        (
            &["login", "--device", "--email", "bob@example.com"],
            "dev@example.com signed in, and not bob@example.com",
        ),
    ] {
        let s = signed_in_as_ada();
        // Not the whole answer: what is left of its time is in it too.
        let before = s.json(&["token"])["token"].clone();
        let ran = s.run(&[words, &["--json"]].concat());
        ran.failed(5, "other-account").because("other-account", "another-account");
        assert!(ran.err.contains(said) && ran.out.contains("other-account"), "{ran:?}");
        assert_eq!(s.json(&["token"])["token"], before, "the login that was there stays, and is good");
        for (typed, who) in
            [("n\n", "ada@example.com"), ("\n", "ada@example.com"), ("y\n", "dev@example.com")]
        {
            let screen = Screen::new(100);
            let mut child = screen.start(&s.keyfob(words.iter()));
            screen.shows("Save it all the same");
            screen.type_in(typed);
            let code = child.wait().expect("it ends").code();
            assert_eq!(code, Some(if typed == "y\n" { 0 } else { 5 }), "{}", screen.text());
            assert_eq!(holder(&s), who);
        }
    }
    let s = signed_in_as_ada();
    s.run(&["login", "--device", "--replace"]).answer();
    assert_eq!(holder(&s), "dev@example.com");
    // Who is asked for and comes is no question.
    s.run(&["login", "--device", "--email", "dev@example.com"]).answer();
}

/// A login that is not wanted leaves nothing behind at the provider; the one that stays works.
#[test]
fn what_was_not_saved_is_ended_and_nothing_else() {
    let s = signed_in_as_ada();
    let before = s.json(&["token"]);
    assert_eq!(s.run(&["login", "--device"]).code, Some(5));
    let revoked = s.server.requests().iter().filter(|request| request.path.contains("revoke")).count();
    assert_eq!(revoked, 1, "{:?}", s.server.requests());
    assert_eq!(s.json(&["status", "--verify"])["verified"], true);
    s.expire();
    assert_ne!(s.json(&["token"])["token"], before["token"], "it can be renewed");
}

/// Pasted at a hidden prompt, and then asked about at the same terminal.
#[test]
fn a_brought_token_of_another_account_is_asked_about() {
    let s = signed_in_as_ada();
    let theirs = s.server.mint("bob@example.com", "user:profile user:inference").expect("tokens");
    for (typed, who) in [("n\n", "ada@example.com"), ("y\n", "bob@example.com")] {
        let screen = Screen::new(100);
        let before = screen.modes();
        let mut child = screen.start(&s.keyfob(["login", "--with-token", "access"]));
        screen.shows("It is not shown:");
        until("no echo", || screen.modes() != before);
        screen.type_in(&format!("{}\n", theirs.access_token));
        let text = screen.shows("Save it all the same");
        assert!(text.contains("bob@example.com signed in, and not ada@example.com"), "{text}");
        screen.type_in(typed);
        let code = child.wait().expect("it ends").code();
        assert_eq!(code, Some(if typed == "y\n" { 0 } else { 5 }), "{}", screen.text());
        assert_eq!((holder(&s).as_str(), screen.modes()), (who, before));
    }
}
