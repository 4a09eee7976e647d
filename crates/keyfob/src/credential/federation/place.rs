//! Whether an exchange of identity tokens is asked for, and where its credential is stored.

use keyfob_core::{
    Ahead, Cause, Error, Id, ProviderTime, Record, Result,
    contract::names,
    oauth::federation::{self, Federation, Identity},
};

use crate::{
    credential::federation::narrowed::{self, Subject},
    session::Session,
    store::{Seen, Store},
};

/// What the session's environment says of it, or what its login is narrowed to.
pub(super) fn wanted(session: &Session) -> Result<&Federation> {
    if let Some(narrowing) = &session.narrowing {
        return Ok(narrowing);
    }
    let environment = session.environment()?;
    let missing = || Error::new(Id::Bug, "federation", "it was configured a moment ago");
    environment.federation.as_ref().ok_or_else(missing)
}

/// Where its credential is stored.
pub(crate) fn store(session: &Session) -> Result<Box<dyn Store>> {
    let federation = wanted(session)?;
    session.logins()?.of(&session.environment()?.federated_key(federation)?)
}

/// Its credential, if it is there and still that of whom it is asked for.
pub(crate) fn record(session: &Session) -> Option<Box<Record>> {
    let Ok(Seen::Record(record)) = store(session).and_then(|store| store.look()) else { return None };
    let is_current = session.narrowing.is_none()
        || matches!(narrowed::subject(session), Ok(Subject::Login(login)) if narrowed::is_of(&record, &login));
    is_current.then_some(record)
}

/// Now by the provider's clock, as far as the record of its credential knows how far that is off.
pub(crate) fn provider_time(session: &Session) -> ProviderTime {
    let clock = &session.world.clock;
    let ahead = match store(session).and_then(|store| store.look()) {
        Ok(Seen::Record(record)) => clock.ahead(&record),
        _ => Ahead::default(),
    };
    ahead.theirs(clock.now())
}

/// Whether it is asked for, in words, or why it is not. No identity token is fetched.
///
/// # Errors
/// It is asked for, and something that defines it is malformed or missing.
pub(crate) fn asked_for(session: &Session) -> Result<Result<String, String>> {
    // Where it is unknown which provider is meant, the stored login says so.
    let Ok(environment) = session.environment() else {
        return Ok(Err("it is not known which environment is meant".into()));
    };
    if let Some(narrowing) = &session.narrowing {
        // What there is to narrow is the login's: without one there is nothing, whatever was got for it before.
        return match narrowed::subject(session)? {
            Subject::Login(_) | Subject::NotYet => {
                Ok(Ok(format!("{} is narrowed at {}", federation::source(narrowing), environment.issuer())))
            }
            Subject::Nobody => {
                Ok(Err(format!("nobody signed in to profile `{}`", session.setup.profile_name())))
            }
        };
    }
    let Some(federation) = &environment.federation else {
        return Ok(Err(format!(
            "nothing asks for an identity token to be exchanged in environment `{}`",
            environment.name
        )));
    };
    readable(session, federation)?;
    Ok(Ok(format!(
        "identity tokens from {} are exchanged at {}",
        federation::source(federation),
        environment.issuer()
    )))
}

/// Whether everything that defines the exchange is there and was understood.
fn readable(session: &Session, federation: &Federation) -> Result<()> {
    if !federation.vendor {
        return Ok(());
    }
    for name in [
        names::FEDERATION_RULE,
        names::FEDERATION_ORGANIZATION,
        names::SERVICE_ACCOUNT,
        names::WORKSPACE,
        names::IDENTITY_TOKEN,
        names::IDENTITY_TOKEN_FILE,
    ] {
        session.setup.readable(name)?;
    }
    if matches!(federation.identity, Identity::File { variable: Some(_), .. }) {
        session.setup.identity_file()?;
    }
    let Some((member, variable)) = federation.lacks() else { return Ok(()) };
    let what = format!("the exchange of identity tokens lacks `{member}`");
    let why = format!("{variable} is not set, and the configuration names none under `members`");
    let cause = Cause::FederationLacks { member: member.into(), variable: variable.into() };
    Err(Error::new(Id::EnvironmentIncomplete, what, why).because(cause))
}
