//! Who vouches for a JWT: its signature, checked with the keys of an issuer that is known here. No address in the token
//! itself is ever asked.

use keyfob_core::{
    Error, Id, Result, Secret,
    config::approved::ApprovedList,
    contract::settings::Settings,
    oauth::{
        id_token::{Doubt, IdToken},
        jwk,
    },
    provider::{self as core_provider, environment::Environment},
};

use crate::{
    login::id_token,
    provider::{discovery, jwks},
    session::Session,
};

impl Session {
    /// The address of the keys of this issuer, if this machine knows it: from the chosen environment, another one of
    /// the configuration, or a stored login.
    ///
    /// # Errors
    /// Its metadata could not be had.
    pub(crate) fn keys_of(&self, issuer: &str) -> Result<Option<String>> {
        let known = |environment: &Environment| environment.iss() == Some(issuer);
        let chosen = self.setup.environment.clone().filter(known);
        // Whatever variables choose: this is about who is known, and not about who is meant.
        let (nothing, approved) = (Settings::default(), ApprovedList::default());
        let other = || {
            let names = self.setup.config.environments.keys();
            names
                .filter_map(|name| {
                    core_provider::resolve(&nothing, &self.setup.config, Some(name), &approved).ok()
                })
                .find(known)
        };
        // Its ID token was of this issuer, to the letter.
        let of_login = || {
            let (logins, _) = self.profiles().ok()?;
            let login = logins.iter().map(|login| &login.record);
            let login = login
                .filter(|record| record.verified_subject.is_some())
                .find(|record| record.issuer == issuer);
            login.map(Environment::of_login)
        };
        let Some(environment) = chosen.or_else(other).or_else(of_login) else { return Ok(None) };
        if environment.jwks_url.is_some() {
            return Ok(environment.jwks_url);
        }
        Ok(discovery::complete(&self.world, &environment.to_be_asked())?.jwks_url)
    }

    /// The keys at an address.
    ///
    /// # Errors
    /// [`Id::Unreachable`].
    pub(crate) fn fetch_keys(&self, url: &str) -> Result<Vec<u8>> {
        jwks::fetch(&self.world, url)
    }
}

/// Whether a token was signed with one of these keys. `from` says where they are from, for people.
///
/// # Errors
/// [`Id::IdTokenInvalid`]: with none of them, or in a way that proves nothing; [`Id::IdTokenUnread`]: that cannot be found
/// out here.
pub fn check(token: &Secret, keys: &[u8], from: &str) -> Result<()> {
    let told = |doubt: Doubt| {
        let (id, why) = match doubt {
            Doubt::False(why) => (Id::JwtInvalid, why),
            Doubt::NotUnderstood(why) => (Id::JwtUnverified, why),
        };
        Error::new(id, "the token could not be verified", why)
    };
    let token = IdToken::read(token).map_err(told)?;
    let algorithm = token.algorithm().map_err(told)?;
    let keys = jwk::keys(keys)
        .map_err(|why| told(Doubt::NotUnderstood(format!("the list of keys from {from} {why}"))))?;
    if token.candidates(&keys).next().is_none() {
        return Err(told(Doubt::NotUnderstood(format!(
            "no key from {from} is one it could be checked with"
        ))));
    }
    if id_token::is_made_with_one_of(&token, algorithm, &keys) {
        return Ok(());
    }
    Err(told(Doubt::False(format!("it was not signed with any of the keys from {from}"))))
}
