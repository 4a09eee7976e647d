//! The body of a request on its way to the target: it streams, and as much is kept as may have to be sent again.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

use http::HeaderMap;
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Bytes, Frame, Incoming, SizeHint};

use keyfob::Secret;

use crate::proxy::{
    budget::{Budget, Share},
    head,
    upstream::{Body, BoxError},
};

/// The largest body that is kept.
const LARGEST: usize = 1 << 20;
/// So much is taken for a body at once, and then twice as much as there is.
const LEAST: usize = 4 * 1024;
/// How long the rest of a small body may take when the target has answered already.
const REST: Duration = Duration::from_secs(10);

/// A body that has been handed on, and may be handed on again.
#[derive(Clone)]
pub(crate) struct Kept(Arc<Mutex<Inner>>);

struct Inner {
    from: Incoming,
    /// `None`: it became too large, or too much is kept of others.
    parts: Option<Parts>,
    /// The names of the credential's headers, which no trailer may have.
    added: Vec<String>,
    trailers: Option<HeaderMap>,
    is_whole: bool,
    /// It was cut, or is no body (RFC 9112 §7.1).
    is_broken: bool,
    /// Who reads.
    turn: Turn,
    /// What was read for the second time in vain, and is the first one's after all.
    back: VecDeque<Bytes>,
    /// So much of what is kept was handed on when the rest began to be read.
    handed_on: usize,
    /// What was handed on first waits for what comes, or for its turn.
    waits: Option<Waker>,
}

/// What was handed on first must not take what comes for the second.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    First,
    /// The rest is read for the second, if all of it comes.
    Rest,
    /// There is a second.
    Second,
}

/// What was kept so far, with its share of what may be kept of all bodies.
struct Parts {
    octets: Vec<u8>,
    share: Share,
}

impl Parts {
    /// Keeps a copy of this too: a part may be a small piece of a large buffer. Whether there was room.
    fn add(&mut self, data: &[u8]) -> bool {
        let needed = self.octets.len() + data.len();
        if needed > self.octets.capacity() {
            let room = needed.max(LEAST).max(self.octets.capacity() * 2).min(LARGEST);
            if needed > LARGEST || !self.share.grow(room) {
                return false;
            }
            self.octets.reserve_exact(room - self.octets.len());
        }
        self.octets.extend_from_slice(data);
        true
    }
}

