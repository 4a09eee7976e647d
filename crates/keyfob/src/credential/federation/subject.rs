//! The access token of a login, to be exchanged. The login's record is read, renewed where that is due, and not written for it.

use keyfob_core::{Error, Id, Record, Result};
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

#[expect(clippy::disallowed_methods, reason = "read as a subject token right away, and wiped")]
fn exposed(login: &Record) -> Result<Zeroizing<String>> {
    let what = || format!("the login of profile `{}` at {}", login.profile, login.issuer);
    let token = login.access_token.as_ref();
    let token = token.ok_or_else(|| Error::new(Id::LoginNeeded, what(), "it has no access token"))?;
    Ok(Zeroizing::new(token.expose().to_owned()))
}
