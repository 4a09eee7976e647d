//! How the client proves itself, for reports: the login's own client, or that of the environment where there is no login.

use keyfob_core::{
    Error, Record,
    oauth::client_auth::{Place, SecretAt},
};

use super::client_auth;
use crate::session::Session;

/// How a client proves itself.
#[derive(Debug)]
pub struct ClientProof {
    /// By the name of RFC 7591 §2: `none` for a public client.
    pub method: &'static str,
    /// Where its secret or private key is, if it has one.
    pub at: Option<Place>,
    /// By which id the provider knows its key, where the configuration says so.
    pub key_id: Option<String>,
    /// Whether that can be read, and is what it has to be. `None`: a command gives it, which is not run for a report.
    pub usable: Option<Result<(), Error>>,
}

impl ClientProof {
    /// The one that the next request of this login carries. `None`: there is no environment.
    pub(crate) fn of(session: &Session, record: Option<&Record>) -> Option<Self> {
        let environment = session.environment().ok()?;
        // A person's login keeps to how it was made; a machine's takes what the configuration says today.
        let at = match record {
            Some(record) if record.proof.is_none() => record.secret_at.clone(),
            _ => environment.confidential_client().map(|client| {
                let auth = record.and_then(|record| record.proof).unwrap_or(environment.proof(client));
                client_auth::of_machine(client, client.proof.unwrap_or(auth))
            }),
        };
        let Some(at) = at else {
            return Some(Self { method: "none", at: None, key_id: None, usable: None });
        };
        let usable = match &at.at {
            Place::Command(_) => None,
            Place::File(_) => Some(client_auth::at_hand(&session.world, environment, &at).map(drop)),
        };
        let SecretAt { at, auth, key_id } = at;
        Some(Self { method: auth.name(), at: Some(at), key_id, usable })
    }
}
