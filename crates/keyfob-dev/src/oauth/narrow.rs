//! An access token of this server's is exchanged for one that is good for less (RFC 8693 §2.1), and never for more.

use crate::{
    http::{call::Refusal, form::Form},
    state::{scope::Scopes, shared::Shared, tables::Issued},
};

/// The other token. It belongs to the same sign-in, and ends before the one that it was exchanged for.
pub(super) fn access_token(
    shared: &Shared,
    form: &Form,
    client: &str,
    token: &str,
) -> Result<Issued, Refusal> {
    let unknown = || Refusal::new("invalid_scope", "a requested scope is malformed or not known");
    let asked = match form.optional("scope") {
        None => None,
        Some(text) => Some(Scopes::parse(text).ok_or_else(unknown)?),
    };
    let audience: Vec<_> = form.all("audience").chain(form.all("resource")).map(str::to_owned).collect();
    let ttl = shared.access_token_ttl();
    shared.change(|tables, now| {
        let refused = |word, text| Refusal::new(word, text).outcome("not-narrowed");
        let Some((access, family)) = tables.access(token, now) else {
            return Err(refused("invalid_request", "the subject token is not valid"));
        };
        if *family.client_id != *client {
            return Err(refused("invalid_request", "the subject token is another client's"));
        }
        let scope = asked.unwrap_or(access.scope);
        if !access.scope.covers(scope) {
            return Err(refused("invalid_scope", "the subject token does not have what is asked for"));
        }
        let audience = match (&*audience, &*access.audience) {
            ([], narrowed) => narrowed.to_vec(),
            (asked, []) => asked.to_vec(),
            (asked, narrowed) if asked.iter().all(|one| narrowed.contains(one)) => asked.to_vec(),
            _ => return Err(refused("invalid_target", "the subject token is for somebody else")),
        };
        let family = access.family;
        let expires_in = ttl.min(access.expires_at.saturating_sub(now));
        let access_token = tables.issue_access_for(family, scope, audience, now, expires_in)?;
        tables.counters.federations += 1;
        Ok(Issued {
            access_token,
            refresh_token: None,
            id_token: None,
            wants_device: false,
            expires_in,
            scope,
            family,
        })
    })
}
