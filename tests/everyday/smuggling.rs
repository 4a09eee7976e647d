//! Requests that two servers in a row read as two different ones. Each is played as it stands, octet by octet.
//!
//! Whoever is asked answers what is beyond doubt, and refuses the rest once and for all of the connection: what comes after a
//! doubtful request is never taken for a request.

use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
    time::Duration,
};

use crate::agent::{Agent, signed_in};

/// What becomes of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// So many requests are answered, each with 200.
    Served(usize),
    /// The request is refused with this status, and nothing after it is answered.
    Refused(u16),
}
use Outcome::{Refused, Served};

/// `POST` and `SECOND` stand for the first line and the ordinary headers of a request, each without its end.
pub(crate) const CORPUS: &[(&str, &str, Outcome)] = &[
    ("nothing odd", "SECOND\r\n\r\n", Served(1)),
    ("two in a row", "POST\r\nContent-Length: 2\r\n\r\n{}SECOND\r\n\r\n", Served(2)),
    ("an empty line before", "\r\nSECOND\r\n\r\n", Served(1)),
    (
        "a chunked body",
        "POST\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\nSECOND\r\n\r\n",
        Served(2),
    ),
    (
        "extensions and trailers of chunks",
        "POST\r\nTransfer-Encoding: chunked\r\n\r\n2;a=\"b\"\r\n{}\r\n0;c\r\nX-Trailer: x\r\n\r\nSECOND\r\n\r\n",
        Served(2),
    ),
    ("a request in a body", "POST\r\nContent-Length: 4\r\n\r\n{\r\n}SECOND\r\n\r\n", Served(2)),
    (
        "CL.TE",
        "POST\r\nContent-Length: 7\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{}SECOND\r\n\r\n",
        Refused(400),
    ),
    (
        "TE.CL",
        "POST\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n2\r\n{}\r\n0\r\n\r\nSECOND\r\n\r\n",
        Refused(400),
    ),
    (
        "TE.CL in another case",
        "POST\r\ntransfer-encoding: CHUNKED\r\ncontent-length: 0\r\n\r\n0\r\n\r\nSECOND\r\n\r\n",
        Refused(400),
    ),
    (
        "TE.TE",
        "POST\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\nSECOND\r\n\r\n",
        Refused(400),
    ),
    (
        "a coding before chunked",
        "POST\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\nSECOND\r\n\r\n",
        Refused(400),
    ),
    (
        "a coding like chunked",
        "POST\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\nSECOND\r\n\r\n",
        Refused(400),
    ),
    (
        "a coding after a vertical tab",
        "POST\r\nTransfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\nSECOND\r\n\r\n",
        Refused(400),
    ),
    (
        "a coding with an underscore",
        "POST\r\nTransfer_Encoding: chunked\r\nContent-Length: 2\r\n\r\n{}SECOND\r\n\r\n",
        Refused(400),
    ),
    (
        "a space before the colon of a coding",
        "POST\r\nTransfer-Encoding : chunked\r\nContent-Length: 2\r\n\r\n{}SECOND\r\n\r\n",
        Refused(400),
    ),
    (
        "a coding in a folded line",
        "POST\r\nX: y\r\n Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n{}SECOND\r\n\r\n",
        Refused(400),
    ),
    ("two lengths", "POST\r\nContent-Length: 2\r\nContent-Length: 0\r\n\r\n{}SECOND\r\n\r\n", Refused(400)),
    (
        "a length twice",
        "POST\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n{}SECOND\r\n\r\n",
        Refused(400),
    ),
    ("a list of lengths", "POST\r\nContent-Length: 2, 2\r\n\r\n{}SECOND\r\n\r\n", Refused(400)),
    ("a length with a sign", "POST\r\nContent-Length: +2\r\n\r\n{}SECOND\r\n\r\n", Refused(400)),
    ("a negative length", "POST\r\nContent-Length: -1\r\n\r\nSECOND\r\n\r\n", Refused(400)),
    ("a hexadecimal length", "POST\r\nContent-Length: 0x2\r\n\r\n{}SECOND\r\n\r\n", Refused(400)),
    (
        "a length beyond numbers",
        "POST\r\nContent-Length: 18446744073709551618\r\n\r\n{}SECOND\r\n\r\n",
        Refused(400),
    ),
    ("lines that end with LF", "POST\nContent-Length: 2\n\n{}SECOND\r\n\r\n", Refused(400)),
    ("a header behind a bare LF", "POST\r\nX: y\nContent-Length: 2\r\n\r\n{}SECOND\r\n\r\n", Refused(400)),
    ("a header behind a bare CR", "POST\r\nX: y\rContent-Length: 2\r\n\r\n{}SECOND\r\n\r\n", Refused(400)),
    ("an end of a bare LF", "POST\r\nContent-Length: 2\r\n\n{}SECOND\r\n\r\n", Refused(400)),
    ("a NUL in a header", "POST\r\nX: a\0b\r\n\r\nSECOND\r\n\r\n", Refused(400)),
    ("a NUL in a name", "POST\r\nX\0: a\r\n\r\nSECOND\r\n\r\n", Refused(400)),
    ("a name that is none", "POST\r\nX(y): a\r\n\r\nSECOND\r\n\r\n", Refused(400)),
    ("a line without a colon", "POST\r\nnothing\r\n\r\nSECOND\r\n\r\n", Refused(400)),
    ("two hosts", "POST\r\nHost: other.example\r\n\r\nSECOND\r\n\r\n", Refused(400)),
    ("two empty lines before", "\r\n\r\nSECOND\r\n\r\n", Refused(400)),
    ("HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nSECOND\r\n\r\n", Refused(400)),
    ("HTTP/0.9", "GET /\r\nSECOND\r\n\r\n", Refused(400)),
    ("our own word for it", "KEYFOB-REFUSED /0 HTTP/1.1\r\nHost: keyfob\r\n\r\nSECOND\r\n\r\n", Refused(400)),
    (
        "a chunk with a sign",
        "POST\r\nTransfer-Encoding: chunked\r\n\r\n+2\r\n{}\r\n0\r\n\r\nSECOND\r\n\r\n",
        Refused(400),
    ),
    (
        "a chunk in other digits",
        "POST\r\nTransfer-Encoding: chunked\r\n\r\n0x2\r\n{}\r\n0\r\n\r\nSECOND\r\n\r\n",
        Refused(400),
    ),
    (
        "a chunk's line that ends with LF",
        "POST\r\nTransfer-Encoding: chunked\r\n\r\n2\n{}\r\n0\r\n\r\nSECOND\r\n\r\n",
        Refused(400),
    ),
    (
        "a chunk that ends with LF",
        "POST\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\n0\r\n\r\nSECOND\r\n\r\n",
        Refused(400),
    ),
    (
        "a chunk that is longer than it says",
        "POST\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{} \r\n0\r\n\r\nSECOND\r\n\r\n",
        Refused(400),
    ),
    (
        "a chunk beyond numbers",
        "POST\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000002\r\n{}\r\n0\r\n\r\nSECOND\r\n\r\n",
        Refused(400),
    ),
    (
        "an extension with a bare CR",
        "POST\r\nTransfer-Encoding: chunked\r\n\r\n2;a\rb\r\n{}\r\n0\r\n\r\nSECOND\r\n\r\n",
        Refused(400),
    ),
    (
        "a trailer with a space before its colon",
        "POST\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nX : y\r\n\r\nSECOND\r\n\r\n",
        Refused(400),
    ),
];

