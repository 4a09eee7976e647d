//! Before and during a sign-in: prompts, hidden input, time-outs, and failures that are reported before the user makes
//! any effort.
#![expect(clippy::disallowed_methods, reason = "tests take the time")]

use std::{
    fs,
    process::Stdio,
    time::{Duration, Instant},
};

use keyfob_dev::{DevServer, Options};
use keyfob_testkit::{Ran, Sandbox, namespace::Namespace, program, stderr};
use serde_json::json;

use crate::{
    screen::{Screen, until},
    visitor::{Answer, follow},
};

const WORDS: [&str; 3] = ["login", "--with-token", "access"];

/// Every way to sign in gives up after the time that was given, and no way takes none at all.
#[test]
fn timeout_holds_for_every_way() {
    // Nobody approves anything.
    let s = Sandbox::at(DevServer::start(Options { port: 0, ..Options::default() }).expect("a provider"));
    let ways: [&[&str]; 5] = [
        &["login", "--no-browser"],
        &["login", "--device"],
        &["login", "--paste"],
        &WORDS,
        &["setup-token", "--no-browser"],
    ];
    for way in ways {
        let screen = Screen::new(100);
        let begun = Instant::now();
        let words = [way, &["--timeout", "1"]].concat();
        let code = screen.start(&s.keyfob(words)).wait().expect("it ends").code();
        assert_eq!(code, Some(6), "{way:?}: {}", screen.text());
        assert!(begun.elapsed() < Duration::from_secs(100), "{way:?}: {:?}", begun.elapsed());
        screen.shows("was not finished");
        assert_eq!(s.run(&[way, &["--timeout", "0"]].concat()).code, Some(2), "{way:?}");
    }
}

/// A person is asked, and what is pasted is never on the screen, however long it is. The terminal is left as it was.
#[test]
fn a_token_is_asked_for_and_not_shown() {
    let s = Sandbox::new();
    let minted = s.server.mint("ada@example.com", "user:profile user:inference").expect("tokens");
    let screen = Screen::new(80);
    let before = screen.modes();
    let mut child = screen.start(&s.keyfob(WORDS));
    screen.shows("Paste the access token and press Enter. It is not shown:");
    until("no echo", || screen.modes() != before);
    screen.type_in("wrong\u{15}");
    screen.type_in(&format!("{}x\u{7f}\n", minted.access_token));
    assert!(child.wait().expect("it ends").success(), "{}", screen.text());
    assert!(
        !screen.text().contains(&minted.access_token) && !screen.text().contains("wrong"),
        "{}",
        screen.text()
    );
    assert_eq!(screen.modes(), before);
    assert_eq!(s.token(), minted.access_token);

    // Longer than a line of a terminal in its usual mode can be.
    let screen = Screen::new(80);
    let mut child = screen.start(&s.keyfob(WORDS));
    screen.shows("It is not shown:");
    until("no echo", || screen.modes() != before);
    screen.type_in(&format!("{}\n", "k".repeat(6000)));
    assert_eq!(child.wait().expect("it ends").code(), Some(5), "the provider refused it: {}", screen.text());
    let text = screen.shows("does not accept this token");
    assert!(!text.contains("kkkk"), "{text}");
    assert_eq!((screen.modes(), s.token()), (before, minted.access_token), "the login that was there stays");
}

#[test]
fn ctrl_c_at_a_hidden_prompt_leaves_the_terminal_as_it_was() {
    let s = Sandbox::new();
    for key in ["\u{3}", "\u{4}"] {
        let screen = Screen::new(80);
        let before = screen.modes();
        let mut child = screen.start(&s.keyfob(WORDS));
        screen.shows("It is not shown:");
        until("no echo", || screen.modes() != before);
        screen.type_in(key);
        let status = child.wait().expect("it ends");
        let signal = std::os::unix::process::ExitStatusExt::signal(&status);
        assert_eq!((status.code(), signal), if key == "\u{3}" { (None, Some(2)) } else { (Some(2), None) });
        assert_eq!(screen.modes(), before);
    }
}

