//! A wait of more than a second is reported, with its reason and the other party; `--wait` waits until a temporary
//! condition is over.
#![expect(clippy::disallowed_methods, reason = "tests take the time")]

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Read},
    process::Stdio,
    time::{Duration, Instant},
};

use keyfob_dev::{FaultKind, Options};
use keyfob_testkit::{Ran, Sandbox, now, stderr, token_requests, without_waits};
use serde_json::json;

use crate::screen::{Screen, until};

const LEASE: &str = "Waiting for process 4711 (agent), which is at work on this login";

/// Another process renews, and is stopped in the middle.
fn held(s: &Sandbox) -> File {
    s.expire();
    let lock = s.record_path().with_extension("lock");
    let held = File::options().read(true).write(true).open(&lock).expect("a lock file");
    held.lock().expect("nobody else");
    fs::write(&lock, "process 4711 (agent)\n").expect("ours");
    held
}

/// In a log it is one plain line.
#[test]
fn a_busy_lease_is_told_with_number_and_program() {
    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    let held = held(&s);
    let mut child = s.start_token();
    let mut said = String::new();
    let mut messages = BufReader::new(child.stderr.take().expect("a pipe"));
    messages.read_line(&mut said).expect("text");
    drop(held);
    messages.read_to_string(&mut said).expect("text");
    Ran::from(child.wait_with_output().expect("it ends")).answer();
    // The provider's answer may be waited for as well.
    assert!(said.starts_with(&format!("{LEASE} ...\n")) && said.matches(LEASE).count() == 1, "{said}");
    assert_eq!(without_waits(said.as_bytes()).1, "", "and nothing else");
    // Whoever has it writes who it is.
    let lock = fs::read_to_string(s.record_path().with_extension("lock")).expect("a lock file");
    assert!(lock.starts_with("process ") && lock.ends_with(" (keyfob-tested)\n"), "{lock}");
}

/// At a terminal the line goes away again, and never runs into another one.
#[test]
fn a_terminal_shows_the_wait_and_takes_it_back() {
    for (columns, shown) in [(100, LEASE), (40, "Waiting for process 4711 (agent), which")] {
        let s = Sandbox::new();
        s.sign_in("default", "ada@example.com");
        let held = held(&s);
        let screen = Screen::new(columns);
        let mut child = screen.start(s.keyfob(["token"]).env("TERM", "xterm"));
        screen.shows(shown);
        drop(held);
        assert!(child.wait().expect("it ends").success(), "{}", screen.text());
        until("the token", || screen.text().ends_with("\r\n"));
        let text = screen.text();
        let (wait, token) = text.trim_end().rsplit_once('\r').expect("the line was taken back");
        assert!(token.len() > 20 && !token.contains("Waiting"), "{text:?}");
        let line = wait.split('\r').next().expect("a line");
        assert!(line.chars().count() < columns.into(), "{text:?}");
        assert!(!text.contains('\u{1b}'), "{text:?}");
    }
}

#[test]
fn a_slow_provider_is_told_by_its_address() {
    let s = Sandbox::with(Options { latency: Duration::from_millis(1300), ..Options::default() });
    let base = s.server.base_url();
    let minted = s.server.mint("ada@example.com", "user:profile user:inference").expect("tokens");
    let words = ["login", "--with-token", "refresh"];
    let login = s.feed(&words, &format!("{}\n", minted.refresh_token));
    assert!(login.status.success(), "{}", stderr(&login));
    let told = Ran::from(login);
    assert_eq!(told.waits.first(), Some(&format!("Waiting for an answer of {base} ...")), "{told:?}");
    s.expire();
    let ran = s.run(&["token"]);
    ran.answer();
    let told = format!("Waiting for {base}, which was asked to renew the login of profile `default` ...");
    let times = ran.waits.iter().filter(|wait| **wait == told).count();
    assert_eq!((times, &*ran.err), (1, ""), "once, although it is another process that asks: {ran:?}");
}

