//! The vendor's own demands beyond OAuth: JSON bodies at the token endpoint, and flags in a header. Read by itself from the
//! vendor's Apache-licensed Python package `anthropic` (`lib/credentials/_constants.py`, `_providers.py`, `_workload.py`).

use crate::http::call::{Call, Refusal};

/// A list of flags, separated by commas.
const FLAGS: &str = "anthropic-beta";
/// With refresh grants, and with every API request with an OAuth access token.
const OAUTH: &str = "oauth-2025-04-20";
/// With federation exchanges, and with nothing else.
const FEDERATION: &str = "oidc-federation-2026-04-01";

/// Whether a request has this flag, in any of its header lines.
fn has(call: &Call, flag: &str) -> bool {
    let lines = call.parts.headers.get_all(FLAGS).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).any(|one| one.trim() == flag)
}

/// Refuses a token request without the flag of its grant, or with that of another.
pub(crate) fn of_grant(call: &Call, grant_type: &str) -> Result<(), Refusal> {
    let refuse = |description| Err(Refusal::new("invalid_request", description).outcome("flag-missing"));
    match grant_type {
        "refresh_token" if !has(call, OAUTH) => {
            refuse("a refresh needs the header anthropic-beta: oauth-2025-04-20")
        }
        "urn:ietf:params:oauth:grant-type:jwt-bearer" if !has(call, FEDERATION) || has(call, OAUTH) => {
            refuse(
                "an exchange needs the header anthropic-beta: oidc-federation-2026-04-01, and that flag alone",
            )
        }
        "refresh_token" | "authorization_code" | "client_credentials" if has(call, FEDERATION) => {
            refuse("the flag oidc-federation-2026-04-01 is for exchanges alone")
        }
        _ => Ok(()),
    }
}

/// Whether an API request has the flag that opens the API to OAuth access tokens.
pub(crate) fn opens_api(call: &Call) -> bool {
    has(call, OAUTH)
}
