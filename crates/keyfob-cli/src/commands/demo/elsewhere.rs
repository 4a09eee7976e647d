//! What happens when programs share a login without keyfob: each renews independently, with the same refresh token.

use std::{sync::Barrier, thread, time::Duration};

use keyfob::{Error, internals::core::Id};
use keyfob_dev::{LOCAL_CLIENT_ID, Minted};
use serde_json::Value;

use crate::{commands::demo::stage::broken, output::report::Result};

/// The provider's answer to one of them.
pub(super) struct Answer {
    pub(super) status: u16,
    /// The error code, or nothing.
    pub(super) error: Option<String>,
    access_token: Option<String>,
    refresh_token: Option<String>,
}

/// All answers, and the result for the process that received tokens.
pub(super) struct Race {
    pub(super) answers: Vec<Answer>,
    /// The provider's answer to the new access token.
    pub(super) access: u16,
    /// Its answer to the new refresh token.
    pub(super) refresh: Answer,
}

/// Renews from so many clients at the same moment, each with its copy of one login.
pub(super) fn race(base: &str, login: &Minted, clients: usize) -> Result<Race> {
    let begin = Barrier::new(clients);
    let client = || {
        begin.wait();
        renew(base, &login.refresh_token)
    };
    let answers = thread::scope(|scope| {
        let started: Vec<_> =
            (0..clients).map(|_| thread::Builder::new().spawn_scoped(scope, client)).collect();
        let ended = started.into_iter().map(|client| {
            let client = client.map_err(broken)?;
            client.join().map_err(|_| Error::new(Id::Bug, "a client of the demo failed", "it panicked"))?
        });
        ended.collect::<Result<Vec<_>, Error>>()
    })?;
    let won = answers.iter().find_map(|a| a.access_token.as_deref().zip(a.refresh_token.as_deref()));
    let (access, refresh) =
        won.ok_or_else(|| Error::new(Id::Bug, "a step of the demo failed", "no client was answered"))?;
    let (access, refresh) = (whoami(base, access)?, renew(base, refresh)?);
    Ok(Race { answers, access, refresh })
}

/// The provider's answer to an access token.
pub(super) fn whoami(base: &str, token: &str) -> Result<u16, Error> {
    let request = agent().get(format!("{base}/v1/whoami")).header("Authorization", format!("Bearer {token}"));
    Ok(request.call().map_err(unreachable)?.status().as_u16())
}

/// RFC 6749 §6 and nothing else: no lock, and no check whether another process has already renewed.
fn renew(base: &str, refresh_token: &str) -> Result<Answer, Error> {
    let form =
        [("grant_type", "refresh_token"), ("refresh_token", refresh_token), ("client_id", LOCAL_CLIENT_ID)];
    let mut reply = agent().post(format!("{base}/v1/oauth/token")).send_form(form).map_err(unreachable)?;
    let status = reply.status().as_u16();
    let body = reply.body_mut().read_to_string().map_err(unreachable)?;
    let members: Value = serde_json::from_str(&body).unwrap_or_default();
    let member = |name| members[name].as_str().map(str::to_owned);
    Ok(Answer {
        status,
        error: member("error"),
        access_token: member("access_token"),
        refresh_token: member("refresh_token"),
    })
}

/// A client without a proxy, with a separate connection.
pub(super) fn agent() -> ureq::Agent {
    let config = ureq::Agent::config_builder().proxy(None).http_status_as_error(false);
    config.timeout_global(Some(Duration::from_secs(30))).build().new_agent()
}

pub(super) fn unreachable(error: ureq::Error) -> Error {
    Error::caused_by(Id::Bug, "the demo's provider", error)
}
