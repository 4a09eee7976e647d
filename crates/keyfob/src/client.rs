//! The public client: one setup, one [`World`], and the operations on them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use keyfob_core::{
    Error, Id, Record, Result, Secret, Source, Timestamp,
    contract::settings::ClientId,
    login::{
        record::{Generation, Key},
        sealed::KeyStore,
    },
    provider::environment::Environment,
    source::Purpose,
};

use crate::{
    credential::grant::Grant,
    renewal::{InThread, Need, Spender},
    setup::{Choices, Setup, descriptors::Inherited},
    store::Store,
    world::{
        World,
        system::{self, env},
    },
};

/// Hands out credentials. Cheap to keep, safe to share between threads; every call looks again at what other
/// processes have done meanwhile.
///
/// ```no_run
/// use keyfob::{Client, Purpose};
///
/// let grant = Client::from_env()?.grant(Purpose::Api)?;
/// for (name, value) in &grant.headers {
///     // Hand name and value to the HTTP client of your choice.
///     let _ = (name, value);
/// }
/// println!("from {}, until {:?}", grant.source, grant.expires_at);
/// # Ok::<(), keyfob::Error>(())
/// ```
pub struct Client {
    pub(crate) world: World,
    pub(crate) setup: Setup,
    pub(crate) spender: Arc<dyn Spender>,
    only: Option<Source>,
    inherited: Mutex<Vec<Inherited>>,
    /// What was read from descriptors: once, then kept.
    pub(crate) read: Mutex<BTreeMap<&'static str, Arc<Secret>>>,
}

impl Client {
    /// A client from this process's environment and the user's files. Descriptors named by variables are not
    /// touched: a host opts in with [`Choices::descriptors`] and [`Client::new`].
    ///
    /// # Errors
    /// Every malformed variable, unsafe file and contradiction, all in one error.
    pub fn from_env() -> Result<Self> {
        Self::new(Choices::default())
    }

    /// The same with choices of the host's own.
    ///
    /// # Errors
    /// As [`Client::from_env`].
    pub fn new(choices: Choices) -> Result<Self> {
        let setup = Setup::read(env::variables(), choices, &system::files::Disk, env::here().as_deref());
        setup.check()?;
        let world = system::world(setup.routes.clone());
        Ok(Self::with(setup, world, Arc::new(InThread)))
    }

    /// A client over any world, with anybody to spend. Problems of the setup surface where they matter.
    #[must_use]
    pub fn with(mut setup: Setup, mut world: World, spender: Arc<dyn Spender>) -> Self {
        world.seal = world.seal.with(setup.config.store);
        let inherited = Mutex::new(std::mem::take(&mut setup.inherited));
        Self { world, setup, spender, only: None, inherited, read: Mutex::new(BTreeMap::new()) }
    }

    /// Only this source counts: without it there is an error, never another identity.
    #[must_use]
    pub fn only(mut self, source: Option<Source>) -> Self {
        self.only = source;
        self
    }

    /// The source everything is confined to, if it is.
    #[must_use]
    pub fn confined_to(&self) -> Option<Source> {
        self.only
    }

    /// What this client was told.
    #[must_use]
    pub fn setup(&self) -> &Setup {
        &self.setup
    }

    /// A credential for this purpose, renewed if that is due.
    ///
    /// # Errors
    /// [`Id::LoginNeeded`] when nothing is there; otherwise what is wrong with the source that won.
    pub fn grant(&self, purpose: Purpose) -> Result<Grant> {
        crate::credential::look::grant(self, purpose, &Need::default())
    }

    /// The same, good for at least so many seconds where it can be renewed.
    ///
    /// # Errors
    /// As [`Client::grant`].
    pub fn grant_for(&self, purpose: Purpose, need: &Need) -> Result<Grant> {
        crate::credential::look::grant(self, purpose, need)
    }

