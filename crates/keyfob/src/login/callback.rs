//! The loopback redirect of a native application (RFC 8252 §7.3): one port, one path, one answer.
//!
//! Browsers ask for more than the callback: icons, previews, a second tab. A page anywhere can make them ask
//! for anything. None of that ends the wait: only a request with the right Host, method, path and `state`.

use std::{
    io::{self, Read},
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver, Sender},
    },
    thread,
    time::Duration,
};

use keyfob_core::{Error, Id, Result};

use crate::login::closing_page::{page, respond};

/// The path of the callback.
pub const PATH: &str = "/callback";
/// The closing pages.
const SIGNED_IN: &str = "/signed-in";
const NOT_SIGNED_IN: &str = "/not-signed-in";
/// A browser's whole request head; ours are far smaller.
const LARGEST: usize = 16 * 1024;
/// A connection that says nothing for this long is closed.
const QUIET: Duration = Duration::from_secs(5);
/// The pause after a connection that could not be accepted.
const AGAIN: Duration = Duration::from_millis(20);

/// The address a redirect names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Host {
    /// `127.0.0.1`, the recommended literal (RFC 8252 §8.3); `[::1]` on a machine that has no other.
    #[default]
    Literal,
    /// `localhost`: both address families are bound, because nobody knows which one the browser takes.
    Name,
}

/// A bound callback address, waiting. Dropping it frees the port.
pub struct Loopback {
    host: &'static str,
    port: u16,
    requests: Receiver<Callback>,
    closed: Receiver<()>,
    bound: Vec<SocketAddr>,
    over: Arc<AtomicBool>,
}

/// A request for the callback path. Dropping it closes the connection without a word.
pub struct Callback {
    /// Its query, without the question mark.
    pub query: String,
    stream: TcpStream,
}

impl Loopback {
    /// Binds before anybody is told the address. Port 0 lets the system choose.
    ///
    /// # Errors
    /// [`Id::Unreachable`] when the port is taken or there is no loopback.
    pub fn bind(host: Host, port: u16) -> Result<Self> {
        let failed = |error: io::Error| {
            let what = match port {
                0 => "no port for the callback".to_owned(),
                port => format!("port {port} for the callback"),
            };
            Error::caused_by(Id::Unreachable, what, error)
                .hint("go on without it: `keyfob login --paste` asks for the code the page shows")
        };
        let (host, listeners) = match host {
            Host::Literal => one(port).map_err(failed)?,
            Host::Name => ("localhost", both(port).map_err(failed)?),
        };
        let bound: Vec<_> =
            listeners.iter().map(TcpListener::local_addr).collect::<io::Result<_>>().map_err(failed)?;
        let port = bound[0].port();
        let (sender, requests) = mpsc::channel();
        let (closing, closed) = mpsc::channel();
        let over = Arc::new(AtomicBool::new(false));
        for listener in listeners {
            let (sender, closing, over) = (sender.clone(), closing.clone(), Arc::clone(&over));
            thread::spawn(move || accept(&listener, host, port, &sender, &closing, &over));
        }
        Ok(Self { host, port, requests, closed, bound, over })
    }

    /// The redirect URI to register and to send.
    #[must_use]
    pub fn redirect_uri(&self) -> String {
        format!("http://{}:{}{PATH}", self.host, self.port)
    }

    /// Gives so many tabs the moment they need to follow to the closing page.
    pub fn wait_for_closing_pages(&self, tabs: usize, wait: Duration) {
        for _ in 0..tabs {
            if self.closed.recv_timeout(wait).is_err() {
                return;
            }
        }
    }

    /// The next request for the callback path, whoever sent it.
    #[must_use]
    pub fn next(&self, wait: Duration) -> Option<Callback> {
        self.requests.recv_timeout(wait).ok()
    }
}

impl Drop for Loopback {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        // Whoever accepts looks up once more, and ends.
        for address in &self.bound {
            let _ = TcpStream::connect_timeout(address, QUIET);
        }
    }
}

impl Callback {
    /// Sends the browser on to a page without code or state in its address, and shows it there.
    pub fn finish(self, signed_in: bool) {
        let path = if signed_in { SIGNED_IN } else { NOT_SIGNED_IN };
        respond(&self.stream, "303 See Other", &[("Location", path)], "");
    }

