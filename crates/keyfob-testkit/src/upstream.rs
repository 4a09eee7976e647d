//! An API behind the proxy: a server that answers as a test says, and remembers what it was asked.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

/// A connection, or one with TLS on it.
pub trait Duplex: Read + Write + Send {}
impl<T: Read + Write + Send> Duplex for T {}

/// The head of a request, as it came.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: String,
    pub path: String,
    pub headers: Vec<(String, String)>,
}

impl Asked {
    /// Every value of a header.
    #[must_use]
    pub fn all(&self, name: &str) -> Vec<&str> {
        let own = self.headers.iter().filter(|(own, _)| own.eq_ignore_ascii_case(name));
        own.map(|(_, value)| value.as_str()).collect()
    }

    /// The only value of a header.
    #[must_use]
    pub fn one(&self, name: &str) -> Option<&str> {
        match *self.all(name) {
            [value] => Some(value),
            _ => None,
        }
    }
}

/// The connection that a request came by.
pub struct Conversation {
    stream: BufReader<Box<dyn Duplex>>,
    is_over: bool,
}

impl Conversation {
    /// Writes this as it stands. Whoever has left hears nothing.
    pub fn say(&mut self, octets: impl AsRef<[u8]>) -> bool {
        let stream = self.stream.get_mut();
        stream.write_all(octets.as_ref()).and_then(|()| stream.flush()).is_ok()
    }

    /// An answer with a length.
    pub fn answer(&mut self, status: u16, head: &str, body: impl AsRef<[u8]>) {
        let body = body.as_ref();
        let mut all =
            format!("HTTP/1.1 {status} Told\r\n{head}content-length: {}\r\n\r\n", body.len()).into_bytes();
        all.extend_from_slice(body);
        self.say(all);
    }

    /// The body of the request, part by part.
    pub fn hear(&mut self, asked: &Asked, mut part: impl FnMut(&[u8])) {
        let mut rest = asked.one("content-length").map(|length| length.parse::<u64>().expect("a length"));
        let in_chunks = rest.is_none() && asked.one("transfer-encoding") == Some("chunked");
        loop {
            if in_chunks {
                let mut size = String::new();
                let _ = self.stream.read_line(&mut size);
                // Without one it was cut.
                let Ok(size) = u64::from_str_radix(size.trim(), 16) else {
                    self.is_over = true;
                    return;
                };
                rest = Some(size);
            }
            let Some(length) = rest else { return };
            let mut left = length;
            let mut buffer = [0; 64 * 1024];
            while left > 0 {
                let most = buffer.len().min(usize::try_from(left).unwrap_or(buffer.len()));
                let Ok(read @ 1..) = self.stream.read(&mut buffer[..most]) else {
                    self.is_over = true;
                    return;
                };
                part(&buffer[..read]);
                left -= read as u64;
            }
            if !in_chunks {
                return;
            }
            // The end of the chunk; after the last one, perhaps trailers.
            let mut line = String::new();
            while self.stream.read_line(&mut line).is_ok_and(|read| read > 2) && length == 0 {
                line.clear();
            }
            if length == 0 {
                return;
            }
        }
    }

    /// The whole body.
    pub fn body(&mut self, asked: &Asked) -> Vec<u8> {
        let mut body = Vec::new();
        self.hear(asked, |part| body.extend_from_slice(part));
        body
    }

    /// Waits until the other side has closed, and says what it sent before.
    pub fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        let _ = self.stream.read_to_end(&mut rest);
        self.is_over = true;
        rest
    }

    /// What has come, at least one octet; empty when it is over.
    pub fn some(&mut self) -> Vec<u8> {
        let came = self.stream.fill_buf().map(<[u8]>::to_vec).unwrap_or_default();
        self.stream.consume(came.len());
        came
    }

    /// This connection takes no further request.
    pub fn close(&mut self) {
        self.is_over = true;
    }
}

/// The server. Its threads end with the test's process.
pub struct Upstream {
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Upstream {
    /// Answers each request so.
    pub fn start(answer: impl Fn(&Asked, &mut Conversation) + Send + Sync + 'static) -> Self {
        Self::wrapped(|stream| Some(Box::new(stream)), answer)
    }

    /// The same on connections that something is put upon first, such as TLS.
    pub fn wrapped(
        wrap: impl Fn(TcpStream) -> Option<Box<dyn Duplex>> + Send + Sync + 'static,
        answer: impl Fn(&Asked, &mut Conversation) + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (all, wrap, answer) = (Arc::clone(&asked), Arc::new(wrap), Arc::new(answer));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (all, wrap, answer) = (Arc::clone(&all), Arc::clone(&wrap), Arc::clone(&answer));
                thread::spawn(move || {
                    let _ = stream.set_nodelay(true);
                    let Some(stream) = wrap(stream) else { return };
                    let mut talk = Conversation { stream: BufReader::new(stream), is_over: false };
                    while let Some(asked) = head(&mut talk.stream) {
                        all.lock().expect("no panic").push(asked.clone());
                        answer(&asked, &mut talk);
                        if talk.is_over {
                            return;
                        }
                    }
                });
            }
        });
        Self { address, asked }
    }

    /// Its origin without TLS.
    #[must_use]
    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Every request so far.
    #[must_use]
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("no panic").clone()
    }
}

fn head(stream: &mut impl BufRead) -> Option<Asked> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.strip_suffix("\r\n").expect("whole lines") {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let mut words = lines.first()?.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let headers = lines[1..].iter().map(|line| {
        let (name, value) = line.split_once(':').expect("a header");
        (name.to_owned(), value.trim().to_owned())
    });
    Some(Asked { method, path, headers: headers.collect() })
}
