//! ID tokens (OpenID Connect Core §2), signed with a key that is valid as long as the server runs.

use http::StatusCode;
use serde_json::json as object;

use crate::{
    http::call::{Call, Reply, json},
    state::{
        account, credential::NoEntropy, faults::FaultKind, scope::Scopes, shared::Shared, signing_key::Signer,
    },
};

/// The lifetime of an ID token. It only shows that the token is fresh; clients do not keep it.
const LIFE: u64 = 600;

/// The subject and audience of an ID token.
pub(crate) struct About<'a> {
    pub(crate) issuer: &'a str,
    pub(crate) client_id: &'a str,
    pub(crate) email: &'a str,
    pub(crate) scope: Scopes,
    pub(crate) nonce: Option<&'a str>,
}

/// The ID token of a grant, if `openid` was requested; wrong in the way a fault says.
pub(crate) fn of(
    shared: &Shared,
    about: &About<'_>,
    fault: Option<FaultKind>,
    now: u64,
) -> Result<Option<String>, NoEntropy> {
    if !about.scope.contains("openid") || fault == Some(FaultKind::NoIdToken) {
        return Ok(None);
    }
    let mut claims = object!({
        "iss": about.issuer,
        "sub": account::account_uuid(about.email),
        "aud": about.client_id,
        "iat": now,
        "auth_time": now,
        "exp": now.saturating_add(LIFE),
    });
    if let Some(nonce) = about.nonce {
        claims["nonce"] = nonce.into();
    }
    if about.scope.contains("email") {
        claims["email"] = about.email.into();
        claims["email_verified"] = true.into();
    }
    if about.scope.contains("profile") {
        claims["preferred_username"] = account::username(about.email).into();
    }
    let mut header = object!({ "alg": "ES256", "typ": "JWT", "kid": shared.signer.thumbprint() });
    match fault {
        Some(FaultKind::IdTokenIssuer) => claims["iss"] = "https://elsewhere.example".into(),
        Some(FaultKind::IdTokenAudience) => claims["aud"] = "another-client".into(),
        Some(FaultKind::IdTokenExpired) => claims["exp"] = now.saturating_sub(24 * 3600).into(),
        Some(FaultKind::IdTokenNonce) => claims["nonce"] = "of-another-sign-in".into(),
        Some(FaultKind::IdTokenSubject) => {
            claims["sub"] = account::account_uuid("somebody@elsewhere.example").into();
        }
        Some(FaultKind::IdTokenUnsigned) => header["alg"] = "none".into(),
        _ => {}
    }
    let signer = match fault {
        Some(FaultKind::IdTokenSignature) => &Signer::new()?,
        _ => &shared.signer,
    };
    signer.sign(&header, &claims).map(Some)
}

/// `GET /oauth/jwks`: the public key (RFC 7517 §5).
pub(crate) fn keys(shared: &Shared, call: &mut Call) -> Reply {
    call.note.outcome = "ok";
    let (x, y) = shared.signer.point();
    let key = object!({
        "kty": "EC", "crv": "P-256", "x": x, "y": y, "use": "sig", "alg": "ES256", "kid": shared.signer.thumbprint(),
    });
    json(StatusCode::OK, &object!({ "keys": [key] }))
}
