//! Laws of the connection: hosts, bounds, faults, stopping, the log, the state file.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use keyfob_dev::{DevServer, Fault, FaultGrant, FaultKind, LOCAL_CLIENT_ID, Options, StartError};

use crate::common::*;

/// RFC 9112 §3.2: exactly one Host; and only a loopback name with our port (DNS rebinding).
#[test]
fn only_requests_to_our_own_loopback_name_are_answered() {
    let server = server();
    let port = server.port();
    let try_with = |head: &str| parse(&raw(&server, head.as_bytes()).expect("an answer")).status;
    let get = |lines: &str| try_with(&format!("GET /v1/whoami HTTP/1.1\r\n{lines}connection: close\r\n\r\n"));
    assert_eq!(get(&format!("host: localhost:{port}\r\n")), 401);
    assert_eq!(get(&format!("host: [::1]:{port}\r\n")), 401);
    for bad in [
        String::new(),
        format!("host: localhost:{port}\r\nhost: localhost:{port}\r\n"),
        format!("host: evil.example:{port}\r\n"),
        format!("host: localhost.evil.example:{port}\r\n"),
        "host: localhost\r\n".to_owned(),
        "host: localhost:1\r\n".to_owned(),
    ] {
        assert_eq!(get(&bad), 400, "{bad}");
    }
    // RFC 9112 §3.2.2: the absolute form is accepted, and its authority counts.
    let absolute = |authority: &str| {
        let line = format!("GET http://{authority}/v1/whoami HTTP/1.1\r\nhost: localhost:{port}\r\n");
        try_with(&format!("{line}connection: close\r\n\r\n"))
    };
    assert_eq!(absolute(&format!("127.0.0.1:{port}")), 401);
    assert_eq!(absolute("evil.example"), 400);
}

/// The server is on loopback and nowhere else, in both families where the machine has them.
#[test]
fn the_port_is_open_on_loopback_only() {
    let server = server();
    let port = server.port();
    match std::net::TcpListener::bind("[::1]:0") {
        Ok(_) => assert!(TcpStream::connect(("::1", port)).is_ok()),
        Err(error) => {
            assert!(std::env::var_os("CI").is_none(), "CI has IPv6, or this is shown nowhere: {error}");
        }
    }
    // 127.0.0.2 is loopback, too, but not where we listen: a listener on every address would answer here.
    assert!(TcpStream::connect(("127.0.0.2", port)).is_err());
}

/// A body is bounded; so is the number of parameters.
#[test]
fn a_large_body_is_refused() {
    let server = server();
    let kind = [("content-type", "application/x-www-form-urlencoded")];
    let large = request(&server, "POST", TOKEN, &kind, &format!("x={}", "y".repeat(64 * 1024)));
    assert_eq!(large.status, 413);
    let many: String = (0..101).map(|i| format!("p{i}=1&")).collect();
    assert_eq!(request(&server, "POST", TOKEN, &kind, &many).error(), "invalid_request");
}

/// So is what a query may hold (RFC 9110 §15.5.15).
#[test]
fn a_long_query_is_refused() {
    let server = server();
    let with_state = |length| authorize(&server, &[("state", &"s".repeat(length))]);
    assert_eq!(with_state(7000).status, 303);
    assert_eq!(with_state(8192).status, 414);
    assert_eq!(last_outcome(&server), "target-too-long");
}

/// A client that stops talking is not waited for.
#[test]
fn a_slow_client_is_let_go() {
    let server = start(Options { patience: Duration::from_secs(2), ..Options::default() });
    // Neither request ever ends: that there is an answer, or an end, is what is to be shown.
    assert!(raw(&server, b"GET / HTTP/1.1\r\nhost").unwrap_or_default().is_empty(), "headers");
    let kind = [("content-type", "application/x-www-form-urlencoded")];
    let whole = written(&server, "POST", TOKEN, &kind, "client_id=x");
    let slow = parse(&raw(&server, &whole.as_bytes()[..whole.len() - 1]).expect("an answer"));
    assert_eq!(slow.status, 408, "body");
}

