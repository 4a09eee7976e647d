//! Looks at one source: absent, present or broken, without reading a secret, running a program or sending a request.

use std::sync::PoisonError;

use keyfob_core::{
    Cause, Error, Id, Record, Result, Source,
    contract::names,
    source::{KeptIn, kept_in},
};

use crate::{
    credential::{federation::place, grant::Considered, session_token},
    session::Session,
    store::{Seen, Store},
    world::system::shown,
};

/// What a look at a source shows, without reading a secret, running a program or sending a request.
#[derive(Debug)]
pub enum Look {
    /// Go on, for this reason.
    Nothing(String),
    /// It is there, and a profile was named for this call, which means exactly that login.
    PassedOver(String),
    /// It is there.
    Here(String),
    /// It is there and cannot be used.
    Broken(Error),
}

/// The error of a search that found nothing.
pub(crate) fn nothing(session: &Session, considered: &[Considered]) -> Error {
    let profile = session.setup.profile_name();
    let what = match &session.setup.environment {
        Some(environment) => {
            format!("no credential for profile `{profile}` in environment `{}`", environment.name)
        }
        None => format!("no credential for profile `{profile}`"),
    };
    if let Some(only) = session.confined_to() {
        let why = considered
            .iter()
            .find(|c| c.source == only)
            .map_or("it is not one of the sources for this purpose", |c| &c.reason);
        return Error::new(
            Id::SourceExcluded,
            format!("only {only} may be used, and it has no credential"),
            why,
        );
    }
    let environment = session.setup.environment.as_ref().map_or("", |environment| &environment.name);
    let of_logins = |c: &Considered| matches!(c.source, Source::RefreshToken | Source::Login);
    let why = if !considered.is_empty() && considered.iter().all(of_logins) {
        "only a login has an ID token, and nobody has signed in"
    } else {
        "no variable holds a credential, and nobody has signed in"
    };
    Error::new(Id::LoginNeeded, what, why)
        .because(Cause::NotSignedIn { profile: profile.into(), environment: environment.into() })
}

pub(crate) fn excluded(session: &Session, source: Source) -> bool {
    session.confined_to().is_some_and(|only| only != source)
        || session.narrowing.is_some() && source != Source::Federation
}

/// Looks at one source.
pub(crate) fn look(session: &Session, source: Source) -> Look {
    if excluded(session, source) {
        let narrows = session.narrowing.is_some();
        let why =
            if narrows { "a login is narrowed, and nothing else is used" } else { "excluded by --only" };
        return Look::Nothing(why.into());
    }
    match present(session, source) {
        // It stands for the login that was named.
        look if session.narrowing.is_some() => look,
        Look::Here(what) if session.setup.pinned && source != Source::Login => {
            let profile = session.setup.profile_name();
            Look::PassedOver(format!(
                "{what}, but the profile `{profile}` was named, and means exactly its login"
            ))
        }
        // Broken, and not asked: that login needs none of it.
        Look::Broken(error) if session.setup.pinned && source != Source::Login => {
            Look::Nothing(format!("it is not asked, and could not be used: {}", error.message()))
        }
        look => look,
    }
}

fn present(session: &Session, source: Source) -> Look {
    let settings = &session.setup.settings;
    let variable = |name: &str| match settings.credential(name) {
        _ if let Err(error) = session.setup.readable(name) => Look::Broken(error),
        Some(secret) => Look::Here(format!("{name} is set ({})", secret.fingerprint())),
        None => Look::Nothing(format!("{name} is not set")),
    };
    match kept_in(source) {
        KeptIn::Variable(name) => variable(name),
        KeptIn::Session => session_of_a_runner(session),
        KeptIn::SeededLogin => match session.setup.seed() {
            Err(error) => Look::Broken(error),
            Ok(Some(seed)) if settings.refresh_token.is_none() => inherited_seed(session, seed),
            _ => variable(names::REFRESH_TOKEN),
        },
        KeptIn::Descriptor(name) => descriptor(session, name),
        KeptIn::Helper => match &session.setup.config.api_key_helper {
            Some(_) => Look::Here("the configuration names an api_key_helper".into()),
            None => Look::Nothing("the configuration names no api_key_helper".into()),
        },
        KeptIn::Federated => match place::asked_for(session) {
            Ok(Ok(what)) => Look::Here(what),
            Ok(Err(why)) => Look::Nothing(why),
            Err(error) => Look::Broken(error),
        },
        KeptIn::Login => login(session),
    }
}

