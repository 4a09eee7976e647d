//! What every request needs, shared between the server's thread and its host.

use crate::clock::Clock;
use crate::faults::{Armed, FaultGrant, FaultKind};
use crate::id_token::Signer;
use crate::log::{Log, LoggedRequest};
use crate::options::{ApiKey, Client, LOCAL_API_KEY, LOCAL_CLIENT_ID, Options};
use crate::persist;
use crate::server::StartError;
use crate::state::Tables;
use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

pub(crate) struct Shared {
    pub(crate) port: u16,
    /// That one first, then the further ones.
    pub(crate) ports: Vec<u16>,
    pub(crate) auto_approve: bool,
    pub(crate) require_device: bool,
    pub(crate) late: Duration,
    pub(crate) reuse_grace: u64,
    pub(crate) device_interval: u64,
    pub(crate) patience: Duration,
    pub(crate) clock: Clock,
    pub(crate) rotate_devices: AtomicBool,
    pub(crate) signer: Signer,
    clients: HashMap<String, Client>,
    api_keys: Vec<ApiKey>,
    pub(crate) access_token_ttl: AtomicU64,
    pub(crate) latency_ms: AtomicU64,
    pub(crate) tables: Mutex<Tables>,
    pub(crate) faults: Mutex<Armed>,
    pub(crate) log: Mutex<Log>,
    state_file: Option<PathBuf>,
    pub(crate) state_problem: Mutex<Option<io::Error>>,
    /// Counts turned clocks and revocations, so that open connections look again.
    changes: watch::Sender<u64>,
}

impl Shared {
    pub(crate) fn new(options: Options, ports: Vec<u16>) -> Result<Self, StartError> {
        let local = Client { id: LOCAL_CLIENT_ID.to_owned(), secret: None, redirect_uris: Vec::new() };
        let mut clients = HashMap::from([(local.id.clone(), local)]);
        for client in options.clients {
            if let Some(twin) = clients.insert(client.id.clone(), client) {
                return Err(StartError::TwoClients(twin.id));
            }
        }
        let log = Log::open(options.log.as_deref());
        let log = log.map_err(|e| StartError::Log(options.log.unwrap_or_default(), e))?;
        // Written back at once: a state file that cannot be written is a reason not to start.
        let restored = options.state.as_deref().map(|path| {
            let tables = persist::load(path)?;
            persist::save(path, &tables).map(|()| tables)
        });
        let tables = restored.transpose();
        let tables = tables.map_err(|e| StartError::State(options.state.clone().unwrap_or_default(), e))?;
        let mut api_keys = options.api_keys;
        api_keys.push(ApiKey::new(LOCAL_API_KEY, crate::DEFAULT_EMAIL));
        let mut armed = Armed::default();
        options.faults.into_iter().for_each(|plan| armed.arm(plan));
        Ok(Self {
            port: ports.first().copied().unwrap_or_default(),
            ports,
            auto_approve: options.auto_approve,
            require_device: options.require_device,
            late: options.late,
            reuse_grace: options.reuse_grace.as_secs(),
            device_interval: options.device_interval.as_secs(),
            patience: options.patience,
            clock: Clock::default(),
            rotate_devices: AtomicBool::new(false),
            signer: Signer::new().map_err(|_| StartError::NoEntropy)?,
            clients,
            api_keys,
            access_token_ttl: AtomicU64::new(options.access_token_ttl.as_secs()),
            latency_ms: AtomicU64::new(millis(options.latency)),
            tables: Mutex::new(tables.unwrap_or_default()),
            faults: Mutex::new(armed),
            log: Mutex::new(log),
            state_file: options.state,
            state_problem: Mutex::new(None),
            changes: watch::Sender::new(0),
        })
    }

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

    /// Looks at the tables, at one moment.
    pub(crate) fn read<R>(&self, look: impl FnOnce(&Tables, u64) -> R) -> R {
        look(&lock(&self.tables), self.clock.now())
    }

    /// Makes one transition, and writes the state file before anybody can see it.
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
