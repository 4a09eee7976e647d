//! The state that all requests need, shared between the server's thread and its host.

use std::{
    collections::HashMap,
    io,
    path::PathBuf,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::sync::watch;

use crate::state::{
    clients::{ApiKey, Client},
    clock::Clock,
    faults::{Armed, FaultGrant, FaultKind},
    gate::Gate,
    log::{Log, LoggedRequest},
    persist,
    signing_key::Signer,
    tables::Tables,
};

pub(crate) struct Shared {
    pub(crate) port: u16,
    /// That one first, then the further ones.
    pub(crate) ports: Vec<u16>,
    pub(crate) auto_approve: bool,
    pub(crate) require_device: bool,
    pub(crate) vendor: bool,
    pub(crate) late: Duration,
    pub(crate) reuse_grace: u64,
    pub(crate) device_interval: u64,
    pub(crate) patience: Duration,
    pub(crate) clock: Clock,
    pub(crate) rotate_devices: AtomicBool,
    pub(crate) signer: Signer,
    pub(crate) clients: HashMap<String, Client>,
    pub(crate) api_keys: Vec<ApiKey>,
    pub(crate) access_token_ttl: AtomicU64,
    pub(crate) latency_ms: AtomicU64,
    pub(crate) gate: Gate,
    pub(crate) tables: Mutex<Tables>,
    pub(crate) faults: Mutex<Armed>,
    pub(crate) log: Mutex<Log>,
    pub(crate) state_file: Option<PathBuf>,
    pub(crate) state_problem: Mutex<Option<io::Error>>,
    /// Counts turned clocks and revocations, so that open connections look again.
    pub(crate) changes: watch::Sender<u64>,
}

impl Shared {
    pub(crate) fn client(&self, id: &str) -> Option<&Client> {
        self.clients.get(id)
    }

    /// The e-mail address an API key belongs to.
    pub(crate) fn api_key(&self, key: &str) -> Option<&str> {
        self.api_keys.iter().find(|known| known.digest.matches(key)).map(|known| &*known.email)
    }

    pub(crate) fn access_token_ttl(&self) -> u64 {
        self.access_token_ttl.load(Ordering::Relaxed)
    }

    pub(crate) fn latency(&self) -> Duration {
        Duration::from_millis(self.latency_ms.load(Ordering::Relaxed))
    }

    pub(crate) fn take_fault(&self, grant: FaultGrant) -> Option<FaultKind> {
        lock(&self.faults).take(grant)
    }

    /// Whether a fault strikes that only says how an answer is written.
    pub(crate) fn also_takes(&self, kind: FaultKind, grant: FaultGrant) -> bool {
        lock(&self.faults).also(kind, grant)
    }

    /// Looks at the tables, at one moment.
    pub(crate) fn read<R>(&self, look: impl FnOnce(&Tables, u64) -> R) -> R {
        look(&lock(&self.tables), self.clock.now())
    }

    /// Makes one transition, and writes the state file before the change becomes visible.
    pub(crate) fn change<R>(&self, transition: impl FnOnce(&mut Tables, u64) -> R) -> R {
        let mut tables = lock(&self.tables);
        let result = transition(&mut tables, self.clock.now());
        if let Some(path) = &self.state_file
            && let Err(error) = persist::save(path, &tables)
        {
            *lock(&self.state_problem) = Some(error);
        }
        result
    }

    /// Tells open connections that a token may have ended.
    pub(crate) fn changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    pub(crate) fn log(&self, entry: LoggedRequest) {
        lock(&self.log).write(entry);
    }
}

/// A panic in one request must not take the server down: every transition leaves the tables whole.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
