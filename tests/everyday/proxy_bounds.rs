//! The proxy and what somebody could have too much of: memory, patience, trust in what a request says of itself.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    os::unix::net::UnixStream,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use keyfob_testkit::{
    Sandbox, token_requests, until,
    upstream::{Asked, Conversation, Upstream},
};

use crate::proxy::{Answer, Proxy, may_go_to, nod, signed_in};

/// As many bodies as the proxy keeps, each as large as one may be.
const KEPT: usize = 64;
const LARGEST: usize = 1 << 20;

/// Beyond what is kept of all requests a body is not kept, and a 401 is the client's.
#[test]
fn what_is_kept_of_all_requests_has_an_end() {
    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    let old = format!("Bearer {}", s.token());
    let is_free = Arc::new((Mutex::new(false), Condvar::new()));
    let heard = Arc::new(AtomicUsize::new(0));
    let (free_there, heard_there) = (Arc::clone(&is_free), Arc::clone(&heard));
    let api = Upstream::start(move |asked: &Asked, talk: &mut Conversation| {
        talk.hear(asked, |_| {});
        let is_old = asked.one("authorization") == Some(&old);
        if asked.path == "/large" && is_old {
            heard_there.fetch_add(1, Ordering::SeqCst);
            let (free, changed) = &*free_there;
            let free = changed.wait_while(free.lock().expect("no panic"), |free| !*free);
            drop(free.expect("no panic"));
        }
        talk.answer(if is_old { 401 } else { 200 }, "", "");
    });
    may_go_to(&s, &api);
    let proxy = Proxy::start(&s, &api, &[]);
    let body = "x".repeat(LARGEST);
    let before = token_requests(&s.server);
    thread::scope(|scope| {
        let all: Vec<_> =
            (0..KEPT).map(|_| scope.spawn(|| proxy.ask("POST", "/large", "", &body).status)).collect();
        until("all bodies", || (heard.load(Ordering::SeqCst) == KEPT).then_some(()));
        let asked = api.asked().len();
        // There is no room for the smallest one.
        assert_eq!(proxy.ask("POST", "/small", "", "x").status, 401);
        assert_eq!(api.asked().len(), asked + 1, "it was not sent twice");
        let (free, changed) = &*is_free;
        *free.lock().expect("no panic") = true;
        changed.notify_all();
        for one in all {
            assert_eq!(one.join().expect("no panic"), 200);
        }
    });
    assert_eq!(token_requests(&s.server), before + 1);
}

/// A body that is not kept is still on its way when the target refuses the token, and the end of that answer comes after the
/// renewal: the client gets all of it.
#[test]
fn a_401_to_a_large_body_comes_back_whole() {
    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    let (go, may_go) = std::sync::mpsc::channel();
    let may_go = Mutex::new(may_go);
    let api = Upstream::start(move |_: &Asked, talk: &mut Conversation| {
        talk.say("HTTP/1.1 401 Unauthorized\r\ncontent-length: 7\r\n\r\n");
        may_go.lock().expect("no panic").recv().expect("it is told");
        talk.say("refused");
        talk.close();
    });
    may_go_to(&s, &api);
    let proxy = Proxy::start(&s, &api, &[]);
    let before = token_requests(&s.server);
    let request = format!(
        "POST /large HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        proxy.token,
        2 * LARGEST
    );
    let mut stream = proxy.connect();
    stream.write_all(request.as_bytes()).expect("it reads");
    until("a renewal", || (token_requests(&s.server) == before + 1).then_some(()));
    go.send(()).expect("it listens");
    // The rest of the body never comes, so the connection is not what ends.
    let mut answer = String::new();
    let mut octets = BufReader::new(stream);
    while !answer.ends_with("\r\n\r\nrefused") {
        let mut octet = [0];
        assert_eq!(octets.read(&mut octet).expect("it answers"), 1, "it was cut: {answer}");
        answer.push(char::from(octet[0]));
    }
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    assert_eq!(api.asked().len(), 1);
}

