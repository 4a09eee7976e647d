//! The login that starts from a refresh token in a variable, in its own record, keyed by the token's fingerprint. The
//! variable's value is used at most once; from then on the record is the login.

use keyfob_core::{
    Cause, Error, Id, Result, Secret, Source, contract::names, login::record::Generation, source::Purpose,
};

use crate::world::failure;
use crate::{
    credential::{
        grant::{Considered, Grant, stored_grant},
        look::{nothing, record_in, seed_store},
    },
    renewal::{self, Need},
    session::Session,
    store::{Found, Seen, Store},
};

/// Its grant, exchanged if this is the first time and renewed if that is due.
pub(crate) fn seeded(
    session: &Session,
    purpose: Purpose,
    need: &Need,
    considered: Vec<Considered>,
) -> Result<Grant> {
    let store = seed_store(session)?;
    if session.setup.settings.refresh_token.is_some() && matches!(store.look()?, Seen::Nothing) {
        plant(session, &*store)?;
    }
    let usable = renewal::usable(&session.world, &*store, need, &*session.spender).map_err(|error| {
        // Signing in anew stores a login that comes after this variable in every order.
        let error = match error.id() {
            Id::LoginRefused | Id::LoginNeeded => {
                error.because(Cause::SeedEnded { variable: names::REFRESH_TOKEN.into() })
            }
            _ => error,
        };
        let unspent = record_in(&*store).is_some_and(|record| record.generation.number() == 0);
        if error.id() != Id::LoginRefused || !unspent {
            return error;
        }
        let why = "the provider refuses it: a single-use refresh token works once, and this store has not seen it before";
        Error::new(Id::SeedSpent, format!("the refresh token in {} is spent", names::REFRESH_TOKEN), why)
            .because(Cause::SeedSpent { variable: names::REFRESH_TOKEN.into() })
    })?;
    let usable = usable.ok_or_else(|| nothing(session, &considered))?;
    stored_grant(&*session.world.clock, purpose, Source::RefreshToken, usable, considered)
}

/// Writes the seed's record, unless another process just did.
fn plant(session: &Session, store: &dyn Store) -> Result<()> {
    // Renewal uses what the record names: the endpoints must be in it.
    let environment = session.complete_environment()?;
    let mut octets = [0; 16];
    session.world.entropy.fill(&mut octets).map_err(failure::no_randomness)?;
    let lease = renewal::wait_for_lease(&session.world, store)?;
    if !matches!(lease.read()?, Found::Nothing) {
        return Ok(());
    }
    let token = session.setup.settings.refresh_token.as_ref().map(Secret::duplicate);
    let generation = Generation::new(octets, 0);
    let mut record =
        environment.record(generation, session.setup.profile()?, session.world.clock.now(), token)?;
    record.narrowed = session.setup.settings.scopes.is_some();
    lease.commit(&record).map(|_| ())
}
