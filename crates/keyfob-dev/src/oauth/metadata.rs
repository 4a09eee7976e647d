//! Authorization server metadata (RFC 8414 §2, §3; also at OpenID's path, as §5 allows).

use http::StatusCode;
use serde_json::json as object;

use crate::{
    http::call::{Call, Reply, json, not_found},
    oauth::{
        device_grant::GRANT_TYPE,
        federation::{JWT_BEARER, TOKEN_EXCHANGE},
    },
    state::{addresses::PREFIXES, scope, shared::Shared},
};

/// RFC 8414 §3: the well-known path comes between host and issuer path.
pub(crate) const OAUTH: &str = "/.well-known/oauth-authorization-server";
/// OpenID Connect Discovery §4: it is appended to the issuer.
pub(crate) const OPENID: &str = "/.well-known/openid-configuration";

/// The issuer path that a metadata path asks for. `None` = not a metadata path.
pub(crate) fn issuer_path(prefix: &'static str, path: &str) -> Option<&'static str> {
    if path == OPENID || (path == OAUTH && prefix.is_empty()) {
        return Some(prefix);
    }
    // RFC 8414 §5 lets OpenID's name be inserted, too; some clients try that.
    let inserted = path.strip_prefix(OAUTH).or_else(|| path.strip_prefix(OPENID))?;
    PREFIXES.iter().copied().find(|known| prefix.is_empty() && *known == inserted)
}

pub(crate) fn answer(shared: &Shared, call: &mut Call) -> Reply {
    // A further port is a page of this issuer, and none of its own.
    let own = call.base == call.base.at(shared.port);
    let Some(path) = issuer_path(call.prefix, &call.path).filter(|_| own) else {
        return not_found(call);
    };
    call.note.outcome = "ok";
    let base = call.base.as_str();
    let issuer = format!("{base}{path}");
    // §3.3: `issuer` is what the document was asked for; our parameter makes the authorization response's `iss`
    // the same (RFC 9207 §2.4). Clients keep an endpoint's query (RFC 6749 §3.1).
    let suffix = if path.is_empty() { String::new() } else { format!("?issuer={path}") };
    let methods = ["none", "client_secret_basic", "client_secret_post", "private_key_jwt"];
    // RFC 8414 §2: named wherever `private_key_jwt` is.
    let signed = ["ES256", "RS256", "EdDSA"];
    let document = object!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/oauth/authorize{suffix}"),
        "token_endpoint": format!("{issuer}/v1/oauth/token"),
        "revocation_endpoint": format!("{issuer}/v1/oauth/revoke"),
        "introspection_endpoint": format!("{issuer}/v1/oauth/introspect"),
        "device_authorization_endpoint": format!("{issuer}/v1/oauth/device/code"),
        "userinfo_endpoint": format!("{issuer}/oauth/userinfo"),
        "jwks_uri": format!("{issuer}/oauth/jwks"),
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": [
            "authorization_code", "refresh_token", "client_credentials", GRANT_TYPE, JWT_BEARER, TOKEN_EXCHANGE,
        ],
        "scopes_supported": scope::KNOWN,
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": methods,
        "token_endpoint_auth_signing_alg_values_supported": signed,
        "revocation_endpoint_auth_methods_supported": methods,
        "revocation_endpoint_auth_signing_alg_values_supported": signed,
        "introspection_endpoint_auth_methods_supported": &methods[1..],
        "introspection_endpoint_auth_signing_alg_values_supported": signed,
        "authorization_response_iss_parameter_supported": true,
    });
    json(StatusCode::OK, &document)
}