/// What comes in one piece with a request before it, and with what belongs to the other protocol behind it.
#[test]
fn a_websocket_may_be_asked_for_before_the_answer_to_another_request() {
    let api = Upstream::start(|asked, talk| {
        if asked.one("upgrade").is_none() {
            // It looks as if it were the other answer.
            let body = "HTTP/1.1 101 Switching Protocols\r\n\r\n";
            return talk.answer(200, "", body);
        }
        talk.say("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n");
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
    let head = |path: &str, more: &str| {
        format!("GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n{more}\r\n", proxy.token)
    };
    let upgrade = "connection: Upgrade\r\nupgrade: websocket\r\n";
    let mut stream = proxy.connect();
    // No request could look so.
    let sent = format!("{}{}{}\0\n\u{1}end", head("/a", ""), head("/b", ""), head("/ws", upgrade));
    stream.write_all(sent.as_bytes()).expect("it reads");
    let mut answer = BufReader::new(stream);
    for status in ["200", "200", "101"] {
        let mut told = String::new();
        while !told.ends_with("\r\n\r\n") {
            assert!(answer.read_line(&mut told).expect("a line") > 0, "it was cut: {told}");
        }
        assert_eq!(told.split(' ').nth(1), Some(status), "{told}");
        if status == "200" {
            let mut body = vec![0; "HTTP/1.1 101 Switching Protocols\r\n\r\n".len()];
            answer.read_exact(&mut body).expect("a body");
        }
    }
    let mut echo = [0; 6];
    answer.read_exact(&mut echo).expect("an echo");
    assert_eq!(&echo, b"\0\n\x01end");
    let paths: Vec<_> = api.asked().into_iter().map(|asked| asked.path).collect();
    assert_eq!(paths, ["/a", "/b", "/ws"]);
}

/// Whoever has not the token of this run has a short head, little time, and one try for each connection.
#[test]
fn a_stranger_has_one_short_try() {
    let api = Upstream::start(nod);
    let s = signed_in(&api);
    let log = s.path().join("log");
    let proxy = Proxy::start(&s, &api, &["--log", log.to_str().expect("text")]);
    let request = |token: &str, more: &str| {
        format!("GET /v1 HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n{more}\r\n")
    };
    let (wrong, right) = (request("guessed", ""), request(&proxy.token, ""));
    let answer = proxy.raw(&format!("{wrong}{right}"));
    assert!(answer.status == 401 && answer.head.contains("connection: close"), "{answer:?}");
    assert!(!answer.body.contains("HTTP/1.1"), "the second one was answered: {answer:?}");
    assert!(api.asked().is_empty());
    let line = std::fs::read_to_string(&log).expect("it is written before the answer");
    assert!(line.contains(r#""method":"?","path":"?","status":401"#), "{line}");

    let long = format!("x-long: {}\r\n", "x".repeat(17 * 1024));
    assert_eq!(proxy.raw(&request("guessed", &long)).status, 431);
    assert_eq!(proxy.raw(&request(&proxy.token, &long)).status, 431);
    // Whoever is known has more room.
    let mut stream = proxy.connect();
    stream.write_all(right.as_bytes()).expect("it reads");
    until("the first request", || (api.asked().len() == 1).then_some(()));
    stream
        .write_all(request(&proxy.token, &format!("{long}connection: close\r\n")).as_bytes())
        .expect("it reads");
    let both = Answer::read(stream);
    assert!(both.status == 200 && both.body.contains("HTTP/1.1 200"), "{both:?}");

    // Neither one that says nothing nor one that says it slowly stays.
    let both = ["", "GET /v1 HTTP/1.1\r\n"].map(|begun| {
        let mut stream = proxy.connect();
        stream.write_all(begun.as_bytes()).expect("it reads");
        (begun, stream)
    });
    for (begun, mut stream) in both {
        let mut end = Vec::new();
        let _ = stream.read_to_end(&mut end);
        assert!(end.is_empty(), "{begun:?}");
    }
}

/// However many connect and say nothing: whoever is known keeps the place, and the next one who shows that they may ask gets one.
#[test]
fn strangers_take_no_place_of_a_client() {
    let api = Upstream::start(nod);
    let s = signed_in(&api);
    let info = s.path().join("proxy.json");
    let mut command = s.command("sh");
    let script = "ulimit -n 256 && exec \"$0\" proxy --to \"$1\" --listen 127.0.0.1:0 --info \"$2\"";
    command.args(["-c", script, keyfob_testkit::program(), &api.origin()]).arg(&info);
    command.stdout(std::process::Stdio::piped());
    let proxy = Proxy::listening(command, &info);
    let request = format!("GET /v1 HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\r\n", proxy.token);
    let mut known = proxy.connect();
    known.write_all(request.as_bytes()).expect("it reads");
    until("the first request", || (api.asked().len() == 1).then_some(()));
    let mut silent: Vec<_> = (0..80).map(|_| proxy.connect()).collect();
    assert_eq!(proxy.get("/v1").status, 200);
    // Whoever came first has left for it, and was told nothing.
    let mut end = Vec::new();
    let _ = silent[0].read_to_end(&mut end);
    assert!(end.is_empty());
    known
        .write_all(request.replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n").as_bytes())
        .expect("it reads");
    let both = Answer::read(known);
    assert!(both.status == 200 && both.body.contains("HTTP/1.1 200"), "{both:?}");
}

/// At a unix socket the system has said who it is before.
#[test]
fn whoever_comes_by_a_unix_socket_is_known_beforehand() {
    let api = Upstream::start(nod);
    let s = signed_in(&api);
    let socket = s.path().join("run/api.sock");
    let mut command = s.keyfob(["proxy", "--to", &api.origin(), "--listen"]);
    let mut child = command.arg(format!("unix:{}", socket.display())).spawn().expect("it starts");
    let stream = until("its socket", || UnixStream::connect(&socket).ok());
    let long = "x".repeat(17 * 1024);
    let request = format!("GET /v1 HTTP/1.1\r\nhost: x\r\nx-long: {long}\r\nconnection: close\r\n\r\n");
    (&stream).write_all(request.as_bytes()).expect("it reads");
    assert_eq!(Answer::read(&stream).status, 200);
    child.kill().and_then(|()| child.wait()).expect("ours");
}

/// What a head may not have a trailer may not either, in both directions, and none of it is announced.
#[test]
fn a_trailer_is_no_way_around_the_head() {
    let trailers = Arc::new(Mutex::new(String::new()));
    let came = Arc::clone(&trailers);
    let api = Upstream::start(move |_, talk| {
        let mut body = String::new();
        while !body.contains("0\r\n") || !body.ends_with("\r\n\r\n") {
            body.push_str(&String::from_utf8_lossy(&talk.some()));
        }
        *came.lock().expect("no panic") = body;
        talk.say(
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum, set-cookie, content-length\r\n\r\n\
             4\r\nbody\r\n0\r\nx-sum: 42\r\nset-cookie: a=b\r\ncontent-length: 7\r\nlocation: /x\r\n\
             keyfob-error: bug\r\n\r\n",
        );
        talk.close();
    });
    let s = signed_in(&api);
    let proxy = Proxy::start(&s, &api, &[]);
    let names = "authorization, x-sum, x_api_key, transfer-encoding, anthropic-beta, host";
    let request = format!(
        "POST /v1 HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\nconnection: close\r\nte: trailers\r\n\
         transfer-encoding: chunked\r\ntrailer: {names}\r\n\r\n4\r\nbody\r\n0\r\nauthorization: Bearer mine\r\n\
         x-sum: 41\r\nx_api_key: mine\r\ntransfer-encoding: gzip\r\nanthropic-beta: mine\r\nhost: evil.example\r\n\r\n",
        proxy.token
    );
    let answer = proxy.raw(&request);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.head.contains("trailer: x-sum\r\n"), "{answer:?}");
    assert_eq!(answer.body, "4\r\nbody\r\n0\r\nx-sum: 42\r\n\r\n");
    assert_eq!(api.asked()[0].one("trailer"), Some("x-sum"));
    let came = trailers.lock().expect("no panic").clone();
    assert!(came.ends_with("0\r\nx-sum: 41\r\n\r\n"), "{came:?}");
}

/// What is written down goes into a file of this user's: a link is not followed, and nobody waits for the reader of a pipe.
#[test]
fn a_log_is_a_file_of_ours() {
    let api = Upstream::start(nod);
    let s = signed_in(&api);
    let (link, pipe) = (s.path().join("link"), s.path().join("pipe"));
    std::os::unix::fs::symlink(s.path().join("elsewhere"), &link).expect("ours");
    assert!(s.command("mkfifo").arg(&pipe).status().expect("mkfifo").success());
    let to = api.origin();
    for path in [&link, &pipe] {
        let log = path.to_str().expect("text");
        let ran = s.run(&["proxy", "--to", &to, "--log", log]);
        assert!(ran.code == Some(2) && ran.err.contains("cannot be written"), "{ran:?}");
        let ran = s.run(&["exec", "--proxy", "--to", &to, "--log", log, "--", "true"]);
        assert!(ran.code == Some(2) && ran.err.contains("cannot be written"), "{ran:?}");
    }
    assert!(!s.path().join("elsewhere").exists());
}
