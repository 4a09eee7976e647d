//! The credential of the moment, and the next one when the target refuses it.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use keyfob::{ErrorId, Generation, Result, Secret, Timestamp};
use tokio::time::Instant;

use crate::{
    agent::{
        flight::{Credential, Flights, Wish},
        host::{Host, Known},
    },
    proxy::{inject::is_credential, scrub::Scrub, tally::Tally},
};

/// For how long nobody looks at the store again. Whoever signs out is obeyed within that time.
const FRESH: Duration = Duration::from_millis(500);
/// One that ends within this time is looked at for every request.
const NEAR: i64 = 10;
/// How long a token that came in place of a refused one, and is taken for some requests, is not renewed for others.
const PAUSE: Duration = Duration::from_secs(300);
/// So many generations are looked for in answers.
const MOST_RECENT: usize = 4;

/// What the library says, asked once for all who ask at the same time.
pub(crate) struct Credentials {
    flights: Arc<Flights>,
    host: Arc<dyn Host>,
    /// Where it goes.
    origin: String,
    newest: Mutex<Option<(Instant, Arc<Current>)>>,
    /// What answers may still show: the tokens of late, until they end.
    recent: Mutex<Vec<Recent>>,
    replacement: Mutex<Option<Replacement>>,
    /// The newest that has come.
    seen: Mutex<Option<Generation>>,
    tally: Arc<Tally>,
}

/// The secrets of a generation, until they are good for nothing.
struct Recent {
    generation: Generation,
    expires_at: Option<Timestamp>,
    secrets: Vec<Secret>,
}

/// The generation that last came in the place of one that the target refused.
struct Replacement {
    generation: Generation,
    since: Instant,
    /// The target has taken it.
    was_good: bool,
}

/// A credential, and what finds it in answers.
pub(crate) struct Current {
    pub(crate) credential: Arc<Credential>,
    pub(crate) scrub: Scrub,
}

impl Credentials {
    pub(crate) fn new(flights: Arc<Flights>, host: Arc<dyn Host>, origin: String, tally: Arc<Tally>) -> Self {
        Self {
            flights,
            host,
            origin,
            newest: Mutex::default(),
            recent: Mutex::default(),
            replacement: Mutex::default(),
            seen: Mutex::default(),
            tally,
        }
    }

    /// Counts the ones that come in the place of another one of the same login.
    fn see(&self, generation: &Generation) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let is_same = seen.as_ref().is_some_and(|known| known.login() == generation.login());
        let is_newer = seen.as_ref().is_some_and(|known| known.number() < generation.number());
        if is_same && is_newer {
            self.tally.renewed();
        }
        if !is_same || is_newer {
            *seen = Some(generation.clone());
        }
    }

    /// With all that has to be covered in the answers to what is sent with it.
    #[expect(clippy::disallowed_methods, reason = "it is looked for so that it goes nowhere")]
    fn current(&self, credential: Arc<Credential>) -> Arc<Current> {
        self.see(&credential.generation);
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.host.now();
        recent.retain(|known| {
            known.generation != credential.generation && known.expires_at.is_none_or(|end| end.since(now) > 0)
        });
        let carried = credential.headers.iter().filter(|(name, _)| is_credential(name));
        // Without the scheme.
        let carried =
            carried.map(|(_, value)| Secret::new(value.expose().rsplit(' ').next().unwrap_or_default()));
        recent.push(Recent {
            generation: credential.generation.clone(),
            expires_at: credential.expires_at,
            secrets: carried.chain([credential.token.duplicate()]).collect(),
        });
        let surplus = recent.len().saturating_sub(MOST_RECENT);
        recent.drain(..surplus);
        let scrub = Scrub::new(recent.iter().flat_map(|known| &known.secrets).map(Secret::expose));
        Arc::new(Current { credential, scrub })
    }

    /// A valid one.
    pub(crate) async fn at_hand(&self) -> Result<Arc<Current>> {
        if let Some(newest) = self.newest() {
            return Ok(newest);
        }
        let asked = Instant::now();
        self.flights.may_go_to(&self.origin).await?;
        let current = self.current(self.flights.ask(Wish::default()).await?);
        self.note(asked, &current);
        Ok(current)
    }

    /// The one after this one, which was refused. `None`: it is of another login, and so no one for this request.
    /// Nor is there one after one that came so itself, and was never good here, or is good elsewhere: what the target has
    /// against it is no matter of its age, and each renewal is one that the provider counts.
    pub(crate) async fn instead_of(&self, refused: &Current) -> Result<Option<Arc<Current>>> {
        if self.is_in_vain(&refused.credential.generation) {
            return Ok(None);
        }
        self.newest.lock().unwrap_or_else(PoisonError::into_inner).take();
        let asked = Instant::now();
        let wish = Wish { rejected: Some(refused.credential.generation.clone()), ..Wish::default() };
        let next = match self.flights.ask(wish).await {
            // Renewed a moment ago, and refused all the same.
            Err(error) if matches!(error.id(), ErrorId::RejectedStale | ErrorId::ProviderRefused) => {
                return Ok(None);
            }
            // It is not ended: the target's word about it is the better answer.
            Err(error) if error.id() == ErrorId::CoolingDown && self.lasts(&refused.credential) => {
                return Ok(None);
            }
            next => next?,
        };
        if next.generation.login() != refused.credential.generation.login()
            || next.generation == refused.credential.generation
        {
            return Ok(None);
        }
        self.came_instead(&next.generation);
        let current = self.current(next);
        self.note(asked, &current);
        Ok(Some(current))
    }

    /// What is known of it without asking anybody.
    pub(crate) async fn known(&self) -> Result<Known> {
        self.flights.known().await
    }

    /// The target took this one.
    pub(crate) fn was_good(&self, current: &Current) {
        let mut replacement = self.replacement.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(last) = replacement.as_mut()
            && last.generation == current.credential.generation
        {
            last.was_good = true;
        }
    }

    fn came_instead(&self, generation: &Generation) {
        let mut replacement = self.replacement.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever asks for it second finds the same.
        if replacement.as_ref().is_none_or(|last| last.generation != *generation) {
            let (generation, since) = (generation.clone(), Instant::now());
            *replacement = Some(Replacement { generation, since, was_good: false });
        }
    }

    fn is_in_vain(&self, refused: &Generation) -> bool {
        let replacement = self.replacement.lock().unwrap_or_else(PoisonError::into_inner);
        replacement.as_ref().is_some_and(|last| {
            last.generation == *refused && (!last.was_good || last.since.elapsed() < PAUSE)
        })
    }

    fn lasts(&self, credential: &Credential) -> bool {
        credential.expires_at.is_none_or(|end| end.since(self.host.now()) > 0)
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
