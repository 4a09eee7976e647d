//! Asks GitHub Actions for an identity token, as its own toolkit does: `GET $ACTIONS_ID_TOKEN_REQUEST_URL&audience=…` with
//! the job's token. What comes lives for five minutes.

use std::time::Duration;

use keyfob_core::{
    Cause, Error, Id, Secret,
    contract::{names, values},
    oauth::federation::Federation,
};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::missing::Missing;
use crate::{
    provider::{self, Failure},
    session::Session,
};

/// How often the service is asked when it is busy or cannot be reached.
const ATTEMPTS: u32 = 4;
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// Whether this is a job of GitHub Actions, or one that may ask it.
pub(super) fn is_here(session: &Session) -> bool {
    let variable = |name| session.world.helper.variable(name).is_some_and(|text| !text.is_empty());
    variable(names::GITHUB_TOKEN_URL) || variable(names::GITHUB)
}

/// A fresh identity token's text.
pub(super) fn ask(session: &Session, federation: &Federation) -> Result<Zeroizing<String>, Missing> {
    let what = "GitHub Actions gave no identity token";
    let missing = |why: String, cause| Error::new(Id::IdentityTokenMissing, what, why).because(cause);
    let variable = |name: &'static str| {
        session.world.helper.variable(name).filter(|text| !text.is_empty()).ok_or_else(|| {
            let cause = if is_here(session) {
                Cause::IdentityPermission {}
            } else {
                Cause::IdentityVariableUnset { variable: name.into() }
            };
            missing(format!("{name} is not set"), cause)
        })
    };
    let (url, token) = (variable(names::GITHUB_TOKEN_URL)?, variable(names::GITHUB_TOKEN)?);
    let unusable =
        |name: &str, why: &str| Error::new(Id::VariableMalformed, format!("{name} is malformed"), why);
    let token = Secret::visible(&token).map_err(|why| unusable(names::GITHUB_TOKEN, why.sentence()))?;
    let mut url = values::url(&url).map_err(|why| unusable(names::GITHUB_TOKEN_URL, why))?;
    if url.scheme() != "https" && !values::is_loopback(&url) {
        return Err(unusable(names::GITHUB_TOKEN_URL, "expected a URL that begins with https://").into());
    }
    if let Some(audience) = audience(session, federation) {
        url.query_pairs_mut().append_pair("audience", &audience);
    }
    let asked = |error| Missing { error, was_asked: true };
    let failed = |failure: Failure| {
        asked(match &failure {
            Failure::Status(answer) if answer.reply.status < 500 && answer.reply.status != 429 => {
                let status = answer.reply.status;
                let cause = match status {
                    401 | 403 => Cause::IdentityPermission {},
                    status => Cause::IdentityNotAsked { status },
                };
                missing(format!("its service answered {status}"), cause)
            }
            _ => {
                let cause = failure.cause();
                Error::new(Id::Unreachable, what, failure.why()).maybe_because(cause)
            }
        })
    };
    let body = send(session, url.as_str(), &token).map_err(failed)?;
    #[derive(Deserialize)]
    struct Answer {
        value: Zeroizing<String>,
    }
    let answer: Answer = serde_json::from_slice(&body).map_err(|_| {
        asked(missing("its service answered something else".into(), Cause::IdentityNotAsked { status: 200 }))
    })?;
    Ok(answer.value)
}

/// For whom it is asked: what the configuration says, else the provider it is exchanged at. Without one it would be for the
/// owner of the repository.
fn audience(session: &Session, federation: &Federation) -> Option<String> {
    let environment = session.environment().ok()?;
    let own = || environment.api_base.clone().unwrap_or_else(|| environment.issuer().to_owned());
    Some(federation.identity_audience.clone().unwrap_or_else(own))
}

#[expect(
    clippy::disallowed_methods,
    reason = "the job's own token, in the header of the one request it is for"
)]
fn send(session: &Session, url: &str, token: &Secret) -> Result<Vec<u8>, Failure> {
    let mut pause = FIRST_PAUSE;
    for attempt in 1.. {
        let bearer = Secret::from(format!("Bearer {}", token.expose()));
        let call = provider::get(&session.world, url).with(vec![("Authorization".into(), bearer)]);
        match call.expect(&[200]) {
            Ok(answer) => return Ok(answer.reply.body.clone()),
            Err(failure) if attempt < ATTEMPTS && passes(&failure) => {
                session.world.clock.sleep(pause);
                pause *= 2;
            }
            Err(failure) => return Err(failure),
        }
    }
    unreachable!("the last attempt returns")
}

/// Whether the same request may be answered a moment later.
fn passes(failure: &Failure) -> bool {
    match failure {
        Failure::NoAnswer(_) => true,
        Failure::Status(answer) => matches!(answer.reply.status, 429 | 500..=599),
    }
}
