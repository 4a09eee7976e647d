//! The head of a request, judged as it was sent, before a lenient parser has made something of it.
//!
//! RFC 9112 lets a recipient repair a lot (§2.2, §3, §5.2, §6.3), and two recipients in a row that repair differently see two
//! different requests where one was sent. Whoever sends a request to us has no reason for any of it, so it is refused.

/// The method of what comes in place of a refused request.
pub(crate) const REFUSED: &str = "KEYFOB-REFUSED";

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Odd {
    LineEnd,
    Control,
    RequestLine,
    Version,
    Target,
    FieldName,
    Folded,
    Host,
    Length,
    Coding,
    Both,
    Long,
}

impl Odd {
    pub(crate) const ALL: [Self; 12] = [
        Self::LineEnd,
        Self::Control,
        Self::RequestLine,
        Self::Version,
        Self::Target,
        Self::FieldName,
        Self::Folded,
        Self::Host,
        Self::Length,
        Self::Coding,
        Self::Both,
        Self::Long,
    ];

    pub(crate) const fn why(self) -> &'static str {
        match self {
            Self::LineEnd => "a line of its head does not end with CR and LF",
            Self::Control => "its head has a control character",
            Self::RequestLine => {
                "its first line is not a method, an address and a version with one space between them"
            }
            Self::Version => "its version is not HTTP/1.1 or HTTP/1.0",
            Self::Target => "its address has a fragment, or what is not visible ASCII",
            Self::FieldName => "a line of its head is not a name, a colon and a value",
            Self::Folded => "a header goes on in the next line",
            Self::Host => "it has no host, two, or one that is none",
            Self::Length => "it has two lengths, or one that is no number",
            Self::Coding => "it has a transfer coding other than `chunked`",
            Self::Both => "it has a length and a transfer coding",
            Self::Long => "its head is too long",
        }
    }
}

/// What comes after a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    /// So many octets, or none.
    Length(u64),
    Chunked,
    /// It asks for another protocol, so that what comes next is not known yet.
    Upgrade,
}

/// Judges a whole head, with the empty line at its end.
pub(crate) fn judge(head: &[u8], may_upgrade: bool) -> Result<Body, Odd> {
    let mut lines = Lines(head);
    let first = lines.next().ok_or(Odd::RequestLine)?;
    let mut words = first.split(|octet| *octet == b' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(Odd::RequestLine);
    };
    if !is_token(method) || method == REFUSED.as_bytes() || target.is_empty() {
        return Err(Odd::RequestLine);
    }
    if target.contains(&b'#') || !target.iter().all(u8::is_ascii_graphic) {
        return Err(Odd::Target);
    }
    let is_old = match version {
        b"HTTP/1.1" => false,
        b"HTTP/1.0" => true,
        _ => return Err(Odd::Version),
    };
    let (mut hosts, mut length, mut is_chunked, mut is_websocket) = (0, None, false, false);
    for line in lines {
        if line.is_empty() {
            break;
        }
        let (name, value) = field(line)?;
        if name.eq_ignore_ascii_case(b"host") {
            hosts += 1;
            let host = str::from_utf8(value).ok().filter(|host| !host.contains('@'));
            let is_host = host.is_some_and(|host| host.parse::<http::uri::Authority>().is_ok());
            if !is_host || hosts > 1 {
                return Err(Odd::Host);
            }
        } else if is_like(name, b"content-length") {
            // More than eighteen digits are more than there is.
            let is_number = (1..=18).contains(&value.len()) && value.iter().all(u8::is_ascii_digit);
            let number = str::from_utf8(value).ok().filter(|_| is_number).and_then(|text| text.parse().ok());
            if name.contains(&b'_') || number.is_none() || length.is_some() {
                return Err(Odd::Length);
            }
            length = number;
        } else if is_like(name, b"transfer-encoding") {
            if name.contains(&b'_') || is_old || is_chunked || !value.eq_ignore_ascii_case(b"chunked") {
                return Err(Odd::Coding);
            }
            is_chunked = true;
        } else if name.eq_ignore_ascii_case(b"upgrade") {
            is_websocket = value.eq_ignore_ascii_case(b"websocket");
        }
    }
    if hosts == 0 && !is_old {
        return Err(Odd::Host);
    }
    match (length, is_chunked) {
        (Some(_), true) => Err(Odd::Both),
        (None, true) => Ok(Body::Chunked),
        (None, false) if may_upgrade && is_websocket && method == b"GET" => Ok(Body::Upgrade),
        (length, false) => Ok(Body::Length(length.unwrap_or(0))),
    }
}

/// A field line: its name, and its value without the white space around it (RFC 9112 §5).
pub(crate) fn field(line: &[u8]) -> Result<(&[u8], &[u8]), Odd> {
    if line.first().is_some_and(|octet| matches!(octet, b' ' | b'\t')) {
        return Err(Odd::Folded);
    }
    let colon = line.iter().position(|octet| *octet == b':').ok_or(Odd::FieldName)?;
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    if !is_token(name) {
        return Err(Odd::FieldName);
    }
    if value.iter().any(|octet| *octet != b'\t' && octet.is_ascii_control()) {
        return Err(Odd::Control);
    }
    Ok((name, value.trim_ascii()))
}

