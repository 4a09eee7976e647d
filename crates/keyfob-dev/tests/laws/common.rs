//! A small blocking HTTP client that shows everything and repairs nothing.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    time::Duration,
};

use keyfob_dev::{DevServer, LOCAL_CLIENT_ID, Options};
use serde_json::Value;

pub(crate) const TOKEN: &str = "/v1/oauth/token";
pub(crate) const CALLBACK: &str = "http://127.0.0.1:49152/callback";
/// The pair of RFC 7636 Appendix B.
pub(crate) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub(crate) const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
pub(crate) const SCOPE: &str = "user:profile user:inference";

pub(crate) type Pairs<'a> = &'a [(&'a str, &'a str)];

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.header("content-type"), Some("application/json"), "{self:?}");
        serde_json::from_str(&self.body).expect("a JSON body")
    }

    pub(crate) fn error(&self) -> String {
        let body = self.json();
        assert!(body["error_description"].is_string(), "{body}");
        body["error"].as_str().expect("an error").to_owned()
    }

    /// The parameters of the redirect.
    pub(crate) fn redirected(&self) -> Vec<(String, String)> {
        assert_eq!(self.status, 303, "{self:?}");
        let to = self.header("location").expect("a Location");
        let query = to.split_once('?').expect("a query").1;
        form_urlencoded::parse(query.as_bytes()).into_owned().collect()
    }

    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        self.redirected().into_iter().find(|(n, _)| n == name).map(|(_, value)| value)
    }
}

pub(crate) fn server() -> DevServer {
    start(Options::default())
}

pub(crate) fn start(options: Options) -> DevServer {
    DevServer::start(Options { port: 0, auto_approve: true, ..options }).expect("a server")
}

/// Sends octets and reads until the server closes.
/// Waits for what must happen. The minute is no claim: without it a failure would hang.
#[track_caller]
pub(crate) fn until(what: &str, come: impl Fn() -> bool) {
    for _ in 0..30_000 {
        if come() {
            return;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    panic!("waited a minute in vain until {what}");
}

/// Stops a server, which waits for nobody.
#[track_caller]
pub(crate) fn stops(server: DevServer) {
    let stopping = std::thread::spawn(move || server.stop());
    until("the server has stopped", || stopping.is_finished());
    stopping.join().expect("stopped");
}

pub(crate) fn raw(server: &DevServer, request: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(("127.0.0.1", server.port()))?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    stream.write_all(request)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(answer)
}

pub(crate) fn parse(octets: &[u8]) -> Answer {
    let text = String::from_utf8_lossy(octets);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
    let mut lines = head.lines();
    let status =
        lines.next().and_then(|l| l.split(' ').nth(1)).and_then(|s| s.parse().ok()).expect("a status");
    let headers: Vec<_> = lines
        .map(|line| line.split_once(':').expect("a header"))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let chunked = headers.iter().any(|(n, v)| n == "transfer-encoding" && v == "chunked");
    let body = if chunked { unchunk(body) } else { body.to_owned() };
    Answer { status, headers, body }
}

fn unchunk(mut rest: &str) -> String {
    let mut body = String::new();
    while let Some((size, tail)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).expect("a chunk size");
        body.push_str(&tail[..size]);
        rest = tail[size..].trim_start_matches("\r\n");
    }
    body
}

pub(crate) fn request(
    server: &DevServer,
    method: &str,
    path: &str,
    headers: Pairs<'_>,
    body: &str,
) -> Answer {
    parse(&raw(server, written(server, method, path, headers, body).as_bytes()).expect("an answer"))
}

pub(crate) fn written(
    server: &DevServer,
    method: &str,
    path: &str,
    headers: Pairs<'_>,
    body: &str,
) -> String {
    let host = server.base_url().replace("http://", "");
    let mut text = format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n");
    for (name, value) in headers {
        text += &format!("{name}: {value}\r\n");
    }
    if !body.is_empty() || method == "POST" {
        text += &format!("content-length: {}\r\n", body.len());
    }
    text + "\r\n" + body
}

pub(crate) fn get(server: &DevServer, path: &str, headers: Pairs<'_>) -> Answer {
    request(server, "GET", path, headers, "")
}

pub(crate) fn encode(pairs: Pairs<'_>) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

pub(crate) fn post(server: &DevServer, path: &str, headers: Pairs<'_>, form: Pairs<'_>) -> Answer {
    let mut all = vec![("content-type", "application/x-www-form-urlencoded")];
    all.extend(headers);
    request(server, "POST", path, &all, &encode(form))
}

/// The page a form's answer leads to, which is one of the server's own.
pub(crate) fn sent_on(server: &DevServer, answer: &Answer) -> Answer {
    assert_eq!(answer.status, 303, "{answer:?}");
    let path = answer.header("location").filter(|to| to.starts_with('/')).expect("a page of the server");
    get(server, path, &[])
}

/// `base` with some parameters replaced; an empty value takes one away.
pub(crate) fn with<'a>(base: Pairs<'a>, changes: Pairs<'a>) -> Vec<(&'a str, &'a str)> {
    let kept = base.iter().filter(|(name, _)| changes.iter().all(|(changed, _)| changed != name));
    kept.chain(changes.iter().filter(|(_, value)| !value.is_empty())).copied().collect()
}

pub(crate) const AUTHORIZE: Pairs<'_> = &[
    ("response_type", "code"),
    ("client_id", LOCAL_CLIENT_ID),
    ("redirect_uri", CALLBACK),
    ("scope", SCOPE),
    ("state", "xyz"),
    ("code_challenge", CHALLENGE),
    ("code_challenge_method", "S256"),
];

pub(crate) fn authorize(server: &DevServer, changes: Pairs<'_>) -> Answer {
    get(server, &format!("/oauth/authorize?{}", encode(&with(AUTHORIZE, changes))), &[])
}

pub(crate) fn code(server: &DevServer, changes: Pairs<'_>) -> String {
    authorize(server, changes).parameter("code").expect("a code")
}

pub(crate) fn exchange(server: &DevServer, code: &str, changes: Pairs<'_>) -> Answer {
    let form = [
        ("grant_type", "authorization_code"),
        ("client_id", LOCAL_CLIENT_ID),
        ("code", code),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
    ];
    post(server, TOKEN, &[], &with(&form, changes))
}

pub(crate) fn refresh(server: &DevServer, token: &str, changes: Pairs<'_>) -> Answer {
    let form = [("grant_type", "refresh_token"), ("client_id", LOCAL_CLIENT_ID), ("refresh_token", token)];
    post(server, TOKEN, &[], &with(&form, changes))
}

/// Access and refresh token of a fresh sign-in over HTTP.
pub(crate) fn sign_in(server: &DevServer) -> (String, String) {
    tokens(&exchange(server, &code(server, &[]), &[]))
}

pub(crate) fn tokens(answer: &Answer) -> (String, String) {
    assert_eq!(answer.status, 200, "{answer:?}");
    let body = answer.json();
    let member = |name: &str| body[name].as_str().expect(name).to_owned();
    (member("access_token"), member("refresh_token"))
}

pub(crate) fn whoami(server: &DevServer, token: &str) -> Answer {
    get(server, "/v1/whoami", &[("authorization", &format!("Bearer {token}"))])
}

pub(crate) fn last_outcome(server: &DevServer) -> String {
    server.requests().last().expect("a request").outcome.clone()
}
