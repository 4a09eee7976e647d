//! A door that is open: what its connections share.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use keyfob::ErrorId;
use tokio::{sync::Semaphore, time::Instant};

use crate::agent::{
    door::{Closing, Door},
    flight::Flights,
    host::{Counts, Host},
    log::Log,
    rejections::Rejections,
};

/// A door with what is needed to serve it.
pub(crate) struct Open {
    pub(crate) door: Door,
    pub(crate) flights: Arc<Flights>,
    pub(crate) closing: Closing,
    pub(crate) host: Arc<dyn Host>,
    pub(crate) log: Option<Arc<Log>>,
    pub(crate) began: Instant,
    pub(crate) tally: Tally,
    /// Files are written one by one, and the door waits for the one that is being written when it closes.
    pub(crate) writing: Arc<Semaphore>,
}

/// What has been counted.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    connections: AtomicU64,
    answered: AtomicU64,
    refused: AtomicU64,
    /// Milliseconds from the beginning to the last time that somebody came or asked.
    last: AtomicU64,
    /// Since it was told last.
    counts: Mutex<Counts>,
    renewals_told: AtomicU64,
}

impl Open {
    #[cfg(test)]
    pub(crate) fn new(door: Door, host: Arc<dyn Host>) -> Arc<Self> {
        Self::among(door, host, Arc::default())
    }

    /// One of the doors to a login whose rejections are known here.
    pub(crate) fn among(mut door: Door, host: Arc<dyn Host>, rejections: Arc<Rejections>) -> Arc<Self> {
        let began = Instant::now();
        let closing = Closing::after(door.lifetime);
        let flights = Flights::among(Arc::clone(&door.client), Arc::clone(&host), rejections);
        let log = door.log.take().map(|file| Arc::new(Log::new(file)));
        let writing = Arc::new(Semaphore::new(1));
        Arc::new(Self { door, flights, closing, host, log, began, tally: Tally::default(), writing })
    }

    /// A request has been answered.
    pub(crate) fn counted(&self, answered: bool) {
        let count = if answered { &self.tally.answered } else { &self.tally.refused };
        count.fetch_add(1, Ordering::Relaxed);
        self.somebody_came();
    }

    /// A token or headers were handed out.
    pub(crate) fn handed_out(&self) {
        self.tally.count(|counts| counts.handed_out += 1);
    }

    /// A request was refused, with an error of this id.
    pub(crate) fn refused(&self, id: ErrorId) {
        self.tally.count(|counts| *counts.refused.entry(id.word()).or_default() += 1);
    }

    /// Whoever has just come is not nobody.
    pub(crate) fn somebody_came(&self) {
        let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.tally.last.store(now, Ordering::Relaxed);
    }

    /// How long nobody has come or asked.
    pub(crate) fn idle(&self) -> Duration {
        self.began.elapsed().saturating_sub(Duration::from_millis(self.tally.last.load(Ordering::Relaxed)))
    }

    /// What has been counted since this was called before.
    pub(crate) fn news(&self) -> Counts {
        let mut counts = self.tally.count(std::mem::take);
        let renewed = self.flights.renewed();
        counts.renewed = renewed - self.tally.renewals_told.swap(renewed, Ordering::Relaxed);
        counts
    }
}

impl Tally {
    /// Connections now, and requests answered and refused since the beginning.
    pub(crate) fn read(&self) -> [u64; 3] {
        [&self.connections, &self.answered, &self.refused].map(|count| count.load(Ordering::Relaxed))
    }

    pub(crate) fn connected(&self) {
        self.connections.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn left(&self) {
        self.connections.fetch_sub(1, Ordering::Relaxed);
    }

    fn count<T>(&self, change: impl FnOnce(&mut Counts) -> T) -> T {
        change(&mut self.counts.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
