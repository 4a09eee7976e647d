//! What a client sends to the agent or the proxy. Whatever comes through the strict reader has one meaning: in any pieces it is the
//! same, an independent reading and hyper, which serves what comes through, find the same requests in it, and the head that the proxy
//! sends on has no credential and no framing of the client's. The first octet chooses the pieces, and whether a client may ask for
//! another protocol.
#![no_main]

#[path = "../../crates/keyfob-serve/src/proxy/head.rs"]
#[expect(dead_code, reason = "answers are not looked at here")]
mod head;
#[path = "../../crates/keyfob-serve/src/strict/mod.rs"]
#[expect(dead_code, reason = "there is no stranger here, and no second protocol")]
mod strict;
/// What of the proxy its heads need.
mod proxy {
    pub(crate) mod refusal {
        pub(crate) const MARK: http::HeaderName = http::HeaderName::from_static("keyfob-error");
    }
}

use std::{
    cell::RefCell,
    convert::Infallible,
    io,
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll, Waker},
};

use http::{HeaderMap, Request, Response, Version};
use hyper::{
    body::{Body as _, Bytes, Frame, Incoming, SizeHint},
    rt::ReadBufCursor,
    server::conn::http1,
    service::service_fn,
};
use libfuzzer_sys::fuzz_target;
use strict::course::{Course, Next};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The longest head, as the agent has it.
const LONGEST_HEAD: usize = 8 * 1024;

/// What a client sends, in pieces. What it is answered is not kept.
struct Sent<'a> {
    rest: &'a [u8],
    most: usize,
}

impl AsyncRead for Sent<'_> {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let octets = self.most.min(self.rest.len()).min(buf.remaining());
        buf.put_slice(&self.rest[..octets]);
        self.rest = &self.rest[octets..];
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Sent<'_> {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// All that comes through if nobody answers.
fn through(sent: &[u8], most: usize) -> Vec<u8> {
    let mut stream = pin!(strict::Strict::new(Sent { rest: sent, most }, LONGEST_HEAD, Course::default()));
    let mut read = Vec::new();
    loop {
        let mut room = [0; 100];
        let mut buf = ReadBuf::new(&mut room);
        match stream.as_mut().poll_read(&mut Context::from_waker(Waker::noop()), &mut buf) {
            Poll::Ready(Ok(())) if buf.filled().is_empty() => return read,
            Poll::Ready(Ok(())) => read.extend_from_slice(buf.filled()),
            Poll::Ready(Err(_)) => return read,
            // After a refusal nothing comes.
            Poll::Pending if read.windows(14).any(|window| window == b"KEYFOB-REFUSED") => return read,
            Poll::Pending => panic!("it waits although everything has come"),
        }
    }
}

/// One request, as somebody has read it. Names are in lower case and sorted, the values of one in the order in which they came.
#[derive(Debug, Default, PartialEq, Eq)]
struct Read {
    method: String,
    target: String,
    is_old: bool,
    fields: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
    trailers: Vec<(String, Vec<u8>)>,
    is_whole: bool,
}

fn sorted<'a>(fields: impl Iterator<Item = (&'a str, &'a [u8])>) -> Vec<(String, Vec<u8>)> {
    let mut fields: Vec<_> = fields.map(|(name, value)| (name.to_ascii_lowercase(), value.to_vec())).collect();
    fields.sort_by(|(a, _), (b, _)| a.cmp(b));
    fields
}

fn sorted_map(fields: &HeaderMap) -> Vec<(String, Vec<u8>)> {
    sorted(fields.iter().map(|(name, value)| (name.as_str(), value.as_bytes())))
}

/// A connection as hyper sees it: what it has been given is kept.
struct Connection<'a> {
    stream: strict::Strict<Sent<'a>>,
    given: Rc<RefCell<Vec<u8>>>,
}

impl hyper::rt::Read for Connection<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut cursor: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let mut room = vec![0; cursor.remaining().min(4096)];
        let mut buf = ReadBuf::new(&mut room);
        let read = Pin::new(&mut self.stream).poll_read(cx, &mut buf);
        cursor.put_slice(buf.filled());
        self.given.borrow_mut().extend_from_slice(buf.filled());
        read
    }
}

