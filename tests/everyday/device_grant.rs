//! Signing in with a code typed on another device (RFC 8628): the output, and every way it can end.

use std::{
    fs,
    io::{BufReader, Read},
    os::unix::fs::PermissionsExt,
    process::{Child, ChildStderr, Output, Stdio},
    time::Duration,
};

use keyfob_dev::{DevServer, Options};
use serde_json::Value;

use keyfob_testkit::{Sandbox, stderr};

/// A sign-in whose code has been shown and not yet been typed.
struct Waiting {
    child: Child,
    messages: BufReader<ChildStderr>,
    said: String,
    shown: Value,
}

impl Waiting {
    fn begin(s: &Sandbox, words: &[&str]) -> Self {
        let mut command = s.keyfob(["login", "--device", "--json"].iter().chain(words));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the command runs");
        let mut messages = BufReader::new(child.stderr.take().expect("a pipe"));
        let (said, shown) = keyfob_testkit::event(&mut messages);
        Self { child, messages, said, shown }
    }

    fn code(&self) -> &str {
        self.shown["user_code"].as_str().expect("a code")
    }

    /// How it ended: the exit code, and the one document on stdout.
    fn end(mut self) -> (Output, Value) {
        self.messages.read_to_string(&mut self.said).expect("text");
        let output = self.child.wait_with_output().expect("it ends");
        let answer = serde_json::from_slice(&output.stdout).unwrap_or_default();
        (Output { stderr: self.said.into(), ..output }, answer)
    }
}

/// A provider whose pages wait for the user.
fn sandbox() -> Sandbox {
    let options = Options { device_interval: Duration::from_secs(1), ..Options::default() };
    Sandbox::at(DevServer::start(Options { port: 0, auto_approve: false, ..options }).expect("a provider"))
}

/// Waits for so many polls; returns the result of each.
fn polls(s: &Sandbox, count: usize) -> Vec<String> {
    for _ in 0..3000 {
        let requests = s.server.requests().into_iter().filter(|r| r.path == "/v1/oauth/token");
        let outcomes: Vec<_> = requests.map(|r| r.outcome).collect();
        if outcomes.len() >= count {
            return outcomes;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("waited a minute in vain for poll {count}")
}

#[test]
fn device_grant_shows_both_urls_the_code_and_its_expiry() {
    let s = sandbox();
    let waiting = Waiting::begin(&s, &["--qr"]);
    let (plain, whole) = (&waiting.shown["verification_uri"], &waiting.shown["verification_uri_complete"]);
    assert!(!plain.as_str().expect("an address").contains(waiting.code()), "{plain}");
    assert!(whole.as_str().expect("an address").contains(waiting.code()), "{whole}");
    assert!(waiting.shown["expires_in"].as_i64() > Some(60));
    assert!(s.server.approve_device(waiting.code(), "ada@example.com"));
    let (output, end) = waiting.end();
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(end["identity"]["email"], "ada@example.com");
    let said = stderr(&output);
    assert!(said.contains('█') || said.contains('▀'), "a picture: {said}");
    assert!(said.contains("s more"), "how long the code is good for: {said}");
}

#[test]
fn device_grant_denied_by_the_person_ends_the_login() {
    let s = sandbox();
    let waiting = Waiting::begin(&s, &[]);
    assert!(s.server.deny_device(waiting.code()));
    let (output, end) = waiting.end();
    assert_eq!((output.status.code(), end["error"]["id"].as_str()), (Some(5), Some("login-denied")));
    assert_eq!(end["error"]["cause"], "declined");
    let kept =
        fs::read_dir(s.logins()).into_iter().flatten().map(|entry| entry.expect("an entry").file_name());
    assert_eq!(kept.filter(|name| name.to_string_lossy().contains(".json")).count(), 0);
    assert_eq!(s.output(&["status"]).status.code(), Some(1));
    assert_eq!(s.server.grants().device_codes, 0);
}

/// Who gave up too early is told how to wait longer by the same way.
#[test]
fn device_grant_that_is_given_up_names_its_own_way() {
    let s = sandbox();
    let (output, end) = Waiting::begin(&s, &["--timeout", "1"]).end();
    assert_eq!((output.status.code(), end["error"]["cause"].as_str()), (Some(6), Some("nobody-answered")));
    assert!(stderr(&output).contains("`keyfob login --device --timeout 1800`"), "{}", stderr(&output));
}

#[test]
fn device_grant_code_expires_when_nobody_types_it() {
    let s = sandbox();
    let waiting = Waiting::begin(&s, &[]);
    s.server.advance(3600);
    let (output, end) = waiting.end();
    assert_eq!(
        (output.status.code(), end["error"]["id"].as_str()),
        (Some(6), Some("login-timeout")),
        "{output:?}"
    );
    assert_eq!(end["error"]["cause"], "code-expired");
    assert!(stderr(&output).contains("login --device"), "{}", stderr(&output));
}

/// RFC 8628 §3.5: five seconds more. Had the next poll come after the old interval, it would get the same answer again.
#[test]
fn device_grant_polling_obeys_slow_down() {
    let s = sandbox();
    let mut waiting = Waiting::begin(&s, &[]);
    polls(&s, 1);
    // The provider's clock is set back and stays there, so that the next poll comes too early for it, whenever it comes.
    s.server.advance(-1000);
    let told = |outcomes: &[String]| outcomes.iter().position(|outcome| outcome == "slow_down");
    let at = (2..).find_map(|count| told(&polls(&s, count))).expect("slow_down");
    assert_eq!(polls(&s, at + 2)[at + 1], "authorization_pending");
    waiting.child.kill().expect("ours");
    waiting.child.wait().expect("ours");
}

/// Some providers do not want codes that can be typed on another user's behalf. Then no code is requested.
#[test]
fn device_grant_disabled_in_the_configuration_is_refused() {
    let s = sandbox();
    let home = s.home.path().join("keyfob");
    fs::create_dir(&home).expect("a directory");
    fs::set_permissions(&home, fs::Permissions::from_mode(0o700)).expect("ours");
    fs::write(home.join("config.toml"), "device_grant = false\n").expect("a file");
    let output = s.output(&["login", "--device", "--json"]);
    let said: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((output.status.code(), said["error"]["id"].as_str()), (Some(3), Some("device-grant-off")));
    assert_eq!(said["error"]["cause"], "no-codes");
    assert!(stderr(&output).contains("device_grant = false"), "{}", stderr(&output));
    assert!(s.server.requests().is_empty());
}
