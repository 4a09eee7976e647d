use super::{course::Next, *};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// What comes through of what is sent in these pieces, and the end if there is one.
fn through(pieces: &[&[u8]]) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let (mut client, server) = tokio::io::duplex(1 << 20);
        let mut strict = Strict::new(server, 1024, Course::default()).may_upgrade();
        let mut read = Vec::new();
        let mut is_broken = false;
        for piece in pieces {
            client.write_all(piece).await.unwrap();
            is_broken |= read_ready(&mut strict, &mut read).await;
        }
        drop(client);
        is_broken |= read_ready(&mut strict, &mut read).await;
        String::from_utf8(read).unwrap() + if is_broken { "<broken>" } else { "" }
    })
}

/// Reads until nothing is there now; whether it broke.
async fn read_ready<S: AsyncRead + Unpin>(stream: &mut S, into: &mut Vec<u8>) -> bool {
    loop {
        let mut room = [0; 64];
        let read = std::future::poll_fn(|cx| {
            let mut buf = ReadBuf::new(&mut room);
            Poll::Ready(match Pin::new(&mut *stream).poll_read(cx, &mut buf) {
                Poll::Ready(Ok(())) => Ok(buf.filled().len()),
                Poll::Ready(Err(error)) => Err(error),
                Poll::Pending => Ok(0),
            })
        });
        match read.await {
            Ok(0) => return false,
            Err(_) => return true,
            Ok(octets) => into.extend_from_slice(&room[..octets]),
        }
    }
}

fn in_every_way(text: &str) -> String {
    let whole = through(&[text.as_bytes()]);
    let octets: Vec<_> = text.as_bytes().chunks(1).collect();
    assert_eq!(through(&octets), whole, "{text:?}");
    for at in 1..text.len() {
        let (a, b) = text.as_bytes().split_at(at);
        assert_eq!(through(&[a, b]), whole, "{text:?} cut at {at}");
    }
    whole
}

const HEAD: &str = "POST /v1 HTTP/1.1\r\nHost: a\r\n";

#[test]
fn requests_that_are_beyond_doubt_come_through_as_they_are() {
    for text in [
        format!("{HEAD}\r\n"),
        format!("{HEAD}Content-Length: 5\r\n\r\na\n\r\nb{HEAD}\r\n"),
        format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n5\r\n\r\n\0\r\n\r\n0\r\nX: y\r\n\r\n{HEAD}\r\n"),
        "GET / HTTP/1.0\r\n\r\n".to_owned(),
        format!("\r\n{HEAD}\r\n"),
    ] {
        assert_eq!(in_every_way(&text), text);
    }
}

#[test]
fn an_extension_of_a_chunk_is_not_passed_on() {
    let text = |size: &str| format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n{size}\r\nx\r\n0\r\n\r\n");
    assert_eq!(in_every_way(&text("1;a=\"b\"")), text("1"));
    assert_eq!(in_every_way(&text("1 ; a")), text("1"));
}

#[test]
fn in_place_of_a_doubtful_request_comes_one_that_says_why_and_then_nothing() {
    let number = |odd: Odd| Odd::ALL.iter().position(|known| *known == odd).unwrap();
    let refused = |odd: Odd| {
        format!("KEYFOB-REFUSED /{} HTTP/1.1\r\nHost: keyfob\r\nConnection: close\r\n\r\n", number(odd))
    };
    let good = format!("{HEAD}Content-Length: 2\r\n\r\nok");
    for (odd, text) in [
        (Odd::LineEnd, "POST / HTTP/1.1\nHost: a\n\n"),
        (Odd::LineEnd, "POST / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n"),
        (Odd::LineEnd, "POST / HTTP/1.1\r\nX: a\rHost: b\r\n\r\n"),
        (Odd::LineEnd, "POST / HTTP/1.1\r\nHost: a\r\r\n\r\n"),
        (Odd::Control, "POST / HTTP/1.1\r\nX: \0\r\n\r\n"),
        (Odd::RequestLine, "\r\n\r\nPOST / HTTP/1.1\r\n\r\n"),
        (Odd::Host, "POST / HTTP/1.1\r\n\r\n"),
        (
            Odd::Both,
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
        ),
    ] {
        // What comes after it is not a request, whatever it looks like.
        let text = format!("{good}{text}{HEAD}\r\n");
        assert_eq!(in_every_way(&text), format!("{good}{}", refused(odd)), "{text:?}");
    }
    let long = format!("{HEAD}X: {}\r\n\r\n", "y".repeat(1024));
    assert_eq!(through(&[long.as_bytes()]), refused(Odd::Long));
    assert_eq!(through(&[&long.as_bytes()[..1000], &long.as_bytes()[1000..1050]]), refused(Odd::Long));
    for odd in Odd::ALL {
        let method = Method::from_bytes(REFUSED.as_bytes()).unwrap();
        assert_eq!(super::refused(&method, &format!("/{}", number(odd))).unwrap().1, odd.why());
        assert_eq!(super::refused(&Method::POST, "/0"), None);
    }
}

