//! From the order of sources to a credential: the one loop over them. Each source is absent (continue), present (stop)
//! or broken (stop with an error).

pub(crate) mod client_auth;
mod client_key;
pub mod client_proof;
mod client_secret;
pub(crate) mod command;
mod der;
pub(crate) mod federation;
pub mod grant;
pub mod helper;
pub mod look;
pub(crate) mod machine;
mod patient;
mod rejected;
pub(crate) mod seed;
pub(crate) mod session_token;
pub mod signed;
pub mod standing;
mod stored;
pub mod survey;
mod unit;
pub(crate) mod verify;

use std::sync::{Arc, PoisonError};

use keyfob_core::{
    Error, Id, Result, Secret, Source,
    oauth::dialect::Dialect,
    source::{self, KeptIn, Purpose, kept_in},
};

use crate::{
    credential::{
        grant::{Considered, Grant, Outcome, as_it_is, stored_grant},
        look::{Look, excluded, look, nothing},
        stored::{Stored, stored},
    },
    renewal::{Need, Usable},
    session::Session,
    trusted_device,
};

impl Session {
    /// A credential for this purpose, renewed if that is due.
    pub(crate) fn grant(&self, purpose: Purpose) -> Result<Grant> {
        grant(self, purpose, &Need::default())
    }

    /// The same, valid for at least this many seconds if it can be renewed.
    pub(crate) fn grant_for(&self, purpose: Purpose, need: &Need) -> Result<Grant> {
        grant(self, purpose, need)
    }
}

/// The winner's credential, renewed if that is due.
///
/// # Errors
/// [`Id::LoginNeeded`] when no source has anything; otherwise what is wrong with the first that is there.
pub(crate) fn grant(session: &Session, purpose: Purpose, need: &Need) -> Result<Grant> {
    if session.narrowing.is_some() {
        return federation::narrowed_grant(session, purpose, &need.of(purpose));
    }
    let mut grant = search(session, purpose, &need.of(purpose))?;
    // What comes after the winner. In the usual order a stored login is the last: this costs it nothing.
    let order = source::order(purpose, session.setup.config.prefer);
    for &source in order.iter().skip_while(|source| **source != grant.source).skip(1) {
        let (outcome, reason) = match look(session, source) {
            Look::Nothing(why) => (Outcome::Nothing, why),
            Look::PassedOver(why) => (Outcome::Shadowed, why),
            Look::Here(what) => (Outcome::Shadowed, format!("{what}; {} comes first", grant.source)),
            Look::Broken(error) => (Outcome::Broken, error.message()),
        };
        grant.considered.push(Considered { source, outcome, reason });
    }
    if purpose == Purpose::Remote
        && let Some(device) = session.device()?
    {
        grant.headers.push((trusted_device::HEADER.into(), device.token));
    }
    Ok(grant)
}

fn search(session: &Session, purpose: Purpose, need: &Need) -> Result<Grant> {
    let mut considered = Vec::new();
    for &source in source::order(purpose, session.setup.config.prefer) {
        let looked = match source {
            Source::Login if !excluded(session, source) => match stored(session, need)? {
                Stored::Usable(usable) => return login(session, purpose, *usable, considered),
                Stored::Not(look) => look,
            },
            _ => look(session, source),
        };
        match looked {
            Look::Nothing(reason) => {
                considered.push(Considered { source, outcome: Outcome::Nothing, reason });
            }
            Look::PassedOver(reason) => {
                considered.push(Considered { source, outcome: Outcome::Shadowed, reason });
            }
            Look::Broken(error) => return Err(error),
            Look::Here(reason) => {
                considered.push(Considered { source, outcome: Outcome::Here, reason });
                return acquire(session, purpose, source, need, considered);
            }
        }
    }
    Err(nothing(session, &considered))
}

/// The credential of a source that is there.
pub(crate) fn acquire(
    session: &Session,
    purpose: Purpose,
    source: Source,
    need: &Need,
    considered: Vec<Considered>,
) -> Result<Grant> {
    let credential = match kept_in(source) {
        KeptIn::Variable(name) => {
            let missing =
                || Error::new(Id::Bug, format!("the credential of {source}"), "it was there a moment ago");
            session.setup.settings.credential(name).map(Secret::duplicate).ok_or_else(missing)?
        }
        KeptIn::Session => session_token::read(session)?,
        KeptIn::Descriptor(name) => read(session, name)?.duplicate(),
        KeptIn::Helper => helper::run(session)?,
        KeptIn::SeededLogin => return seed::seeded(session, purpose, need, considered),
        KeptIn::Federated => return federation::grant(session, purpose, need, considered),
        KeptIn::Login => {
            return match stored(session, need)? {
                Stored::Usable(usable) => login(session, purpose, *usable, considered),
                Stored::Not(Look::Broken(error)) => Err(error),
                Stored::Not(Look::Nothing(_) | Look::PassedOver(_) | Look::Here(_)) => {
                    Err(nothing(session, &considered))
                }
            };
        }
    };
    let dialect = dialect(session, source)?;
    let warning = session_token::ended(session, source, &credential);
    Ok(Grant { warning, ..as_it_is(purpose, source, credential, &dialect, considered) })
}

/// What goes with the credential of a source that is used as it is: what its environment says, for an OAuth access token.
fn dialect(session: &Session, source: Source) -> Result<Dialect> {
    if source.is_oauth() { Ok(session.environment()?.dialect.clone()) } else { Ok(Dialect::default()) }
}

/// The grant of the stored login.
fn login(
    session: &Session,
    purpose: Purpose,
    usable: Usable,
    mut considered: Vec<Considered>,
) -> Result<Grant> {
    let reason = format!("profile `{}` at {}", usable.record.profile, usable.record.issuer);
    considered.push(Considered { source: Source::Login, outcome: Outcome::Here, reason });
    stored_grant(&*session.world.clock, purpose, Source::Login, usable, considered)
}

/// The content of an inherited descriptor: read once, then kept.
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
    let secret = Arc::new(inherited.read()?);
    kept.insert(variable, secret.clone());
    Ok(secret)
}
