//! The body of a request on its way to the target: it streams, and as much is kept as may have to be sent again.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use http::HeaderMap;
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Bytes, Frame, Incoming, SizeHint};

use crate::proxy::upstream::{Body, BoxError};

/// The largest body that is kept.
pub(crate) const LARGEST: usize = 1 << 20;
/// How long the rest of a small body may take when the target has answered already.
const REST: Duration = Duration::from_secs(10);

/// A body that has been handed on, and may be handed on again.
#[derive(Clone)]
pub(crate) struct Kept(Arc<Mutex<Inner>>);

struct Inner {
    from: Incoming,
    /// `None`: it became too large.
    parts: Option<Vec<Bytes>>,
    size: usize,
    trailers: Option<HeaderMap>,
    is_whole: bool,
    /// Who reads: what was handed on first must not take what comes for the second.
    turn: u8,
}

impl Kept {
    pub(crate) fn new(from: Incoming) -> Self {
        let is_whole = from.is_end_stream();
        // What says itself that it is too large is not kept from the beginning.
        let parts = (from.size_hint().lower() <= LARGEST as u64).then(Vec::new);
        Self(Arc::new(Mutex::new(Inner { from, parts, size: 0, trailers: None, is_whole, turn: 0 })))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The body, as it comes from the client.
    pub(crate) fn body(&self) -> Body {
        Stream { inner: Arc::clone(&self.0), turn: 0 }.boxed_unsync()
    }

    /// The whole body once more, whose rest is waited for a while. `None`: it is too large, or did not come.
    pub(crate) async fn again(&self) -> Option<Body> {
        self.inner().turn = 1;
        let mut rest = Stream { inner: Arc::clone(&self.0), turn: 1 };
        let reading = async {
            loop {
                {
                    let inner = self.inner();
                    if inner.is_whole || inner.parts.is_none() {
                        return;
                    }
                }
                if !matches!(rest.frame().await, Some(Ok(_))) {
                    return;
                }
            }
        };
        let _ = tokio::time::timeout(REST, reading).await;
        let inner = self.inner();
        let parts = inner.parts.as_ref().filter(|_| inner.is_whole)?;
        let again =
            Again { left: parts.clone().into(), size: inner.size as u64, trailers: inner.trailers.clone() };
        Some(again.boxed_unsync())
    }
}

/// Hands on what comes.
struct Stream {
    inner: Arc<Mutex<Inner>>,
    turn: u8,
}

impl Stream {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl hyper::body::Body for Stream {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let mut inner = self.inner();
        if inner.turn != self.turn {
            return Poll::Ready(Some(Err("the target has answered already".into())));
        }
        let frame = std::task::ready!(Pin::new(&mut inner.from).poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => inner.keep(frame),
            Some(Err(_)) => inner.parts = None,
            None => inner.is_whole = true,
        }
        if inner.from.is_end_stream() {
            inner.is_whole = true;
        }
        Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.inner().from.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner().from.size_hint()
    }
}

impl Inner {
    fn keep(&mut self, frame: &Frame<Bytes>) {
        if let Some(trailers) = frame.trailers_ref() {
            self.trailers = Some(trailers.clone());
            self.is_whole = true;
        }
        let (Some(data), Some(parts)) = (frame.data_ref(), &mut self.parts) else { return };
        self.size += data.len();
        if self.size > LARGEST {
            self.parts = None;
        } else {
            parts.push(data.clone());
        }
    }
}

/// What was kept.
struct Again {
    left: std::collections::VecDeque<Bytes>,
    size: u64,
    trailers: Option<HeaderMap>,
}

impl hyper::body::Body for Again {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Some(data) = self.left.pop_front() {
            self.size -= data.len() as u64;
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        Poll::Ready(self.trailers.take().map(|trailers| Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_empty() && self.trailers.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        // With trailers it has to be in chunks again.
        if self.trailers.is_some() { SizeHint::default() } else { SizeHint::with_exact(self.size) }
    }
}
