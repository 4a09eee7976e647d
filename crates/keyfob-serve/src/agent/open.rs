//! A door that is open: what its connections share.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use crate::agent::{
    door::{Closing, Door},
    flight::Flights,
    host::Host,
    log::Log,
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
}

/// What has been counted.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    connections: AtomicU64,
    answered: AtomicU64,
    refused: AtomicU64,
    /// Milliseconds from the beginning to the last request.
    last: AtomicU64,
}

impl Open {
    pub(crate) fn new(door: Door, host: Arc<dyn Host>, log: Option<Arc<Log>>) -> Arc<Self> {
        let began = Instant::now();
        let closing = Closing::after(door.lifetime);
        let flights = Flights::new(Arc::clone(&door.client), Arc::clone(&host));
        Arc::new(Self { door, flights, closing, host, log, began, tally: Tally::default() })
    }
}

impl Open {
    /// A request has been answered.
    pub(crate) fn counted(&self, answered: bool) {
        let count = if answered { &self.tally.answered } else { &self.tally.refused };
        count.fetch_add(1, Ordering::Relaxed);
        let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.tally.last.store(now, Ordering::Relaxed);
    }

    /// How long nobody has asked.
    pub(crate) fn idle(&self) -> Duration {
        self.began.elapsed().saturating_sub(Duration::from_millis(self.tally.last.load(Ordering::Relaxed)))
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
}
