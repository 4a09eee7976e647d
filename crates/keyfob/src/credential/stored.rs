//! Produces the credential of the chosen source.

use std::sync::{Arc, PoisonError};

use keyfob_core::{Error, Id, Result, Secret, Source, contract::names, source::Purpose};

use crate::{
    credential::{
        grant::{self, Considered, Grant, Outcome},
        helper,
        look::{Look, login_store, nobody, nothing},
        machine, seed,
    },
    renewal::{self, Need, Usable},
    session::Session,
    world::Clock,
};

/// The grant of the stored login, or the look that found none. What `look` and then
/// [`acquire`] do for other sources happens in one reading here: this is the way most runs take, many times an hour.
pub(crate) fn stored(
    session: &Session,
    purpose: Purpose,
    need: &Need,
    considered: &mut Vec<Considered>,
) -> Result<Result<Grant, Look>> {
    let store = match login_store(session) {
        Ok(store) => store,
        Err(look) => return Ok(Err(look)),
    };
    let machine = session.environment().ok().and_then(|environment| environment.machine.as_ref());
    let usable = match machine {
        Some(machine) => machine::usable(session, &store, machine, need)?,
        None => renewal::usable(&session.world, &store, need, &*session.spender)?,
    };
    let Some(usable) = usable else {
        return Ok(Err(nobody(session)));
    };
    let reason = format!("profile `{}` at {}", usable.record.profile, usable.record.issuer);
    considered.push(Considered { source: Source::Login, outcome: Outcome::Here, reason });
    stored_grant(&*session.world.clock, purpose, Source::Login, usable, std::mem::take(considered)).map(Ok)
}

/// The credential of a source that is there.
pub(crate) fn acquire(
    session: &Session,
    purpose: Purpose,
    source: Source,
    need: &Need,
    considered: Vec<Considered>,
) -> Result<Grant> {
    let settings = &session.setup.settings;
    let fixed = |secret: &Option<Secret>| {
        let missing =
            || Error::new(Id::Bug, format!("the credential of {source}"), "it was there a moment ago");
        secret.as_ref().map(Secret::duplicate).ok_or_else(missing)
    };
    let credential = match source {
        Source::AuthToken => fixed(&settings.auth_token)?,
        Source::ApiKey => fixed(&settings.api_key)?,
        Source::OauthToken => fixed(&settings.oauth_token)?,
        Source::SessionToken => fixed(&settings.session_token)?,
        Source::OauthTokenDescriptor => read(session, names::OAUTH_DESCRIPTOR)?.duplicate(),
        Source::ApiKeyDescriptor => read(session, names::API_KEY_DESCRIPTOR)?.duplicate(),
        Source::WebSocketDescriptor => read(session, names::WEBSOCKET_DESCRIPTOR)?.duplicate(),
        Source::ApiKeyHelper => helper::run(session)?,
        Source::RefreshToken => return seed::seeded(session, purpose, need, considered),
        Source::Login => {
            let mut considered = considered;
            return stored(session, purpose, need, &mut considered)?.map_err(|look| match look {
                Look::Broken(error) => error,
                Look::Nothing(_) | Look::PassedOver(_) | Look::Here(_) => nothing(session, &considered),
            });
        }
    };
    Ok(as_it_is(purpose, source, credential, considered))
}

/// A credential of which nothing else is known.
pub(crate) fn as_it_is(
    purpose: Purpose,
    source: Source,
    credential: Secret,
    considered: Vec<Considered>,
) -> Grant {
    Grant {
        headers: grant::headers(source, &credential),
        credential,
        purpose,
        source,
        expires_at: None,
        generation: None,
        profile: None,
        considered,
        warning: None,
        in_place_of_rejected: false,
    }
}

pub(crate) fn stored_grant(
    clock: &dyn Clock,
    purpose: Purpose,
    source: Source,
    usable: Usable,
    considered: Vec<Considered>,
) -> Result<Grant> {
    let Usable { record, warning } = usable;
    let what = || format!("the login of profile `{}` at {}", record.profile, record.issuer);
    let credential = record
        .access_token
        .as_ref()
        .ok_or_else(|| Error::new(Id::LoginNeeded, what(), "it has no access token"))?;
    Ok(Grant {
        headers: grant::headers(source, credential),
        credential: credential.duplicate(),
        purpose,
        source,
        expires_at: record.expires_at.map(|end| clock.ahead(&record).ours(end)),
        generation: Some(record.generation.clone()),
        profile: Some(record.profile.clone()),
        considered,
        warning,
        in_place_of_rejected: false,
    })
}

/// What stands on an inherited descriptor: read once, then kept.
fn read(session: &Session, variable: &'static str) -> Result<Arc<Secret>> {
    let mut kept = session.read.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(secret) = kept.get(variable) {
        return Ok(secret.clone());
    }
    let inherited = session.inherited(variable).ok_or_else(|| {
        Error::new(
            Id::DescriptorContent,
            format!("{variable} cannot be read again"),
            "it was read before, and failed",
        )
    })?;
    let secret = Arc::new(inherited.read(&*session.world.clock)?);
    kept.insert(variable, secret.clone());
    Ok(secret)
}
