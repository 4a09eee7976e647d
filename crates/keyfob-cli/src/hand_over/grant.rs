//! The requested credential, by the options that `token`, `header` and `exec` have in common.

use std::time::Duration;

use keyfob::{
    Client, Error, Grant, Need,
    internals::{
        core::{Cause, Id, provider::web_origin},
        setup::Setup,
    },
};

use crate::{
    args::{Global, Rejected, Wanted},
    hand_over::{lent, minted, shadows},
    output::{
        report::{Report, Result},
        terminal::plain,
    },
    session, telemetry,
};

/// The requested credential.
pub(crate) fn grant(global: &Global, wanted: &Wanted) -> Result<Grant> {
    let setup = session::setup(global);
    setup.check()?;
    warn_of_the_way(&setup);
    grant_from(global, &session::client(global, setup), wanted)
}

/// The same for one address alone, if it was named: a host of the environment, or nothing.
pub(crate) fn grant_for(global: &Global, wanted: &Wanted, address: Option<&str>) -> Result<Grant> {
    let Some(address) = address else { return grant(global, wanted) };
    let setup = session::setup(global);
    setup.check()?;
    warn_of_the_way(&setup);
    let client = session::client(global, setup);
    if let Some(origin) = web_origin(address)
        && let Some(grant) = for_origin(global, &client, wanted, &origin)?
    {
        return Ok(grant);
    }
    let what = format!("keyfob has no credential for {}", plain(address));
    let error = Error::new(Id::Usage, what, "it is no host of the environment");
    Err(error
        .hint("list its origin under `hosts` of the environment in config.toml, if the token may go there")
        .into())
}

/// A credential that is available locally needs no network, and is handed out even if proxy or certificates are
/// misconfigured.
pub(crate) fn warn_of_the_way(setup: &Setup) {
    if let Err(refused) = setup.routes.check() {
        Report::warn(&refused);
    }
}

/// The same, from a client that the command has already.
pub(crate) fn grant_from(global: &Global, client: &Client, wanted: &Wanted) -> Result<Grant> {
    grant_to(global, client, wanted, None)
}

/// The credential for a tool that names the host. `None`: it may not go there. For what is used here, the environment here says
/// that; where nobody has signed in, an agent does, by its own environment, which is that of the login.
pub(crate) fn for_origin(
    global: &Global,
    client: &Client,
    wanted: &Wanted,
    origin: &str,
) -> Result<Option<Grant>> {
    if client.may_go_to(wanted.purpose(), origin)? {
        return grant_to(global, client, wanted, Some(origin)).map(Some);
    }
    Ok(lent_for(global, client, wanted, origin)?)
}

/// The same for a process that answers many questions: nothing is told to people, and nothing is counted. Without an origin it is
/// for the asker to decide where it goes.
pub(crate) fn quietly(
    global: &Global,
    client: &Client,
    wanted: &Wanted,
    origin: Option<&str>,
) -> Result<Option<Grant>, Error> {
    match origin {
        Some(origin) if !client.may_go_to(wanted.purpose(), origin)? => {
            lent_for(global, client, wanted, origin)
        }
        _ => renewable(taken(global, client, wanted, origin)?, wanted).map(Some),
    }
}

fn lent_for(global: &Global, client: &Client, wanted: &Wanted, origin: &str) -> Result<Option<Grant>, Error> {
    let purpose = wanted.purpose();
    let Some(nobody) = client.survey(purpose).nobody.filter(|_| lent::is_named(client)) else {
        return Ok(None);
    };
    match lent::instead(nobody, global, client, purpose, wanted, Some(origin)) {
        // That it is for another profile, closed or not for this user is no "not for this host": a person has to hear of it.
        Err(error) if is_for_another_host(&error) => Ok(None),
        answered => Ok(Some(answered?)),
    }
}

/// An agent that does not tell why it refuses is an older one, which meant this more often than anything else.
fn is_for_another_host(error: &Error) -> bool {
    match error.cause() {
        Some(cause) => matches!(cause, Cause::DoorHost {}),
        None => error.id() == Id::AgentRefused,
    }
}

fn grant_to(global: &Global, client: &Client, wanted: &Wanted, origin: Option<&str>) -> Result<Grant> {
    let grant = taken(global, client, wanted, origin)?;
    telemetry::used(client, &grant);
    let grant = renewable(grant, wanted)?;
    if matches!(wanted.rejected, Some(Rejected::Key(_))) {
        return Ok(grant);
    }
    if let Some(warning) = grant.warning() {
        Report::warn(warning);
    }
    minted::warn(client, &grant);
    shadows::warn(&grant);
    Ok(grant)
}

/// What the library has, or an agent where nobody has signed in.
fn taken(global: &Global, client: &Client, wanted: &Wanted, origin: Option<&str>) -> Result<Grant, Error> {
    let purpose = wanted.purpose();
    let rejected = match &wanted.rejected {
        Some(Rejected::Key(fingerprint)) => return client.rejected_key(purpose, fingerprint),
        Some(Rejected::Login(generation)) => Some(generation),
        None => None,
    };
    let mut need = Need::new().min_valid(Duration::from_secs(wanted.min_valid.unsigned_abs()));
    if let Some(rejected) = rejected {
        need = need.rejected(rejected.clone());
    }
    let granted = match wanted.wait {
        0 => client.grant_for(purpose, &need),
        seconds => client.grant_within(purpose, &need, Duration::from_secs(seconds)),
    };
    // Only where there is no login: with one at hand no socket is opened.
    granted.or_else(|error| lent::instead(error, global, client, purpose, wanted, origin))
}

/// Refuses what cannot have taken the place of a login that was rejected.
fn renewable(grant: Grant, wanted: &Wanted) -> Result<Grant, Error> {
    if let (Some(Rejected::Login(rejected)), None) = (&wanted.rejected, grant.generation()) {
        let what = format!("the credential from {} cannot be renewed", grant.source());
        let why = format!("it is not the login {}, and it is used as it is", rejected.login());
        return Err(Error::new(Id::ProviderRefused, what, why)
            .because(Cause::RejectedSource { source: grant.source().to_string() }));
    }
    Ok(grant)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_agent_that_refuses_means_that_it_is_not_for_this_host() {
        let refused = |id| Error::new(id, "the agent refused", "");
        assert!(is_for_another_host(&refused(Id::AgentRefused)));
        assert!(is_for_another_host(&refused(Id::AgentRefused).because(Cause::DoorHost {})));
        assert!(!is_for_another_host(&refused(Id::LoginNeeded)));
        let other = Cause::Busy { status: 503, seconds: None };
        assert!(!is_for_another_host(&refused(Id::AgentRefused).because(other)));
    }
}