/// Hundreds of clients at once are served.
#[test]
fn five_hundred_clients_at_once_are_not_refused() {
    let server = server();
    let mut streams: Vec<TcpStream> =
        (0..512).map(|_| TcpStream::connect(("127.0.0.1", server.port())).expect("connected")).collect();
    let head = written(&server, "GET", "/v1/whoami", &[], "");
    for stream in &mut streams {
        stream.write_all(head.as_bytes()).expect("sent");
    }
    for mut stream in streams {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("read");
        assert!(answer.starts_with("HTTP/1.1 401"));
    }
}

fn refresh_octets(server: &DevServer, token: &str) -> Vec<u8> {
    let form = [("grant_type", "refresh_token"), ("client_id", LOCAL_CLIENT_ID), ("refresh_token", token)];
    let kind = [("content-type", "application/x-www-form-urlencoded")];
    let head = written(server, "POST", TOKEN, &kind, &encode(&form));
    raw(server, head.as_bytes()).unwrap_or_default()
}

/// No octet arrives, and nothing was rotated.
#[test]
fn drop_before_closes_before_the_rotation() {
    let server = server();
    let (_, token) = sign_in(&server);
    server.inject(FaultKind::DropBefore, 1);
    assert!(refresh_octets(&server, &token).is_empty());
    assert_eq!((server.grants().refreshes, last_outcome(&server).as_str()), (0, "fault:drop-before"));
    assert_eq!(server.requests().last().expect("logged").status, 0);
    assert_eq!(refresh(&server, &token, &[]).status, 200);
}

/// No octet arrives, and the token is spent: to use it again is reuse.
#[test]
fn drop_after_closes_after_the_rotation() {
    let server = server();
    let (_, token) = sign_in(&server);
    server.inject(FaultKind::DropAfter, 1);
    assert!(refresh_octets(&server, &token).is_empty());
    assert_eq!((server.grants().refreshes, last_outcome(&server).as_str()), (1, "fault:drop-after"));
    assert_eq!(refresh(&server, &token, &[]).error(), "invalid_grant");
    assert_eq!(server.grants().reuses, 1);
}

/// RFC 9112 §8: less than Content-Length promised.
#[test]
fn fault_truncated_cuts_the_body() {
    let server = server();
    let (_, token) = sign_in(&server);
    server.inject(FaultKind::Truncated, 1);
    let answer = parse(&refresh_octets(&server, &token));
    let promised: usize = answer.header("content-length").expect("a length").parse().expect("a number");
    assert_eq!(answer.status, 200);
    assert!(!answer.body.is_empty() && answer.body.len() < promised);
    assert_eq!(server.grants().refreshes, 1);
}

/// Faults that strike before anything is granted leave the token as it was.
#[test]
fn faults_before_the_grant_rotate_nothing() {
    let server = server();
    let (_, token) = sign_in(&server);
    for (kind, status) in [
        (FaultKind::Status500, 500),
        (FaultKind::Status503, 503),
        (FaultKind::Status429, 429),
        (FaultKind::Status429Date, 429),
        (FaultKind::Html, 200),
        (FaultKind::Redirect, 307),
        (FaultKind::Echo, 400),
    ] {
        server.inject(kind, 1);
        let answer = refresh(&server, &token, &[]);
        assert_eq!(answer.status, status);
        match kind {
            FaultKind::Status503 => assert_eq!(answer.header("retry-after"), Some("1")),
            FaultKind::Status429 => assert_eq!(answer.header("retry-after"), Some("2")),
            FaultKind::Status429Date => {
                assert!(answer.header("retry-after").is_some_and(|d| d.ends_with(" GMT")));
            }
            FaultKind::Html => assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8")),
            FaultKind::Redirect => {
                let to = answer.header("location").expect("a Location");
                assert!(to.starts_with("http://localhost:"), "another origin: {to}");
            }
            _ => {}
        }
    }
    assert_eq!(server.grants().refreshes, 0);
    assert_eq!(refresh(&server, &token, &[]).status, 200);
}