impl hyper::rt::Write for Connection<'_> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// An answer without a body.
struct Nothing;

impl hyper::body::Body for Nothing {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        true
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(0)
    }
}

/// What hyper reads, and what it was given to read.
fn served(sent: &[u8], most: usize, may_upgrade: bool) -> (Vec<Read>, Vec<u8>) {
    let (given, requests) = (Rc::new(RefCell::new(Vec::new())), Rc::new(RefCell::new(Vec::new())));
    let course = Course::default();
    let stream = strict::Strict::new(Sent { rest: sent, most }, LONGEST_HEAD, course.clone());
    let stream = if may_upgrade { stream.may_upgrade() } else { stream };
    let connection = Connection { stream, given: Rc::clone(&given) };
    let service = service_fn(|request: Request<Incoming>| {
        let (requests, course) = (Rc::clone(&requests), course.clone());
        let number = course.asked();
        async move {
            let (parts, mut body) = request.into_parts();
            if strict::refused(&parts.method, parts.uri.path()).is_none() {
                check_forwarded(&parts);
            }
            let mut read = Read {
                method: parts.method.to_string(),
                target: parts.uri.to_string(),
                is_old: parts.version == Version::HTTP_10,
                fields: sorted_map(&parts.headers),
                ..Read::default()
            };
            loop {
                match std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
                    None => read.is_whole = true,
                    Some(Ok(frame)) => {
                        match frame.into_data() {
                            Ok(data) => read.body.extend_from_slice(&data),
                            Err(frame) => read.trailers = frame.trailers_ref().map(sorted_map).unwrap_or_default(),
                        }
                        continue;
                    }
                    Some(Err(_)) => {}
                }
                break;
            }
            requests.borrow_mut().push(read);
            // Nobody gets another protocol, whatever is asked for.
            course.answered(number, Next::Request);
            Ok::<_, Infallible>(Response::new(Nothing))
        }
    });
    {
        let mut builder = http1::Builder::new();
        builder.max_buf_size(LONGEST_HEAD).timer(NoTime);
        let mut serving = pin!(builder.serve_connection(connection, service));
        // Whoever waits is woken by nobody here, so it is asked as often as there may be something to do.
        for _ in 0..4 * sent.len() + 16 {
            if serving.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready() {
                break;
            }
        }
    }
    let requests = requests.take();
    (requests, given.take())
}

/// Nothing takes too long here.
#[derive(Clone, Copy)]
struct NoTime;

struct Never;

impl Future for Never {
    type Output = ();
    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }
}

impl hyper::rt::Sleep for Never {}

impl hyper::rt::Timer for NoTime {
    fn sleep(&self, _: std::time::Duration) -> Pin<Box<dyn hyper::rt::Sleep>> {
        Box::pin(Never)
    }
    fn sleep_until(&self, _: std::time::Instant) -> Pin<Box<dyn hyper::rt::Sleep>> {
        Box::pin(Never)
    }
}

/// What the proxy sends on of a head: some of what came, as it came, and nothing that is not for the target.
fn check_forwarded(parts: &http::request::Parts) {
    let Ok(passed) = head::request(parts) else { return };
    for (name, value) in &passed {
        let dashed = name.as_str().replace('_', "-");
        let never =
            ["authorization", "x-api-key", "cookie", "host", "connection", "content-length", "transfer-encoding", "upgrade"];
        assert!(!never.contains(&&*dashed) && !dashed.starts_with("proxy-"), "{name} goes on");
        let came = parts.headers.get_all(name).iter().any(|came| came == value);
        assert!(came || (name == "te" && value == "trailers"), "{name} did not come so");
    }
}

