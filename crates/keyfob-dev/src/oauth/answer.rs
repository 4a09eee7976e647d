//! The response of the token endpoint.

use serde_json::{Value, json as object};

use crate::state::tables::Issued;

/// The members of a successful answer (RFC 6749 §5.1); always includes `scope`, so that no client has to guess.
pub(crate) fn members(issued: &Issued) -> Value {
    let mut members = object!({
        "access_token": issued.access_token,
        "token_type": "Bearer",
        "expires_in": issued.expires_in,
        "scope": issued.scope.to_string(),
    });
    if let Some(token) = &issued.refresh_token {
        members["refresh_token"] = Value::from(token.as_str());
    }
    if issued.wants_device {
        members["trusted_device"] = Value::from("required");
    }
    if let Some(token) = &issued.id_token {
        members["id_token"] = Value::from(token.as_str());
    }
    members
}
