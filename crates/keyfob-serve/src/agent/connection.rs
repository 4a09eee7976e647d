//! One connection: it may stay idle for as long as it likes, and a request that has begun has to come to its end.

use std::{
    convert::Infallible,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use http::StatusCode;
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::watch,
    time::Sleep,
};

use crate::{
    agent::{answer::answer, open::Open, peer::Peer},
    strict::{Strict, course::Course},
    wire,
};

/// How long a connection that has said nothing yet is waited for when the agent stops: whoever has just come to it sends a
/// request, and would not know whether that was heard.
const FIRST_WORD: Duration = Duration::from_secs(2);

/// Serves a connection to its end. When the agent stops, the request that is being answered is still answered, and so is the
/// first one of somebody who has just come.
///
/// Most connections are idle most of the time, and there may be ten thousand of them. So what it takes to speak HTTP is there only
/// from the first octet of a request to the last one of its answer.
pub(crate) async fn serve<S>(open: Arc<Open>, peer: Peer, stream: S, mut stopped: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let _counted = Counted::new(&open);
    let talk = Arc::new(Talk::default());
    let mut strict = Strict::new(
        Patient { stream, talk: Arc::clone(&talk), deadline: None },
        wire::LONGEST_HEAD,
        Course::default(),
    );
    let mut has_asked = false;
    loop {
        let begins = tokio::select! {
            biased;
            begins = strict.begins() => begins,
            () = told_to_stop(&mut stopped) => {
                if has_asked {
                    return;
                }
                tokio::time::timeout(FIRST_WORD, strict.begins()).await.unwrap_or(false)
            }
        };
        if !begins {
            return;
        }
        match Box::pin(converse(&open, &peer, &talk, strict, has_asked, &mut stopped)).await {
            Some(idle) => strict = idle,
            None => return,
        }
        has_asked = true;
    }
}

async fn told_to_stop(stopped: &mut watch::Receiver<bool>) {
    drop(stopped.wait_for(|stopped| *stopped).await);
}

/// Answers what comes, until nothing more does: then the connection is given back, and was answered to the end. `None`: it is over.
async fn converse<S>(
    open: &Arc<Open>,
    peer: &Peer,
    talk: &Talk,
    strict: Strict<Patient<S>>,
    has_asked: bool,
    stopped: &mut watch::Receiver<bool>,
) -> Option<Strict<Patient<S>>>
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let service = service_fn(|request| {
        talk.asked();
        async move {
            let reply = answer(open, peer, request).await;
            // What is refused may have a body that nobody has read, and is hyper's to see off.
            talk.answered(reply.status() == StatusCode::OK);
            Ok::<_, Infallible>(reply)
        }
    });
    let mut builder = http1::Builder::new();
    builder.max_buf_size(wire::LONGEST_HEAD);
    let mut serving = builder.serve_connection(TokioIo::new(strict), service);
    let mut to_rest = std::future::poll_fn(|cx| match Pin::new(&mut serving).poll(cx) {
        // What is wrong with a connection concerns nobody but its peer, who has been answered as far as that was possible.
        Poll::Ready(_) => Poll::Ready(false),
        Poll::Pending if talk.is_at_rest() => Poll::Ready(true),
        Poll::Pending => Poll::Pending,
    });
    let rests = tokio::select! {
        biased;
        rests = &mut to_rest => rests,
        () = told_to_stop(stopped) => {
            // A head of which some has come is still kept back, so hyper knows of no request, and would end the connection.
            if !has_asked && !talk.has_asked() {
                let heard = std::future::poll_fn(|cx| match Pin::new(&mut serving).poll(cx) {
                    Poll::Ready(_) => Poll::Ready(false),
                    Poll::Pending if talk.has_asked() => Poll::Ready(true),
                    Poll::Pending => Poll::Pending,
                });
                if !tokio::time::timeout(FIRST_WORD, heard).await.unwrap_or(true) {
                    return None;
                }
            }
            Pin::new(&mut serving).graceful_shutdown();
            let _ = serving.await;
            return None;
        }
    };
    rests.then(|| {
        let parts = serving.into_parts();
        let mut strict = parts.io.into_inner();
        strict.give_back(&parts.read_buf);
        strict
    })
}

/// How far a request and its answer are.
#[derive(Default)]
struct Talk {
    /// There has been a request.
    heard: AtomicBool,
    /// The request has come in, and is being answered.
    answering: AtomicBool,
    /// All of it was read, and its answer is there.
    whole: AtomicBool,
    /// Some of the answer has gone.
    begun: AtomicBool,
    /// There may be more of it.
    unfinished: AtomicBool,
}

impl Talk {
    fn asked(&self) {
        self.heard.store(true, Ordering::Relaxed);
        self.whole.store(false, Ordering::Relaxed);
        self.answering.store(true, Ordering::Relaxed);
    }

    fn has_asked(&self) -> bool {
        self.heard.load(Ordering::Relaxed)
    }

    fn answered(&self, whole: bool) {
        self.answering.store(false, Ordering::Relaxed);
        self.begun.store(false, Ordering::Relaxed);
        self.whole.store(whole, Ordering::Relaxed);
    }

    /// Whether the last request has been read and answered to the end.
    fn is_at_rest(&self) -> bool {
        self.whole.load(Ordering::Relaxed)
            && self.begun.load(Ordering::Relaxed)
            && !self.unfinished.load(Ordering::Relaxed)
    }
}

/// A connection that is counted for as long as it lasts, however it ends.
struct Counted(Arc<Open>);