/// Faults in an answer come with a rotated token.
#[test]
fn faults_in_the_answer_rotate() {
    let server = server();
    let (_, mut token) = sign_in(&server);
    type Check = fn(&Answer) -> bool;
    let faults: [(FaultKind, Check); 6] = [
        (FaultKind::OddTokenType, |a| a.json()["token_type"] == "mac"),
        (FaultKind::NoExpiry, |a| a.json().get("expires_in").is_none()),
        (FaultKind::Malformed, |a| serde_json::from_str::<serde_json::Value>(&a.body).is_err()),
        (FaultKind::DuplicateMember, |a| a.body.matches("\"access_token\"").count() == 2),
        (FaultKind::DuplicateRefreshToken, |a| a.body.matches("\"refresh_token\"").count() == 2),
        (FaultKind::Huge, |a| a.body.len() > 2 * 1024 * 1024 && a.json()["token_type"] == "Bearer"),
    ];
    for (n, (kind, holds)) in (1..).zip(faults) {
        server.inject(kind, 1);
        let answer = refresh(&server, &token, &[]);
        assert!(answer.status == 200 && holds(&answer), "{kind:?}");
        assert_eq!(server.grants().refreshes, n, "{kind:?}");
        // What a lenient eye still finds in the answer, so that the chain goes on.
        let at = answer.body.rfind("kdev-rt-").expect("a refresh token");
        token = answer.body[at..at + 51].to_owned();
    }
    assert_eq!(refresh(&server, &token, &[]).status, 200);
}

/// RFC 6749 §6: without a new refresh token the old one stays.
#[test]
fn no_refresh_token_leaves_the_old_one_valid() {
    let server = server();
    let (_, token) = sign_in(&server);
    server.inject(FaultKind::NoRefreshToken, 2);
    for _ in 0..2 {
        assert!(refresh(&server, &token, &[]).json().get("refresh_token").is_none());
    }
    assert_eq!((server.grants().refreshes, server.grants().unrotated), (0, 2));
    assert_eq!(refresh(&server, &token, &[]).status, 200);
}

/// The answer is late, the rotation is not: it happens although the client has gone.
#[test]
fn fault_late_rotates_before_the_delay() {
    // So late that nobody sees the answer.
    let server = start(Options { late: Duration::from_secs(3600), ..Options::default() });
    let (_, next) = sign_in(&server);
    server.inject(FaultKind::Late, 1);
    let form = [("grant_type", "refresh_token"), ("client_id", LOCAL_CLIENT_ID), ("refresh_token", &next)];
    let kind = [("content-type", "application/x-www-form-urlencoded")];
    let mut stream = TcpStream::connect(("127.0.0.1", server.port())).expect("connected");
    stream.write_all(written(&server, "POST", TOKEN, &kind, &encode(&form)).as_bytes()).expect("sent");
    until("it is rotated", || server.grants().refreshes == 1);
    drop(stream);
    assert_eq!(refresh(&server, &next, &[]).error(), "invalid_grant");
    // And it comes, in its time: never before.
    let late = Duration::from_millis(400);
    let server = start(Options { late, ..Options::default() });
    let (_, token) = sign_in(&server);
    server.inject(FaultKind::Late, 1);
    let began = std::time::Instant::now();
    tokens(&refresh(&server, &token, &[]));
    assert!(began.elapsed() >= late);
}

/// The head comes at once, the body drips, and all of it arrives.
#[test]
fn fault_slow_body_sends_in_pieces() {
    let server = start(Options { late: Duration::from_millis(400), ..Options::default() });
    let (_, token) = sign_in(&server);
    server.inject(FaultKind::SlowBody, 1);
    let began = std::time::Instant::now();
    tokens(&refresh(&server, &token, &[]));
    assert!(began.elapsed() >= Duration::from_millis(380), "no piece comes before its time");
}

/// A distant server goes on although its client has left.
#[test]
fn a_held_request_is_processed_although_its_client_has_gone() {
    let server = server();
    let (_, token) = sign_in(&server);
    server.hold();
    let form = [("grant_type", "refresh_token"), ("client_id", LOCAL_CLIENT_ID), ("refresh_token", &token)];
    let kind = [("content-type", "application/x-www-form-urlencoded")];
    let mut stream = TcpStream::connect(("127.0.0.1", server.port())).expect("connected");
    stream.write_all(written(&server, "POST", TOKEN, &kind, &encode(&form)).as_bytes()).expect("sent");
    until("it is on its way", || server.held() == 1);
    assert_eq!(server.grants().refreshes, 0);
    drop(stream);
    server.release();
    until("it is rotated after its client had gone", || server.grants().refreshes == 1);
}

