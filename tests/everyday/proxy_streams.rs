//! The proxy and what does not come at once: events, bodies of any size, WebSockets, clients that leave.
#![expect(clippy::disallowed_methods, reason = "tests start real programs, and threads that talk to them")]

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc::{self, Receiver, Sender},
    },
};

use keyfob_testkit::{
    Sandbox, until,
    upstream::{Asked, Conversation, Upstream},
};

use crate::{
    proxy::{Proxy, may_go_to, nod, signed_in},
    smuggling::{self, Outcome},
};

/// Begins a request; what is read then is its answer.
fn begin(proxy: &Proxy, method: &str, path: &str, head: &str) -> BufReader<TcpStream> {
    let mut stream = proxy.connect();
    let request =
        format!("{method} {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n{head}\r\n", proxy.token);
    stream.write_all(request.as_bytes()).expect("it reads");
    BufReader::new(stream)
}

/// The status of an answer, and its head up to the empty line.
fn head(answer: &mut BufReader<TcpStream>) -> (u16, String) {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(answer.read_line(&mut head).expect("a line") > 0, "it was cut: {head}");
    }
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    (status, head.to_ascii_lowercase())
}

/// The next chunk (RFC 9112 §7.1); empty for the last.
fn chunk(answer: &mut BufReader<TcpStream>) -> String {
    let mut size = String::new();
    answer.read_line(&mut size).expect("a size");
    let size = usize::from_str_radix(size.trim(), 16).unwrap_or_else(|_| panic!("no size: {size:?}"));
    let mut data = vec![0; size + if size == 0 { 0 } else { 2 }];
    answer.read_exact(&mut data).expect("a chunk");
    String::from_utf8_lossy(&data[..size]).into_owned()
}