impl Counted {
    fn new(open: &Arc<Open>) -> Self {
        open.tally.connected();
        Self(Arc::clone(open))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.tally.left();
    }
}

/// A stream on which a request has to come in within a time that begins with its first octet.
struct Patient<S> {
    stream: S,
    talk: Arc<Talk>,
    deadline: Option<Pin<Box<Sleep>>>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        if self.talk.answering.load(Ordering::Relaxed) {
            self.deadline = None;
            return read;
        }
        if let Some(deadline) = &mut self.deadline
            && deadline.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        if read.is_ready() && buf.filled().len() > before && self.deadline.is_none() {
            self.deadline = Some(Box::pin(tokio::time::sleep(wire::SENDING)));
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.talk.begun.store(true, Ordering::Relaxed);
        self.talk.unfinished.store(true, Ordering::Relaxed);
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        // hyper flushes when it has written all that it has.
        if flushed.is_ready() {
            self.talk.unfinished.store(false, Ordering::Relaxed);
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::{
        door::Door,
        host::{Host, Known, Told},
    };
    use keyfob::{Client, Error, Source, Timestamp, testing::Simulation};
    use std::sync::mpsc;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::UnixStream,
    };

    /// One whose login cannot be looked at before it is told so.
    struct Slow(std::sync::Mutex<mpsc::Receiver<()>>);

    impl Host for Slow {
        fn now(&self) -> Timestamp {
            Timestamp(0)
        }
        fn source(&self, _: &Client) -> Option<Source> {
            Some(Source::Login)
        }
        fn told(&self, error: &Error) -> Told {
            Told { what: error.message(), why: error.why().into(), hint: String::new() }
        }
        fn known(&self, _: &Client) -> Known {
            let _ = self.0.lock().unwrap().recv();
            Known::default()
        }
        fn warn(&self, _: &Error) {}
    }

    /// The answers on a connection at which this was said before anybody listened, and which may have been told to end by then.
    fn answers(said: &str, is_stopped: bool) -> String {
        answers_to(said, "", is_stopped)
    }

    /// The same where the rest is said only when the beginning has been heard.
    fn answers_to(said: &str, rest: &str, is_stopped: bool) -> String {
        let simulation = Simulation::signed_in().unwrap();
        let (release, held) = mpsc::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let answers = runtime.block_on(async {
            let door = Door::new("job", simulation.client(), "local", "default");
            let open = Open::new(door, Arc::new(Slow(std::sync::Mutex::new(held))));
            let (mut theirs, ours) = UnixStream::pair().unwrap();
            theirs.write_all(said.as_bytes()).await.unwrap();
            let stop = watch::Sender::new(is_stopped);
            let peer = Peer::of(&ours, false);
            let mut answers = String::new();
            let (_, read) = tokio::join!(serve(Arc::clone(&open), peer, ours, stop.subscribe()), async {
                // Polled after the other one.
                let _ = theirs.write_all(rest.as_bytes()).await;
                theirs.read_to_string(&mut answers).await
            });
            read.unwrap();
            answers
        });
        drop(release);
        answers
    }

    #[test]
    fn who_has_come_before_the_end_is_still_answered() {
        let asked = "POST /v1/token HTTP/1.1\r\nHost: keyfob\r\nKeyfob: 1\r\nContent-Length: 2\r\n\r\n{}";
        let answered = answers(asked, true);
        assert!(
            answered.starts_with("HTTP/1.1 200 OK\r\n") && answered.contains("connection: close"),
            "{answered}"
        );
    }

    #[test]
    fn who_has_said_half_a_head_before_the_end_may_say_the_rest() {
        let rest = "Keyfob: 1\r\nContent-Length: 2\r\n\r\n{}";
        let answered = answers_to("POST /v1/token HTTP/1.1\r\nHost: keyfob\r\n", rest, true);
        assert!(answered.starts_with("HTTP/1.1 200 OK\r\n"), "{answered}");
    }

    /// Between two requests there is nothing of HTTP here: what has come of the second must not go with the first.
    #[test]
    fn requests_that_come_together_are_all_answered() {
        let asked = "POST /v1/token HTTP/1.1\r\nHost: keyfob\r\nKeyfob: 1\r\nContent-Length: 2\r\n\r\n{}";
        let chunked = "POST /v1/token HTTP/1.1\r\nHost: keyfob\r\nKeyfob: 1\r\nTransfer-Encoding: chunked\r\n\r\n\
                       2\r\n{}\r\n0\r\n\r\n";
        let unread = "POST /v1/token HTTP/1.1\r\nHost: keyfob\r\nContent-Length: 2\r\n\r\n{}";
        let last = asked.replace("Keyfob: 1", "Keyfob: 1\r\nConnection: close");
        let answered = answers(&[asked, chunked, asked, unread, asked, &last].concat(), false);
        let statuses: Vec<_> = answered.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]).collect();
        assert_eq!(statuses, ["200", "200", "200", "400", "200", "200"], "{answered}");
        assert_eq!(answered.matches("\"token\":").count(), 5);
    }

    #[test]
    fn a_status_that_cannot_be_looked_up_in_time_says_so() {
        let asked = "GET /v1/status HTTP/1.1\r\nHost: keyfob\r\nKeyfob: 1\r\nPrefer: wait=0\r\nConnection: close\r\n\r\n";
        let answered = answers(asked, false);
        assert!(answered.starts_with("HTTP/1.1 504 "), "{answered}");
        assert!(answered.contains("the store is slow, or many ask"), "{answered}");
    }
}