/// What is held is let through one by one, or all at once.
#[test]
fn held_requests_are_let_through() {
    let server = server();
    server.hold();
    let ask = || get(&server, "/v1/whoami", &[]).status;
    std::thread::scope(|scope| {
        let asking: Vec<_> = (0..3).map(|_| scope.spawn(ask)).collect();
        until("three are held", || server.held() == 3);
        assert!(server.requests().is_empty());
        server.let_through(1);
        until("one was answered", || server.requests().len() == 1);
        assert_eq!(server.held(), 2);
        server.release();
        assert!(asking.into_iter().all(|asking| asking.join().expect("answered") == 401));
    });
    assert_eq!((ask(), server.held()), (401, 0));
}

/// What `echo` repeats is really there: a search for leaks that finds nothing has looked at something.
#[test]
fn an_echo_repeats_what_it_was_sent() {
    let server = server();
    let (_, token) = sign_in(&server);
    server.inject(FaultKind::Echo, 1);
    let answer = refresh(&server, &token, &[]);
    let said = answer.body;
    for form in [token.clone(), BASE64_STANDARD.encode(&token), BASE64_URL_SAFE_NO_PAD.encode(&token)] {
        assert!(said.contains(&form), "{said}");
    }
}

/// A fault for the code grant leaves refreshing alone.
#[test]
fn a_fault_strikes_its_own_grant() {
    let server = server();
    let (_, token) = sign_in(&server);
    server.inject(Fault { grant: FaultGrant::Code, kind: FaultKind::Status503 }, 1);
    assert_eq!(refresh(&server, &token, &[]).status, 200);
    let code = code(&server, &[]);
    assert_eq!(exchange(&server, &code, &[]).status, 503);
    assert_eq!(exchange(&server, &code, &[]).status, 200);
}

/// No token, code, secret or query is ever logged, in memory or in the file.
#[test]
fn the_log_holds_no_secret() {
    let folder = Folder::new("log");
    let file = folder.0.join("log.jsonl");
    let server = start(Options { log: Some(file.clone()), ..Options::default() });
    let code = code(&server, &[("state", "s3cr3t-state")]);
    let (access, token) = tokens(&exchange(&server, &code, &[]));
    let (_, next) = tokens(&refresh(&server, &token, &[]));
    get(&server, &format!("/v1/whoami/{access}?t={token}"), &[("x-api-key", "kdev-ak-local")]);
    post(&server, TOKEN, &[], &[("grant_type", &token), ("client_id", &next)]);
    request(
        &server,
        "POST",
        TOKEN,
        &[("content-type", "application/x-www-form-urlencoded")],
        &format!("client_id={next}"),
    );
    let text = std::fs::read_to_string(&file).expect("a log");
    let memory = format!("{:?}", server.requests());
    for secret in
        [&code, &access, &token, &next, "s3cr3t-state", VERIFIER, CHALLENGE, "kdev-ak-local", "dev@example"]
    {
        assert!(!text.contains(secret) && !memory.contains(secret), "{secret}");
    }
    let lines: Vec<serde_json::Value> =
        text.lines().map(|l| serde_json::from_str(l).expect("JSON")).collect();
    assert_eq!(lines.len(), server.requests().len());
    assert_eq!(lines[1]["outcome"], "code-exchanged");
    assert_eq!(lines[2]["outcome"], "rotated");
    assert_eq!(lines[2]["grant_type"], "refresh_token");
    assert_eq!(lines[2]["client_id"], LOCAL_CLIENT_ID);
    assert_eq!(lines[1]["family"], lines[2]["family"]);
}

