//! Signing out: revokes at the provider first, then removes locally in any case, and reports both results.

use keyfob_core::{Cause, Error, Id, Record, Result, contract::names, login::record::Refusal};

use crate::{
    credential::{
        federation::{orphans, place},
        helper, look,
        survey::Survey,
    },
    provider::revoke,
    renewal,
    session::Session,
    store::{Found, Logins, Seen, Store},
    world::World,
};

pub use crate::provider::revoke::Revocation;

/// A login that was signed out: it is no longer on this machine, whatever the provider said.
#[derive(Debug)]
#[non_exhaustive]
pub struct SignedOut {
    profile: String,
    issuer: String,
    revocation: Revocation,
}

impl SignedOut {
    /// The profile it was in.
    #[must_use]
    pub fn profile(&self) -> &str {
        &self.profile
    }

    /// The issuer identifier of its provider (RFC 8414 §2).
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Whether its tokens were revoked at the provider.
    #[must_use]
    pub const fn revocation(&self) -> &Revocation {
        &self.revocation
    }
}

impl Session {
    /// Signs the chosen login out. `None`: there was no login. A renewal in flight is waited for, so that it
    /// cannot bring the login back.
    pub(crate) fn logout(&self) -> Result<Option<SignedOut>> {
        // If a variable names a login and cannot be read, no other login may be used in its place.
        if !self.setup.pinned {
            self.setup.readable(names::REFRESH_TOKEN)?;
            self.setup.seed()?;
        }
        // A key remembered for this profile is removed with it, whichever account is signed in.
        helper::forget(self)?;
        let survey = Survey::of(self, keyfob_core::source::Purpose::Api);
        match survey.winner {
            // The login in use is the one a variable seeded: its record stays, so that the seed is never
            // replayed.
            // What is remembered of identity tokens stays: one of a single use must not be presented again.
            Some(keyfob_core::Source::Federation) => self.sign_out(&*place::store(self)?, false),
            Some(keyfob_core::Source::RefreshToken) => self.sign_out(&*look::seed_store(self)?, true),
            _ => self.sign_out(&*self.store()?, false),
        }
    }

    /// Signs out every login of this home, whatever the profile, issuer or session, and forgets remembered keys. One
    /// that cannot be signed out, as [`Client::logout`](crate::Client::logout) would report, does not stop the rest:
    /// its error is returned beside those that were signed out.
    pub(crate) fn logout_all(&self) -> Result<(Vec<SignedOut>, Vec<Error>)> {
        let logins = self.logins()?.list()?;
        let (mut ended, mut failed) = (Vec::new(), logins.unreachable);
        // Logins first: nothing is exchanged for them after that.
        let (exchanged, mut stores): (Vec<_>, Vec<_>) =
            logins.stores.into_iter().partition(|store| store.is_federated());
        stores.extend(exchanged);
        for store in &stores {
            match self.sign_out_alone(&**store, store.is_seeded()) {
                Ok(one) => ended.extend(one),
                Err(error) => failed.push(error),
            }
        }
        orphans::end(self, None, true);
        failed.extend(helper::forget_all(self)?);
        Ok((ended, failed))
    }

    /// Signs out the login in this store. With `keep_spent` its record stays, without tokens, so that the
    /// variable that seeded it is never replayed.
    /// What its access token was exchanged for goes with it.
    pub(crate) fn sign_out(&self, store: &dyn Store, keep_spent: bool) -> Result<Option<SignedOut>> {
        let login = match store.look() {
            Ok(Seen::Record(record)) => Some(record.generation.login().to_owned()),
            _ => None,
        };
        let ended = self.sign_out_alone(store, keep_spent)?;
        if !store.is_federated() {
            orphans::end(self, login.as_deref(), true);
        }
        Ok(ended)
    }

