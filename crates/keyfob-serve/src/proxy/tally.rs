//! What is counted of a target. No secret is in it, no path and no login; what it is counted by has few values.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use http::StatusCode;
use keyfob::ErrorId;

use crate::agent::host::Traffic;

/// The kinds of answers, by the first digit of their status (RFC 9110 §15).
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// Since the proxy began, and since it was told last.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    connections: AtomicU64,
    streams: AtomicU64,
    all: Mutex<Traffic>,
    told: Mutex<Traffic>,
}

impl Tally {
    fn all<T>(&self, change: impl FnOnce(&mut Traffic) -> T) -> T {
        change(&mut self.all.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The target has answered so.
    pub(crate) fn answered(&self, status: StatusCode) {
        let class = usize::from(status.as_u16() / 100).checked_sub(1).and_then(|at| CLASSES.get(at));
        if let Some(class) = class {
            self.all(|all| *all.answered.entry(class).or_default() += 1);
        }
    }

    /// The proxy has answered itself, with an error of this id.
    pub(crate) fn refused(&self, id: ErrorId) {
        self.all(|all| *all.refused.entry(id.word()).or_default() += 1);
    }

    /// A renewed credential has come.
    pub(crate) fn renewed(&self) {
        self.all(|all| all.renewed += 1);
    }

    /// Connections of clients now.
    pub(crate) fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }

    /// All since the beginning.
    pub(crate) fn read(&self) -> Traffic {
        Traffic { open: self.streams.load(Ordering::Relaxed), ..self.all(|all| all.clone()) }
    }

    /// What has come since this was called before, and what is open now. Whether somebody has to hear of it: also that nothing is
    /// open any more.
    pub(crate) fn news(&self) -> (Traffic, bool) {
        let now = self.read();
        let before =
            std::mem::replace(&mut *self.told.lock().unwrap_or_else(PoisonError::into_inner), now.clone());
        let since = |now: BTreeMap<&'static str, u64>, before: &BTreeMap<&'static str, u64>| {
            let more = now.into_iter().map(|(key, number)| (key, number - before.get(key).unwrap_or(&0)));
            more.filter(|(_, number)| *number > 0).collect()
        };
        let (was_open, open) = (before.open, now.open);
        let news = Traffic {
            answered: since(now.answered, &before.answered),
            refused: since(now.refused, &before.refused),
            renewed: now.renewed - before.renewed,
            open,
        };
        let is_to_be_told = !news.is_empty() || open > 0 || was_open > 0;
        (news, is_to_be_told)
    }
}

/// Something that is counted for as long as it is there.
pub(crate) struct Counted {
    tally: Arc<Tally>,
    which: fn(&Tally) -> &AtomicU64,
}

impl Counted {
    fn new(tally: &Arc<Tally>, which: fn(&Tally) -> &AtomicU64) -> Self {
        which(tally).fetch_add(1, Ordering::Relaxed);
        Self { tally: Arc::clone(tally), which }
    }

    /// A connection of a client.
    pub(crate) fn connection(tally: &Arc<Tally>) -> Self {
        Self::new(tally, |tally| &tally.connections)
    }

    /// An answer whose body is still coming, or what has become another protocol.
    pub(crate) fn stream(tally: &Arc<Tally>) -> Self {
        Self::new(tally, |tally| &tally.streams)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        (self.which)(&self.tally).fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_told_is_not_told_again_and_what_is_open_is() {
        let tally = Arc::<Tally>::default();
        for status in [101, 200, 204, 404, 999] {
            tally.answered(StatusCode::from_u16(status).unwrap());
        }
        tally.refused(ErrorId::ProxyRefused);
        tally.renewed();
        let (stream, connection) = (Counted::stream(&tally), Counted::connection(&tally));
        let (first, is_told) = tally.news();
        assert!(is_told);
        assert_eq!(first.answered, [("1xx", 1), ("2xx", 2), ("4xx", 1)].into());
        assert_eq!((first.refused, first.renewed, first.open), ([("proxy-refused", 1)].into(), 1, 1));
        tally.answered(StatusCode::OK);
        let (second, _) = tally.news();
        assert_eq!((second.answered, second.renewed, second.open), ([("2xx", 1)].into(), 0, 1));
        assert!(second.refused.is_empty());
        drop(stream);
        let (third, is_told) = tally.news();
        assert!(third.is_empty() && third.open == 0 && is_told, "that it has ended");
        assert!(!tally.news().1, "once");
        assert_eq!((tally.read().answered["2xx"], tally.connections()), (3, 1));
        drop(connection);
        assert_eq!(tally.connections(), 0);
    }
}
