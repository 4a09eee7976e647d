//! Authenticates the caller of an API endpoint (RFC 6750).

use std::sync::Arc;

use http::{StatusCode, header::AUTHORIZATION};

use crate::{
    http::{
        call::{Call, Refusal},
        flags,
    },
    state::{scope::Scopes, shared::Shared},
};

/// The holder of a valid access token.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// `None` = a client acting for itself.
    pub(crate) email: Option<Arc<str>>,
    pub(crate) client_id: Arc<str>,
    pub(crate) scope: Scopes,
    /// Empty: this server.
    pub(crate) audience: Vec<String>,
    pub(crate) issued_at: u64,
    pub(crate) expires_at: u64,
    pub(crate) family: u64,
}

/// The token in the `Authorization` header; one in the query is ignored (OAuth 2.1 §5.1).
pub(crate) fn token(call: &mut Call) -> Result<Option<String>, Refusal> {
    let mut values = call.parts.headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(malformed("more than one Authorization header"));
    }
    let (scheme, token) = value.to_str().ok().and_then(|v| v.split_once(' ')).unwrap_or_default();
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(nothing());
    }
    // b64token, RFC 6750 §2.1.
    let stem = token.trim_end_matches('=');
    let plain = stem.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~+/".contains(&b));
    if stem.is_empty() || !plain {
        return Err(malformed("the bearer token is not well-formed"));
    }
    let token = token.to_owned();
    call.note.credential.push("bearer");
    Ok(Some(token))
}

/// The caller of a request that needs an access token.
pub(crate) fn caller(shared: &Shared, call: &mut Call) -> Result<Caller, Refusal> {
    let token = token(call)?.ok_or_else(nothing)?;
    accepted(shared, call, &token)
}

/// The holder of an access token, if it is valid and, where the vendor's demands are made, its flag is beside it.
pub(crate) fn accepted(shared: &Shared, call: &mut Call, token: &str) -> Result<Caller, Refusal> {
    let caller = lookup(shared, token).ok_or_else(|| invalid("the access token is not valid"))?;
    let is_ours = |audience: &String| call.base.spellings(shared.port).iter().any(|base| base == audience);
    if !caller.audience.is_empty() && !caller.audience.iter().any(is_ours) {
        return Err(invalid("the access token is for somebody else").outcome("another-audience"));
    }
    call.note.client_id = Some(caller.client_id.to_string());
    call.note.family = Some(caller.family);
    if shared.vendor && !flags::opens_api(call) {
        let text = "an access token needs the header anthropic-beta: oauth-2025-04-20";
        return Err(invalid(text).outcome("flag-missing"));
    }
    Ok(caller)
}

pub(crate) fn lookup(shared: &Shared, token: &str) -> Option<Caller> {
    shared.read(|tables, now| {
        tables.access(token, now).map(|(access, family)| Caller {
            email: family.email.clone(),
            client_id: Arc::clone(&family.client_id),
            scope: access.scope,
            audience: access.audience.clone(),
            issued_at: access.issued_at,
            expires_at: access.expires_at,
            family: access.family,
        })
    })
}

/// 401 without an error code: nothing was sent (RFC 6750 §3.1).
pub(crate) fn nothing() -> Refusal {
    Refusal::new("unauthorized", "a bearer token is required")
        .status(StatusCode::UNAUTHORIZED)
        .outcome("no-credential")
        .authenticate("Bearer realm=\"keyfob-dev\"".to_owned())
}

pub(crate) fn invalid(description: &'static str) -> Refusal {
    Refusal::new("invalid_token", description)
        .status(StatusCode::UNAUTHORIZED)
        .authenticate(challenge("invalid_token", description))
}

/// 403 with the scope that would do (RFC 6750 §3.1).
pub(crate) fn insufficient(scope: &str) -> Refusal {
    let description = "the access token does not have the scope this needs";
    let challenge = format!("{}, scope=\"{scope}\"", challenge("insufficient_scope", description));
    Refusal::new("insufficient_scope", description).status(StatusCode::FORBIDDEN).authenticate(challenge)
}

fn malformed(description: &'static str) -> Refusal {
    Refusal::new("invalid_request", description).authenticate(challenge("invalid_request", description))
}

fn challenge(error: &str, description: &str) -> String {
    format!("Bearer realm=\"keyfob-dev\", error=\"{error}\", error_description=\"{description}\"")
}