/// Whoever ends the process leaves a terminal that shows what is typed.
#[test]
fn a_process_that_is_ended_at_a_hidden_prompt_leaves_the_terminal_as_it_was() {
    use rustix::process::{Pid, Signal, kill_process};
    let s = Sandbox::new();
    for sent in [Signal::TERM, Signal::HUP] {
        let screen = Screen::new(80);
        let before = screen.modes();
        let mut child = screen.start(&s.keyfob(WORDS));
        screen.shows("It is not shown:");
        until("no echo", || screen.modes() != before);
        kill_process(Pid::from_child(&child), sent).expect("our child");
        let status = child.wait().expect("it ends");
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(sent.as_raw()));
        assert_eq!(screen.modes(), before);
    }
}

/// The expected format is reported, the wait goes on, and the prompt is shown again.
#[test]
fn a_wrong_paste_is_told_and_the_prompt_comes_again() {
    let s = Sandbox::new();
    for way in [&["login", "--no-browser"][..], &["login", "--paste"], &["setup-token", "--paste"]] {
        let screen = Screen::new(100);
        let mut child = screen.start(&s.keyfob(way.iter()));
        let prompt = if way[1] == "--paste" {
            "Paste the code the page shows here:"
        } else {
            "paste its address here"
        };
        screen.shows(prompt);
        let text = screen.text();
        let address = text.split("\r\n").find(|line| line.starts_with("http")).expect("an address");
        screen.type_in("hello\n");
        let text = screen.shows("this looks like a word somebody typed");
        assert!(!text.contains("start again"), "{text}");
        until("the prompt again", || screen.text().matches(prompt).count() == 2);
        let answer = Answer::of(address);
        screen.type_in(&format!("{}\n", answer.shown()));
        assert!(child.wait().expect("it ends").success(), "{way:?}: {}", screen.text());
    }
    assert_eq!(s.server.grants().codes, 3, "the word was sent to nobody");
}

/// The login could not be stored: reported before the page is shown, by each way of signing in, without any prompt.
#[test]
fn what_could_not_be_kept_is_refused_before_the_page() {
    for way in [&["login", "--no-browser"][..], &["login", "--device"]] {
        let s = Sandbox::new();
        s.sign_in("default", "ada@example.com");
        let asked = s.server.requests().len();
        s.edit(|record| record["version"] = json!(99));
        let words = [way, &["--json"]].concat();
        s.run(&words).failed(7, "store-newer");
        s.edit(|record| record["version"] = json!(1));
        let space = Namespace::new();
        let home = s.home.home();
        let kept = home.with_extension("kept");
        let inside = |words: &[&str]| space.run(&s.home, &[&[program()], words].concat());
        space.shell(
            &s.home,
            &format!(
                "mv {0} {1}; mkdir {0}; mount -t tmpfs -o size=256k,mode=700 none {0}; cp -a {1}/. {0}; \
                 cat /dev/zero > {0}/filler 2>/dev/null || true",
                home.display(),
                kept.display()
            ),
        );
        let full = inside(&words);
        full.failed(7, "store-failed").because("store-failed", "disk-full");
        assert!(full.err.contains("No space left"), "{full:?}");
        space.shell(&s.home, &format!("rm {0}/filler; mount -o remount,bind,ro {0}", home.display()));
        inside(&words).failed(7, "store-read-only").because("store-read-only", "read-only");
        assert_eq!(s.server.requests().len(), asked, "{way:?}: nothing was asked of the provider");
    }
}