fn descriptor(session: &Session, name: &'static str) -> Look {
    if let Err(error) = session.setup.readable(name) {
        return Look::Broken(error);
    }
    let settings = &session.setup.settings;
    let set = [&settings.oauth_descriptor, &settings.api_key_descriptor, &settings.websocket_descriptor];
    let kept = session.read.lock().unwrap_or_else(PoisonError::into_inner).contains_key(name);
    let at_hand = kept || session.has_inherited(name);
    let Some(descriptor) = set.into_iter().flatten().find(|d| d.variable == name) else {
        if at_hand {
            return Look::Here(format!("the program that embeds keyfob handed over a descriptor for {name}"));
        }
        return Look::Nothing(format!("{name} is not set"));
    };
    let number = descriptor.number;
    if session.setup.consumed.contains(descriptor) {
        return Look::Nothing(format!(
            "descriptor {number} was handed over by `keyfob exec` and has been read"
        ));
    }
    if at_hand {
        return Look::Here(format!("{name} names descriptor {number}"));
    }
    // One that could not be taken over has been reported as such.
    if let Some(problem) = session.setup.problems.iter().find(|problem| problem.what().starts_with(name)) {
        return Look::Broken(problem.clone());
    }
    let what = format!("{name} names descriptor {number}, which was not taken over");
    let why = "the program that embeds keyfob did not allow descriptors to be taken over, or it was refused";
    Look::Broken(Error::new(Id::DescriptorUnusable, what, why))
}

/// What stands in the variable of the session's credential, or which file would be read.
fn session_of_a_runner(session: &Session) -> Look {
    let (variable, file) = (names::SESSION_TOKEN, names::SESSION_TOKEN_FILE);
    if let Err(error) = session.setup.readable(variable) {
        return Look::Broken(error);
    }
    let path = match session.setup.session_file() {
        Ok(path) => path,
        Err(error) => return Look::Broken(error),
    };
    // The one secret that is read by a look: whether the file has it decides who wins.
    if let Err(error) = session_token::read(session)
        && error.id() != Id::Bug
    {
        return Look::Broken(error);
    }
    match (session.setup.settings.session_token.as_ref(), path) {
        (Some(token), Some(_)) if session_token::has_ended(session, token) => {
            Look::Here(format!("{variable} has ended, and {file} names a file with a newer one"))
        }
        (Some(token), _) => Look::Here(format!("{variable} is set ({})", token.fingerprint())),
        (None, Some(path)) => Look::Here(format!("{file} names {}", shown(path))),
        (None, None) => Look::Nothing(format!("{variable} is not set")),
    }
}

/// The descriptor that asking this source would empty.
pub(crate) fn to_be_drained(session: &Session, source: Source) -> Option<i32> {
    let KeptIn::Descriptor(variable) = kept_in(source) else { return None };
    session
        .inspect(variable, |inherited| inherited.is_emptied_by_reading().then_some(inherited.number()))
        .flatten()
}

fn login(session: &Session) -> Look {
    let store = match login_store(session) {
        Ok(store) => store,
        Err(look) => return look,
    };
    match store.look() {
        Err(error) => Look::Broken(error),
        Ok(Seen::Nothing) => nobody(session),
        Ok(Seen::Record(record)) => Look::Here(format!("profile `{}` at {}", record.profile, record.issuer)),
        Ok(Seen::Damaged(why)) => {
            let what =
                format!("the stored login of profile `{}` cannot be used", session.setup.profile_name());
            Look::Broken(Error::new(Id::StoreCorrupt, what, format!("its file {why}")))
        }
    }
}

/// Where the stored login would be, or why there cannot be one.
pub(crate) fn login_store(session: &Session) -> Result<Box<dyn Store>, Look> {
    let environment = session.environment().map_err(Look::Broken)?;
    if environment.client_id.is_none() {
        let why = format!("environment `{}` has no client id to sign in with", environment.name);
        return Err(Look::Nothing(why));
    }
    session.store().map_err(Look::Broken)
}

/// The result for a stored login if there is none.
pub(crate) fn nobody(session: &Session) -> Look {
    if let Some(environment) = session.setup.environment.as_ref().filter(|e| e.machine.is_some()) {
        let client_id = environment.client_id.as_ref().map_or("", |id| id.as_str());
        return Look::Here(format!(
            "client `{client_id}` asks {} when a token is needed",
            environment.issuer()
        ));
    }
    let at = session.setup.environment.as_ref().map_or("", |environment| environment.issuer());
    Look::Nothing(format!("nobody signed in to profile `{}` at {at}", session.setup.profile_name()))
}

/// The stored login of the chosen profile, issuer and session, as it is now.
pub(crate) fn record_at_hand(session: &Session) -> Option<Box<Record>> {
    session.store().ok().and_then(|store| record_in(&*store))
}

pub(crate) fn record_in(store: &dyn Store) -> Option<Box<Record>> {
    match store.look() {
        Ok(Seen::Record(record)) => Some(record),
        _ => None,
    }
}

/// Where the login that starts from the refresh token in a variable is stored.
pub(crate) fn seed_store(session: &Session) -> Result<Box<dyn Store>> {
    session.store_of(session.environment()?.require_client_id()?, session.setup.seed()?.map(str::to_owned))
}

/// A seeded login that `keyfob exec` above us used: only its record counts, there is nothing to exchange.
pub(crate) fn inherited_seed(session: &Session, seed: &str) -> Look {
    match seed_store(session).and_then(|store| store.look()) {
        Ok(Seen::Nothing) => Look::Nothing(format!("{} is not set", names::REFRESH_TOKEN)),
        Ok(_) => Look::Here(format!("the login seeded by {seed}, named by `keyfob exec`")),
        Err(error) => Look::Broken(error),
    }
}
