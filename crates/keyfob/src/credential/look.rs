//! Walks the sources in order. Each is absent (continue), present (stop) or broken (stop with an error).

use std::sync::PoisonError;

use keyfob_core::{
    Error, Id, Record, Result, Secret, Source,
    contract::names,
    login::refresh::{self, Next},
    source::{self, Purpose},
};

use crate::{
    credential::{
        grant::{self, Considered, Grant, Outcome},
        seed,
        stored::{acquire, stored},
    },
    renewal::{self, Need},
    session::Session,
    store::{Seen, Store},
    trusted_device,
};

/// What a look at a source shows, without reading a secret, running anything or asking anybody.
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

/// Everything a report says: who would win, and what became of every source.
#[derive(Debug)]
pub struct Survey {
    /// The winner, if there is one.
    pub winner: Option<Source>,
    /// The stored login the winner stands for, if it is one.
    pub record: Option<Box<Record>>,
    /// Every source, in order.
    pub considered: Vec<Considered>,
    /// What stopped the search, if something did.
    pub broken: Option<Error>,
    /// Why a program would get nothing of that login now, if that is so.
    pub obstacle: Option<Error>,
    /// Why it would not be renewed now, though its token may be good still.
    pub not_renewed: Option<Error>,
}

/// Looks at every source without renewing, reading or asking anything.
#[must_use]
pub(crate) fn survey(session: &Session, purpose: Purpose) -> Survey {
    let mut survey = Survey {
        winner: None,
        record: None,
        considered: Vec::new(),
        broken: None,
        obstacle: None,
        not_renewed: None,
    };
    for &source in source::order(purpose, session.setup.config.prefer) {
        let (outcome, reason) = match look(session, source) {
            Look::Nothing(why) => (Outcome::Nothing, why),
            Look::PassedOver(why) => (Outcome::Shadowed, why),
            Look::Here(what) => match survey.winner {
                Some(winner) => (Outcome::Shadowed, format!("{what}; {winner} comes first")),
                None if survey.broken.is_some() => (Outcome::Shadowed, what),
                None => {
                    survey.winner = Some(source);
                    (Outcome::Here, what)
                }
            },
            Look::Broken(error) => {
                let why = error.message();
                if survey.winner.is_none() && survey.broken.is_none() {
                    survey.broken = Some(error);
                }
                (Outcome::Broken, why)
            }
        };
        survey.considered.push(Considered { source, outcome, reason });
    }
    survey.record = match survey.winner {
        Some(Source::Login) => record_at_hand(session),
        Some(Source::RefreshToken) => seed::seed_store(session).ok().and_then(|store| record_in(&store)),
        _ => None,
    };
    if let Some(record) = &survey.record {
        let stops = |min_valid| {
            let need = Need { min_valid, rejected: None };
            match refresh::next(record, &renewal::ask(&session.world, &need, record, &mut None)) {
                Next::Stop(error) => Some(error),
                Next::Use | Next::Early | Next::Renew => None,
            }
        };
        // The rule that decides when somebody asks, asked for a token that no token could replace.
        (survey.obstacle, survey.not_renewed) = (stops(0), stops(i64::MAX));
    }
    survey
}

/// The headers of the winner as it is now, without renewing it.
///
/// # Errors
/// [`Id::LoginNeeded`] when there is no winner; what is wrong with reading it.
pub(crate) fn headers_at_hand(session: &Session, survey: &Survey) -> Result<Vec<(&'static str, Secret)>> {
    match (survey.winner, &survey.record) {
        (Some(source), Some(record)) => match &record.access_token {
            Some(token) => Ok(grant::headers(source, token)),
            None => Err(nothing(session, &survey.considered)),
        },
        (Some(Source::Login | Source::RefreshToken) | None, None) | (None, Some(_)) => {
            Err(nothing(session, &survey.considered))
        }
        (Some(source), None) => {
            if let Some(descriptor) = to_be_drained(session, source) {
                let what = format!("the credential on descriptor {descriptor} cannot be verified");
                let why = "it would have to be read for that, and whoever it is for could not read it again";
                return Err(Error::new(Id::DescriptorUnusable, what, why)
                    .hint("send a request with it: `curl -H \"$(keyfob header)\" URL`"));
            }
            let grant = acquire(session, Purpose::Api, source, &Need::default(), Vec::new())?;
            Ok(grant.headers)
        }
    }
}

/// The descriptor that asking this source would empty.
fn to_be_drained(session: &Session, source: Source) -> Option<i32> {
    let variable = match source {
        Source::OauthTokenDescriptor => names::OAUTH_DESCRIPTOR,
        Source::ApiKeyDescriptor => names::API_KEY_DESCRIPTOR,
        Source::WebSocketDescriptor => names::WEBSOCKET_DESCRIPTOR,
        _ => return None,
    };
    session
        .inspect(variable, |inherited| inherited.is_emptied_by_reading().then_some(inherited.number()))
        .flatten()
}

