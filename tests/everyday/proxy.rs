//! The proxy: what it adds to which requests, and what the client never sees.
#![expect(clippy::disallowed_methods, reason = "tests start real programs")]

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    os::unix::{fs::MetadataExt as _, net::UnixStream},
    path::{Path, PathBuf},
    process::{Child, Command},
    time::Duration,
};

use keyfob_dev::FaultKind;
use serde_json::Value;

use keyfob_testkit::{
    Sandbox, token_requests, until,
    upstream::{Asked, Conversation, Upstream},
};

/// A proxy that listens on loopback. It ends with the test.
pub(crate) struct Proxy {
    pub(crate) child: Child,
    /// `127.0.0.1:PORT`.
    pub(crate) address: String,
    pub(crate) token: String,
    info: PathBuf,
}

/// An answer: its status, its head and its body.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn read(mut stream: impl std::io::Read) -> Self {
        let mut all = Vec::new();
        // A connection that was cut has said what it has said.
        let _ = stream.read_to_end(&mut all);
        let all = String::from_utf8_lossy(&all).into_owned();
        let status = all.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
        let (head, body) = all.split_once("\r\n\r\n").unwrap_or_default();
        Self { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
    }

    /// The id of keyfob's own error.
    pub(crate) fn id(&self) -> String {
        let said: Value = serde_json::from_str(&self.body).unwrap_or_default();
        said["error"]["id"].as_str().unwrap_or_default().to_owned()
    }
}

/// Signed in, with a login that may go to this API.
pub(crate) fn signed_in(api: &Upstream) -> Sandbox {
    let s = Sandbox::new();
    may_go_to(&s, api);
    s.sign_in("default", "ada@example.com");
    s
}

/// The configuration says that the credential of the environment may go there, with a header that belongs to it.
pub(crate) fn may_go_to(s: &Sandbox, api: &Upstream) {
    let text = format!(
        "[environments.local]\nhosts = [\"{}\"]\napi_headers = {{ anthropic-beta = \"oauth-2025-04-20\" }}\n",
        api.origin()
    );
    fs::create_dir_all(s.home.home()).expect("a directory");
    fs::write(s.home.home().join("config.toml"), text).expect("ours");
}

impl Proxy {
    pub(crate) fn start(s: &Sandbox, api: &Upstream, words: &[&str]) -> Self {
        Self::at(s, &api.origin(), words)
    }

    fn at(s: &Sandbox, to: &str, words: &[&str]) -> Self {
        let info = s.path().join("proxy.json");
        let mut command = s.keyfob(["proxy", "--to", to, "--listen", "127.0.0.1:0", "--info"]);
        command.arg(&info).args(words);
        Self::listening(command, &info)
    }

    /// What this command starts, which writes that file.
    pub(crate) fn listening(mut command: Command, info: &Path) -> Self {
        let mut child = command.spawn().expect("it starts");
        let line = first_line(&mut child);
        let address = line.trim_end().strip_prefix("http://").expect("an address");
        let address = address.split('/').next().expect("a host").to_owned();
        let told: Value = serde_json::from_slice(&fs::read(info).expect("the file")).expect("JSON");
        let token = told["token"].as_str().expect("a token").to_owned();
        Self { child, address, token, info: info.to_owned() }
    }

