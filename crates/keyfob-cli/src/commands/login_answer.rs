//! What `keyfob login` answers in JSON, by whichever way somebody signed in.

use keyfob::{Client, Error, internals::core::Record};

/// What a sign-in came to, for programs.
pub(crate) fn json(
    client: &Client,
    record: &Record,
    device: &serde_json::Value,
    shadow: Option<&Error>,
) -> serde_json::Value {
    serde_json::json!({
        "profile": record.profile,
        "issuer": record.issuer,
        "client_id": record.client_id.as_str(),
        "scopes": record.scopes.iter().collect::<Vec<_>>(),
        "expires_at": client.expires_at(record).map(|t| t.to_string()),
        "login": record.generation.login(),
        "generation": record.generation.number(),
        "identity": record.identity,
        "device": device,
        "shadowed_by": shadow.map(Error::message),
    })
}
