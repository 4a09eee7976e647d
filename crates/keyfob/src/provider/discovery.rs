//! Discovers endpoints from provider metadata (RFC 8414, then OpenID Connect Discovery), if neither the configuration
//! nor the approved list names them.

use std::time::Duration;

use keyfob_core::{
    Cause, Error, Id, Result,
    provider::{environment::Environment, is_metadata, offer::Offer, well_known},
};

use crate::{
    provider::{Failure, get},
    world::World,
};

/// The environment with every endpoint it can have. If there is nothing to discover, no request is sent.
///
/// # Errors
/// [`Id::MetadataInvalid`] when what comes is not this provider's metadata; [`Id::Unreachable`].
pub(crate) fn complete(world: &World, environment: &Environment) -> Result<Environment> {
    if !environment.needs_discovery() {
        return Ok(environment.clone());
    }
    search(world, environment.issuer(), |metadata| environment.completed_by(metadata))
}

/// What the provider of this issuer offers, by its own metadata.
///
/// # Errors
/// As a sign-in there would fail: [`Id::MetadataInvalid`], [`Id::Unreachable`].
pub fn offer(world: &World, issuer: &str) -> Result<Offer> {
    search(world, issuer, |metadata| Offer::read(issuer, metadata))
}

/// What `read` makes of an issuer's metadata, from the first place where they are what they must be.
fn search<T>(world: &World, issuer: &str, read: impl Fn(&[u8]) -> Result<T>) -> Result<T> {
    let mut unreachable = None;
    let mut answered = Vec::new();
    let mut refused = None;
    for url in well_known(issuer) {
        match get(world, &url).within(Duration::from_secs(15)).expect(&[200]) {
            // Web applications answer every path with a page: the other place may have the document.
            Ok(answer) if !is_metadata(&answer.reply.body) => {
                answered.push(format!("{url} answered something else"));
            }
            Ok(answer) => match read(&answer.reply.body) {
                Ok(read) => return Ok(read),
                Err(error) => drop(refused.get_or_insert(error)),
            },
            Err(Failure::Status(answer)) => answered.push(format!("{url} answered {}", answer.reply.status)),
            Err(failure @ Failure::NoAnswer(_)) => unreachable = Some((failure.cause(), failure.why())),
        }
    }
    if let Some(error) = refused {
        return Err(error);
    }
    let what = format!("the metadata of {issuer} could not be read");
    Err(match (answered.is_empty(), unreachable) {
        (true, Some((cause, why))) => Error::new(Id::Unreachable, what, why).maybe_because(cause),
        _ => Error::new(Id::MetadataInvalid, what, answered.join("; "))
            .because(Cause::NoMetadata { issuer: issuer.into() }),
    })
}