fn chunks(talk: &mut Conversation, head: &str) -> bool {
    talk.say(format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n{head}\r\n"))
}

fn say_chunk(talk: &mut Conversation, text: &str) -> bool {
    talk.say(format!("{:x}\r\n{text}\r\n", text.len()))
}

/// An API that sends as events what the test says, until that is over; it also says when its client has left.
fn events() -> (Upstream, Sender<String>, Receiver<()>) {
    let (say, said) = mpsc::channel::<String>();
    let (tell, left) = mpsc::channel();
    let (said, tell) = (Mutex::new(said), Mutex::new(tell));
    let api = Upstream::start(move |asked, talk| {
        if asked.path != "/events" {
            return nod(asked, talk);
        }
        chunks(talk, "content-type: text/event-stream\r\n");
        while let Ok(text) = said.lock().expect("no panic").recv() {
            if text.is_empty() {
                // It notices when the client leaves.
                talk.rest();
                let _ = tell.lock().expect("no panic").send(());
                return;
            }
            say_chunk(talk, &text);
        }
        talk.say("0\r\n\r\n");
    });
    (api, say, left)
}

#[test]
fn an_event_comes_when_it_is_sent() {
    let (api, say, _) = events();
    let s = signed_in(&api);
    let proxy = Proxy::start(&s, &api, &[]);
    let mut answer = begin(&proxy, "GET", "/events", "");
    let (status, told) = head(&mut answer);
    assert!(status == 200 && told.contains("text/event-stream"), "{told}");
    for event in ["data: one\n\n", "data: two\n\n"] {
        // The next one is sent only when this one has come.
        say.send(event.into()).expect("it listens");
        assert_eq!(chunk(&mut answer), event);
    }
    drop(say);
    assert_eq!(chunk(&mut answer), "");
}

/// What is open goes on with the token that it began with, whatever happens to that.
#[test]
fn a_renewal_and_the_end_of_the_proxy_leave_an_open_stream() {
    let (api, say, _) = events();
    let s = signed_in(&api);
    let mut proxy = Proxy::start(&s, &api, &[]);
    let mut answer = begin(&proxy, "GET", "/events", "");
    head(&mut answer);
    let before = s.token();
    s.expire();
    assert_ne!(s.token(), before);
    assert_eq!(proxy.get("/v1").status, 200);
    say.send("data: one\n\n".into()).expect("it listens");
    assert_eq!(chunk(&mut answer), "data: one\n\n");
    proxy.signal("-TERM");
    until("nobody to be let in", || TcpStream::connect(&proxy.address).is_err().then_some(()));
    say.send("data: two\n\n".into()).expect("it listens");
    assert_eq!(chunk(&mut answer), "data: two\n\n");
    drop(say);
    assert_eq!(chunk(&mut answer), "");
    assert_eq!(proxy.child.wait().expect("it ends").code(), Some(0));
}

#[test]
fn a_client_that_leaves_ends_its_request() {
    let (api, say, left) = events();
    let s = signed_in(&api);
    let proxy = Proxy::start(&s, &api, &[]);
    let mut answer = begin(&proxy, "GET", "/events", "");
    head(&mut answer);
    say.send("data: one\n\n".into()).expect("it listens");
    assert_eq!(chunk(&mut answer), "data: one\n\n");
    say.send(String::new()).expect("it listens");
    drop(answer);
    left.recv().expect("the target sees it go");
}

#[test]
fn trailers_pass() {
    let api = Upstream::start(|asked, talk| {
        let token = asked.one("authorization").unwrap_or_default();
        chunks(talk, "trailer: x-sum, x-echo\r\n");
        say_chunk(talk, "body");
        talk.say(format!("0\r\nx-sum: 42\r\nx-echo: {token}\r\n\r\n"));
    });
    let s = signed_in(&api);
    let proxy = Proxy::start(&s, &api, &[]);
    let answer = proxy.ask("GET", "/v1", "te: trailers\r\n", "");
    assert!(answer.body.contains("x-sum: 42"), "{answer:?}");
    assert!(answer.body.contains("x-echo: ") && !answer.body.contains(&s.token()), "{answer:?}");
    assert_eq!(api.asked()[0].one("te"), Some("trailers"));
}

#[test]
fn a_websocket_is_opened_with_the_credential() {
    let api = Upstream::start(|asked, talk| {
        let wanted = asked.one("upgrade").unwrap_or("nothing");
        let wanted = if asked.path == "/odd" { "h2c, websocket" } else { wanted };
        talk.say(format!(
            "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: {wanted}\r\n\r\n"
        ));
        loop {
            let came = talk.some();
            if came.is_empty() {
                return talk.close();
            }
            talk.say(came);
        }
    });
    let s = signed_in(&api);
    let proxy = Proxy::start(&s, &api, &[]);
    let upgrade = "connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-key: x3JJHMbDL1EzLkh9GBhXDw==\r\n\
                   sec-websocket-version: 13\r\n";
    let mut answer = begin(&proxy, "GET", "/ws", upgrade);
    let (status, told) = head(&mut answer);
    assert!(status == 101 && told.contains("upgrade: websocket"), "{told}");
    for text in ["one", "two"] {
        answer.get_mut().write_all(text.as_bytes()).expect("it reads");
        let mut came = vec![0; text.len()];
        answer.read_exact(&mut came).expect("an echo");
        assert_eq!(came, text.as_bytes());
    }
    let asked = &api.asked()[0];
    assert_eq!(asked.one("authorization"), Some(format!("Bearer {}", s.token()).as_str()));
    assert_eq!(asked.one("sec-websocket-version"), Some("13"));
    let mut odd = begin(&proxy, "GET", "/odd", upgrade);
    let (status, told) = head(&mut odd);
    assert!(status == 502 && told.contains("keyfob-error: answer-invalid"), "{told}");
    // Another protocol is not asked for.
    let other = begin(&proxy, "GET", "/h2c", "connection: Upgrade\r\nupgrade: h2c\r\n");
    until("the second request", || api.asked().into_iter().find(|asked| asked.path == "/h2c"));
    assert!(api.asked().iter().all(|asked| asked.path != "/h2c" || asked.all("upgrade").is_empty()));
    drop(other);
}

/// The most memory that a process has had, in KiB (proc_pid_status(5)).
fn peak(proxy: &Proxy) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", proxy.child.id())).expect("it lives");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// How much goes each way. `KEYFOB_PROXY_MIB=1024` is the whole measure.
fn octets() -> usize {
    let mib = std::env::var("KEYFOB_PROXY_MIB").ok().and_then(|mib| mib.parse().ok()).unwrap_or(96_usize);
    mib << 20
}

#[test]
fn large_bodies_pass_in_little_memory() {
    let heard = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&heard);
    let api = Upstream::start(move |asked, talk| {
        talk.hear(asked, |part| {
            counted.fetch_add(part.len(), Ordering::SeqCst);
        });
        let part = vec![b'y'; 1 << 20];
        let all = if asked.path == "/down" { octets() } else { 0 };
        talk.say(format!("HTTP/1.1 200 OK\r\ncontent-length: {all}\r\n\r\n"));
        for _ in 0..all >> 20 {
            talk.say(&part);
        }
    });
    let s = signed_in(&api);
    let proxy = Proxy::start(&s, &api, &[]);
    assert_eq!(proxy.get("/small").status, 200);
    let before = peak(&proxy);
    let mut up = begin(&proxy, "POST", "/up", &format!("content-length: {}\r\n", octets()));
    let part = vec![b'x'; 1 << 20];
    for _ in 0..octets() >> 20 {
        up.get_mut().write_all(&part).expect("it reads");
    }
    assert_eq!(head(&mut up).0, 200);
    assert_eq!(heard.load(Ordering::SeqCst), octets());
    let mut down = begin(&proxy, "GET", "/down", "connection: close\r\n");
    assert_eq!(head(&mut down).0, 200);
    let came = std::io::copy(&mut down, &mut std::io::sink()).expect("all of it");
    assert_eq!(came, octets() as u64);
    let grown = peak(&proxy) - before;
    assert!(grown < 16 * 1024, "{grown} KiB more");
}