/// An independent reading of what came through: heads by httparse, bodies by RFC 9112 §6 and §7.1.
fn requests(mut rest: &[u8]) -> Vec<Read> {
    let mut found = Vec::new();
    while !rest.is_empty() {
        let mut room = [httparse::EMPTY_HEADER; 4096];
        let mut parsed = httparse::Request::new(&mut room);
        let Ok(httparse::Status::Complete(end)) = parsed.parse(rest) else {
            panic!("what came through is no request: {:?}", String::from_utf8_lossy(rest));
        };
        let (mut length, mut is_chunked) = (0, false);
        for field in parsed.headers.iter() {
            if field.name.eq_ignore_ascii_case("content-length") {
                length = str::from_utf8(field.value).expect("digits").trim().parse().expect("a length");
            }
            is_chunked |= field.name.eq_ignore_ascii_case("transfer-encoding");
        }
        assert!(!is_chunked || length == 0, "a length and a coding");
        let mut read = Read {
            method: parsed.method.expect("a method").into(),
            target: parsed.path.expect("an address").into(),
            is_old: parsed.version == Some(0),
            fields: sorted(parsed.headers.iter().map(|field| (field.name, field.value))),
            ..Read::default()
        };
        rest = &rest[end..];
        if is_chunked {
            rest = chunks(rest, &mut read);
        } else {
            let octets = length.min(rest.len());
            read.body = rest[..octets].to_vec();
            read.is_whole = octets == length;
            rest = &rest[octets..];
        }
        found.push(read);
    }
    found
}

/// Reads a chunked body; what follows it, if it is whole.
fn chunks<'a>(mut rest: &'a [u8], read: &mut Read) -> &'a [u8] {
    let line = |rest: &'a [u8]| {
        let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
        Some((&rest[..end], &rest[end + 2..]))
    };
    loop {
        let Some((size, after)) = line(rest) else { return &[] };
        let size = u64::from_str_radix(str::from_utf8(size).expect("digits"), 16).expect("a size");
        rest = after;
        if size == 0 {
            break;
        }
        let octets = usize::try_from(size).unwrap_or(usize::MAX).min(rest.len());
        read.body.extend_from_slice(&rest[..octets]);
        let Some(after) = rest[octets..].strip_prefix(b"\r\n") else {
            assert!(rest.len() - octets < 2, "a chunk does not end");
            return &[];
        };
        rest = after;
    }
    let mut trailers = Vec::new();
    loop {
        let Some((field, after)) = line(rest) else { return &[] };
        rest = after;
        if field.is_empty() {
            break;
        }
        let colon = field.iter().position(|octet| *octet == b':').expect("a name");
        trailers.push((str::from_utf8(&field[..colon]).expect("a name"), field[colon + 1..].trim_ascii()));
    }
    read.trailers = sorted(trailers.into_iter());
    read.is_whole = true;
    rest
}

/// hyper reads, request by request, what is there, until it refuses more: it may be stricter, and never reads another request.
fn check_served(sent: &[u8], most: usize, may_upgrade: bool) -> Vec<Read> {
    let (served, given) = served(sent, most, may_upgrade);
    let expected = requests(&given);
    assert!(served.len() <= expected.len(), "hyper reads a request that did not come through");
    for (served, expected) in served.iter().zip(&expected) {
        assert_eq!((&served.method, &served.target), (&expected.method, &expected.target));
        assert_eq!((served.is_old, &served.fields), (expected.is_old, &expected.fields));
        assert!(expected.body.starts_with(&served.body), "another body");
        if served.is_whole {
            assert!(expected.is_whole, "a body that has broken off is taken for whole");
            assert_eq!((&served.body, &served.trailers), (&expected.body, &expected.trailers));
        }
    }
    served
}

fuzz_target!(|input: &[u8]| {
    let [way, sent @ ..] = input else { return };
    let most = usize::from(*way >> 1) + 1;
    let whole = through(sent, usize::MAX);
    assert_eq!(through(sent, most), whole, "pieces change the result");
    assert_eq!(through(sent, 1), whole, "octets change the result");
    requests(&whole);
    let may_upgrade = way & 1 == 1;
    let served = check_served(sent, usize::MAX, may_upgrade);
    assert_eq!(check_served(sent, most, may_upgrade), served, "pieces change what is served");
});
