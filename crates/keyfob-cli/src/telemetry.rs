//! Collects the metrics of a run, and passes them to a separate process that sends them, so that no caller waits for a
//! collector.

use std::{
    io::Write,
    process::Stdio,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Instant,
};

use keyfob::{
    Client, Error, Grant, Source,
    internals::{
        core::Id,
        core::{
            contract::settings::{Metrics, Presets},
            login::identity::Identity,
        },
        setup::Setup,
        world::Event,
    },
};
use serde::{Deserialize, Serialize};

use crate::internal::task::Task;

/// The metrics of one run. They contain no credential, and no fingerprint of one.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Batch {
    /// Account attributes, where known and permitted.
    pub(crate) attributes: Vec<(String, String)>,
    pub(crate) sign_ins: Vec<SignIn>,
    pub(crate) renewals: Vec<Run>,
    pub(crate) helper_runs: Vec<Run>,
    /// The source of each credential that was handed out.
    pub(crate) credentials: Vec<String>,
    /// What an agent has counted. Whose login a door gives is not among it: one agent may have several.
    #[serde(default)]
    pub(crate) doors: Vec<AtDoor>,
    /// What a proxy has counted.
    #[serde(default)]
    pub(crate) origins: Vec<ToOrigin>,
}

/// What was counted at one door of an agent.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct AtDoor {
    pub(crate) door: String,
    pub(crate) handed_out: u64,
    /// By the id of the error.
    pub(crate) refused: Vec<(String, u64)>,
    pub(crate) renewed: u64,
}

