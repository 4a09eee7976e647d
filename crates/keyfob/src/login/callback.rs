//! The loopback redirect of a native application (RFC 8252 §7.3): one port, one path, one response.
//!
//! Browsers request more than the callback: icons, previews, a second tab. Any web page can make them request
//! anything. None of that ends the wait; only a request with the right `Host`, method, path and `state` does.
//!
//! No thread is needed: the waiting thread also accepts. Connections are bounded in number and in time, and the oldest
//! makes room for the newest.

use std::{
    collections::VecDeque,
    io::{self, Read},
    net::{SocketAddr, TcpListener, TcpStream},
    time::Duration,
};

use keyfob_core::{Cause, Error, Id, Result, provider::environment::Environment};
use rustix::{
    event::{PollFd, PollFlags, poll},
    fs::Timespec,
};

use crate::{
    login::{
        closing_page::{Closing, notice, respond},
        peer,
        ports::{both, one},
        visit::{self, LARGEST, OPEN, PATH, Visit},
    },
    world::{Clock, failure, system::clock::SystemClock},
};

/// How long a connection may take for its whole head.
const WHOLE: Duration = Duration::from_secs(5);
/// How long what is still on its way is read after an answer: closing before would take the answer back.
const LINGER: Duration = Duration::from_secs(2);
/// So many connections at once. A browser opens a few ahead and says nothing on them.
const MOST: usize = 64;
/// The pause after a connection that could not be accepted, and the longest look at once.
const AGAIN: Duration = Duration::from_millis(20);

/// The address a redirect names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Host {
    /// `127.0.0.1`, the recommended literal (RFC 8252 §8.3); `[::1]` on a machine that has no other.
    #[default]
    Literal,
    /// `localhost`: both address families are bound, because it is unknown which one the browser uses.
    Name,
}

/// The redirect address to register at the provider for this environment: with the port where that is fixed, and without
/// one where the provider must take any (RFC 8252 §7.3).
#[must_use]
pub fn to_register(environment: &Environment) -> String {
    let host = if environment.redirect_is_name { "localhost" } else { "127.0.0.1" };
    let port = environment.port.map(|port| format!(":{port}")).unwrap_or_default();
    format!("http://{host}{port}{PATH}")
}

/// A bound callback address, waiting. Dropping it frees the port.
pub struct Loopback {
    host: &'static str,
    port: u16,
    listeners: Vec<TcpListener>,
    visitors: VecDeque<Visitor>,
    arrived: VecDeque<Arrival>,
    /// How it ended, once it has.
    closing: Option<Closing>,
    closing_pages: usize,
    opening: Option<Opening>,
}

/// Something that matters to the sign-in.
pub enum Arrival {
    /// A request for the callback path, from any sender.
    Callback(Callback),
    /// An answer is not possible: what was shown in the browser, for the terminal too.
    Hindered {
        /// The query of its request, by which the attempt knows whether it was its own. `None`: it was.
        query: Option<String>,
        /// What is in the way.
        error: Error,
    },
}

/// A request for the callback path. Dropping it closes the connection without a response.
pub struct Callback {
    /// Its query, without the question mark.
    pub query: String,
    stream: TcpStream,
}

/// The page that begins the sign-in.
struct Opening {
    path: String,
    to: String,
    given: bool,
}

/// One connection.
struct Visitor {
    stream: TcpStream,
    peer: SocketAddr,
    head: Vec<u8>,
    /// Answered already: the rest is read and forgotten.
    answered: bool,
    until: Duration,
}

impl Loopback {
    /// Binds before the address is announced. Port 0 lets the system choose.
    ///
    /// # Errors
    /// [`Id::Unreachable`] when the port is taken or there is no loopback.
    pub fn bind(host: Host, port: u16) -> Result<Self> {
        let failed = |error: io::Error| {
            let what = match port {
                0 => "no port can be listened on for the callback".to_owned(),
                _ => format!("port {port} cannot be listened on for the callback"),
            };
            failure::failed(Id::Unreachable, what, error).because(Cause::PortTaken { port: port.into() })
        };
        let (host, listeners) = match host {
            Host::Literal => one(port).map_err(failed)?,
            Host::Name => ("localhost", both(port).map_err(failed)?),
        };
        for listener in &listeners {
            listener.set_nonblocking(true).map_err(failed)?;
        }
        let port = listeners[0].local_addr().map_err(failed)?.port();
        let (visitors, arrived) = (VecDeque::new(), VecDeque::new());
        Ok(Self { host, port, listeners, visitors, arrived, closing: None, closing_pages: 0, opening: None })
    }

