//! A proxy that is replaced, and one that is killed, while many send requests through it.
#![expect(clippy::disallowed_methods, reason = "tests start real programs, and threads that ask")]

use std::{
    collections::HashMap,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    os::{
        fd::OwnedFd,
        unix::net::{UnixListener, UnixStream},
    },
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
};

use keyfob_testkit::{
    Sandbox, program, token_requests, until,
    upstream::{Asked, Conversation, Upstream},
};

use crate::proxy::may_go_to;

const REQUESTS: usize = 240;
const ASKERS: usize = 8;

/// A proxy at the socket of a service manager.
fn at(s: &Sandbox, listener: &UnixListener, api: &Upstream) -> Child {
    let mut command = s.command("sh");
    let script = "exec env LISTEN_PID=$$ LISTEN_FDS=1 \"$0\" proxy --to \"$1\" 3<&0 </dev/null";
    command.args(["-c", script, program(), &api.origin()]);
    command.stdin(Stdio::from(OwnedFd::from(listener.try_clone().expect("a descriptor"))));
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().expect("it starts");
    // It serves when it says where.
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
    assert!(!line.is_empty(), "it did not listen");
    child
}

fn signal(proxy: &Child, signal: &str) {
    let kill = Command::new("kill").args([signal, &proxy.id().to_string()]).status().expect("kill runs");
    assert!(kill.success());
}

/// Answers a 401 to this token, what it was sent to others, and at `/events` what the test says.
fn echo(old: String, said: mpsc::Receiver<&'static str>) -> Upstream {
    let said = Mutex::new(said);
    Upstream::start(move |asked: &Asked, talk: &mut Conversation| {
        let body = talk.body(asked);
        if asked.path == "/events" {
            talk.say("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
            let said = said.lock().expect("no panic");
            for text in said.iter() {
                talk.say(format!("{:x}\r\n{text}\r\n", text.len()));
            }
            talk.say("0\r\n\r\n");
            return;
        }
        let status = if asked.one("authorization") == Some(&old) { 401 } else { 200 };
        talk.answer(status, "", body);
    })
}

/// Why there is no whole answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cut {
    /// The connection was closed before this answer had begun: one on which there had been answers before, or one that had been
    /// made a while before anything was said on it. Nobody has seen the request (RFC 9112 section 9.3.1), or it would be seen twice.
    Unheard,
    /// Any other way.
    Anyhow,
}

/// A client that keeps its connection, as long as it may.
struct Client<'a> {
    socket: &'a Path,
    kept: Option<BufReader<UnixStream>>,
}

impl Client<'_> {
    fn ask(&mut self, id: &str) -> Result<(u16, String), Cut> {
        let mut stream = self.kept.take().unwrap_or_else(|| {
            BufReader::new(UnixStream::connect(self.socket).expect("the manager listens"))
        });
        let request =
            format!("POST /v1 HTTP/1.1\r\nhost: x\r\nx-id: {id}\r\ncontent-length: {}\r\n\r\n{id}", id.len());
        let sent = stream.get_mut().write_all(request.as_bytes());
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            match stream.read_line(&mut head) {
                Ok(1..) => {}
                _ if head.is_empty() => return Err(Cut::Unheard),
                _ => return Err(Cut::Anyhow),
            }
        }
        sent.map_err(|_| Cut::Anyhow)?;
        let head = head.to_ascii_lowercase();
        let line = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let length = line("content-length:").and_then(|length| length.parse().ok()).expect("a length");
        let mut body = vec![0; length];
        stream.read_exact(&mut body).map_err(|_| Cut::Anyhow)?;
        if line("connection:") != Some("close") {
            self.kept = Some(stream);
        }
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        Ok((status, String::from_utf8(body).expect("text")))
    }
}