/// Plays an entry whole and octet by octet, and compares what came back.
pub(crate) fn play<S: Read + Write>(
    connect: impl Fn() -> S,
    post: &str,
    second: &str,
    mut after: impl FnMut(&str, Outcome),
) {
    for (name, request, outcome) in CORPUS {
        let request = request.replace("POST", post).replace("SECOND", second);
        for piece in [usize::MAX, 1] {
            let mut stream = connect();
            for octets in request.as_bytes().chunks(piece) {
                // Who has refused it hears no more of it.
                if stream.write_all(octets).is_err() {
                    break;
                }
            }
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer);
            let answer = String::from_utf8_lossy(&answer);
            let begun = answer.split("HTTP/1.1 ").filter_map(|answer| answer.get(..3));
            let statuses: Vec<&str> = begun.filter(|status| status.parse::<u16>().is_ok()).collect();
            match outcome {
                Served(count) => assert_eq!(statuses, vec!["200"; *count], "{name}: {answer}"),
                Refused(status) => assert_eq!(statuses, [status.to_string()], "{name}: {answer}"),
            }
            after(name, *outcome);
        }
    }
}

#[test]
fn the_agent_answers_what_is_beyond_doubt_and_nothing_after_what_is_not() {
    let s = signed_in();
    let agent = Agent::start(&s, &[]);
    let connect = || {
        let stream = UnixStream::connect(&agent.socket).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a stream");
        stream
    };
    let headers = "Host: keyfob\r\nKeyfob: 1";
    let post = format!("POST /v1/token HTTP/1.1\r\n{headers}");
    let second = format!("GET /v1/status HTTP/1.1\r\n{headers}\r\nConnection: close");
    play(connect, &post, &second, |_, _| {});
}