    /// Tells the browser that this was not the answer waited for.
    pub fn refuse(self) {
        respond(
            &self.stream,
            "400 Bad Request",
            &[],
            &page(
                "This is not the answer keyfob is waiting for",
                "Go back to the tab that keyfob opened, or start again with keyfob login.",
            ),
        );
    }
}

/// A literal address and what the redirect calls it.
fn one(port: u16) -> io::Result<(&'static str, Vec<TcpListener>)> {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
        Ok(v4) => Ok(("127.0.0.1", vec![v4])),
        Err(error) if lacks_family(&error) => {
            let v6 = TcpListener::bind((Ipv6Addr::LOCALHOST, port)).map_err(|_| error)?;
            Ok(("[::1]", vec![v6]))
        }
        Err(error) => Err(error),
    }
}

/// Both families on one port, which the system chose for the first. Whoever has the port in one of them would get
/// the answers that the browser sends there.
fn both(port: u16) -> io::Result<Vec<TcpListener>> {
    let mut last = None;
    for _ in 0..16 {
        let v4 = match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            Ok(v4) => v4,
            Err(error) if lacks_family(&error) => {
                return Ok(vec![TcpListener::bind((Ipv6Addr::LOCALHOST, port)).map_err(|_| error)?]);
            }
            Err(error) => return Err(error),
        };
        let chosen = v4.local_addr()?.port();
        match TcpListener::bind((Ipv6Addr::LOCALHOST, chosen)) {
            Ok(v6) => return Ok(vec![v4, v6]),
            Err(error) if lacks_family(&error) => return Ok(vec![v4]),
            Err(error) if port == 0 => last = Some(error),
            Err(error) => return Err(error),
        }
    }
    Err(last.unwrap_or_else(|| io::Error::from(io::ErrorKind::AddrInUse)))
}

/// Whether a machine has no loopback of this family. A port that is taken is something else.
fn lacks_family(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrNotAvailable
        || error.raw_os_error() == Some(rustix::io::Errno::AFNOSUPPORT.raw_os_error())
}

fn accept(
    listener: &TcpListener,
    host: &'static str,
    port: u16,
    sender: &Sender<Callback>,
    closing: &Sender<()>,
    over: &AtomicBool,
) {
    loop {
        let accepted = listener.accept();
        if over.load(Ordering::Relaxed) {
            return;
        }
        let stream = match accepted {
            Ok((stream, peer)) if peer_is_loopback(&peer) => stream,
            Ok(_) => continue,
            // Out of descriptors, or a client that left: neither is a reason to stop listening.
            Err(_) => {
                thread::sleep(AGAIN);
                continue;
            }
        };
        let (sender, closing) = (sender.clone(), closing.clone());
        // A connection of its own thread: a browser opens some ahead and says nothing on them.
        thread::spawn(move || match handle(stream, host, port) {
            Some(Asked::Callback(callback)) => drop(sender.send(callback)),
            Some(Asked::ClosingPage) => drop(closing.send(())),
            None => {}
        });
    }
}

fn peer_is_loopback(peer: &SocketAddr) -> bool {
    peer.ip().is_loopback()
}

/// A request that matters.
enum Asked {
    Callback(Callback),
    ClosingPage,
}

