//! `keyfob demo`: its output, and that it leaves nothing behind.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
};

use keyfob_testkit::{Sandbox, stderr};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::screen::Screen;

/// A demo whose directory will be in the one that comes with it.
fn demo(s: &Sandbox, name: &str, words: &[&str]) -> (Command, PathBuf) {
    let place = s.home.path().join(name);
    fs::create_dir_all(&place).expect("ours");
    let mut command = s.keyfob(["demo"].iter().chain(words));
    command.env("TMPDIR", &place);
    (command, place)
}

/// Neither a file nor a process of it is there.
#[track_caller]
fn nothing_is_left(place: &Path, when: &str) {
    let left: Vec<_> =
        fs::read_dir(place).expect("ours").map(|entry| entry.expect("an entry").path()).collect();
    assert!(left.is_empty(), "{when}: {left:?}");
    let marked = |entry: &fs::DirEntry| {
        let words = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&words).contains(&place.display().to_string())
    };
    // What was killed may need a moment to go.
    let running = || fs::read_dir("/proc").expect("proc").filter_map(Result::ok).any(|entry| marked(&entry));
    crate::screen::until("its processes to end", || !running());
}

/// The README's first command, on the provider it starts itself, without a terminal.
#[test]
fn the_demo_goes_the_whole_way() {
    let s = Sandbox::new();
    let (mut command, place) = demo(&s, "demo", &["--yes", "--json"]);
    let output = command.stdin(Stdio::null()).output().expect("it runs");
    let said = stderr(&output);
    assert!(output.status.success(), "{said}");
    for step in [
        "/oauth/authorize?response_type=code&",
        "mode 0600",
        "the provider saw: 200, account ",
        "program 3: 200, with a token of generation 3",
        "generation 2 became 3 with one request",
        "200 a new token",
        "400 invalid_grant",
        "the new access token, a moment later: 401",
        "ended the login, for all of them",
        "revocation: confirmed",
        "exits 1 (not signed in)",
    ] {
        assert!(said.contains(step), "{step}: {said}");
    }
    assert!(
        said.ends_with('\n') && !said.contains("kdev-at") && !said.contains("kdev-rt"),
        "no token is told"
    );
    let told: Value = serde_json::from_slice(&output.stdout).expect("one object");
    let expected = serde_json::json!({
        "v": 1,
        "account": "dev@example.com",
        "handed_over": { "status": 200 },
        "renewal": {
            "processes": 3, "accepted": 3, "requests": 1, "generation_before": 2, "generation_after": 3
        },
        "without_keyfob": { "clients": 3, "renewed": 1, "refused": 2, "accepted": 0 },
        "revocation": "confirmed",
    });
    assert_eq!(told, expected);
    nothing_is_left(&place, "at the end");
}

/// Wherever it is, an interrupt ends it at once and leaves nothing, though it reaches no other process than its own.
#[test]
fn an_interrupted_demo_leaves_nothing() {
    let s = Sandbox::new();
    let points = [
        ("1. A provider", Signal::INT, 130),
        ("2. Sign in", Signal::INT, 130),
        ("3. Keep", Signal::INT, 130),
        ("4. Hand over", Signal::INT, 130),
        ("5. Renew", Signal::INT, 130),
        ("5. Renew", Signal::TERM, 143),
        ("5. Renew", Signal::HUP, 129),
        ("program 1", Signal::INT, 130),
        ("6. The same", Signal::INT, 130),
    ];
    thread::scope(|scope| {
        for (number, (point, signal, code)) in points.into_iter().enumerate() {
            let s = &s;
            scope.spawn(move || {
                let (mut command, place) = demo(s, &format!("interrupted-{number}"), &["--yes"]);
                let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it runs");
                let mut said = BufReader::new(child.stderr.take().expect("a pipe"));
                let mut line = String::new();
                while !line.contains(point) {
                    line.clear();
                    assert!(said.read_line(&mut line).expect("text") > 0, "it never came to {point}");
                }
                kill_process(Pid::from_child(&child), signal).expect("our child");
                let mut rest = String::new();
                said.read_to_string(&mut rest).expect("text");
                let ended = child.wait().expect("our child").code();
                nothing_is_left(&place, point);
                // Close to its end it may have been faster than the signal.
                if ended == Some(0) && ["program 1", "6. The same"].contains(&point) {
                    return;
                }
                assert_eq!(ended, Some(code), "{point}: {rest}");
                assert!(rest.ends_with("Interrupted: the demo ends, and nothing of it is left.\n"), "{rest}");
                assert!(!rest.contains("error:"), "{rest}");
            });
        }
    });
}

/// The same by Ctrl-C, which reaches `keyfob login` as well while that waits for the browser.
#[test]
fn ctrl_c_at_the_sign_in_of_the_demo_leaves_nothing() {
    let s = Sandbox::new();
    let (mut command, place) = demo(&s, "terminal", &[]);
    let screen = Screen::new(80);
    let mut child = screen.start(command.env("TERM", "xterm").env("BROWSER", "/bin/false"));
    screen.shows("Waiting for the browser");
    screen.type_in("\u{3}");
    let ended = child.wait().expect("our child").code();
    assert_eq!(ended, Some(130), "{}", screen.text());
    let text = screen.shows("nothing of it is left");
    assert!(!text.contains("error:"), "{text}");
    nothing_is_left(&place, "at the sign-in");
}
