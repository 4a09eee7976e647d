//! Token revocation (RFC 7009).

use http::StatusCode;

use crate::{
    http::call::{Call, Refusal, Reply, status_only},
    oauth::{client_auth, faults},
    state::{credential::Digest, faults::FaultGrant, shared::Shared},
};

pub(crate) fn answer(shared: &Shared, call: &mut Call) -> Reply {
    if let Some(reply) =
        shared.take_fault(FaultGrant::Revoke).and_then(|kind| faults::before(kind, shared, call))
    {
        return reply;
    }
    match revoke(shared, call) {
        Ok(outcome) => {
            call.note.outcome = outcome;
            status_only(StatusCode::OK)
        }
        Err(refusal) => refusal.reply(call),
    }
}

fn revoke(shared: &Shared, call: &mut Call) -> Result<&'static str, Refusal> {
    let form = call.form()?;
    let client = client_auth::client(shared, call, &form)?;
    let missing = || Refusal::new("invalid_request", "token is missing");
    let digest = Digest::of(form.optional("token").ok_or_else(missing)?);
    // `token_type_hint` only says where to look first (§2.1); a digest is found at once wherever it is.
    let revoked = shared.change(|tables, _| {
        let refresh = tables.refresh.get(&digest).map(|token| token.family);
        let access = tables.access.get(&digest).map(|token| token.family);
        // An unknown token is as good as revoked (§2.2).
        let Some(id) = refresh.or(access) else { return Ok(("unknown-token", None)) };
        let owner = tables.families.get(&id).is_some_and(|family| *family.client_id == *client.id);
        if !owner {
            let text = "the token was not issued to this client";
            return Err(Refusal::new("invalid_grant", text).outcome("wrong-client"));
        }
        if refresh.is_some() {
            // With its access tokens (§2.1).
            tables.revoke_family(id);
        } else {
            tables.access.remove(&digest);
        }
        Ok(("revoked", Some(id)))
    })?;
    shared.changed();
    call.note.family = revoked.1;
    Ok(revoked.0)
}