    fn sign_out_alone(&self, store: &dyn Store, keep_spent: bool) -> Result<Option<SignedOut>> {
        // While its token is still valid for the account. Under the lease nothing but the login itself is touched.
        if let Ok(Seen::Record(record)) = store.look() {
            self.forget_device_of(&record);
        }
        let lease = renewal::wait_for_lease(&self.world, store)?;
        let mut record = match lease.read() {
            Ok(Found::Record(record)) => *record,
            Ok(Found::Nothing) => return Ok(None),
            Err(error) if error.id() == Id::KeyStoreUnavailable && !keep_spent => {
                lease.erase()?;
                let (profile, issuer) = match (&self.store(), &self.setup.environment) {
                    (Ok(ours), Some(environment)) if ours.path() == store.path() => {
                        (self.setup.profile_name().to_owned(), environment.issuer().to_owned())
                    }
                    _ => (store.name(), "a provider that only the sealed login names".into()),
                };
                let revocation = Revocation::Failed(error.message());
                return Ok(Some(SignedOut { profile, issuer, revocation }));
            }
            Err(error) => return Err(error),
            Ok(Found::SetAside(path)) => {
                let why = format!("the file was damaged and has been kept as {}", path.display());
                return Err(Error::new(Id::StoreCorrupt, "the login could not be revoked", why)
                    .because(Cause::NotRevoked {}));
            }
        };
        // Only what is remembered of identity tokens is left of it.
        if record.federated.is_some() && record.access_token.is_none() {
            return Ok(None);
        }
        let revocation = revoke::revoke(self, &record);
        let told = SignedOut { profile: record.profile.clone(), issuer: record.issuer.clone(), revocation };
        if let Some(federated) = record.federated.as_mut().filter(|federated| federated.remembers()) {
            federated.note_lost();
            federated.identity = None;
            record.generation.advance();
            record.access_token = None;
            record.expires_at = None;
            lease.commit(&record)?;
        } else if keep_spent {
            record.access_token = None;
            (record.id_token, record.id_token_missed) = (None, None);
            record.refresh_token = None;
            record.refused = Some(Refusal {
                generation: record.generation.number(),
                at: self.world.clock.ahead(&record).theirs(self.world.clock.now()),
                why: "it was signed out".into(),
            });
            lease.commit(&record)?;
        } else {
            lease.erase()?;
        }
        Ok(Some(told))
    }
}

/// Why tokens that are no longer needed were not revoked.
pub(crate) const SPARED: Revocation =
    Revocation::Impossible("a login that is kept may share its grant and would end with it");

/// Ends tokens that are not stored, or no longer are: `revoke` runs under the lease, so that no process stores another
/// login meanwhile. `None`: it was not run, because a login that is stored beside this store's may share its grant with
/// them and would end too.
///
/// # Errors
/// Why the lease could not be taken, or what is stored here cannot be read.
pub fn revoke_apart<T>(
    world: &World,
    logins: &dyn Logins,
    store: &dyn Store,
    tokens: &Record,
    revoke: impl FnOnce(&Record) -> T,
) -> Result<Option<T>> {
    let _lease = renewal::wait_for_lease(world, store)?;
    // What was exchanged for a login is that login's, which is looked at itself.
    let is_a_login =
        |stored: &Record| stored.federated.as_ref().is_none_or(|federated| federated.login.is_none());
    let shares = |seen: &Seen| matches!(seen, Seen::Record(stored) if is_a_login(stored) && stored.may_share_grant(tokens));
    if shares(&store.look()?) {
        return Ok(None);
    }
    let others = logins.list().map(|listed| listed.stores).unwrap_or_default();
    // A record that cannot be read was not stored just now, and no process can use it.
    if others.iter().any(|other| other.path() != store.path() && other.look().is_ok_and(|seen| shares(&seen)))
    {
        return Ok(None);
    }
    Ok(Some(revoke(tokens)))
}

/// The same for a client's own login: the result, in words.
pub(crate) fn end_unstored(session: &Session, store: &dyn Store, tokens: &Record) -> Revocation {
    let ended = session.logins().and_then(|logins| {
        revoke_apart(&session.world, &*logins, store, tokens, |tokens| revoke::revoke(session, tokens))
    });
    match ended {
        Ok(Some(revocation)) => revocation,
        Ok(None) => SPARED,
        Err(error) => Revocation::Failed(error.message()),
    }
}