    /// The redirect URI to register and to send.
    #[must_use]
    pub fn redirect_uri(&self) -> String {
        format!("http://{}:{}{PATH}", self.host, self.port)
    }

    /// The address of a page that redirects to `to`. A browser's arguments can be read by every user of the machine, so
    /// they must hold neither `state` nor challenge: this address reveals nothing, and is answered for this user alone.
    /// If the system does not say whose a connection is, it is answered once.
    pub fn open_through(&mut self, name: &str, to: String) -> String {
        let path = format!("{OPEN}{name}");
        let address = format!("http://{}:{}{path}", self.host, self.port);
        self.opening = Some(Opening { path, to, given: false });
        address
    }

    /// How it ended: a browser that was sent to the closing page gets this one.
    pub(super) fn set_closing(&mut self, closing: Closing) {
        self.closing = Some(closing);
        self.closing_pages = 0;
    }

    /// Gives so many tabs the moment they need to follow to the closing page.
    pub fn wait_for_closing_pages(&mut self, tabs: usize, wait: Duration) {
        let end = SystemClock.stopwatch() + wait;
        // By the clock, and by turns: on a busy machine a browser has fewer of them in the same time, as this has.
        let mut looks = wait.as_millis() / AGAIN.as_millis();
        while self.closing_pages < tabs && (SystemClock.stopwatch() < end || looks > 0) {
            self.look(SystemClock.stopwatch() + AGAIN);
            looks = looks.saturating_sub(1);
        }
    }

    /// The next thing that matters, within so long.
    pub fn next(&mut self, wait: Duration) -> Option<Arrival> {
        let end = SystemClock.stopwatch() + wait;
        loop {
            if let Some(arrival) = self.arrived.pop_front() {
                return Some(arrival);
            }
            let over = SystemClock.stopwatch() >= end;
            self.look(end);
            if over {
                return self.arrived.pop_front();
            }
        }
    }

    /// Waits for a moment for input on any connection, and reads them all.
    fn look(&mut self, end: Duration) {
        let now = SystemClock.stopwatch();
        let wait = end.saturating_sub(now).min(AGAIN);
        let timeout = Timespec { tv_sec: 0, tv_nsec: wait.subsec_nanos().into() };
        let mut waiting: Vec<_> =
            self.visitors.iter().map(|v| PollFd::new(&v.stream, PollFlags::IN)).collect();
        waiting.extend(self.listeners.iter().map(|listener| PollFd::new(listener, PollFlags::IN)));
        if poll(&mut waiting, Some(&timeout)).is_err() {
            SystemClock.sleep(wait);
        }
        drop(waiting);
        // Those that are connected first: no connection is dropped whose request is already complete.
        self.hear();
        self.accept();
        self.hear();
    }

