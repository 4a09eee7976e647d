//! Requests of a sign-in to the endpoints that answer as the token endpoint does.

use std::{sync::PoisonError, time::Duration};

use keyfob_core::{
    Result,
    oauth::{reply::Reply, token_request::TokenRequest},
    provider::environment::Environment,
};

use crate::{
    credential::client_auth::{self, Party},
    provider::{Failure, origin, post},
    session::Session,
    world::NoAnswer,
};

/// How long one request of a sign-in may take.
const ANSWER: Duration = Duration::from_secs(30);

/// Asks as the client of this environment, with its proof where it has one.
pub(crate) fn ask(
    session: &Session,
    environment: &Environment,
    url: &str,
    request: TokenRequest,
) -> Result<Reply> {
    let (issuer, client) = (environment.issuer(), environment.require_client_id()?);
    let party = Party { environment: &environment.name, issuer, client };
    let (world, at) = (&session.world, environment.secret_at());
    let ask = |ahead, request: TokenRequest| {
        let auth = party.proof(world, at.as_ref(), ahead)?;
        let reply =
            match post(world, url, request.encode(auth.as_ref(), &environment.dialect)).within(ANSWER).send()
            {
                Ok(answer) => answer.reply,
                // Its reader knows what to make of a part.
                Err(Failure::NoAnswer(NoAnswer { part: Some(part), .. })) => *part,
                Err(failure) => return Err(failure.error(format!("no answer from {}", origin(url)))),
            };
        Ok((auth, reply))
    };
    // Only what is signed is dated, and may have to be dated anew.
    let again = at.as_ref().filter(|at| at.auth.signs()).map(|_| request.duplicate());
    let ahead = *session.ahead.lock().unwrap_or_else(PoisonError::into_inner);
    let (auth, reply) = ask(ahead, request)?;
    match (again, client_auth::clock_to_sign_by(world, auth.as_ref(), &reply, ahead)) {
        (Some(request), Some(ahead)) => {
            *session.ahead.lock().unwrap_or_else(PoisonError::into_inner) = ahead;
            ask(ahead, request).map(|(_, reply)| reply)
        }
        _ => Ok(reply),
    }
}