/// A prompt from the helper reaches the caller while keyfob waits for the helper.
#[test]
fn a_slow_helper_is_told_and_heard() {
    let s = Sandbox::new();
    let mark = s.home.path().join("touched");
    fs::create_dir_all(s.home.path().join("keyfob")).expect("ours");
    let script = format!(
        "echo 'touch your key' >&2; until [ -e {} ]; do sleep 0.05; done; echo the-key",
        mark.display()
    );
    let config = format!("api_key_helper = {script:?}\n");
    fs::write(s.home.path().join("keyfob/config.toml"), config).expect("ours");
    let screen = Screen::new(100);
    let mut child = screen.start_piped(s.keyfob(["token"]).env("TERM", "xterm"));
    screen.shows("Waiting for the configured api_key_helper");
    screen.shows("api_key_helper: touch your key");
    fs::write(&mark, "").expect("ours");
    assert!(child.wait().expect("it ends").success(), "{}", screen.text());

    // Another one waits for the first, and not for the command.
    fs::remove_file(&mark).expect("ours");
    let (messages, writer) = std::io::pipe().expect("a pipe");
    let start = || {
        let mut command = s.keyfob(["token"]);
        command.env("CLAUDE_CODE_API_KEY_HELPER_TTL_MS", "0").stdout(Stdio::null());
        command.stderr(writer.try_clone().expect("a pipe")).spawn().expect("it starts")
    };
    let both = [start(), start()];
    drop(writer);
    let mut said = BufReader::new(messages).lines().map(|line| line.expect("text"));
    let is_told =
        |line: &String| line.contains("(keyfob-tested), which runs the configured api_key_helper ...");
    assert!(said.any(|line| is_told(&line)));
    fs::write(&mark, "").expect("ours");
    said.for_each(drop);
    for mut child in both {
        assert!(child.wait().expect("it ends").success());
    }
}

/// `Retry-After` is obeyed to the second, with one word about it; nothing is asked meanwhile.
#[test]
fn wait_outlasts_a_provider_that_says_later() {
    for command in
        [&["token"][..], &["header"], &["exec", "--env", "T", "--wait", "60", "--", "sh", "-c", "echo $T"]]
    {
        let s = Sandbox::new();
        s.sign_in("default", "ada@example.com");
        s.expire();
        s.server.inject(FaultKind::Status429, 2);
        let before = token_requests(&s.server);
        let wait: &[&str] = if command.len() > 1 { &[] } else { &["--wait", "60"] };
        let ran = s.run(&[command, wait].concat());
        assert!(ran.answer().len() > 20, "{ran:?}");
        assert_eq!(
            ran.waits.iter().filter(|line| line.starts_with("Waiting for up to 60 s: ")).count(),
            1,
            "{ran:?}"
        );
        assert!(ran.waits.iter().any(|line| line.contains("rate_limited")), "{ran:?}");
        assert_eq!(token_requests(&s.server) - before, 3, "one request for each time it was allowed");
    }
}

/// A condition that does not end in time, or cannot, is reported as it would be without waiting.
#[test]
fn a_wait_in_vain_ends_like_none() {
    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    s.expire();
    s.server.inject(FaultKind::Status503, None);
    let begun = Instant::now();
    s.run(&["token", "--json", "--wait", "3"]).failed(6, "unreachable");
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
    // Longer than anybody wants to wait: told at once.
    s.edit(|record| {
        record["cooldown"] =
            json!({ "since": now(), "until": now() + 880, "times": 1, "why": "the provider answered 429" });
    });
    let begun = Instant::now();
    let ran = s.run(&["token", "--json", "--wait", "300"]);
    ran.failed(6, "cooling-down");
    assert!(
        begun.elapsed() < Duration::from_secs(120) && !ran.waits.iter().any(|line| line.contains("up to")),
        "{ran:?}"
    );
    // Nor is anything waited for that a person has to do.
    let nobody = Sandbox::new();
    nobody.run(&["token", "--json", "--wait", "60"]).failed(4, "login-needed");
    assert_eq!(s.run(&["token", "--wait", "86401"]).code, Some(2));
}
