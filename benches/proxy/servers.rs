//! What is in front of the proxies: nginx with a small file, and an origin of the benchmark's own for what does not end soon.

use std::{
    fmt::Write as _,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    process::{Child, Stdio},
    sync::mpsc::{self, Receiver, Sender},
    time::{Duration, Instant},
};

use crate::{proxy::on_core, stage::Result};

/// What the small file holds: an answer of an API.
const SMALL: &str = r#"{"id":"msg_01","type":"message","role":"assistant","model":"a-model","content":[{"type":"text","text":"Hello."}]}"#;

/// nginx, with one worker, which is confined to one core.
pub(super) struct Nginx {
    child: Child,
    base: String,
    _dir: tempfile::TempDir,
}

impl Nginx {
    /// One that answers from a file.
    pub(super) fn origin(core: usize) -> Result<Self> {
        Self::start(core, |dir| format!("root {dir};"), "")
    }

    /// One in front of that one, which adds a credential.
    pub(super) fn proxy(origin: &Self, core: usize) -> Result<Self> {
        let address = origin.base.trim_start_matches("http://");
        let upstream =
            format!("upstream origin {{ server {address}; keepalive 64; keepalive_requests 1000000000; }}");
        let location =
            "location / { proxy_pass http://origin; proxy_http_version 1.1; proxy_set_header Connection \"\";
            proxy_set_header Authorization \"Bearer another-token-than-the-one-that-came\"; }";
        Self::start(core, |_| location.to_owned(), &upstream)
    }

    fn start(core: usize, served: impl Fn(&str) -> String, before: &str) -> Result<Self> {
        let place = tempfile::tempdir()?;
        let dir = place.path().to_str().ok_or("the temporary directory's name is no text")?;
        fs::write(place.path().join("small.json"), SMALL)?;
        // Another process may take it before nginx does: then nginx says so, and the benchmark ends.
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].iter().fold(
            String::new(),
            |mut text, name| {
                let _ = writeln!(text, "{name}_temp_path {dir}/{name};");
                text
            },
        );
        let configuration = format!(
            "user root; daemon off; master_process off; pid {dir}/pid; error_log stderr crit;\n\
             events {{ worker_connections 1024; }}\n\
             http {{ access_log off; keepalive_requests 1000000000; default_type application/json;\n{temporary}{before}\n\
             server {{ listen {address}; {} }} }}\n",
            served(dir)
        );
        let file = place.path().join("nginx.conf");
        fs::write(&file, configuration)?;
        let child = on_core(core, "nginx")
            .args(["-e", "stderr", "-p", dir, "-c"])
            .arg(&file)
            .stdin(Stdio::null())
            .spawn()
            .map_err(|error| format!("`taskset` (Debian: util-linux) does not start: {error}"))?;
        let mut nginx = Self { child, base: format!("http://{address}"), _dir: place };
        let begin = Instant::now();
        while TcpStream::connect(address).is_err() {
            if nginx.child.try_wait()?.is_some() || begin.elapsed() > Duration::from_secs(30) {
                return Err("`nginx` (Debian: nginx-light) does not start".into());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(nginx)
    }

    pub(super) fn base(&self) -> &str {
        &self.base
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// So many are in one answer.
pub(super) const EVENTS: usize = 500;

/// So much goes through in one answer, and in one request.
pub(super) const LARGE: u64 = 1 << 30;

/// An origin with answers that take their time. Its threads end with the benchmark.
pub(super) struct Origin {
    base: String,
    /// When each event left.
    sent: Receiver<Instant>,
}

impl Origin {
    pub(super) fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let base = format!("http://{}", listener.local_addr()?);
        let (told, sent) = mpsc::channel();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let told = told.clone();
                // Whoever hangs up is served no more.
                std::thread::spawn(move || serve(stream, &told));
            }
        });
        Ok(Self { base, sent })
    }

    pub(super) fn base(&self) -> &str {
        &self.base
    }

    /// When the next event left.
    pub(super) fn sent(&self) -> Result<Instant> {
        Ok(self.sent.recv()?)
    }
}

fn serve(stream: TcpStream, told: &Sender<Instant>) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut from, mut to) = (BufReader::new(stream.try_clone()?), stream);
    loop {
        let (mut first, mut length) = (String::new(), 0);
        if from.read_line(&mut first)? == 0 {
            return Ok(());
        }
        let mut line = String::new();
        while from.read_line(&mut line)? > 2 {
            let lower = line.to_ascii_lowercase();
            if let Some(value) = lower.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
            line.clear();
        }
        std::io::copy(&mut from.by_ref().take(length), &mut std::io::sink())?;
        match first.split(' ').nth(1) {
            Some("/events") => {
                to.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")?;
                for number in 0..EVENTS {
                    std::thread::sleep(Duration::from_millis(2));
                    let event =
                        format!("event: delta\ndata: {{\"number\":{number},\"text\":\"and so on\"}}\n\n");
                    let chunk = format!("{:x}\r\n{event}\r\n", event.len());
                    // Before it leaves: afterwards it may have come already.
                    let _ = told.send(Instant::now());
                    to.write_all(chunk.as_bytes())?;
                }
                to.write_all(b"0\r\n\r\n")?;
            }
            Some("/large") => {
                write!(
                    to,
                    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {LARGE}\r\n\r\n"
                )?;
                let text = text();
                let mut left = LARGE;
                while left > 0 {
                    let part = usize::try_from(left).unwrap_or(usize::MAX).min(text.len());
                    to.write_all(&text[..part])?;
                    left -= part as u64;
                }
            }
            _ => to.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")?,
        }
    }
}

/// About a megabyte of what an API of language models says: words, numbers and identifiers in JSON, in events.
fn text() -> Vec<u8> {
    let words = ["the", "answer", "is", "of", "a", "stream", "that", "and", "goes", "on", "character", "in"];
    let (mut text, mut state) = (String::new(), 1_u64);
    while text.len() < 1 << 20 {
        // Knuth's linear congruential generator: the same text each time.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let word = words[usize::try_from(state >> 33).unwrap_or_default() % words.len()];
        let _ = write!(
            text,
            "event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":{},\"id\":\"{state:016x}\",\
             \"delta\":{{\"type\":\"text_delta\",\"text\":\" {word}\"}}}}\n\n",
            state % 97
        );
    }
    text.into_bytes()
}
