//! A stream of HTTP/1.1 requests that are beyond doubt: what comes through has one meaning, and one length.
//!
//! hyper, behind it, repairs what RFC 9112 lets it repair: it takes a bare LF for a line's end, drops a `Content-Length`
//! that stands beside a `Transfer-Encoding`, takes `gzip, chunked`, and cuts a fragment off. Each is right by itself, and each
//! is how one request becomes two where somebody before us repairs otherwise. Here they are refused, with an answer: in
//! place of such a request comes one that [`refused`] knows, and then the end.

pub(crate) mod course;
mod framing;
mod head;

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::{Method, StatusCode};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use self::{
    course::Course,
    framing::{Framing, Refused, Taken},
    head::{Odd, REFUSED},
};

/// So much is read at once where lines are looked for.
const ROOM: usize = 8 * 1024;
/// So much waits at most for an answer to a request for another protocol.
const WAITING: usize = 64 * 1024;

/// Why a request was refused before it was read, if it was.
pub(crate) fn refused(method: &Method, path: &str) -> Option<(StatusCode, &'static str)> {
    if method.as_str() != REFUSED {
        return None;
    }
    let number = path.strip_prefix('/').and_then(|number| number.parse::<usize>().ok());
    let odd = number.and_then(|number| Odd::ALL.get(number)).unwrap_or(&Odd::RequestLine);
    let status = match odd {
        Odd::Long => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        _ => StatusCode::BAD_REQUEST,
    };
    Some((status, odd.why()))
}

/// A connection of which only requests beyond doubt come through.
pub(crate) struct Strict<S> {
    stream: S,
    framing: Framing,
    /// What has come and has not been judged.
    came: Vec<u8>,
    /// What has been judged and not been read.
    ready: Vec<u8>,
    is_over: bool,
    has_refused: bool,
    longest_head: usize,
    /// Of whoever has not shown yet that they may ask.
    longest_first: usize,
    course: Course,
}

impl<S> Strict<S> {
    /// With heads of this length at most, and no other protocol.
    pub(crate) fn new(stream: S, longest_head: usize, course: Course) -> Self {
        Self {
            stream,
            framing: Framing::new(false),
            came: Vec::new(),
            ready: Vec::new(),
            is_over: false,
            has_refused: false,
            longest_head,
            longest_first: longest_head,
            course,
        }
    }

    /// A client may ask for WebSocket.
    pub(crate) fn may_upgrade(mut self) -> Self {
        self.framing = Framing::new(true);
        self
    }

    /// With heads of this length at most until somebody has shown that they may ask.
    pub(crate) fn longest_first(mut self, longest: usize) -> Self {
        self.longest_first = longest;
        self
    }

    fn longest(&self) -> usize {
        if self.longest_first == self.longest_head || self.course.is_known() {
            self.longest_head
        } else {
            self.longest_first
        }
    }

    /// Judges what has come; whether something is ready, or over.
    fn judge(&mut self) -> io::Result<Taken> {
        let longest = self.longest();
        let taken = match self.framing.take(&self.came, longest) {
            Ok(taken) => taken,
            Err(Refused::Request(odd)) => {
                let number = Odd::ALL.iter().position(|known| *known == odd).unwrap_or_default();
                let head =
                    format!("{REFUSED} /{number} HTTP/1.1\r\nHost: keyfob\r\nConnection: close\r\n\r\n");
                self.ready.extend_from_slice(head.as_bytes());
                self.has_refused = true;
                return Ok(Taken::Pass(0));
            }
            Err(Refused::Body) => {
                self.is_over = true;
                return Err(io::Error::new(io::ErrorKind::InvalidData, "a chunk is malformed"));
            }
        };
        match taken {
            Taken::Pass(octets) => self.ready.extend(self.came.drain(..octets)),
            Taken::PassCut { line, kept } => {
                self.ready.extend_from_slice(&self.came[..kept]);
                self.ready.extend_from_slice(b"\r\n");
                self.came.drain(..line);
            }
            Taken::More | Taken::Wait => {}
        }
        Ok(taken)
    }
}

impl<S: AsyncRead + Unpin> Strict<S> {
    /// Waits until something comes; whether it did, before the end.
    pub(crate) async fn begins(&mut self) -> bool {
        std::future::poll_fn(|cx| {
            if !self.ready.is_empty() || !self.came.is_empty() {
                return Poll::Ready(true);
            }
            Poll::Ready(matches!(ready!(self.poll_more(cx)), Ok(true)))
        })
        .await
    }

    /// Takes back what has been read here, between one request and the next, and was of no use to the reader yet.
    pub(crate) fn give_back(&mut self, octets: &[u8]) {
        self.ready.splice(..0, octets.iter().copied());
    }

    /// Reads more of what is to be judged; whether there was more.
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let mut room = [0; ROOM];
        let mut buf = ReadBuf::new(&mut room);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buf))?;
        if !buf.filled().is_empty() {
            self.course.begin();
        }
        self.came.extend_from_slice(buf.filled());
        Poll::Ready(Ok(!buf.filled().is_empty()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Strict<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            if !this.ready.is_empty() {
                let octets = this.ready.len().min(buf.remaining());
                buf.put_slice(&this.ready[..octets]);
                this.ready.drain(..octets);
                return Poll::Ready(Ok(()));
            }
            if this.has_refused {
                // The answer ends the connection. What comes until then is nothing, and its end must not come before the
                // answer; it is read, because a connection that is closed with octets unread may lose the answer.
                this.came.clear();
                if ready!(this.poll_more(cx))? {
                    continue;
                }
                return Poll::Pending;
            }
            if this.is_over || buf.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
            if this.came.is_empty()
                && let Some(unseen) = this.framing.unseen()
            {
                // Most of what comes through are bodies, which are read to where they are wanted.
                let octets = usize::try_from(unseen).unwrap_or(usize::MAX).min(buf.remaining());
                let mut part = ReadBuf::new(buf.initialize_unfilled_to(octets));
                ready!(Pin::new(&mut this.stream).poll_read(cx, &mut part))?;
                let octets = part.filled().len();
                buf.advance(octets);
                this.framing.passed(octets as u64);
                return Poll::Ready(Ok(()));
            }
            if let Some(number) = this.framing.undecided()
                && let Some(next) = this.course.after(number, cx.waker())
            {
                this.framing.decide(next);
                continue;
            }
            match this.judge()? {
                Taken::Pass(_) | Taken::PassCut { .. } => continue,
                // What is decided by an answer goes on when that is there.
                Taken::Wait if this.came.len() >= WAITING => return Poll::Pending,
                Taken::Wait | Taken::More => {}
            }
            if !ready!(this.poll_more(cx))? {
                this.is_over = true;
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Strict<S> {
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

#[cfg(test)]
mod tests;
