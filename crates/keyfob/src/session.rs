//! The state of one call. The lowest layer of this crate: the other modules take it, and it uses none but the store.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use keyfob_core::{
    Ahead, Record, Result, Secret, Source, Timestamp,
    contract::settings::ClientId,
    login::{
        record::{Generation, Key},
        sealed::KeyStore,
    },
    oauth::federation::Federation,
    provider::environment::Environment,
};

use crate::{
    renewal::Spender,
    setup::{Setup, descriptors::Inherited},
    store::{Logins, Seen, Store, files::FileLogins, sealing::Seal},
    world::World,
};

/// The state of one call: its setup, the world, and what spends refresh tokens. The modules of this crate take it;
/// [`crate::Client`] is its public interface.
pub(crate) struct Session {
    pub(crate) world: World,
    pub(crate) setup: Setup,
    /// What logins are sealed with, if they are.
    seal: Seal,
    pub(crate) spender: Arc<dyn Spender>,
    pub(crate) only: Option<Source>,
    /// The exchange that narrows the login's access token, where one does. Then there is no other source.
    pub(crate) narrowing: Option<Federation>,
    inherited: Mutex<Vec<Inherited>>,
    /// What was read from descriptors: once, then kept.
    pub(crate) read: Mutex<BTreeMap<&'static str, Arc<Secret>>>,
    /// How far the provider's clock is ahead, where a sign-in has found that out.
    pub(crate) ahead: Mutex<Ahead>,
}

impl Session {
    /// Touches nothing yet. Problems of the setup are reported where they matter.
    pub(crate) fn new(mut setup: Setup, world: World, spender: Arc<dyn Spender>) -> Self {
        let seal = Seal::new(world.keys.clone()).with(setup.config.seal);
        let inherited = Mutex::new(std::mem::take(&mut setup.inherited));
        let (read, ahead) = (Mutex::new(BTreeMap::new()), Mutex::new(Ahead::default()));
        Self { world, setup, seal, spender, only: None, narrowing: None, inherited, read, ahead }
    }

    /// The only source that may be used, if there is such a restriction.
    #[must_use]
    pub(crate) fn confined_to(&self) -> Option<Source> {
        self.only
    }

    /// The setup of this client.
    #[must_use]
    pub(crate) fn setup(&self) -> &Setup {
        &self.setup
    }

    /// The generation now stored for the chosen login, if there is one.
    pub(crate) fn generation(&self) -> Result<Option<Generation>> {
        match self.store()?.look()? {
            Seen::Record(record) => Ok(Some(record.generation)),
            _ => Ok(None),
        }
    }

    /// When the access token of a record ends, by this machine's clock.
    #[must_use]
    pub(crate) fn expires_at(&self, record: &Record) -> Option<Timestamp> {
        record.expires_at.map(|end| self.world.clock.ahead(record).ours(end))
    }

    /// The provider that all requests go to.
    pub(crate) fn environment(&self) -> Result<&Environment> {
        self.setup.require_environment()
    }

    /// Where all logins are kept.
    pub(crate) fn logins(&self) -> Result<Box<dyn Logins + '_>> {
        let home = self.setup.require_home()?;
        let spare = home.runtime.iter().cloned().collect();
        Ok(Box::new(FileLogins::new(&self.world, &self.seal, &home.logins, spare)))
    }

    /// The store of the chosen profile, issuer and client.
    pub(crate) fn store(&self) -> Result<Box<dyn Store>> {
        let client_id = self.environment()?.require_client_id()?;
        self.store_of(client_id, None)
    }

    /// What the chosen login is sealed with as it is stored, and what the configuration wants from its next renewal
    /// on: a key in a key store, or nothing. Asks no key store.
    #[must_use]
    pub(crate) fn sealing(&self) -> (Option<KeyStore>, Option<KeyStore>) {
        let store = self.store().ok();
        (store.and_then(|store| store.sealed_by().ok().flatten()), self.setup.config.seal)
    }

    pub(crate) fn store_of(&self, client_id: &ClientId, seed: Option<String>) -> Result<Box<dyn Store>> {
        self.store_at(self.setup.profile()?, client_id, seed)
    }

    /// The store of another profile, with the same issuer and client.
    pub(crate) fn store_beside(&self, profile: &str) -> Result<Box<dyn Store>> {
        self.store_at(profile, self.environment()?.require_client_id()?, None)
    }

    fn store_at(&self, profile: &str, client_id: &ClientId, seed: Option<String>) -> Result<Box<dyn Store>> {
        let key = Key {
            profile: profile.to_owned(),
            issuer: self.environment()?.issuer().to_owned(),
            client_id: client_id.as_str().to_owned(),
            seed,
            federation: None,
        };
        self.logins()?.of(&key)
    }

    /// The descriptor a variable names, if it was taken over and not yet read.
    pub(crate) fn inherited(&self, variable: &'static str) -> Option<Inherited> {
        let mut inherited = self.inherited.lock().unwrap_or_else(PoisonError::into_inner);
        let at = inherited.iter().position(|i| i.variable() == variable)?;
        Some(inherited.swap_remove(at))
    }

    /// Whether [`Session::inherited`] would find one, without taking it.
    pub(crate) fn has_inherited(&self, variable: &'static str) -> bool {
        self.inspect(variable, |_| ()).is_some()
    }

    /// Looks at what [`Session::inherited`] would find, without taking it.
    pub(crate) fn inspect<T>(&self, variable: &'static str, look: impl FnOnce(&Inherited) -> T) -> Option<T> {
        let inherited = self.inherited.lock().unwrap_or_else(PoisonError::into_inner);
        inherited.iter().find(|i| i.variable() == variable).map(look)
    }
}
