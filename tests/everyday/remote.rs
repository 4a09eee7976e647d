//! Remote connections: lines in and out, and what each end of one means.

use std::{
    fs,
    io::{BufRead, BufReader, Lines, Write},
    process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio},
};

use keyfob_dev::{DevServer, Options};

use crate::sandbox::{Sandbox, stderr};

/// A connection in front of a person.
struct Connection {
    child: Child,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    told: Lines<BufReader<ChildStderr>>,
}

impl Connection {
    fn open(command: &mut Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the command starts");
        let stdin = child.stdin.take().expect("a pipe");
        let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let told = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        Self { child, stdin, lines, told }
    }

    /// Says a line and hears it back.
    fn echo(&mut self, text: &str, n: u32) {
        writeln!(self.stdin, "{text}").expect("it reads");
        let line = self.lines.next().expect("an echo").expect("text");
        assert_eq!(line, format!(r#"{{"n":{n},"text":"{text}"}}"#));
    }

    /// Waits until it says this.
    fn says(&mut self, part: &str) {
        let line = self.told.by_ref().map_while(Result::ok).find(|line| line.contains(part));
        assert!(line.is_some(), "it never said: {part}");
    }

    fn ends(mut self) -> Option<i32> {
        drop(self.stdin);
        self.child.wait().expect("it ends").code()
    }
}

/// A connection whose credential expires in the middle is opened again with a renewed one.
#[test]
fn a_remote_connection_outlives_its_credential() {
    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    let mut child = s
        .keyfob(["connect"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command runs");
    let mut stdin = child.stdin.take().expect("a pipe");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    writeln!(stdin, "one").expect("it reads");
    assert_eq!(lines.next().expect("an echo").expect("text"), r#"{"n":1,"text":"one"}"#);
    let before = s.json(&["token"])["generation"].as_u64();
    s.server.advance(3601);
    let mut told = BufReader::new(child.stderr.take().expect("a pipe")).lines().map_while(Result::ok);
    assert!(told.any(|line| line.contains("renewing it")), "the provider closed for an expired credential");
    assert!(told.any(|line| line.starts_with("Connected")));
    writeln!(stdin, "two").expect("it reads");
    assert_eq!(lines.next().expect("an echo").expect("text"), r#"{"n":1,"text":"two"}"#);
    drop(stdin);
    assert!(child.wait().expect("it ends").success());
    assert!(s.json(&["token"])["generation"].as_u64() > before);
}

#[test]
fn a_remote_connection_leads_nowhere_else() {
    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    for url in ["wss://evil.example/", "ws://10.0.0.1/", "https://evil.example/"] {
        let output = s.run(&["connect", url]);
        assert_eq!(output.status.code(), Some(3), "{url}");
    }
}

/// 4403: it would be refused again, so it is not tried again.
#[test]
fn what_is_forbidden_ends_it() {
    let s = Sandbox::new();
    let narrow = s.server.mint("ada@example.com", "user:profile").expect("tokens");
    let mut command = s.keyfob(["connect"]);
    let output =
        command.env("CLAUDE_CODE_SESSION_ACCESS_TOKEN", narrow.access_token).output().expect("it runs");
    assert_eq!(output.status.code(), Some(5), "{}", stderr(&output));
    assert!(stderr(&output).contains("would do so again"), "{}", stderr(&output));
    let opened = s.server.requests().iter().filter(|r| r.path == "/v1/session/ws").count();
    assert_eq!(opened, 1);
}

/// 4401 for a credential that nobody can renew: told, and not tried again with the same one.
#[test]
fn a_fixed_credential_that_expires_ends_it() {
    let s = Sandbox::new();
    let minted = s.server.mint("ada@example.com", "user:inference").expect("tokens");
    let mut command = s.keyfob(["connect"]);
    let mut open = Connection::open(command.env("CLAUDE_CODE_SESSION_ACCESS_TOKEN", minted.access_token));
    open.echo("one", 1);
    s.server.advance(3601);
    open.says("closed for an expired credential");
    open.says("cannot be renewed");
    assert_eq!(open.ends(), Some(5));
}

/// 1001: the provider goes away and comes back. The connection waits for it, with pauses that grow.
#[test]
fn a_provider_that_goes_away_is_waited_for() {
    let dir = tempfile::tempdir().expect("a directory");
    let options = |port| Options { port, state: Some(dir.path().join("state.json")), ..Options::default() };
    let s = Sandbox::with(options(0));
    s.sign_in("default", "ada@example.com");
    let mut open = Connection::open(&mut s.keyfob(["connect"]));
    open.echo("one", 1);
    let (port, home) = (s.server.port(), s.home);
    s.server.stop();
    open.says("Connecting again in 250 ms");
    open.says("Connecting again in 500 ms");
    let back = DevServer::start(options(port)).expect("the same port");
    open.says("Connected to");
    open.echo("two", 1);
    assert_eq!(open.ends(), Some(0));
    drop((back, home));
}

/// The credential of a session may go to an approved origin. A login's token may not, nor a device's.
#[test]
fn only_a_sessions_credential_leaves() {
    let s = Sandbox::new();
    let list = s.home.path().join("approved.toml");
    fs::write(&list, "[[approved]]\nurl = \"https://bridge.invalid/oauth\"\n").expect("ours");
    let list = list.to_str().expect("text").to_owned();
    let words = ["--approved", &list, "connect", "wss://bridge.invalid/socket"];
    s.sign_in("default", "ada@example.com");
    let refused = s.run(&words);
    assert_eq!(refused.status.code(), Some(3), "{}", stderr(&refused));
    assert!(stderr(&refused).contains("goes nowhere else"), "{}", stderr(&refused));

    let with_session = |words: &[&str]| {
        let mut command = s.keyfob(words);
        Connection::open(command.env("CLAUDE_CODE_SESSION_ACCESS_TOKEN", "of-a-session"))
    };
    // It is let go there; that the host does not exist is another matter.
    let mut open = with_session(&words);
    open.says("No connection: ");
    open.child.kill().expect("ours");
    let elsewhere = with_session(&["--approved", &list, "connect", "wss://other.invalid/"]).ends();
    assert_eq!(elsewhere, Some(3));
}
