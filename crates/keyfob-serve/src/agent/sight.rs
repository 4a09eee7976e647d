//! What was seen of the login a moment ago, for whoever asks while it is still so.
//!
//! A look at the login takes a thread and some forty system calls, and most looks find what the one before them found. So for a
//! while after each, it is only asked whether the file is still the one that was read. No answer is older than its question for
//! that: who has signed out, or has renewed, has another file there before they are told that it is done. There are two exceptions,
//! and each lasts at most as long as a look is of use. Another machine's change of a shared home is seen when this one's kernel asks
//! for it (NFS keeps attributes for some seconds). And a renewal whose record could not be put in its place lies beside the file, which is
//! as it was; the token of that file is still handed out.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use keyfob::{Source, Timestamp};
use tokio::time::Instant;

use crate::agent::lent::{Credential, Wish};

/// For how long after a look. What was opened so lately is known to the kernel, also where the disk is another machine's, so that
/// nobody waits for one as a rule (a file system that has stopped answering within this time is waited for once); and what is no matter of that file (another source has come up) is found by the next look.
const WHILE: Duration = Duration::from_secs(1);

/// Nothing is renewed this many seconds before its end, or earlier: then the library decides.
const EARLY: i64 = 300;

#[derive(Clone, Default)]
pub(crate) struct Sight(Arc<Mutex<Option<Seen>>>, Arc<AtomicBool>);

struct Seen {
    /// When the look began.
    at: Instant,
    /// The file, before and after it.
    mark: [i64; 5],
    lent: Arc<Credential>,
}

impl Sight {
    /// A look that began then has found this, and the file was this one all the time.
    pub(crate) fn note(&self, at: Instant, mark: [i64; 5], lent: &Arc<Credential>) {
        let of_file = lent.source == Source::Login && lent.warning.is_none();
        let seen = of_file.then(|| Seen { at, mark, lent: Arc::clone(lent) });
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = seen;
    }

    /// What is wished for at this time, if it was seen and nothing has changed by this mark.
    pub(crate) fn at_hand(
        &self,
        wish: &Wish,
        (at, now): (Instant, Timestamp),
        mark: impl FnOnce() -> Option<[i64; 5]>,
    ) -> Option<Arc<Credential>> {
        let mut place = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = place.as_ref().filter(|_| wish.rejected.is_none())?;
        let needed = i64::try_from(wish.min_valid.as_secs()).unwrap_or(i64::MAX).max(EARLY);
        if seen.lent.expires_at.is_some_and(|end| end.since(now) <= needed) {
            return None;
        }
        if at.duration_since(seen.at) < WHILE && mark() == Some(seen.mark) {
            return Some(Arc::clone(&seen.lent));
        }
        *place = None;
        None
    }

    /// Keeps what was seen no longer than it is of use. `None`: somebody sees to that already, until nothing is there.
    pub(crate) fn fading(&self) -> Option<impl Future<Output = ()> + use<>> {
        let sight = self.clone();
        (!self.1.swap(true, Ordering::AcqRel)).then_some(async move {
            while let Some(end) = sight.end() {
                tokio::time::sleep_until(end).await;
            }
        })
    }

    /// When what was seen is of no use any more, if that is still to come.
    fn end(&self) -> Option<Instant> {
        let mut place = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let end = place.as_ref().map(|seen| seen.at + WHILE).filter(|end| *end > Instant::now());
        if end.is_none() {
            *place = None;
            // With the place still held: what is noted next finds that nobody sees to it.
            self.1.store(false, Ordering::Release);
        }
        end
    }

    /// A look has found none.
    pub(crate) fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keyfob::Secret;

    const MARK: [i64; 5] = [1, 2, 3, 4, 5];

    fn credential(expires_at: Option<i64>) -> Credential {
        Credential {
            token: Secret::new("sesame"),
            headers: Vec::new(),
            source: Source::Login,
            generation: "07070707070707070707070707070707:3".parse().unwrap(),
            profile: None,
            expires_at: expires_at.map(Timestamp),
            warning: None,
        }
    }

    fn seen(began: Instant, change: impl FnOnce(&mut Credential)) -> Sight {
        let mut lent = credential(Some(1000));
        change(&mut lent);
        let sight = Sight::default();
        sight.note(began, MARK, &Arc::new(lent));
        sight
    }

    #[test]
    fn one_at_a_time_sees_to_it_that_what_was_seen_is_forgotten() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let sight = seen(Instant::now(), |_| {});
            let fading = sight.fading().expect("nobody does");
            sight.note(Instant::now(), MARK, &Arc::new(credential(None)));
            assert!(sight.fading().is_none());
            fading.await;
            assert!(sight.0.lock().unwrap().is_none());
            assert!(sight.fading().is_some(), "the next one");
        });
    }

    #[test]
    fn what_is_at_hand_is_what_a_look_would_find() {
        let plain = Wish::default();
        let began = Instant::now();
        let at = |now| (began, Timestamp(now));
        let ask = |sight: &Sight, wish: &Wish, now: i64| sight.at_hand(wish, at(now), || Some(MARK));
        assert!(ask(&Sight::default(), &plain, 0).is_none(), "nothing was seen yet");
        let sight = seen(began, |_| {});
        assert!(ask(&sight, &plain, 0).is_some());
        assert!(
            ask(&sight, &plain, 699).is_some() && ask(&sight, &plain, 700).is_none(),
            "to be renewed soon"
        );
        assert!(ask(&seen(began, |lent| lent.expires_at = None), &plain, 5000).is_some());
        let long = |seconds| Wish { min_valid: Duration::from_secs(seconds), ..Wish::default() };
        assert!(ask(&sight, &long(999), 0).is_some() && ask(&sight, &long(1000), 0).is_none());
        assert!(ask(&sight, &long(u64::MAX), 0).is_none());
        let rejected = Wish { rejected: Some(credential(None).generation), ..Wish::default() };
        assert!(ask(&sight, &rejected, 0).is_none());
        for mark in [None, Some([1, 2, 3, 4, 6])] {
            let sight = seen(began, |_| {});
            assert!(sight.at_hand(&plain, at(0), || mark).is_none(), "another file is there, or none");
            assert!(ask(&sight, &plain, 0).is_none(), "and what was seen is kept no longer");
        }
        assert!(ask(&seen(began, |lent| lent.source = Source::Federation), &plain, 0).is_none());
        let warning =
            || Some(keyfob::Error::new(keyfob::ErrorId::Unreachable, "renewing", "it is not there"));
        assert!(ask(&seen(began, |lent| lent.warning = warning()), &plain, 0).is_none());
        let gone = seen(began, |_| {});
        gone.forget();
        assert!(ask(&gone, &plain, 0).is_none());
        let later = (began + WHILE, Timestamp(0));
        assert!(sight.at_hand(&plain, later, || Some(MARK)).is_none(), "it was seen too long ago");
    }
}
