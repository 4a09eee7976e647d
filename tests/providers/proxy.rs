//! A typical company proxy: it resolves private names, may require a password, and may be out of order.

use std::{
    collections::BTreeMap,
    io::{self, Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

/// How it behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Connects every client.
    Kind,
    /// Connects clients that send `ada` and `hunter2`.
    Strict,
    /// Answers 502.
    Refusing,
    /// Closes the connection when it is asked.
    Dying,
    /// Reports a successful connection, then closes.
    Lying,
    /// Never answers.
    Hanging,
    /// Answers something that is not HTTP.
    Babbling,
}

struct Inner {
    names: Mutex<BTreeMap<String, SocketAddr>>,
    manner: Mutex<Manner>,
    /// The first line and the credentials of each request.
    asked: Mutex<Vec<String>>,
    held: Mutex<Vec<TcpStream>>,
}

pub(crate) struct Proxy {
    address: SocketAddr,
    inner: Arc<Inner>,
}

impl Proxy {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = listener.local_addr().expect("a port");
        let inner = Arc::new(Inner {
            names: Mutex::default(),
            manner: Mutex::new(Manner::Kind),
            asked: Mutex::default(),
            held: Mutex::default(),
        });
        let shared = Arc::clone(&inner);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let shared = Arc::clone(&shared);
                thread::spawn(move || shared.serve(client));
            }
        });
        Self { address, inner }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Teaches it where `name:port` is.
    pub(crate) fn knows(&self, name: &str, address: SocketAddr) {
        locked(&self.inner.names).insert(name.to_owned(), address);
    }

    pub(crate) fn behaves(&self, manner: Manner) {
        *locked(&self.inner.manner) = manner;
    }

    /// The first line of every request, and the credentials that came with it.
    pub(crate) fn asked(&self) -> Vec<String> {
        locked(&self.inner.asked).clone()
    }
}

impl Inner {
    fn serve(&self, mut client: TcpStream) {
        let Some(head) = head(&mut client) else { return };
        let line = head.lines().next().unwrap_or("").to_owned();
        let credentials = head.lines().find_map(|line| line.strip_prefix("Proxy-Authorization: "));
        locked(&self.asked).push(format!("{line} {}", credentials.unwrap_or("-")));
        let manner = *locked(&self.manner);
        // `ada:hunter2`
        let admitted = credentials == Some("Basic YWRhOmh1bnRlcjI=");
        let refusal = match manner {
            Manner::Kind | Manner::Lying => None,
            Manner::Strict if admitted => None,
            Manner::Strict => {
                Some("HTTP/1.1 407 Who\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n")
            }
            Manner::Refusing => Some("HTTP/1.1 502 No\r\nContent-Length: 0\r\n\r\n"),
            Manner::Babbling => Some("220 mail.company.test ESMTP\r\n\r\n"),
            Manner::Dying => return,
            Manner::Hanging => return locked(&self.held).push(client),
        };
        if let Some(refusal) = refusal {
            let _ = client.write_all(refusal.as_bytes());
            return;
        }
        let target = line.split(' ').nth(1).unwrap_or("");
        let known = locked(&self.names).get(target).copied();
        let Some(server) = known.and_then(|address| TcpStream::connect(address).ok()) else {
            let _ = client.write_all(b"HTTP/1.1 502 No such host\r\nContent-Length: 0\r\n\r\n");
            return;
        };
        let _ = client.write_all(b"HTTP/1.1 200 Connected\r\n\r\n");
        if manner != Manner::Lying {
            couple(client, server);
        }
    }
}

/// Carries bytes both ways until both sides have ended.
fn couple(client: TcpStream, server: TcpStream) {
    let one_way = |mut from: TcpStream, mut to: TcpStream| {
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    };
    let (back, forth) = (server.try_clone().expect("a socket"), client.try_clone().expect("a socket"));
    thread::spawn(move || one_way(back, forth));
    one_way(client, server);
}

/// The head of a request, to its empty line.
pub(crate) fn head(stream: &mut impl Read) -> Option<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).ok()? == 0 || head.len() > 64 * 1024 {
            return None;
        }
        head.push(byte[0]);
    }
    String::from_utf8(head).ok()
}

pub(crate) fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
