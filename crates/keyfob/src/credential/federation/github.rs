//! Asks GitHub Actions for an identity token, as its own toolkit does: `GET $ACTIONS_ID_TOKEN_REQUEST_URL&audience=…` with
//! the job's token. What comes lives for five minutes.

use std::time::Duration;

use keyfob_core::{
    Cause, Error, Id, Secret,
    contract::{names, values},
    oauth::federation::Federation,
    provider::environment::Environment,
};
use serde::Deserialize;
use url::Url;
use zeroize::Zeroizing;

use super::missing::Missing;
use crate::{
    provider::{self, Failure},
    session::Session,
};

/// How often the service is asked when it is busy or cannot be reached.
const ATTEMPTS: u32 = 4;
/// Where GitHub's own service is: below this domain.
const OWN_SERVICE: &str = ".actions.githubusercontent.com";
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
    may_be_asked(session.environment()?, &url)?;
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

/// Whether the job's token may go to this address. It comes through a variable, which whoever can set one chooses: so GitHub's
/// own service is asked, or an origin that the configuration lists, or the provider's own. Plain http is that of a provider
/// on loopback alone.
fn may_be_asked(environment: &Environment, url: &Url) -> keyfob_core::Result<()> {
    let of_github = url.scheme() == "https"
        && url.port().is_none()
        && url.host_str().is_some_and(|host| host.ends_with(OWN_SERVICE));
    let origin = url.origin().ascii_serialization();
    if of_github || environment.may_have_credential(&origin, None) {
        return Ok(());
    }
    let what = "GitHub Actions is not asked for an identity token";
    let why = format!(
        "{} names {origin}, which is neither GitHub's nor one of the `hosts` of environment `{}`",
        names::GITHUB_TOKEN_URL,
        environment.name
    );
    Err(Error::new(Id::IdentityTokenMissing, what, why).because(Cause::IdentityServiceUnknown {
        variable: names::GITHUB_TOKEN_URL.into(),
        origin,
        environment: environment.name.clone(),
    }))
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

#[cfg(test)]
mod tests {
    use keyfob_core::{
        config::{Config, approved::ApprovedList},
        contract::settings::Settings,
        provider::resolve,
    };

    use super::*;

    #[test]
    fn a_jobs_token_goes_to_github_or_where_the_configuration_says() {
        let mut environment =
            resolve(&Settings::default(), &Config::default(), None, &ApprovedList::default()).expect("one");
        environment.hosts.push("https://github.company.com".into());
        let asked = |url: &str| may_be_asked(&environment, &Url::parse(url).expect("a URL"));
        for url in [
            "https://pipelinesghubeus1.actions.githubusercontent.com/a//idtoken/b?api-version=2.0",
            "https://run-actions-1-azure-eastus.actions.githubusercontent.com/x",
            "https://github.company.com/_services/pipelines/x?api-version=2.0",
            "https://api.anthropic.com/x",
        ] {
            assert!(asked(url).is_ok(), "{url}");
        }
        for url in [
            "https://evil.example/x",
            "https://actions.githubusercontent.com.evil.example/x",
            "https://evil-actions.githubusercontent.com/x",
            "https://x.actions.githubusercontent.com:444/x",
            "http://x.actions.githubusercontent.com/x",
            "http://github.company.com/x",
            "http://localhost:3000/x",
            "http://127.0.0.1:3000/x",
        ] {
            let error = asked(url).expect_err(url);
            assert!(error.why().contains("ACTIONS_ID_TOKEN_REQUEST_URL names http"), "{error:?}");
            assert!(matches!(error.cause(), Some(Cause::IdentityServiceUnknown { .. })), "{error:?}");
        }
    }
}
