//! Authorization requests that wait for the user.

use crate::state::scope::Scopes;

/// How long a person may look at the pages.
pub(crate) const TRANSACTION_LIFE: u64 = 600;

/// An authorization request that waits for a person.
#[derive(Clone, Debug)]
pub(crate) struct Transaction {
    pub(crate) client_id: String,
    pub(crate) redirect_uri: String,
    pub(crate) scope: Scopes,
    pub(crate) email: Option<String>,
    /// What was typed last and is no address.
    pub(crate) typed: Option<String>,
    pub(crate) expires_at: u64,
    pub(crate) challenge: String,
    pub(crate) nonce: Option<String>,
    pub(crate) state: Option<String>,
    pub(crate) issuer: String,
}
