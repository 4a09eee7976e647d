//! A gate before every request, for tests that hold requests back.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

use tokio::sync::Semaphore;

#[derive(Debug, Default)]
pub(crate) struct Gate {
    /// `None` = open. A permit lets one request through; closing the semaphore lets all of them.
    closed: Mutex<Option<Arc<Semaphore>>>,
    waiting: AtomicUsize,
}

impl Gate {
    pub(crate) fn close(&self) {
        self.set(Some(Arc::new(Semaphore::new(0))));
    }

    pub(crate) fn open(&self) {
        self.set(None);
    }

    fn set(&self, next: Option<Arc<Semaphore>>) {
        let mut closed = self.closed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = std::mem::replace(&mut *closed, next) {
            before.close();
        }
    }

    fn current(&self) -> Option<Arc<Semaphore>> {
        self.closed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.current().is_some()
    }

    /// Lets so many requests through: those that wait, and then those that come.
    pub(crate) fn let_through(&self, count: usize) {
        if let Some(gate) = self.current() {
            gate.add_permits(count);
        }
    }

    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::SeqCst)
    }

    pub(crate) async fn pass(&self) {
        let Some(gate) = self.current() else { return };
        self.waiting.fetch_add(1, Ordering::SeqCst);
        if let Ok(permit) = gate.acquire().await {
            permit.forget();
        }
        self.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}