#[test]
fn a_body_that_has_two_readings_breaks_off() {
    // What has no end is not waited for.
    let endless = "a".repeat(5000);
    for chunks in [
        &*format!("5;{endless}"),
        &format!("0\r\nX: {endless}"),
        "5\nhello\r\n0\r\n\r\n",
        "5\r\nhelloX0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        "+5\r\nhello\r\n0\r\n\r\n",
        " 5\r\nhello\r\n0\r\n\r\n",
        "\r\n0\r\n\r\n",
        "ffffffffffffffff\r\n",
        "5;a\rb\r\nhello\r\n0\r\n\r\n",
        "0\r\nX : y\r\n\r\n",
        "0\r\n folded\r\n\r\n",
    ] {
        let text = format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n{chunks}{HEAD}\r\n");
        let came = through(&[text.as_bytes()]);
        assert!(came.ends_with("<broken>"), "{chunks:?}: {came:?}");
        assert_eq!(came.matches("POST").count(), 1, "{chunks:?}: {came:?}");
    }
}

/// Nobody has to keep more of a line than the longest one: what has no end by then breaks off.
#[test]
fn a_line_of_a_body_that_does_not_end_is_not_kept() {
    for begun in ["5;", "5;\t", "0\r\nX: ", "0\r\nX: y\r\nZ:\t", "0000"] {
        for filling in ["y", "\t"] {
            let head = format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n{begun}");
            let end = "\r\n\r\n";
            let short = format!("{head}{}{end}", filling.repeat(3000));
            let long = format!("{head}{}", filling.repeat(4200));
            if begun != "0000" {
                assert!(!through(&[short.as_bytes()]).ends_with("<broken>"), "{begun:?} {filling:?}");
            }
            // Broken off before the line ends, and however it comes.
            assert!(through(&[long.as_bytes()]).ends_with("<broken>"), "{begun:?} {filling:?}");
            let pieces: Vec<_> = long.as_bytes().chunks(64).collect();
            assert!(through(&pieces).ends_with("<broken>"), "{begun:?} {filling:?}");
        }
    }
}

const UPGRADE: &str = "GET /v1 HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";

/// What follows a request for another protocol is that protocol if the answer says so, and a request otherwise. What is said of
/// a request before it decides nothing.
#[test]
fn after_a_request_to_upgrade_its_own_answer_decides() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let before = format!("{HEAD}Content-Length: 2\r\n\r\nok");
    for (next, later, comes) in [
        (Next::Protocol, "\0\n\x01", "\0\n\x01"),
        (Next::Request, "GET / HTTP/1.1\nHost: a\n\n", "KEYFOB-REFUSED /0"),
    ] {
        runtime.block_on(async {
            let (mut client, server) = tokio::io::duplex(4096);
            let course = Course::default();
            let mut strict = Strict::new(server, 1024, course.clone()).may_upgrade();
            client.write_all(format!("{before}{UPGRADE}{later}").as_bytes()).await.unwrap();
            let mut read = Vec::new();
            let first = course.asked();
            for at_first in [Next::Request, Next::Protocol] {
                course.answered(first, at_first);
                read_ready(&mut strict, &mut read).await;
                // Whatever an answer looks like.
                strict.write_all(b"HTTP/1.1 101 Switching Protocols\r\n\r\n").await.unwrap();
                read_ready(&mut strict, &mut read).await;
                assert_eq!(read, format!("{before}{UPGRADE}").as_bytes());
            }
            let second = course.asked();
            course.answered(second, next);
            read_ready(&mut strict, &mut read).await;
            assert!(read[before.len() + UPGRADE.len()..].starts_with(comes.as_bytes()), "{next:?}");
        });
    }
}

/// Whoever reads hears of the answer.
#[test]
fn an_answer_wakes_who_waits_for_it() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let (mut client, server) = tokio::io::duplex(4096);
        let course = Course::default();
        let mut strict = Strict::new(server, 1024, course.clone()).may_upgrade();
        client.write_all(format!("{UPGRADE}later").as_bytes()).await.unwrap();
        let mut head = vec![0; UPGRADE.len()];
        strict.read_exact(&mut head).await.unwrap();
        let number = course.asked();
        let mut later = [0; 5];
        let (read, ()) = tokio::join!(strict.read_exact(&mut later), async {
            tokio::task::yield_now().await;
            course.answered(number, Next::Protocol);
        });
        read.unwrap();
        assert_eq!(&later, b"later");
    });
}

#[test]
fn a_first_head_is_shorter_until_somebody_is_known() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let long = format!("{HEAD}X: {}\r\n\r\n", "y".repeat(500));
    for is_known in [false, true] {
        runtime.block_on(async {
            let (mut client, server) = tokio::io::duplex(4096);
            let course = Course::default();
            let mut strict = Strict::new(server, 1024, course.clone()).longest_first(300);
            if is_known {
                course.admit();
            }
            client.write_all(long.as_bytes()).await.unwrap();
            let mut read = Vec::new();
            read_ready(&mut strict, &mut read).await;
            assert_eq!(read == long.as_bytes(), is_known);
            assert_eq!(read.starts_with(REFUSED.as_bytes()), !is_known);
        });
    }
}