/// Answers one request. `None`: it was nothing of ours, and has been told so.
fn handle(mut stream: TcpStream, host: &str, port: u16) -> Option<Asked> {
    stream.set_read_timeout(Some(QUIET)).ok()?;
    stream.set_write_timeout(Some(QUIET)).ok()?;
    let head = read_head(&mut stream)?;
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut headers);
    if !matches!(request.parse(&head), Ok(httparse::Status::Complete(_))) {
        respond(&stream, "400 Bad Request", &[], "");
        return None;
    }
    let hosts: Vec<_> = request.headers.iter().filter(|h| h.name.eq_ignore_ascii_case("host")).collect();
    let right = |value: &[u8]| {
        let names = [format!("{host}:{port}"), format!("127.0.0.1:{port}"), format!("[::1]:{port}")];
        names.iter().any(|name| value.eq_ignore_ascii_case(name.as_bytes()))
    };
    // Exactly one Host, and ours (RFC 9112 §3.2): a name that somebody pointed at loopback is not.
    if hosts.len() != 1 || !right(hosts[0].value) {
        respond(&stream, "400 Bad Request", &[], "");
        return None;
    }
    let prefetch = request.headers.iter().any(|h| {
        (h.name.eq_ignore_ascii_case("sec-purpose") || h.name.eq_ignore_ascii_case("purpose"))
            && h.value.windows(8).any(|w| w.eq_ignore_ascii_case(b"prefetch"))
    });
    let target = request.path.unwrap_or("");
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    match (request.method.unwrap_or(""), path) {
        ("GET", PATH) if prefetch => respond(&stream, "503 Service Unavailable", &[], ""),
        ("GET", PATH) => return Some(Asked::Callback(Callback { query: query.to_owned(), stream })),
        ("GET", SIGNED_IN) => {
            let text = "You can close this tab and go back to the terminal.";
            respond(&stream, "200 OK", &[], &page("You are signed in", text));
            return Some(Asked::ClosingPage);
        }
        ("GET", NOT_SIGNED_IN) => {
            let text = "The terminal says why. You can close this tab.";
            respond(&stream, "200 OK", &[], &page("You are not signed in", text));
            return Some(Asked::ClosingPage);
        }
        ("HEAD", PATH) => respond(&stream, "204 No Content", &[], ""),
        ("GET" | "HEAD", _) => respond(&stream, "404 Not Found", &[], ""),
        _ => respond(&stream, "405 Method Not Allowed", &[("Allow", "GET, HEAD")], ""),
    }
    None
}

fn read_head(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut head = Vec::new();
    let mut chunk = [0; 2048];
    while head.len() < LARGEST {
        match stream.read(&mut chunk) {
            Ok(0) | Err(_) => return None,
            Ok(n) => head.extend_from_slice(&chunk[..n]),
        }
        if head.windows(4).any(|w| w == b"\r\n\r\n") {
            return Some(head);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn ask(port: u16, request: &str) -> String {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        stream.write_all(request.replace("PORT", &port.to_string()).as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn strangers_do_not_end_the_wait() {
        let loopback = Loopback::bind(Host::Literal, 0).unwrap();
        for (request, status) in [
            ("GET /favicon.ico HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\n\r\n", "404"),
            ("HEAD /callback?code=c HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\n\r\n", "204"),
            ("GET /callback?code=c HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\nSec-Purpose: prefetch\r\n\r\n", "503"),
            ("GET /callback?code=c HTTP/1.1\r\nHost: rebound.example:PORT\r\n\r\n", "400"),
            ("GET /callback?code=c HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\nHost: 127.0.0.1:PORT\r\n\r\n", "400"),
            ("GET /callback?code=c HTTP/1.1\r\n\r\n", "400"),
            ("POST /callback HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\n\r\n", "405"),
            ("nonsense\r\n\r\n", "400"),
        ] {
            let answer = ask(loopback.port, request);
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{request}: {answer}");
        }
        assert!(loopback.next(Duration::from_millis(50)).is_none());
    }

    #[test]
    fn the_answer_leaves_no_code_in_the_address_bar() {
        let loopback = Loopback::bind(Host::Literal, 0).unwrap();
        let port = loopback.port;
        let browser = thread::spawn(move || {
            ask(port, "GET /callback?code=c&state=s HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\n\r\n")
        });
        let callback = loopback.next(QUIET).unwrap();
        assert_eq!(callback.query, "code=c&state=s");
        callback.finish(true);
        let answer = browser.join().unwrap();
        assert!(
            answer.starts_with("HTTP/1.1 303") && answer.contains("\r\nLocation: /signed-in\r\n"),
            "{answer}"
        );
        let page = ask(port, "GET /signed-in HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\n\r\n");
        assert!(page.contains("You are signed in") && page.contains("frame-ancestors 'none'"));
    }

    /// pain.md 32: where the redirect is a name, both families are bound before anybody sees it.
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

    /// pain.md 32: the port is free as soon as nobody waits, also in a host that lives on.
    #[test]
    fn the_port_is_released() {
        let loopback = Loopback::bind(Host::Name, 0).unwrap();
        let (port, over) = (loopback.port, Arc::clone(&loopback.over));
        assert!(TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_err());
        drop(loopback);
        // Each thread that accepts holds the other half of the flag.
        while Arc::strong_count(&over) > 1 {
            thread::sleep(Duration::from_millis(1));
        }
        assert!(Loopback::bind(Host::Name, port).is_ok());
    }

    /// What somebody else has in one family is not bound in the other: the browser might go there.
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
