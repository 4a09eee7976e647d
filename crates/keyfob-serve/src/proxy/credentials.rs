//! The credential of the moment, and the next one when the target refuses it.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use keyfob::{ErrorId, Result, Timestamp};
use tokio::time::Instant;

use crate::{
    agent::{
        flight::{Credential, Flights, Wish},
        host::Host,
    },
    proxy::{inject::is_credential, scrub::Scrub},
};

/// For how long nobody looks at the store again. Whoever signs out is obeyed within that time.
const FRESH: Duration = Duration::from_millis(500);
/// One that ends within this time is looked at for every request.
const NEAR: i64 = 10;

/// What the library says, asked once for all who ask at the same time.
pub(crate) struct Credentials {
    flights: Arc<Flights>,
    host: Arc<dyn Host>,
    /// Where it goes.
    origin: String,
    newest: Mutex<Option<(Instant, Arc<Current>)>>,
}

/// A credential, and what finds it in answers.
pub(crate) struct Current {
    pub(crate) credential: Arc<Credential>,
    pub(crate) scrub: Scrub,
}

impl Current {
    #[expect(clippy::disallowed_methods, reason = "it is looked for so that it goes nowhere")]
    fn of(credential: Arc<Credential>) -> Arc<Self> {
        let carried = credential.headers.iter().filter(|(name, _)| is_credential(name));
        // Without the scheme.
        let carried = carried.map(|(_, value)| value.expose().rsplit(' ').next().unwrap_or_default());
        let scrub = Scrub::new(carried.chain([credential.token.expose()]));
        Arc::new(Self { credential, scrub })
    }
}

impl Credentials {
    pub(crate) fn new(flights: Arc<Flights>, host: Arc<dyn Host>, origin: String) -> Self {
        Self { flights, host, origin, newest: Mutex::default() }
    }

    /// A valid one.
    pub(crate) async fn at_hand(&self) -> Result<Arc<Current>> {
        if let Some(newest) = self.newest() {
            return Ok(newest);
        }
        let asked = Instant::now();
        self.flights.may_go_to(&self.origin).await?;
        let current = Current::of(self.flights.ask(Wish::default()).await?);
        self.note(asked, &current);
        Ok(current)
    }

    /// The one after this one, which was refused. `None`: it is of another login, and so no one for this request.
    pub(crate) async fn instead_of(&self, refused: &Current) -> Result<Option<Arc<Current>>> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner).take();
        let asked = Instant::now();
        let wish = Wish { rejected: Some(refused.credential.generation.clone()), ..Wish::default() };
        let next = match self.flights.ask(wish).await {
            // Renewed a moment ago, and refused all the same: what the target has against it is no matter of its age.
            Err(error) if matches!(error.id(), ErrorId::RejectedStale | ErrorId::ProviderRefused) => {
                return Ok(None);
            }
            next => next?,
        };
        if next.generation.login() != refused.credential.generation.login()
            || next.generation == refused.credential.generation
        {
            return Ok(None);
        }
        let current = Current::of(next);
        self.note(asked, &current);
        Ok(Some(current))
    }

    fn newest(&self) -> Option<Arc<Current>> {
        let newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        let (asked, current) = newest.as_ref()?;
        let lasts = |end: Timestamp| end.since(self.host.now()) > NEAR;
        let is_good = asked.elapsed() < FRESH && current.credential.expires_at.is_none_or(lasts);
        is_good.then(|| Arc::clone(current))
    }

    fn note(&self, asked: Instant, current: &Arc<Current>) {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        let is_older = newest.as_ref().is_some_and(|(noted, _)| *noted > asked);
        if !is_older && current.credential.warning.is_none() {
            *newest = Some((asked, Arc::clone(current)));
        }
    }
}