/// Anything that would fail or be regretted after the sign-in is refused before it.
#[test]
fn a_token_that_cannot_be_is_refused_before_the_page() {
    let s = Sandbox::new();
    let long = s.run(&["setup-token", "--no-browser", "--days", "400", "--json"]);
    long.failed(2, "usage").because("usage", "too-long");
    assert!(long.err.contains("hint:  ask for less: `--days 365`"), "{long:?}");
    assert!(long.err.contains("366 days at most"), "{long:?}");
    let file = |name: &str| s.home.path().join(name);
    let mint = |name: &str, out: &str| {
        let path = file(out);
        let words = ["setup-token", "--no-browser", "--name", name, "--out", path.to_str().expect("text")];
        let mut child = s.keyfob(words).stderr(Stdio::piped()).spawn().expect("it starts");
        let mut lines =
            std::io::BufRead::lines(std::io::BufReader::new(child.stderr.take().expect("a pipe")))
                .map_while(Result::ok);
        let url = lines.find(|line| line.starts_with("http://"));
        if let Some(url) = &url {
            let _ = ureq::get(url).call();
        }
        drop(lines.collect::<Vec<_>>());
        (child.wait().expect("it ends").code(), url.is_some())
    };
    assert_eq!(mint("ci", "one"), (Some(0), true));
    assert_eq!(mint("ci", "two"), (Some(2), false), "the name is taken");
    assert!(!file("two").exists());
    assert_eq!(mint("nightly", "two"), (Some(0), true));

    let list = s.json(&["setup-token", "list"])["tokens"].clone();
    assert_eq!(list.as_array().expect("a list").len(), 2);
    assert!(list[0]["account"].is_string() && list[0]["expires_at"].is_string(), "{list}");
    let shown = s.out(&["setup-token", "list"]);
    assert!(shown.contains(list[0]["account"].as_str().expect("text")), "{shown}");

    // Ended at the provider by whoever has it; another one is not.
    let (one, two) =
        (fs::read_to_string(file("one")).expect("it"), fs::read_to_string(file("two")).expect("it"));
    let revoke = |name: &str, token: &str| s.feed(&["setup-token", "revoke", name, "--json"], token);
    assert_eq!(revoke("ci", &two).status.code(), Some(2));
    let nobody = Ran::from(revoke("nobody", &one));
    nobody.failed(2, "usage").because("usage", "not-minted");
    let taken = s.run(&["setup-token", "--no-browser", "--name", "ci", "--json"]);
    taken.failed(2, "usage").because("usage", "name-taken");
    let works = |token: &str| {
        let ran = s.keyfob(["status", "--verify"]).env("CLAUDE_CODE_OAUTH_TOKEN", token.trim()).output();
        ran.expect("it runs").status.success()
    };
    assert!(works(&one) && works(&two));
    let revoked = revoke("ci", &one);
    assert!(revoked.status.success(), "{}", stderr(&revoked));
    assert!(!works(&one) && works(&two));
    assert_eq!(s.json(&["setup-token", "list"])["tokens"].as_array().expect("a list").len(), 1);
    assert_eq!(mint("ci", "three"), (Some(0), true), "its name is free");
}

/// Another login of the same account identifies a token's account.
#[test]
fn a_token_is_listed_with_the_address_of_its_account() {
    let s = Sandbox::new();
    let output = follow(&mut s.keyfob(["login", "--no-browser"]));
    assert!(output.status.success(), "{}", stderr(&output));
    let mut child =
        s.keyfob(["setup-token", "--no-browser"]).stderr(Stdio::piped()).spawn().expect("it starts");
    let lines = std::io::BufRead::lines(std::io::BufReader::new(child.stderr.take().expect("a pipe")));
    let mut lines = lines.map_while(Result::ok);
    let url = lines.find(|line| line.starts_with("http://")).expect("an address");
    let _ = ureq::get(&url).call();
    drop(lines.collect::<Vec<_>>());
    assert!(child.wait().expect("it ends").success());
    assert_eq!(s.json(&["setup-token", "list"])["tokens"][0]["email"], "dev@example.com");
}
