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

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::{Notify, watch},
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
pub(crate) async fn serve<S>(open: Arc<Open>, peer: Peer, stream: S, mut stopped: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let _counted = Counted::new(&open);
    let answering = Arc::new(AtomicBool::new(false));
    let begun = Arc::new(Begun::default());
    let patient =
        Patient { stream, answering: Arc::clone(&answering), begun: Arc::clone(&begun), deadline: None };
    let strict = Strict::new(patient, wire::LONGEST_HEAD, Course::default());
    let service = service_fn(|request| {
        answering.store(true, Ordering::Relaxed);
        let (open, peer, answering) = (&open, &peer, &answering);
        async move {
            let reply = answer(open, peer, request).await;
            answering.store(false, Ordering::Relaxed);
            Ok::<_, Infallible>(reply)
        }
    });
    let mut builder = http1::Builder::new();
    builder.max_buf_size(wire::LONGEST_HEAD);
    let mut serving = std::pin::pin!(builder.serve_connection(TokioIo::new(strict), service));
    let told_to_stop = async move { drop(stopped.wait_for(|stopped| *stopped).await) };
    tokio::select! {
        biased;
        // What is wrong with a connection concerns nobody but its peer, who has been answered as far as that was possible.
        _ = serving.as_mut() => {}
        () = told_to_stop => {
            tokio::select! {
                biased;
                _ = serving.as_mut() => return,
                () = begun.said() => {}
                () = tokio::time::sleep(FIRST_WORD) => {}
            }
            serving.as_mut().graceful_shutdown();
            let _ = serving.await;
        }
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

/// Whether anything has come on a connection.
#[derive(Default)]
struct Begun {
    is_so: AtomicBool,
    told: Notify,
}

impl Begun {
    fn say(&self) {
        if !self.is_so.swap(true, Ordering::Relaxed) {
            self.told.notify_one();
        }
    }

    async fn said(&self) {
        if !self.is_so.load(Ordering::Relaxed) {
            self.told.notified().await;
        }
    }
}

/// A stream on which a request has to come in within a time that begins with its first octet.
struct Patient<S> {
    stream: S,
    /// The request has come in, and is being answered.
    answering: Arc<AtomicBool>,
    begun: Arc<Begun>,
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
        if buf.filled().len() > before {
            self.begun.say();
        }
        if self.answering.load(Ordering::Relaxed) {
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
            let (_, read) = tokio::join!(
                serve(Arc::clone(&open), peer, ours, stop.subscribe()),
                theirs.read_to_string(&mut answers)
            );
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
    fn a_status_that_cannot_be_looked_up_in_time_says_so() {
        let asked = "GET /v1/status HTTP/1.1\r\nHost: keyfob\r\nKeyfob: 1\r\nPrefer: wait=0\r\nConnection: close\r\n\r\n";
        let answered = answers(asked, false);
        assert!(answered.starts_with("HTTP/1.1 504 "), "{answered}");
        assert!(answered.contains("the store is slow, or many ask"), "{answered}");
    }
}
