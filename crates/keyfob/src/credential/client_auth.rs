//! What a client proves itself with (RFC 6749 §2.3, RFC 7523 §2.2), made anew for each request: the one place for every
//! grant, for renewals and for revocations.

use keyfob_core::{
    Ahead, Id, Record, Result,
    contract::settings::ClientId,
    oauth::{
        client_assertion::{self, Algorithm, Assertion},
        client_auth::{ClientAuth, Confidential, Proof, SecretAt},
        reply::Reply,
    },
    provider::environment::Environment,
};

use super::{
    client_key::{ClientKey, Unusable},
    client_secret,
};
use crate::world::{World, failure};

/// A client at a provider.
#[derive(Clone, Copy)]
pub(crate) struct Party<'p> {
    /// The environment's name, for people.
    pub(crate) environment: &'p str,
    /// What an assertion is for, and nothing else.
    pub(crate) issuer: &'p str,
    /// Who proves itself.
    pub(crate) client: &'p ClientId,
}

impl<'p> Party<'p> {
    /// That of a login, as its record has it.
    pub(crate) fn of(record: &'p Record) -> Self {
        Self { environment: &record.environment, issuer: &record.issuer, client: &record.client_id }
    }

    /// What one request of this client carries. `None`: it is a public one. `ahead`: how far the provider's clock is known
    /// to be ahead.
    ///
    /// # Errors
    /// [`Id::ClientSecret`], [`Id::ClientKey`], [`Id::ClientKeyKind`], naming the file or the key of the configuration,
    /// never what is in it.
    pub(crate) fn proof(
        &self,
        world: &World,
        at: Option<&SecretAt>,
        ahead: Ahead,
    ) -> Result<Option<ClientAuth>> {
        let Some(at) = at else { return Ok(None) };
        let secret = match at.auth {
            Proof::Basic | Proof::Post => client_secret::secret(world, self.environment, &at.at)?,
            Proof::PrivateKeyJwt => {
                let key = key(world, self.environment, at)?;
                let mut unique = [0; 16];
                world.entropy.fill(&mut unique).map_err(failure::no_randomness)?;
                let now = ahead.theirs(world.clock.now());
                let assertion = Assertion { client: self.client, issuer: self.issuer, now, unique };
                let key_id = at.key_id.as_deref().or(key.id.as_deref());
                let to_sign = assertion.to_sign(key.algorithm(), key_id);
                let signature = key.sign(to_sign.as_bytes());
                let none = || failure::no_randomness(std::io::Error::other("nothing could be signed"));
                client_assertion::signed(&to_sign, &signature.ok_or_else(none)?)
            }
        };
        Ok(Some(ClientAuth { client: self.client.clone(), method: at.auth, secret }))
    }
}

/// The clock to sign by when the same request is made once more: see [`client_assertion::refused_for_its_date`].
pub(crate) fn clock_to_sign_by(
    world: &World,
    auth: Option<&ClientAuth>,
    reply: &Reply,
    used: Ahead,
) -> Option<Ahead> {
    auth.filter(|auth| auth.method.signs())?;
    client_assertion::refused_for_its_date(reply, world.clock.now(), used)
}

/// How a machine's client is found and proves itself, where its configuration says so today.
pub(crate) fn of_machine(machine: &Confidential, auth: Proof) -> SecretAt {
    SecretAt { at: machine.secret.clone(), auth, key_id: machine.key_id.clone() }
}

/// Whether the secret or the key is there and can be used, before anybody is asked for anything. What a key signs with, if
/// it is one.
///
/// # Errors
/// As [`Party::proof`]; [`Id::ClientKeyKind`] also where the provider does not take the key's algorithm.
pub(crate) fn at_hand(world: &World, environment: &Environment, at: &SecretAt) -> Result<Option<Algorithm>> {
    if !at.auth.signs() {
        return client_secret::secret(world, &environment.name, &at.at).map(|_| None);
    }
    let algorithm = key(world, &environment.name, at)?.algorithm();
    environment.takes_signatures_of(algorithm)?;
    Ok(Some(algorithm))
}

fn key(world: &World, environment: &str, at: &SecretAt) -> Result<ClientKey> {
    let text = client_secret::key(world, environment, &at.at)?;
    ClientKey::read(&text).map_err(|why| {
        let (id, why) = match why {
            Unusable::Unread(why) => (Id::ClientKey, why.to_owned()),
            Unusable::Kind(why) => (Id::ClientKeyKind, why),
        };
        client_secret::key_failed(environment, &at.at, id, why)
    })
}
