//! Where one request ends and the next begins, octet by octet, with no room for a second opinion. Pure.

use crate::strict::{
    course::Next as After,
    head::{Body, Odd, field, judge},
};

/// The longest line of a chunked body: a size with its extensions, or a trailer.
const LONGEST_LINE: usize = 4096;

/// What follows in what a client sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Head,
    /// So many octets of a body.
    Octets(u64),
    /// The size of a chunk (RFC 9112 §7.1).
    Size,
    /// So many octets of a chunk.
    Chunk(u64),
    ChunkEnd,
    Trailer,
    /// Another protocol, if the answer says so.
    Undecided,
    Anything,
}

/// The requests of a connection.
#[derive(Debug)]
pub(crate) struct Framing {
    next: Next,
    may_upgrade: bool,
    /// So many requests have come.
    heads: u64,
    /// So much of a head has been looked at, and its last line begins there.
    seen: usize,
    line: usize,
}

/// What was refused, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// In place of a request.
    Request(Odd),
    /// Within the body of a request.
    Body,
}

/// What becomes of what has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// The first so many octets go on.
    Pass(usize),
    /// The first so many go on without the rest of their line: an extension of a chunk, which nobody here knows.
    PassCut { line: usize, kept: usize },
    /// More has to come first.
    More,
    /// The answer has to come first.
    Wait,
}

impl Framing {
    pub(crate) fn new(may_upgrade: bool) -> Self {
        Self { next: Next::Head, may_upgrade, heads: 0, seen: 0, line: 0 }
    }

    /// How many octets go on as they are, whatever they are.
    pub(crate) fn unseen(&self) -> Option<u64> {
        match self.next {
            Next::Octets(left) | Next::Chunk(left) => Some(left),
            Next::Anything => Some(u64::MAX),
            _ => None,
        }
    }

    /// The number of the last request, if it asks for another protocol and its answer is still to come.
    pub(crate) fn undecided(&self) -> Option<u64> {
        (self.next == Next::Undecided).then_some(self.heads)
    }

    /// A request for another protocol was answered.
    pub(crate) fn decide(&mut self, next: After) {
        self.next = match next {
            After::Protocol => Next::Anything,
            After::Request => Next::Head,
        };
    }

    /// So many octets have gone on as they are.
    pub(crate) fn passed(&mut self, octets: u64) {
        self.next = match self.next {
            Next::Octets(left) if left == octets => Next::Head,
            Next::Octets(left) => Next::Octets(left - octets),
            Next::Chunk(left) if left == octets => Next::ChunkEnd,
            Next::Chunk(left) => Next::Chunk(left - octets),
            next => next,
        };
    }

    /// Takes what has come, of which nothing has gone on yet, with heads of this length at most.
    pub(crate) fn take(&mut self, came: &[u8], longest_head: usize) -> Result<Taken, Refused> {
        if came.is_empty() {
            return Ok(Taken::More);
        }
        match self.next {
            Next::Head => self.head(came, longest_head).map_err(Refused::Request),
            Next::Octets(left) | Next::Chunk(left) => {
                let octets = left.min(came.len() as u64);
                self.passed(octets);
                Ok(Taken::Pass(usize::try_from(octets).unwrap_or(came.len())))
            }
            Next::Size | Next::Trailer => match line(came, LONGEST_LINE).map_err(|_| Refused::Body)? {
                None => Ok(Taken::More),
                Some(line) if self.next == Next::Size => self.size(line),
                Some(line) => {
                    if line.is_empty() {
                        self.next = Next::Head;
                    } else {
                        field(line).map_err(|_| Refused::Body)?;
                    }
                    Ok(Taken::Pass(line.len() + 2))
                }
            },
            Next::ChunkEnd if came.len() == 1 && came[0] == b'\r' => Ok(Taken::More),
            Next::ChunkEnd if came.starts_with(b"\r\n") => {
                self.next = Next::Size;
                Ok(Taken::Pass(2))
            }
            Next::ChunkEnd => Err(Refused::Body),
            Next::Undecided => Ok(Taken::Wait),
            Next::Anything => Ok(Taken::Pass(came.len())),
        }
    }

    fn head(&mut self, came: &[u8], longest: usize) -> Result<Taken, Odd> {
        // One empty line may come before a request (RFC 9112 §2.2).
        let before = if came.starts_with(b"\r\n") { 2 } else { 0 };
        self.line = self.line.max(before);
        for (at, octet) in came.iter().enumerate().skip(self.seen.max(before)) {
            let after_cr = at > 0 && came[at - 1] == b'\r';
            match octet {
                b'\n' if after_cr && at == self.line + 1 && at == before + 1 => return Err(Odd::RequestLine),
                b'\n' if after_cr && at == self.line + 1 => {
                    (self.seen, self.line) = (0, 0);
                    return self.whole(&came[..=at], before, longest);
                }
                b'\n' if after_cr => self.line = at + 1,
                b'\n' => return Err(Odd::LineEnd),
                _ if after_cr && at > before => return Err(Odd::LineEnd),
                b'\r' | b'\t' => {}
                octet if octet.is_ascii_control() => return Err(Odd::Control),
                _ => {}
            }
        }
        self.seen = came.len();
        if came.len() > longest { Err(Odd::Long) } else { Ok(Taken::More) }
    }

    fn whole(&mut self, head: &[u8], before: usize, longest: usize) -> Result<Taken, Odd> {
        if head.len() > longest {
            return Err(Odd::Long);
        }
        let body = judge(&head[before..], self.may_upgrade)?;
        self.heads += 1;
        self.next = match body {
            Body::Length(0) => Next::Head,
            Body::Length(length) => Next::Octets(length),
            Body::Chunked => Next::Size,
            Body::Upgrade => Next::Undecided,
        };
        Ok(Taken::Pass(head.len()))
    }

    fn size(&mut self, line: &[u8]) -> Result<Taken, Refused> {
        let digits = line.split(|octet| *octet == b';').next().unwrap_or_default().trim_ascii_end();
        let is_size = (1..=15).contains(&digits.len()) && digits.iter().all(u8::is_ascii_hexdigit);
        let size = str::from_utf8(digits).ok().filter(|_| is_size);
        let size = size.and_then(|digits| u64::from_str_radix(digits, 16).ok()).ok_or(Refused::Body)?;
        self.next = if size == 0 { Next::Trailer } else { Next::Chunk(size) };
        if digits.len() == line.len() {
            return Ok(Taken::Pass(line.len() + 2));
        }
        Ok(Taken::PassCut { line: line.len() + 2, kept: digits.len() })
    }
}

/// The first line, without its end, if it is whole.
fn line(text: &[u8], longest: usize) -> Result<Option<&[u8]>, Odd> {
    for (at, octet) in text.iter().enumerate() {
        // What waits for its end is kept, so there is an end to it.
        if at > longest {
            return Err(Odd::Long);
        }
        match octet {
            b'\r' => {
                return match text.get(at + 1) {
                    Some(b'\n') => Ok(Some(&text[..at])),
                    Some(_) => Err(Odd::LineEnd),
                    None => Ok(None),
                };
            }
            b'\n' => return Err(Odd::LineEnd),
            b'\t' => {}
            octet if octet.is_ascii_control() => return Err(Odd::Control),
            _ => {}
        }
    }
    Ok(None)
}