/// The same name, or one that a program behind a gateway (CGI, WSGI) takes for the same.
fn is_like(name: &[u8], known: &[u8]) -> bool {
    let dashed = name.iter().map(|octet| if *octet == b'_' { b'-' } else { octet.to_ascii_lowercase() });
    dashed.eq(known.iter().copied())
}

/// RFC 9110 §5.6.2
fn is_token(text: &[u8]) -> bool {
    let is_part = |octet: &u8| octet.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(octet);
    !text.is_empty() && text.iter().all(is_part)
}

/// Lines that end with CR and LF.
struct Lines<'a>(&'a [u8]);

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let end = self.0.windows(2).position(|pair| pair == b"\r\n")?;
        let line = &self.0[..end];
        self.0 = &self.0[end + 2..];
        Some(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(lines: &[&str]) -> Result<Body, Odd> {
        judge(format!("{}\r\n\r\n", lines.join("\r\n")).as_bytes(), true)
    }

    #[test]
    fn an_ordinary_head_tells_what_comes_after_it() {
        let host = "Host: api.example.com:8443";
        assert_eq!(judged(&["GET / HTTP/1.1", host]), Ok(Body::Length(0)));
        assert_eq!(judged(&["GET http://a/b?c HTTP/1.0"]), Ok(Body::Length(0)));
        assert_eq!(judged(&["POST /v1 HTTP/1.1", host, "content-length:  7\t"]), Ok(Body::Length(7)));
        assert_eq!(judged(&["POST /v1 HTTP/1.1", host, "Transfer-Encoding: Chunked"]), Ok(Body::Chunked));
        assert_eq!(judged(&["GET / HTTP/1.1", host, "Upgrade: websocket"]), Ok(Body::Upgrade));
        assert_eq!(
            judge(b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n", false),
            Ok(Body::Length(0))
        );
        assert_eq!(judged(&["GET / HTTP/1.1", host, "X-Name: caf\u{e9}", "X-Empty:"]), Ok(Body::Length(0)));
    }

    #[test]
    fn what_two_servers_could_read_as_two_requests_is_refused() {
        let line = "POST / HTTP/1.1";
        for (odd, lines) in [
            (Odd::Both, &[line, "Host: a", "Content-Length: 5", "Transfer-Encoding: chunked"][..]),
            (Odd::Both, &[line, "Host: a", "Transfer-Encoding: chunked", "Content-Length: 5"]),
            (Odd::Length, &[line, "Host: a", "Content-Length: 5", "Content-Length: 5"]),
            (Odd::Length, &[line, "Host: a", "Content-Length: 5", "Content-Length: 6"]),
            (Odd::Length, &[line, "Host: a", "Content-Length: 5, 5"]),
            (Odd::Length, &[line, "Host: a", "Content-Length: +5"]),
            (Odd::Length, &[line, "Host: a", "Content-Length: 0x5"]),
            (Odd::Length, &[line, "Host: a", "Content-Length:"]),
            (Odd::Length, &[line, "Host: a", "Content-Length: 18446744073709551617"]),
            (Odd::Length, &[line, "Host: a", "Content_Length: 5"]),
            (Odd::Coding, &[line, "Host: a", "Transfer-Encoding: gzip, chunked"]),
            (Odd::Coding, &[line, "Host: a", "Transfer-Encoding: xchunked"]),
            (Odd::Coding, &[line, "Host: a", "Transfer-Encoding: chunked", "Transfer-Encoding: chunked"]),
            (Odd::Coding, &[line, "Host: a", "Transfer-Encoding: identity"]),
            (Odd::Coding, &[line, "Host: a", "Transfer_Encoding: chunked"]),
            (Odd::Coding, &["POST / HTTP/1.0", "Transfer-Encoding: chunked"]),
            (Odd::Host, &[line]),
            (Odd::Host, &[line, "Host: a", "Host: a"]),
            (Odd::Host, &[line, "Host:"]),
            (Odd::Host, &[line, "Host: a b"]),
            (Odd::Host, &[line, "Host: u@a"]),
            (Odd::Host, &[line, "Host: a/b"]),
            (Odd::FieldName, &[line, "Host : a"]),
            (Odd::FieldName, &[line, "Host: a", ": x"]),
            (Odd::FieldName, &[line, "Host: a", "no colon"]),
            (Odd::Folded, &[line, "Host: a", "X: 1", " folded"]),
            (Odd::Folded, &[line, "\tHost: a"]),
            (Odd::Control, &[line, "Host: a", "X: a\0b"]),
            (Odd::Control, &[line, "Host: a", "X: a\x7fb"]),
            (Odd::RequestLine, &["POST  / HTTP/1.1", "Host: a"]),
            (Odd::RequestLine, &["POST / x HTTP/1.1", "Host: a"]),
            (Odd::RequestLine, &["POST / HTTP/1.1 ", "Host: a"]),
            (Odd::RequestLine, &["P(ST / HTTP/1.1", "Host: a"]),
            (Odd::Version, &["POST / HTTP/1.2", "Host: a"]),
            (Odd::Version, &["PRI * HTTP/2.0"]),
            (Odd::Target, &["GET /a#b HTTP/1.1", "Host: a"]),
            (Odd::Target, &["GET /\u{e9} HTTP/1.1", "Host: a"]),
        ] {
            assert_eq!(judged(lines), Err(odd), "{lines:?}");
        }
    }
}
