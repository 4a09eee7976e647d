//! Causes that are told as warnings on the way to an answer, and those for which somebody has to err at a moment. A program
//! finds each by its word: in the error, or among the `warnings` of the answer.

use std::{
    fs,
    io::{BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::fs::PermissionsExt,
    process::{Child, ChildStderr, Command, Stdio},
    time::Duration,
};

use keyfob_dev::{Fault, FaultGrant, FaultKind};
use keyfob_testkit::{Ran, Sandbox, namespace::Namespace, program};
use serde_json::Value;

use crate::visitor::Answer;

/// The causes that an answer in JSON warns of.
#[track_caller]
fn warned(ran: &Ran) -> Vec<String> {
    let answer: Value = serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
    let warnings = answer["warnings"].as_array().cloned().unwrap_or_default();
    warnings.iter().map(|warning| warning["cause"].as_str().unwrap_or_default().to_owned()).collect()
}

/// A sign-in with `--json` that waits for its answer.
struct Waiting {
    child: Child,
    messages: BufReader<ChildStderr>,
    said: String,
    event: Value,
}

impl Waiting {
    fn begin(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        let mut messages = BufReader::new(child.stderr.take().expect("a pipe"));
        let (said, event) = keyfob_testkit::event(&mut messages);
        Self { child, messages, said, event }
    }

    #[track_caller]
    fn url(&self) -> &str {
        self.event["url"].as_str().unwrap_or_else(|| panic!("no address: {}", self.said))
    }

    fn paste(&mut self, text: &str) {
        writeln!(self.child.stdin.as_mut().expect("a pipe"), "{text}").expect("it reads");
    }

    fn end(mut self) -> Ran {
        self.messages.read_to_string(&mut self.said).expect("text");
        let ran = Ran::from(self.child.wait_with_output().expect("it ends"));
        Ran { err: self.said, ..ran }
    }
}

#[test]
fn a_taken_port_is_a_warning_of_the_answer() {
    let s = Sandbox::new();
    let theirs = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = theirs.local_addr().expect("an address").port().to_string();
    let mut waiting = Waiting::begin(s.keyfob(["login", "--no-browser", "--port", &port, "--json"]));
    let shown = Answer::of(waiting.url()).shown();
    waiting.paste(&shown);
    let ran = waiting.end();
    ran.answer();
    assert_eq!(warned(&ran), ["port-taken"], "{ran:?}");
}

/// A token that is not allowed to ask whose it is signs in all the same.
#[test]
fn an_account_that_cannot_be_looked_up_is_a_warning_of_the_answer() {
    let s = Sandbox::new();
    let narrow = s.server.mint("ada@example.com", "user:inference").expect("tokens");
    let words = ["login", "--with-token", "refresh", "--json"];
    let ran = Ran::from(s.feed(&words, &narrow.refresh_token));
    ran.answer();
    assert_eq!(warned(&ran), ["account-unknown"], "{ran:?}");
}

/// An API that knows the token, and does not let it do that.
#[test]
fn a_token_that_is_not_allowed_to_ask_is_told_by_its_cause() {
    let s = Sandbox::new();
    let (base, api) = (s.server.base_url(), TcpListener::bind("127.0.0.1:0").expect("a port"));
    let port = api.local_addr().expect("an address").port();
    let refuse = move || {
        for stream in api.incoming() {
            let mut stream = stream.expect("a connection");
            let _ = stream.read(&mut [0; 8192]);
            let _ =
                stream.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        }
    };
    std::thread::Builder::new().spawn(refuse).expect("a thread");
    let text = format!(
        "environment = \"work\"\n[environments.work]\nissuer = \"{base}\"\nclient_id = \"keyfob-local\"\n\
         authorize_url = \"{base}/oauth/authorize\"\ntoken_url = \"{base}/v1/oauth/token\"\n\
         api_base = \"http://127.0.0.1:{port}\"\n"
    );
    fs::create_dir_all(s.home.home()).expect("ours");
    fs::set_permissions(s.home.home(), fs::Permissions::from_mode(0o700)).expect("ours");
    fs::write(s.home.home().join("config.toml"), text).expect("ours");
    let minted = s.server.mint("ada@example.com", "user:profile user:inference").expect("tokens");
    let brought = s.home.path().join("brought");
    fs::write(&brought, &minted.refresh_token).expect("ours");
    let run = |words: &[&str]| {
        let mut command = s.keyfob(words);
        command.env_remove("USE_LOCAL_OAUTH").stdin(fs::File::open(&brought).expect("ours"));
        Ran::from(command.output().expect("it runs"))
    };
    run(&["login", "--with-token", "refresh"]).answer();
    run(&["device", "enroll", "--json"]).because("provider-refused", "token-not-allowed");
}

#[test]
fn a_browser_variable_that_is_refused_is_a_warning_of_the_answer() {
    let s = Sandbox::new();
    let mut command = s.keyfob(["login", "--json"]);
    command.env("BROWSER", "./evil.sh").env("PATH", "/nowhere");
    let waiting = Waiting::begin(command);
    assert_eq!(Answer::of(waiting.url()).follow(), "You are signed in");
    let ran = waiting.end();
    ran.answer();
    assert!(warned(&ran).contains(&"browser-variable".to_owned()), "{ran:?}");
}

#[test]
fn a_runtime_directory_that_is_not_used_is_told_by_its_cause() {
    let s = Sandbox::new();
    let mut command = s.keyfob(["env", "--json"]);
    command.env_remove("KEYFOB_HOME").env("XDG_RUNTIME_DIR", s.home.path().join("not-there"));
    let ran = Ran::from(command.output().expect("it runs"));
    ran.answer();
    assert_eq!(warned(&ran), ["runtime-refused"], "{ran:?}");
}

/// The provider does not answer, or the record cannot be read: signed out here, and perhaps not there.
#[test]
fn a_login_that_was_not_revoked_is_told_by_its_cause() {
    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    s.server.inject(Fault { grant: FaultGrant::Revoke, kind: FaultKind::Status500 }, 2);
    let ran = s.run(&["logout", "--json"]);
    ran.answer();
    assert_eq!(warned(&ran), ["not-revoked"], "{ran:?}");
    assert!(ran.err.contains("on the provider's own page"), "{ran:?}");

    s.sign_in("default", "ada@example.com");
    fs::write(s.record_path(), "{ no record").expect("ours");
    s.run(&["logout", "--json"]).because("store-corrupt", "not-revoked");
}

/// Too large for the callback: the address can be pasted, and the answer tells what was in the way.
#[test]
fn an_answer_that_the_callback_could_not_take_is_a_warning_of_the_answer() {
    let s = Sandbox::new();
    let mut waiting = Waiting::begin(s.keyfob(["login", "--no-browser", "--json"]));
    let answer = Answer::of(waiting.url());
    let jar: String = (0..400).map(|at| format!("\r\nCookie: app{at}={}", "x".repeat(1000))).collect();
    let reply = answer.send(&format!("GET /callback?QUERY HTTP/1.1\r\nHost: HOST{jar}"));
    assert!(reply.starts_with("HTTP/1.1 431 "), "{reply}");
    waiting.paste(&answer.url);
    let ran = waiting.end();
    ran.answer();
    assert_eq!(warned(&ran), ["answer-not-taken"], "{ran:?}");
}

/// Where the system does not tell who connects, the short address works once: the second visitor may be another user.
#[test]
fn a_sign_in_that_was_opened_twice_is_a_warning_of_the_answer() {
    let s = Sandbox::new();
    let space = Namespace::new();
    let (browser, seen) = (s.home.path().join("browser"), s.home.path().join("seen"));
    let script = format!("#!/bin/sh\necho \"$1\" > {0}.part\nmv {0}.part {0}\n", seen.display());
    keyfob_testkit::script(&browser, &script);
    let mut command = space.command(&s.home, &[program(), "login", "--json"]);
    command.env("BROWSER", &browser);
    let waiting = Waiting::begin(command);
    // What it could look up about its visitors is covered for it.
    space.shell(&s.home, &format!("mount -t tmpfs none /proc/{}/net", waiting.child.id()));
    let address = keyfob_testkit::until("the browser", || fs::read_to_string(&seen).ok());
    let authority = address.split('/').nth(2).expect("an authority").to_owned();
    let path = address.trim().split_once(&authority).expect("a path").1.to_owned();
    let open = || {
        let mut stream = TcpStream::connect(&authority).expect("somebody listens");
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {authority}\r\n\r\n").expect("it reads");
        let mut reply = String::new();
        let _ = stream.read_to_string(&mut reply);
        reply
    };
    let first = open();
    assert!(first.starts_with("HTTP/1.1 302 "), "{first}");
    let second = open();
    assert!(second.starts_with("HTTP/1.1 410 "), "{second}");
    let location = first.lines().find_map(|line| line.strip_prefix("Location: ")).expect("a redirect");
    assert_eq!(Answer::of(location.trim()).follow(), "You are signed in");
    let ran = waiting.end();
    ran.answer();
    assert_eq!(warned(&ran), ["opened-twice"], "{ran:?}");
}

/// A provider whose tokens are over when they arrive.
#[test]
fn a_token_that_is_over_when_it_arrives_is_told_by_its_cause() {
    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    s.server.set_access_token_ttl(Duration::ZERO);
    s.expire();
    s.run(&["token", "--json"]).because("answer-invalid", "token-ended");
}

#[test]
fn a_rejected_credential_that_nothing_renews_is_told_by_its_cause() {
    let s = Sandbox::new();
    let mut command = s.keyfob(["token", "--rejected", "00112233445566778899aabbccddeeff:1", "--json"]);
    command.env("ANTHROPIC_API_KEY", "kdev-ak-invented");
    Ran::from(command.output().expect("it runs")).because("provider-refused", "rejected-source");
    let mut command = s.keyfob(["connect", "--json"]);
    command.env("CLAUDE_CODE_SESSION_ACCESS_TOKEN", "kdev-at-invented");
    Ran::from(command.output().expect("it runs")).because("provider-refused", "rejected-source");
}

/// Another process renews and does not get on. Whoever says how long to wait, waits no longer.
#[test]
fn a_login_that_another_process_keeps_is_told_by_its_cause() {
    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    s.expire();
    let lock = s.record_path().with_extension("lock");
    let held = s.idle();
    fs::write(&lock, "process 4711 (agent)\n").expect("ours");
    let ran = s.run(&["token", "--wait", "2", "--json"]);
    ran.failed(7, "lease-busy").because("lease-busy", "held-by-process");
    assert!(ran.err.contains("process 4711 (agent) has held the lease on it for "), "{ran:?}");
    let waited = ran.err.split("lease on it for ").nth(1).and_then(|rest| rest.split(' ').next());
    assert!(
        waited.is_some_and(|seconds| seconds.parse::<u64>().is_ok_and(|seconds| seconds < 60)),
        "{ran:?}"
    );
    drop(held);
    s.token();
}

/// A machine without a network: loopback is down too.
#[test]
fn a_machine_without_a_network_is_told_by_its_cause() {
    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    s.expire();
    let mut command = s.command("unshare");
    command.args(if rustix::process::geteuid().is_root() { &["-n"][..] } else { &["-Urn"] });
    let ran =
        Ran::from(command.args([program(), "token", "--json"]).output().expect("unshare of util-linux"));
    ran.failed(6, "unreachable").because("unreachable", "no-connection");
    assert!(ran.err.contains("check the network"), "{ran:?}");
    s.run(&["token", "--wait", "30"]).answer();
}

/// A store that its own user may not write: root may always, so the command runs as somebody else there.
#[test]
fn what_the_system_does_not_permit_is_told_by_its_cause() {
    const USER: u32 = 12_345;
    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    s.expire();
    // Where this was built need not be a place that the other user can enter.
    let program = s.home.path().join("program");
    keyfob_testkit::copy_of_program(&program);
    let mut words = vec![program.as_os_str().to_owned()];
    fs::remove_file(s.record_path().with_extension("lock")).expect("ours");
    if rustix::process::geteuid().is_root() {
        let ours = [s.home.path().to_path_buf(), s.home.home(), s.logins(), s.record_path(), program.clone()];
        for path in &ours {
            std::os::unix::fs::chown(path, Some(USER), Some(USER)).expect("we are root");
        }
        let number = USER.to_string();
        let other = ["setpriv", "--reuid", &number, "--regid", &number, "--clear-groups"];
        words.splice(0..0, other.map(Into::into));
    }
    fs::set_permissions(s.logins(), fs::Permissions::from_mode(0o500)).expect("ours");
    let mut command = s.command(&words[0]);
    let output = command.args(&words[1..]).args(["token", "--json"]).output().expect("util-linux is there");
    fs::set_permissions(s.logins(), fs::Permissions::from_mode(0o700)).expect("ours");
    let ran = Ran::from(output);
    ran.because("store-read-only", "no-permission");
    assert!(ran.err.contains("give it to you (as root: chown "), "{ran:?}");
}

/// A provider that accepts a connection and then says nothing, with no proxy on the way that it could be.
#[test]
fn a_provider_that_keeps_silent_is_too_slow() {
    let s = Sandbox::new();
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let issuer = format!("http://{}", silent.local_addr().expect("an address"));
    // Nobody accepts: the kernel does, and keeps what is sent.
    let mut command = s.home.keyfob(["init", "--issuer", &issuer, "--client-id", "agents", "--json"]);
    let ran = Ran::from(command.env_remove("USE_LOCAL_OAUTH").output().expect("it runs"));
    ran.failed(6, "unreachable").because("unreachable", "too-slow");
    assert!(ran.err.contains("127.0.0.1 took too long"), "{ran:?}");
    assert!(!s.home.home().join("config.toml").exists(), "nothing is set up");
}
