//! The credential of one session: a variable holds it, or a file that a runner keeps fresh.
//!
//! The variable is a snapshot of the moment its process was started. So the file is read where the variable holds nothing,
//! or something that says of itself that it has ended, or what was just rejected. The end that such a token claims is not
//! verified: it only decides when to look again.

use std::path::Path;

use keyfob_core::{
    Cause, Error, Id, Result, Secret, Source, Timestamp, contract::names, oauth::jwt::Jwt,
    secret::strip_newline,
};

use crate::{
    session::Session,
    world::{failure, system::shown},
};

/// When a credential ends, as it says itself. `None`: it says nothing that could be read.
pub(crate) fn claimed_end(token: &Secret) -> Option<Timestamp> {
    Jwt::read(token)?.expires_at()
}

/// Whether the credential of this source may say itself when it ends.
pub(crate) const fn may_claim(source: Source) -> bool {
    matches!(source, Source::SessionToken | Source::WebSocketDescriptor)
}

/// The credential: the variable's while it is good, else the file's.
///
/// # Errors
/// [`Id::SessionFile`]: the file cannot be read, or holds no token.
pub(crate) fn read(session: &Session) -> Result<Secret> {
    let given = session.setup.settings.session_token.as_ref();
    let path = session.setup.session_file()?;
    let fresh = match (given, path) {
        (Some(given), _) if !has_ended(session, given) => return Ok(given.duplicate()),
        (_, Some(path)) => from_file(session, path)?,
        (Some(given), None) => return Ok(given.duplicate()),
        (None, None) => {
            let what = format!("the credential of {}", Source::SessionToken);
            return Err(Error::new(Id::Bug, what, "it was there a moment ago"));
        }
    };
    // The file of a runner that has ended itself is no newer.
    Ok(match given {
        Some(given) if claimed_end(given) > claimed_end(&fresh) && claimed_end(&fresh).is_some() => {
            given.duplicate()
        }
        _ => fresh,
    })
}

/// What the file holds now, if that is another credential than the one that was rejected.
///
/// # Errors
/// As [`read`].
pub(crate) fn other_than(session: &Session, rejected: &Secret) -> Result<Option<Secret>> {
    let Some(path) = session.setup.session_file()? else { return Ok(None) };
    let now = from_file(session, path)?;
    Ok((now.fingerprint() != rejected.fingerprint()).then_some(now))
}

/// Says that a credential has ended by its own word.
pub(crate) fn ended(session: &Session, source: Source, token: &Secret) -> Option<Error> {
    if !may_claim(source) || !has_ended(session, token) {
        return None;
    }
    let ago = session.world.clock.now().since(claimed_end(token)?);
    let why = format!("it says itself that it ended {ago} s ago, which nobody has verified");
    Some(Error::new(Id::SessionEnded, format!("the credential from {source} has ended"), why))
}

/// Whether it has ended, by its own word.
pub(crate) fn has_ended(session: &Session, token: &Secret) -> bool {
    claimed_end(token).is_some_and(|end| end <= session.world.clock.now())
}

/// A mounted file is often a link: where it leads is what is checked. It has to be this user's alone, as every file of a
/// secret.
fn from_file(session: &Session, path: &Path) -> Result<Secret> {
    let wrong = |why: String| {
        let what = format!("the file {} that {} names gave no token", shown(path), names::SESSION_TOKEN_FILE);
        Error::new(Id::SessionFile, what, why)
    };
    let files = &session.world.files;
    let bytes = match files.resolve(path).and_then(|path| files.read(&path)) {
        Ok(Some(bytes)) => bytes,
        Ok(None) => {
            let cause = Cause::Missing { path: path.to_string_lossy().into_owned() };
            return Err(wrong("there is no such file".into()).because(cause));
        }
        Err(error) => {
            let cause = failure::cause(&error, path);
            return Err(wrong(error.to_string()).maybe_because(cause));
        }
    };
    let text = std::str::from_utf8(&bytes).map_err(|_| wrong("it is not text".into()))?;
    Secret::visible(strip_newline(text)).map_err(|why| {
        let cause = Cause::SecretEmpty { path: path.to_string_lossy().into_owned() };
        wrong(why.sentence().into()).because(cause)
    })
}
