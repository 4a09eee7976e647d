//! The keys that a provider signs its ID tokens with (OpenID Connect Discovery §3, `jwks_uri`).

use keyfob_core::{Error, Id, Result};

use crate::{
    provider::{get, origin},
    world::World,
};

/// The document with the keys, unread.
///
/// # Errors
/// [`Id::Unreachable`]: none came.
pub(crate) fn fetch(world: &World, url: &str) -> Result<Vec<u8>> {
    let answer = get(world, url).expect(&[200]).map_err(|failure| {
        let what = format!("the keys of {} could not be fetched", origin(url));
        let cause = failure.cause();
        Error::new(Id::Unreachable, what, failure.why()).maybe_because(cause)
    })?;
    Ok(answer.reply.body)
}
