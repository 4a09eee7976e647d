//! Who a login belongs to, as the provider tells it (OpenID Connect Core §5.3, or a profile of its own).

use keyfob_core::{Cause, Error, Id, Record, Result, Source, login::identity::Identity};

use crate::{
    credential::grant::headers,
    provider::{Failure, get, origin},
    session::Session,
    world::Answer,
};

/// Tries an access token that somebody brought: what the provider refuses is not kept. Why it is not known whose it is,
/// if it is not.
pub(crate) fn tried(session: &Session, record: &mut Record) -> Result<Option<Error>> {
    let Some(url) = record.endpoints.identity_url().or_else(|| record.endpoints.whoami_url.clone()) else {
        return Ok(None);
    };
    match look_up(session, record, &url) {
        Err(failure @ Failure::NoAnswer(_)) => Err(failure.error("the token was not kept")),
        Err(Failure::Status(answer)) if answer.reply.status == 401 => {
            let what = "the provider does not accept this token; nothing was changed";
            let why = format!("401 from {}", origin(&url));
            Err(Error::new(Id::ProviderRefused, what, why).because(Cause::TokenRejected { status: 401 }))
        }
        _ if record.endpoints.identity_url().is_none() => Ok(None),
        Err(failure) => Ok(Some(unidentified(failure.why()))),
        Ok(answer) => Ok(taken(record, &answer)),
    }
}

/// Looks up who it is, where a variable does not say so already, and keeps it with the login. Not knowing is
/// no reason to lose a login.
pub(crate) fn identify(session: &Session, record: &mut Record) -> Option<Error> {
    if !Identity::needs_lookup(&session.setup.settings.presets) {
        return None;
    }
    let url = record.endpoints.identity_url()?;
    record.access_token.as_ref()?;
    match look_up(session, record, &url) {
        Err(failure) => Some(unidentified(failure.why())),
        Ok(answer) => taken(record, &answer),
    }
}

fn look_up(session: &Session, record: &Record, url: &str) -> Result<Answer, Failure> {
    let token = record.access_token.as_ref();
    let headers = token.map(|token| headers(Source::Login, token)).unwrap_or_default();
    get(&session.world, url).with(headers).expect(&[200])
}

fn unidentified(why: String) -> Error {
    Error::new(Id::Unreachable, "who signed in could not be looked up", why).because(Cause::AccountUnknown {})
}

/// Lays what the provider says of a person over what is known. Why that could not be done.
fn taken(record: &mut Record, answer: &Answer) -> Option<Error> {
    let known = record.identity.clone();
    let said = Identity::parse(&answer.reply.body).and_then(|mut said| {
        // A profile is not UserInfo: it has no `sub` that could be another's.
        if record.endpoints.profile_url.is_some() {
            said.subject.clone_from(&known.subject);
        }
        known.completed_by(said.without(&answer.reply.sent))
    });
    match said {
        Ok(identity) => {
            record.identity = identity;
            None
        }
        Err(why) => Some(unidentified(format!("the answer {why}"))),
    }
}