impl Kept {
    /// The body of a request to which these headers are added.
    pub(crate) fn new(from: Incoming, budget: &Budget, added: &[(String, Secret)]) -> Self {
        let is_whole = from.is_end_stream();
        // What says itself that it is too large is not kept from the beginning.
        let is_small = from.size_hint().lower() <= LARGEST as u64;
        let parts = is_small.then(|| Parts { octets: Vec::new(), share: budget.share() });
        Self(Arc::new(Mutex::new(Inner {
            from,
            parts,
            added: added.iter().map(|(name, _)| name.to_ascii_lowercase()).collect(),
            trailers: None,
            is_whole,
            is_broken: false,
            turn: Turn::First,
            back: VecDeque::new(),
            handed_on: 0,
            waits: None,
        })))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It is not handed on again.
    pub(crate) fn forget(&self) {
        self.inner().parts = None;
    }

    /// Whether what the client sent turned out to be no whole body.
    pub(crate) fn is_broken(&self) -> bool {
        self.inner().is_broken
    }

    /// The body, as it comes from the client.
    pub(crate) fn body(&self) -> Body {
        Stream { inner: Arc::clone(&self.0), turn: Turn::First }.boxed_unsync()
    }

    /// The whole body once more, whose rest is waited for a while. `None`: it is too large, or did not come; then what was handed on
    /// first goes on, for the target's answer to it may still be on its way, and would be cut with it.
    pub(crate) async fn again(&self) -> Option<Body> {
        {
            let mut inner = self.inner();
            inner.handed_on = inner.parts.as_ref()?.octets.len();
            inner.turn = Turn::Rest;
        }
        let mut rest = Stream { inner: Arc::clone(&self.0), turn: Turn::Rest };
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
        let mut inner = self.inner();
        let is_whole = inner.is_whole && inner.parts.is_some();
        if !is_whole {
            inner.give_back();
        }
        // Of what was cut, nobody takes the end of what there is for the end of it all.
        inner.turn = if is_whole || inner.is_broken { Turn::Second } else { Turn::First };
        // It hears that it has nothing more to wait for, or that it is its turn again.
        if let Some(first) = inner.waits.take() {
            first.wake();
        }
        // There is no third time.
        let parts = inner.parts.take().filter(|_| is_whole)?;
        let again = Again {
            size: parts.octets.len() as u64,
            left: Some(Bytes::from(parts.octets)).filter(|all| !all.is_empty()),
            _share: parts.share,
            trailers: inner.trailers.clone(),
        };
        Some(again.boxed_unsync())
    }
}

/// Hands on what comes.
struct Stream {
    inner: Arc<Mutex<Inner>>,
    turn: Turn,
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
        if inner.turn == Turn::Second {
            return Poll::Ready(Some(Err("the target has answered already".into())));
        }
        if self.turn == Turn::First {
            if inner.turn == Turn::First
                && let Some(data) = inner.back.pop_front()
            {
                return Poll::Ready(Some(Ok(Frame::data(data))));
            }
            inner.waits = Some(cx.waker().clone());
        }
        if inner.turn != self.turn {
            return Poll::Pending;
        }
        let Poll::Ready(frame) = Pin::new(&mut inner.from).poll_frame(cx) else { return Poll::Pending };
        let frame = frame.map(|frame| frame.map(|frame| without_credentials(frame, &inner.added)));
        match &frame {
            Some(Ok(frame)) => inner.keep(frame),
            Some(Err(_)) => (inner.parts, inner.is_broken) = (None, true),
            None => inner.is_whole = true,
        }
        if inner.from.is_end_stream() {
            inner.is_whole = true;
        }
        Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        let inner = self.inner();
        inner.turn == self.turn && inner.back.is_empty() && inner.from.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner().from.size_hint()
    }
}

/// Trailers have no more of the client's than the head has.
fn without_credentials(frame: Frame<Bytes>, added: &[String]) -> Frame<Bytes> {
    match frame.into_trailers() {
        Ok(mut trailers) => {
            head::request_trailers(&mut trailers, added);
            Frame::trailers(trailers)
        }
        Err(other) => other,
    }
}

impl Inner {
    fn keep(&mut self, frame: &Frame<Bytes>) {
        if let Some(trailers) = frame.trailers_ref() {
            self.trailers = Some(trailers.clone());
            self.is_whole = true;
        }
        if let (Some(data), Some(parts)) = (frame.data_ref(), &mut self.parts)
            && !parts.add(data)
        {
            self.give_back();
            if self.turn == Turn::Rest {
                self.back.push_back(data.clone());
            }
        }
    }

    /// It is not kept any more, and what was read of it for the second time is the first one's.
    fn give_back(&mut self) {
        let Some(parts) = self.parts.take() else { return };
        let rest = Bytes::from(parts.octets).split_off(self.handed_on);
        if self.turn == Turn::Rest && !rest.is_empty() {
            self.back.push_back(rest);
        }
    }
}

/// What was kept.
struct Again {
    left: Option<Bytes>,
    size: u64,
    /// Until all of it has gone.
    _share: Share,
    trailers: Option<HeaderMap>,
}

impl hyper::body::Body for Again {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Some(data) = self.left.take() {
            self.size -= data.len() as u64;
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        Poll::Ready(self.trailers.take().map(|trailers| Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_none() && self.trailers.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        // With trailers it has to be in chunks again.
        if self.trailers.is_some() { SizeHint::default() } else { SizeHint::with_exact(self.size) }
    }
}
