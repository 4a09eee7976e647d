//! Remote connections: lines in and out, and the meaning of each close code and error.

use std::{
    fs,
    io::{BufRead, BufReader, Lines, Read, Write},
    net::{TcpListener, TcpStream},
    process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio},
};

use keyfob_dev::{DevServer, Options};
use tungstenite::protocol::{CloseFrame, frame::coding::CloseCode};

use keyfob_testkit::{Sandbox, stderr, until};

/// A connection at a terminal with a user.
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

    /// Sends a line and receives its echo.
    fn echo(&mut self, text: &str, n: u32) {
        writeln!(self.stdin, "{text}").expect("it reads");
        let line = self.lines.next().expect("an echo").expect("text");
        assert_eq!(line, format!(r#"{{"n":{n},"text":"{text}"}}"#));
    }

    /// Waits until it prints this.
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
        s.run(&["connect", url, "--json"])
            .failed(3, "url-not-approved")
            .because("url-not-approved", "foreign-origin");
    }
}

/// 4403: it would be refused again, so it is not tried again.
#[test]
fn connect_ends_when_the_provider_denies_access() {
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

/// 4401 for a credential that cannot be renewed: reported, and not tried again with the same one.
#[test]
fn a_fixed_credential_that_expires_ends_it() {
    let s = Sandbox::new();
    let minted = s.server.mint("ada@example.com", "user:inference").expect("tokens");
    let mut command = s.keyfob(["connect"]);
    let mut open = Connection::open(command.env("CLAUDE_CODE_SESSION_ACCESS_TOKEN", minted.access_token));
    open.echo("one", 1);
    s.server.advance(3601);
    open.says("closed for an expired credential");
    open.says("the credential from CLAUDE_CODE_SESSION_ACCESS_TOKEN is used as it is and cannot be renewed");
    open.says("replace it");
    assert_eq!(open.ends(), Some(5));
}

/// 1001: the provider goes away and comes back. The connection waits for it, with pauses that grow.
#[test]
fn connect_reconnects_after_the_server_goes_away() {
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
    // Somebody's connection may have the port for a moment.
    let back = until("the same port", || DevServer::start(options(port)).ok());
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
    let refused = s.output(&words);
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

/// Another host of the configuration, which meets every connection like this, and its address.
fn other_host(s: &Sandbox, meet: fn(TcpStream)) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    std::thread::Builder::new()
        .spawn(move || listener.incoming().for_each(|stream| meet(stream.expect("a connection"))))
        .expect("a thread");
    let config = format!("[environments.local]\nhosts = [\"http://127.0.0.1:{port}\"]\n");
    fs::write(s.home.path().join("keyfob/config.toml"), config).expect("ours");
    format!("ws://127.0.0.1:{port}/")
}

fn spent(s: &Sandbox) -> usize {
    s.server.requests().iter().filter(|request| request.path == "/v1/oauth/token").count()
}

/// "Expired" to every credential, at once, however new it is: a broken clock, another audience. One new token is tried;
/// a third would be refused too.
#[test]
fn what_is_never_accepted_is_not_renewed_for_ever() {
    let closes: fn(TcpStream) = |stream| {
        let mut socket = tungstenite::accept(stream).expect("a handshake");
        let frame = CloseFrame { code: CloseCode::Library(4401), reason: "".into() };
        socket.close(Some(frame)).expect("it is there");
        while socket.read().is_ok() {}
    };
    let refuses: fn(TcpStream) = |mut stream| {
        let mut head = [0; 4096];
        let _ = stream.read(&mut head).expect("a request");
        let answer = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        stream.write_all(answer).expect("it listens");
    };
    for (how, meet) in [("closed", closes), ("refused", refuses)] {
        let s = Sandbox::new();
        s.sign_in("default", "ada@example.com");
        let (url, before) = (other_host(&s, meet), spent(&s));
        let ended = s.output(&["connect", &url, "--json"]);
        assert_eq!(ended.status.code(), Some(5), "{how}: {}", stderr(&ended));
        let said: serde_json::Value = serde_json::from_slice(&ended.stdout).expect("JSON");
        assert_eq!(said["error"]["id"], "rejected-stale", "{how}: {said}");
        assert_eq!(said["error"]["cause"], "rejected-newest", "{how}: {said}");
        assert_eq!(spent(&s) - before, 1, "{how}");
    }
}

/// RFC 6455 §7.1.1: a client may close at any time, and does not wait forever for the server.
#[test]
fn a_good_bye_that_nobody_answers_ends_it() {
    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    let url = other_host(&s, |stream| {
        let mut socket = tungstenite::accept(stream).expect("a handshake");
        let _ = socket.get_mut().read_to_end(&mut Vec::new());
    });
    let mut open = Connection::open(&mut s.keyfob(["connect", &url]));
    open.says("Connected");
    writeln!(open.stdin, "hello").expect("it reads");
    assert_eq!(open.ends(), Some(0));
}

/// What `connect` sends, `header --remote` prints: a provider that wants to know the device learns it either way.
#[test]
fn the_headers_of_a_connection_are_all_there() {
    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    for (words, has) in [(&["header", "--remote"][..], true), (&["header"], false)] {
        let mut command = s.keyfob(words);
        let output = command.env("CLAUDE_TRUSTED_DEVICE_TOKEN", "of-this-device").output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.starts_with("Authorization: Bearer "), "{said}");
        assert_eq!(said.contains("X-Trusted-Device-Token: of-this-device"), has, "{said}");
    }
}

/// The record determines where a login's token is sent. A later change of the configuration does not redirect it.
#[test]
fn a_changed_configuration_leads_no_token_away() {
    let s = Sandbox::new();
    let base = s.server.base_url();
    let other = DevServer::start(Options { port: 0, ..Options::default() }).expect("a provider");
    let configure = |api: &str| {
        let text = format!(
            "environment = \"work\"\n[environments.work]\nissuer = \"{base}\"\nclient_id = \"keyfob-local\"\n\
             authorize_url = \"{base}/oauth/authorize\"\ntoken_url = \"{base}/v1/oauth/token\"\napi_base = \"{api}\"\n"
        );
        fs::create_dir_all(s.home.path().join("keyfob")).expect("ours");
        fs::write(s.home.path().join("keyfob/config.toml"), text).expect("ours");
    };
    configure(&base);
    let minted = s.server.mint("ada@example.com", "user:profile user:inference").expect("tokens");
    let run = |words: &[&str], input: &str| {
        let mut command = s.keyfob(words);
        command
            .env_remove("USE_LOCAL_OAUTH")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("it reads");
        child.wait_with_output().expect("it ends")
    };
    let login = run(&["login", "--with-token", "refresh"], &minted.refresh_token);
    assert!(login.status.success(), "{}", stderr(&login));
    configure(&other.base_url());
    for words in [&["status", "--verify"][..], &["connect"], &["device", "enroll"]] {
        run(words, "");
        assert!(other.requests().is_empty(), "{words:?}: {:?}", other.requests());
    }
    let verified = run(&["status", "--verify"], "");
    assert!(verified.status.success(), "asked where it was minted: {}", stderr(&verified));
}