    /// Accepts pending connections. When the limit is reached, the oldest one without a request that matters is
    /// closed.
    fn accept(&mut self) {
        let until = SystemClock.stopwatch() + WHOLE;
        for at in 0..self.listeners.len() {
            for _ in 0..MOST {
                match self.listeners[at].accept() {
                    Ok((stream, peer)) => {
                        // Checked in case a routing mistake lets another host connect.
                        if !peer.ip().is_loopback() || stream.set_nonblocking(true).is_err() {
                            continue;
                        }
                        let head = Vec::new();
                        self.visitors.push_back(Visitor { stream, peer, head, answered: false, until });
                        if self.visitors.len() > MOST
                            && let Some(oldest) = self.visitors.pop_front()
                        {
                            drop(self.hear_one(oldest));
                        }
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    // Out of descriptors: the oldest gives its own away.
                    Err(_) if self.visitors.pop_front().is_some() => {}
                    Err(_) => {
                        SystemClock.sleep(AGAIN);
                        break;
                    }
                }
            }
        }
    }

    fn hear(&mut self) {
        for _ in 0..self.visitors.len() {
            let Some(visitor) = self.visitors.pop_front() else { return };
            if let Some(visitor) = self.hear_one(visitor) {
                self.visitors.push_back(visitor);
            }
        }
    }

    /// Reads what one of them has said. `None`: they have gone, or what they brought was taken over.
    fn hear_one(&mut self, mut visitor: Visitor) -> Option<Visitor> {
        let mut chunk = [0; 16 * 1024];
        while SystemClock.stopwatch() < visitor.until {
            match visitor.stream.read(&mut chunk) {
                Ok(0) => return None,
                Ok(_) if visitor.answered => {}
                Ok(read) => {
                    let known = visitor.head.len().saturating_sub(3);
                    visitor.head.extend_from_slice(&chunk[..read]);
                    let whole = visitor.head[known..].windows(4).any(|end| end == b"\r\n\r\n");
                    if whole || visitor.head.len() > LARGEST {
                        return self.answer(visitor, whole);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Some(visitor),
                Err(_) => return None,
            }
        }
        None
    }

    fn answer(&mut self, mut visitor: Visitor, whole: bool) -> Option<Visitor> {
        let names = [self.host, "127.0.0.1", "[::1]"].map(|host| format!("{host}:{}", self.port));
        let head = std::mem::take(&mut visitor.head);
        let stream = &visitor.stream;
        match visit::of(&head, whole, &names) {
            Visit::Callback { query } if peer::is_another_users(stream, visitor.peer) => {
                let why = "it came from a process of another user of this machine";
                self.hinder(stream, "403 Forbidden", Some(query), why);
            }
            Visit::Callback { query } => {
                let callback = Callback { query, stream: visitor.stream };
                self.arrived.push_back(Arrival::Callback(callback));
                return None;
            }
            Visit::TooLarge { query } => {
                let why = "the browser sent more than 256 KiB of headers with it, most likely cookies for this host";
                self.hinder(stream, "431 Request Header Fields Too Large", query, why);
            }
            Visit::Other { path } if self.opening.as_ref().is_some_and(|page| page.path == path) => {
                self.open(&visitor);
            }
            Visit::Other { .. } => respond(stream, "404 Not Found", &[], ""),
            // It says who signed in: for this user alone, and not before there is a result.
            Visit::Closing => match &self.closing {
                Some(closing) if !peer::is_another_users(stream, visitor.peer) => {
                    respond(stream, "200 OK", &[], &closing.page);
                    self.closing_pages += 1;
                }
                _ => respond(stream, "404 Not Found", &[], ""),
            },
            Visit::Refused { status, headers } => respond(stream, status, headers, ""),
        }
        visitor.answered = true;
        visitor.until = SystemClock.stopwatch() + LINGER;
        Some(visitor)
    }

    /// Sends this user's browser on to the sign-in page.
    fn open(&mut self, visitor: &Visitor) {
        let Some(opening) = &mut self.opening else { return };
        let owner = peer::owner(&visitor.stream, visitor.peer);
        if peer::is_another(owner) {
            respond(&visitor.stream, "404 Not Found", &[], "");
        } else if owner.is_some() || !opening.given {
            opening.given = true;
            respond(&visitor.stream, "302 Found", &[("Location", &opening.to)], "");
        } else {
            let text = "Open the long address that the terminal shows instead.";
            respond(
                &visitor.stream,
                "410 Gone",
                &[],
                &notice("This address has been opened already", &[text]),
            );
            let what = "the address that begins this sign-in was opened twice";
            let why = "if that was not you, another user of this machine did, and may answer in your place";
            let error = Error::new(Id::StateMismatch, what, why).because(Cause::OpenedTwice {});
            self.arrived.push_back(Arrival::Hindered { query: None, error });
        }
    }

    /// Says on both sides what is in the way of an answer, and the way round.
    fn hinder(&mut self, stream: &TcpStream, status: &str, query: Option<String>, why: &str) {
        let texts = [why, "Copy the address of this page, and paste it into the terminal"];
        respond(stream, status, &[], &notice("This answer could not be taken", &texts));
        let Some(query) = query else { return };
        let error = Error::new(Id::CallbackInvalid, "the answer of the sign-in page was not taken", why)
            .because(Cause::AnswerNotTaken {});
        self.arrived.push_back(Arrival::Hindered { query: Some(query), error });
    }
}

impl Callback {
    /// Sends the browser on to a page without code or state in its address, and shows it there.
    pub(super) fn finish(self, path: &str) {
        respond(&self.stream, "303 See Other", &[("Location", path)], "");
    }

    /// Tells the browser that this was not the expected answer.
    pub fn refuse(self) {
        let text = "Go back to the tab that keyfob opened, or start again with `keyfob login`";
        let page = notice("This is not the answer keyfob is waiting for", &[text]);
        respond(&self.stream, "400 Bad Request", &[], &page);
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;
    use crate::login::closing_page::For;
    use std::{io::Write, thread};

    const SOON: Duration = Duration::from_secs(20);

    /// What is answered during a wait.
    fn ask(loopback: &mut Loopback, request: &str) -> (String, Vec<Arrival>) {
        let port = loopback.port;
        let request = request.replace("PORT", &port.to_string());
        let visitor = move || {
            let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
            stream.write_all(request.as_bytes()).unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            answer
        };
        let visitor = thread::Builder::new().spawn(visitor).unwrap();
        let mut arrived = Vec::new();
        while !visitor.is_finished() {
            match loopback.next(AGAIN) {
                Some(Arrival::Callback(callback)) => {
                    let query = callback.query.clone();
                    callback.finish("/signed-in");
                    let error = Error::new(Id::Bug, "finished", "");
                    arrived.push(Arrival::Hindered { query: Some(query), error });
                }
                other => arrived.extend(other),
            }
        }
        (visitor.join().unwrap(), arrived)
    }

    #[test]
    fn strangers_do_not_end_the_wait() {
        let mut loopback = Loopback::bind(Host::Literal, 0).unwrap();
        for (request, status) in [
            ("GET /favicon.ico HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\n\r\n", "404"),
            ("HEAD /callback?code=c HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\n\r\n", "204"),
            ("GET /callback?code=c HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\nSec-Purpose: prefetch\r\n\r\n", "503"),
            ("GET /callback?code=c HTTP/1.1\r\nHost: rebound.example:PORT\r\n\r\n", "400"),
            ("GET /callback?code=c HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\nHost: 127.0.0.1:PORT\r\n\r\n", "400"),
            ("GET /callback?code=c HTTP/1.1\r\n\r\n", "400"),
            (
                "GET http://rebound.example:PORT/callback?code=c HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\n\r\n",
                "400",
            ),
            ("GET /open/guessed HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\n\r\n", "404"),
            ("POST /callback HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\n\r\n", "405"),
            ("nonsense\r\n\r\n", "400"),
        ] {
            let (answer, arrived) = ask(&mut loopback, request);
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{request}: {answer}");
            assert!(arrived.is_empty(), "{request}");
        }
    }

    #[test]
    fn the_answer_leaves_no_code_in_the_address_bar() {
        let mut loopback = Loopback::bind(Host::Literal, 0).unwrap();
        let request = "GET /callback?code=c&state=s HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\n\r\n";
        let (answer, arrived) = ask(&mut loopback, request);
        let [Arrival::Hindered { query: Some(query), .. }] = &arrived[..] else { panic!("one callback") };
        assert_eq!(query, "code=c&state=s");
        assert!(
            answer.starts_with("HTTP/1.1 303") && answer.contains("\r\nLocation: /signed-in\r\n"),
            "{answer}"
        );
    }

    /// The result is shown only once there is one, then on every request, by whatever name.
    #[test]
    fn the_closing_page_is_told_when_there_is_an_end() {
        let mut loopback = Loopback::bind(Host::Literal, 0).unwrap();
        let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\n\r\n");
        for path in ["/signed-in", "/not-signed-in"] {
            assert!(ask(&mut loopback, &get(path)).0.starts_with("HTTP/1.1 404"));
        }
        let error = Error::new(Id::LoginDenied, "signing in was refused", "the provider said access_denied");
        let meant = For { profile: Some("default"), issuer: "https://id.example" };
        loopback.set_closing(Closing::failed(&error, meant));
        for path in ["/signed-in", "/not-signed-in", "/not-signed-in"] {
            let (page, arrived) = ask(&mut loopback, &get(path));
            assert!(page.contains("You are not signed in") && page.contains("access_denied"), "{page}");
            assert!(page.contains("frame-ancestors 'none'") && arrived.is_empty());
        }
        assert_eq!(loopback.closing_pages, 3);
    }

    /// Connections that send little and stay long: the newest is served nevertheless, and the oldest is closed.
    #[test]
    fn slow_strangers_make_room() {
        let mut loopback = Loopback::bind(Host::Literal, 0).unwrap();
        let mut strangers = Vec::new();
        for at in 0..3 * MOST {
            let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, loopback.port)).unwrap();
            stream.write_all(b"G").unwrap();
            strangers.push(stream);
            if at % 8 == 0 {
                assert!(loopback.next(Duration::ZERO).is_none());
            }
            assert!(loopback.visitors.len() <= MOST);
        }
        let request = "GET /callback?code=c&state=s HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\n\r\n";
        let (answer, _) = ask(&mut loopback, request);
        assert!(answer.starts_with("HTTP/1.1 303"), "{answer}");
        strangers[0].set_read_timeout(Some(SOON)).unwrap();
        assert!(!matches!(strangers[0].read(&mut [0]), Ok(1)), "the oldest has gone");
    }

    /// A drop at a time does not keep a connection: the bound is for all of it.
    #[test]
    fn a_connection_has_one_deadline() {
        let mut loopback = Loopback::bind(Host::Literal, 0).unwrap();
        let mut stranger = TcpStream::connect((Ipv4Addr::LOCALHOST, loopback.port)).unwrap();
        while loopback.visitors.is_empty() {
            loopback.next(Duration::ZERO);
        }
        let until = loopback.visitors[0].until;
        stranger.write_all(b"GET ").unwrap();
        while loopback.visitors[0].head.is_empty() {
            loopback.next(Duration::ZERO);
        }
        assert_eq!(loopback.visitors[0].until, until, "a word more does not move it");
        loopback.visitors[0].until = Duration::ZERO;
        loopback.next(Duration::ZERO);
        assert!(loopback.visitors.is_empty());
    }

    /// A limit of ours is said to the browser and to the terminal, and the answer to it is not lost on the way.
    #[test]
    fn a_limit_is_said_on_both_sides() {
        let mut loopback = Loopback::bind(Host::Literal, 0).unwrap();
        let with = |cookies: usize| {
            let cookies = "x".repeat(cookies);
            format!("GET /callback?code=c HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\nCookie: {cookies}\r\n\r\n")
        };
        let (answer, _) = ask(&mut loopback, &with(60 * 1024));
        assert!(answer.starts_with("HTTP/1.1 303"), "{answer}");
        let (answer, arrived) = ask(&mut loopback, &with(2 * LARGEST));
        assert!(
            answer.starts_with("HTTP/1.1 431") && answer.contains("paste it into the terminal"),
            "{answer}"
        );
        let [Arrival::Hindered { query: Some(query), error }] = &arrived[..] else { panic!("it is told") };
        assert_eq!(query, "code=c");
        assert!(error.why().contains("cookies"), "{error}");
    }

    /// What stands in a browser's arguments leads to the sign-in page and holds nothing of it.
    #[test]
    fn the_opening_page_sends_on() {
        let mut loopback = Loopback::bind(Host::Literal, 0).unwrap();
        let address = loopback.open_through("0a1b", "https://id.example/authorize?state=s".into());
        assert!(address.ends_with("/open/0a1b") && !address.contains("state"), "{address}");
        // If the kernel says that it is this user, any number of times.
        for _ in 0..2 {
            let (answer, arrived) =
                ask(&mut loopback, "GET /open/0a1b HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\n\r\n");
            assert!(answer.contains("\r\nLocation: https://id.example/authorize?state=s\r\n"), "{answer}");
            assert!(answer.contains("\r\nReferrer-Policy: no-referrer\r\n") && arrived.is_empty());
        }
    }

    /// where the redirect is a name, both families are bound before it is shown.
    #[test]
    fn a_name_is_bound_in_both_families() {
        let loopback = Loopback::bind(Host::Name, 0).unwrap();
        assert!(loopback.redirect_uri().starts_with("http://localhost:"));
        let port = loopback.port;
        assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok());
        // A machine without IPv6 has nothing to bind there; then nothing else can be bound either.
        match TcpListener::bind((Ipv6Addr::LOCALHOST, port)) {
            Ok(_) => panic!("::1 was left unbound"),
            Err(_) => assert!(TcpStream::connect((Ipv6Addr::LOCALHOST, port)).is_ok() || !has_v6()),
        }
    }

    /// the port is free as soon as the wait is over, also in a host that goes on running.
    #[test]
    fn the_port_is_released() {
        let is_released = || {
            let loopback = Loopback::bind(Host::Name, 0).unwrap();
            let port = loopback.port;
            assert!(TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_err());
            drop(loopback);
            Loopback::bind(Host::Name, port).is_ok()
        };
        // A free port may become somebody else's in the same moment.
        assert!((0..10).any(|_| is_released()));
    }

    /// A port that another process has in one family is not bound in the other: the browser might go there.
    #[test]
    fn a_port_taken_in_one_family_is_taken() {
        let theirs = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = theirs.local_addr().unwrap().port();
        for host in [Host::Literal, Host::Name] {
            let error = Loopback::bind(host, port).err().expect("it is taken");
            assert!(error.what().contains(&port.to_string()), "{error}");
        }
    }

    fn has_v6() -> bool {
        TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok()
    }
}
