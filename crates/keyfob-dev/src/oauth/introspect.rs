//! Token introspection (RFC 7662), for confidential clients only.

use http::StatusCode;
use serde_json::{Value, json as object};

use crate::{
    http::call::{Call, Refusal, Reply, json},
    oauth::client_auth,
    state::{account, shared::Shared, tables::Family},
};

pub(crate) fn answer(shared: &Shared, call: &mut Call) -> Reply {
    match introspect(shared, call) {
        Ok(body) => {
            call.note.outcome = if body["active"] == true { "active" } else { "inactive" };
            json(StatusCode::OK, &body)
        }
        Err(refusal) => refusal.reply(call),
    }
}

fn introspect(shared: &Shared, call: &mut Call) -> Result<Value, Refusal> {
    let form = call.form()?;
    let client = client_auth::client(shared, call, &form)?;
    // §2.1: callers must be authorized, and a public client proves nothing.
    if !client.is_confidential() {
        let challenge = "Basic realm=\"keyfob-dev\", charset=\"UTF-8\"".to_owned();
        return Err(Refusal::new("invalid_client", "only a confidential client may introspect")
            .status(StatusCode::UNAUTHORIZED)
            .authenticate(challenge));
    }
    let missing = || Refusal::new("invalid_request", "token is missing");
    let token = form.optional("token").ok_or_else(missing)?;
    let base = call.base.as_str();
    // §2.2: expired, revoked, spent and unknown tokens look alike.
    Ok(shared.read(|tables, now| {
        if let Some((access, family)) = tables.access(token, now) {
            let mut members = about(family, base);
            members["token_type"] = "Bearer".into();
            members["scope"] = access.scope.to_string().into();
            if !access.audience.is_empty() {
                members["aud"] = access.audience.clone().into();
            }
            members["iat"] = access.issued_at.into();
            members["exp"] = access.expires_at.into();
            members
        } else if let Some((refresh, family)) = tables.refresh(token, now) {
            let mut members = about(family, base);
            members["scope"] = family.scope.to_string().into();
            members["exp"] = refresh.idle_until.into();
            members
        } else {
            object!({ "active": false })
        }
    }))
}

fn about(family: &Family, base: &str) -> Value {
    let mut members = object!({ "active": true, "client_id": &*family.client_id, "iss": base, "aud": base });
    match family.email.as_deref() {
        Some(email) => {
            members["sub"] = account::account_uuid(email).into();
            members["username"] = email.into();
        }
        // RFC 9700 §4.15: a client must not be taken for a person.
        None => members["sub"] = format!("client:{}", family.client_id).into(),
    }
    members
}
