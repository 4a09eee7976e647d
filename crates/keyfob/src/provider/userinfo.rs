//! Who a login belongs to, as the provider reports it (OpenID Connect Core §5.3, or a profile in its own format).

use keyfob_core::{Cause, Error, Id, Record, Result, Source, login::identity::Identity};

use crate::{
    credential::grant::headers,
    provider::{Failure, get, origin},
    session::Session,
    world::Answer,
};

/// The result of looking up whose login it is.
pub(crate) enum LookUp {
    /// It is in the record now, or there was nothing to look up.
    Done,
    /// It is not known, for this reason. The login works nevertheless.
    Unidentified(Error),
}

impl LookUp {
    /// Why it is not known whose login it is, if it is not.
    pub(crate) fn unidentified(self) -> Option<Error> {
        match self {
            Self::Done => None,
            Self::Unidentified(error) => Some(error),
        }
    }
}

/// Tries an access token that the caller brought, by looking up whose it is.
///
/// # Errors
/// The provider does not accept it, or could not be asked: it is not to be kept.
pub(crate) fn tried(session: &Session, record: &mut Record) -> Result<LookUp> {
    let Some(url) = record.endpoints.identity_url().or_else(|| record.endpoints.whoami_url.clone()) else {
        return Ok(LookUp::Done);
    };
    match look_up(session, record, &url) {
        Err(failure @ Failure::NoAnswer(_)) => Err(failure.error("the token was not kept")),
        Err(Failure::Status(answer)) if answer.reply.status == 401 => {
            let what = "the provider does not accept this token; nothing was changed";
            let why = format!("401 from {}", origin(&url));
            Err(Error::new(Id::ProviderRefused, what, why).because(Cause::TokenRejected { status: 401 }))
        }
        _ if record.endpoints.identity_url().is_none() => Ok(LookUp::Done),
        Err(failure) => Ok(unidentified(failure.why())),
        Ok(answer) => Ok(taken(record, &answer)),
    }
}

/// Looks up who it is, where a variable does not say so already, and keeps it with the login. Not knowing is
/// no reason to lose a login.
pub(crate) fn identify(session: &Session, record: &mut Record) -> LookUp {
    if !Identity::needs_lookup(&session.setup.settings.presets) {
        return LookUp::Done;
    }
    let (Some(url), Some(_)) = (record.endpoints.identity_url(), &record.access_token) else {
        return LookUp::Done;
    };
    match look_up(session, record, &url) {
        Err(failure) => unidentified(failure.why()),
        Ok(answer) => taken(record, &answer),
    }
}

fn look_up(session: &Session, record: &Record, url: &str) -> Result<Answer, Failure> {
    let token = record.access_token.as_ref();
    let headers = token.map(|token| headers(Source::Login, token, &record.dialect)).unwrap_or_default();
    get(&session.world, url).with(headers).expect(&[200])
}

fn unidentified(why: String) -> LookUp {
    let error = Error::new(Id::Unreachable, "who signed in could not be looked up", why);
    LookUp::Unidentified(error.because(Cause::AccountUnknown {}))
}

/// Lays what the provider says of a person over what is known.
fn taken(record: &mut Record, answer: &Answer) -> LookUp {
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
            LookUp::Done
        }
        Err(why) => unidentified(format!("the answer {why}")),
    }
}