/// Whoever does not read what it asked for is waited for by the target, and by nobody else.
#[test]
fn a_slow_client_holds_up_nobody() {
    let written = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&written);
    let api = Upstream::start(move |asked, talk| {
        if asked.path != "/endless" {
            return nod(asked, talk);
        }
        let part = "z".repeat(64 * 1024);
        chunks(talk, "");
        while say_chunk(talk, &part) {
            counted.fetch_add(1, Ordering::SeqCst);
        }
        talk.close();
    });
    let s = signed_in(&api);
    let proxy = Proxy::start(&s, &api, &[]);
    let before = peak(&proxy);
    let slow: Vec<_> = (0..4).map(|_| begin(&proxy, "GET", "/endless", "")).collect();
    // Until nobody takes more: what is written then is what all of them hold.
    let mut seen = 0;
    until("the writers to be held up", || {
        std::thread::sleep(std::time::Duration::from_millis(50));
        let now = written.load(Ordering::SeqCst);
        let stands_still = now >= 4 && now == seen;
        seen = now;
        stands_still.then_some(())
    });
    for _ in 0..50 {
        assert_eq!(proxy.get("/v1").status, 200);
    }
    let grown = peak(&proxy) - before;
    assert!(grown < 16 * 1024, "{grown} KiB more");
    drop(slow);
}

/// Neither the words behind the status nor trailers say what the head and the body must not.
#[test]
fn an_answer_has_no_other_place_for_the_credential() {
    let api = Upstream::start(|asked, talk| {
        let token = asked.one("authorization").unwrap_or_default().to_owned();
        match asked.path.as_str() {
            "/words" => drop(talk.say(format!("HTTP/1.1 400 no: {token}\r\ncontent-length: 0\r\n\r\n"))),
            "/hidden" => {
                talk.answer(200, "content-encoding: gzip\r\nconnection: content-encoding\r\n", token);
            }
            "/coded" => drop(
                talk.say("HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"),
            ),
            _ => {
                chunks(talk, "trailer: set-cookie, alt-svc, keyfob-error, x-sum\r\n");
                say_chunk(talk, "body");
                talk.say("0\r\nset-cookie: a=b\r\nalt-svc: h3\r\nkeyfob-error: bug\r\nx-sum: 42\r\n\r\n");
            }
        }
    });
    let s = signed_in(&api);
    let proxy = Proxy::start(&s, &api, &[]);
    let words = proxy.get("/words");
    let token = s.token().to_ascii_lowercase();
    assert!(words.status == 400 && !words.head.contains(&token), "{words:?}");
    for path in ["/hidden", "/coded"] {
        let answer = proxy.get(path);
        assert_eq!((answer.status, answer.id().as_str()), (502, "answer-invalid"), "{path}: {answer:?}");
    }
    let answer = proxy.ask("GET", "/trailers", "te: trailers\r\n", "");
    assert!(answer.body.contains("x-sum: 42"), "{answer:?}");
    for gone in ["a=b", "alt-svc: h3", "keyfob-error: bug"] {
        assert!(!answer.body.contains(gone), "{gone}: {answer:?}");
    }
}

/// A token that was replaced a moment ago is still good at most APIs.
#[test]
fn the_token_before_is_covered_too() {
    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    let before = s.token();
    let told = before.clone();
    let old = format!("Bearer {before}");
    let api = Upstream::start(move |asked, talk| {
        let status = if asked.one("authorization") == Some(&old) { 401 } else { 200 };
        talk.answer(status, "", format!("instead of {told}"));
    });
    may_go_to(&s, &api);
    let proxy = Proxy::start(&s, &api, &[]);
    let answer = proxy.get("/v1");
    assert_eq!((answer.status, answer.body), (200, format!("instead of {}", "*".repeat(before.len()))));
}