/// A restart keeps logins and what was spent; the file is private and holds no token.
#[test]
fn a_state_file_keeps_logins_over_a_restart() {
    let folder = Folder::new("state");
    let file = folder.0.join("state.json");
    let options = || Options { state: Some(file.clone()), ..Options::default() };
    let server = start(options());
    let (access, first) = sign_in(&server);
    let (_, second) = tokens(&refresh(&server, &first, &[]));
    assert!(server.take_state_problem().is_none());
    server.stop();
    let text = std::fs::read_to_string(&file).expect("a state file");
    assert!(!text.contains("kdev-"), "digests only");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(std::fs::metadata(&file).expect("a file").permissions().mode() & 0o777, 0o600);
    }
    let server = start(options());
    assert_eq!(whoami(&server, &access).status, 200);
    let (_, third) = tokens(&refresh(&server, &second, &[]));
    server.stop();
    let server = start(options());
    assert_eq!(refresh(&server, &first, &[]).error(), "invalid_grant");
    assert_eq!(server.grants().reuses, 1, "what was spent stays spent");
    server.stop();
    let server = start(options());
    assert_eq!(refresh(&server, &third, &[]).error(), "invalid_grant", "what was revoked stays revoked");
    drop(server);
    std::fs::write(&file, "{").expect("written");
    let refused = DevServer::start(Options { port: 0, ..options() });
    assert!(matches!(refused, Err(StartError::State(..))), "a broken file is not an empty one");
}

/// A state file that cannot be written is found out at the start, not at the first login.
#[test]
fn a_state_file_that_cannot_be_written_is_refused() {
    let folder = Folder::new("unwritable");
    let state = Some(folder.0.join("missing").join("state.json"));
    let refused = DevServer::start(Options { port: 0, state, ..Options::default() });
    assert!(matches!(refused, Err(StartError::State(..))));
}

/// A taken port is an error, a stopped server gives it back.
#[test]
fn a_port_is_taken_once_and_given_back() {
    let server = server();
    let port = server.port();
    let again = DevServer::start(Options { port, ..Options::default() });
    assert!(matches!(again, Err(StartError::Bind(..))));
    stops(server);
    DevServer::start(Options { port, ..Options::default() }).expect("free again").stop();
}

/// Stopping does not wait for clients that keep a connection open, with or without a request.
#[test]
fn idle_connections_do_not_hold_a_stop_up() {
    let server = server();
    let silent = TcpStream::connect(("127.0.0.1", server.port())).expect("connected");
    let mut idle = TcpStream::connect(("127.0.0.1", server.port())).expect("connected");
    let keep = written(&server, "GET", "/v1/whoami", &[], "").replace("connection: close\r\n", "");
    idle.write_all(keep.as_bytes()).expect("sent");
    let mut some = [0; 12];
    idle.read_exact(&mut some).expect("answered");
    stops(server);
    drop((silent, idle));
}

/// `Date` follows the server's own clock.
#[test]
fn the_date_follows_the_turned_clock() {
    let server = server();
    server.advance(86_400 * 365);
    let date = get(&server, "/v1/whoami", &[]).header("date").expect("a date").to_owned();
    let then = httpdate::parse_http_date(&date).expect("an HTTP-date");
    let ahead = then.duration_since(std::time::SystemTime::now()).expect("in the future");
    assert!(ahead > Duration::from_secs(86_400 * 364));
}

/// A folder of its own, gone afterwards.
struct Folder(std::path::PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("keyfob-dev-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// `--fault` and `--client` words arm a server from its start.
#[test]
fn words_of_the_command_line_configure_a_server() {
    let faults = vec!["503=1".parse().expect("a fault"), "no-expiry=1".parse().expect("a fault")];
    let clients = vec!["machine:secret".parse().expect("a client")];
    let server = start(Options { faults, clients, ..Options::default() });
    let (_, token) = sign_in(&server);
    assert_eq!(refresh(&server, &token, &[]).status, 503);
    assert!(refresh(&server, &token, &[]).json().get("expires_in").is_none());
    let form = [("grant_type", "client_credentials"), ("client_id", "machine"), ("client_secret", "secret")];
    assert_eq!(post(&server, TOKEN, &[], &form).status, 200);
    let twins = vec!["x".parse().expect("a client"), "x:y".parse().expect("a client")];
    let refused = DevServer::start(Options { port: 0, clients: twins, ..Options::default() });
    assert!(matches!(refused, Err(StartError::TwoClients(id)) if id == "x"));
}