/// What was counted of a proxy's requests for one origin.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ToOrigin {
    pub(crate) origin: String,
    /// By the class of their status.
    pub(crate) answered: Vec<(String, u64)>,
    /// By the id of the error.
    pub(crate) refused: Vec<(String, u64)>,
    pub(crate) renewed: u64,
    /// Open at this moment.
    pub(crate) open: u64,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SignIn {
    pub(crate) method: String,
    /// The error's id, if it failed.
    pub(crate) failed: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Run {
    pub(crate) failed: Option<String>,
    pub(crate) seconds: f64,
}

struct Meter {
    wanted: Metrics,
    email: bool,
    presets: Presets,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    batch: Batch,
    identity: Identity,
    began: Option<Instant>,
    /// Whether this run used the network for another reason. Otherwise nothing is sent.
    network: bool,
}

/// There is one run, and so there is one meter. Unset if metrics are not enabled.
static METER: OnceLock<Meter> = OnceLock::new();

/// Starts counting, if metrics are enabled.
pub(crate) fn begin(setup: &Setup) -> Arc<dyn Fn(Event) + Send + Sync> {
    match setup.settings.metrics {
        // What was refused for a credential is refused for whose it is too: the exporter would not know of it.
        Some(_) if setup.routes.check().is_err() => Arc::new(|_| {}),
        Some(wanted) if cfg!(feature = "metrics") => {
            watch(wanted, setup.config.telemetry.email, setup.settings.presets.clone())
        }
        _ => Arc::new(|_| {}),
    }
}

fn watch(wanted: Metrics, email: bool, presets: Presets) -> Arc<dyn Fn(Event) + Send + Sync> {
    METER.get_or_init(|| Meter { wanted, email, presets, state: Mutex::default() });
    Arc::new(|event| note(|state| state.observed(event)))
}

fn note(change: impl FnOnce(&mut State)) {
    if let Some(meter) = METER.get() {
        change(&mut meter.state.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl State {
    #[expect(
        clippy::disallowed_methods,
        reason = "how long something takes is no wall time, and decides nothing"
    )]
    fn observed(&mut self, event: Event) {
        match event {
            Event::RenewalBegan | Event::HelperBegan => self.began = Some(Instant::now()),
            Event::RenewalEnded { failed } => {
                let run = self.ended(failed);
                self.batch.renewals.push(run);
            }
            Event::HelperEnded { failed } => {
                let run = self.ended(failed);
                self.batch.helper_runs.push(run);
            }
            _ => {}
        }
    }

    fn ended(&mut self, failed: Option<Id>) -> Run {
        self.network = true;
        let seconds = self.began.take().map_or(0.0, |began| began.elapsed().as_secs_f64());
        Run { failed: failed.map(|id| id.word().into()), seconds }
    }
}

/// How often a command that goes on sends what it has counted, as OpenTelemetry's variable says it, if metrics are enabled.
#[cfg(feature = "serve")]
pub(crate) fn interval() -> Option<std::time::Duration> {
    const USUAL: u64 = 60_000;
    METER.get()?;
    let named = keyfob::internals::world::system::env::variables().text("OTEL_METRIC_EXPORT_INTERVAL");
    let milliseconds = named.and_then(|text| text.parse().ok()).filter(|milliseconds| *milliseconds > 0);
    Some(std::time::Duration::from_millis(milliseconds.unwrap_or(USUAL)))
}

/// What was counted at the doors of an agent.
#[cfg(feature = "serve")]
pub(crate) fn at_doors(mut counted: Vec<AtDoor>) {
    note(|state| {
        state.network = true;
        state.batch.doors.append(&mut counted);
    });
}

/// What a proxy has counted.
#[cfg(feature = "serve")]
pub(crate) fn to_origins(mut counted: Vec<ToOrigin>) {
    note(|state| {
        state.network = true;
        state.batch.origins.append(&mut counted);
    });
}

/// Records that this run contacts the provider, whatever else it counts.
pub(crate) fn uses_network() {
    note(|state| state.network = true);
}

/// A credential was handed out.
pub(crate) fn used(client: &Client, grant: &Grant) {
    if METER.get().is_none() {
        return;
    }
    // Whose it is belongs to the credential in use: a stored login knows, a variable's token does not.
    let record = match grant.source() {
        Source::Login | Source::RefreshToken | Source::Federation => client.survey(grant.purpose()).record,
        _ => None,
    };
    note(|state| {
        state.identity = record.map(|record| record.identity).unwrap_or_default();
        state.batch.credentials.push(grant.source().name().into());
    });
}

/// Records the end of a sign-in. The account is known if it succeeded.
pub(crate) fn signed_in(method: &str, outcome: Result<&Identity, &Error>) {
    note(|state| {
        state.network = true;
        if let Ok(identity) = outcome {
            state.identity = identity.clone();
        }
        let failed = outcome.err().map(|error| error.id().word().into());
        state.batch.sign_ins.push(SignIn { method: method.into(), failed });
    });
}

/// The end of a run: its metrics are handed to a process that sends them. No failure in that fails the run.
pub(crate) fn finish() {
    let Some(meter) = METER.get() else { return };
    let mut state = meter.state.lock().unwrap_or_else(PoisonError::into_inner);
    if !std::mem::take(&mut state.network) {
        return;
    }
    let mut batch = std::mem::take(&mut state.batch);
    let attributes = state.identity.attributes(&meter.presets, meter.wanted.account, meter.email);
    batch.attributes = attributes.into_iter().map(|(name, value)| (name.into(), value)).collect();
    let _ = start_exporter(&batch);
}

fn start_exporter(batch: &Batch) -> std::io::Result<()> {
    let mut command = Task::ExportMetrics.command();
    command.current_dir("/").stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(&serde_json::to_vec(batch)?)?;
    }
    // Not the one that sends: it starts that one and ends, so that a program `exec` starts finds no child it never had.
    child.wait().map(drop)
}

/// How a run informs its worker which metrics are allowed: the worker reads the configuration of another home, or none.
pub(crate) fn word(setup: &Setup) -> String {
    match setup.settings.metrics {
        None => "-".into(),
        Some(Metrics { account }) => {
            let email = setup.config.telemetry.email;
            format!("count{}{}", if account { ",account" } else { "" }, if email { ",email" } else { "" })
        }
    }
}

/// The worker's side of [`word`].
pub(crate) fn begin_with(word: &str, presets: Presets) -> Arc<dyn Fn(Event) + Send + Sync> {
    let mut allowed = word.split(',');
    match allowed.next() {
        Some("count") => {
            let allowed: Vec<_> = allowed.collect();
            watch(Metrics { account: allowed.contains(&"account") }, allowed.contains(&"email"), presets)
        }
        _ => Arc::new(|_| {}),
    }
}

/// The account of the renewed login.
pub(crate) fn belongs_to(identity: Identity) {
    note(|state| state.identity = identity);
}