fn reflect(asked: &Asked, talk: &mut Conversation) {
    let token = asked.one("authorization").unwrap_or_default().strip_prefix("Bearer ").unwrap_or_default();
    match asked.path.as_str() {
        "/gzip" => talk.answer(200, "content-encoding: gzip\r\n", token),
        "/plain" => talk.answer(200, "content-encoding: identity\r\n", format!("<{token}>")),
        _ => {
            chunks(talk, "");
            let text = format!("before {token} between {token} after");
            for part in text.as_bytes().chunks(7) {
                say_chunk(talk, std::str::from_utf8(part).expect("ASCII"));
            }
            talk.say("0\r\n\r\n");
        }
    }
}

#[test]
fn a_body_that_shows_the_credential_is_covered() {
    let api = Upstream::start(reflect);
    let s = signed_in(&api);
    let proxy = Proxy::start(&s, &api, &[]);
    let token = s.token();
    let plain = proxy.ask("GET", "/plain", "accept-encoding: gzip, br\r\nrange: bytes=0-4\r\n", "");
    assert_eq!(plain.body, format!("<{}>", "*".repeat(token.len())), "{plain:?}");
    assert!(plain.head.contains(&format!("content-length: {}", token.len() + 2)), "{plain:?}");
    let asked = &api.asked()[0];
    assert_eq!((asked.one("accept-encoding"), asked.all("range").len()), (Some("identity"), 0));
    let mut answer = begin(&proxy, "GET", "/in-parts", "");
    head(&mut answer);
    let mut text = String::new();
    loop {
        match chunk(&mut answer) {
            part if part.is_empty() => break,
            part => text += &part,
        }
    }
    let covered = "*".repeat(token.len());
    assert_eq!(text, format!("before {covered} between {covered} after"));
    let gzip = proxy.get("/gzip");
    assert_eq!((gzip.status, gzip.id().as_str()), (502, "answer-invalid"), "{gzip:?}");
}

#[test]
fn bodies_may_be_left_alone() {
    let api = Upstream::start(reflect);
    let s = signed_in(&api);
    let proxy = Proxy::start(&s, &api, &["--scrub", "headers"]);
    let answer = proxy.ask("GET", "/gzip", "accept-encoding: gzip\r\n", "");
    assert_eq!((answer.status, answer.body), (200, s.token()));
    assert_eq!(api.asked()[0].one("accept-encoding"), Some("gzip"));
}

/// Clients that take the proxy for their HTTP proxy say whom they want to ask; it is asked as the target is.
#[test]
fn a_client_may_take_it_for_its_http_proxy() {
    let api = Upstream::start(nod);
    let s = signed_in(&api);
    let proxy = Proxy::start(&s, &api, &[]);
    let ask = |url: &str| {
        let host = url.split('/').nth(2).expect("a host");
        proxy.raw(&format!(
            "GET {url} HTTP/1.1\r\nhost: {host}\r\nproxy-authorization: Bearer {}\r\nconnection: close\r\n\r\n",
            proxy.token
        ))
    };
    assert_eq!(ask(&format!("{}/v1?x=1", api.origin())).status, 200);
    assert_eq!(api.asked()[0].path, "/v1?x=1");
    let other = ask("http://127.0.0.1:1/v1");
    assert_eq!((other.status, other.id().as_str()), (403, "proxy-refused"));
}

#[test]
fn a_target_that_is_gone_is_told() {
    let s = Sandbox::new();
    let api = Upstream::start(|_, talk| talk.close());
    may_go_to(&s, &api);
    s.sign_in("default", "ada@example.com");
    let proxy = Proxy::start(&s, &api, &[]);
    let answer = proxy.get("/v1");
    assert_eq!((answer.status, answer.id().as_str()), (502, "unreachable"), "{answer:?}");
    assert!(answer.body.contains(&api.origin()), "{answer:?}");
}

/// What two servers could read as two requests is never forwarded, and nothing behind it is.
#[test]
fn a_request_that_hides_another_is_not_forwarded() {
    let api = Upstream::start(nod);
    let s = signed_in(&api);
    let proxy = Proxy::start(&s, &api, &[]);
    let headers = format!("Host: x\r\nAuthorization: Bearer {}", proxy.token);
    let post = format!("POST /first HTTP/1.1\r\n{headers}");
    let second = format!("GET /second HTTP/1.1\r\n{headers}\r\nConnection: close");
    let mut served = 0;
    smuggling::play(
        || proxy.connect(),
        &post,
        &second,
        |name, outcome| {
            served += usize::from(matches!(outcome, Outcome::Served(_)));
            let asked = api.asked();
            assert_eq!(asked.iter().filter(|asked| asked.path == "/second").count(), served, "{name}");
            assert!(asked.iter().all(|asked| ["/first", "/second"].contains(&asked.path.as_str())), "{name}");
        },
    );
}
