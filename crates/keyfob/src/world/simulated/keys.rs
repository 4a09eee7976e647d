//! In-memory key stores that can be emptied, made unresponsive, or made to return wrong keys.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use keyfob_core::login::sealed::{KeyId, KeyStore};

use crate::world::{KeyTrouble, Keys, WrappingKey};

/// Key stores that several processes share.
#[derive(Clone, Default)]
pub struct Vault(Arc<Mutex<Inside>>);

#[derive(Default)]
struct Inside {
    keys: BTreeMap<(&'static str, String), WrappingKey>,
    silent: bool,
    forgetful: bool,
    asked: usize,
}

impl Vault {
    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Loses every key, as a kernel does when it restarts.
    pub fn empty(&self) {
        self.inside().keys.clear();
    }

    /// Whether it answers.
    pub fn silence(&self, silent: bool) {
        self.inside().silent = silent;
    }

    /// Says that it keeps keys, and does not.
    pub fn lie(&self) {
        self.inside().forgetful = true;
    }

    /// How many keys it holds.
    #[must_use]
    pub fn holds(&self) -> usize {
        self.inside().keys.len()
    }

    /// How often it was asked for anything.
    #[must_use]
    pub fn asked(&self) -> usize {
        self.inside().asked
    }

    fn ask(&self) -> Result<MutexGuard<'_, Inside>, KeyTrouble> {
        let mut inside = self.inside();
        inside.asked += 1;
        if inside.silent {
            return Err(KeyTrouble {
                why: "does not answer".into(),
                cause: keyfob_core::Cause::KeyStoreSilent {},
            });
        }
        Ok(inside)
    }
}

impl Keys for Vault {
    fn fetch(&self, store: KeyStore, id: &KeyId) -> Result<Option<WrappingKey>, KeyTrouble> {
        Ok(self.ask()?.keys.get(&(store.word(), id.as_str().to_owned())).cloned())
    }

    fn keep(&self, store: KeyStore, id: &KeyId, key: &WrappingKey) -> Result<(), KeyTrouble> {
        let mut inside = self.ask()?;
        if !inside.forgetful {
            inside.keys.insert((store.word(), id.as_str().to_owned()), key.clone());
        }
        Ok(())
    }
}
