//! How much memory the whole proxy spends on what it may have to send again.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// What may be spent, by all together.
#[derive(Clone, Debug)]
pub(crate) struct Budget {
    left: Arc<AtomicUsize>,
}

/// What one body has of it, until this is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    left: Arc<AtomicUsize>,
    octets: usize,
}

impl Budget {
    pub(crate) fn new(octets: usize) -> Self {
        Self { left: Arc::new(AtomicUsize::new(octets)) }
    }

    /// Nothing of it yet.
    pub(crate) fn share(&self) -> Share {
        Share { left: Arc::clone(&self.left), octets: 0 }
    }
}

impl Share {
    /// Becomes so large; whether there is enough left for that.
    pub(crate) fn grow(&mut self, octets: usize) -> bool {
        let more = octets.saturating_sub(self.octets);
        let taken =
            self.left.fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| left.checked_sub(more));
        if taken.is_ok() {
            self.octets += more;
        }
        taken.is_ok()
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.left.fetch_add(self.octets, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_shares_together_are_no_more_than_there_is() {
        let budget = Budget::new(100);
        let (mut one, mut other) = (budget.share(), budget.share());
        assert!(one.grow(60) && other.grow(30) && other.grow(40));
        assert!(!other.grow(41) && !one.grow(61));
        assert!(one.grow(10), "it has more than that already");
        drop(one);
        assert!(other.grow(100) && !budget.share().grow(1));
        drop(other);
        assert!(budget.share().grow(100));
    }
}
