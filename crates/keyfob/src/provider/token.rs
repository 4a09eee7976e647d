//! Requests of a sign-in to the endpoints that answer as the token endpoint does.

use std::time::Duration;

use keyfob_core::{
    Result,
    oauth::{reply::Reply, token_request::TokenRequest},
    provider::environment::Environment,
};

use crate::{
    credential::client_secret,
    provider::{Failure, origin, post},
    session::Session,
    world::NoAnswer,
};

/// How long one request of a sign-in may take.
const ANSWER: Duration = Duration::from_secs(30);

/// Asks as the client of this environment, with its secret where it has one.
pub(crate) fn ask(
    session: &Session,
    environment: &Environment,
    url: &str,
    request: TokenRequest,
) -> Result<Reply> {
    let (client, at) = (environment.require_client_id()?, environment.secret_at());
    let auth = client_secret::client_auth(&session.world, &environment.name, at.as_ref(), client)?;
    let request = request.encode(auth.as_ref(), &environment.dialect);
    match post(&session.world, url, request).within(ANSWER).send() {
        Ok(answer) => Ok(answer.reply),
        // Its reader knows what to make of a part.
        Err(Failure::NoAnswer(NoAnswer { part: Some(part), .. })) => Ok(*part),
        Err(failure) => Err(failure.error(format!("no answer from {}", origin(url)))),
    }
}
