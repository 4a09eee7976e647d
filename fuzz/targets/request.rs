//! What a client sends to the agent or the proxy: whatever comes through the strict reader has one meaning. An independent
//! parser finds the same requests in it that the reader let through, and the head that a proxy sends on has no credential of the
//! client's.
#![no_main]
#![expect(dead_code, reason = "the stream is read without one")]

#[path = "../../crates/keyfob-serve/src/strict/mod.rs"]
mod strict;
#[path = "../../crates/keyfob-serve/src/proxy/head.rs"]
mod head;

use std::{
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
};

use libfuzzer_sys::fuzz_target;
use tokio::io::{AsyncRead, ReadBuf};

/// What a client sends, in pieces.
struct Sent<'a> {
    rest: &'a [u8],
    most: usize,
}

impl AsyncRead for Sent<'_> {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        let octets = self.most.min(self.rest.len()).min(buf.remaining());
        buf.put_slice(&self.rest[..octets]);
        self.rest = &self.rest[octets..];
        Poll::Ready(Ok(()))
    }
}

fn through(sent: &[u8], most: usize) -> Vec<u8> {
    let mut stream = pin!(strict::Strict::new(Sent { rest: sent, most }, 8192, false));
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

fuzz_target!(|input: &[u8]| {
    let [most, sent @ ..] = input else { return };
    let whole = through(sent, usize::MAX);
    assert_eq!(through(sent, 1 + usize::from(*most)), whole, "pieces change the result");
    assert_eq!(through(sent, 1), whole, "octets change the result");
    let mut rest = &whole[..];
    while !rest.is_empty() {
        let mut room = [httparse::EMPTY_HEADER; 4096];
        let mut parsed = httparse::Request::new(&mut room);
        let Ok(httparse::Status::Complete(end)) = parsed.parse(rest) else {
            panic!("what came through is no request: {:?}", String::from_utf8_lossy(rest));
        };
        let mut request = http::Request::builder().method(parsed.method.unwrap()).uri(parsed.path.unwrap());
        if parsed.version == Some(0) {
            request = request.version(http::Version::HTTP_10);
        }
        let (mut length, mut is_chunked) = (0, false);
        for header in parsed.headers.iter() {
            request = request.header(header.name, header.value);
            if header.name.eq_ignore_ascii_case("content-length") {
                length = str::from_utf8(header.value).unwrap().trim().parse().expect("a length");
            }
            is_chunked |= header.name.eq_ignore_ascii_case("transfer-encoding");
        }
        assert!(!is_chunked || length == 0, "a length and a coding");
        if let Ok(request) = request.body(()) {
            if let Ok(passed) = head::request(&request.into_parts().0) {
                for name in passed.keys() {
                    let name = name.as_str().replace('_', "-");
                    let never = ["authorization", "x-api-key", "cookie", "host", "connection", "content-length"];
                    assert!(!never.contains(&&*name) && !name.starts_with("proxy-"), "{name} goes on");
                }
            }
        }
        rest = &rest[end..];
        if !is_chunked {
            rest = &rest[length.min(rest.len())..];
            continue;
        }
        // An independent reading of chunks (RFC 9112 §7.1); a body that broke off ends what came through.
        loop {
            let Some(line) = rest.windows(2).position(|pair| pair == b"\r\n") else { return };
            let size = u64::from_str_radix(str::from_utf8(&rest[..line]).expect("digits"), 16).expect("a size");
            rest = &rest[line + 2..];
            if size == 0 {
                loop {
                    let Some(line) = rest.windows(2).position(|pair| pair == b"\r\n") else { return };
                    rest = &rest[line + 2..];
                    if line == 0 {
                        break;
                    }
                }
                break;
            }
            let Some(after) = usize::try_from(size).ok().and_then(|size| rest.get(size..)) else { return };
            let Some(after) = after.strip_prefix(b"\r\n") else {
                assert!(after.len() < 2, "a chunk does not end");
                return;
            };
            rest = after;
        }
    }
});
