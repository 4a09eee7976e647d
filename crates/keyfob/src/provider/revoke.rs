//! Ends tokens at the provider (RFC 7009).

use std::time::Duration;

use keyfob_core::{Record, oauth::token_request::TokenRequest};

use crate::{
    credential::{client_secret, machine},
    provider::{Failure, post},
    session::Session,
};

/// No revocation waits longer for a provider that is busy.
const LONGEST_WAIT: i64 = 10;

/// What became of tokens at their provider (RFC 7009).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Revocation {
    /// They were revoked: the refresh token and what was issued for it no longer work.
    Confirmed,
    /// The provider could not be reached or did not agree, for this reason. Until they expire, the tokens work for
    /// anyone who has a copy.
    Failed(String),
    /// They were not revoked, for this reason: the provider has no endpoint for it, there was no token, or a login that is
    /// kept might have ended with them.
    Impossible(&'static str),
}

impl Revocation {
    /// The word in reports.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::Failed(_) => "failed",
            Self::Impossible(_) => "impossible",
        }
    }

    /// Why the tokens were not revoked, if they were not.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Confirmed => None,
            Self::Failed(why) => Some(why),
            Self::Impossible(why) => Some(why),
        }
    }
}

/// Revokes the refresh token, which ends the access tokens minted from it too (RFC 7009 §2.1); an access token
/// where there is nothing else.
pub(crate) fn revoke(session: &Session, record: &Record) -> Revocation {
    let Some(url) = &record.endpoints.revoke_url else {
        return Revocation::Impossible("this provider has no revocation endpoint");
    };
    let (token, hint) = match (&record.refresh_token, &record.access_token) {
        (Some(token), _) => (token, "refresh_token"),
        (None, Some(token)) => (token, "access_token"),
        (None, None) => return Revocation::Impossible("there was no token left"),
    };
    let request =
        TokenRequest::default().with_secret("token", token.duplicate()).with("token_type_hint", hint);
    // A confidential client proves itself here too (RFC 7009 §2.1).
    let (request, auth) = match record.proof {
        Some(_) => (request, machine::client_auth(session, record).map(Some)),
        None => {
            let (at, client) = (record.secret_at.as_ref(), &record.client_id);
            let auth = client_secret::client_auth(&session.world, &record.environment, at, client);
            (request.client(client), auth.ok())
        }
    };
    let Some(auth) = auth else {
        return Revocation::Impossible("the secret of its client is not at hand");
    };
    let call = post(&session.world, url, request.encode(auth.as_ref(), &record.dialect));
    // If the provider says when to retry (RFC 7009 §2.2.1) and that is soon, retry once: the user is waiting.
    let mut answer = call.expect(&[200]);
    if let Err(Failure::Status(busy)) = &answer
        && busy.reply.status == 503
    {
        let now = session.world.clock.ahead(record).theirs(session.world.clock.now());
        let pause = busy.reply.retry_after(now, LONGEST_WAIT + 1).unwrap_or(1);
        if pause <= LONGEST_WAIT {
            session.world.clock.sleep(Duration::from_secs(pause.unsigned_abs()));
            answer = call.expect(&[200]);
        }
    }
    match answer {
        Ok(_) => Revocation::Confirmed,
        Err(failure) => Revocation::Failed(failure.why()),
    }
}
