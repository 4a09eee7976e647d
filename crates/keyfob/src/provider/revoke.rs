//! Ends tokens at the provider (RFC 7009).

use std::time::Duration;

use keyfob_core::{Record, oauth::token_request::TokenRequest};

use crate::{
    credential::{client_auth::Party, machine},
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
    // A confidential client proves itself here too (RFC 7009 §2.1), and anew each time: what it signs is good for once.
    let send = || {
        let request =
            TokenRequest::default().with_secret("token", token.duplicate()).with("token_type_hint", hint);
        let (request, auth) = match record.proof {
            Some(_) => (request, Some(machine::client_auth(session, record)?)),
            None => {
                let ahead = session.world.clock.ahead(record);
                // A federated credential may have been got without a client: it is ended as the one of today.
                let federated =
                    record.federated.is_some().then(|| session.environment().ok()?.client_id.as_ref());
                let client = federated.flatten().unwrap_or(&record.client_id);
                let party = Party { client, ..Party::of(record) };
                let auth = party.proof(&session.world, record.secret_at.as_ref(), ahead).ok()?;
                (request.client(client), auth)
            }
        };
        Some(post(&session.world, url, request.encode(auth.as_ref(), &record.dialect)).expect(&[200]))
    };
    let none = Revocation::Impossible("the secret or the key of its client is not at hand");
    let Some(mut answer) = send() else { return none };
    // If the provider says when to retry (RFC 7009 §2.2.1) and that is soon, retry once: the user is waiting.
    if let Err(Failure::Status(busy)) = &answer
        && busy.reply.status == 503
    {
        let now = session.world.clock.ahead(record).theirs(session.world.clock.now());
        let pause = busy.reply.retry_after(now, LONGEST_WAIT + 1).unwrap_or(1);
        if pause <= LONGEST_WAIT {
            session.world.clock.sleep(Duration::from_secs(pause.unsigned_abs()));
            let Some(second) = send() else { return none };
            answer = second;
        }
    }
    match answer {
        Ok(_) => Revocation::Confirmed,
        Err(failure) => Revocation::Failed(failure.why()),
    }
}