/// Sends so many requests, and calls that when a quarter has been answered. What was cut in one of these ways is sent again.
fn ask(socket: &Path, again: &[Cut], meanwhile: impl FnOnce()) {
    let answered = AtomicUsize::new(0);
    thread::scope(|scope| {
        let askers: Vec<_> = (0..ASKERS)
            .map(|asker| {
                let answered = &answered;
                scope.spawn(move || {
                    let mut client = Client { socket, kept: None };
                    for number in 0..REQUESTS / ASKERS {
                        let id = format!("{asker}/{number}");
                        let answer = loop {
                            match client.ask(&id) {
                                Ok(answer) => break answer,
                                Err(cut) => assert!(again.contains(&cut), "request {id}: {cut:?}"),
                            }
                        };
                        assert_eq!(answer, (200, id));
                        answered.fetch_add(1, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        until("a quarter of the answers", || {
            (answered.load(Ordering::Relaxed) >= REQUESTS / 4).then_some(())
        });
        meanwhile();
        for asker in askers {
            asker.join().expect("all were answered");
        }
    });
}

/// How often each request came to the API with a token that it takes.
fn seen(api: &Upstream, old: &str) -> HashMap<String, usize> {
    let mut seen = HashMap::new();
    for asked in api.asked() {
        if let (Some(id), true) = (asked.one("x-id"), asked.one("authorization") != Some(old)) {
            *seen.entry(id.to_owned()).or_default() += 1;
        }
    }
    seen
}

struct Stage {
    s: Sandbox,
    api: Upstream,
    old: String,
    listener: UnixListener,
    say: mpsc::Sender<&'static str>,
}

fn stage() -> Stage {
    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    let old = format!("Bearer {}", s.token());
    let (say, said) = mpsc::channel();
    let api = echo(old.clone(), said);
    may_go_to(&s, &api);
    let listener = UnixListener::bind(s.path().join("manager.sock")).expect("a socket");
    Stage { s, api, old, listener, say }
}

/// One that is told to end, as by an upgrade, answers whom it has heard, and streams to their end; the rest waits in the socket for
/// the next one. No request is lost and none is sent twice.
#[test]
fn a_proxy_that_is_replaced_loses_no_request_and_no_stream() {
    let Stage { s, api, old, listener, say } = stage();
    let socket = s.path().join("manager.sock");
    let mut first = at(&s, &listener, &api);
    let mut stream = UnixStream::connect(&socket).expect("it listens");
    stream.write_all(b"GET /events HTTP/1.1\r\nhost: x\r\n\r\n").expect("it reads");
    say.send("one").expect("it listens");
    let mut events = BufReader::new(stream);
    let mut next = |end: &str| {
        let mut came = String::new();
        while !came.ends_with(end) {
            assert!(events.read_line(&mut came).expect("a line") > 0, "it was cut: {came}");
        }
    };
    next("one\r\n");
    let before = token_requests(&s.server);
    let mut second = None;
    ask(&socket, &[Cut::Unheard], || {
        signal(&first, "-TERM");
        say.send("two").expect("it listens");
        next("two\r\n");
        drop(say);
        next("0\r\n\r\n");
        second = Some(at(&s, &listener, &api));
    });
    assert!(first.wait().expect("it ends").success());
    let seen = seen(&api, &old);
    assert_eq!(seen.len(), REQUESTS);
    assert!(seen.values().all(|times| *times == 1), "{seen:?}");
    assert_eq!(token_requests(&s.server), before + 1);
    let mut second = second.expect("it was started");
    second.kill().and_then(|()| second.wait()).expect("ours");
}

/// Two proxies listen at one socket, and one is killed: what it was answering is cut, and never looks whole. Whoever sends it again
/// is answered by the other one, with the one renewal that they share.
#[test]
fn a_killed_proxy_loses_no_login_and_no_request_that_is_sent_again() {
    let Stage { s, api, old, listener, say } = stage();
    let socket = s.path().join("manager.sock");
    let (mut one, mut other) = (at(&s, &listener, &api), at(&s, &listener, &api));
    let before = token_requests(&s.server);
    ask(&socket, &[Cut::Unheard, Cut::Anyhow], || one.kill().expect("ours"));
    one.wait().expect("it ends");
    assert_eq!(seen(&api, &old).len(), REQUESTS);
    assert_eq!(token_requests(&s.server), before + 1, "they share one renewal");
    assert_ne!(format!("Bearer {}", s.token()), old);
    s.out(&["whoami"]);
    drop(say);
    other.kill().and_then(|()| other.wait()).expect("ours");
}
