//! The access token of a login, to be exchanged. The login's record is read, renewed where that is due, and not written for it.

use keyfob_core::{Error, Id, Record, Result, oauth::identity_token::IdentityToken};
use zeroize::Zeroizing;

use super::missing::Missing;
use crate::{
    credential::{
        look::{Look, nothing},
        stored::{Stored, stored},
    },
    renewal::Need,
    session::Session,
};

/// The token of the session's login, renewed where that is due.
pub(super) fn token(session: &Session) -> Result<Zeroizing<String>, Missing> {
    match stored(session, &Need::default())? {
        Stored::Usable(usable) => Ok(exposed(&usable.record)?),
        Stored::Not(Look::Broken(error)) => Err(error.into()),
        Stored::Not(_) => Err(nothing(session, &[]).into()),
    }
}

/// The same once the provider has refused this one, and the state of the login that it is of: what there is by now, or what comes of a
/// renewal. `None`: there is no other, or the one of this state was refused as new as it was.
pub(super) fn renewed(
    session: &Session,
    refused: &IdentityToken,
    as_new: Option<u64>,
) -> Option<(Zeroizing<String>, u64)> {
    let usable = |need: &Need| match stored(session, need) {
        Ok(Stored::Usable(usable)) => Some(usable.record),
        _ => None,
    };
    let mut login = usable(&Need::default())?;
    if is_of(refused, &login) {
        if as_new == Some(login.generation.number()) {
            return None;
        }
        login = usable(&Need::new().rejected(login.generation.clone()))?;
    }
    if is_of(refused, &login) {
        return None;
    }
    Some((exposed(&login).ok()?, login.generation.number()))
}

#[expect(clippy::disallowed_methods, reason = "compared with what was read of a login, and goes nowhere")]
fn is_of(token: &IdentityToken, login: &Record) -> bool {
    login.access_token.as_ref().is_some_and(|one| one.same_as(token.token().expose()))
}

#[expect(clippy::disallowed_methods, reason = "read as a subject token right away, and wiped")]
fn exposed(login: &Record) -> Result<Zeroizing<String>> {
    let what = || format!("the login of profile `{}` at {}", login.profile, login.issuer);
    let token = login.access_token.as_ref();
    let token = token.ok_or_else(|| Error::new(Id::LoginNeeded, what(), "it has no access token"))?;
    Ok(Zeroizing::new(token.expose().to_owned()))
}
