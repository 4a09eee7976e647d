//! Client credentials (RFC 6749 §4.4): exchanges a client secret, from a file or a command, for a token that is stored
//! like a login and requested again near its expiry.
//!
//! It implements [`Spender`], so that it shares the lease of renewal: one process requests, the others adopt. Nothing
//! is rotated and nothing can be lost, so no intent is recorded and no separate process is needed.

use keyfob_core::{
    Error, Id, Record, Result,
    contract::settings::Scopes,
    login::{due::Next, record::Generation, refresh},
    oauth::{
        client_auth::{ClientAuth, Confidential},
        client_credentials,
    },
    provider::environment::Environment,
};

use crate::world::failure;
use crate::{
    credential::client_auth::{self, Party},
    provider,
    renewal::{self, ANSWER, Asking, Need, Spender, Usable},
    session::Session,
    store::{Commit, Found, Lease, Seen, Store},
    world::World,
};

/// Asks in the calling thread.
struct Asker<'c> {
    environment: &'c Environment,
    machine: &'c Confidential,
}

/// A token of this machine's session, asked for if that is due.
///
/// # Errors
/// [`Id::ClientSecret`], what the provider says, the store's.
pub(crate) fn usable(
    session: &Session,
    store: &dyn Store,
    machine: &Confidential,
    need: &Need,
) -> Result<Option<Usable>> {
    if matches!(store.look()?, Seen::Nothing) {
        plant(session, store)?;
    }
    let asker = Asker { environment: session.environment()?, machine };
    renewal::usable(&session.world, store, need, &asker)
}

/// Writes the record to be filled, unless another process just did. The provider's metadata is read here, once.
fn plant(session: &Session, store: &dyn Store) -> Result<()> {
    let environment = session.complete_environment()?;
    if let Some(machine) = &environment.machine {
        let at = client_auth::of_machine(machine, environment.proof(machine));
        // What cannot be read is told, and remembered, by whoever asks. A key that this provider does not take is none.
        match client_auth::at_hand(&session.world, &environment, &at) {
            Err(error) if error.id() == Id::ClientKeyKind => return Err(error),
            _ => {}
        }
    }
    let mut octets = [0; 16];
    let entropy = &session.world.entropy;
    entropy.fill(&mut octets).map_err(failure::no_randomness)?;
    let lease = renewal::wait_for_lease(&session.world, store)?;
    if !matches!(lease.read()?, Found::Nothing) {
        return Ok(());
    }
    let generation = Generation::new(octets, 0);
    let record = environment.record(generation, session.setup.profile()?, session.world.clock.now(), None)?;
    lease.commit(&record).map(|_| ())
}

impl Spender for Asker<'_> {
    fn spend(&self, world: &World, _: &dyn Store, lease: Box<dyn Lease + '_>, need: &Need) -> Result<()> {
        let Found::Record(mut record) = lease.read()? else { return Ok(()) };
        match Asking::new(world, need).next(&record) {
            Next::Use => return Ok(()),
            Next::Stop(error) => return Err(error),
            Next::Early | Next::Renew => {}
        }
        self.as_configured(&mut record);
        let asked = self.environment.scopes.clone();
        let after = match self.ask(world, &record, &asked) {
            Ok((reply, kernel)) => {
                client_credentials::answered(*record, &asked, &reply, world.clock.now(), kernel)
            }
            Err(error) => {
                let now = world.clock.ahead(&record).theirs(world.clock.now());
                let after = client_credentials::failed(*record, error.id(), None, error.why(), now);
                refresh::After { error: Some(error), ..after }
            }
        };
        match (lease.commit(&after.record)?, after.error) {
            (_, Some(error)) => Err(error),
            (Commit::Durable, None) => Ok(()),
            (Commit::Recovered(path), None) => {
                let why = format!("the disk refused it; it was kept in {}", path.display());
                Err(Error::new(Id::StoreFailed, "the new token could not be put in its place", why))
            }
        }
    }
}

impl Asker<'_> {
    /// What the configuration says today counts: unlike a person's login this record holds nothing that would be
    /// lost, and a mistake in it must be mended by mending the file.
    fn as_configured(&self, record: &mut Record) {
        if !self.environment.needs_discovery() {
            record.endpoints = self.environment.endpoints.clone();
            record.proof = Some(self.environment.proof(self.machine));
        }
        record.proof = self.machine.proof.or(record.proof);
        record.dialect = self.environment.dialect.clone();
    }

    fn ask(
        &self,
        world: &World,
        record: &Record,
        asked: &Scopes,
    ) -> Result<(keyfob_core::oauth::reply::Reply, Option<String>)> {
        let what = || format!("client `{}` at {}", record.client_id.as_str(), record.issuer);
        let missing = |why| Error::new(Id::StoreCorrupt, what(), why);
        let url = record.endpoints.token_url.as_ref();
        let url = url.ok_or_else(|| missing("its record names no token endpoint"))?;
        let method = record.proof.ok_or_else(|| missing("its record is that of a person's login"))?;
        let at = client_auth::of_machine(self.machine, method);
        let party = Party { environment: &self.environment.name, ..Party::of(record) };
        let kernel = world.clock.kernel();
        let ask = |ahead| {
            let auth = party.proof(world, Some(&at), ahead)?;
            let request = client_credentials::request(asked).encode(auth.as_ref(), &record.dialect);
            match provider::post(world, url, request).within(ANSWER).send() {
                Ok(answer) => Ok((auth, answer.reply)),
                Err(failure) => Err(failure.error(format!("{} got no answer", what()))),
            }
        };
        let ahead = world.clock.ahead(record);
        let (auth, mut reply) = ask(ahead)?;
        if let Some(ahead) = client_auth::clock_to_sign_by(world, auth.as_ref(), &reply, ahead) {
            (_, reply) = ask(ahead)?;
        }
        Ok((reply, kernel))
    }
}

/// What a request to end the token of this record is authenticated with: only the secret or the key of the very
/// environment that got it. Another one's must not reach this provider.
pub(crate) fn client_auth(session: &Session, record: &Record) -> Option<ClientAuth> {
    let environment = session.environment().ok()?;
    let machine = environment.machine.as_ref()?;
    let ours = environment.issuer() == record.issuer
        && environment.client_id.as_ref().is_some_and(|id| id.as_str() == record.client_id.as_str());
    let at = ours.then_some(record.proof).flatten().map(|proof| client_auth::of_machine(machine, proof))?;
    Party::of(record).proof(&session.world, Some(&at), session.world.clock.ahead(record)).ok().flatten()
}
