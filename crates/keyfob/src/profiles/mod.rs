//! Profiles: lists the stored logins, records which of them is used when none is named, and renames and removes them.

mod rename;

use std::path::PathBuf;

use keyfob_core::{Error, Id, Record, Result};

use crate::{
    logout::SignedOut,
    session::Session,
    setup::profile,
    store::{Seen, Store},
    world::failure,
};

/// One stored login.
#[derive(Debug)]
pub struct Profile {
    /// Its record.
    pub record: Record,
    /// Whether it was seeded by a variable.
    pub seeded: bool,
    /// Whether it is what an identity token was exchanged for, and belongs to no profile.
    pub federated: bool,
    /// Where it is stored.
    pub path: PathBuf,
}

impl Session {
    /// Every stored login of this home that can be read, and what is wrong with the others.
    pub(crate) fn profiles(&self) -> Result<(Vec<Profile>, Vec<Error>)> {
        let logins = self.logins()?.list()?;
        let (mut profiles, mut problems) = (Vec::new(), logins.unreachable);
        for store in logins.stores {
            let path = store.path();
            match store.look() {
                // Only what is remembered of identity tokens is left of it.
                Ok(Seen::Record(record)) if store.is_federated() && record.access_token.is_none() => {}
                Ok(Seen::Record(record)) => profiles.push(Profile {
                    record: *record,
                    seeded: store.is_seeded(),
                    federated: store.is_federated(),
                    path: path.to_path_buf(),
                }),
                Ok(Seen::Nothing) => {}
                Ok(Seen::Damaged(why)) => {
                    problems.push(Error::new(
                        Id::StoreCorrupt,
                        format!("the login in {}", path.display()),
                        format!("its file {why}"),
                    ));
                }
                Err(error) => problems.push(error),
            }
        }
        Ok((profiles, problems))
    }

    /// Makes a profile the default, which is used when none is named.
    pub(crate) fn use_profile(&self, name: &str) -> Result<()> {
        profile::check(name, "the command line", Id::Usage)?;
        let place = profile::place(&self.setup.require_home()?.logins);
        let written = self.world.files.replace(&place, name.as_bytes());
        written.map_err(|error| kept(&place, error))
    }

    /// Signs out of every login of a profile, whatever the environment and client, and goes back to the default profile
    /// if this one was chosen. One that cannot be signed out does not stop the rest. Logins that a variable seeded
    /// belong to no profile.
    pub(crate) fn remove_profile(&self, name: &str) -> Result<(Vec<SignedOut>, Vec<Error>)> {
        let (mut ended, mut failed) = (Vec::new(), Vec::new());
        for store in self.stores_of(name)? {
            match self.sign_out(&*store, false) {
                Ok(one) => ended.extend(one),
                Err(error) => failed.push(error),
            }
        }
        if failed.is_empty() && self.chosen_profile().is_ok_and(|chosen| chosen == name) {
            let place = profile::place(&self.setup.require_home()?.logins);
            self.world.files.remove(&place).map_err(|error| kept(&place, error))?;
        }
        Ok((ended, failed))
    }

    /// The profile that is used when none is named.
    fn chosen_profile(&self) -> Result<String> {
        let chosen = profile::chosen(&self.setup.require_home()?.logins, &*self.world.files)?;
        Ok(chosen.unwrap_or_else(|| "default".into()))
    }

    /// Whether there is a login of this profile, in whatever environment, readable or not.
    pub(crate) fn has_profile(&self, name: &str) -> Result<bool> {
        Ok(!self.stores_of(name)?.is_empty())
    }

    /// The stores of a profile's logins. If a record cannot be read, it is known to belong here only in this
    /// environment.
    fn stores_of(&self, name: &str) -> Result<Vec<Box<dyn Store>>> {
        let here = self.store_beside(name).ok();
        let belongs = |store: &dyn Store| match store.look() {
            _ if store.is_seeded() || store.is_federated() => false,
            Ok(Seen::Record(record)) => record.profile == name,
            Ok(Seen::Nothing) => false,
            Ok(Seen::Damaged(_)) | Err(_) => here.as_ref().is_some_and(|here| here.path() == store.path()),
        };
        let stores = self.logins()?.list()?.stores;
        Ok(stores.into_iter().filter(|store| belongs(&**store)).collect())
    }
}

fn kept(place: &std::path::Path, error: std::io::Error) -> Error {
    failure::failed(Id::StoreFailed, format!("the choice could not be kept in {}", place.display()), error)
}
