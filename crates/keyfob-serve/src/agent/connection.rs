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
};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::watch,
    time::Sleep,
};

use crate::{
    agent::{answer::answer, open::Open, peer::Peer},
    wire,
};

/// Serves a connection to its end. When the agent stops, the request that is being answered is still answered.
pub(crate) async fn serve<S>(open: Arc<Open>, peer: Peer, stream: S, mut stopped: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let _counted = Counted::new(&open);
    let answering = Arc::new(AtomicBool::new(false));
    let patient = Patient { stream, answering: Arc::clone(&answering), deadline: None };
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
    let mut serving = std::pin::pin!(builder.serve_connection(TokioIo::new(patient), service));
    let told_to_stop = async move { drop(stopped.wait_for(|stopped| *stopped).await) };
    tokio::select! {
        // What is wrong with a connection concerns nobody but its peer, who has been answered as far as that was possible.
        _ = serving.as_mut() => {}
        () = told_to_stop => {
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

/// A stream on which a request has to come in within a time that begins with its first octet.
struct Patient<S> {
    stream: S,
    /// The request has come in, and is being answered.
    answering: Arc<AtomicBool>,
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
