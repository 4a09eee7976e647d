//! The dialect of the vendor's own provider.

use alloc::vec;

use crate::oauth::dialect::{Addition, Dialect, TokenBody};

/// The issuer of `production`.
pub(super) const VENDOR: &str = "https://claude.ai";

const FLAGS: &str = "anthropic-beta";

/// How the provider of this issuer is known to want to be spoken to.
///
/// The vendor's, by its Apache-licensed Python package `anthropic` 2.14 (`lib/credentials/_constants.py`,
/// `_providers.py`, `_workload.py`): JSON bodies at the token endpoint; one flag on every API request with an OAuth
/// access token and on refresh grants; another on federation exchanges, and never both.
pub(crate) fn dialect_of(issuer: &str) -> Dialect {
    if issuer != VENDOR {
        return Dialect::default();
    }
    let oauth = || Addition::new(FLAGS, "oauth-2025-04-20");
    Dialect {
        token_body: TokenBody::Json,
        token_headers: vec![
            oauth().with("refresh_token"),
            Addition::new(FLAGS, "oidc-federation-2026-04-01").with("jwt-bearer"),
        ],
        api_headers: vec![oauth()],
        ..Dialect::default()
    }
}
