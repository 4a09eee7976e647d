//! An https host with a configurable name: it forwards to the development provider, which speaks http on loopback only,
//! and lets a test replace answers.

use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::proxy::{head, locked};

/// The requests it received.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) line: String,
    pub(crate) body: String,
    /// Headers and all.
    pub(crate) head: String,
}

/// An answer instead of the provider's.
#[derive(Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(body: &serde_json::Value) -> Self {
        let headers = vec![("Content-Type", "application/json".to_owned())];
        Self { status: 200, headers, body: body.to_string() }
    }

    pub(crate) fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: String::new() }
    }

    pub(crate) fn redirect(status: u16, to: &str) -> Self {
        Self { status, headers: vec![("Location", to.to_owned())], body: String::new() }
    }
}

struct Inner {
    origin: String,
    behind: Option<String>,
    tls: Mutex<Arc<ServerConfig>>,
    answers: Mutex<Vec<(String, Answer)>>,
    seen: Mutex<Vec<Seen>>,
    connections: Mutex<usize>,
}

pub(crate) struct Front {
    address: SocketAddr,
    inner: Arc<Inner>,
}

type Stream = StreamOwned<ServerConnection, TcpStream>;

impl Front {
    /// Serves `https://name`, forwarding to a base like `http://127.0.0.1:1234`.
    pub(crate) fn start(name: &str, tls: Arc<ServerConfig>, behind: Option<String>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = listener.local_addr().expect("a port");
        let inner = Arc::new(Inner {
            origin: format!("https://{name}"),
            behind,
            tls: Mutex::new(tls),
            answers: Mutex::default(),
            seen: Mutex::default(),
            connections: Mutex::default(),
        });
        let shared = Arc::clone(&inner);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                *locked(&shared.connections) += 1;
                let shared = Arc::clone(&shared);
                // A client that does not believe us ends the handshake: that is its right.
                thread::spawn(move || shared.serve(client));
            }
        });
        Self { address, inner }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        locked(&self.inner.seen).clone()
    }

    /// The requests whose first line begins like this.
    pub(crate) fn asked(&self, line: &str) -> usize {
        self.seen().iter().filter(|seen| seen.line.starts_with(line)).count()
    }

    /// The number of connections, with or without a request.
    pub(crate) fn connections(&self) -> usize {
        *locked(&self.inner.connections)
    }

    /// From now on these requests are answered like this. The last word counts.
    pub(crate) fn answers(&self, line: &str, answer: Answer) {
        locked(&self.inner.answers).insert(0, (line.to_owned(), answer));
    }

    /// Restores the original behaviour.
    pub(crate) fn recovers(&self) {
        locked(&self.inner.answers).clear();
    }

    /// From now on it shows this certificate.
    pub(crate) fn shows(&self, tls: Arc<ServerConfig>) {
        *locked(&self.inner.tls) = tls;
    }
}

impl Inner {
    fn serve(&self, client: TcpStream) -> Option<()> {
        client.set_read_timeout(Some(Duration::from_secs(30))).ok()?;
        let tls = ServerConnection::new(Arc::clone(&locked(&self.tls))).ok()?;
        let mut client = StreamOwned::new(tls, client);
        let head = head(&mut client)?;
        let line = head.lines().next()?.to_owned();
        let mut body =
            vec![0; header(&head, "content-length").and_then(|text| text.parse().ok()).unwrap_or(0)];
        client.read_exact(&mut body).ok()?;
        let body = String::from_utf8(body).ok()?;
        locked(&self.seen).push(Seen { line: line.clone(), body: body.clone(), head: head.clone() });
        let canned = {
            let answers = locked(&self.answers);
            answers.iter().find(|(begin, _)| line.starts_with(begin)).map(|(_, answer)| answer.clone())
        };
        let answer = match (canned, &self.behind) {
            (Some(answer), _) => written(&answer),
            (None, Some(behind)) if header(&head, "upgrade").is_some() => {
                return couple(client, &self.forwarded(behind, &head, &body)?);
            }
            (None, Some(behind)) => self.ask(behind, &head, &body)?,
            (None, None) => written(&Answer::empty(404)),
        };
        client.write_all(&answer).ok()?;
        client.conn.send_close_notify();
        client.flush().ok()
    }

