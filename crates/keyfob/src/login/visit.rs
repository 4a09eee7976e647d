//! Classifies a request to the loopback callback.

use crate::login::closing_page::{NOT_SIGNED_IN, QUESTION, SIGNED_IN};

/// The path of the callback.
pub(super) const PATH: &str = "/callback";
/// The path of the page that begins a sign-in.
pub(super) const OPEN: &str = "/open/";
/// A browser's whole request head. It brings the cookies of every application that was ever developed on this host: they
/// do not know ports.
pub(super) const LARGEST: usize = 256 * 1024;
/// So many header fields.
const FIELDS: usize = 1024;

/// A request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Visit {
    /// For the callback, with its query.
    Callback { query: String },
    /// The closing page, by either of its names.
    Closing,
    /// Another page.
    Other { path: String },
    /// A head beyond every bound; with its query where it was for the callback.
    TooLarge { query: Option<String> },
    /// Nothing of ours.
    Refused { status: &'static str, headers: &'static [(&'static str, &'static str)] },
}

fn refused(status: &'static str) -> Visit {
    Visit::Refused { status, headers: &[] }
}

/// Reads a head, or what came of it before it grew too large. `names` are what this port may be called.
pub(super) fn of(head: &[u8], whole: bool, names: &[String]) -> Visit {
    let mut fields = vec![httparse::EMPTY_HEADER; FIELDS];
    let mut request = httparse::Request::new(&mut fields);
    let read = request.parse(head);
    let path_of = |target: &str| {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        (path.to_owned(), query.to_owned())
    };
    match read {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) if whole => return refused("400 Bad Request"),
        Ok(httparse::Status::Partial) | Err(httparse::Error::TooManyHeaders) => {
            let (path, query) = path_of(request.path.unwrap_or(""));
            return Visit::TooLarge { query: (path == PATH).then_some(query) };
        }
        Err(_) => return refused("400 Bad Request"),
    }
    let ours = |name: &[u8]| names.iter().any(|ours| name.eq_ignore_ascii_case(ours.as_bytes()));
    let mut hosts = request.headers.iter().filter(|h| h.name.eq_ignore_ascii_case("host"));
    let (host, more) = (hosts.next(), hosts.next());
    let target = request.path.unwrap_or("");
    // Exactly one Host, and ours (RFC 9112 §3.2): a foreign name that resolves to loopback is not. In the absolute form
    // the target says whom it is for, and the Host must be ignored (§3.2.2).
    let absolute = target.get(..7).filter(|scheme| scheme.eq_ignore_ascii_case("http://")).map(|_| {
        let rest = &target[7..];
        rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()))
    });
    let (right, target) = match absolute {
        Some((authority, target)) => (ours(authority.as_bytes()), target),
        None => (host.is_some_and(|host| ours(host.value)), target),
    };
    if !right || more.is_some() {
        return refused("400 Bad Request");
    }
    let prefetch = request.headers.iter().any(|h| {
        (h.name.eq_ignore_ascii_case("sec-purpose") || h.name.eq_ignore_ascii_case("purpose"))
            && h.value.windows(8).any(|w| w.eq_ignore_ascii_case(b"prefetch"))
    });
    let (path, query) = path_of(target);
    match (request.method.unwrap_or(""), path.as_str()) {
        ("GET", PATH) if prefetch => refused("503 Service Unavailable"),
        ("GET", PATH) => Visit::Callback { query },
        ("GET", SIGNED_IN | NOT_SIGNED_IN | QUESTION) => Visit::Closing,
        ("HEAD", PATH) => refused("204 No Content"),
        ("GET", _) if prefetch && path.starts_with(OPEN) => refused("503 Service Unavailable"),
        ("GET", _) => Visit::Other { path },
        ("HEAD", _) => refused("404 Not Found"),
        _ => Visit::Refused { status: "405 Method Not Allowed", headers: &[("Allow", "GET, HEAD")] },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn visit(head: &str) -> Visit {
        of(format!("{head}\r\n\r\n").as_bytes(), true, &["127.0.0.1:5".to_owned()])
    }

    fn callback() -> Visit {
        Visit::Callback { query: "code=c&state=s".into() }
    }

    /// RFC 9112 §3.2.2: a server must take the absolute form, and then the target says whom it is for.
    #[test]
    fn the_absolute_form_is_the_same_request() {
        for (head, is) in [
            ("GET /callback?code=c&state=s HTTP/1.1\r\nHost: 127.0.0.1:5", callback()),
            ("GET http://127.0.0.1:5/callback?code=c&state=s HTTP/1.1\r\nHost: 127.0.0.1:5", callback()),
            ("GET HTTP://127.0.0.1:5/callback?code=c&state=s HTTP/1.1\r\nHost: a.proxy", callback()),
            (
                "GET http://rebound.example:5/callback?code=c HTTP/1.1\r\nHost: 127.0.0.1:5",
                refused("400 Bad Request"),
            ),
            (
                "GET http://127.0.0.1:6/callback?code=c HTTP/1.1\r\nHost: 127.0.0.1:5",
                refused("400 Bad Request"),
            ),
            ("GET http://127.0.0.1:5 HTTP/1.1\r\nHost: 127.0.0.1:5", Visit::Other { path: String::new() }),
            (
                "GET http://127.0.0.1:5@evil/callback HTTP/1.1\r\nHost: 127.0.0.1:5",
                refused("400 Bad Request"),
            ),
        ] {
            assert_eq!(visit(head), is, "{head}");
        }
    }

    /// Cookies do not know ports: those of everything that runs on this host come along. What is beyond our bound is
    /// known to be, and whose it is as well.
    #[test]
    fn a_large_head_is_taken_or_told() {
        let head = |fields: usize, each: usize| {
            let fields: String =
                (0..fields).map(|at| format!("\r\nCookie: a{at}={}", "x".repeat(each))).collect();
            format!("GET /callback?code=c&state=s HTTP/1.1\r\nHost: 127.0.0.1:5{fields}")
        };
        assert_eq!(visit(&head(60, 1024)), callback());
        assert_eq!(visit(&head(1000, 1)), callback());
        let too_large = || Visit::TooLarge { query: Some("code=c&state=s".into()) };
        assert_eq!(visit(&head(1100, 1)), too_large());
        let cut = head(300, 1024);
        assert_eq!(of(cut.as_bytes(), false, &["127.0.0.1:5".to_owned()]), too_large());
        let icon = cut.replace("/callback", "/favicon.ico");
        assert_eq!(of(icon.as_bytes(), false, &["127.0.0.1:5".to_owned()]), Visit::TooLarge { query: None });
    }
}
