//! The body of an answer on its way to the client, with the credential covered wherever it is found.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::HeaderMap;
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};

use crate::proxy::{
    head,
    scrub::{Scrub, Stream},
    tally::Counted,
    upstream::BoxError,
};

/// A body that is looked through, or whose trailers are. It has the length that it had.
pub(crate) struct Covered {
    from: Incoming,
    scrub: Scrub,
    /// `None`: only the trailers are.
    stream: Option<Stream>,
    /// What comes when everything that was held back has gone: trailers, an error.
    last: Option<Option<Result<Frame<Bytes>, BoxError>>>,
    _counted: Counted,
}

impl Covered {
    pub(crate) fn new(from: Incoming, scrub: &Scrub, all: bool, counted: Counted) -> Self {
        let stream = all.then(|| scrub.stream());
        Self { from, scrub: scrub.clone(), stream, last: None, _counted: counted }
    }
}

impl Covered {
    fn trailers(&self, frame: Frame<Bytes>) -> Frame<Bytes> {
        match frame.into_trailers() {
            Ok(mut trailers) => {
                head::response_trailers(&mut trailers);
                cover(&mut trailers, &self.scrub);
                Frame::trailers(trailers)
            }
            Err(other) => other,
        }
    }
}

/// Covers the credential in each of these.
pub(crate) fn cover(headers: &mut HeaderMap, scrub: &Scrub) {
    for value in headers.values_mut() {
        if let Some(covered) = scrub.header(value) {
            *value = covered;
        }
    }
}

impl Body for Covered {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        loop {
            if let Some(last) = self.last.take() {
                self.last = Some(None);
                return Poll::Ready(last);
            }
            let next = ready!(Pin::new(&mut self.from).poll_frame(cx));
            let last = match next.map(|frame| frame.map(Frame::into_data)) {
                Some(Ok(Ok(data))) => {
                    let Some(stream) = &mut self.stream else {
                        return Poll::Ready(Some(Ok(Frame::data(data))));
                    };
                    let data = stream.push(data);
                    // All of it may be held back.
                    if data.is_empty() {
                        continue;
                    }
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Some(Ok(Err(other))) => Some(Ok(self.trailers(other))),
                Some(Err(error)) => Some(Err(error.into())),
                None => None,
            };
            self.last = Some(last);
            let rest = self.stream.as_mut().map(Stream::rest).unwrap_or_default();
            if !rest.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(rest))));
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        // Exact where a length was announced: covering changes no length. What is held back is not counted by the source any
        // more, so this is asked before the first frame alone.
        self.from.size_hint()
    }
}