    /// The provider behind us, asked the same.
    fn forwarded(&self, behind: &str, head: &str, body: &str) -> Option<TcpStream> {
        let address = behind.strip_prefix("http://")?;
        let mut request = String::new();
        for (number, line) in head.trim_end().lines().enumerate() {
            let lower = line.to_ascii_lowercase();
            let upgrades = header(head, "upgrade").is_some();
            if number > 0 && (lower.starts_with("host:") || (lower.starts_with("connection:") && !upgrades)) {
                continue;
            }
            request.push_str(line);
            request.push_str("\r\n");
            if number == 0 {
                let host = self.origin.trim_start_matches("https://");
                request.push_str(&format!("Host: {address}\r\nX-Forwarded-Host: {host}\r\n"));
                if !upgrades {
                    request.push_str("Connection: close\r\n");
                }
            }
        }
        request.push_str("\r\n");
        request.push_str(body);
        let mut server = TcpStream::connect(address).ok()?;
        server.write_all(request.as_bytes()).ok()?;
        Some(server)
    }

    /// Its answer, in which it bears our name.
    fn ask(&self, behind: &str, head: &str, body: &str) -> Option<Vec<u8>> {
        let mut answer = String::new();
        self.forwarded(behind, head, body)?.read_to_string(&mut answer).ok()?;
        let encode = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let answer = answer.replace(behind, &self.origin).replace(&encode(behind), &encode(&self.origin));
        let (head, body) = answer.split_once("\r\n\r\n")?;
        let lines = head.lines().filter(|line| !line.to_ascii_lowercase().starts_with("content-length:"));
        let head = lines.collect::<Vec<_>>().join("\r\n");
        Some(format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes())
    }
}

pub(crate) fn header<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    head.lines()
        .filter_map(|line| line.split_once(':'))
        .find_map(|(found, value)| found.eq_ignore_ascii_case(name).then(|| value.trim()))
}

pub(crate) fn written(answer: &Answer) -> Vec<u8> {
    let mut text = format!("HTTP/1.1 {} x\r\nContent-Length: {}\r\n", answer.status, answer.body.len());
    for (name, value) in &answer.headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("Connection: close\r\n\r\n");
    text.push_str(&answer.body);
    text.into_bytes()
}

/// Serves over TLS what another address serves without: gives the port on loopback.
pub(crate) fn wrapped(tls: Arc<ServerConfig>, address: SocketAddr) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = listener.local_addr().expect("a port").port();
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let tls = ServerConnection::new(Arc::clone(&tls)).expect("a configuration");
            let server = TcpStream::connect(address).expect("what is wrapped");
            thread::spawn(move || {
                let mut client = StreamOwned::new(tls, client);
                client.conn.complete_io(&mut client.sock).ok()?;
                couple(client, &server)
            });
        }
    });
    port
}

/// Carries bytes both ways until one side has ended.
fn couple(mut client: Stream, mut server: &TcpStream) -> Option<()> {
    let look = Some(Duration::from_millis(5));
    client.sock.set_read_timeout(look).ok()?;
    server.set_read_timeout(look).ok()?;
    let mut chunk = [0; 4096];
    loop {
        match read(&mut server, &mut chunk)? {
            Some(bytes) => client.write_all(bytes).ok()?,
            None => client.flush().ok()?,
        }
        if let Some(bytes) = read(&mut client, &mut chunk)? {
            server.write_all(bytes).ok()?;
        }
    }
}

/// The data available now. `None`: it has ended.
fn read<'c>(from: &mut impl Read, chunk: &'c mut [u8]) -> Option<Option<&'c [u8]>> {
    match from.read(chunk) {
        Ok(0) => None,
        Ok(length) => Some(Some(&chunk[..length])),
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
            Some(None)
        }
        Err(_) => None,
    }
}