    /// What to do after a 401: renews, but only if this grant's generation is still the newest. Never another
    /// source.
    ///
    /// # Errors
    /// As [`Client::grant`]; [`Id::ProviderRefused`] when the rejected credential cannot be renewed;
    /// [`Id::RejectedStale`] when it was itself got in the place of a rejected one and has not ended since: a third
    /// would be rejected too, and each costs a refresh token. [`Grant::was_accepted`] makes it like any other.
    pub fn rejected(&self, grant: &Grant) -> Result<Grant> {
        let ended = grant.expires_at.is_some_and(|end| end <= self.world.clock.now());
        if grant.in_place_of_rejected && !ended {
            let what = format!("the credential from {} was rejected again", grant.source);
            let why = "it was got in the place of a rejected one, and neither was accepted";
            return Err(Error::new(Id::RejectedStale, what, why));
        }
        let next = self.other_than(grant)?;
        Ok(Grant { in_place_of_rejected: true, ..next })
    }

    fn other_than(&self, grant: &Grant) -> Result<Grant> {
        if grant.source == Source::ApiKeyHelper {
            return self.rejected_key(grant.purpose, &grant.credential.fingerprint());
        }
        let Some(generation) = grant.generation.clone() else {
            let what = format!("the credential from {} was rejected", grant.source);
            return Err(Error::new(Id::ProviderRefused, what, "it is used as it is and cannot be renewed")
                .hint("replace it, or unset it to use the stored login"));
        };
        let need = Need { min_valid: 0, rejected: Some(generation) };
        let next = crate::credential::look::grant(self, grant.purpose, &need)?;
        if next.source != grant.source {
            let what = format!("the credential from {} was rejected", grant.source);
            let why = format!(
                "it is no longer what would be used: {} is, and a rejection never changes the source",
                next.source
            );
            return Err(Error::new(Id::LoginChanged, what, why));
        }
        Ok(next)
    }

    /// Whether the credential that would be used for this purpose may go to this origin: where its provider is asked, or
    /// one of the `hosts` of its configuration. For whoever is asked for a credential and told by whom.
    ///
    /// ```no_run
    /// use keyfob::{Client, Purpose};
    ///
    /// assert!(!Client::from_env()?.may_go_to(Purpose::Api, "https://evil.example")?);
    /// # Ok::<(), keyfob::Error>(())
    /// ```
    ///
    /// # Errors
    /// Why it cannot be told which environment is meant.
    pub fn may_go_to(&self, purpose: Purpose, origin: &str) -> Result<bool> {
        let survey = crate::credential::look::survey(self, purpose);
        Ok(self.environment()?.may_have_credential(origin, survey.record.as_deref()))
    }

    /// What to do after a 401 to the helper's key, named by its fingerprint: the helper runs once more, unless somebody
    /// else had it run since.
    ///
    /// # Errors
    /// [`Id::HelperFailed`]; [`Id::ProviderRefused`] when that key is not what would be used.
    pub fn rejected_key(&self, purpose: Purpose, fingerprint: &str) -> Result<Grant> {
        let survey = crate::credential::look::survey(self, purpose);
        match (survey.winner, survey.broken) {
            (Some(Source::ApiKeyHelper), _) => {
                let key = crate::credential::helper::run_again(self, fingerprint)?;
                Ok(crate::credential::stored::as_it_is(purpose, Source::ApiKeyHelper, key, survey.considered))
            }
            (None, Some(broken)) => Err(broken),
            (winner, _) => {
                let used = winner.map_or("nothing".into(), |source| source.to_string());
                let why = format!("{used} is used, and no key of the api_key_helper");
                Err(Error::new(Id::ProviderRefused, "the rejected key cannot be replaced", why)
                    .hint("see `keyfob status`"))
            }
        }
    }

    /// The generation now stored for the chosen login, if somebody signed in.
    ///
    /// # Errors
    /// The store's.
    pub fn generation(&self) -> Result<Option<Generation>> {
        match self.store()?.look()? {
            crate::store::Seen::Record(record) => Ok(Some(record.generation)),
            _ => Ok(None),
        }
    }

    /// When the access token of a record ends, by this machine's clock.
    #[must_use]
    pub fn expires_at(&self, record: &Record) -> Option<Timestamp> {
        record.expires_at.map(|end| self.world.clock.ahead(record).ours(end))
    }

    /// The provider everything is asked of.
    ///
    /// # Errors
    /// Why it cannot be told.
    pub fn environment(&self) -> Result<&Environment> {
        self.setup.require_environment()
    }

    /// The store of the chosen profile, issuer and client.
    ///
    /// # Errors
    /// [`Id::ClientIdMissing`], [`Id::NoHome`], [`Id::HomeUnsafe`].
    pub fn store(&self) -> Result<Store> {
        let client_id = self.environment()?.require_client_id()?;
        self.store_of(client_id, None)
    }

