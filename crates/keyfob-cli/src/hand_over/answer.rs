//! The answer of `token --json` and `header --json`: everything a program needs to use a credential, and to ask again
//! after a 401. docs/json/keyfob.schema.json describes it.

use keyfob::{
    Grant, Source,
    internals::{
        credential::grant::Considered,
        world::{Clock, system::clock::SystemClock},
    },
};
use serde::Serialize;

use crate::{args::HELPER_KEY, hand_over::shadows};

#[derive(Serialize)]
pub(crate) struct Answer<'g> {
    token: &'g str,
    purpose: &'static str,
    headers: Vec<Header<'g>>,
    /// The argument for `--rejected` after a 401. `None`: nothing could replace the credential.
    handle: Option<String>,
    source: &'static str,
    fingerprint: String,
    expires_at: Option<String>,
    expires_in: Option<i64>,
    /// Who says so: `provider`, or `claim`, the credential itself.
    expires_by: Option<&'static str>,
    login: Option<&'g str>,
    generation: Option<u64>,
    profile: Option<&'g str>,
    shadows: Vec<&'static str>,
    considered: &'g [Considered],
}

/// Who says when a credential ends.
pub(crate) const fn by(claimed: bool) -> &'static str {
    if claimed { "claim" } else { "provider" }
}

/// What to name after a 401. `None`: nothing could replace the credential.
pub(crate) fn handle(grant: &Grant) -> Option<String> {
    match grant.source() {
        Source::ApiKeyHelper => Some(format!("{HELPER_KEY}{}", grant.credential().fingerprint())),
        _ => grant.generation().map(ToString::to_string),
    }
}

#[derive(Serialize)]
struct Header<'g> {
    name: &'g str,
    value: &'g str,
}

impl<'g> Answer<'g> {
    #[expect(clippy::disallowed_methods, reason = "printing them on stdout is what these commands are for")]
    pub(crate) fn of(grant: &'g Grant) -> Self {
        let fingerprint = grant.credential().fingerprint();
        Self {
            token: grant.credential().expose(),
            purpose: grant.purpose().word(),
            headers: grant.headers().map(|(name, value)| Header { name, value: value.expose() }).collect(),
            handle: handle(grant),
            source: grant.source().name(),
            fingerprint,
            expires_at: grant.expires_at().map(|end| end.to_string()),
            expires_in: grant.expires_at().map(|end| end.since(SystemClock.now())),
            expires_by: grant.expires_at().map(|_| by(grant.expiry_is_claimed())),
            login: grant.generation().map(|generation| generation.login()),
            generation: grant.generation().map(|generation| generation.number()),
            profile: grant.profile(),
            shadows: shadows::names(grant),
            considered: grant.considered(),
        }
    }
}
