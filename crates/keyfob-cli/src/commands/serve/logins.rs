//! The clients that are asked: one for what this process was started for, and one for each profile that a question names.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use keyfob::{Client, Error, Grant, internals::core::Id};

use super::question::Get;
use crate::{args::Global, hand_over::grant, session};

/// Profiles that one process is asked for.
const MOST: usize = 64;

/// The clients.
pub(super) struct Logins {
    global: Global,
    own: Result<Arc<Client>, Error>,
    /// What was chosen for this process and holds for other profiles too.
    home: Option<PathBuf>,
    others: Mutex<HashMap<String, Arc<Client>>>,
}

impl Logins {
    pub(super) fn new(global: &Global) -> Self {
        let setup = session::setup(global);
        let home = setup.home.as_ref().filter(|home| home.explicit);
        let home = home.and_then(|home| home.config.parent()).map(PathBuf::from);
        let global = Global { approved: setup.approved.clone(), ..global.clone() };
        let own = setup.check().map(|()| Arc::new(session::quiet_client(&global, setup)));
        Self { global, own, home, others: Mutex::default() }
    }

    /// What is wrong with the set-up, if something is.
    pub(super) fn problem(&self) -> Option<&Error> {
        self.own.as_ref().err()
    }

    /// The credential that is asked for. May block for as long as the network takes.
    pub(super) fn grant(&self, get: &Get) -> Result<Grant, Error> {
        let (global, client) = self.client(get.profile.as_deref())?;
        let origin = get.origin.as_deref();
        match grant::quietly(&global, &client, &get.wanted, origin)? {
            Some(grant) => Ok(grant),
            None => {
                let what = format!("the credential is not for {}", origin.unwrap_or("this address"));
                let why = "it is neither the provider's own host nor under `hosts` of the environment";
                let hint = "list its origin under `hosts` of the environment in config.toml, if the credential may go there";
                Err(Error::new(Id::UrlNotApproved, what, why).hint(hint))
            }
        }
    }

    fn client(&self, profile: Option<&str>) -> Result<(Global, Arc<Client>), Error> {
        let Some(profile) = profile.filter(|profile| self.global.profile.as_deref() != Some(profile)) else {
            return Ok((self.global.clone(), self.own.clone()?));
        };
        let global = Global {
            profile: Some(profile.to_owned()),
            home: self.global.home.clone().or_else(|| self.home.clone()),
            ..self.global.clone()
        };
        let mut others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = others.get(profile) {
            return Ok((global, Arc::clone(client)));
        }
        if others.len() >= MOST {
            let why = format!("it has answered for {MOST} already");
            let error = Error::new(Id::Usage, "this process answers for no further profile", why);
            return Err(error.hint("start another `keyfob serve` for it"));
        }
        // The profile's login is meant and nothing that was inherited, and a number may by now be that of a file of ours.
        let setup = session::setup_without_descriptors(&global);
        setup.check()?;
        let client = Arc::new(session::quiet_client(&global, setup));
        others.insert(profile.to_owned(), Arc::clone(&client));
        Ok((global, client))
    }
}
