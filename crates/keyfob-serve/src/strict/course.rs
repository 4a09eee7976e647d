//! What the reader of a connection learns from whoever answers its requests.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Waker,
};

/// Shared by the two sides of one connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Course(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    /// Somebody has shown that they may ask.
    is_known: bool,
    /// Anything has come.
    has_begun: bool,
    /// So many requests have been handed to whoever answers, and how the last of them was answered.
    requests: u64,
    answered: Option<(u64, Next)>,
    waits: Option<Waker>,
}

/// What follows a request for another protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Another request.
    Request,
    /// That protocol.
    Protocol,
}

impl Course {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whoever sends these requests may ask: from here on there is more patience with them.
    pub(crate) fn admit(&self) {
        self.inner().is_known = true;
    }

    pub(crate) fn is_known(&self) -> bool {
        self.inner().is_known
    }

    pub(crate) fn begin(&self) {
        self.inner().has_begun = true;
    }

    pub(crate) fn has_begun(&self) -> bool {
        self.inner().has_begun
    }

    /// A request has come to whoever answers. Its number, by which its answer is told.
    pub(crate) fn asked(&self) -> u64 {
        let mut inner = self.inner();
        inner.requests += 1;
        inner.requests
    }

    /// The request of this number is answered, and this follows it if it was one for another protocol.
    pub(crate) fn answered(&self, number: u64, next: Next) {
        let waits = {
            let mut inner = self.inner();
            inner.answered = Some((number, next));
            inner.waits.take()
        };
        if let Some(waker) = waits {
            waker.wake();
        }
    }

    /// What follows the request of this number, when it has been answered. Requests are answered in their order, so what was
    /// said of one before it is said of another.
    pub(super) fn after(&self, number: u64, waker: &Waker) -> Option<Next> {
        let mut inner = self.inner();
        if let Some((_, next)) = inner.answered.filter(|(answered, _)| *answered == number) {
            return Some(next);
        }
        inner.waits = Some(waker.clone());
        None
    }
}
