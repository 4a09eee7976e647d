//! Which login's access token is exchanged for one that is good for less (RFC 8693 §2.1). What was got for it is in a record of its
//! own, and of no use to another login.

use keyfob_core::{Error, Id, Record, Result};

use crate::{session::Session, store::Seen};

/// The login that there is to narrow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    /// Nobody has signed in.
    Nobody,
    /// A client that asks for itself, and has not yet.
    NotYet,
    /// This one, by the id of its sign-in.
    Login(String),
}

/// Which login is narrowed.
///
/// # Errors
/// It is there, and cannot be used.
pub(crate) fn subject(session: &Session) -> Result<Subject> {
    let environment = session.environment()?;
    if environment.client_id.is_none() {
        return Ok(Subject::Nobody);
    }
    match session.store()?.look()? {
        Seen::Record(record) => Ok(Subject::Login(record.generation.login().to_owned())),
        Seen::Nothing if environment.machine.is_some() => Ok(Subject::NotYet),
        Seen::Nothing => Ok(Subject::Nobody),
        Seen::Damaged(why) => {
            let profile = session.setup.profile_name();
            let what = format!("the stored login of profile `{profile}` cannot be used");
            Err(Error::new(Id::StoreCorrupt, what, format!("its file {why}")))
        }
    }
}

/// Whether this record was got for that login.
pub(crate) fn is_of(record: &Record, login: &str) -> bool {
    record.federated.as_ref().and_then(|federated| federated.login.as_deref()) == Some(login)
}

/// Refuses to go on for a login that has been replaced or signed out meanwhile.
pub(super) fn check(session: &Session, record: &Record) -> Result<()> {
    match subject(session)? {
        Subject::Login(login) if is_of(record, &login) => Ok(()),
        _ => {
            let what = format!("the login of profile `{}` is not narrowed", session.setup.profile_name());
            Err(Error::new(
                Id::LoginChanged,
                what,
                "it was replaced or signed out while its token was exchanged",
            ))
        }
    }
}
