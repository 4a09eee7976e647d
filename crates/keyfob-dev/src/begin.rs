//! The initial state of a server.

use std::{
    collections::HashMap,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64},
    },
};

use tokio::sync::watch;

use crate::{
    error::StartError,
    options::Options,
    state::{
        account::DEFAULT_EMAIL,
        clients::{ApiKey, Client, LOCAL_API_KEY, LOCAL_CLIENT_ID},
        clock::Clock,
        faults::Armed,
        gate::Gate,
        log::Log,
        persist,
        shared::{Shared, millis},
        signing_key::Signer,
    },
};

/// The host's options, and the content of the state file.
pub(crate) fn begin(options: Options, ports: Vec<u16>) -> Result<Shared, StartError> {
    let local =
        Client { id: LOCAL_CLIENT_ID.to_owned(), secret: None, keys: Vec::new(), redirect_uris: Vec::new() };
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
    api_keys.push(ApiKey::new(LOCAL_API_KEY, DEFAULT_EMAIL));
    let mut armed = Armed::default();
    options.faults.into_iter().for_each(|plan| armed.arm(plan));
    Ok(Shared {
        port: ports.first().copied().unwrap_or_default(),
        ports,
        auto_approve: options.auto_approve,
        require_device: options.require_device,
        vendor: options.vendor,
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
        gate: Gate::default(),
        tables: Mutex::new(tables.unwrap_or_default()),
        faults: Mutex::new(armed),
        log: Mutex::new(log),
        state_file: options.state,
        state_problem: Mutex::new(None),
        changes: watch::Sender::new(0),
    })
}
