//! Renames a profile: each of its logins moves to the store of the new name.
//!
//! The record is in one store or the other, and for a moment in both; two that renewed would spend one refresh token
//! twice. So the old one is first marked as ended, which keeps its tokens and forbids their renewal; then the new one
//! is written; then the old one is removed. An interruption in between loses nothing and spends nothing, and the same
//! command continues from there.

use keyfob_core::{
    Error, Id, Record, Result,
    login::record::{Key, Refusal},
};

use crate::{
    renewal,
    session::Session,
    setup::profile,
    store::{Commit, Found, Seen, Store},
};

/// How the mark begins. No provider's refusal does.
const MARK: &str = "its renaming to `";

impl Session {
    /// Gives every login of a profile to another name, which must have none. How many there were.
    pub(crate) fn rename_profile(&self, from: &str, to: &str) -> Result<usize> {
        profile::check(to, "the command line", Id::Usage)?;
        let stores = self.stores_of(from)?;
        // All of them, or none: what is in the way of one is reported before anything is moved.
        for store in &stores {
            let Seen::Record(record) = store.look()? else { continue };
            let target = self.logins()?.of(&key(&record, to))?;
            if is_in_the_way(&target.look()?, &record) {
                let what = format!("profile `{from}` cannot be called `{to}`");
                let why = format!("`{to}` has a login of its own at {}", record.issuer);
                return Err(Error::new(Id::Usage, what, why));
            }
        }
        for store in &stores {
            self.move_login(&**store, from, to)?;
        }
        if self.chosen_profile()? == from {
            self.use_profile(to)?;
        }
        Ok(stores.len())
    }

    fn move_login(&self, store: &dyn Store, from: &str, to: &str) -> Result<()> {
        let lease = renewal::wait_for_lease(&self.world, store)?;
        let Found::Record(mut record) = lease.read()? else { return Ok(()) };
        let target = self.logins()?.of(&key(&record, to))?;
        // Checks the space for it, and the key to seal it with, before anything is changed.
        renewal::wait_for_lease(&self.world, &*target)?.prove()?;
        let refused = record.refused.take().filter(|refusal| !refusal.why.starts_with(MARK));
        record.refused = Some(refused.clone().unwrap_or_else(|| Refusal {
            generation: record.generation.number(),
            at: self.world.clock.ahead(&record).theirs(self.world.clock.now()),
            why: format!("{MARK}{to}` was interrupted: `keyfob profiles rename {from} {to}` goes on with it"),
        }));
        lease.commit(&record)?;

        record.profile = to.to_owned();
        record.refused = refused.clone();
        if let Err(error) = put(self, &*target, &record) {
            // As it was. Should that fail too, the mark stays, and says what to do.
            record.profile = from.to_owned();
            renewal::wait_for_lease(&self.world, store)?.commit(&record)?;
            return Err(error);
        }

        let lease = renewal::wait_for_lease(&self.world, store)?;
        match lease.peek()? {
            // The user signed in to the old name meanwhile: that is another login, and stays.
            Some(newer) if newer.generation != record.generation => Ok(()),
            _ => lease.erase(),
        }
    }
}

/// Writes the login in its new place, where an earlier attempt may have left it.
fn put(session: &Session, target: &dyn Store, record: &Record) -> Result<()> {
    let lease = renewal::wait_for_lease(&session.world, target)?;
    match lease.read()? {
        Found::Nothing => {}
        // It arrived, and may have been renewed since.
        Found::Record(there) if there.generation.login() == record.generation.login() => return Ok(()),
        Found::Record(_) | Found::SetAside(_) => {
            let what = format!("profile `{}` has a login of its own", record.profile);
            return Err(Error::new(Id::LoginChanged, what, "somebody signed in meanwhile"));
        }
    }
    match lease.commit(record)? {
        Commit::Durable => Ok(()),
        Commit::Recovered(path) => {
            target.forget_recovered(&path);
            let what = format!("the login could not be saved as profile `{}`", record.profile);
            Err(Error::new(Id::StoreFailed, what, "the disk refused it"))
        }
    }
}

/// The same login from an interrupted attempt is not in the way of this one.
fn is_in_the_way(seen: &Seen, record: &Record) -> bool {
    match seen {
        Seen::Nothing => false,
        Seen::Record(there) => there.generation.login() != record.generation.login(),
        Seen::Damaged(_) => true,
    }
}

fn key(record: &Record, profile: &str) -> Key {
    Key {
        federation: None,
        profile: profile.to_owned(),
        issuer: record.issuer.clone(),
        client_id: record.client_id.as_str().to_owned(),
        seed: None,
    }
}