/// The winner's credential, renewed if that is due.
///
/// # Errors
/// [`Id::LoginNeeded`] when no source has anything; otherwise what is wrong with the first that is there.
pub(crate) fn grant(session: &Session, purpose: Purpose, need: &Need) -> Result<Grant> {
    let mut grant = search(session, purpose, need)?;
    // What comes after the winner. In the usual order a stored login is the last: this costs it nothing.
    let order = source::order(purpose, session.setup.config.prefer);
    for &source in order.iter().skip_while(|source| **source != grant.source).skip(1) {
        let (outcome, reason) = match look(session, source) {
            Look::Nothing(why) => (Outcome::Nothing, why),
            Look::PassedOver(why) => (Outcome::Shadowed, why),
            Look::Here(what) => (Outcome::Shadowed, format!("{what}; {} comes first", grant.source)),
            Look::Broken(error) => (Outcome::Broken, error.message()),
        };
        grant.considered.push(Considered { source, outcome, reason });
    }
    if purpose == Purpose::Remote
        && let Some(device) = session.device()?
    {
        grant.headers.push((trusted_device::HEADER, device.token));
    }
    Ok(grant)
}

fn search(session: &Session, purpose: Purpose, need: &Need) -> Result<Grant> {
    let mut considered = Vec::new();
    for &source in source::order(purpose, session.setup.config.prefer) {
        let looked = match source {
            Source::Login if !excluded(session, source) => {
                match stored(session, purpose, need, &mut considered)? {
                    Ok(grant) => return Ok(grant),
                    Err(nothing) => nothing,
                }
            }
            _ => look(session, source),
        };
        match looked {
            Look::Nothing(reason) => {
                considered.push(Considered { source, outcome: Outcome::Nothing, reason });
            }
            Look::PassedOver(reason) => {
                considered.push(Considered { source, outcome: Outcome::Shadowed, reason });
            }
            Look::Broken(error) => return Err(error),
            Look::Here(reason) => {
                considered.push(Considered { source, outcome: Outcome::Here, reason });
                return acquire(session, purpose, source, need, considered);
            }
        }
    }
    Err(nothing(session, &considered))
}

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
    Error::new(Id::LoginNeeded, what, "no variable holds one and nobody has signed in")
}

fn excluded(session: &Session, source: Source) -> bool {
    session.confined_to().is_some_and(|only| only != source)
}

/// Looks at one source.
fn look(session: &Session, source: Source) -> Look {
    if excluded(session, source) {
        return Look::Nothing("excluded by --only".into());
    }
    match present(session, source) {
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
    let variable = |name: &str, secret: &Option<Secret>| match secret {
        _ if let Err(error) = session.setup.readable(name) => Look::Broken(error),
        Some(secret) => Look::Here(format!("{name} is set ({})", secret.fingerprint())),
        None => Look::Nothing(format!("{name} is not set")),
    };
    match source {
        Source::AuthToken => variable(names::AUTH_TOKEN, &settings.auth_token),
        Source::ApiKey => variable(names::API_KEY, &settings.api_key),
        Source::OauthToken => variable(names::OAUTH_TOKEN, &settings.oauth_token),
        Source::SessionToken => variable(names::SESSION_TOKEN, &settings.session_token),
        Source::RefreshToken => match session.setup.seed() {
            Err(error) => Look::Broken(error),
            Ok(Some(seed)) if settings.refresh_token.is_none() => seed::inherited_seed(session, seed),
            _ => variable(names::REFRESH_TOKEN, &settings.refresh_token),
        },
        Source::OauthTokenDescriptor => descriptor(session, names::OAUTH_DESCRIPTOR),
        Source::ApiKeyDescriptor => descriptor(session, names::API_KEY_DESCRIPTOR),
        Source::WebSocketDescriptor => descriptor(session, names::WEBSOCKET_DESCRIPTOR),
        Source::ApiKeyHelper => match &session.setup.config.api_key_helper {
            Some(_) => Look::Here("the configuration names an api_key_helper".into()),
            None => Look::Nothing("the configuration names no api_key_helper".into()),
        },
        Source::Login => login(session),
    }
}

fn descriptor(session: &Session, name: &'static str) -> Look {
    if let Err(error) = session.setup.readable(name) {
        return Look::Broken(error);
    }
    let settings = &session.setup.settings;
    let set = [&settings.oauth_descriptor, &settings.api_key_descriptor, &settings.websocket_descriptor];
    let Some(descriptor) = set.into_iter().flatten().find(|d| d.variable == name) else {
        return Look::Nothing(format!("{name} is not set"));
    };
    let number = descriptor.number;
    if session.setup.consumed.contains(descriptor) {
        return Look::Nothing(format!(
            "descriptor {number} was handed over by `keyfob exec` and has been read"
        ));
    }
    let kept = session.read.lock().unwrap_or_else(PoisonError::into_inner).contains_key(name);
    if kept || session.has_inherited(name) {
        return Look::Here(format!("{name} names descriptor {number}"));
    }
    let what = format!("{name} names descriptor {number}, which was not taken over");
    let why = "the program that embeds keyfob did not allow descriptors to be taken over, or it was refused";
    Look::Broken(Error::new(Id::DescriptorUnusable, what, why))
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
pub(crate) fn login_store(session: &Session) -> Result<Store, Look> {
    let environment = session.environment().map_err(Look::Broken)?;
    if environment.client_id.is_none() {
        let why = format!("environment `{}` has no client id to sign in with", environment.name);
        return Err(Look::Nothing(why));
    }
    session.store().map_err(Look::Broken)
}

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
    session.store().ok().and_then(|store| record_in(&store))
}

pub(crate) fn record_in(store: &Store) -> Option<Box<Record>> {
    match store.look() {
        Ok(Seen::Record(record)) => Some(record),
        _ => None,
    }
}
