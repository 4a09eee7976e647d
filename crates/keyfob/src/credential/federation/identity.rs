//! Fetches an identity token of this machine, anew for each exchange: a file is read again, a service is asked again, a
//! command runs again. None is ever kept.

use std::path::Path;

use keyfob_core::{
    Cause, Error, Id, Result,
    contract::names,
    oauth::{
        federation::{Federation, Identity, source},
        identity_token::IdentityToken,
    },
};
use zeroize::Zeroizing;

use super::{github, missing::Missing, subject};
use crate::{
    credential::command,
    session::Session,
    world::{failure, system::shown},
};

/// No identity token is longer.
const LONGEST: usize = 64 * 1024;
/// The configuration's key for a command.
pub(crate) const COMMAND: &str = "identity_token_command";

/// Whether GitHub's service would be asked.
pub(crate) fn asks_github(session: &Session, federation: &Federation) -> bool {
    match federation.identity {
        Identity::GitHub => true,
        Identity::Surroundings => github::is_here(session),
        Identity::File { .. } | Identity::Variable(_) | Identity::Command(_) | Identity::Login { .. } => {
            false
        }
    }
}

/// A fresh identity token.
pub(crate) fn fetch(session: &Session, federation: &Federation) -> Result<IdentityToken, Missing> {
    let opaque = federation.takes_opaque();
    match &federation.identity {
        Identity::GitHub => ask_github(session, federation),
        Identity::File { path, variable } => {
            let text = from_file(session, Path::new(path), *variable)?;
            Ok(read(federation, &text, opaque)?)
        }
        Identity::Variable(name) => {
            let text = from_variable(session, name)?;
            Ok(read(federation, &text, opaque)?)
        }
        Identity::Command(line) => {
            let asked = |error| Missing { error, was_asked: true };
            let failed = |why| {
                let what = format!("`{COMMAND}` gave no identity token");
                Error::new(Id::IdentityTokenMissing, what, why)
                    .because(Cause::CommandFailed { key: COMMAND.into() })
            };
            let output = command::output(&session.world, COMMAND, line).map_err(|why| asked(failed(why)))?;
            let text = std::str::from_utf8(&output).map_err(|_| asked(failed("it is not text".into())))?;
            read(federation, text, opaque).map_err(asked)
        }
        Identity::Login { .. } => Ok(read(federation, &subject::token(session)?, opaque)?),
        // The vendor's own client takes no other place by itself, but a job of GitHub's has one.
        Identity::Surroundings if github::is_here(session) => ask_github(session, federation),
        Identity::Surroundings => {
            let what = "there is no identity token to exchange";
            let why = format!("neither {} nor {} is set", names::IDENTITY_TOKEN_FILE, names::IDENTITY_TOKEN);
            let cause = Cause::IdentityVariableUnset { variable: names::IDENTITY_TOKEN_FILE.into() };
            Err(Error::new(Id::IdentityTokenMissing, what, why).because(cause).into())
        }
    }
}

fn ask_github(session: &Session, federation: &Federation) -> Result<IdentityToken, Missing> {
    let text = github::ask(session, federation)?;
    read(federation, &text, false).map_err(|error| Missing { error, was_asked: true })
}

fn read(federation: &Federation, text: &str, opaque: bool) -> Result<IdentityToken> {
    IdentityToken::read(text, opaque).map_err(|why| {
        let source = source(federation);
        let what = format!("what {source} holds is no identity token");
        Error::new(Id::IdentityTokenMissing, what, why).because(Cause::IdentityUnreadable { source })
    })
}

fn from_variable(session: &Session, name: &str) -> Result<Zeroizing<String>> {
    let text = if name == names::IDENTITY_TOKEN {
        session.setup.readable(name)?;
        session.setup.settings.federation.identity_token.as_ref().map(exposed)
    } else {
        session.world.helper.variable(name).map(Zeroizing::new)
    };
    text.filter(|text| !text.is_empty()).ok_or_else(|| {
        let what = "there is no identity token to exchange";
        Error::new(Id::IdentityTokenMissing, what, format!("{name} is not set"))
            .because(Cause::IdentityVariableUnset { variable: name.into() })
    })
}

#[expect(clippy::disallowed_methods, reason = "read as an identity token right away, and wiped")]
fn exposed(token: &keyfob_core::Secret) -> Zeroizing<String> {
    Zeroizing::new(token.expose().to_owned())
}

/// A file that somebody keeps fresh. Where it leads is followed, as orchestrators make it of links: it must be this user's
/// or root's, and nobody else's to write. One that a variable names must obey the rule for such paths besides.
fn from_file(session: &Session, path: &Path, variable: Option<&str>) -> Result<Zeroizing<String>> {
    let what = || format!("the identity token in {} cannot be read", shown(path));
    if variable.is_some() {
        session.setup.identity_file()?;
    }
    let missing = |why: String, cause: Option<Cause>| {
        Error::new(Id::IdentityTokenMissing, what(), why).maybe_because(cause)
    };
    let bytes = match session.world.files.read_trusted(path, false) {
        Ok(Some(bytes)) => Zeroizing::new(bytes),
        Ok(None) => {
            let cause = Cause::Missing { path: path.to_string_lossy().into_owned() };
            return Err(missing("there is no such file".into(), Some(cause)));
        }
        Err(error) => return Err(missing(error.to_string(), failure::cause(&error, path))),
    };
    let unreadable = |why: &str| {
        missing(why.into(), Some(Cause::IdentityUnreadable { source: path.to_string_lossy().into_owned() }))
    };
    if bytes.len() > LONGEST {
        return Err(unreadable("it is longer than 64 KiB"));
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| unreadable("it is not text"))?;
    Ok(Zeroizing::new(text.to_owned()))
}