    /// A request with the token of this run, and with these lines in its head.
    pub(crate) fn ask(&self, method: &str, path: &str, head: &str, body: &str) -> Answer {
        let head = format!("authorization: Bearer {}\r\n{head}", self.token);
        self.raw(&format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-length: {}\r\n{head}\r\n{body}",
            self.address,
            body.len()
        ))
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, "", "")
    }

    /// A request as it stands.
    pub(crate) fn raw(&self, request: &str) -> Answer {
        let mut stream = self.connect();
        let _ = stream.write_all(request.as_bytes());
        Answer::read(stream)
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).expect("it listens");
        // Longer than any machine is slow, and not for ever.
        stream.set_read_timeout(Some(Duration::from_secs(300))).expect("a stream");
        stream
    }

    pub(crate) fn signal(&self, signal: &str) {
        let kill = Command::new("kill").args([signal, &self.child.id().to_string()]).status();
        assert!(kill.expect("kill runs").success());
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn first_line(child: &mut Child) -> String {
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
    if line.is_empty() {
        let mut why = String::new();
        let _ = child.stderr.take().expect("a pipe").read_to_string(&mut why);
        panic!("it did not listen: {why}");
    }
    line
}

/// Answers with 200 and nothing.
pub(crate) fn nod(asked: &Asked, talk: &mut Conversation) {
    talk.body(asked);
    talk.answer(200, "", "");
}

#[test]
fn the_credential_is_added_and_the_clients_own_is_dropped() {
    let api = Upstream::start(nod);
    let s = signed_in(&api);
    let proxy = Proxy::start(&s, &api, &[]);
    let own = "x-api-key: mine\r\ncookie: a=b\r\nproxy-authorization: Basic eA==\r\nx-mine: kept\r\n\
               connection: x-hop\r\nx-hop: dropped\r\nkeep-alive: timeout=5\r\nte: gzip\r\n";
    let answer = proxy.ask("POST", "/v1/messages?beta=true", own, "{}");
    assert_eq!(answer.status, 200, "{answer:?}");
    let [asked] = &api.asked()[..] else { panic!("{:?}", api.asked()) };
    assert_eq!((asked.method.as_str(), asked.path.as_str()), ("POST", "/v1/messages?beta=true"));
    assert_eq!(asked.one("authorization"), Some(format!("Bearer {}", s.token()).as_str()));
    assert_eq!(asked.one("host"), Some(api.address.to_string().as_str()));
    assert_eq!((asked.one("x-mine"), asked.one("content-length")), (Some("kept"), Some("2")));
    for dropped in ["x-api-key", "cookie", "proxy-authorization", "x-hop", "keep-alive", "te", "connection"] {
        assert!(asked.all(dropped).is_empty(), "{asked:?}");
    }
    assert!(!format!("{asked:?}").contains(&proxy.token));
}

/// The lists of a provider are added to those of the client.
#[test]
fn a_list_is_extended() {
    let api = Upstream::start(nod);
    let s = signed_in(&api);
    let proxy = Proxy::start(&s, &api, &[]);
    proxy.ask("GET", "/", "anthropic-beta: one\r\nanthropic-beta: two\r\n", "");
    assert_eq!(api.asked()[0].one("anthropic-beta"), Some("one, two, oauth-2025-04-20"));
}

#[test]
fn only_who_has_the_token_of_this_run_is_served() {
    let api = Upstream::start(nod);
    let s = signed_in(&api);
    let proxy = Proxy::start(&s, &api, &[]);
    let with =
        |head: &str| proxy.raw(&format!("GET /v1 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{head}\r\n"));
    let token = &proxy.token;
    for right in [
        format!("authorization: Bearer {token}\r\n"),
        format!("x-api-key: {token}\r\n"),
        format!("x-api-key: another\r\nauthorization: bearer {token}\r\n"),
    ] {
        assert_eq!(with(&right).status, 200);
    }
    for wrong in [
        String::new(),
        "authorization: Bearer\r\n".into(),
        format!("authorization: Bearer {}\r\n", &token[..token.len() - 1]),
        format!("authorization: Bearer {token}0\r\n"),
        format!("authorization: Bearer {}\r\n", s.token()),
        format!("cookie: {token}\r\n"),
    ] {
        let answer = with(&wrong);
        assert_eq!((answer.status, answer.id().as_str()), (401, "proxy-refused"), "{answer:?}");
        assert!(answer.head.contains("keyfob-error: proxy-refused"), "{answer:?}");
    }
    assert_eq!(api.asked().len(), 3);
}

#[test]
fn what_no_rule_allows_is_refused() {
    let api = Upstream::start(nod);
    let s = signed_in(&api);
    let proxy = Proxy::start(&s, &api, &["--allow", "POST /v1/messages", "--allow", "/v1/models/"]);
    for (method, path) in
        [("POST", "/v1/messages"), ("POST", "/v1/messages/batches?x"), ("GET", "/v1/models/a")]
    {
        assert_eq!(proxy.ask(method, path, "", "").status, 200, "{method} {path}");
    }
    for (method, path) in [
        ("GET", "/v1/messages"),
        ("POST", "/v1/messagesx"),
        ("POST", "/v1/../v1/messages"),
        ("POST", "/v1//messages"),
        ("POST", "/v1/messages/..%2f..%2fadmin"),
        ("POST", "/v1/messages/%2e%2e/admin"),
        ("POST", "/v1/messages\\..\\admin"),
        ("TRACE", "/v1/models/a"),
        ("OPTIONS", "/v1/models/a"),
        ("GET", "http://evil.example/v1/models/a"),
        ("GET", "https://evil.example/v1/models/a"),
    ] {
        let answer = proxy.ask(method, path, "", "");
        assert!(matches!(answer.status, 400 | 403), "{method} {path}: {answer:?}");
        assert!(answer.status == 400 || answer.id() == "proxy-refused", "{answer:?}");
    }
    let connect = proxy.ask("CONNECT", "evil.example:443", "", "");
    assert!(matches!(connect.status, 400 | 403) && connect.id() == "proxy-refused", "{connect:?}");
    assert_eq!(api.asked().len(), 3);
}

/// The path of the target holds for every rule.
#[test]
fn a_rule_leads_to_nothing_outside_of_the_targets_path() {
    let api = Upstream::start(nod);
    let s = signed_in(&api);
    let to = format!("{}/api", api.origin());
    let proxy = Proxy::at(&s, &to, &["--allow", "/api/v1", "--allow", "/admin", "--allow", "/api2"]);
    assert_eq!(proxy.get("/api/v1").status, 200);
    for path in ["/admin", "/api2", "/api/v2"] {
        let answer = proxy.get(path);
        assert_eq!((answer.status, answer.id().as_str()), (403, "proxy-refused"), "{path}: {answer:?}");
    }
    assert_eq!(api.asked().len(), 1);
}

/// The answer is the target's, but for what would hand out a session or the credential itself.
#[test]
fn an_answer_loses_what_the_client_must_not_have() {
    let api = Upstream::start(|asked, talk| {
        let token = asked.one("authorization").unwrap_or_default().to_owned();
        let head = format!(
            "set-cookie: session=1\r\nalt-svc: h3=\":443\"\r\nauthentication-info: x\r\nx-echo: {token}\r\n\
             location: https://evil.example/?t={token}\r\nx-other: kept\r\nkeyfob-error: bug\r\nconnection: x-hop\r\nx-hop: 1\r\n"
        );
        talk.answer(307, &head, "see there");
    });
    let s = signed_in(&api);
    let proxy = Proxy::start(&s, &api, &[]);
    let answer = proxy.get("/v1");
    assert_eq!((answer.status, answer.body.as_str()), (307, "see there"), "no redirect is followed");
    assert!(answer.head.contains("x-other: kept"), "{answer:?}");
    for gone in ["set-cookie", "alt-svc", "authentication-info", "x-hop", "keyfob-error"] {
        assert!(!answer.head.contains(gone), "{gone}: {answer:?}");
    }
    assert!(!answer.head.contains(&s.token().to_ascii_lowercase()), "{answer:?}");
    assert_eq!(api.asked().len(), 1);
}

/// All who are refused with one token get the next, and one request is spent for it.
#[test]
fn a_401_renews_once_and_what_was_kept_is_sent_again() {
    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    let ended = s.token();
    let old = format!("Bearer {ended}");
    let api = Upstream::start(move |asked, talk| {
        let body = talk.body(asked);
        let status = if asked.one("authorization") == Some(&old) { 401 } else { 200 };
        talk.answer(status, "", body);
    });
    may_go_to(&s, &api);
    let proxy = Proxy::start(&s, &api, &[]);
    let before = token_requests(&s.server);
    std::thread::scope(|scope| {
        for n in 0..8 {
            let proxy = &proxy;
            scope.spawn(move || {
                let body = format!("{n}").repeat(1000);
                let answer = proxy.ask("POST", "/v1", "", &body);
                assert_eq!((answer.status, answer.body), (200, body));
            });
        }
    });
    assert_eq!(token_requests(&s.server), before + 1);
    assert_ne!(s.token(), ended);
}

/// Whom the target refuses for other reasons does not cost a renewal each time, and hears the target itself.
#[test]
fn a_401_that_stays_is_the_targets_own() {
    let api = Upstream::start(|asked, talk| {
        talk.body(asked);
        talk.answer(401, "", "not you");
    });
    let s = signed_in(&api);
    let proxy = Proxy::start(&s, &api, &[]);
    let before = token_requests(&s.server);
    for _ in 0..5 {
        let answer = proxy.get("/v1");
        assert_eq!((answer.status, answer.body.as_str()), (401, "not you"), "{answer:?}");
    }
    assert_eq!(token_requests(&s.server), before + 1);
}

/// More than is kept is not sent again; the client hears the target's own answer, and the next request has the new token.
#[test]
fn a_large_body_is_not_sent_twice() {
    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    let old = format!("Bearer {}", s.token());
    let api = Upstream::start(move |asked, talk| {
        talk.hear(asked, |_| {});
        let status = if asked.one("authorization") == Some(&old) { 401 } else { 200 };
        talk.answer(status, "", "");
    });
    may_go_to(&s, &api);
    let proxy = Proxy::start(&s, &api, &[]);
    let large = "x".repeat((1 << 20) + 1);
    assert_eq!(proxy.ask("POST", "/v1", "", &large).status, 401);
    assert_eq!(api.asked().len(), 1);
    assert_eq!(proxy.ask("POST", "/v1", "", &large).status, 200);
}

/// Neither an ended token nor none goes out; the answer says so in keyfob's words, and when to come again.
#[test]
fn without_a_valid_token_nothing_is_forwarded() {
    let api = Upstream::start(nod);
    let s = signed_in(&api);
    let proxy = Proxy::start(&s, &api, &[]);
    s.expire();
    s.server.inject(FaultKind::Status503, None);
    let answer = proxy.get("/v1");
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(answer.head.contains("retry-after: "), "{answer:?}");
    assert!(["unreachable", "cooling-down"].contains(&answer.id().as_str()), "{answer:?}");
    s.server.clear_faults();
    s.out(&["logout"]);
    let answer =
        until("the sign-out to be seen", || Some(proxy.get("/v1")).filter(|answer| answer.status != 503));
    assert_eq!((answer.status, answer.id().as_str()), (502, "login-needed"));
    assert!(api.asked().is_empty());
}

#[test]
fn a_target_that_the_credential_is_not_for_is_refused() {
    let api = Upstream::start(nod);
    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    let ran = s.run(&["proxy", "--to", &api.origin(), "--json"]);
    assert!(ran.code == Some(5) && ran.out.contains("origin-refused"), "{ran:?}");
    for wrong in ["http://api.example.com", "ftp://x", "https://u@api.example.com", "https://a.example/../b"]
    {
        let ran = s.run(&["proxy", "--to", wrong]);
        assert_eq!(ran.code, Some(2), "{wrong}: {ran:?}");
    }
}

#[test]
fn a_tcp_listener_is_on_loopback_and_has_a_token() {
    let api = Upstream::start(nod);
    let s = signed_in(&api);
    for wrong in ["0.0.0.0:0", "192.168.1.1:80", "localhost:1", "[::]:0"] {
        let ran = s.run(&["proxy", "--to", &api.origin(), "--listen", wrong]);
        assert_eq!(ran.code, Some(2), "{wrong}: {ran:?}");
    }
    let ran = s.run(&["proxy", "--to", &api.origin(), "--listen", "127.0.0.1:0"]);
    assert!(ran.code == Some(2) && ran.err.contains("--info FILE"), "{ran:?}");
    let mut proxy = Proxy::start(&s, &api, &[]);
    assert_eq!(fs::metadata(&proxy.info).expect("the file").mode() & 0o777, 0o600);
    let told: Value = serde_json::from_slice(&fs::read(&proxy.info).expect("the file")).expect("JSON");
    assert_eq!(told["pid"], proxy.child.id());
    assert_eq!(told["address"], format!("http://{}", proxy.address));
    assert_eq!(proxy.token.len(), "keyfob-run-".len() + 64);
    proxy.signal("-TERM");
    assert_eq!(proxy.child.wait().expect("it ends").code(), Some(0));
    assert!(!proxy.info.exists());
}

#[test]
fn a_unix_socket_is_for_this_user() {
    let api = Upstream::start(nod);
    let s = signed_in(&api);
    let socket = s.path().join("doors/proxy.sock");
    let listen = format!("unix:{}", socket.display());
    let log = s.path().join("proxy.log");
    let mut command = s.keyfob(["proxy", "--to", &api.origin(), "--listen", &listen, "--log"]);
    let mut child = command.arg(&log).spawn().expect("it starts");
    assert_eq!(first_line(&mut child).trim_end(), listen);
    assert_eq!(fs::metadata(&socket).expect("a socket").mode() & 0o777, 0o600);
    let mut stream = UnixStream::connect(&socket).expect("it listens");
    stream.write_all(b"GET /v1?secret=x HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").expect("it reads");
    assert_eq!(Answer::read(stream).status, 200);
    let line = until("its line", || fs::read(&log).ok().filter(|text| text.ends_with(b"\n")));
    let line: Value = serde_json::from_slice(&line).expect("one line");
    let own = rustix::process::getuid().as_raw();
    assert_eq!((&line["uid"], &line["pid"]), (&own.into(), &std::process::id().into()));
    assert_eq!(
        (&line["method"], &line["path"], &line["status"]),
        (&"GET".into(), &"/v1".into(), &200.into())
    );
    assert_eq!((&line["origin"], &line["generation"]), (&api.origin().into(), &1.into()));
    assert!(line["login"].is_string() && line["time"].is_string(), "{line}");
    let kill = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
    assert!(kill.expect("kill runs").success());
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
    assert!(!socket.exists());
}

/// The login may go there, as its configuration says; an address of a metadata service is not dialled all the same.
#[test]
fn a_metadata_service_is_never_asked() {
    let api = Upstream::start(nod);
    let s = Sandbox::new();
    fs::create_dir_all(s.home.home()).expect("a directory");
    let text = "[environments.local]\nhosts = [\"https://169.254.169.254\"]\n";
    fs::write(s.home.home().join("config.toml"), text).expect("ours");
    s.sign_in("default", "ada@example.com");
    let proxy = Proxy::at(&s, "https://169.254.169.254", &["--private"]);
    let answer = proxy.get("/latest/meta-data/");
    assert_eq!((answer.status, answer.id().as_str()), (502, "origin-refused"), "{answer:?}");
    assert!(api.asked().is_empty());
}