    /// What the chosen login is sealed with as it lies there, and what the configuration wants from its next renewal
    /// on: a key in a key store, or nothing. Asks no key store.
    #[must_use]
    pub fn sealing(&self) -> (Option<KeyStore>, Option<KeyStore>) {
        let store = self.store().ok();
        (store.and_then(|store| store.sealed_by().ok().flatten()), self.setup.config.store)
    }

    pub(crate) fn store_of(&self, client_id: &ClientId, seed: Option<String>) -> Result<Store> {
        self.store_at(self.setup.profile()?, client_id, seed)
    }

    /// The store of another profile, with the same issuer and client.
    pub(crate) fn store_beside(&self, profile: &str) -> Result<Store> {
        self.store_at(profile, self.environment()?.require_client_id()?, None)
    }

    fn store_at(&self, profile: &str, client_id: &ClientId, seed: Option<String>) -> Result<Store> {
        let home = self.setup.require_home()?;
        let key = Key {
            profile: profile.to_owned(),
            issuer: self.environment()?.issuer().to_owned(),
            client_id: client_id.as_str().to_owned(),
            seed,
        };
        let spare: Vec<_> = home.runtime.iter().cloned().collect();
        Store::new(&self.world, &home.logins, &key, &spare)
    }

    /// The descriptor a variable names, if it was taken over and not yet read.
    pub(crate) fn inherited(&self, variable: &'static str) -> Option<Inherited> {
        let mut inherited = self.inherited.lock().unwrap_or_else(PoisonError::into_inner);
        let at = inherited.iter().position(|i| i.variable() == variable)?;
        Some(inherited.swap_remove(at))
    }

    /// Whether [`Client::inherited`] would find one, without taking it.
    pub(crate) fn has_inherited(&self, variable: &'static str) -> bool {
        self.inspect(variable, |_| ()).is_some()
    }

    /// Looks at what [`Client::inherited`] would find, without taking it.
    pub(crate) fn inspect<T>(&self, variable: &'static str, look: impl FnOnce(&Inherited) -> T) -> Option<T> {
        let inherited = self.inherited.lock().unwrap_or_else(PoisonError::into_inner);
        inherited.iter().find(|i| i.variable() == variable).map(look)
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("profile", &self.setup.profile_name()).finish_non_exhaustive()
    }
}

impl Client {
    /// Asks the provider whether it accepts the credential that would be used. Renews nothing, and empties no descriptor.
    ///
    /// # Errors
    /// [`Id::LoginNeeded`] when there is none, [`Id::ProviderRefused`] when it is not accepted,
    /// [`Id::Unreachable`].
    pub fn verify(&self, purpose: Purpose) -> Result<()> {
        let survey = crate::credential::look::survey(self, purpose);
        if let Some(error) = survey.broken {
            return Err(error);
        }
        // A stored login is shown to those who minted it and to nobody else, whatever the configuration says today.
        let (name, endpoints) = match &survey.record {
            Some(record) => (record.environment.clone(), record.endpoints.clone()),
            None => {
                let environment = self.complete_environment()?;
                (environment.name, environment.endpoints)
            }
        };
        let url = endpoints.whoami_url.as_ref().or(endpoints.userinfo_url.as_ref()).ok_or_else(|| {
            let what = format!("environment `{name}` cannot be asked");
            Error::new(
                Id::EnvironmentIncomplete,
                what,
                "it has no endpoint that says whose credential it sees",
            )
        })?;
        let headers = self.with_device(crate::credential::look::headers_at_hand(self, &survey)?);
        let timeout = std::time::Duration::from_secs(15);
        let request = crate::world::Request { method: "GET", url, headers, body: None, timeout };
        match self.world.http.send(&request) {
            Ok(answer) if answer.reply.status == 200 => match &answer.device_token {
                Some(successor) => self.renew_device(successor),
                None => Ok(()),
            },
            Ok(answer) => {
                let why =
                    format!("{} answered {}", crate::login::establish::origin(url), answer.reply.status);
                Err(Error::new(Id::ProviderRefused, "the provider does not accept the credential", why))
            }
            Err(no) => Err(Error::new(Id::Unreachable, "the provider could not be asked", no.why)),
        }
    }
}
