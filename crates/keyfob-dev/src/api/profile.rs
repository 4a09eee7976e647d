//! The account of a token: `/api/oauth/profile`, `/v1/whoami` and OpenID's `/oauth/userinfo`.

use http::StatusCode;
use serde_json::{Value, json as object};

use crate::{
    api::{
        bearer::{self, Caller},
        devices,
    },
    http::call::{Call, Refusal, Reply, json},
    state::{account, shared::Shared},
};

/// `GET /api/oauth/profile`: account and organisation; needs `user:profile`.
pub(crate) fn profile(shared: &Shared, call: &mut Call) -> Reply {
    let found = bearer::caller(shared, call).and_then(|caller| {
        devices::recognise(shared, call, caller.email.as_deref())?;
        let email = person(&caller, "user:profile")?;
        Ok(account::profile(email))
    });
    answer(call, found)
}

/// `GET /oauth/userinfo` (OpenID Connect Core §5.3): claims as far as the scopes reach.
pub(crate) fn userinfo(shared: &Shared, call: &mut Call) -> Reply {
    let found = bearer::caller(shared, call).and_then(|caller| {
        devices::recognise(shared, call, caller.email.as_deref())?;
        let email = person(&caller, "openid")?;
        let mut claims = object!({ "sub": account::account_uuid(email) });
        if caller.scope.contains("email") {
            claims["email"] = email.into();
            claims["email_verified"] = true.into();
        }
        if caller.scope.contains("profile") {
            claims["name"] = account::display_name(email).into();
            claims["preferred_username"] = account::username(email).into();
        }
        Ok(claims)
    });
    answer(call, found)
}

/// `GET /v1/whoami`: which credentials came, and for whom. Every one that came must be valid.
pub(crate) fn whoami(shared: &Shared, call: &mut Call) -> Reply {
    let found = identify(shared, call);
    answer(call, found)
}

fn identify(shared: &Shared, call: &mut Call) -> Result<Value, Refusal> {
    let token = bearer::token(call)?;
    let key = api_key(call)?;
    let (mut email, mut expires_at) = (None, Value::Null);
    if let Some(key) = &key {
        let known = shared.api_key(key).ok_or_else(|| bearer::invalid("the API key is not valid"))?;
        email = Some(known.to_owned());
    }
    if let Some(token) = &token {
        // An API key helper's value comes as both headers.
        if let Some(known) = shared.api_key(token) {
            email = Some(known.to_owned());
        } else {
            let caller = bearer::accepted(shared, call, token)?;
            email = caller.email.as_deref().map(str::to_owned);
            expires_at = caller.expires_at.into();
        }
    }
    if token.is_none() && key.is_none() {
        return Err(bearer::nothing());
    }
    let device = devices::recognise(shared, call, email.as_deref())?;
    let seen: Vec<_> = [token.map(|_| "bearer"), key.map(|_| "api-key")].into_iter().flatten().collect();
    Ok(object!({
        "credential": seen,
        "account_uuid": email.as_deref().map(account::account_uuid),
        "device": device,
        "expires_at": expires_at,
    }))
}

fn api_key(call: &mut Call) -> Result<Option<String>, Refusal> {
    let mut values = call.parts.headers.get_all("x-api-key").iter();
    let Some(value) = values.next() else { return Ok(None) };
    let key = value.to_str().ok().filter(|_| values.next().is_none());
    let key =
        key.ok_or_else(|| Refusal::new("invalid_request", "X-Api-Key must stand once, in ASCII"))?.to_owned();
    call.note.credential.push("api-key");
    Ok(Some(key))
}

/// The person behind a token that has a scope.
fn person<'a>(caller: &'a Caller, scope: &str) -> Result<&'a str, Refusal> {
    if !caller.scope.contains(scope) {
        return Err(bearer::insufficient(scope));
    }
    caller.email.as_deref().ok_or_else(|| {
        Refusal::new("forbidden", "a client acting for itself has no account").status(StatusCode::FORBIDDEN)
    })
}

fn answer(call: &mut Call, found: Result<Value, Refusal>) -> Reply {
    match found {
        Ok(body) => {
            call.note.outcome = "ok";
            json(StatusCode::OK, &body)
        }
        Err(refusal) => refusal.reply(call),
    }
}
